"""Any input in any order: only named errors, hashable and bounded states, and never a second request in flight."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.agent import core, host
from rrsim.agent._state import TAIL
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired

SET = msg.AgentSettings(phone_mode=True)
BOOTS = st.sampled_from(["boot-1", "boot-2"])
ORDERS = st.integers(1, 3)
TIMERS = ["retry", "silence", "heartbeat", "give up", "step", "restart limit", "idle", "ask restart", "ask sharing",
          "ask leave", "unknown"]

facts = st.builds(
    host.BootFacts, boot=BOOTS, machine=st.sampled_from(["machine-1", "machine-2"]),
    platform=st.sampled_from(["windows", "windows", "mac"]), mode=st.sampled_from(["application", "service"]),
    safe_mode=st.booleans(), elevated=st.just(True), user=st.just("ann"),
    desktop=st.sampled_from(["none", "visible", "locked"]),
)  # fmt: skip
saved = st.builds(
    host.Saved, session=st.just("session-1"), machine=st.just("machine-1"), order=st.integers(0, 2),
    ticket=st.sampled_from(["", "ticket-1"]), boot=BOOTS, boot_mode=st.sampled_from(["normal", "safe"]),
    intent=st.booleans(), safe_key=st.booleans(), settings=st.just(SET),
)  # fmt: skip
started = st.builds(host.Started, facts=facts, saved=st.none() | saved, corrupt=st.booleans())
messages = st.one_of(
    st.sampled_from([
        msg.Welcome(1), msg.Welcome(1), msg.Welcome(2), msg.TurnedAway("expired"), msg.SessionOver("ended"),
        msg.HeartbeatReply(), msg.StandBy("standby-1"), msg.Sharing(True), msg.Sharing(False),
        msg.ServerChat(1, "rep", "hi"), msg.Joined("session-1", "key-1", SET),
    ]),
    st.builds(msg.Resumed, session=st.just("session-1"), live_key=st.just("key-2"), settings=st.just(SET),
              lines=st.integers(0, 20), order=st.integers(0, 2)),
    st.builds(msg.Order, order=ORDERS, boot_mode=st.sampled_from(["normal", "safe"]), forced=st.booleans(),
              ticket=st.just("ticket-2")),
    st.builds(msg.Withdraw, order=ORDERS, reason=st.just("limit")),
    st.builds(msg.Ask, ask=ORDERS, kind=st.sampled_from(["restart", "sharing"]), timeout_us=st.just(5)),
)
PLAIN: list[host.Input] = [
    host.CustomerStarts("session-1"), host.Connected(), host.ConnectFailed("x", 7), host.Disconnected("x", 3),
    host.NetworkChanged(), host.ChatTyped("a"), host.CloseClicked(), host.ChatDestroyed("x"), host.CancelClicked(),
    host.QueryEndSession("shutdown"), host.QueryEndSession("closeapp"), host.SessionEnding(),
    host.EndSessionCancelled("x"), host.HelperReady("visible", "ann"), host.HelperReady("locked", "ann"),
    host.HelperGone(),
]
prompts = st.integers(0, host.OPS)
events = st.one_of(
    st.sampled_from(PLAIN), st.builds(host.Received, messages), st.builds(host.Received, messages),
    st.builds(TimerFired, st.sampled_from(TIMERS)),
    st.builds(host.Answered, prompts, st.sampled_from(["yes", "no", "silence"])), st.builds(host.PromptGone, prompts),
    st.builds(host.Completed, st.integers(0, host.OPS), st.sampled_from(["", "present", "network"])),
    st.builds(host.Failed, st.integers(0, host.OPS), st.just("no")), started,
    # The likely ones again, so that a walk gets somewhere: the pending answer, and the way into a session.
    st.just("answer"), st.just("answer"), st.just("forward"),
)  # fmt: skip


def concrete(state: core.AgentState, event: Any) -> Any:
    """Turn a hint into the input that fits the state."""
    if event == "answer":
        result = {"read key": "present", "read flag": "network"}.get(state.hands.doing, "")
        return host.Completed(state.hands.op, result)
    if event == "forward":
        by_goal: Any = {
            "joining": msg.Joined("session-1", "key-1", SET)}.get(
                state.goal, msg.Resumed("session-1", "key-2", SET, 0, 0))
        by_link: Any = {
            "waiting": TimerFired("retry"), "connecting": host.Connected(), "greeting": host.Received(msg.Welcome(1)),
            "claiming": host.Received(by_goal), "up": host.Received(msg.Order(1, "safe", False, "ticket-2")),
        }
        return by_link.get(state.link.phase, host.CustomerStarts("session-1"))
    return event


def bounded(state: core.AgentState) -> None:
    """What could grow does not (design, *States are small*). Line numbers count typed lines and are left out."""
    assert len(state.chat.tail) <= TAIL
    assert len(state.hands.chores) <= 8
    assert len(state.questions) <= 3
    assert len({q.kind for q in state.questions}) == len(state.questions)
    assert 0 <= state.hands.op <= host.OPS
    assert 0 <= state.prompt <= host.OPS
    assert 0 <= state.link.attempts <= 10


@settings(max_examples=200, deadline=None)
@given(first=started, walk=st.lists(events, max_size=60))
def test_random_walk(first: host.Started, walk: list[Any]) -> None:
    """Pure, total up to named errors, bounded; one request in flight; a Mac is never restarted (I8, I10)."""
    state, _ = core.step(core.initial(), first)
    inputs = [concrete(state, "forward"), *walk]
    for hint in inputs:
        event = concrete(state, hint)
        try:
            after, effects = core.step(state, event)
        except core.AgentError:
            continue
        assert core.step(state, event) == (after, effects)
        copy = msgspec.convert(msgspec.to_builtins(after), core.AgentState)
        assert copy == after
        assert hash(copy) == hash(after)
        bounded(after)
        requests = [e.what for e in effects if isinstance(e, host.Request)]
        assert len(requests) <= 1
        if requests:
            assert after.hands.doing
            assert not isinstance(requests[0], host.RequestRestart) or state.facts.platform == "windows"
            assert not isinstance(requests[0], host.SetBootFlag) or state.facts.mode == "service"
        claims = [e.message for e in effects if isinstance(e, host.Send)
                  and isinstance(e.message, msg.Resume | msg.Reconnect | msg.Join)]
        assert not claims or after.shutdown != "ending"
        assert after.goal in core.LEGAL
        state = after
