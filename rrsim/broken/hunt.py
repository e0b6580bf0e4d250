"""The hunt: run the scenarios against each deliberate bug and say which of them, or which invariant, caught it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from rrsim.backends.sim.compiled import compile_scenario
from rrsim.backends.sim.runner import run_compiled
from rrsim.broken.bug import Bug
from rrsim.broken.catalogue import BUGS
from rrsim.scenario.model import Scenario

ENOUGH = 3
"""After this many scenarios have caught a bug, no further ones are run against it."""


class HuntResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one bug."""

    name: str
    about: str
    where: str
    caught: bool
    by: tuple[str, ...]
    """``SCENARIO: CHECK`` of each catch."""
    cases: int
    """How many cases were run until then."""


class NothingToHuntWith(ValueError):
    """There are no scenarios, or one of them fails without any bug: a catch would mean nothing."""


def hunt_all(scenarios: Sequence[Scenario], bugs: Iterable[Bug] = BUGS, seed: int = 1) -> Iterator[HuntResult]:
    """Hunt each bug with the scenarios, and yield the results one by one.

    A bug counts as caught only if a check *failed* in a scenario that passes without the bug; an error of the harness
    or a check that could not tell is no catch.

    Raises:
        NothingToHuntWith: no scenario, or one that does not pass on the real parts.
    """
    sound = [s for s in scenarios if run_compiled(compile_scenario(s), seed).outcome == "passed"]
    if not sound:
        raise NothingToHuntWith("expected scenarios that pass without any bug, saw none; run 'rrsim run' first")
    for bug in bugs:
        yield hunt(bug, sound, seed)


def hunt(bug: Bug, scenarios: Sequence[Scenario], seed: int = 1) -> HuntResult:
    """Run scenarios against one bug until enough of them have caught it; the likeliest go first."""
    wanted = set(bug.breaks)
    ordered = sorted(scenarios, key=lambda s: -len(wanted & {*s.covers, *s.edge_cases}))
    parts = bug.parts()
    caught: list[str] = []
    cases = 0
    for scenario in ordered:
        cases += 1
        result = run_compiled(compile_scenario(scenario, parts), seed)
        failed = [c.check for c in result.checks if c.outcome == "failed"]
        if failed:
            caught.append(f"{scenario.id}: {', '.join(failed)}")
            if len(caught) >= ENOUGH:
                break
    return HuntResult(
        name=bug.name, about=bug.about, where=bug.where, caught=bool(caught), by=tuple(caught), cases=cases
    )
