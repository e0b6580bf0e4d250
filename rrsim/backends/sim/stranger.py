"""Somebody who speaks the protocol by hand: a thief with a copied ticket, or a second endpoint (SE-01, SE-02, RE-05).

Not an agent: it says hello, makes its claim, and remembers what the server answered. Pure.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from rrsim.agent import host
from rrsim.protocol.messages import (
    AgentMessage,
    AgentMode,
    Hello,
    Join,
    Joined,
    Platform,
    Resume,
    Resumed,
    TurnedAway,
    Welcome,
)
from rrsim.protocol.version import SUPPORTED
from rrsim.scenario.actions import SecondConnection, StrangerPresentsTicket

STRANGE_MACHINE: Final = "machine-stranger"
NEW_BOOT: Final = "boot-stranger"
"""A boot mark that no modelled PC ever has."""


class NotForStranger(ValueError):
    """An input of a type that a stranger does not take."""


class StrangerState(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What the stranger is after, and how far they got."""

    kind: Literal["ticket", "second endpoint"]
    session: str
    ticket: str
    machine: str
    boot: str
    platform: Platform = "windows"
    mode: AgentMode = "application"
    phase: Literal["away", "greeting", "claiming", "done"] = "away"
    outcome: str = ""
    """``joined``, ``resumed``, ``turned away: REASON`` or ``cut off: REASON`` once it is known."""


def initial(
    action: StrangerPresentsTicket | SecondConnection, session: str, ticket: str, machine: str, boot: str
) -> StrangerState:
    """Return a stranger about to do what the action says.

    ``machine`` and ``boot`` are those of the customer's PC; ``ticket`` is the latest one that could have been copied.
    """
    if isinstance(action, SecondConnection):
        return StrangerState("second endpoint", session, "", machine, boot)
    return StrangerState(
        "ticket",
        session,
        ticket,
        machine if action.machine == "the same machine" else STRANGE_MACHINE,
        boot if action.boot == "old" else NEW_BOOT,
    )


def step(state: StrangerState, event: Any) -> tuple[StrangerState, tuple[AgentMessage, ...]]:
    """Take a connection event or a server message; return the messages to send.

    Raises:
        NotForStranger: the input is none of ``Connected``, ``Received``, ``Disconnected``, ``ConnectFailed``.
    """
    match event:
        case host.Connected() if state.phase == "away":
            hello = Hello(SUPPORTED, state.platform, state.mode, state.machine)
            return msgspec.structs.replace(state, phase="greeting"), (hello,)
        case host.Received(message=Welcome()) if state.phase == "greeting":
            return msgspec.structs.replace(state, phase="claiming"), (_claim(state),)
        case host.Received(message=TurnedAway(reason=reason)) if state.phase in ("greeting", "claiming"):
            return _done(state, f"turned away: {reason}"), ()
        case host.Received(message=Resumed()) if state.phase == "claiming":
            return _done(state, "resumed"), ()
        case host.Received(message=Joined()) if state.phase == "claiming":
            return _done(state, "joined"), ()
        case host.Disconnected(reason=reason) | host.ConnectFailed(reason=reason):
            return state if state.phase == "done" else _done(state, f"cut off: {reason}"), ()
        case host.Connected() | host.Received():
            return state, ()
    raise NotForStranger(
        f"expected Connected, Received, Disconnected or ConnectFailed, saw {type(event).__name__}; "
        "strangers hear only their own connection"
    )


def _claim(state: StrangerState) -> AgentMessage:
    if state.kind == "second endpoint":
        return Join(state.session)
    return Resume(
        state.session, state.ticket, state.boot, safe_mode=False, elevated=False, user="somebody", desktop="visible"
    )


def _done(state: StrangerState, outcome: str) -> StrangerState:
    return msgspec.structs.replace(state, phase="done", outcome=outcome)
