"""A dial-up call: what happens between the customer's click on *Dial* and a working internet connection (R12).

Pure: the functions take the call and the state of the telephone line and return the new call and effects. The network
part (:mod:`rrsim.backends.sim.network`) owns the call and decides when a call is possible at all.

Rules:

* A call has one timer, ``call``. Dialling leads to training, PPP and a connection, one draw each.
* An engaged line ends in ``busy``, a dead one in ``no dial tone``; both are found out only after some seconds.
* A call that breaks before PPP is up ends in ``no carrier``; one that breaks later is ``dropped``.
* Nothing dials by itself: after every end of a call somebody must dial again.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.backends.sim.parts import After, Forget, Saw
from rrsim.machine.observations import DialProgress
from rrsim.scenario.linkdraws import DIAL_DRAWS

Line = Literal["works", "busy", "dead"]
CallPhase = Literal["idle", "dialling", "engaged", "no tone", "training", "ppp", "connected"]
CallEffect = After | Forget | Saw

TIMER: Final = "call"
DRAWS: Final = DIAL_DRAWS
"""Named draws of a call: name to lowest and highest microseconds."""


class Call(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """The modem's call."""

    phase: CallPhase = "idle"


IDLE: Final = Call()
CONNECTED: Final = Call("connected")


def _said(phase: str) -> Saw:
    return Saw(DialProgress(phase))


def dial(call: Call, line: Line) -> tuple[Call, tuple[CallEffect, ...]]:
    """Start a call; nothing happens if one is under way."""
    if call.phase != "idle":
        return call, ()
    if line == "busy":
        return Call("engaged"), (_said("dialling"), After(TIMER, "dial busy"))
    if line == "dead":
        return Call("no tone"), (_said("dialling"), After(TIMER, "dial no tone"))
    return Call("dialling"), (_said("dialling"), After(TIMER, "dial call"))


def fired(call: Call, line: Line) -> tuple[Call, tuple[CallEffect, ...]]:
    """The call's timer fired: go on to the next phase, or end as the line demands."""
    match call.phase:
        case "engaged":
            return IDLE, (_said("busy"),)
        case "no tone":
            return IDLE, (_said("no dial tone"),)
        case "dialling" if line == "busy":
            return IDLE, (_said("busy"),)
        case "dialling":
            return Call("training"), (_said("training"), After(TIMER, "dial training"))
        case "training":
            return Call("ppp"), (_said("ppp"), After(TIMER, "dial ppp"))
        case "ppp":
            return CONNECTED, (_said("connected"),)
        case _:
            return call, ()


def carrier_lost(call: Call) -> tuple[Call, tuple[CallEffect, ...]]:
    """The line carries the call no longer."""
    match call.phase:
        case "idle" | "engaged" | "no tone":
            return call, ()
        case "connected":
            return IDLE, (_said("dropped"),)
        case _:
            return IDLE, (Forget(TIMER), _said("no carrier"))


def hang_up(call: Call, *, said: bool = True) -> tuple[Call, tuple[CallEffect, ...]]:
    """The call ends at the customer's side. ``said`` False: the PC went away and nobody is there to read a status."""
    if call.phase == "idle":
        return call, ()
    stop: tuple[CallEffect, ...] = () if call.phase == "connected" else (Forget(TIMER),)
    return IDLE, (*stop, _said("dropped")) if said else stop
