"""The telephone line: the stages of a call, how they end, and what is told of it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rrsim.backends.live.dialup import exchange as x
from rrsim.backends.live.dialup import modem as m
from rrsim.backends.live.dialup.modem import SetTimer

DRAWN_US = {"dial call": 8_000_000, "dial training": 16_000_000, "dial busy": 7_000_000, "dial no tone": 3_000_000}


class Wire:
    """An exchange whose timers fire one after the other, by hand; keeps what was seen and how long it took."""

    def __init__(self, scale: float = 1.0) -> None:
        self.exchange = x.Exchange(DRAWN_US.__getitem__, scale=scale)
        self.timers: dict[str, int] = {}
        self.effects: list[x.Effect] = []
        self.lasted_us = 0

    def take(self, effects: list[x.Effect]) -> list[x.Effect]:
        for effect in effects:
            if isinstance(effect, SetTimer):
                self.timers[effect.name] = effect.after_us
            elif isinstance(effect, m.CancelTimer):
                self.timers.pop(effect.name, None)
        self.effects += effects
        return effects

    def dial(self, **more: int) -> None:
        self.take(self.exchange.dial(m.Dial("5551234", **more)))

    def fire(self, name: str = x.CALL) -> list[x.Effect]:
        self.lasted_us += self.timers.pop(name)
        return self.take(self.exchange.timer(name))

    def until(self, stage: x.Stage) -> None:
        for _ in range(10):
            if self.exchange.stage == stage:
                return
            self.fire()
        raise AssertionError(f"never {stage}: {self.exchange.stage}")

    @property
    def phases(self) -> list[str]:
        return [effect.what.phase for effect in self.effects if isinstance(effect, x.Saw)]

    @property
    def to_modem(self) -> list[m.Input]:
        return [effect.event for effect in self.effects if isinstance(effect, x.ToModem)]

    @property
    def told(self) -> list[x.Told]:
        return [effect.what for effect in self.effects if isinstance(effect, x.Tell)]


def online() -> Wire:
    wire = Wire()
    wire.dial()
    wire.until("carrier")
    wire.take(wire.exchange.network_up("10.0.2.15"))
    assert wire.exchange.stage == "network"
    return wire


def test_a_call_that_works_takes_exactly_the_named_durations() -> None:
    wire = online()
    assert wire.lasted_us == DRAWN_US["dial call"] + DRAWN_US["dial training"]
    assert wire.phases == ["dialling", "training", "ppp", "connected"]
    assert wire.to_modem == [m.Ringback(), m.PickedUp(), m.Carrier(56_000)]
    assert wire.told == [x.Dialled("5551234"), x.Connected(x.Rates()), x.NetworkUp("10.0.2.15")]
    assert not wire.timers


def test_pauses_and_second_tones_lengthen_it() -> None:
    wire = Wire(scale=2)
    wire.dial(pause_us=4_000_000, second_tones=1)
    wire.until("carrier")
    assert wire.lasted_us == 8_000_000 + 16_000_000 + 2_000_000 + 2_000_000


@pytest.mark.parametrize(("line", "heard", "phase", "why", "lasted_us"), [
    ("busy", "BUSY", "busy", "busy", 7_000_000),
    ("dead", "NO DIALTONE", "no dial tone", "no dial tone", 3_000_000),
    ("no answer", "NO ANSWER", "no carrier", "no answer", 3_600_000 + 60_000_000),
    ("no carrier", "NO CARRIER", "no carrier", "no carrier", 24_000_000),
])
def test_calls_that_come_to_nothing(line: x.Line, heard: str, phase: str, why: str, lasted_us: int) -> None:
    wire = Wire()
    wire.take(wire.exchange.becomes(line))
    wire.dial()
    wire.until("idle")
    assert wire.to_modem[-1] == m.Failed(heard)  # type: ignore[arg-type] -- the table has only results
    assert (wire.phases[-1], wire.told[-1]) == (phase, x.Ended(why))  # type: ignore[arg-type] -- the same
    assert wire.lasted_us == lasted_us
    assert not wire.timers
    assert not any(isinstance(effect, x.OpenCall) for effect in wire.effects)
    wire.take(wire.exchange.becomes("works"))
    wire.dial()
    wire.until("carrier")


def test_the_line_becomes_busy_while_it_is_dialled() -> None:
    wire = Wire()
    wire.dial()
    wire.take(wire.exchange.becomes("busy"))
    wire.until("idle")
    assert wire.phases == ["dialling", "busy"]
    late = online()
    late.take(late.exchange.becomes("busy"))
    assert late.exchange.stage == "network"


@pytest.mark.parametrize("stage", ["dial tone", "dialling", "ringing", "training"])
@pytest.mark.parametrize("dies", [True, False])
def test_a_call_that_is_being_made_loses_its_line(stage: x.Stage, dies: bool) -> None:
    wire = Wire()
    wire.dial()
    wire.until(stage)
    wire.take(wire.exchange.becomes("dead") if dies else wire.exchange.carrier_lost())
    assert wire.phases[-1] == "no carrier"
    assert wire.to_modem[-1] == m.Failed("NO CARRIER")
    assert not wire.timers


def test_a_call_is_cut() -> None:
    wire = online()
    wire.take(wire.exchange.carrier_lost())
    assert wire.phases[-1] == "dropped"
    assert wire.effects[-1] == x.ToModem(m.LineCut())
    assert x.CloseCall() in wire.effects
    assert wire.told[-1] == x.Ended("the line was cut")
    early = Wire()
    early.dial()
    early.until("carrier")
    early.take(early.exchange.carrier_lost())
    assert early.phases[-1] == "no carrier"


def test_either_end_hangs_up() -> None:
    caller = online()
    caller.take(caller.exchange.hung_up())
    assert (caller.phases[-1], caller.told[-1]) == ("dropped", x.Ended("the caller hung up"))
    assert caller.to_modem[-1] == m.Carrier(56_000)
    provider = online()
    provider.take(provider.exchange.provider_hung_up())
    assert (provider.phases[-1], provider.told[-1]) == ("dropped", x.Ended("the provider hung up"))
    assert provider.to_modem[-1] == m.FarEndHungUp()
    assert Wire().exchange.hung_up() == []


def test_the_machine_goes_down_and_nobody_reads_a_status() -> None:
    wire = online()
    wire.take(wire.exchange.machine_down(said=False))
    assert wire.phases[-1] == "connected"
    assert wire.told[-1] == x.Ended("the machine went down")
    assert wire.to_modem[-1] == m.PowerLost()
    seen = online()
    seen.take(seen.exchange.machine_down(said=True))
    assert seen.phases[-1] == "dropped"


def test_planned_drops_are_for_one_call() -> None:
    wire = Wire()
    wire.take(wire.exchange.plan(x.Drop(after_us=5_000_000)))
    wire.dial()
    wire.until("carrier")
    assert wire.timers == {x.DROP: 5_000_000}
    wire.fire(x.DROP)
    assert wire.told[-1] == x.Ended("the line was cut")
    wire.dial()
    wire.until("carrier")
    assert not wire.timers

    wire.take(wire.exchange.plan(x.Drop(after_bytes=1_000)))
    assert wire.take(wire.exchange.passed(999)) == []
    assert x.CloseCall() in wire.take(wire.exchange.passed(1))
    wire.dial()
    wire.until("carrier")
    assert wire.take(wire.exchange.passed(10_000)) == []

    wire.take(wire.exchange.plan(x.Drop(after_us=1)))
    wire.take(wire.exchange.plan(None))
    assert not wire.timers


def test_somebody_calls() -> None:
    wire = Wire()
    for _ in range(x.MOST_RINGS):
        wire.take(wire.exchange.rings()) if not wire.timers else wire.fire(x.RING)
    assert wire.to_modem == [m.RingsIn()] * x.MOST_RINGS
    wire.fire(x.RING)
    assert wire.to_modem[-1] == m.RingsNoMore()
    assert not wire.timers
    wire.take(wire.exchange.rings())
    wire.take(wire.exchange.answer())
    wire.until("carrier")
    assert wire.exchange.rings() == []
    late = Wire()
    late.take(late.exchange.answer())
    assert late.to_modem == [m.Failed("NO CARRIER")]


MOVES = st.sampled_from([
    "dial", "call", "drop", "ring", "answer", "rings", "hung up", "machine", "cut", "provider", "network", "bytes",
    "plan", "works", "busy", "dead", "no answer", "no carrier",
])


@settings(max_examples=300, deadline=None)
@given(st.lists(MOVES, max_size=40))
@example(["rings", "answer", "call", "network"])
def test_calls_are_opened_and_closed_in_turn(moves: list[str]) -> None:
    wire = Wire()
    do = wire.exchange
    is_open = False
    for move in moves:
        match move:
            case "dial":
                effects = do.dial(m.Dial("1")) if do.stage == "idle" else []
            case "call" | "drop" | "ring":
                wire.timers.pop(move, None)  # one that fired runs no more
                effects = do.timer(move)
            case "answer":
                effects = do.answer() if do.stage == "idle" else []
            case "rings":
                effects = do.rings()
            case "hung up":
                effects = do.hung_up()
            case "machine":
                effects = do.machine_down(said=True)
            case "cut":
                effects = do.carrier_lost()
            case "provider":
                effects = do.provider_hung_up()
            case "network":
                effects = do.network_up("10.0.2.15")
            case "bytes":
                effects = do.passed(600)
            case "plan":
                effects = do.plan(x.Drop(after_us=1, after_bytes=1_000))
            case _:
                effects = do.becomes(move)  # type: ignore[arg-type] -- the rest of the moves are lines
        for effect in wire.take(effects):
            if isinstance(effect, x.OpenCall):
                assert not is_open
                is_open = True
            elif isinstance(effect, x.CloseCall):
                assert is_open
                is_open = False
        assert is_open == (do.stage in ("carrier", "network"))
        assert not (x.CALL in wire.timers and do.stage in ("idle", "network"))
