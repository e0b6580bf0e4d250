"""The swim-lane picture of one run as inline SVG: lanes, bars, the resume window, labelled marks, a squeezed axis.

Pure: from a timeline and the restarts' verdicts to text. All colours are CSS classes of the page's template, so that
the picture follows light and dark. Every text is escaped here; nothing else in a picture comes from a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import msgspec

from rrsim.report.phrases import KEY, brief_span
from rrsim.report.scale import Scale, build
from rrsim.report.timeline import Bar, Line, Timeline, Window, cut
from rrsim.scenario.result import RestartResult

WIDTH: Final = 1240
GUTTER: Final = 84
RIGHT: Final = WIDTH - 14
ROW: Final = 15
BAR: Final = 15
MOST_ROWS: Final = 6
LONGEST: Final = 44
CHAR: Final = 5.9
"""Estimated width of a character of the 11 px label font; a little wide on purpose."""
MOST_MARKS: Final = 90

_ACCOUNTS: Final = {
    "order": "at the order", "announcement": "agent announces the restart", "disconnect": "connection lost",
    "continued": "rest of the window before",
}


class Label(msgspec.Struct, frozen=True, gc=False):
    """A text that found its place."""

    x: float
    row: int
    text: str
    full: str
    tone: str
    left: bool
    """Written to the left of its dot, at the right edge."""


class _Rows:
    """Rows of labels in which no two overlap: each label takes the first row that is free around its place."""

    def __init__(self, most: int = MOST_ROWS) -> None:
        self._taken: list[list[tuple[float, float]]] = [[] for _ in range(most)]

    def put(self, start: float, end: float) -> int:
        """Return the row for a text from ``start`` to ``end``, or -1 when all rows are taken there."""
        for number, row in enumerate(self._taken):
            if all(end < a or start > b for a, b in row):
                row.append((start, end))
                return number
        return -1

    @property
    def used(self) -> int:
        """How many rows hold something."""
        return max((n + 1 for n, row in enumerate(self._taken) if row), default=0)


def shorten(text: str, most: int = LONGEST) -> str:
    """Cut a label that is too long for the picture; its whole text is in the tooltip."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def place(lines: Sequence[Line], scale: Scale) -> tuple[list[Label], int]:
    """Find a place for the labels of one lane; those that find none keep a dot without a text. Returns rows used."""
    rows = _Rows()
    labels: list[Label] = []
    for line in lines:
        x = scale.x(line.t_us)
        text = shorten(line.text)
        wide = len(text) * CHAR + 14
        left = x + wide > RIGHT
        span = (x - wide, x + 6) if left else (x - 6, x + wide)
        row = rows.put(*span)
        if row < 0:
            row, text = rows.put(x - 3, x + 3), ""
        labels.append(Label(x, max(row, 0), text, line.text, line.tone, left))
    return labels, max(rows.used, 1)


def _bar_rows(bars: Sequence[Bar]) -> list[tuple[Bar, int]]:
    """Stack bars that overlap in time."""
    ends: list[int] = []
    out = []
    for bar in sorted(bars, key=lambda b: (b.start_us, -b.end_us)):
        row = next((n for n, end in enumerate(ends) if end <= bar.start_us), len(ends))
        if row == len(ends):
            ends.append(0)
        ends[row] = bar.end_us
        out.append((bar, row))
    return out


def _key_lines(timeline: Timeline) -> list[Line]:
    """Choose what gets a mark: key events, thinned out by dropping repeats when there are too many."""
    lines = [x for x in timeline.lines if x.weight >= KEY and x.lane in timeline.lanes]
    merged: list[Line] = []
    last: dict[tuple[str, str], int] = {}
    for line in lines:
        before = last.get((line.lane, line.text))
        if before is not None and line.t_us - before < 1_000_000:
            continue
        last[line.lane, line.text] = line.t_us
        merged.append(line)
    if len(merged) <= MOST_MARKS:
        return merged
    seen: dict[tuple[str, str], int] = {}
    out = []
    for line in merged:
        times = seen[line.lane, line.text] = seen.get((line.lane, line.text), 0) + 1
        if times <= 2 or line.tone in ("good", "bad"):
            out.append(line)
    return out[: MOST_MARKS * 2]


