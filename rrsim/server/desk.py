"""The front desk: what a connection must say before a session hears of it. Pure, one state per connection.

1. First comes *hello*: who speaks, and which protocol versions it knows. Anything else is turned away.
2. The newest common version is chosen; without one the endpoint is turned away and told which versions there are.
3. Then comes exactly one claim: *join*, *resume*, *reconnect* or *cancel-resume*. It names its session (the code of a
   join is the session's id). The desk hands it on as :class:`Claim`; whether it is good is the session's business.
4. From then on every message belongs to that session (:class:`rrsim.server.vocabulary.AgentSaid`); the desk is done.

A heartbeat before the claim is answered, so that an agent may think (a phone-mode customer may want to cancel).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.protocol.messages import (
    AgentMessage,
    AgentMode,
    CancelResume,
    Heartbeat,
    HeartbeatReply,
    Hello,
    Join,
    Platform,
    Reconnect,
    Resume,
    ServerMessage,
    TurnedAway,
    Welcome,
)
from rrsim.protocol.version import NoCommonVersion, negotiate

UNKNOWN_SESSION: Final = TurnedAway("unknown session")
"""What the shell answers, before it hangs up, when a claim names a session that does not exist."""

NO_HELLO: Final = TurnedAway("no hello: say hello first")
NO_CLAIM: Final = TurnedAway("no claim: join, resume, reconnect or cancel first")
SPOKE_AGAIN: Final = TurnedAway("only one hello and one claim on a connection")


class DeskState(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """How far one connection has come."""

    stage: Literal["hello", "claim", "routed", "closed"] = "hello"
    version: int = 0
    machine: str = ""
    platform: Platform = "windows"
    mode: AgentMode = "application"


class Claim(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A claim and who makes it: everything of :class:`rrsim.server.vocabulary.Claimed` but ``conn`` and ``fresh``."""

    session: str
    machine: str
    platform: Platform
    mode: AgentMode
    claim: Join | Resume | Reconnect | CancelResume


def initial() -> DeskState:
    """Return the state of a connection on which nothing was said yet."""
    return DeskState()


def closed(state: DeskState) -> bool:
    """Say whether the endpoint was turned away: send the replies, then hang up."""
    return state.stage == "closed"


def greet(state: DeskState, message: AgentMessage) -> tuple[DeskState, tuple[ServerMessage, ...], Claim | None]:
    """Take one message of a connection that is not routed to a session yet.

    Returns the new state, what to reply, and the claim to hand to its session if this message was one. No message is
    illegal here: whoever speaks out of turn is turned away, with the reason.
    """
    if state.stage == "hello":
        return _hello(state, message)
    if state.stage == "claim":
        if isinstance(message, Heartbeat):
            return state, (HeartbeatReply(),), None
        if isinstance(message, Join | Resume | Reconnect | CancelResume):
            session = message.code if isinstance(message, Join) else message.session
            claim = Claim(session, state.machine, state.platform, state.mode, message)
            return msgspec.structs.replace(state, stage="routed"), (), claim
        return _away(state, SPOKE_AGAIN if isinstance(message, Hello) else NO_CLAIM)
    return _away(state, SPOKE_AGAIN)


def _hello(state: DeskState, message: AgentMessage) -> tuple[DeskState, tuple[ServerMessage, ...], Claim | None]:
    if not isinstance(message, Hello):
        return _away(state, NO_HELLO)
    try:
        version = negotiate(message.versions)
    except NoCommonVersion as error:
        return _away(state, TurnedAway(str(error)))
    if not message.machine:
        return _away(state, TurnedAway("no machine identity in hello"))
    return DeskState("claim", version, message.machine, message.platform, message.mode), (Welcome(version),), None


def _away(state: DeskState, answer: TurnedAway) -> tuple[DeskState, tuple[ServerMessage, ...], Claim | None]:
    return msgspec.structs.replace(state, stage="closed"), (answer,), None
