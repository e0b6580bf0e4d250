"""How the parts of the simulated world talk: the vocabulary between PC, network, people and the world that drives them.

Every part is a pure step function ``step(state, input) -> (state, effects)`` over frozen, hashable state; the world
(:mod:`rrsim.backends.sim.world`) owns time, randomness, routing and the history. Effects run in list order.
A part's duration is a *named draw*: the part says :class:`After` with a name, the world turns it into microseconds.

Who hears what:

* PC: :class:`HostAsked`, :class:`UiAsked`, :class:`AgentEnded` (from the agent), :class:`Press` and :class:`SignIn`
  (from people), ``TimerFired``, and every PC or customer :class:`~rrsim.scenario.actions.Action`.
* Network: :class:`NetConnect`, :class:`NetHangUp` (from the agent), :class:`ServerHungUp`, :class:`ServerWent` (from
  the server), :class:`DialNow`, :class:`LineDown`,
  :class:`PortalLogin`, :class:`VpnStart` (from the customer), ``TimerFired``, network actions, and the PC's
  ``PhaseBegan``, ``LoggedOn``, ``WentDown``, ``BootBegan``, ``WokeUp`` observations, and ``Healed``.
* Customer: the PC's and network's observations listed in :data:`CUSTOMER_HEARS`, ``TimerFired``, customer actions.
* Representative: :class:`ConsoleHeard`, :class:`RepActs`, ``TimerFired``, representative actions.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.agent import host
from rrsim.machine import observations as seen
from rrsim.protocol.messages import ConsoleMessage, RepMessage
from rrsim.protocol.timers import TimerFired
from rrsim.scenario.actions import AnyAction, SignInHow

__all__ = ["After", "AgentEnded", "Forget", "HostAsked", "Saw", "TimerFired", "UiAsked"]


class _Word(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True):
    """Base of everything in this file."""


# --- effects any part may have ----------------------------------------------------------------------------------


class After(_Word, frozen=True):
    """Deliver ``TimerFired(name)`` to me after the duration that ``draw`` stands for (or exactly ``us`` if given).
    Replaces a timer of the same name."""

    name: str
    draw: str
    us: int = -1


class Forget(_Word, frozen=True):
    """Cancel my timer of this name; harmless if there is none."""

    name: str


class Saw(_Word, frozen=True):
    """Put an observation into the history; the world offers it to the director, the network and the customer."""

    what: seen.AnyObservation


# --- PC: inputs from the agent's side ---------------------------------------------------------------------------


class HostAsked(_Word, frozen=True):
    """The agent's core asked the operating system for something (:class:`rrsim.agent.host.Request`)."""

    op: int
    what: host.HostRequest


class UiAsked(_Word, frozen=True):
    """The agent's core asked for a window, or for the screen to be captured."""

    what: (
        host.OpenChat | host.CloseChat | host.ShowPrompt | host.HidePrompt | host.ShowCancel | host.HideCancel
        | host.ShowChat | host.Tell | host.Capture
    )


class AgentEnded(_Word, frozen=True):
    """The agent's process ended by itself (:class:`rrsim.agent.host.Exit`)."""

    reason: str


# --- PC: inputs from people -------------------------------------------------------------------------------------


class Press(_Word, frozen=True):
    """A person presses a button in a window on the customer's desktop. Pressing in a window that is not there is
    reported by the world as impossible."""

    who: Literal["customer", "representative"]
    window: seen.Window
    button: str
    """``yes``, ``no``, ``restart``, ``later``, ``close``, ``cancel``, ``restart anyway``, ``ok``."""


class SignIn(_Word, frozen=True):
    """Somebody signs in at the welcome screen (or unlocks a locked desktop)."""

    how: SignInHow


class TypeSecret(_Word, frozen=True):
    """Somebody types the BitLocker or BIOS secret."""


class TypeChat(_Word, frozen=True):
    """The customer types a line into the chat window."""

    text: str


class StartSupport(_Word, frozen=True):
    """The customer starts support on the PC with the code they were given: the program is started (and fetched anew
    if it is missing) unless it runs already, and then hears :class:`rrsim.agent.host.CustomerStarts`."""

    code: str


# --- PC: inputs from the harness --------------------------------------------------------------------------------


class Probe(_Word, frozen=True):
    """The harness's own clean restart (cause ``probe``), whatever state the PC is in: off, asleep, held up by a
    program, waiting for a secret. Afterwards the right user signs in by itself. It shows what the next boot is like
    (I6) and what is left behind (I7)."""


# --- PC: effects ------------------------------------------------------------------------------------------------


