"""The commands that repeat a run: the last lines of every report."""

from __future__ import annotations

from rrsim.scenario.model import Scenario


def quoted(text: str) -> str:
    """Quote a word for a POSIX shell."""
    import shlex

    return shlex.quote(text)


def command(
    scenario: Scenario, seed: int, *, backend: str = "sim", profile: str = "", time_scale: float = 1
) -> str:
    """Return the ``rrsim run`` command that repeats one run."""
    parts = ["rrsim", "run", quoted(scenario.path or "scenarios"), "-k", quoted(scenario.id), "--seed", str(seed)]
    if backend != "sim":
        parts += ["--backend", backend]
    if profile:
        parts += ["--profile", quoted(profile)]
    if time_scale != 1:
        parts += ["--time-scale", f"{time_scale:g}"]
    return " ".join(parts)


def show_command(scenario: Scenario, seed: int) -> str:
    """Return the ``rrsim show`` command that prints the timeline of one run."""
    path = ["--in", quoted(scenario.path)] if scenario.path else []
    case = ["--case", quoted(scenario.case)] if scenario.case else []
    return " ".join(["rrsim", "show", quoted(scenario.name), *case, *path, "--seed", str(seed)])
