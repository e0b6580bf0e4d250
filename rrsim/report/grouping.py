"""Failures grouped by check and cause, new ones first; counts by outcome."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from rrsim.scenario.result import CheckResult, Outcome, RunResult

OUTCOMES: Final[tuple[Outcome, ...]] = ("passed", "failed", "known", "unknown", "skipped", "error")

_RANK: Final[dict[Outcome, int]] = {"failed": 0, "error": 1, "unknown": 2, "known": 3, "skipped": 4, "passed": 5}


IMPOSSIBLE: Final = "step impossible"
"""Cause of a check that speaks of a step."""


MOST_OTHERS: Final = 6
"""How many further checks a group names."""


class Group(msgspec.Struct, frozen=True, gc=False):
    """Runs that did not pass for the same reason."""

    outcome: Outcome
    check: str
    cause: str
    results: tuple[RunResult, ...]

    @property
    def title(self) -> str:
        """The line above the group."""
        return f"{self.check}: {self.cause}" if self.cause not in ("", self.check) else self.check

    @property
    def also(self) -> tuple[str, ...]:
        """What else failed in these runs, each named once."""
        others = (c.check for r in self.results for c in r.checks if c.outcome == "failed" and c.check != self.check)
        return tuple(dict.fromkeys(others))[:MOST_OTHERS]

    @property
    def new(self) -> bool:
        """Whether nobody has listed this failure as a known issue."""
        return self.outcome != "known"


def main_problem(result: RunResult) -> CheckResult | None:
    """Return the check that names the run's trouble best: the first failed one, else the first undecided one.

    A step that was not possible goes first: what else failed often follows from it.
    """
    failed = iter(sorted((c for c in result.checks if c.outcome == "failed"), key=lambda c: c.cause != IMPOSSIBLE))
    unknown = (c for c in result.checks if c.outcome == "unknown")
    return next(failed, None) or next(unknown, None)


def grouped(results: Iterable[RunResult]) -> list[Group]:
    """Group the runs that failed, errored, could not tell or are known. New before known, large before small."""
    groups: dict[tuple[Outcome, str, str], list[RunResult]] = {}
    for result in results:
        if result.outcome in ("passed", "skipped"):
            continue
        problem = main_problem(result)
        check = problem.check if problem else ("harness" if result.outcome == "error" else result.outcome)
        cause = problem.cause if problem else result.reason.partition("\n")[0]
        groups.setdefault((result.outcome, check, cause), []).append(result)
    out = [Group(outcome, check, cause, tuple(rs)) for (outcome, check, cause), rs in groups.items()]
    return sorted(out, key=lambda g: (_RANK[g.outcome], -len(g.results), g.title))


def counts(results: Iterable[RunResult]) -> dict[Outcome, int]:
    """Count runs by outcome; every outcome is a key."""
    out: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    for result in results:
        out[result.outcome] += 1
    return out


def stand_ins(results: Iterable[RunResult]) -> tuple[str, ...]:
    """Return everything that stood in for a part of the world in some run."""
    return tuple(sorted({name for result in results for name in result.stand_ins}))


def left_behind(results: Iterable[RunResult]) -> tuple[str, ...]:
    """Return everything that could not be taken away after a run, with the run whose it was."""
    return tuple(f"{r.scenario.id}, seed {r.seed}: {one}" for r in results for one in r.left_behind)


def skipped(results: Iterable[RunResult]) -> list[tuple[str, tuple[RunResult, ...]]]:
    """Return the cases that could not run here, by what they lack: the most frequent reason first.

    The reason of a case is cut where its explanation begins: ``needs dns (step 2: dns fails)``.
    """
    groups: dict[str, list[RunResult]] = {}
    for result in results:
        if result.outcome == "skipped":
            groups.setdefault(_EXPLAINED.sub("", result.reason) or "no reason given", []).append(result)
    return sorted(((why, tuple(rs)) for why, rs in groups.items()), key=lambda g: (-len(g[1]), g[0]))


_EXPLAINED: Final = re.compile(r" \([^()]*(\([^()]*\)[^()]*)*\)")
"""An explanation in brackets, which may hold brackets itself."""
