"""What people say, do and hear: the vocabulary between a person and whoever drives the run.

People are pure step functions ``step(state, input) -> (state, effects)``. Who drives them, in virtual or in real time,
carries out the effects in list order and turns :class:`After` into a duration: people never know how long anything
takes.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.machine import observations as seen
from rrsim.protocol.messages import ConsoleMessage, RepMessage
from rrsim.protocol.timers import TimerFired
from rrsim.scenario.actions import AnyAction, SignInHow


class Word(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True):
    """Base of everything in this file."""


# --- effects of anybody -----------------------------------------------------------------------------------------


class After(Word, frozen=True):
    """Deliver ``TimerFired(name)`` to me after the duration that ``draw`` stands for (or exactly ``us`` if given).
    Replaces a timer of the same name."""

    name: str
    draw: str
    us: int = -1


class Forget(Word, frozen=True):
    """Cancel my timer of this name; harmless if there is none."""

    name: str


class Saw(Word, frozen=True):
    """Put an observation into the history; the world offers it to the director, the network and the customer."""

    what: seen.AnyObservation


# --- what people do at the PC -----------------------------------------------------------------------------------


class Press(Word, frozen=True):
    """A person presses a button in a window on the customer's desktop. Pressing in a window that is not there is
    reported by the world as impossible."""

    who: Literal["customer", "representative"]
    window: seen.Window
    button: str
    """``yes``, ``no``, ``restart``, ``later``, ``close``, ``cancel``, ``restart anyway``, ``ok``."""
    by_habit: bool = False
    """A reflex to a window that is shown, and no step of the scenario."""


class SignIn(Word, frozen=True):
    """Somebody signs in at the welcome screen (or unlocks a locked desktop)."""

    how: SignInHow


class TypeSecret(Word, frozen=True):
    """Somebody types the BitLocker or BIOS secret."""


class TypeChat(Word, frozen=True):
    """The customer types a line into the chat window."""

    text: str


# --- what people do about the network ---------------------------------------------------------------------------


class DialNow(Word, frozen=True):
    """The customer dials."""


class LineDown(Word, frozen=True):
    """The customer hangs up."""


class PortalLogin(Word, frozen=True):
    """The customer logs in at the captive portal."""


class VpnStart(Word, frozen=True):
    """The customer starts the tunnel."""


# --- effects of people ------------------------------------------------------------------------------------------


class ToPc(Word, frozen=True):
    """A person acts on the PC."""

    what: Press | SignIn | TypeSecret | TypeChat | AnyAction
    session: str = ""
    """Whose PC, when a representative acts: the session's; empty: the acting customer's own PC."""


class ToNet(Word, frozen=True):
    """A person acts on the network."""

    what: DialNow | LineDown | PortalLogin | VpnStart


class Say(Word, frozen=True):
    """The representative uses the console."""

    message: RepMessage
    session: str = ""
    """Which session is meant."""


class NewRequest(Word, frozen=True):
    """The customer asks for support anew."""


class ConsoleUp(Word, frozen=True):
    """The representative's console is connected, or no longer."""

    up: bool


# --- what a representative hears --------------------------------------------------------------------------------


class ConsoleHeard(Word, frozen=True):
    """A message from the session server reached the representative's console; it is about ``session``."""

    session: str
    message: ConsoleMessage


class RepActs(Word, frozen=True):
    """A scenario's action for a representative, with the session the world has found for it."""

    session: str
    action: AnyAction


CustomerEffect = After | Forget | Saw | ToPc | ToNet | NewRequest
RepEffect = After | Forget | Saw | Say | ConsoleUp | ToPc
RepInput = ConsoleHeard | RepActs | TimerFired | AnyAction
"""A plain action means the session of its ``customer``: ``session-N`` (see :class:`RepActs`)."""

CUSTOMER_HEARS: Final = (
    seen.WindowShown, seen.WindowGone, seen.PhaseBegan, seen.LoggedOn, seen.LogonFailed, seen.WentDown,
    seen.RestartBlocked, seen.DialProgress, seen.LinkChanged,
)
"""Observations of PC and network that the customer notices."""