def picture(timeline: Timeline, restarts: Sequence[RestartResult] = (), violations: Sequence[int] = ()) -> str:
    """Draw a run.

    Args:
        timeline: from :func:`rrsim.report.timeline.extract`; drawn up to the winding down.
        restarts: verdicts to write above the lanes.
        violations: history entries at which a check failed; marked by a red line, and always inside the picture.
    """
    points = [x.t_us for x in timeline.lines if x.entry in set(violations)]
    timeline = cut(timeline, min([timeline.start_us, *points]), max([timeline.wind_down_us, *points]))
    marks = _key_lines(timeline)
    start = timeline.start_us
    moments = [start, timeline.end_us, *points, *(x.t_us for x in marks)]
    moments += [t for b in timeline.bars for t in (b.start_us, b.end_us)]
    moments += [t for w in timeline.windows for t in (w.opened_us, w.closed_us, w.deadline_us) if t >= 0]
    scale = build(moments, GUTTER + 10, RIGHT - 8)
    back: list[str] = []
    front: list[str] = []
    head, head_rows = _heads(timeline.windows, restarts, scale)
    top = 8 + head_rows * 19
    y = float(top)
    for number, lane in enumerate(timeline.lanes):
        own = [b for b in timeline.bars if b.lane == lane]
        ground, part, tall = _lane(lane, number, own, [x for x in marks if x.lane == lane], scale, y)
        back.append(ground)
        front.append(part)
        y += tall
    bands = [_band(w, scale, top, y) for w in timeline.windows]
    bad = [_vertical("violation", scale.x(t), top, y) for t in points]
    axis = _axis(timeline, scale, start, y, [x.t_us for x in marks])
    size = f'viewBox="0 0 {WIDTH} {y + 34:.0f}" width="{WIDTH}" height="{y + 34:.0f}"'
    return (
        f'<svg class="lanes" {size} role="img" aria-label="timeline of the run">'
        + "".join([*back, *bands, *front, *bad, *head, axis])
        + "</svg>"
    )


def _lane(
    lane: str, number: int, bars: Sequence[Bar], marks: Sequence[Line], scale: Scale, y: float
) -> tuple[str, str, float]:
    """Draw one lane: its ground (under the resume windows), what stands on it, and its height."""
    stacked = _bar_rows(bars)
    bar_rows = max((row + 1 for _, row in stacked), default=0)
    labels, rows = place(marks, scale)
    tall = 7 + bar_rows * (BAR + 3) + (rows * ROW if marks else 0) + 5
    tall = max(tall, 30)
    ground = f'<rect class="lane{number % 2}" x="0" y="{y:.1f}" width="{WIDTH}" height="{tall:.1f}"/>'
    out = [f'<text class="lane-name" x="10" y="{y + 19:.1f}">{escape(lane)}</text>']
    out += [_bar(bar, scale, y + 6 + row * (BAR + 3)) for bar, row in stacked]
    base = y + 6 + bar_rows * (BAR + 3)
    out += [_label(label, base + label.row * ROW + 10) for label in labels]
    return ground, "".join(out), tall


def _bar(bar: Bar, scale: Scale, y: float) -> str:
    x0, x1 = scale.x(bar.start_us), scale.x(bar.end_us)
    wide = max(x1 - x0, 1.5)
    took = brief_span(bar.end_us - bar.start_us)
    out = (f'<rect class="bar {escape(bar.kind)}" x="{x0:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{BAR}" rx="2">'
           f"<title>{escape(bar.label)}, {took}</title></rect>")
    for text in (f"{bar.label} · {took}", bar.label):
        if len(text) * CHAR + 8 < wide:
            return out + (f'<text class="in {escape(bar.kind)}-in" x="{x0 + 5:.1f}" y="{y + 11.5:.1f}">'
                          f"{escape(text)}</text>")
    return out


def _label(label: Label, y: float) -> str:
    dot = f'<circle class="dot {label.tone}" cx="{label.x:.1f}" cy="{y - 3.5:.1f}" r="3"/>'
    x, anchor = (label.x - 7, ' text-anchor="end"') if label.left else (label.x + 7, "")
    text = f'<text class="mark {label.tone}-text" x="{x:.1f}" y="{y:.1f}"{anchor}>{escape(label.text)}</text>'
    return f"<g><title>{escape(label.full)}</title>{dot}{text if label.text else ''}</g>"


