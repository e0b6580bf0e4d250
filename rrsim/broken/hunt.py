"""The hunt: run the scenarios against each deliberate bug and say which of them, or which invariant, caught it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from rrsim.backends.sim.compiled import REAL, Parts, compile_scenario, memo_of
from rrsim.backends.sim.runner import run_compiled
from rrsim.broken.bug import Bug
from rrsim.broken.catalogue import BUGS
from rrsim.scenario.model import Scenario

ENOUGH: Final = 3
"""After this many scenarios have caught a bug, no further ones are run against it."""
STEPS: Final = ("agent", "server", "pc", "net", "person", "rep")
"""The fields of :class:`~rrsim.backends.sim.compiled.Parts` that are step functions."""


class Catch(msgspec.Struct, frozen=True):
    """One scenario that noticed a bug."""

    scenario: str
    """Id of the case."""
    checks: tuple[str, ...]
    """The checks that failed: invariants, or expectations of the scenario."""


class HuntResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one bug."""

    name: str
    about: str
    where: str
    catches: tuple[Catch, ...]
    cases: int
    """How many cases were run until it was caught often enough, or all of them."""
    errors: int
    """How many of them ended in an error of the harness: no catch, but a sign that the bug does more than it says."""

    @property
    def caught(self) -> bool:
        """Whether any scenario noticed it."""
        return bool(self.catches)

    @property
    def by(self) -> tuple[str, ...]:
        """``SCENARIO: CHECK, CHECK`` of each catch."""
        return tuple(f"{catch.scenario}: {', '.join(catch.checks)}" for catch in self.catches)


class NothingToHuntWith(ValueError):
    """No scenario passes without any bug: a catch would mean nothing."""


def sound(scenarios: Sequence[Scenario], seed: int = 1) -> tuple[Scenario, ...]:
    """Return the scenarios that pass on the real parts: only these can catch anything.

    Raises:
        NothingToHuntWith: there is none.
    """
    passing = tuple(s for s in scenarios if run_compiled(compile_scenario(s), seed).outcome == "passed")
    if not passing:
        raise NothingToHuntWith("expected scenarios that pass without any bug, saw none; run 'rrsim run' first")
    return passing


def hunt_all(scenarios: Sequence[Scenario], bugs: Iterable[Bug] = BUGS, seed: int = 1) -> Iterator[HuntResult]:
    """Hunt each bug with the scenarios that pass without it, and yield the results one by one.

    A bug counts as caught only if a check *failed* in a scenario that passes without the bug; an error of the harness
    or a check that could not tell is no catch.

    Raises:
        NothingToHuntWith: no scenario passes on the real parts.
    """
    passing = sound(scenarios, seed)
    for bug in bugs:
        yield hunt(bug, passing, seed)


def hunt(bug: Bug, scenarios: Sequence[Scenario], seed: int = 1) -> HuntResult:
    """Run scenarios against one bug until enough of them have caught it; the likeliest go first.

    ``scenarios`` must pass on the real parts (:func:`sound`).
    """
    parts = bug.parts()
    catches: list[Catch] = []
    cases = errors = 0
    for scenario in likeliest_first(bug, scenarios):
        cases += 1
        result = run_compiled(compile_scenario(scenario, parts), seed)
        errors += result.outcome == "error"
        failed = tuple(c.check for c in result.checks if c.outcome == "failed")
        if failed:
            catches.append(Catch(scenario.id, failed))
            if len(catches) >= ENOUGH:
                break
    forget(parts)
    return HuntResult(
        name=bug.name, about=bug.about, where=bug.where, catches=tuple(catches), cases=cases, errors=errors
    )


def likeliest_first(bug: Bug, scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Order scenarios by how many of the ids that the bug breaks they cover, then by how little else they cover."""
    wanted = set(bug.breaks)

    def likelihood(scenario: Scenario) -> tuple[int, int]:
        ids = {*scenario.covers, *scenario.edge_cases}
        return -len(wanted & ids), len(ids)

    return sorted(scenarios, key=likelihood)


def forget(parts: Parts) -> None:
    """Drop what the memos of the broken steps have learnt: nobody will ask for it again."""
    for name in STEPS:
        step = getattr(parts, name)
        if step is not getattr(REAL, name):
            memo_of(step).forget()
