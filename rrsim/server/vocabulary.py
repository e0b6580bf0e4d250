"""Inputs and effects of the session server's cores.

A connection is an opaque int. Ids, tickets and keys are minted outside and arrive as ``fresh``: an opaque, never
repeated string from which a core may derive at most one secret per purpose (:func:`rrsim.protocol.ticket.derive`).
"""

from __future__ import annotations

import msgspec

from rrsim.protocol.messages import (
    AgentMessage,
    AgentMode,
    CancelResume,
    ConsoleMessage,
    Join,
    Platform,
    Reconnect,
    RepMessage,
    Resume,
    ServerMessage,
)
from rrsim.protocol.records import AnyRecord, SessionKind
from rrsim.protocol.settings import Account
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired


class _Word(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True, forbid_unknown_fields=True):
    """Base of everything in this file."""


# --- inputs -----------------------------------------------------------------------------------------------------


class Opened(_Word, frozen=True):
    """A customer asked for support: the first input of a session core."""

    session: str
    kind: SessionKind
    account: Account


class Claimed(_Word, frozen=True):
    """An endpoint that said hello wants into this session."""

    conn: int
    machine: str
    platform: Platform
    mode: AgentMode
    claim: Join | Resume | Reconnect | CancelResume
    fresh: str


class Greeted(_Word, frozen=True):
    """The customer's machine said hello on a new connection and has not made its claim yet.

    Only where the account's window closes with the connection (rule 1); elsewhere it changes nothing.
    """

    conn: int
    machine: str


class AgentSaid(_Word, frozen=True):
    """A message on a connection that belongs to this session."""

    conn: int
    message: AgentMessage
    fresh: str = ""


class AgentGone(_Word, frozen=True):
    """A connection that belonged to this session is gone."""

    conn: int
    reason: str


class RepHere(_Word, frozen=True):
    """A representative's console is connected (first time or again)."""

    rep: str


class RepGone(_Word, frozen=True):
    """A representative's console is gone."""

    rep: str


class RepSaid(_Word, frozen=True):
    """A representative used the console, or a script forced a request."""

    rep: str
    message: RepMessage
    fresh: str


class Recovered(_Word, frozen=True):
    """The server was restarted: this core was rebuilt from its journal and has no connection any more."""


Input = Opened | Greeted | Claimed | AgentSaid | AgentGone | RepHere | RepGone | RepSaid | Recovered | TimerFired

# --- effects ----------------------------------------------------------------------------------------------------


class Write(_Word, frozen=True):
    """Append a record to the journal; durable before any later effect in the list happens."""

    record: AnyRecord


class ToAgent(_Word, frozen=True):
    """Send a message on a connection."""

    conn: int
    message: ServerMessage


class ToRep(_Word, frozen=True):
    """Send a message to a representative's console; lost if it is not connected."""

    rep: str
    message: ConsoleMessage


class HangUp(_Word, frozen=True):
    """Close a connection after what was sent on it."""

    conn: int


Effect = Write | ToAgent | ToRep | HangUp | SetTimer | CancelTimer
