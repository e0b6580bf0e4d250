"""Lanes, bars, windows and marks from histories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest

from rrsim.machine import observations as seen
from rrsim.protocol import messages as m
from rrsim.protocol import records as r
from rrsim.report import terminal
from rrsim.report.phrases import MASK, brief_span, masked, phrase, span, stamp
from rrsim.report.timeline import around, cut, extract, lane_of, lanes_for, start_of
from rrsim.scenario import actions
from rrsim.scenario.history import History
from rrsim.scenario.result import RunResult
from rrsim.scenario.words import Duration

SECOND = 1_000_000


def test_bars_and_window_of_a_restart(restart_by_hand: History) -> None:
    """Phases follow each other without a gap; the window has opening, closing and deadline."""
    timeline = extract(restart_by_hand)
    pc = [(b.start_us // SECOND, b.end_us // SECOND, b.kind) for b in timeline.bars if b.lane == "PC"]
    assert pc == [(12, 20, "shutdown"), (20, 22, "off"), (22, 65, "firmware"), (65, 80, "desktop")]
    net = [(b.start_us // SECOND, b.end_us // SECOND, b.kind) for b in timeline.bars if b.lane == "network"]
    assert net == [(20, 60, "down"), (60, 80, "up")]
    (window,) = timeline.windows
    assert (window.opened_us, window.closed_us, window.deadline_us) == (10 * SECOND, 70 * SECOND, 610 * SECOND)
    assert window.closed_by == "resumed"
    server = [b.label for b in timeline.bars if b.lane == "server"]
    assert server == ["queued", "arming", "rebooting", "active"]


def test_window_texts(restart_by_hand: History) -> None:
    """A window says how long it took and how much was left."""
    (window,) = extract(restart_by_hand).windows
    text = terminal.window_text(window, 0)
    assert text == (
        "resume window of restart 1: opened 0:10.000 by announcement, closed 1:10.000: resumed after 1m, 9m to spare"
    )
    open_ = msgspec.structs.replace(window, closed_us=-1, closed_by="")
    assert terminal.window_text(open_, 0).endswith("still open at the end")


@pytest.mark.parametrize(
    ("event", "word"),
    [
        (r.SessionExpired(session="s", restart=1), "expired"),
        (r.SessionLost(session="s", reason="x"), "lost"),
        (r.SessionEnded(session="s", by="representative", reason="x"), "ended"),
        (r.RestartUndone(session="s", restart=1, reason="x"), "not restarted"),
        (r.RestartCancelled(session="s", restart=1, by="customer", reason="x"), "cancelled"),
        (r.WindowOffline(session="s", restart=1), "expired"),
    ],
)
def test_every_way_a_window_closes(by_hand: Callable[..., History], event: Any, word: str) -> None:
    """Each of them closes it; nothing later reopens it."""
    history = by_hand(
        (10, "server", r.WindowOpened(session="s", restart=1, reason="disconnect")),
        (20, "server", event),
        (30, "server", r.SessionEnded(session="s", by="server", reason="later")),
    )
    (window,) = extract(history).windows
    assert (window.closed_us, window.closed_by) == (20 * SECOND, word)


def test_continued_window_keeps_the_deadline(by_hand: Callable[..., History]) -> None:
    """Rule 2: a second restart inside the window uses its rest."""
    history = by_hand(
        (10, "server", r.WindowOpened(session="s", restart=1, reason="announcement")),
        (50, "server", r.WindowOpened(session="s", restart=2, reason="continued")),
    )
    first, second = extract(history).windows
    assert first.closed_by == "next restart"
    assert second.deadline_us == first.deadline_us == 610 * SECOND
    assert second.closed_us == -1


def test_windows_are_the_servers_word(by_hand: Callable[..., History]) -> None:
    """The agent's own account opens no window."""
    history = by_hand((10, "agent-1", r.WindowOpened(session="s", restart=1, reason="announcement")))
    assert extract(history).windows == ()


def test_lanes_of_several_customers(by_hand: Callable[..., History]) -> None:
    """Everyone has lanes of their own; rep and server are shared."""
    history = by_hand(
        (5, "pc-2", seen.PhaseBegan(phase="desktop")),
        (6, "customer-2", seen.Clicked(who="customer", window="restart prompt", button="yes")),
        (7, "pc-1", seen.Clicked(who="representative", window="windows restart dialog", button="restart")),
        (9, "pc-1", seen.RunEnded(quiet=True)),
        customers=2,
    )
    timeline = extract(history)
    own = [f"{x} {n}" for n in (1, 2) for x in ("agent", "PC", "network", "customer")]
    assert timeline.lanes == ("rep", "server", *own)
    assert [b.lane for b in timeline.bars if b.kind == "desktop"] == ["PC 2"]
    assert [x.lane for x in timeline.lines if x.tag == "clicked"] == ["customer 2", "rep"]
    assert lanes_for(1) == ("rep", "server", "agent", "PC", "network", "customer")