class StartAgent(_Word, frozen=True):
    """A process with an agent core begins; the world delivers ``started`` to a fresh core."""

    started: host.Started


class KillAgent(_Word, frozen=True):
    """The agent's process is gone from this instant: remaining effects of its core do not happen, its connection
    breaks, its timers are void."""

    why: str


class TellAgent(_Word, frozen=True):
    """Deliver an input to the agent's core (ignored if no process runs)."""

    what: host.Input


# --- network: inputs --------------------------------------------------------------------------------------------


class NetConnect(_Word, frozen=True):
    """The agent wants a connection to the session server; ``conn`` is the number the world gave it."""

    conn: int


class NetHangUp(_Word, frozen=True):
    """The agent's side closed connection ``conn`` (or its process died)."""

    conn: int
    polite: bool
    """False: the process vanished; the server learns of it as the network allows (reset if the PC lives, silence if
    the power is gone)."""


class ServerHungUp(_Word, frozen=True):
    """The session server closed connection ``conn``, by its own wish or because it heard nothing for too long."""

    conn: int


class DialNow(_Word, frozen=True):
    """The customer dials."""


class LineDown(_Word, frozen=True):
    """The customer hangs up."""


class PortalLogin(_Word, frozen=True):
    """The customer logs in at the captive portal."""


class VpnStart(_Word, frozen=True):
    """The customer starts the tunnel."""


class ServerWent(_Word, frozen=True):
    """The session server was killed, or is back."""

    up: bool


# --- network: effects -------------------------------------------------------------------------------------------


class ConnUp(_Word, frozen=True):
    """Connection ``conn`` is established, TLS verified: the agent hears Connected, the server gets the connection."""

    conn: int


class ConnRefused(_Word, frozen=True):
    """Connection ``conn`` was not established."""

    conn: int
    reason: str


class ConnDown(_Word, frozen=True):
    """Connection ``conn`` is gone; says which ends are told now (a silent end notices through its own timers).

    Messages already on their way are delivered first; messages still held (:class:`Release`) are lost. An end that
    was told already, or closed the connection itself, is not told again."""

    conn: int
    reason: str
    tell_agent: bool
    tell_server: bool


class Release(_Word, frozen=True):
    """Messages that were held on connection ``conn`` may flow again, in order."""

    conn: int


# --- people: effects --------------------------------------------------------------------------------------------


class ToPc(_Word, frozen=True):
    """A person acts on the PC."""

    what: Press | SignIn | TypeSecret | TypeChat | AnyAction
    session: str = ""
    """Whose PC, when a representative acts: the session's; empty: the acting customer's own PC."""


class ToNet(_Word, frozen=True):
    """A person acts on the network."""

    what: DialNow | LineDown | PortalLogin | VpnStart


class Say(_Word, frozen=True):
    """The representative uses the console."""

    message: RepMessage
    session: str = ""
    """Which session is meant."""


class NewRequest(_Word, frozen=True):
    """The customer asks for support anew."""


class ConsoleUp(_Word, frozen=True):
    """The representative's console is connected, or no longer."""

    up: bool


# --- representative: inputs -------------------------------------------------------------------------------------


class ConsoleHeard(_Word, frozen=True):
    """A message from the session server reached the representative's console; it is about ``session``."""

    session: str
    message: ConsoleMessage


class RepActs(_Word, frozen=True):
    """A scenario's action for a representative, with the session the world has found for it."""

    session: str
    action: AnyAction


PcEffect = After | Forget | Saw | StartAgent | KillAgent | TellAgent
NetEffect = After | Forget | Saw | ConnUp | ConnRefused | ConnDown | Release | TellAgent
CustomerEffect = After | Forget | Saw | ToPc | ToNet | NewRequest
RepEffect = After | Forget | Saw | Say | ConsoleUp | ToPc
RepInput = ConsoleHeard | RepActs | TimerFired | AnyAction
"""A plain action means the session of its ``customer``: ``session-N`` (see :class:`RepActs`)."""

NET_HEARS: Final = (seen.PhaseBegan, seen.LoggedOn, seen.WentDown, seen.BootBegan, seen.WokeUp)
"""PC observations that its network needs."""

CUSTOMER_HEARS: Final = (
    seen.WindowShown, seen.WindowGone, seen.PhaseBegan, seen.LoggedOn, seen.LogonFailed, seen.WentDown,
    seen.RestartBlocked, seen.DialProgress, seen.LinkChanged,
)
"""Observations of PC and network that the customer notices."""

Fate = Literal["deliver", "hold", "lose"]
"""What the network does with a message now: the network state's ``fate`` field."""
