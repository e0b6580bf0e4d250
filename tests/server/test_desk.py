"""The front desk: hello, a version, one claim."""

from __future__ import annotations

import pytest

from rrsim.protocol import messages as msg
from rrsim.server import desk

HELLO = msg.Hello((1,), "windows", "service", "machine-1")
CLAIMS = [
    msg.Join("session-1", "boot-1"),
    msg.Resume("session-1", "t", "boot-2", False, True, "", "none"),
    msg.Reconnect("session-1", "k", "boot-1", False),
    msg.CancelResume("session-1", "t"),
]


@pytest.mark.parametrize("claim", CLAIMS)
def test_hello_then_one_claim(claim: msg.AgentMessage) -> None:
    state, replies, none = desk.greet(desk.initial(), HELLO)
    assert (replies, none) == ((msg.Welcome(1),), None)
    state, replies, none = desk.greet(state, msg.Heartbeat())
    assert replies == (msg.HeartbeatReply(),)
    state, replies, found = desk.greet(state, claim)
    assert replies == ()
    assert found == desk.Claim("session-1", "machine-1", "windows", "service", claim)  # type: ignore[arg-type]  # each is a claim
    assert not desk.closed(state)
    state, replies, found = desk.greet(state, claim)
    assert desk.closed(state)
    assert found is None
    assert isinstance(replies[0], msg.TurnedAway)


@pytest.mark.parametrize("first", [*CLAIMS, msg.Heartbeat(), msg.Armed(1), msg.Leave("x")])
def test_without_hello_nobody_gets_further(first: msg.AgentMessage) -> None:
    state, replies, claim = desk.greet(desk.initial(), first)
    assert desk.closed(state)
    assert replies == (desk.NO_HELLO,)
    assert claim is None


@pytest.mark.parametrize("versions", [(), (0, 2)])
def test_without_a_common_version_the_answer_names_ours(versions: tuple[int, ...]) -> None:
    state, replies, _ = desk.greet(desk.initial(), msg.Hello(versions, "windows", "service", "m"))
    assert desk.closed(state)
    assert isinstance(replies[0], msg.TurnedAway)
    assert "speaks 1" in replies[0].reason


@pytest.mark.parametrize("second", [HELLO, msg.Armed(1), msg.AgentChat(1, "hi")])
def test_after_hello_only_a_claim(second: msg.AgentMessage) -> None:
    state, _, _ = desk.greet(desk.initial(), HELLO)
    state, replies, claim = desk.greet(state, second)
    assert desk.closed(state)
    assert isinstance(replies[0], msg.TurnedAway)
    assert claim is None


def test_a_machine_without_identity_is_turned_away() -> None:
    state, _, _ = desk.greet(desk.initial(), msg.Hello((1,), "windows", "service", ""))
    assert desk.closed(state)
