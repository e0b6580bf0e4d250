"""One self-contained HTML file about many runs: summary, failures by cause, requirement matrix, a picture of each run.

Nothing outside is loaded (a content security policy says so), text is escaped by Jinja2, and the page follows the
reader's light or dark setting. With many runs the pictures are kept for those that did not pass and for the first so
many that did; the rest are lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import jinja2
import msgspec
from markupsafe import Markup

from rrsim import __version__
from rrsim.report.grouping import OUTCOMES, Group, counts, grouped, left_behind, skipped, stand_ins
from rrsim.report.matrix import Row, coverage
from rrsim.report.phrases import PLAIN, brief_span, span, stamp
from rrsim.report.reproduce import command_for, show_command
from rrsim.report.svg import picture
from rrsim.report.terminal import window_text
from rrsim.report.timeline import Timeline, extract
from rrsim.scenario.result import RunResult

DETAILS: Final = 60
"""How many passed runs are drawn unless asked otherwise."""
FAILED_DETAILS: Final = 150
"""How many runs that did not pass are drawn at most."""
MOST_EVENTS: Final = 400

_TONE: Final = {
    "passed": "good", "failed": "bad", "known": "warn", "unknown": "warn", "skipped": "mute", "error": "bad",
}
_VERDICT: Final = {"resumed": "good", "degraded": "warn", "unknown": "warn"}


class Card(msgspec.Struct, gc=False):
    """One run as the page shows it."""

    anchor: str
    result: RunResult
    tone: str
    open: bool
    picture: Markup = Markup("")
    windows: tuple[str, ...] = ()
    events: tuple[tuple[str, str, str, str, bool], ...] = ()
    """(time, lane, text, tone, whether a check failed there)."""
    again: str = ""
    show: str = ""


class Page(msgspec.Struct, gc=False):
    """What the template gets."""

    title: str
    made: str
    version: str
    about: tuple[str, ...]
    tiles: tuple[tuple[str, str, str], ...]
    share: tuple[tuple[str, float], ...]
    groups: list[Group]
    skipped: list[tuple[str, tuple[RunResult, ...]]]
    stand_ins: tuple[str, ...]
    left_behind: tuple[str, ...]
    rows: list[Row]
    areas: list[tuple[str, list[Card]]]
    problems: tuple[str, ...]
    anchors: dict[str, str]
    left_out: int


def html(
    results: Sequence[RunResult],
    problems: Sequence[Any] = (),
    *,
    made: str = "",
    details: int = DETAILS,
    options: Sequence[str] = (),
) -> str:
    """Return the page.

    Args:
        results: what ran, in order.
        problems: scenario files that could not be used.
        made: when, for the heading; empty leaves it out, which makes the page reproducible.
        details: how many passed runs to draw.
        options: what was special about this run, for the heading.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rrsim.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(span=span, brief=brief_span, verdict_tone=lambda v: _VERDICT.get(v, "bad"))
    environment.filters["tone"] = lambda outcome: _TONE[outcome]
    page = build(results, problems, made=made, details=details, options=options)
    return environment.get_template("report.html.j2").render(page=page)


def build(
    results: Sequence[RunResult], problems: Sequence[Any], *, made: str, details: int, options: Sequence[str]
) -> Page:
    """Collect what the page shows; the template only lays it out."""
    cards, left_out = _cards(results, details)
    areas: dict[str, list[Card]] = {}
    for card in cards:
        areas.setdefault(card.result.scenario.area or "scenarios", []).append(card)
    rows = coverage(results)
    numbers = counts(results)
    seeds = sorted({r.seed for r in results})
    about = [f"backend {', '.join(sorted({r.backend for r in results}))}"] if results else []
    about += [f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"] if seeds else []
    order = sorted(areas.items(), key=lambda a: (-sum(c.open for c in a[1]), a[0]))
    return Page(
        title="Reboot and Reconnect: what came of it",
        made=made,
        version=__version__,
        about=(*about, *options),
        tiles=_tiles(results, rows, problems),
        share=tuple((o, 100 * numbers[o] / len(results)) for o in OUTCOMES if numbers[o]),
        groups=grouped(results),
        skipped=skipped(results),
        stand_ins=stand_ins(results),
        left_behind=left_behind(results),
        rows=rows,
        areas=order,
        problems=tuple(str(p) for p in problems),
        anchors={_key(c.result): c.anchor for c in cards},
        left_out=left_out,
    )


def _key(result: RunResult) -> str:
    return f"{result.scenario.id} {result.backend} {result.seed}"


def _tiles(
    results: Sequence[RunResult], rows: Sequence[Row], problems: Sequence[Any]
) -> tuple[tuple[str, str, str], ...]:
    """Return the summary tiles: number, caption, tone."""
    numbers = counts(results)
    done = sum(row.state == "passed" for row in rows if row.id.startswith("R"))
    of = sum(row.id.startswith("R") for row in rows)
    tiles = [(str(len(results)), "runs", "")]
    tiles += [(str(numbers[o]), o, _TONE[o]) for o in OUTCOMES if numbers[o] or o in ("passed", "failed")]
    tiles += [(str(len(problems)), "bad files", "bad")] if problems else []
    tiles.append((f"{done}/{of}", "requirements proved", "good" if done == of else "warn"))
    virtual, wall = sum(r.virtual_us for r in results), sum(r.wall_us for r in results)
    took = brief_span(wall) if wall > 50_000 else "less than 50ms"  # what is brief would be rounded to nothing
    tiles.append((brief_span(virtual), f"of PC time, in {took}", ""))
    return tuple((n, c, t if n != "0" else "mute") for n, c, t in tiles)


def _cards(results: Sequence[RunResult], details: int) -> tuple[list[Card], int]:
    """Make a card of every run; only some carry a picture. Returns how many pictures were left out."""
    passed, failed, left_out = details, FAILED_DETAILS, 0
    cards = []
    for number, result in enumerate(results, 1):
        bad = result.outcome not in ("passed", "skipped")
        draw = result.history is not None and (failed > 0 if bad else passed > 0)
        if result.history is not None or result.outcome == "passed":
            left_out += not draw
        if draw and bad:
            failed -= 1
        elif draw:
            passed -= 1
        cards.append(_card(f"run-{number}", result, draw))
    return cards, left_out


def _card(anchor: str, result: RunResult, draw: bool) -> Card:
    bad = result.outcome in ("failed", "unknown", "error")
    card = Card(anchor, result, _TONE[result.outcome], bad)
    card.again = command_for(result)
    card.show = show_command(result.scenario, result.seed)
    if draw and result.history is not None:
        timeline = extract(result.history)
        violations = [c.entry for c in result.checks if c.outcome == "failed" and c.entry >= 0]
        card.picture = Markup(picture(timeline, result.restarts, violations))  # noqa: S704 - svg escapes every text
        start = timeline.start_us
        several = result.scenario.given.customers > 1
        card.windows = tuple(window_text(w, start, several) for w in timeline.windows)
        card.events = _events(timeline, start, set(violations))
    return card


def _events(timeline: Timeline, start: int, violations: set[int]) -> tuple[tuple[str, str, str, str, bool], ...]:
    """Return the lines of the event list, without the small ones."""
    lines = [x for x in timeline.lines if x.weight >= PLAIN or x.entry in violations]
    return tuple((stamp(x.t_us - start), x.lane, x.text, x.tone, x.entry in violations) for x in lines[:MOST_EVENTS])
