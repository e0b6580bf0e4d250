"""The representative: confirmations, controls that are not offered, a lost console; and any order of inputs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.people import rep
from rrsim.people import vocabulary as parts
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import RepHabits
from rrsim.scenario.words import Duration
from tests.people.people_driver import WELCOME, Person


def a_rep(**habits: Any) -> Person:
    return Person(rep, rep.initial(RepHabits(**habits), "rep-1"))


def view(session: str = "session-1", *, restart: bool = True, safe: bool = False) -> parts.ConsoleHeard:
    return parts.ConsoleHeard(session, msg.SessionView("active", restart, safe, False))


def asked(order: int, session: str = "session-1") -> parts.ConsoleHeard:
    return parts.ConsoleHeard(session, msg.ConfirmRestart(order, "chat window", "normal"))


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_the_confirmation_is_answered_by_habit(answer: Any) -> None:
    who = a_rep(confirms=answer)
    assert who.tell(asked(3)) == []
    assert who.timers["confirm session-1"].draw == "rep reacts"
    assert who.fire("confirm session-1") == [parts.Say(msg.Confirm(3, answer), "session-1")]


def test_an_ignored_confirmation_gets_no_answer() -> None:
    who = a_rep(confirms="ignore")
    who.tell(asked(1))
    assert who.timers == {}


def test_confirmations_of_several_sessions_are_kept_apart() -> None:
    who = a_rep(reacts_in_us=Duration(5))
    who.tell(asked(1, "session-1"), asked(1, "session-2"), asked(2, "session-2"))
    assert who.timers["confirm session-2"].us == 5
    assert who.fire("confirm session-2") == [parts.Say(msg.Confirm(2, "yes"), "session-2")]
    assert who.fire("confirm session-1") == [parts.Say(msg.Confirm(1, "yes"), "session-1")]


def test_a_refused_restart_needs_no_answer_any_more() -> None:
    who = a_rep()
    who.tell(asked(1), parts.ConsoleHeard("session-1", msg.RestartView(1, "refused")))
    assert who.timers == {}
    who.tell(asked(2), parts.ConsoleHeard("session-1", msg.RestartView(1, "cancelled")))
    assert "confirm session-1" in who.timers


def test_a_control_that_is_not_offered_cannot_be_pressed_until_it_is() -> None:
    who = a_rep()
    assert who.tell(act.RepRestarts(mode="safe", from_="tools menu")) == []
    assert who.wishes() == ('rep restarts: the control "restart" is not offered',)
    assert who.tell(view()) == []
    assert who.wishes() == ('rep restarts: the control "restart in safe mode" is not offered',)
    assert who.tell(view("session-2", safe=True)) == []
    ask = parts.Say(msg.AskRestart("tools menu", "safe", False), "session-1")
    assert who.tell(view(safe=True)) == [ask]
    assert who.wishes() == ()


def test_an_offered_control_is_pressed_at_once_and_a_script_needs_none() -> None:
    who = a_rep()
    bypass = act.RepRestarts(bypass_controls=True, mode="safe", end_programs=True)
    assert who.tell(bypass) == [parts.Say(msg.AskRestart("chat window", "safe", True), "session-1")]
    who.tell(view("session-2"))
    assert who.tell(act.RepRestarts(customer=2)) == [parts.Say(msg.AskRestart("chat window"), "session-2")]
    anew = parts.RepActs("session-2", act.RepRestarts(customer=1))
    assert who.tell(anew) == [parts.Say(msg.AskRestart("chat window"), "session-2")]


def test_what_a_representative_says() -> None:
    who = a_rep()
    pairs: list[tuple[Any, Any]] = [
        (act.RepTakes(), msg.Take()),
        (act.RepChats(text="hi"), msg.RepChat("hi")),
        (act.RepEnds(), msg.EndSession()),
        (act.RepTransfers(to="rep-2"), msg.Transfer("rep-2")),
        (act.RepStartsSharing(), msg.RequestSharing(True)),
        (act.RepStopsSharing(), msg.RequestSharing(False)),
    ]
    for action, message in pairs:
        assert who.tell(action) == [parts.Say(message, "session-1")]


def test_hands_on_the_customer_s_pc() -> None:
    who = a_rep()
    click = parts.Press("representative", "installer restart dialog", "later")
    action = act.RepClicks(window="installer restart dialog", button="later")
    assert who.tell(action) == [parts.ToPc(click, "session-1")]
    password = act.RepTypesPassword(right=False)
    assert who.tell(password) == [parts.ToPc(password, "session-1")]


def test_without_a_console_nothing_is_said_until_it_is_back() -> None:
    who = a_rep()
    who.tell(view(), asked(1))
    assert who.tell(act.RepConsoleLost()) == [parts.ConsoleUp(False)]
    assert who.tell(act.RepConsoleLost()) == []
    assert who.timers == {}
    assert who.tell(act.RepChats(), act.RepRestarts(), view(), asked(1)) == []
    assert who.wishes()[0] == "rep chats: the console is not connected"
    chat = parts.Say(msg.RepChat("hello from the representative"), "session-1")
    assert who.tell(act.RepConsoleReturns()) == [parts.ConsoleUp(True), chat]
    assert who.tell(view()) == [parts.Say(msg.AskRestart("chat window"), "session-1")]
    assert who.tell(act.RepConsoleReturns()) == []


def test_limits_and_foreign_inputs_are_named_errors() -> None:
    who = a_rep()
    for _ in range(rep.MAX_WISHES):
        who.tell(act.RepRestarts())
    with pytest.raises(rep.TooManyWishes, match="rep restarts"):
        who.tell(act.RepRestarts())
    with pytest.raises(rep.NotForRep, match="CustomerChats"):
        who.tell(parts.RepActs("session-1", act.CustomerChats()))
    with pytest.raises(rep.NotForRep, match="PhaseBegan"):
        who.tell(WELCOME)


SESSIONS = st.integers(1, 40).map("session-{}".format)
INPUTS: list[st.SearchStrategy[Any]] = [
    st.builds(asked, st.integers(1, 3), SESSIONS),
    st.builds(view, SESSIONS, restart=st.booleans(), safe=st.booleans()),
    st.one_of([st.builds(kind) for kind in rep.ACTIONS]),
    st.builds(act.RepRestarts, mode=st.just("safe"), bypass_controls=st.booleans()),
    st.builds(TimerFired, SESSIONS.map("confirm {}".format) | st.just("nonsense")),
]


@settings(max_examples=200, deadline=None)
@given(
    st.builds(RepHabits, confirms=st.sampled_from(["yes", "no", "ignore"])), st.lists(st.one_of(INPUTS), max_size=80)
)
def test_no_order_of_inputs_breaks_the_representative(habits: RepHabits, events: list[Any]) -> None:
    state = rep.initial(habits, "rep-1")
    for event in events:
        before = state
        try:
            state, effects = rep.step(state, event)
        except rep.TooManyWishes:
            assert len(before.wishes) == rep.MAX_WISHES
            continue
        assert (state, effects) == rep.step(before, event)
        assert hash(state) == hash(rep.step(before, event)[0])
        assert len(state.views) <= rep.MAX_SESSIONS
        assert len(state.questions) <= rep.MAX_SESSIONS
        for effect in effects:
            if isinstance(effect, parts.Say):
                assert state.console
                if isinstance(effect.message, msg.Confirm):
                    assert (effect.session, effect.message.order) in before.questions
