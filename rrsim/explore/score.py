"""The score: who finds which deliberate bug, and after how much.

A bug counts as found by the search if a standard model breaks an invariant, or misses a situation that the real parts
reach; the effort is the states of all models up to there. It counts as found by a swarm if a run fails in a way that
the real parts do not fail in with the same seed; the effort is the median number of seeds over many starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Final, Literal

import msgspec

from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.broken.bug import Bug
from rrsim.broken.hunt import forget
from rrsim.explore.model import Model
from rrsim.explore.report import Limits
from rrsim.explore.search import run as search
from rrsim.explore.shrink.shrink import DoesNotFail, shrink
from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.failures import Failure, failures
from rrsim.explore.swarm.plan import as_scenario
from rrsim.explore.swarm.run import play

Hunter = Literal["search", "swarm"]
STARTS: Final = 20
MOST_SEEDS: Final = 2_000
"""A start that finds nothing in so many seeds has missed."""
APART: Final = 100_000
"""Between the first seeds of two starts."""
MOST_STATES: Final = 400_000
"""Of one model: every standard model is smaller, as long as nothing is broken."""
ENDLESS: Final = (RuntimeError, ValueError, LookupError, AssertionError)
"""What a search of broken parts may run into where no violation is reported: the bug has shown itself."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What one hunter made of one bug."""

    bug: str
    by: Hunter
    found: bool
    effort: int
    """States, or seeds (the median over all starts, those that missed counted as :data:`MOST_SEEDS`)."""
    where: str = ""
    """The model, or the seed of the first start that found it."""
    what: str = ""
    """The invariant or check that broke, or the situation that never occurred."""
    starts: int = 1
    missed: int = 0
    """Starts that found nothing."""
    steps: int = 0
    """Steps of the shortest scenario that still fails in the same way; 0: it was not made smaller."""

    def line(self) -> str:
        """Return it as one line of text."""
        if not self.found:
            return f"{self.by}: not found"
        if self.by == "search":
            return f"search: {self.what} in {self.where} after {self.effort:,} states"
        seldom = f", {self.missed} of {self.starts} starts missed" if self.missed else ""
        return f"swarm: {self.what} after {self.effort:,} seeds (median{seldom}), {self.steps} steps"


def by_search(bug: Bug, models: Sequence[Model], stop: Callable[[], bool] = lambda: False) -> Score:
    """Search the models in turn until one of them shows the bug."""
    parts, states = bug.parts(), 0
    try:
        for model in models:
            if stop():
                break
            try:
                report = search(model, parts, Limits(states=MOST_STATES, violations=1))
            except ENDLESS as error:
                return Score(bug=bug.name, by="search", found=True, effort=states, where=model.name,
                             what=type(error).__name__)
            states += report.states
            if report.outcome == "failed":
                broken = report.violations[0].invariant if report.violations else f"never: {report.never[0]}"
                return Score(bug=bug.name, by="search", found=True, effort=states, where=model.name, what=broken)
    finally:
        forget(parts)
    return Score(bug=bug.name, by="search", found=False, effort=states)


def by_swarm(
    bug: Bug, *, starts: int = STARTS, most_seeds: int = MOST_SEEDS, stop: Callable[[], bool] = lambda: False
) -> Score:
    """Play seeds from many starts, each until a run fails as it does not without the bug.

    Once the first three starts have all missed, the others are not made: the median is known.
    """
    parts, first, efforts, missed = bug.parts(), None, list[int](), 0
    try:
        for start in range(starts):
            if stop() or (start >= 3 and missed == start):
                break
            seed, found = _first(parts, start * APART, most_seeds, stop)
            efforts.append(seed - start * APART + 1 if found else most_seeds)
            missed += found is None
            first = first or ((seed, found) if found else None)
        steps = _shortest(*first, parts) if first else 0
    finally:
        forget(parts)
    effort = round(median(efforts)) if efforts else 0
    about = {"starts": len(efforts), "missed": missed, "steps": steps}
    if first is None:
        return Score(bug=bug.name, by="swarm", found=False, effort=effort, starts=len(efforts), missed=missed)
    return msgspec.convert(
        {"bug": bug.name, "by": "swarm", "found": True, "effort": effort, "where": f"seed {first[0]}",
         "what": first[1].check, **about}, Score,
    )  # fmt: skip


def _first(parts: Parts, begin: int, most: int, stop: Callable[[], bool]) -> tuple[int, Failure | None]:
    """Return the first seed from ``begin`` on whose run the bug makes fail, and how."""
    for seed in range(begin, begin + most):
        if stop():
            return seed, None
        plan = draw_plan(seed)
        found = [one for one in failures(play(plan, parts)) if not one.known]
        if found:
            healthy = set(failures(play(plan, REAL)))
            fresh = [one for one in found if one not in healthy]
            if fresh:
                return seed, fresh[0]
    return begin + most, None


def _shortest(seed: int, failure: Failure, parts: Parts) -> int:
    try:
        return len(shrink(as_scenario(draw_plan(seed)), seed, failure, parts=parts).scenario.steps)
    except DoesNotFail:
        return 0
