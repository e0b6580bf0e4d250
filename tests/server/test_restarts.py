"""From the click to the order and to its end: R1-R4, R7, R10, rules 1, 2, 6, 8, 11, 12, 13; I4, I9; IN-*, CO-*."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.protocol.ticket import NoFresh
from rrsim.server.vocabulary import AgentSaid, RepHere
from tests.server.bench import Bench

ASKS = Account(ask_before_restart=True)


@pytest.mark.parametrize("place", get_args(msg.Place))
def test_each_place_opens_a_restart_that_must_be_confirmed(place: msg.Place) -> None:
    b = Bench().active()
    number = b.ask(place=place)
    assert b.told_rep(msg.ConfirmRestart) == [msg.ConfirmRestart(number, place, "normal")]
    assert b.last(rec.RestartAsked).place == place
    assert not b.records(rec.OrderGiven)
    b.rep(msg.Confirm(number, "yes"))
    order = b.told_agent(msg.Order)[0]
    assert (order.order, order.boot_mode, order.forced) == (number, "normal", False)
    assert b.last(rec.OrderGiven).boot == "boot-1"
    b.no_secret_in_journal()


@pytest.mark.parametrize(
    ("answer", "ending", "reason"),
    [("no", rec.RestartCancelled, "not confirmed"), ("silence", rec.RestartRefused, "no answer")],
)
def test_no_and_silence_of_the_representative_leave_the_session(answer: msg.Answer, ending: Any, reason: str) -> None:
    b = Bench().active()
    number = b.ask()
    if answer == "silence":
        b.wait(b.account.prompt_timeout_us)
    else:
        b.rep(msg.Confirm(number, answer))
    assert b.last(rec.RestartConfirmed).answer == answer
    assert reason in b.last(ending).reason
    assert b.name == "active"
    assert not b.records(rec.OrderGiven)
    b.rep(msg.Confirm(number, "yes"))
    assert not b.sent, "a late Yes confirms nothing"
    assert b.ask() == 2


def test_a_double_click_opens_one_restart() -> None:
    b = Bench().active()
    b.ask()
    assert b.ask() == 1
    assert "already under way" in b.told_rep(msg.RestartView)[0].reason
    b.rep(msg.Confirm(1, "yes"))
    assert b.ask() == 1
    assert len(b.records(rec.RestartAsked)) == 1
    b.say(msg.Armed(1))
    b.say(msg.Restarting(1))
    assert b.ask() == 1
    assert b.told_rep(msg.RestartView)[0].phase == "rebooting"


REFUSALS: list[tuple[dict[str, Any], Account, str]] = [
    ({"kind": "unattended"}, Account(), "not a standard session"),
    ({"kind": "meeting"}, Account(), "not a standard session"),
    ({"platform": "mac"}, Account(), "not available for mac"),
    ({"platform": "linux"}, Account(), "not available for linux"),
    ({}, Account(restart_allowed=False), "switched off"),
    ({}, Account(needs_viewer=True), "the screen is not shared"),
]


@pytest.mark.parametrize(("setup", "account", "reason"), REFUSALS)
def test_absent_and_refused_if_forced(setup: dict[str, Any], account: Account, reason: str) -> None:
    b = Bench(account, **setup).active()
    b.do(RepHere("rep-1"))
    assert not b.told_rep(msg.SessionView)[0].restart_offered
    assert b.ask() == 1
    assert reason in b.last(rec.RestartRefused).reason
    assert b.told_rep(msg.RestartView)[0].phase == "refused"
    assert b.ask() == 2, "every request is a restart of its own"
    assert b.name == "active"


def test_safe_mode_needs_the_service() -> None:
    b = Bench().active()
    b.do(RepHere("rep-1"))
    view = b.told_rep(msg.SessionView)[0]
    assert (view.restart_offered, view.safe_mode_offered) == (True, False)
    b.ask(boot_mode="safe")
    assert "service" in b.last(rec.RestartRefused).reason
    service = Bench(mode="service").active()
    service.do(RepHere("rep-1"))
    assert service.told_rep(msg.SessionView)[0].safe_mode_offered
    service.rep(msg.Confirm(service.ask(boot_mode="safe"), "yes"))
    assert service.told_agent(msg.Order)[0].boot_mode == "safe"


def test_viewer_variant_offers_while_the_screen_is_shared() -> None:
    b = Bench(Account(needs_viewer=True)).active()
    b.rep(msg.RequestSharing(True))
    assert b.told_rep(msg.SessionView)[-1].restart_offered
    b.ask()
    assert not b.records(rec.RestartRefused)


def test_queued_sessions_and_strangers_to_the_session() -> None:
    b = Bench()
    b.join()
    b.ask()
    assert b.last(rec.RestartRefused).reason == "the session is queued"
    b.rep(msg.Take())
    b.rep(msg.AskRestart("chat window"), rep="rep-2")
    assert b.last(rec.RestartRefused).reason == "another representative has the session"
    b.drop()
    b.ask()
    assert b.last(rec.RestartRefused).reason == "the customer is not connected"


def test_queued_restart_resumes_to_the_queue() -> None:
    b = Bench(Account(queued_restart=True))
    b.join()
    b.rep(msg.Confirm(b.ask(), "yes"))
    assert b.told_agent(msg.Order)
    b.say(msg.Armed(1))
    b.say(msg.Restarting(1))
    b.drop()
    assert b.name == "rebooting"
    b.resume()
    assert b.name == "queued"


def test_without_a_boot_mark_no_new_boot_could_be_proved() -> None:
    b = Bench()
    b.boot = ""
    b.active()
    b.ask()
    assert "boot mark" in b.last(rec.RestartRefused).reason


# --- the customer is asked ----------------------------------------------------------------------------------------


def test_the_customers_yes_gives_the_order() -> None:
    b = Bench(ASKS).active()
    b.rep(msg.Confirm(b.ask(), "yes"))
    assert b.told_agent(msg.Ask) == [msg.Ask(1, "restart", ASKS.prompt_timeout_us)]
    assert not b.records(rec.OrderGiven)
    with pytest.raises(NoFresh):
        b.do(AgentSaid(b.state.conn, msg.ConsentAnswer(1, "yes", True)))
    b.say(msg.ConsentAnswer(1, "yes", True))
    assert b.told_agent(msg.Order)
    b.say(msg.ConsentAnswer(1, "no", True))
    assert len(b.records(rec.CustomerAnswered)) == 1, "an answer counts once"


def test_the_customers_no_cancels() -> None:
    b = Bench(ASKS).active()
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.say(msg.ConsentAnswer(1, "no", True))
    assert b.last(rec.RestartCancelled).by == "customer"
    assert b.name == "active"
    assert not b.records(rec.OrderGiven)


def test_a_no_ends_the_session_where_the_account_says_so() -> None:
    b = Bench(Account(ask_before_restart=True, decline_ends_session=True)).active()
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.say(msg.ConsentAnswer(1, "no", True))
    assert b.name == "ended"
    assert b.last(rec.SessionEnded).by == "customer"


@pytest.mark.parametrize("agent_says_so", [True, False])
def test_silence_is_no(agent_says_so: bool) -> None:
    b = Bench(ASKS).active()
    b.rep(msg.Confirm(b.ask(), "yes"))
    if agent_says_so:
        b.say(msg.ConsentAnswer(1, "silence", False))
    else:
        b.wait(ASKS.prompt_timeout_us + 5_000_000)
    answered = b.last(rec.CustomerAnswered)
    assert (answered.answer, answered.human) == ("silence", False)
    assert b.last(rec.RestartRefused).reason == "silence"
    assert b.name == "active"
    assert not b.records(rec.OrderGiven)


def test_automatic_acceptance_is_recorded_as_no_human_consent() -> None:
    b = Bench(Account(ask_before_restart=True, auto_accept_silence=True)).active()
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.say(msg.ConsentAnswer(1, "silence", False))
    answered = b.last(rec.CustomerAnswered)
    assert (answered.answer, answered.human) == ("yes", False)
    assert b.told_agent(msg.Order)


AUTOMATIC = Account(ask_before_restart=True, auto_accept_silence=True)


def test_automatic_acceptance_never_turns_a_no_into_a_yes() -> None:
    b = Bench(AUTOMATIC).active()
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.say(msg.ConsentAnswer(1, "no", True))
    assert b.last(rec.CustomerAnswered).answer == "no"
    assert b.last(rec.RestartCancelled).by == "customer"
    assert not b.records(rec.OrderGiven)


def test_an_agent_that_says_nothing_at_all_accepts_nothing() -> None:
    b = Bench(AUTOMATIC).active()
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.wait(AUTOMATIC.prompt_timeout_us + 5_000_000)
    assert b.last(rec.RestartRefused).reason == "silence"
    assert not b.records(rec.OrderGiven)


def test_the_console_follows_every_stage() -> None:
    b = Bench(ASKS).active()
    b.rep(msg.Confirm(b.ask(), "yes"))
    assert b.told_rep(msg.RestartView) == [msg.RestartView(1, "asking customer")]
    b.say(msg.ConsentAnswer(1, "yes", True))
    assert b.told_rep(msg.RestartView) == [msg.RestartView(1, "arming")]
    b.say(msg.Armed(1))
    assert b.told_rep(msg.RestartView) == [msg.RestartView(1, "armed")]
    b.say(msg.Restarting(1))
    assert b.told_rep(msg.RestartView) == [msg.RestartView(1, "rebooting")]


def test_a_lost_customer_cannot_be_ordered() -> None:
    b = Bench(ASKS).active()
    number = b.ask()
    b.drop()
    b.rep(msg.Confirm(number, "yes"))
    assert "not connected" in b.last(rec.RestartRefused).reason
    b.reconnect()
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.drop()
    b.wait(ASKS.prompt_timeout_us + 5_000_000)
    assert b.last(rec.RestartRefused).reason == "silence"
    assert b.name == "interrupted"


# --- armed, or not ------------------------------------------------------------------------------------------------


def test_a_failed_step_refuses_with_its_reason() -> None:
    b = Bench().ordered()
    ticket = b.ticket
    b.say(msg.ArmFailed(1, "record saved", "disk full"))
    assert b.last(rec.RestartRefused).reason == "record saved: disk full"
    assert b.name == "active"
    b.drop()
    b.resume(ticket=ticket)
    assert b.last(rec.ClaimRejected).reason == "no order stands"


@pytest.mark.parametrize(
    ("opens", "at_order", "at_announcement"),
    [("order", True, True), ("announcement", False, True), ("disconnect", False, False)],
)
def test_when_the_window_opens(opens: Any, at_order: bool, at_announcement: bool) -> None:
    b = Bench(Account(window_opens=opens)).armed()
    assert (b.name == "rebooting") == at_order
    b.say(msg.Restarting(1))
    assert (b.name == "rebooting") == at_announcement
    b.drop()
    assert b.name == "rebooting"
    window = b.records(rec.WindowOpened)
    assert [w.reason for w in window] == [opens]


def test_a_loss_before_armed_opens_the_window_too() -> None:
    b = Bench().ordered()
    b.drop()
    assert b.name == "rebooting"
    b.resume()
    assert b.name == "active"


@pytest.mark.parametrize("stage", ["arming", "armed"])
def test_the_restart_limit_undoes_an_order_that_brought_nothing_down(stage: str) -> None:
    b = Bench().ordered()
    if stage == "armed":
        b.alive(200_000_000)
        b.say(msg.Armed(1))
    b.alive(b.account.restart_limit_us - 1)
    assert not b.records(rec.RestartUndone)
    b.alive(1)
    assert b.told_agent(msg.Withdraw)[0].order == 1
    assert b.last(rec.RestartUndone).restart == 1
    assert b.name == "active"
    b.say(msg.Armed(1))
    assert b.told_agent(msg.Withdraw), "an agent that arms too late is told"
    assert b.ask() == 2


def test_the_limit_means_nothing_once_windows_goes_down() -> None:
    b = Bench().armed()
    b.say(msg.Restarting(1))
    b.alive(b.account.restart_limit_us + 1)
    assert not b.records(rec.RestartUndone)
    b.resume()
    assert b.name == "active"


def test_the_limit_means_nothing_while_the_pc_is_away() -> None:
    b = Bench().armed()
    b.drop()
    b.wait(b.account.restart_limit_us)
    assert b.name == "rebooting"
    b.resume()
    assert b.name == "active"


@pytest.mark.parametrize("announced", [False, True])
def test_a_restart_that_does_not_happen(announced: bool) -> None:
    b = Bench().armed()
    if announced:
        b.say(msg.Restarting(1))
    b.say(msg.NotRestarting(1, "cancelled at the block screen"))
    assert b.last(rec.RestartUndone).reason == "cancelled at the block screen"
    assert b.name == "active"
    assert not {"window", "limit"} & set(b.timers)


def test_a_second_restart_after_the_agent_is_back_has_a_window_of_its_own() -> None:
    b = Bench().rebooting()
    b.wait(100_000_000)
    b.resume()
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.say(msg.Armed(2))
    b.say(msg.Restarting(2))
    assert b.timers["window"][0] == b.now_us + b.account.resume_window_us
    b.drop()
    b.resume(boot="boot-3")
    assert [r.restart for r in b.records(rec.EndpointResumed)] == [1, 2]


def test_messages_about_another_order_change_nothing() -> None:
    b = Bench().armed()
    before = b.state.durable
    b.say(msg.NotRestarting(7, "?"))
    b.say(msg.ArmFailed(7, "?", "?"))
    b.say(msg.Armed(1))
    assert b.state.durable == before


@pytest.mark.parametrize("stage", ["asked", "asking the customer"])
def test_messages_about_an_order_that_was_not_given_yet_change_nothing(stage: str) -> None:
    b = Bench(ASKS).active()
    number = b.ask()
    if stage == "asking the customer":
        b.rep(msg.Confirm(number, "yes"))
    before = b.state.durable
    for message in (
        msg.Armed(number), msg.Restarting(number), msg.NotRestarting(number, "?"), msg.ArmFailed(number, "?", "?"),
    ):  # fmt: skip
        b.say(message)
        assert b.state.durable == before, message


def test_the_same_desktop_is_recorded_once() -> None:
    b = Bench(mode="service").active()
    said: tuple[tuple[msg.Desktop, int], ...] = (("visible", 1), ("visible", 1), ("locked", 2), ("locked", 2))
    for desktop, times in said:
        b.say(msg.HelperState(desktop, "customer"))
        assert len(b.records(rec.HelperSeen)) == times
    b.say(msg.HelperState("locked", "somebody else"))
    assert len(b.records(rec.HelperSeen)) == 3


# --- people stop it -----------------------------------------------------------------------------------------------


def test_the_customer_leaves_before_the_restart() -> None:
    b = Bench().active()
    b.ask()
    b.say(msg.Leave("closed the chat window"))
    assert b.last(rec.RestartCancelled).by == "customer"
    assert b.last(rec.SessionEnded).by == "customer"
    assert b.name == "ended"
    assert b.told_agent(msg.SessionOver)


def test_the_customer_leaves_after_armed() -> None:
    b = Bench().armed()
    b.say(msg.Leave("closed the chat window"))
    assert not b.records(rec.RestartCancelled), "the PC may be restarting: the verdict is not the server's"
    assert b.name == "ended"


@pytest.mark.parametrize("stage", ["asked", "ordered", "armed", "rebooting"])
def test_the_representative_ends_the_session(stage: str) -> None:
    b = Bench()
    if stage == "asked":
        b.active().ask()
    else:
        getattr(b, stage)()
    conn = b.state.conn
    b.rep(msg.EndSession())
    assert b.last(rec.RestartCancelled).by == "representative"
    assert b.name == "ended"
    assert b.hung_up == ([conn] if conn else [])
    assert not b.timers
    if stage == "rebooting":
        b.resume()
        assert b.last(rec.ClaimRejected).reason == "session ended"
