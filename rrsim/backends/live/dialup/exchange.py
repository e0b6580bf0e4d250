"""The telephone line between two modems, as a pure state machine: tones, ringing, training, and what goes wrong.

It owns the stages of a call and how long they take; :mod:`.modem` owns what the guest is told. The words in the history
are the simulator's (``rrsim.machine.observations.DialProgress``), the named durations too: ``dial call`` is everything
from the dial tone to the answer, ``dial training`` what follows, ``dial busy`` and ``dial no tone`` how long it takes
to find that out. PPP takes as long as it really takes.

Rules:

* What the line is like counts when it matters: dead at the dial tone, busy or unanswered when the number is dialled,
  no carrier when training ends. A line that dies under a call ends it at once.
* A call that ends before PPP is up has seen ``no carrier``, a later one was ``dropped``; a caller who hangs up has
  always ``dropped`` it.
* Telephones that nobody answers have no word of their own in a history: ``no carrier``.
* A planned drop (:class:`Drop`) counts from the carrier, and is for one call only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from rrsim.backends.live.dialup import modem
from rrsim.backends.live.dialup.modem import CancelTimer, SetTimer
from rrsim.machine.observations import DialProgress
from rrsim.scenario.linkdraws import LINE_RATE_BPS, LINE_RATE_DOWN_BPS

Line = Literal["works", "busy", "dead", "no answer", "no carrier"]
Stage = Literal["idle", "dial tone", "engaged", "no tone", "dialling", "ringing", "training", "carrier", "network"]
WhyEnded = Literal[
    "the caller hung up", "the line was cut", "the provider hung up", "the machine went down", "busy", "no dial tone",
    "no answer", "no carrier",
]

CALL, DROP, RING = "call", "drop", "ring"
"""Its timers."""
TONE_SHARE, DIAL_SHARE = 0.25, 0.2
"""How much of ``dial call`` is waiting for the tone and dialling; the rest rings."""
RING_US: Final = 6_000_000
"""One ring and the silence after it."""
MOST_RINGS: Final = 10


class Rates(msgspec.Struct, frozen=True):
    """Bits per second that cross the line; 0 for no limit. The defaults are a V.90 modem's."""

    up_bps: float = LINE_RATE_BPS
    down_bps: float = LINE_RATE_DOWN_BPS
    told_bps: int = 0
    """What CONNECT says; 0: the rate towards the machine, a V.90 modem's if there is no limit."""

    @property
    def connect_bps(self) -> int:
        """The rate that CONNECT says."""
        return self.told_bps or round(self.down_bps) or LINE_RATE_DOWN_BPS


class Drop(msgspec.Struct, frozen=True):
    """Cut the next call (or this one, if there is a carrier) after so long, or so many bytes of both ways."""

    after_us: int | None = None
    after_bytes: int | None = None


# --- what is told ------------------------------------------------------------------------------------------------


class Dialled(msgspec.Struct, frozen=True, tag="dialled"):
    """The modem took the line and dials."""

    number: str


class Connected(msgspec.Struct, frozen=True, tag="connected"):
    """The modems hear each other."""

    rates: Rates


class NetworkUp(msgspec.Struct, frozen=True, tag="network up"):
    """PPP agreed on addresses."""

    address: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The call is over, or came to nothing."""

    why: WhyEnded


Told = Dialled | Connected | NetworkUp | Ended

# --- effects -----------------------------------------------------------------------------------------------------


class ToModem(msgspec.Struct, frozen=True):
    """Deliver an input to the modem."""

    event: modem.Input


class OpenCall(msgspec.Struct, frozen=True):
    """The provider answers; bytes pass from now on."""


class CloseCall(msgspec.Struct, frozen=True):
    """No byte passes any more; the provider's part of the call is over."""


class Saw(msgspec.Struct, frozen=True):
    """Put an observation into the history."""

    what: DialProgress


class Tell(msgspec.Struct, frozen=True):
    """Tell what happened in a call's own words."""

    what: Told


Effect = ToModem | OpenCall | CloseCall | Saw | Tell | SetTimer | CancelTimer


