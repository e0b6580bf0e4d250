"""The kept nights as lines for a person, and as plain data. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from rrsim.nightly.history import NightTotals, Story
from rrsim.nightly.outcomes import MARKS, Problem

LEGEND: Final = "  ".join(f"{mark} {status}" for status, mark in MARKS.items() if mark.strip())


def seconds(value: float | None) -> str:
    """Return a duration as a person reads it."""
    if value is None:
        return "-"
    if value < 0.001:
        return f"{value * 1e6:.0f} us"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def trend_text(trend: float | None) -> str:
    """Return a trend in words; empty without one."""
    if trend is None:
        return ""
    return f"slower: {trend:.1f} times" if trend > 1 else f"faster: {1 / trend:.1f} times"


def nights_table(nights: Sequence[NightTotals]) -> list[str]:
    """Return a line for each night."""
    width = max((len(night.name) for night in nights), default=5)
    head = (f"{'night':<{width}}  {'cases':>6} {'runs':>7} {'passed':>7} {'failed':>7} {'flaky':>6} {'error':>6} "
            f"{'unknown':>7} {'known':>6} {'skipped':>7}  {'time':>9}  code")
    lines = [head]
    for night in nights:
        count = night.statuses
        code = "-" if night.exit_code is None else str(night.exit_code)
        lines.append(
            f"{night.name:<{width}}  {night.cases:>6} {night.runs:>7} {count.get('passed', 0):>7} "
            f"{count.get('failed', 0):>7} {count.get('flaky', 0):>6} {count.get('error', 0):>6} "
            f"{count.get('unknown', 0):>7} {count.get('known', 0):>6} {count.get('skipped', 0):>7}  "
            f"{seconds(night.seconds):>9}  {code}"
            + (f"  ({night.problems} places could not be read)" if night.problems else "")
        )
    return lines


def story_line(story: Story, marks: int) -> str:
    """Return two lines about one case: its nights and its name, then its figures."""
    figures = [f"{story.runs} runs", f"{story.failures} failures", f"{story.flaky_nights} flaky nights",
               f"median {seconds(story.median_s)}"]
    figures += [f"worst {seconds(story.worst_s)} ({story.worst_night})"] if story.worst_night else []
    figures += [trend_text(story.trend)] if story.trend is not None else []
    figures += [f"first failed {story.first_failed}"] if story.first_failed else []
    figures += [f"failing since {story.failing_since}"] if story.failing_since else []
    width = min(marks, len(story.statuses))
    return f"{story.marks(marks)}  {story.backend:<7} {story.case}\n{'':{width}}  {'; '.join(figures)}"


def report(
    nights: Sequence[NightTotals], stories: Sequence[Story], slow: Sequence[Story], *, marks: int, every: bool
) -> str:
    """Return the whole report.

    Args:
        marks: how many nights of each case are shown.
        every: name all cases, not only those that are worth a look.
    """
    shown = [story for story in stories if every or story.worth_a_look]
    lines = nights_table(nights)
    title = "all cases" if every else "cases that failed, wavered or became slower"
    lines += ["", f"{title}: {len(shown)} of {len(stories)}   {LEGEND}"]
    lines += [story_line(story, marks) for story in shown]
    if slow:
        lines += ["", "slowest cases, by their median:"]
        lines += [f"  {seconds(one.median_s):>9}  worst {seconds(one.worst_s):>9}  {one.backend:<7} {one.case}"
                  + (f"  {trend_text(one.trend)}" if one.trend else "") for one in slow]
    return "\n".join(lines)


def plain(
    nights: Sequence[NightTotals], stories: Sequence[Story], problems: Sequence[Problem], marks: int
) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        "nights": msgspec.to_builtins(list(nights)),
        "cases": [{**msgspec.to_builtins(one), "marks": one.marks(marks), "now": one.now} for one in stories],
        "problems": msgspec.to_builtins(list(problems)),
    }