def test_actions_have_the_lane_of_who_does_them() -> None:
    """Faults belong to the part they hit."""
    wanted = {
        actions.RepRestarts(): "rep",
        actions.CustomerDials(): "customer",
        actions.PowerCut(): "PC",
        actions.CablePulled(): "network",
        actions.DnsFails(): "network",
        actions.ServerRestarts(): "server",
        actions.Wait(): "harness",
    }
    assert {a: lane_of("director", a, 1) for a in wanted} == wanted


def test_every_event_reads_as_words() -> None:
    """No event of any vocabulary is without a phrase, and none shows a Python object."""
    unions = (r.AnyRecord, seen.AnyObservation, m.AgentMessage, m.ServerMessage, m.RepMessage, m.ConsoleMessage,
              actions.AnyAction)
    kinds = [k for union in unions for k in get_args(union)]
    assert len(kinds) > 150
    for kind in kinds:
        said = phrase(_any(kind))
        assert said.text.strip()
        assert not {"<", "{", "Struct("} & set(said.text), said.text


def _any(kind: type) -> Any:
    """Build some instance of a struct by the types of its fields."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.required:
            values[field.name] = _value(field.type)
    return kind(**values)


def _value(hint: Any) -> Any:
    if hint is Duration:
        return Duration(5_000_000)
    for simple in (str, int, bool):
        if hint is simple:
            return simple(1)
    options = get_args(hint)
    if options and isinstance(options[0], str):
        return options[0]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _any(hint)
    return ()


def test_secrets_are_masked() -> None:
    """Rule 5: no phrase and no masked form shows a ticket, a live key or fresh material."""
    secret = "canary-4711"
    events = [
        m.Resume(session="s", ticket=secret, boot="b", safe_mode=False, elevated=True, user="u", desktop="visible"),
        m.Order(order=1, boot_mode="normal", forced=False, ticket=secret),
        m.Reconnect(session="s", live_key=secret, boot="b", restarting=False),
        m.Joined(session="s", live_key=secret, settings=m.AgentSettings()),
        m.StandBy(ticket=secret),
        m.CancelResume(session="s", ticket=secret),
    ]
    for event in events:
        assert secret not in phrase(event).text
        assert secret not in repr(masked(event))
        assert MASK in repr(masked(event))


def test_around_follows_causes_and_marks_the_centre(by_hand: Callable[..., History]) -> None:
    """What led to a violation is shown, however long ago."""
    history = by_hand((1, "pc-1", seen.RestartBegan(cause="agent", by="agent", forced=False)))
    for second in range(2, 60):
        history.append(second * SECOND, "pc-1", seen.PhaseBegan(phase="services"))
    last = history.append(60 * SECOND, "server", r.SessionLost(session="s", reason="x"), cause=2)
    shown = [x.entry for x in around(history, last, before=5)]
    assert shown == [2, *range(last - 5, last), last]
    assert around(History(history.header), 3) == ()


def test_around_nothing_in_particular_is_the_end_of_the_scenario(resumed: RunResult) -> None:
    """Without an entry the winding down is not what matters."""
    assert resumed.history is not None
    lines = around(resumed.history, -1)
    assert "all faults taken back" in " ".join(x.text for x in lines)
    assert "end of the run" not in " ".join(x.text for x in lines)


def test_cut_and_start(resumed: RunResult) -> None:
    """The picture's part: from the first step until the harness winds down."""
    assert resumed.history is not None
    timeline = extract(resumed.history)
    part = cut(timeline, timeline.start_us, timeline.wind_down_us)
    assert timeline.start_us == start_of(resumed.history) > 0
    assert all(timeline.start_us <= b.start_us <= b.end_us <= timeline.wind_down_us for b in part.bars)
    assert part.lines[0].t_us >= timeline.start_us
    assert part.lines[-1].t_us <= timeline.wind_down_us < timeline.end_us


def test_any_prefix_has_a_timeline(resumed: RunResult) -> None:
    """A run that was cut short can be drawn too."""
    assert resumed.history is not None
    for count in range(0, len(resumed.history), 7):
        timeline = extract(History(resumed.history.header, resumed.history.entries[:count]))
        assert len(timeline.lines) == count


@pytest.mark.parametrize(
    ("us", "long", "short", "point"),
    [
        (0, "0ms", "0ms", "0:00.000"),
        (250_000, "250ms", "200ms", "0:00.250"),
        (42_500_000, "42.5s", "42s", "0:42.500"),
        (599_999_000, "9m 59.999s", "10m", "9:59.999"),
        (600_000_000, "10m", "10m", "10:00.000"),
        (3_720_000_000, "1h 02m", "1h 02m", "62:00.000"),
        (-1_500_000, "-1.5s", "-1.5s", "-0:01.500"),
    ],
)
def test_times_in_words(us: int, long: str, short: str, point: str) -> None:
    """Spans and instants as people write them; nothing is rounded in the long form."""
    assert (span(us), brief_span(us), stamp(us)) == (long, short, point)
