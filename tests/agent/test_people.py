"""The agent core and people: chat, questions, leaving, the end of a session, illegal input."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rrsim.agent import core, host
from rrsim.agent._state import TAIL
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired
from tests.agent.rig import PHONE, Pc, asked, of, sent

# --- chat (I12) ---------------------------------------------------------------------------------------------------


def test_lines_the_server_lacks_are_sent_again_in_order() -> None:
    """I12."""
    pc = Pc("application").join()
    for text in "abc":
        pc.give(host.ChatTyped(text))
    pc.give(host.Disconnected("cable"))
    pc.give(host.ChatTyped("d"))
    pc.fire("retry")
    pc.greet()
    pc.clear()
    pc.say(msg.Resumed("session-1", "key-2", pc.state.settings, 1, 0))
    assert sent(pc.effects) == [msg.AgentChat(2, "b"), msg.AgentChat(3, "c"), msg.AgentChat(4, "d")]


def test_heartbeat_reply_acknowledges_what_was_sent_before_it() -> None:
    """I12: the tail stays bounded, and a line typed after the heartbeat stays in it."""
    pc = Pc().join()
    pc.give(host.ChatTyped("a"))
    pc.fire("heartbeat")
    pc.give(host.ChatTyped("b"))
    pc.say(msg.HeartbeatReply())
    assert pc.state.chat.tail == ("b",)


def test_too_many_lines_offline_are_not_lost_in_silence() -> None:
    """I12."""
    pc = Pc().join()
    pc.give(host.Disconnected("cable"))
    for n in range(TAIL):
        pc.give(host.ChatTyped(str(n)))
    assert pc.give(host.ChatTyped("one too many")) == [host.Tell("line not sent")]
    assert pc.state.chat.line == TAIL


def test_server_lines_are_shown_once() -> None:
    """I12."""
    pc = Pc().join()
    assert of(pc.say(msg.ServerChat(3, "rep", "hi")), host.ShowChat) == [host.ShowChat("rep", "hi")]
    assert of(pc.say(msg.ServerChat(3, "rep", "hi")), host.ShowChat) == []


# --- questions (R7, R9, rule 6, rule 14) --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "answer", "human"),
    [
        (lambda pc: pc.give(host.Answered(1, "yes")), "yes", True),
        (lambda pc: pc.give(host.Answered(1, "no")), "no", True),
        (lambda pc: pc.fire("ask restart"), "silence", False),
        (lambda pc: pc.give(host.PromptGone(1)), "silence", False),
        (lambda pc: pc.give(host.HelperGone()), "silence", False),
    ],
    ids=["yes", "no", "silence", "window gone", "helper gone"],
)
def test_answers(how: Callable[[Pc], list[host.Effect]], answer: msg.Answer, human: bool) -> None:
    """R7, CO-01 to CO-03, rule 6, rule 14."""
    pc = Pc().join()
    effects = pc.say(msg.Ask(7, "restart", 60))
    assert host.ShowPrompt(1, "restart") in effects
    assert pc.timers["ask restart"] == 60
    assert msg.ConsentAnswer(7, answer, human) in sent(how(pc))
    assert pc.state.questions == ()
    assert "ask restart" not in pc.timers


def test_question_waits_for_somebody_to_see_it() -> None:
    """CO-07, LO-05: a service at the welcome screen."""
    pc = Pc().join()
    pc.give(host.HelperGone())
    assert of(pc.say(msg.Ask(1, "sharing", 60)), host.ShowPrompt) == []
    effects = pc.give(host.HelperReady("visible", "bob"))
    assert of(effects, host.ShowPrompt) == [host.ShowPrompt(1, "sharing")]
    assert msg.HelperState("visible", "bob") in sent(effects)


def test_question_nobody_could_see_is_silence() -> None:
    """CO-07, rule 6."""
    pc = Pc().join()
    pc.give(host.HelperGone())
    pc.say(msg.Ask(1, "sharing", 60))
    assert msg.ConsentAnswer(1, "silence", False) in sent(pc.fire("ask sharing"))


def test_answer_given_offline_is_sent_after_the_reconnect() -> None:
    """CO-01 with a loss of network."""
    pc = Pc("application").join()
    pc.say(msg.Ask(7, "restart", 60))
    pc.give(host.Disconnected("cable"))
    pc.give(host.Answered(1, "no"))
    pc.fire("retry")
    pc.greet()
    assert msg.ConsentAnswer(7, "no", True) in sent(pc.say(msg.Resumed("session-1", "k", pc.state.settings, 0, 0)))


def test_sharing_is_captured_and_stops_with_the_session() -> None:
    """R9, I5."""
    pc = Pc().join()
    assert host.Capture(True) in pc.say(msg.Sharing(True))
    assert host.Capture(False) in pc.say(msg.SessionOver("ended"))


# --- leaving (R5, rule 12) ----------------------------------------------------------------------------------------


def close(pc: Pc) -> int:
    """Press the close button; return the number of the question that follows."""
    prompt = of(pc.give(host.CloseClicked()), host.ShowPrompt)[0]
    assert isinstance(prompt, host.ShowPrompt)
    assert prompt.kind == "leave"
    return prompt.prompt


@pytest.mark.parametrize("how", ["yes", "silence", "answered by nobody", "gone"])
def test_only_a_confirmed_close_counts(how: str) -> None:
    """Rule 12, CO-10."""
    pc = Pc().join()
    pc.order()
    prompt = close(pc)
    events: dict[str, host.Input] = {
        "yes": host.Answered(prompt, "yes"), "answered by nobody": host.Answered(prompt, "silence"),
        "silence": TimerFired("ask leave"), "gone": host.PromptGone(prompt),
    }  # fmt: skip
    assert sent(pc.give(events[how])) == []
    assert pc.state.goal == "member"
    assert pc.restarting


def test_leaving_before_the_request_stops_everything() -> None:
    """Rule 12, CO-10."""
    pc = Pc("application").join()
    pc.hold = (host.Save,)
    pc.order()
    effects = pc.give(host.Answered(close(pc), "no"))
    assert [type(m) for m in sent(effects)] == [msg.Leave]
    pc.give(host.Completed(pc.state.hands.op))
    assert pc.residue() == ()
    assert not pc.restarting
    assert not pc.alive


def test_leaving_after_the_request_lets_the_pc_restart_but_nobody_comes_back() -> None:
    """Rule 12, CO-10; the boot flag goes too (I6)."""
    pc = Pc().join()
    pc.order("safe")
    effects = pc.give(host.Answered(close(pc), "no"))
    assert [type(m) for m in sent(effects)] == [msg.Leave]
    assert "AbortRestart" not in asked(effects)
    assert pc.restarting
    assert pc.residue() == ()


def test_leaving_offline_is_told_after_the_reconnect() -> None:
    """Rule 12."""
    pc = Pc("application").join()
    pc.give(host.Disconnected("cable"))
    pc.give(host.Answered(close(pc), "no"))
    assert pc.state.goal == "going"
    pc.fire("retry")
    pc.greet()
    effects = pc.say(msg.Resumed("session-1", "k", pc.state.settings, 0, 0))
    assert [type(m) for m in sent(effects)] == [msg.Leave]
    assert not pc.alive


def test_destroyed_chat_is_opened_again_and_the_order_stands() -> None:
    """Rule 12, CO-11."""
    pc = Pc().join()
    pc.order()
    assert host.OpenChat() in pc.give(host.ChatDestroyed("restart manager"))
    assert pc.restarting
    pc.give(host.SessionEnding())
    assert pc.give(host.ChatDestroyed("Windows")) == []


# --- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [msg.SessionOver("ended"), msg.TurnedAway("expired")])
@pytest.mark.parametrize("mode", ["application", "service"])
def test_end_of_the_session_leaves_nothing(mode: msg.AgentMode, end: msg.ServerMessage) -> None:
    """Rule 7, I7, rule 13: also with an order under way."""
    pc = Pc(mode).join()
    pc.order()
    effects = pc.say(end)
    assert host.Tell(getattr(end, "reason", "")) in effects
    assert host.CloseChat() in effects
    assert not pc.restarting
    assert pc.residue() == ()
    assert pc.alive == (mode == "service")
    assert pc.timers == {} or not pc.alive


def test_customer_asks_anew_in_the_same_process() -> None:
    """R13: a service takes the new request when it has cleaned up."""
    pc = Pc().join()
    pc.hold = (host.Erase,)
    pc.say(msg.SessionOver("expired"))
    pc.give(host.CustomerStarts("session-2"))
    pc.hold = ()
    assert host.Connect() in pc.give(host.Completed(pc.state.hands.op))
    pc.greet()
    assert sent(pc.effects)[-1] == msg.Join("session-2", "boot-1", "ann")


def test_customer_who_starts_support_twice_stays_in_the_session() -> None:
    """R1: while the connection is up a second start changes nothing but tells the customer."""
    pc = Pc("application").join()
    before = pc.state
    assert pc.give(host.CustomerStarts("session-2")) == [host.Tell("already in a session")]
    assert pc.state == before


def test_customer_asks_anew_while_the_connection_is_lost() -> None:
    """R13: the earlier session is given up, with its order; the new code is used once all is cleaned up."""
    pc = Pc().join()
    pc.hold = (host.RequestRestart,)
    pc.order()
    pc.hold = ()
    pc.give(host.Disconnected("reset"))
    pc.give(host.CustomerStarts("session-2"))
    pc.give(host.Completed(pc.state.hands.op))
    assert "AbortRestart" in asked(pc.effects)
    assert pc.residue() == ()
    pc.greet()
    assert sent(pc.effects)[-1] == msg.Join("session-2", "boot-1", "ann")


def test_customer_corrects_a_mistyped_code() -> None:
    """R13: while joining, a second start takes the place of the first."""
    pc = Pc("application")
    pc.start()
    pc.give(host.CustomerStarts("session-9"))
    pc.give(host.CustomerStarts("session-1"))
    pc.greet()
    assert sent(pc.effects)[-1] == msg.Join("session-1", "boot-1", "ann")


def test_unknown_version_ends_cleanly() -> None:
    """Version negotiation."""
    pc = Pc("application")
    pc.start()
    pc.give(host.CustomerStarts("session-1"))
    pc.give(host.Connected())
    assert host.Tell("version") in pc.say(msg.Welcome(99))
    assert not pc.alive


# --- illegal input ------------------------------------------------------------------------------------------------


STARTED = host.Started(
    host.BootFacts("boot-1", "machine-1", "windows", "service", False, True, "ann", "visible"), None)


@pytest.mark.parametrize(
    ("prepare", "event", "error"),
    [
        (lambda pc: None, host.Connected(), core.NotStarted),
        (lambda pc: pc.start(), STARTED, core.AlreadyStarted),
        (lambda pc: pc.start(), host.Connected(), core.NoConnection),
        (lambda pc: pc.join(), host.Connected(), core.NoConnection),
        (lambda pc: pc.join(), host.ConnectFailed("x"), core.NoConnection),
        (lambda pc: (pc.start(), pc.fire("idle")), host.NetworkChanged(), core.Exited),
    ],
)
def test_illegal_input_is_named_and_changes_nothing(
    prepare: Callable[[Pc], object], event: host.Input, error: type[core.AgentError],
) -> None:
    """Design, *Functional core*: a named error, and the state as it was."""
    pc = Pc("application")
    prepare(pc)
    before = pc.state
    with pytest.raises(error, match="expected"):
        core.step(pc.state, event)
    assert pc.state is before


def test_phone_mode_offers_no_cancel_in_a_session() -> None:
    """R11: only from the start of the agent until the session has resumed."""
    pc = Pc("application").join(PHONE)
    assert of(pc.effects, host.ShowCancel) == []
    pc.give(host.CancelClicked())
    assert pc.state.goal == "member"
