"""How the parts of the simulated world talk: the vocabulary between PC, network, people and the world that drives them.

Every part is a pure step function ``step(state, input) -> (state, effects)`` over frozen, hashable state; the world
(:mod:`rrsim.backends.sim.world`) owns time, randomness, routing and the history. What people do and hear is in
:mod:`rrsim.people.vocabulary`, which this file hands on. Effects run in list order.
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
from rrsim.people.vocabulary import (
    CUSTOMER_HEARS,
    After,
    ConsoleHeard,
    ConsoleUp,
    CustomerEffect,
    DialNow,
    Forget,
    LineDown,
    NewRequest,
    PortalLogin,
    Press,
    RepActs,
    RepEffect,
    RepInput,
    Saw,
    Say,
    SignIn,
    ToNet,
    ToPc,
    TypeChat,
    TypeSecret,
    VpnStart,
)
from rrsim.protocol.timers import TimerFired

__all__ = [
    "CUSTOMER_HEARS", "After", "AgentEnded", "ConsoleHeard", "ConsoleUp", "CustomerEffect", "DialNow", "Forget",
    "HostAsked", "LineDown", "NewRequest", "PortalLogin", "Press", "RepActs", "RepEffect", "RepInput", "Saw", "Say",
    "SignIn", "TimerFired", "ToNet", "ToPc", "TypeChat", "TypeSecret", "UiAsked", "VpnStart",
]  # fmt: skip


class _Word(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True):
    """Base of everything in this file."""


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


PcEffect = After | Forget | Saw | StartAgent | KillAgent | TellAgent
NetEffect = After | Forget | Saw | ConnUp | ConnRefused | ConnDown | Release | TellAgent

NET_HEARS: Final = (seen.PhaseBegan, seen.LoggedOn, seen.WentDown, seen.BootBegan, seen.WokeUp)
"""PC observations that its network needs."""


Fate = Literal["deliver", "hold", "lose"]
"""What the network does with a message now: the network state's ``fate`` field."""
