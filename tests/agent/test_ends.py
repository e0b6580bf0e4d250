"""What an end leaves behind on the screen and in the agent's memory, and what it must not touch (rules 7, 11, 12)."""

from __future__ import annotations

import pytest

from rrsim.agent import host
from rrsim.protocol import messages as msg
from tests.agent.rig import SETTINGS, Pc, asked, of, sent

OVER = msg.SessionOver("ended")


def test_open_questions_are_taken_off_the_screen() -> None:
    pc = Pc().join()
    pc.say(msg.Ask(1, "sharing", 60_000_000))
    pc.give(host.CloseClicked())
    shown = {e.prompt for e in pc.effects if isinstance(e, host.ShowPrompt)}
    hidden = {e.prompt for e in pc.say(OVER) if isinstance(e, host.HidePrompt)}
    assert hidden == shown
    assert len(shown) == 2


@pytest.mark.parametrize("how", ["yes", "gone", "silence"])
def test_staying_once_does_not_mean_staying_for_ever(how: str) -> None:
    """Rule 12: the close button asks again."""
    pc = Pc().join()
    first = _asks_to_stay(pc)
    if how == "silence":
        assert host.HidePrompt(first) in pc.fire("ask leave")
    else:
        pc.give(host.Answered(first, "yes") if how == "yes" else host.PromptGone(first))
    pc.give(host.Answered(_asks_to_stay(pc), "no"))
    assert pc.state.goal == "idle"


def _asks_to_stay(pc: Pc) -> int:
    (prompt,) = of(pc.give(host.CloseClicked()), host.ShowPrompt)
    assert isinstance(prompt, host.ShowPrompt)
    return prompt.prompt


def test_nobody_is_asked_to_stay_when_windows_goes_down_or_no_session_is_there() -> None:
    pc = Pc().join()
    pc.order()
    pc.give(host.SessionEnding())
    assert not of(pc.give(host.CloseClicked()), host.ShowPrompt)
    pc = Pc().join()
    pc.say(OVER)
    assert not of(pc.give(host.CloseClicked()), host.ShowPrompt)


def test_the_silence_of_one_question_answers_no_other() -> None:
    """Rule 6."""
    pc = Pc().join()
    pc.say(msg.Ask(1, "restart", 60_000_000))
    pc.say(msg.Ask(2, "sharing", 60_000_000))
    assert sent(pc.fire("ask restart")) == [msg.ConsentAnswer(1, "silence", human=False)]
    assert [q.kind for q in pc.state.questions] == ["sharing"]


def test_the_server_hears_that_nobody_can_be_asked_any_more() -> None:
    """Rule 14, LO-05."""
    assert sent(Pc().join().give(host.HelperGone())) == [msg.HelperState("none", "")]


def test_an_order_that_was_not_requested_yet_aborts_nobodys_restart() -> None:
    """Only a restart that we asked for is ours to abort (IN-07)."""
    pc = Pc("application").join()
    pc.hold = (host.Save,)
    pc.order()
    pc.say(OVER)
    effects = pc.give(host.Completed(pc.state.hands.op))
    assert "AbortRestart" not in asked(pc.effects), effects
    assert pc.residue() == ()


def test_an_abort_that_waits_is_not_forgotten_when_the_session_ends() -> None:
    """Rule 11: withdrawn, and over before Windows answered the request."""
    pc = Pc("application").join()
    pc.hold = (host.RequestRestart,)
    pc.order()
    pc.say(msg.Withdraw(1, "restart limit"))
    assert "AbortRestart" not in asked(pc.effects), "one request at a time"
    pc.say(OVER)
    pc.give(host.Completed(pc.state.hands.op))
    assert "AbortRestart" in asked(pc.effects)
    assert not pc.restarting
    assert pc.residue() == ()


def test_the_next_session_of_a_service_begins_from_nothing() -> None:
    """I12: lines count anew, and nothing of the other session is sent into this one."""
    pc = Pc().join(msg.AgentSettings(phone_mode=True))
    pc.give(host.ChatTyped("of the first session"))
    pc.say(OVER)
    pc.give(host.CustomerStarts("session-2"))
    pc.greet()
    pc.say(msg.Joined("session-2", "key-2", SETTINGS))
    assert sent(pc.give(host.ChatTyped("of the second"))) == [msg.AgentChat(1, "of the second")]
    assert pc.state.settings == SETTINGS


def test_a_first_joining_that_never_reaches_the_server_gives_up() -> None:
    pc = Pc("application")
    pc.start()
    pc.give(host.CustomerStarts("session-1"))
    assert host.Tell("expired") in pc.fire("give up")
    assert not pc.alive


@pytest.mark.parametrize("mode", ["application", "service"])
def test_a_service_says_at_once_who_could_answer(mode: msg.AgentMode) -> None:
    """LO-05, CO-08."""
    states = [m for m in sent(Pc(mode).join().effects) if isinstance(m, msg.HelperState)]
    assert states == ([msg.HelperState("visible", "ann")] if mode == "service" else [])


def test_a_member_whose_server_never_comes_back_gives_up_and_one_that_is_back_does_not() -> None:
    """R13, rule 7."""
    pc = Pc("application").join()
    pc.give(host.Disconnected("cable"))
    assert pc.timers["give up"] == SETTINGS.silence_us + SETTINGS.resume_window_us
    assert not {"silence", "heartbeat"} & set(pc.timers)
    pc.fire("retry")
    pc.greet()
    pc.say(msg.Resumed("session-1", "key-2", SETTINGS, 0, 0))
    assert "give up" not in pc.timers
    pc.give(host.Disconnected("cable"))
    assert host.Tell("expired") in pc.fire("give up")
    assert not pc.alive
