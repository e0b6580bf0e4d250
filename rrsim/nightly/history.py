"""What many nights say about each case: how often it failed, whether it wavers, how long it takes. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

import msgspec

from rrsim.nightly.outcomes import BAD, MARKS, Night, Run, Status, status_of

ENOUGH_NIGHTS: Final = 6
"""With fewer nights in which a case passed there is no trend."""
NOTICEABLE: Final = 1.25
"""A case is slower if the newer half of its nights took so many times as long as the older half…"""
NOTICEABLE_S: Final = 0.5
"""… and so many seconds more; faster, the other way round."""


class Story(msgspec.Struct, frozen=True):
    """One case on one backend over all nights."""

    case: str
    backend: str
    statuses: tuple[Status, ...]
    """One for each night, oldest first; ``absent`` where it did not run."""
    runs: int
    failures: int
    """Runs that failed, could not tell, or broke in the harness."""
    flaky_nights: int
    first_failed: str = ""
    """The first of the kept nights in which it did not pass; empty: none."""
    failing_since: str = ""
    """The night since which it has not passed any more; empty if it passes."""
    median_s: float | None = None
    """The median of the nights' medians over runs that passed."""
    worst_s: float | None = None
    """The longest run of all, whatever came of it."""
    worst_night: str = ""
    trend: float | None = None
    """How many times as long the newer half of the nights took; nothing if too few nights, or no difference."""

    def marks(self, last: int) -> str:
        """Return a sign for each of the last nights, the newest on the right."""
        return "".join(MARKS[status] for status in self.statuses[-last:])

    @property
    def now(self) -> Status:
        """What it came to in the last night in which it ran."""
        return next((status for status in reversed(self.statuses) if status != "absent"), "absent")

    @property
    def worth_a_look(self) -> bool:
        """Whether it failed or wavered in any night, or has become slower."""
        return bool(self.failures) or (self.trend or 0) > 1


class NightTotals(msgspec.Struct, frozen=True):
    """One night in figures."""

    name: str
    cases: int
    runs: int
    statuses: dict[str, int]
    """How many cases came to what."""
    seconds: float
    """The time of all its runs together."""
    exit_code: int | None
    problems: int


def stories(nights: Sequence[Night]) -> tuple[Story, ...]:
    """Return every case that any night knows, those that fail now first, then by how often they failed or wavered."""
    order = sorted_nights(nights)
    by_case: dict[tuple[str, str], list[list[Run]]] = {}
    for number, night in enumerate(order):
        for run in night.runs:
            by_case.setdefault((run.backend, run.case), [[] for _ in order])[number].append(run)
    found = [_story(case, backend, [night.name for night in order], own) for (backend, case), own in by_case.items()]
    return tuple(sorted(found, key=_urgency))


def _urgency(story: Story) -> tuple[object, ...]:
    failing = story.now in BAD
    return not failing, story.now != "flaky", -story.flaky_nights, -story.failures, story.backend, story.case


def sorted_nights(nights: Sequence[Night]) -> list[Night]:
    """Return the nights in their order: by date, then by number."""
    return sorted(nights, key=lambda night: night_key(night.name))


def night_key(name: str) -> tuple[str, int]:
    """Return what a night is sorted by."""
    return name[:10], int(name[11:]) if name[11:].isdigit() else 0


def _story(case: str, backend: str, names: Sequence[str], nights: Sequence[Sequence[Run]]) -> Story:
    statuses = tuple(status_of(runs) for runs in nights)
    bad = [name for name, status in zip(names, statuses, strict=True) if status in BAD or status == "flaky"]
    every = [run for runs in nights for run in runs]
    worst_s, worst_night = _worst(names, nights)
    medians = [m for m in map(_median_of_passed, nights) if m is not None]
    return Story(
        case=case,
        backend=backend,
        statuses=statuses,
        runs=len(every),
        failures=sum(run.outcome in BAD for run in every),
        flaky_nights=statuses.count("flaky"),
        first_failed=bad[0] if bad else "",
        failing_since=_since(names, statuses),
        median_s=statistics.median(medians) if medians else None,
        worst_s=worst_s,
        worst_night=worst_night,
        trend=trend(medians),
    )


def _since(names: Sequence[str], statuses: Sequence[Status]) -> str:
    """Return the night that began the row of failures in which the case is now; a night without it breaks no row."""
    since = ""
    for name, status in zip(names, statuses, strict=True):
        if status in BAD:
            since = since or name
        elif status != "absent":
            since = ""
    return since


def _median_of_passed(runs: Sequence[Run]) -> float | None:
    times = [run.seconds for run in runs if run.outcome == "passed" and run.seconds is not None]
    return statistics.median(times) if times else None


def _worst(names: Sequence[str], nights: Sequence[Sequence[Run]]) -> tuple[float | None, str]:
    worst, where = None, ""
    for name, runs in zip(names, nights, strict=True):
        for run in runs:
            if run.outcome != "skipped" and run.seconds is not None and (worst is None or run.seconds > worst):
                worst, where = run.seconds, name
    return worst, where


def trend(medians: Sequence[float]) -> float | None:
    """Return how many times as long the newer half of the nights took as the older half, by their medians.

    Nothing with fewer than :data:`ENOUGH_NIGHTS`, or if the difference is not worth a word. Of an odd number the night
    in the middle belongs to neither half.
    """
    if len(medians) < ENOUGH_NIGHTS:
        return None
    half = len(medians) // 2
    before, after = statistics.median(medians[:half]), statistics.median(medians[-half:])
    least = min(before, after)
    if abs(after - before) < NOTICEABLE_S or least <= 0 or max(before, after) / least < NOTICEABLE:
        return None
    return after / before


def slowest(of: Sequence[Story], count: int) -> tuple[Story, ...]:
    """Return the cases that take longest, by their median."""
    timed = [story for story in of if story.median_s is not None]
    return tuple(sorted(timed, key=lambda story: (-(story.median_s or 0), story.backend, story.case))[:count])


def totals(nights: Sequence[Night]) -> tuple[NightTotals, ...]:
    """Return each night in figures, oldest first."""
    return tuple(_totals(night) for night in sorted_nights(nights))


def _totals(night: Night) -> NightTotals:
    by_case: dict[tuple[str, str], list[Run]] = {}
    for run in night.runs:
        by_case.setdefault((run.backend, run.case), []).append(run)
    counts: dict[str, int] = {}
    for runs in by_case.values():
        status = status_of(runs)
        counts[status] = counts.get(status, 0) + 1
    seconds = sum(run.seconds or 0 for run in night.runs)
    return NightTotals(night.name, len(by_case), len(night.runs), counts, seconds, night.exit_code,
                       len(night.problems))
