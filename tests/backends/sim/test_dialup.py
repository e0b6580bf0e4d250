"""The dial-up call: phases in order, every way to fail, durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrsim.backends.sim import dialup
from rrsim.backends.sim.dialup import CONNECTED, DRAWS, IDLE, Call, CallEffect, Line
from rrsim.backends.sim.parts import After, Forget, Saw
from rrsim.machine.observations import DialProgress


def said(effects: tuple[CallEffect, ...]) -> list[str]:
    return [e.what.phase for e in effects if isinstance(e, Saw) and isinstance(e.what, DialProgress)]


def draws(effects: tuple[CallEffect, ...]) -> list[str]:
    return [e.draw for e in effects if isinstance(e, After)]


def test_a_call_goes_through_its_phases_in_order() -> None:
    call, effects = dialup.dial(IDLE, "works")
    words, waits = said(effects), draws(effects)
    while call != CONNECTED:
        call, effects = dialup.fired(call, "works")
        words += said(effects)
        waits += draws(effects)
    assert words == ["dialling", "training", "ppp", "connected"]
    assert waits == ["dial call", "dial training", "dial ppp"]


def test_from_off_hook_to_ppp_takes_25_to_30_s() -> None:
    parts = [DRAWS[name] for name in ("dial call", "dial training", "dial ppp")]
    assert (sum(lo for lo, _ in parts), sum(hi for _, hi in parts)) == (25_000_000, 30_000_000)


@pytest.mark.parametrize(("line", "end"), [("busy", "busy"), ("dead", "no dial tone")])
def test_a_bad_line_is_found_out_after_a_while(line: Line, end: str) -> None:
    call, effects = dialup.dial(IDLE, line)
    assert said(effects) == ["dialling"]
    assert len(draws(effects)) == 1
    call, effects = dialup.fired(call, "works")
    assert (call, said(effects)) == (IDLE, [end])


def test_a_line_that_becomes_engaged_while_dialling_is_busy() -> None:
    call, _ = dialup.dial(IDLE, "works")
    call, effects = dialup.fired(call, "busy")
    assert (call, said(effects)) == (IDLE, ["busy"])


@pytest.mark.parametrize("phase", ["dialling", "training", "ppp"])
def test_a_call_that_breaks_early_ends_in_no_carrier(phase: dialup.CallPhase) -> None:
    call, effects = dialup.carrier_lost(Call(phase))
    assert (call, said(effects)) == (IDLE, ["no carrier"])
    assert Forget("call") in effects


def test_a_call_that_breaks_later_is_dropped() -> None:
    assert dialup.carrier_lost(CONNECTED) == (IDLE, (Saw(DialProgress("dropped")),))


def test_hanging_up_ends_a_call_in_every_phase() -> None:
    assert dialup.hang_up(IDLE) == (IDLE, ())
    call, effects = dialup.hang_up(Call("training"))
    assert call == IDLE
    assert set(effects) == {Forget("call"), Saw(DialProgress("dropped"))}
    assert dialup.hang_up(CONNECTED, said=False) == (IDLE, ())


def test_dialling_twice_is_one_call() -> None:
    call, _ = dialup.dial(IDLE, "works")
    assert dialup.dial(call, "works") == (call, ())
    assert dialup.dial(CONNECTED, "works") == (CONNECTED, ())


EVENTS = st.tuples(
    st.sampled_from(["dial", "fired", "lost", "hang up"]), st.sampled_from(["works", "busy", "dead"])
)


def take(call: Call, what: str, line: Line) -> tuple[Call, tuple[CallEffect, ...]]:
    match what:
        case "dial":
            return dialup.dial(call, line)
        case "fired":
            return dialup.fired(call, line)
        case "lost":
            return dialup.carrier_lost(call)
        case _:
            return dialup.hang_up(call)


@given(st.lists(EVENTS))
def test_any_order_of_events_keeps_one_call_with_one_timer(events: list[tuple[str, Line]]) -> None:
    call, running = IDLE, False
    for what, line in events:
        if what == "fired":
            if not running:
                continue
            running = False
        call, effects = take(call, what, line)
        for effect in effects:
            assert isinstance(effect, Saw) or effect.name == "call"
            running = isinstance(effect, After) or (running and not isinstance(effect, Forget))
        # A call on its way waits for its timer, one at rest does not: nothing hangs, nothing fires late.
        assert running == (call.phase not in ("idle", "connected"))
