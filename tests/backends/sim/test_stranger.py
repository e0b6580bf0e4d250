"""Strangers: what they claim, and what they remember of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.agent import host
from rrsim.backends.sim import stranger
from rrsim.protocol import messages as msg
from rrsim.scenario import actions as act

RESUMED = host.Received(msg.Resumed("session-1", "key", msg.AgentSettings(), 0, 0))
JOINED = host.Received(msg.Joined("session-1", "key", msg.AgentSettings()))


def claim_of(action: Any) -> tuple[stranger.StrangerState, msg.Hello, Any]:
    state = stranger.initial(action, "session-1", "ticket-1", "machine-1", "boot-1")
    state, sent = stranger.step(state, host.Connected())
    hello = sent[0]
    assert isinstance(hello, msg.Hello)
    state, sent = stranger.step(state, host.Received(msg.Welcome(1)))
    return state, hello, sent[0]


@pytest.mark.parametrize(
    ("action", "machine", "boot"),
    [
        (act.StrangerPresentsTicket(), "machine-stranger", "boot-stranger"),
        (act.StrangerPresentsTicket(machine="the same machine"), "machine-1", "boot-stranger"),
        (act.StrangerPresentsTicket(machine="the same machine", boot="old"), "machine-1", "boot-1"),
    ],
)
def test_a_stranger_offers_the_ticket(action: act.StrangerPresentsTicket, machine: str, boot: str) -> None:
    _, hello, claim = claim_of(action)
    assert isinstance(claim, msg.Resume)
    assert hello.machine == machine
    assert (claim.session, claim.ticket, claim.boot) == ("session-1", "ticket-1", boot)


def test_a_second_endpoint_tries_to_join_from_the_same_machine() -> None:
    _, hello, claim = claim_of(act.SecondConnection())
    assert (hello.machine, claim) == ("machine-1", msg.Join("session-1"))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (host.Received(msg.TurnedAway("machine differs")), "turned away: machine differs"),
        (RESUMED, "resumed"),
        (JOINED, "joined"),
        (host.Disconnected("closed"), "cut off: closed"),
        (host.ConnectFailed("refused"), "cut off: refused"),
        (host.Received(msg.HeartbeatReply()), ""),
    ],
)
def test_the_answer_is_remembered(answer: Any, outcome: str) -> None:
    state, _, _ = claim_of(act.StrangerPresentsTicket())
    state, sent = stranger.step(state, answer)
    assert (state.outcome, sent) == (outcome, ())


def test_the_first_answer_counts() -> None:
    state, _, _ = claim_of(act.StrangerPresentsTicket())
    state, _ = stranger.step(state, host.Received(msg.TurnedAway("no")))
    for later in (RESUMED, JOINED, host.Disconnected("closed"), host.Connected()):
        assert stranger.step(state, later) == (state, ())


def test_a_foreign_input_is_a_named_error() -> None:
    state = stranger.initial(act.SecondConnection(), "session-1", "", "machine-1", "boot-1")
    with pytest.raises(stranger.NotForStranger, match="Exit"):
        stranger.step(state, host.Exit("no"))