class Exchange:
    """One subscriber's line. It begins on hook and working."""

    def __init__(self, draw_us: Callable[[str], int], *, scale: float = 1.0, rates: Rates | None = None) -> None:
        """``draw_us`` gives a named duration in microseconds, scaled already; ``scale`` divides what is fixed here,
        and the pauses of a number."""
        self._draw_us = draw_us
        self._scale = scale
        self.rates = rates or Rates()
        """For the next carrier."""
        self.line: Line = "works"
        self.drop: Drop | None = None
        self.stage: Stage = "idle"
        self._passed_bytes = 0
        self._rings = 0
        self._rest_us = 0
        self._call_us = 0
        self._second_tones = 0
        self._effects: list[Effect] = []

    # --- inputs -----------------------------------------------------------------------------------------------------

    def dial(self, how: modem.Dial) -> list[Effect]:
        """The modem took the line and dials."""
        self._effects = []
        self._stop_ringing()
        self._tell(Dialled(how.number))
        self._saw("dialling")
        self._second_tones = how.second_tones
        match self.line:
            case "dead":
                self._go("no tone", self._draw_us("dial no tone"))
            case "busy":
                self._go("engaged", self._draw_us("dial busy"))
            case _:
                self._call_us = self._draw_us("dial call")
                self._rest_us = round(how.pause_us / self._scale)
                self._go("dial tone", round(self._call_us * TONE_SHARE))
        return self._effects

    def answer(self) -> list[Effect]:
        """The modem took the line because it rang."""
        self._effects = []
        if self._rings:
            self._stop_ringing()
            self._train()
        else:
            self._fail("NO CARRIER", "no carrier")
        return self._effects

    def rings(self) -> list[Effect]:
        """Somebody calls the subscriber; nothing happens on a line that is in use or does not work."""
        self._effects = []
        if self.stage == "idle" and not self._rings and self.line in ("works", "busy"):
            self._ring()
        return self._effects

    def hung_up(self) -> list[Effect]:
        """The modem let the line go; it knows."""
        self._effects = []
        if self.stage != "idle":
            self._end("the caller hung up", "dropped")
        return self._effects

    def machine_down(self, *, said: bool) -> list[Effect]:
        """The machine lost its power. ``said`` False: nobody is there to read a status."""
        self._effects = []
        if self.stage != "idle":
            self._end("the machine went down", "dropped" if said else "")
        self._effects.append(ToModem(modem.PowerLost()))
        return self._effects

    def timer(self, name: str) -> list[Effect]:
        """A timer fired."""
        self._effects = []
        match name:
            case "call":
                self._goes_on()
            case "drop" if self.stage in ("carrier", "network"):
                self._cut()
            case "ring" if self._rings:
                self._ring()
            case _:
                pass
        return self._effects

    def passed(self, count: int) -> list[Effect]:
        """So many bytes crossed the line, in either direction."""
        self._effects = []
        self._passed_bytes += count
        limit = self.drop.after_bytes if self.drop is not None else None
        if limit is not None and self.stage in ("carrier", "network") and self._passed_bytes >= limit:
            self._cut()
        return self._effects

    def network_up(self, address: str) -> list[Effect]:
        """PPP agreed on addresses."""
        self._effects = []
        if self.stage == "carrier":
            self.stage = "network"
            self._saw("connected")
            self._tell(NetworkUp(address))
        return self._effects

    def provider_hung_up(self) -> list[Effect]:
        """The provider ended the call in order."""
        self._effects = []
        if self.stage in ("carrier", "network"):
            self._end("the provider hung up", "dropped" if self.stage == "network" else "no carrier")
            self._effects.append(ToModem(modem.FarEndHungUp()))
        return self._effects

    def carrier_lost(self) -> list[Effect]:
        """The line carries the call no longer."""
        self._effects = []
        self._lose()
        return self._effects

    def becomes(self, line: Line) -> list[Effect]:
        """The line changes. A dead one ends whatever call there is."""
        self._effects = []
        self.line = line
        if line == "dead":
            self._stop_ringing()
            self._lose()
        return self._effects

    def plan(self, drop: Drop | None) -> list[Effect]:
        """Plan a drop, or none."""
        self._effects = [CancelTimer(DROP)]
        self.drop = drop
        if self.stage in ("carrier", "network"):
            self._passed_bytes = 0
            self._watch_for_drop()
        return self._effects

    # --- stages -----------------------------------------------------------------------------------------------------

    def _goes_on(self) -> None:
        match self.stage:
            case "no tone":
                self._fail("NO DIALTONE", "no dial tone")
            case "engaged":
                self._fail("BUSY", "busy")
            case "dial tone":
                self._go("dialling", round(self._call_us * DIAL_SHARE) + self._rest_us)
            case "dialling" if self._second_tones > 0:
                self._second_tones -= 1
                self._rest_us = 0
                self._go("dialling", round(self._call_us * TONE_SHARE))
            case "dialling" if self.line == "busy":
                self._fail("BUSY", "busy")
            case "dialling":
                self._ringback()
            case "ringing" if self.line == "no answer":
                self._fail("NO ANSWER", "no answer")
            case "ringing":
                self._train()
            case "training" if self.line == "no carrier":
                self._fail("NO CARRIER", "no carrier")
            case "training":
                self._carrier()
            case _:
                return

    def _ringback(self) -> None:
        self._effects.append(ToModem(modem.Ringback()))
        rings_us = round(self._call_us * (1 - TONE_SHARE - DIAL_SHARE))
        if self.line == "no answer":
            rings_us = round(MOST_RINGS * RING_US / self._scale)
        self._go("ringing", rings_us)

    def _train(self) -> None:
        self._effects.append(ToModem(modem.PickedUp()))
        self._saw("training")
        self._go("training", self._draw_us("dial training"))

    def _carrier(self) -> None:
        self.stage = "carrier"
        self._passed_bytes = 0
        self._saw("ppp")
        self._tell(Connected(self.rates))
        self._effects += [OpenCall(), ToModem(modem.Carrier(self.rates.connect_bps))]
        self._watch_for_drop()

    def _watch_for_drop(self) -> None:
        if self.drop is not None and self.drop.after_us is not None:
            self._effects.append(SetTimer(DROP, self.drop.after_us))

    def _ring(self) -> None:
        self._rings += 1
        if self._rings > MOST_RINGS:
            self._stop_ringing()
            return
        self._effects += [SetTimer(RING, round(RING_US / self._scale)), ToModem(modem.RingsIn())]

    def _stop_ringing(self) -> None:
        if self._rings:
            self._rings = 0
            self._effects += [CancelTimer(RING), ToModem(modem.RingsNoMore())]

    # --- ends -------------------------------------------------------------------------------------------------------

    def _lose(self) -> None:
        match self.stage:
            case "idle" | "engaged" | "no tone":
                return
            case "carrier" | "network":
                self._cut()
            case _:
                self._fail("NO CARRIER", "no carrier")

    def _cut(self) -> None:
        self._end("the line was cut", "dropped" if self.stage == "network" else "no carrier")
        self._effects.append(ToModem(modem.LineCut()))

    def _fail(self, result: Literal["BUSY", "NO DIALTONE", "NO ANSWER", "NO CARRIER"], why: WhyEnded) -> None:
        self._end(why, "no carrier" if why == "no answer" else why)
        self._effects.append(ToModem(modem.Failed(result)))

    def _end(self, why: WhyEnded, phase: str) -> None:
        if self.stage in ("carrier", "network"):
            self.drop = None
            self._effects.append(CloseCall())
        self.stage = "idle"
        self._effects += [CancelTimer(CALL), CancelTimer(DROP)]
        if phase:
            self._saw(phase)
        self._tell(Ended(why))

    # --- small words ------------------------------------------------------------------------------------------------

    def _go(self, stage: Stage, us: int) -> None:
        self.stage = stage
        self._effects.append(SetTimer(CALL, us))

    def _saw(self, phase: str) -> None:
        self._effects.append(Saw(DialProgress(phase)))

    def _tell(self, what: Told) -> None:
        self._effects.append(Tell(what))
