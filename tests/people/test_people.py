"""The customer: prompts, leaving, start-up secrets, signing in, wishes; and any order of inputs."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim import people
from rrsim.machine import observations as seen
from rrsim.people import customer, mind, rep
from rrsim.people import vocabulary as parts
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import CustomerHabits, PcSetup
from rrsim.scenario.words import Duration
from tests.people.people_driver import DOWN, ON, WELCOME, a_customer, gone, press, shown, sign_in

# --- prompts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["restart prompt", "sharing prompt"])
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_prompt_is_answered_by_habit_after_a_reaction_time(prompt: Any, answer: Any) -> None:
    who = a_customer(**{f"at_{prompt.replace(' ', '_')}": answer})
    assert who.tell(shown(prompt)) == []
    assert who.timers[f"react {prompt}"].draw == "customer reacts"
    assert who.fire(f"react {prompt}") == [press(prompt, answer, by_habit=True)]


def test_an_ignored_prompt_is_not_answered() -> None:
    who = a_customer(at_restart_prompt="ignore")
    assert who.tell(shown("restart prompt")) == []
    assert who.timers == {}


def test_a_prompt_that_goes_away_is_not_answered() -> None:
    who = a_customer()
    who.tell(shown("restart prompt"), gone("restart prompt"))
    assert who.timers == {}
    assert customer.step(who.state, TimerFired("react restart prompt")) == (who.state, ())


def test_a_fixed_reaction_time_is_used() -> None:
    who = a_customer(reacts_in_us=Duration(1_000_000))
    who.tell(shown("restart prompt"))
    assert who.timers["react restart prompt"].us == 1_000_000


def test_an_action_answers_at_once_in_place_of_the_habit() -> None:
    who = a_customer()
    who.tell(shown("restart prompt"))
    assert who.tell(act.CustomerAnswers(prompt="restart prompt", answer="no")) == [press("restart prompt", "no")]
    assert who.timers == {}


def test_an_action_waits_for_its_window_and_says_so() -> None:
    who = a_customer()
    assert who.tell(act.CustomerAnswers(prompt="sharing prompt", answer="no")) == []
    assert who.wishes() == ("customer answers: the window 'sharing prompt' did not appear",)
    assert who.tell(shown("sharing prompt")) == [press("sharing prompt", "no")]
    assert who.wishes() == ()
    assert who.timers == {}


def test_wishes_survive_a_restart_and_windows_do_not() -> None:
    who = a_customer()
    who.tell(shown("chat"), act.CustomerAnswers(prompt="sharing prompt", answer="no"), *DOWN)
    assert who.tell(act.CustomerChats(text="still there?")) == []
    assert len(who.wishes()) == 2
    assert who.tell(shown("sharing prompt")) == [press("sharing prompt", "no")]
    assert who.tell(shown("chat")) == [parts.ToPc(parts.TypeChat("still there?"))]


@pytest.mark.parametrize(("leaves", "button"), [("yes", "no"), ("no", "yes"), ("silence", None)])
def test_leaving_means_no_to_keeping_the_session_open(leaves: Any, button: str | None) -> None:
    who = a_customer()
    who.tell(shown("chat"))
    assert who.tell(act.CustomerClosesChat(leaves=leaves)) == [press("chat", "close")]
    who.tell(shown("leave prompt"))
    if button is None:
        assert who.timers == {}
    else:
        assert who.fire("react leave prompt") == [press("leave prompt", button, by_habit=True)]
    assert who.state.leaves == ("silence" if button is None else "")


def test_a_leave_prompt_nobody_asked_for_gets_no_answer() -> None:
    who = a_customer()
    who.tell(shown("leave prompt"))
    assert who.timers == {}


def test_only_a_phone_customer_cancels_by_habit() -> None:
    for phone in (True, False):
        who = a_customer(phone=phone, cancels_reconnect=True)
        who.tell(shown("cancel option"))
        assert bool(who.timers) is phone
    who = a_customer(phone=True)
    who.tell(act.CustomerCancelsReconnect())
    assert who.wishes() == ("customer cancels the reconnect: the window 'cancel option' did not appear",)
    assert who.tell(shown("cancel option")) == [press("cancel option", "cancel")]


def test_the_block_screen() -> None:
    who = a_customer(at_block_screen="cancel")
    who.tell(seen.RestartBlocked("editor"), shown("block screen"))
    assert who.fire("react block screen") == [press("block screen", "cancel", by_habit=True)]
    who = a_customer()
    who.tell(seen.RestartBlocked("editor"))
    assert who.timers == {}
    action = act.CustomerAtBlockScreen(choice="restart anyway")
    assert who.tell(action) == [press("block screen", "restart anyway")]


def test_a_dialog_is_clicked_only_by_an_action() -> None:
    who = a_customer()
    who.tell(shown("windows restart dialog"))
    assert who.timers == {}
    assert who.tell(act.CustomerClicks()) == [press("windows restart dialog", "restart")]


@pytest.mark.parametrize("window", ["bitlocker", "bios password"])
def test_start_up_secrets(window: Any) -> None:
    who = a_customer()
    who.tell(*DOWN, seen.PhaseBegan(window))
    assert who.timers[f"react {window}"].draw == "customer types secret"
    assert who.fire(f"react {window}") == [parts.ToPc(parts.TypeSecret())]
    who.tell(seen.PhaseBegan("loading"))
    assert who.state.windows == ()
    who = a_customer(types_start_up_secret=False)
    who.tell(*DOWN, act.CustomerTypesSecret())
    assert who.wishes() == ("customer types the start-up secret: nothing asked for a start-up secret",)
    assert who.tell(seen.PhaseBegan(window)) == [parts.ToPc(parts.TypeSecret())]


# --- signing in -------------------------------------------------------------------------------------------------


def test_the_customer_signs_in_after_wrong_passwords() -> None:
    who = a_customer(wrong_passwords_first=2, logs_on_after_us=Duration(3))
    who.tell(*DOWN, WELCOME)
    assert who.timers["log on"].us == 3
    for _ in range(2):
        assert who.fire("log on") == [sign_in("wrong password")]
        who.tell(seen.LogonFailed("right"))
    assert who.fire("log on") == [sign_in("right user")]
    who.tell(ON)
    assert who.timers == {}


def test_a_user_with_only_a_wrong_password_tries_once() -> None:
    who = a_customer(logs_on="wrong password")
    who.tell(*DOWN, WELCOME)
    assert who.fire("log on") == [sign_in("wrong password")]
    who.tell(seen.LogonFailed("right"))
    assert who.timers == {}


def test_nobody_signs_in_when_nobody_is_there_or_windows_did_it() -> None:
    who = a_customer(logs_on="nobody")
    who.tell(*DOWN, WELCOME)
    assert who.timers == {}
    who = a_customer()
    who.tell(*DOWN, WELCOME, ON)
    assert who.timers == {}


def test_an_automatic_wrong_password_leaves_the_person_s_own_attempt_alone() -> None:
    who = a_customer()
    who.tell(*DOWN, WELCOME, seen.LogonFailed("right"))
    assert who.fire("log on") == [sign_in("right user")]


def test_an_action_signs_in_at_the_next_welcome_screen_instead_of_the_habit() -> None:
    who = a_customer()
    who.tell(*DOWN, act.CustomerLogsOn(how="other user"))
    assert who.wishes() == ("customer logs on: the welcome screen did not appear",)
    assert who.tell(WELCOME) == [sign_in("other user")]
    assert who.timers == {}
    who = a_customer()
    who.tell(*DOWN, WELCOME)
    assert who.tell(act.CustomerLogsOn()) == [sign_in("right user")]
    assert who.timers == {}


def test_who_signs_out_on_purpose_stays_out_until_the_next_boot() -> None:
    who = a_customer()
    assert who.tell(act.CustomerLogsOff()) == [parts.ToPc(act.CustomerLogsOff())]
    who.tell(WELCOME)
    assert who.timers == {}
    who.tell(*DOWN, WELCOME)
    assert "log on" in who.timers


def test_a_locked_desktop_is_unlocked_only_by_an_action() -> None:
    locked = seen.LoggedOn("right", "locked", True)
    who = a_customer(setup={"network": "dial-up"})
    who.tell(*DOWN, WELCOME, locked, act.CustomerUnlocks(), seen.PhaseBegan("shell"))
    assert who.wishes() == ("customer unlocks the screen: there was no locked desktop",)
    assert who.tell(seen.PhaseBegan("desktop")) == [parts.ToPc(act.CustomerUnlocks())]
    assert who.timers == {}
    who.tell(ON)
    assert "dial" in who.timers


@pytest.mark.parametrize(
    "action",
    [
        act.CustomerPowersOn(), act.CustomerShutsDown(), act.CustomerRestartsFromStart(), act.CustomerLogsOff(),
        act.CustomerQuitsAgent(),
    ],
)  # fmt: skip
def test_what_simply_acts_on_the_pc_is_passed_on(action: Any) -> None:
    assert a_customer().tell(action) == [parts.ToPc(action)]


def test_asking_for_support_anew() -> None:
    assert a_customer().tell(act.CustomerStartsSupport()) == [parts.NewRequest()]


def test_too_many_wishes_and_foreign_inputs_are_named_errors() -> None:
    who = a_customer()
    for _ in range(mind.MAX_WISHES):
        who.tell(act.CustomerUnlocks())
    with pytest.raises(customer.TooManyWishes, match="customer unlocks the screen"):
        who.tell(act.CustomerUnlocks())
    assert who.tell(shown("chat"), act.CustomerClosesChat()) == [press("chat", "close")]
    with pytest.raises(customer.NotForCustomer, match="RepTakes"):
        who.tell(act.RepTakes())


def test_every_person_s_action_has_a_part() -> None:
    named = {kind for kind in get_args(act.AnyAction) if kind.__name__.startswith(("Rep", "Customer"))}
    assert named == set(rep.ACTIONS) | set(customer.ACTIONS)


# --- any order of inputs ----------------------------------------------------------------------------------------

WINDOW = st.sampled_from(get_args(seen.Window))
HABITS = st.builds(
    CustomerHabits,
    at_restart_prompt=st.sampled_from(["yes", "no", "ignore"]),
    logs_on=st.sampled_from(["right user", "other user", "wrong password", "nobody"]),
    wrong_passwords_first=st.integers(0, 2),
    dials=st.sampled_from(["by hand", "never"]),
    redials=st.integers(0, 2),
    at_block_screen=st.sampled_from(["wait", "cancel"]),
    cancels_reconnect=st.booleans(),
)
SETUPS = st.builds(PcSetup, network=st.sampled_from(["lan", "wifi", "vpn", "dial-up"]), captive_portal=st.booleans())
NOTICED = st.one_of(
    st.builds(seen.WindowShown, WINDOW),
    st.builds(seen.WindowGone, WINDOW, st.just("agent")),
    st.builds(seen.PhaseBegan, st.sampled_from(get_args(seen.Phase))),
    st.builds(seen.LoggedOn, st.just("right"), st.sampled_from(["visible", "locked", "black"]), st.booleans()),
    st.builds(seen.LinkChanged, st.booleans(), st.sampled_from(["lan", "vpn", "dial-up"])),
    st.builds(seen.DialProgress, st.sampled_from(["dialling", "busy", "no carrier", "connected", "dropped"])),
    st.sampled_from([seen.LogonFailed("right"), seen.WentDown("power", False), seen.RestartBlocked("editor")]),
)
DONE = st.one_of(
    [st.builds(kind) for kind in customer.ACTIONS if kind is not act.CustomerAnswers]
    + [st.builds(act.CustomerAnswers, prompt=st.just("restart prompt"), answer=st.just("no"))]
)


@settings(max_examples=300, deadline=None)
@given(HABITS, SETUPS, st.booleans(), st.lists(st.one_of(NOTICED, DONE, st.integers(0, 5)), max_size=50))
def test_no_order_of_inputs_breaks_the_customer(
    habits: CustomerHabits, setup: PcSetup, phone: bool, events: list[Any]
) -> None:
    state, running = customer.initial(habits, setup, "service", phone), dict[str, None]()
    for drawn in events:
        event = drawn
        if isinstance(drawn, int):  # let one of the running timers fire
            if drawn >= len(running):
                continue
            event = TimerFired(list(running)[drawn])
            running.pop(event.name)
        before = state
        try:
            state, effects = customer.step(state, event)
        except customer.TooManyWishes:
            assert len(before.wishes) == mind.MAX_WISHES
            continue
        assert (state, effects) == customer.step(before, event)
        assert hash(state) == hash(customer.step(before, event)[0])
        assert len(state.wishes) <= mind.MAX_WISHES
        assert all(mind.missing_for(state, wish) for wish in state.wishes)  # nothing possible is left undone
        assert set(state.windows) <= set(get_args(seen.Window))
        for effect in effects:
            match effect:
                case parts.After():
                    assert effect.draw in people.DRAWS
                    running[effect.name] = None
                case parts.Forget():
                    running.pop(effect.name, None)
                case parts.ToPc(what=parts.Press(window=window)):
                    # A person presses only what was on the screen, then or when the input arrived.
                    assert window in before.windows or window in state.windows
                case parts.ToNet():
                    assert isinstance(event, (TimerFired, *customer.ACTIONS)) or before.wishes
