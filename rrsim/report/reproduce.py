"""The commands that repeat a run: the last lines of every report."""

from __future__ import annotations

from collections.abc import Sequence

from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult


def quoted(text: str) -> str:
    """Quote a word for a POSIX shell."""
    import shlex

    return shlex.quote(text)


def command_for(result: RunResult, profile: str = "") -> str:
    """Return the ``rrsim run`` command that repeats a run."""
    return command(result.scenario, result.seed, backend=result.backend, profile=profile, options=result.options)


def command(
    scenario: Scenario, seed: int, *, backend: str = "sim", profile: str = "", options: Sequence[str] = ()
) -> str:
    """Return the ``rrsim run`` command that repeats one run; ``options`` are further words, such as a time scale."""
    parts = ["rrsim", "run", quoted(scenario.path or "scenarios"), "-k", quoted(scenario.id), "--seed", str(seed)]
    if backend != "sim":
        parts += ["--backend", backend]
    if profile:
        parts += ["--profile", quoted(profile)]
    return " ".join([*parts, *map(quoted, options)])


def show_command(scenario: Scenario, seed: int) -> str:
    """Return the ``rrsim show`` command that prints the timeline of one run."""
    path = ["--in", quoted(scenario.path)] if scenario.path else []
    case = ["--case", quoted(scenario.case)] if scenario.case else []
    return " ".join(["rrsim", "show", quoted(scenario.name), *case, *path, "--seed", str(seed)])
