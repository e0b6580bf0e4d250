"""Who gets in, who is turned away: rules 1, 3, 5, 9, 11; I1, I2, I3; R11; SE-01, SE-02, SE-05, RE-05, EX-01, EX-04."""

from __future__ import annotations

import pytest

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.server.vocabulary import AgentGone, AgentSaid, Claimed, RepHere
from tests.server.bench import Bench, refuses

PHONE = Account(phone_mode=True)
SETME = Account(profile="setme", foreign_resumes=True)
SETME_ASKS = Account(profile="setme", foreign_resumes=True, ask_before_sharing=True)
RESCUE = Account(profile="rescue", expiry_final=False)


# --- join -------------------------------------------------------------------------------------------------------


def test_join_then_take_and_take_then_join_are_both_active() -> None:
    b = Bench().active()
    assert b.name == "active"
    other = Bench()
    other.join()
    assert other.name == "queued"
    other.rep(msg.Take())
    assert other.name == "active"
    assert other.last(rec.EndpointJoined).boot == "boot-1"


@pytest.mark.parametrize("machine", ["machine-1", "machine-2"])
def test_a_second_connection_is_turned_away_and_disturbs_nobody(machine: str) -> None:
    b = Bench().active()
    assert refuses(b, lambda: b.join(machine), "another endpoint is joined").what == "second connection"
    b.say(msg.AgentChat(1, "still here"))
    assert b.last(rec.ChatLine).text == "still here"


def test_the_code_is_good_once() -> None:
    b = Bench().active()
    b.say(msg.Heartbeat())
    b.drop()
    refuses(b, b.join, "the code is used")


def test_a_lost_answer_to_join_is_given_again() -> None:
    b = Bench().active()
    b.drop()
    b.join()
    assert b.name == "active"
    assert len(b.records(rec.EndpointJoined)) == 1
    b.drop()
    b.reconnect()
    assert b.name == "active", "the new key is the good one"


def test_a_lost_answer_to_join_is_given_again_to_a_boot_with_a_mark_only() -> None:
    b = Bench()
    b.boot = ""
    b.join()
    b.drop()
    refuses(b, b.join, "the code is used")


def test_the_code_lets_nobody_in_after_a_resume() -> None:
    """The resumed endpoint has said nothing yet, and its own boot offers the code it joined with: still used."""
    b = Bench().rebooting()
    b.resume()
    b.drop()
    b.boot = "boot-2"
    refuses(b, b.join, "the code is used")


# --- resume -----------------------------------------------------------------------------------------------------


