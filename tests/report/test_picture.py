"""The swim-lane picture: valid, escaped, bounded, and without labels over each other."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from rrsim.machine import observations as seen
from rrsim.report.scale import build
from rrsim.report.svg import GUTTER, RIGHT, picture, place
from rrsim.report.timeline import Line, extract
from rrsim.scenario.history import History
from rrsim.scenario.result import RunResult

TIMES = st.lists(st.integers(0, 3_600_000_000), min_size=1, max_size=60)


@given(TIMES)
def test_scale_is_monotone_and_inside(times: list[int]) -> None:
    """Later is never further left, and different moments never share a place."""
    scale = build(times, 10, 1000)
    ordered = sorted(set(times))
    places = [scale.x(t) for t in ordered]
    assert all(a < b for a, b in itertools.pairwise(places))
    assert all(9.999 <= x <= 1000.001 for x in places)
    assert scale.x(-1) == 10
    assert scale.x(ordered[-1] + 10**9) >= places[-1]


def test_idle_stretches_are_squeezed_and_marked() -> None:
    """Ten silent minutes take little more room than a few busy seconds, and the axis says so."""
    second = 1_000_000
    scale = build([0, second, 2 * second, 3 * second, 603 * second], 0, 100)
    busy, idle = scale.x(3 * second), 100 - scale.x(3 * second)
    assert idle < 8 * busy
    (gap,) = scale.breaks()
    assert gap.us == 600 * second


@given(st.lists(st.tuples(st.integers(0, 600_000_000), st.text(min_size=1, max_size=60)), min_size=1, max_size=50))
def test_labels_never_overlap(marks: list[tuple[int, str]]) -> None:
    """Two texts in one row never share a place; a text that finds none leaves only its dot."""
    lines = [Line(n, t, "PC", "pc-1", text, 3, "info", "x") for n, (t, text) in enumerate(sorted(marks))]
    scale = build([t for t, _ in marks], GUTTER, RIGHT)
    labels, rows = place(lines, scale)
    assert len(labels) == len(lines)
    taken: list[tuple[int, float, float]] = []
    for label in (x for x in labels if x.text):
        wide = len(label.text) * 5.9
        start, end = (label.x - wide, label.x) if label.left else (label.x, label.x + wide)
        assert all(row != label.row or end < a or start > b for row, a, b in taken)
        taken.append((label.row, start, end))
        assert label.row < rows
        assert end <= RIGHT + 1


def _texts(svg: str) -> str:
    return " ".join(t.text or "" for t in ET.fromstring(svg).iter("text"))


def test_resumed_and_expired_can_be_told_apart(resumed: RunResult, expired: RunResult) -> None:
    """Verdict, window and the time to spare are in the picture; the edges have the right colour."""
    good, bad = (picture(extract(x.history), x.restarts) for x in (resumed, expired) if x.history is not None)
    assert "RESUMED after" in _texts(good)
    assert "would expire after 10m" in _texts(good)
    assert 'class="edge good"' in good
    assert 'class="spare"' in good
    assert "EXPIRED after 10m" in _texts(bad)
    assert 'class="edge bad"' in bad
    assert 'class="spare"' not in bad
    for lane in ("rep", "server", "agent", "PC", "network", "customer"):
        assert re.search(rf"\b{lane}\b", _texts(good))


def test_texts_are_escaped(by_hand: Callable[..., History]) -> None:
    """What a run says cannot become markup."""
    evil = "<script>alert('x')</script>&\""
    history = by_hand(
        (1, "pc-1", seen.MachineTampered(what=evil)),
        (2, "pc-1", seen.WindowShown(window="restart prompt", text=evil)),
        (3, "net-1", seen.LinkChanged(up=True, kind=evil)),
        (9, "pc-1", seen.RunEnded(quiet=True)),
    )
    svg = picture(extract(history))
    assert "<script" not in svg
    assert "<script>" in _texts(svg)


def test_violation_is_inside_the_picture(resumed: RunResult) -> None:
    """A check that fails during the winding down extends the picture to that point."""
    assert resumed.history is not None
    timeline = extract(resumed.history)
    last = len(resumed.history) - 1
    plain, marked = picture(timeline, resumed.restarts), picture(timeline, resumed.restarts, [last])
    assert 'class="violation"' not in plain
    assert 'class="violation"' in marked


def test_empty_history_draws(by_hand: Callable[..., History]) -> None:
    """Nothing to draw is a picture too."""
    ET.fromstring(picture(extract(History(by_hand().header))))