def _vertical(klass: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{klass}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'


def _band(window: Window, scale: Scale, top: float, bottom: float) -> str:
    """Shade a resume window, and lightly what was left of it when it closed."""
    x0 = scale.x(window.opened_us)
    end = window.closed_us if window.closed_us >= 0 else max(window.deadline_us, window.opened_us)
    x1, tall = scale.x(end), bottom - top
    kind = {"resumed": "good", "expired": "bad", "": "warn"}.get(window.closed_by, "warn")
    out = [f'<rect class="window" x="{x0:.1f}" y="{top}" width="{max(x1 - x0, 1):.1f}" height="{tall:.1f}"/>',
           _vertical("edge warn", x0, top, bottom)]
    if window.closed_us >= 0:
        out.append(_vertical(f"edge {kind}", x1, top, bottom))
    if window.deadline_us > end:
        x2 = scale.x(window.deadline_us)
        out.append(f'<rect class="spare" x="{x1:.1f}" y="{top}" width="{max(x2 - x1, 0):.1f}" height="{tall:.1f}"/>')
        out.append(_vertical("edge deadline", x2, top, bottom))
    return "".join(out)


def _heads(
    windows: Sequence[Window], restarts: Sequence[RestartResult], scale: Scale
) -> tuple[list[str], int]:
    """Write above the lanes: where windows open and would expire, and each restart's verdict."""
    wanted: list[tuple[float, str, str, bool]] = []
    for restart in restarts:
        after = f" after {brief_span(restart.decided_us - restart.asked_us)}" if restart.asked_us else ""
        tone = {"resumed": "good", "degraded": "warn", "unknown": "warn"}.get(restart.verdict, "bad")
        wanted.append((scale.x(restart.decided_us), restart.verdict.upper() + after, tone, True))
    for w in windows:
        how = _ACCOUNTS.get(w.opened_by, w.opened_by)
        wanted.append((scale.x(w.opened_us), f"resume window opens: {how}", "warn", False))
        if not restarts and w.closed_us >= 0:
            wanted.append((scale.x(w.closed_us), f"window closes: {w.closed_by}", "info", True))
        if w.deadline_us >= 0 and w.closed_by != "expired":
            limit = brief_span(w.deadline_us - w.opened_us)
            wanted.append((scale.x(w.deadline_us), f"would expire after {limit}", "mute", False))
    rows, out = _Rows(8), []
    for x, text, tone, pill in sorted(wanted):
        wide = len(text) * (7.3 if pill else 6.2) + 14
        left = x + wide > RIGHT
        row = max(rows.put(x - wide if left else x - 4, x if left else x + wide), 0)
        y = 8 + row * 19
        at = x - wide if left else x
        if pill:
            out.append(f'<rect class="pill {tone}" x="{at:.1f}" y="{y}" width="{wide:.1f}" height="16" rx="8"/>')
        klass = "pill-text" if pill else f"head {tone}-text"
        out.append(f'<text class="{klass}" x="{at + 7:.1f}" y="{y + 12}">{escape(text)}</text>')
    return out, rows.used


def _axis(timeline: Timeline, scale: Scale, start: int, y: float, marks: Sequence[int]) -> str:
    """Draw the axis: breaks where it is squeezed, and times at moments that matter, never over each other."""
    out = [f'<line class="axis" x1="{GUTTER}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>']
    rows = _Rows(1)
    first = [start, timeline.end_us, *(t for w in timeline.windows for t in (w.opened_us, w.closed_us, w.deadline_us))]
    for t in [*(t for t in first if t >= 0), *marks]:
        x = scale.x(t)
        text = clock(t - start)
        half = len(text) * 3.2 + 5
        if rows.put(x - half, x + half) == 0:
            out.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{y + 4:.1f}"/>')
            out.append(f'<text class="tick" x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle">{text}</text>')
    for gap in scale.breaks():
        text = brief_span(gap.us)
        if gap.x1 - gap.x0 > len(text) * CHAR + 30:
            x = (gap.x0 + gap.x1) / 2
            out.append(f'<path class="break" d="M{x - 4:.1f} {y + 5:.1f}l3 -10m4 10l3 -10"/>')
            out.append(f'<text class="gap" x="{x:.1f}" y="{y + 28:.1f}" text-anchor="middle">⟵ {text} ⟶</text>')
    return "".join(out)


def clock(us: int) -> str:
    """Write an instant on the axis: ``m:ss``, with tenths while a run is young."""
    if abs(us) < 60_000_000 and us % 1_000_000:
        return f"{us / 1e6:.1f}s"
    seconds = round(us / 1e6)
    return f"{seconds // 60}:{seconds % 60:02d}"