def test_resume_from_a_new_boot_closes_the_window() -> None:
    b = Bench().rebooting()
    assert b.name == "rebooting"
    b.resume()
    assert b.name == "active"
    assert b.last(rec.EndpointResumed).restart == 1
    assert not {"window", "limit"} & set(b.timers)
    assert b.told_rep(msg.RestartView) == [msg.RestartView(1, "resumed")]
    b.wait(3_600_000_000 // 60)
    assert b.name == "active"


def test_same_boot_never_resumes_and_spends_nothing() -> None:
    b = Bench().rebooting()
    refuses(b, lambda: b.resume(boot="boot-1"), "same boot")
    b.resume()
    assert b.name == "active"


def test_the_ticket_is_bound_to_its_machine() -> None:
    b = Bench().rebooting()
    refuses(b, lambda: b.resume(machine="machine-2"), "another machine")
    b.resume()
    assert b.name == "active"


@pytest.mark.parametrize("ticket", ["", "forged"])
def test_a_wrong_ticket_resumes_nothing(ticket: str) -> None:
    b = Bench().rebooting()
    refuses(b, lambda: b.resume(ticket=ticket), "ticket does not match")
    refuses(b, lambda: b.resume(boot=""), "no boot mark")


@pytest.mark.parametrize("away", [False, True])
def test_a_ticket_resumes_once(away: bool) -> None:
    b = Bench().rebooting()
    b.resume()
    b.say(msg.Heartbeat())
    if away:
        b.drop()
    refuses(b, b.resume, "ticket already used")
    refuses(b, lambda: b.resume(boot="boot-3"), "ticket already used")
    assert len(b.records(rec.EndpointResumed)) == 1


def test_a_lost_answer_to_resume_is_given_again_to_the_same_boot_only() -> None:
    b = Bench().rebooting()
    b.resume()
    b.drop()
    refuses(b, lambda: b.resume(boot="boot-3"), "ticket already used")
    b.resume()
    assert b.name == "active"
    assert len(b.records(rec.EndpointResumed)) == 1
    assert len(b.records(rec.EndpointReconnected)) == 1
    b.boot = "boot-2"
    b.drop()
    b.reconnect()
    b.drop()
    refuses(b, b.resume, "ticket already used")


def test_the_server_dying_right_after_it_recorded_the_resume_loses_nobody() -> None:
    b = Bench().rebooting()
    ticket = b.ticket
    b.do(_resume_event(b, ticket), crash_after=1)
    assert b.name == "interrupted"
    b.resume(ticket=ticket)
    assert b.name == "active"
    assert len(b.records(rec.EndpointResumed)) == 1


def _resume_event(b: Bench, ticket: str) -> Claimed:
    b.conn += 1
    claim = msg.Resume("session-1", ticket, "boot-2", False, True, "customer", "visible")
    return Claimed(b.conn, "machine-1", "windows", "application", claim, b.fresh())


@pytest.mark.parametrize(("early_us", "resumes"), [(1, True), (0, False), (-1_000_000, False)])
def test_the_window_is_half_open(early_us: int, resumes: bool) -> None:
    b = Bench().armed()
    b.say(msg.Restarting(1))
    b.drop()
    b.until(b.account.resume_window_us - early_us)
    if resumes:
        b.resume()
        assert b.name == "active"
    else:
        assert b.name == "expired"
        assert b.records(rec.SessionExpired)[0].restart == 1
        refuses(b, b.resume, "session expired")


def test_a_new_boot_takes_the_place_of_a_connection_that_is_stale() -> None:
    b = Bench().armed()
    old = b.state.conn
    b.resume()
    assert b.name == "active"
    assert b.hung_up == [old]
    assert b.records(rec.EndpointLost)
    assert b.last(rec.WindowOpened).reason == "disconnect"
    before = b.state
    b.do(AgentSaid(old, msg.Leave("late")))
    b.do(AgentGone(old, "late"))
    assert b.state == before
    assert not b.sent


def test_after_the_end_nothing_comes_back() -> None:
    b = Bench().rebooting()
    b.rep(msg.EndSession())
    assert b.name == "ended"
    refuses(b, b.resume, "session ended")
    refuses(b, b.reconnect, "session ended")
    refuses(b, b.join, "session ended")
    assert not b.timers


def test_without_an_order_no_new_boot_resumes() -> None:
    b = Bench().active()
    b.drop()
    refuses(b, lambda: b.resume(ticket="anything"), "no order stands")
    b.wait(b.account.resume_window_us)
    assert b.name == "lost"


def test_a_foreign_restart_resumes_where_the_profile_says_so() -> None:
    b = Bench(SETME).active()
    first = b.standby
    assert first
    b.drop()
    refuses(b, lambda: b.resume(boot="boot-1", ticket=first), "same boot")
    b.resume(ticket=first)
    assert b.last(rec.EndpointResumed).restart == 0
    assert b.name == "active"
    assert b.standby != first
    b.say(msg.Heartbeat())
    refuses(b, lambda: b.resume(boot="boot-3", ticket=first), "ticket already used")
    b.drop()
    b.resume(boot="boot-3", ticket=b.standby)
    assert b.name == "active"


def test_a_foreign_restart_refuses_the_restart_that_was_being_talked_about() -> None:
    b = Bench(SETME).active()
    b.ask()
    b.resume(ticket=b.standby)
    assert b.last(rec.RestartRefused).reason == "another restart came first"
    assert b.name == "active"


def test_expiry_that_is_not_final_lets_a_late_agent_resume() -> None:
    b = Bench(RESCUE).rebooting()
    b.wait(RESCUE.resume_window_us)
    assert b.name == "offline"
    b.crash()
    assert b.name == "offline"
    b.do(RepHere("rep-1"))
    b.wait(RESCUE.resume_window_us)
    b.resume()
    assert b.name == "active"
    assert b.last(rec.EndpointResumed).late


def test_a_sharing_question_of_the_boot_that_is_gone_counts_as_silence() -> None:
    b = Bench(SETME_ASKS).active()
    b.rep(msg.RequestSharing(on=True))
    b.resume(ticket=b.standby)
    assert [one.kind for one in b.told_agent(msg.Ask)] == ["sharing"]
    b.say(msg.Heartbeat())
    b.resume(boot="boot-3", ticket=b.standby)
    gone = b.last(rec.CustomerAnswered)
    assert (gone.kind, gone.answer, gone.human) == ("sharing", "silence", False)


def test_a_lost_answer_to_resume_repeats_the_open_sharing_question() -> None:
    b = Bench(Account(ask_before_sharing=True)).active()
    b.rep(msg.RequestSharing(on=True))
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.say(msg.Armed(1))
    b.say(msg.Restarting(1))
    b.drop()
    b.resume()
    asked = b.told_agent(msg.Ask)
    assert [one.kind for one in asked] == ["sharing"]
    b.drop()
    b.resume()
    assert b.told_agent(msg.Ask) == asked
    assert len(b.records(rec.CustomerAsked)) == 1


# --- reconnect --------------------------------------------------------------------------------------------------


def test_a_network_loss_reconnects_inside_the_window_and_is_lost_after_it() -> None:
    b = Bench().active()
    b.drop()
    assert b.name == "interrupted"
    b.wait(b.account.resume_window_us - 1)
    b.reconnect()
    assert b.name == "active"
    assert "window" not in b.timers
    assert b.told_agent(msg.Resumed)[0].order == 0
    b.drop()
    b.wait(b.account.resume_window_us)
    assert b.name == "lost"
    assert b.last(rec.SessionLost).reason == "no way back"
    refuses(b, b.reconnect, "session lost")


def test_reconnecting_needs_key_boot_and_machine() -> None:
    b = Bench().active()
    b.drop()
    refuses(b, lambda: b.reconnect(key="forged"), "live key does not match")
    refuses(b, lambda: b.reconnect(boot="boot-2"), "another boot")
    refuses(b, lambda: b.claim(msg.Reconnect("session-1", b.key, "boot-1", False), "machine-2"), "another machine")


def test_reconnecting_hangs_up_on_the_connection_the_server_still_believed_in() -> None:
    b = Bench().active()
    old = b.state.conn
    b.reconnect()
    assert b.hung_up == [old]
    assert b.name == "active"
    assert not b.told_agent(msg.Withdraw), "it never spoke of a restart"


def test_a_window_that_runs_is_not_cut_short_by_the_restart_limit_when_the_old_boot_is_back() -> None:
    b = Bench().rebooting()
    b.reconnect(restarting=True)
    assert "limit" not in b.timers, "Windows announced it: the window decides (rules 1 and 11)"


def test_the_old_boot_in_the_middle_of_restarting_leaves_the_window_running() -> None:
    b = Bench().rebooting()
    due = b.timers["window"]
    b.wait(1_000_000)
    b.reconnect(restarting=True)
    assert b.name == "rebooting"
    assert b.timers["window"] == due
    assert b.told_agent(msg.Resumed)[0].order == 1
    b.drop()
    assert b.timers["window"] == due
    assert len(b.records(rec.WindowOpened)) == 1


def test_the_old_boot_without_a_restart_undoes_it() -> None:
    b = Bench().rebooting()
    b.reconnect(restarting=False)
    assert b.name == "active"
    assert b.last(rec.RestartUndone).restart == 1
    assert not {"window", "limit"} & set(b.timers)
    refuses(b, b.resume, "no order stands")


def test_an_agent_that_thinks_of_a_dead_order_is_told() -> None:
    b = Bench().armed()
    b.alive(b.account.restart_limit_us)
    assert b.last(rec.RestartUndone).reason == "restart limit"
    b.drop()
    b.reconnect(restarting=True)
    assert b.told_agent(msg.Withdraw)
    assert b.name == "active"
    b.say(msg.Restarting(1))
    assert b.told_agent(msg.Withdraw) == [msg.Withdraw(1, "no order stands")]
    assert b.name == "active"


# --- cancel -----------------------------------------------------------------------------------------------------


def test_phone_mode_cancels_the_reconnect_and_the_ticket_is_dead() -> None:
    b = Bench(PHONE).rebooting()
    refuses(b, lambda: b.claim(msg.CancelResume("session-1", "forged")), "ticket does not match")
    b.claim(msg.CancelResume("session-1", b.ticket))
    assert b.name == "ended"
    assert b.last(rec.RestartCancelled).by == "customer"
    assert b.last(rec.SessionEnded).by == "customer"
    assert b.told_rep(msg.RestartView)[-1].phase == "cancelled"
    assert b.told_rep(msg.SessionView)[-1].state == "ended"
    assert b.hung_up == [b.conn]
    refuses(b, b.resume, "session ended")


def test_a_cancel_needs_the_ticket_also_while_the_answer_to_the_resume_may_be_lost() -> None:
    b = Bench(PHONE).rebooting()
    b.resume()
    b.drop()
    refuses(b, lambda: b.claim(msg.CancelResume("session-1", "forged")), "ticket does not match")
    b.claim(msg.CancelResume("session-1", b.ticket))
    assert b.name == "ended"


def test_a_spent_ticket_cancels_nothing_once_its_endpoint_has_spoken() -> None:
    b = Bench(PHONE).rebooting()
    b.resume()
    b.say(msg.Heartbeat())
    refuses(b, lambda: b.claim(msg.CancelResume("session-1", b.ticket)), "ticket does not match")
    b.say(msg.AgentChat(1, "I am back"))
    b.crash()
    refuses(b, lambda: b.claim(msg.CancelResume("session-1", b.ticket)), "ticket does not match")


def test_outside_phone_mode_nobody_cancels() -> None:
    b = Bench().rebooting()
    refuses(b, lambda: b.claim(msg.CancelResume("session-1", b.ticket)), "only in phone mode")


def test_a_cancel_that_crosses_the_answer_still_ends_the_session() -> None:
    b = Bench(PHONE).rebooting()
    b.resume()
    b.say(msg.CancelResume("session-1", b.ticket))
    assert b.name == "ended"
    assert not b.records(rec.RestartCancelled), "the restart had resumed"


def test_a_server_crash_gives_no_second_use_to_a_ticket_whose_endpoint_spoke() -> None:
    b = Bench().rebooting()
    b.resume()
    b.say(msg.AgentChat(1, "I am back"))
    b.crash()
    refuses(b, b.resume, "ticket already used")


def test_the_old_boot_back_from_offline_has_the_restart_limit_again() -> None:
    b = Bench(RESCUE).rebooting()
    b.wait(RESCUE.resume_window_us)
    b.reconnect(restarting=True)
    assert b.name == "active"
    b.alive(RESCUE.restart_limit_us)
    assert b.last(rec.RestartUndone).reason == "restart limit"
