"""Every invariant against hand-written histories: what breaks it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rrsim.machine import observations as seen
from rrsim.protocol import messages as m
from rrsim.protocol import records as r
from rrsim.protocol.settings import PROFILES, Account
from tests.scenario.checks.hand import SESSION, Hand, S

STRICT = Account(ask_before_restart=True, ask_before_sharing=True)
WINDOW_US = Account().resume_window_us
_NEWER = r.SessionRequested(f"{SESSION}.2", "standard", Account())


def resumed_after_expiry() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended().goes_down()
    hand.put("server", r.SessionExpired(SESSION, 1), hand.t_us + WINDOW_US)
    return hand.boots_up().logs_on().resumed().healed().winds_down(over=False)


def reconnected_after_the_end() -> Hand:
    hand = Hand().opening().server(r.SessionEnded(SESSION, "representative", "done"))
    return hand.server(r.EndpointReconnected(SESSION, "seal")).healed().winds_down(over=False)


def resumed_at_the_deadline() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended()
    opened_us = hand.t_us + 2 * S
    hand.goes_down().boots_up().logs_on()
    return hand.resumed(at_us=opened_us + WINDOW_US).ends()


def second_window_is_not_new() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended()
    opened_us = hand.t_us + 2 * S
    hand.goes_down()
    hand.put("server", r.WindowOpened(SESSION, 1, "continued"), opened_us + 60 * S)
    return hand.boots_up().logs_on().resumed(at_us=opened_us + WINDOW_US + S).ends()


def contact_of_the_old_boot_keeps_the_window() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended()
    opened_us = hand.t_us + 2 * S
    hand.goes_down().server(r.EndpointReconnected(SESSION, "seal", restarting=True)).boots_up().logs_on()
    return hand.resumed(at_us=opened_us + WINDOW_US).ends()


def came_back_after_leaving() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended().leaves().goes_down()
    return hand.boots_up().logs_on().resumed().ends()


def ticket_twice() -> Hand:
    hand = Hand().opening().restarts().server(r.EndpointLost(SESSION, "reset"))
    return hand.resumed().ends()


def ticket_of_an_undone_restart() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed()
    hand.server(r.RestartUndone(SESSION, 1, "blocked"), r.EndpointLost(SESSION, "reset"))
    return hand.boots_up("power").logs_on().resumed().ends()


def ticket_never_given() -> Hand:
    return Hand().opening().asked().confirmed().call("intent saved").boots_up("power").logs_on().resumed().ends()


def ticket_from_elsewhere() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended().goes_down().boots_up().logs_on()
    return hand.resumed(machine="machine-9").ends()


def ticket_in_a_log() -> Hand:
    return Hand().opening().pc(seen.SecretSeen("agent log")).restarts().ends()


def second_endpoint() -> Hand:
    hand = Hand().opening()
    joined = r.EndpointJoined(SESSION, "machine-2", "windows", "application", "boot-7", "seal")
    return hand.server(joined).ends()


def resumed_beside() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended().boots_up().logs_on()
    return hand.resumed(machine="machine-2").ends()


def rep_never_said_yes() -> Hand:
    hand = Hand().opening().asked().given().armed().intended().goes_down().boots_up().logs_on()
    return hand.resumed().ends()


def recorded_yes_nobody_gave() -> Hand:
    hand = Hand().opening().asked()
    hand.put("console", m.Confirm(1, "no"))
    hand.server(r.RestartConfirmed(SESSION, 1, "rep-1", "yes"))
    return hand.given().armed().intended().goes_down().boots_up().logs_on().resumed().ends()


def no_order_at_all() -> Hand:
    return Hand().opening().intended().ends()


def restart_after_joining_anew() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().call("intent saved").server(_NEWER)
    hand.server(r.EndpointJoined(_NEWER.session, "machine-1", "windows", "application", "boot-1", "seal"))
    return hand.call("restart requested").pc(seen.RestartBegan("agent", "agent", False)).ends()


def restart_of_an_order_that_was_undone() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().call("intent saved")
    hand.server(r.RestartUndone(SESSION, 1, "blocked"), _NEWER)
    return hand.pc(seen.RestartBegan("agent", "agent", False)).ends()


def silence_taken_as_yes() -> Hand:
    hand = Hand(Account(ask_before_restart=True)).opening().asked().confirmed()
    hand.server(
        r.CustomerAsked(SESSION, 1, "restart", 1), r.CustomerAnswered(SESSION, 1, "restart", 1, "silence", False)
    )
    return hand.given().armed().intended().goes_down().boots_up().logs_on().resumed().ends()


def no_taken_as_yes() -> Hand:
    hand = Hand(Account(ask_before_restart=True)).opening().asked().confirmed().consent(button="no")
    return hand.given().armed().intended().goes_down().boots_up().logs_on().resumed().ends()


def representative_clicked_for_the_customer() -> Hand:
    hand = Hand(Account(ask_before_restart=True)).opening().asked().confirmed()
    hand.pc(seen.WindowShown("restart prompt"), seen.Clicked("representative", "restart prompt", "yes"))
    return hand.given().armed().intended().goes_down().boots_up().logs_on().resumed().ends()


def other_window_clicked() -> Hand:
    hand = Hand(Account(ask_before_restart=True)).opening().asked().confirmed()
    hand.pc(seen.WindowShown("leave prompt"), seen.Clicked("customer", "leave prompt", "yes"))
    return hand.given().armed().intended().goes_down().boots_up().logs_on().resumed().ends()


def automatic_yes_called_human() -> Hand:
    hand = Hand(PROFILES["auto-accept"]).opening().asked().confirmed()
    hand.server(r.CustomerAsked(SESSION, 1, "restart", 1), r.CustomerAnswered(SESSION, 1, "restart", 1, "yes", True))
    return hand.given().armed().intended().goes_down().boots_up().logs_on().resumed().ends()


def old_click_used_again() -> Hand:
    hand = Hand(Account(ask_before_restart=True)).opening().restarts(1).asked(2).confirmed(2)
    return hand.given(2).armed(2).intended().goes_down(2).boots_up().logs_on().resumed(2).ends()


def shared_without_consent() -> Hand:
    hand = Hand(STRICT).opening(shares=True).restarts()
    return hand.pc(seen.ScreenSeen(True)).ends()


def shared_although_declined() -> Hand:
    hand = Hand(STRICT).opening(shares=True).restarts()
    hand.pc(seen.WindowShown("sharing prompt"), seen.Clicked("customer", "sharing prompt", "no"))
    return hand.pc(seen.ScreenSeen(True)).ends()


def left_in_safe_mode() -> Hand:
    hand = Hand(mode="service").opening().restarts().healed()
    return hand.winds_down(safe=True)


def left_a_flag() -> Hand:
    return Hand(mode="service").opening().restarts().healed().winds_down(items=("boot:safeboot=network", "file:theirs"))


def took_the_owners_flag() -> Hand:
    return Hand().opening(items=("boot:safeboot=network", "file:theirs")).restarts().ends()


def left_and_added_after_the_deletion() -> Hand:
    hand = Hand().opening().pc(seen.MachineTampered("agent deleted")).call("autostart armed")
    return hand.healed().winds_down(items=("file:theirs", "registry:HKCU/RunOnce/!rragent"))


def mac_ordered() -> Hand:
    return Hand(platform="mac").opening().asked().confirmed().given().server(r.RestartUndone(SESSION, 1, "mac")).ends()


def mac_restarted() -> Hand:
    return Hand(platform="mac").opening().asked().confirmed().pc(seen.RestartBegan("agent", "agent", False)).ends()


def never_decided() -> Hand:
    return Hand().opening().asked().confirmed().given().armed().healed().winds_down(over=False)


def decided_too_late() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed()
    account = hand.account
    late_us = hand.t_us + account.restart_limit_us + account.resume_window_us + 31 * S
    hand.put("server", r.SessionExpired(SESSION, 1), late_us)
    return hand.healed().winds_down(over=False)


def safe_mode_ordered_in_application_mode() -> Hand:
    hand = Hand().opening().asked(mode="safe").confirmed().given(mode="safe")
    return hand.server(r.RestartRefused(SESSION, 1, "no service")).ends()


def safe_mode_armed_in_application_mode() -> Hand:
    return Hand().opening().asked().confirmed().given().call("boot flag set").armed().server(
        r.RestartUndone(SESSION, 1, "blocked")
    ).ends()


def foreign_resumed() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().goes_down(cause="installer")
    return hand.boots_up("installer").logs_on().resumed().ends()


def foreign_resumed_after_withdrawal() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended().call("record erased")
    return hand.goes_down(cause="windows dialog").boots_up("windows dialog").logs_on().resumed().ends()


def line_missing() -> Hand:
    hand = Hand().opening().said("one", 1).restarts()
    hand.seq += 1
    return hand.said("two", 1).ends()


def line_repeated() -> Hand:
    return Hand().opening().said("one", 1).server(r.EndpointReconnected(SESSION, "s")).said("one", 1).ends()


def typed_line_skipped() -> Hand:
    return Hand().opening().said("one", 1).said("three", 3).ends()


def line_never_written() -> Hand:
    hand = Hand().opening()
    hand.put("wire-1", m.AgentChat(1, "are you there?"))
    return hand.ends()


def line_forgotten_over_a_restart() -> Hand:
    hand = Hand().opening()
    hand.put("wire-1", m.AgentChat(1, "are you there?"))
    return hand.restarts().said("hello", 1).ends()


def line_changed() -> Hand:
    hand = Hand().opening()
    hand.put("wire-1", m.AgentChat(1, "yes"))
    return hand.server(r.ChatLine(SESSION, 1, "customer", "no", 1)).ends()


def strangers_line_shown() -> Hand:
    hand = Hand().opening()
    hand.put("wire-1", m.ServerChat(1, "rep-1", "meant for somebody else"))
    return hand.ends()


def wrong_line_at_the_console() -> Hand:
    hand = Hand().opening().said("one")
    hand.put("console", m.RepSeesChat(1, "rep-1", "two"))
    return hand.ends()


def shown_twice() -> Hand:
    hand = Hand().opening().said("one")
    hand.put("wire-1", m.ServerChat(1, "rep-1", "one"))
    return hand.ends()


def human_answer_without_a_click() -> Hand:
    hand = Hand(Account(ask_before_restart=True)).opening().asked().confirmed()
    hand.server(r.CustomerAsked(SESSION, 1, "restart", 1), r.CustomerAnswered(SESSION, 1, "restart", 1, "no", True))
    return hand.server(r.RestartCancelled(SESSION, 1, "server", "no")).ends()


def answer_to_no_question() -> Hand:
    return Hand().opening().server(r.CustomerAnswered(SESSION, 5, "restart", 1, "silence", False)).ends()


def window_closed_by_windows_taken_for_leaving() -> Hand:
    hand = Hand().opening().pc(seen.WindowGone("chat", "restart manager"))
    return hand.server(r.SessionEnded(SESSION, "customer", "closed")).healed().winds_down(over=False)


def click_of_an_earlier_question() -> Hand:
    hand = Hand(Account(ask_before_restart=True)).opening().asked(1).confirmed(1).consent(1, ask=1).given(1)
    hand.server(r.RestartUndone(SESSION, 1, "blocked")).asked(2).confirmed(2)
    hand.server(r.CustomerAsked(SESSION, 2, "restart", 2), r.CustomerAnswered(SESSION, 2, "restart", 2, "yes", True))
    return hand.server(r.RestartRefused(SESSION, 2, "blocked")).ends()


def click_of_an_earlier_session() -> Hand:
    hand = Hand().opening().leaves().server(r.SessionEnded(SESSION, "customer", "closed"))
    hand.session = "session-1.2"
    hand.joined().server(r.SessionEnded("session-1.2", "customer", "closed"))
    return hand.healed().winds_down(over=False)


def resumed_without_any_witnessed_boot() -> Hand:
    hand = Hand().opening()
    hand.history.entries = [e for e in hand.history.entries if not isinstance(e[2], seen.AgentStarted)]
    return hand.resumed(0).ends()


def resumed_from_the_old_boot() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended().goes_down()
    return hand.resumed().ends()


def resumed_with_the_old_mark() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended().goes_down().boots_up().logs_on()
    hand.server(r.EndpointResumed(SESSION, 1, "boot-1", "seal", False, "user", "machine-1"))
    return hand.call("record erased").ends()


def boot_without_a_request() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().call("intent saved").goes_down().boots_up("agent")
    return hand.logs_on().resumed().ends()


def restart_from_nowhere() -> Hand:
    hand = Hand().opening()
    record = r.RestartAsked(SESSION, 1, "", "chat window", "normal", False)
    return hand.server(record, r.RestartRefused(SESSION, 1, "no")).ends()


BAD: list[tuple[str, str, Callable[[], Hand]]] = [
    ("I1", "resumed a session that is expired", resumed_after_expiry),
    ("I1", "reconnected to a session that is ended", reconnected_after_the_end),
    ("I1", "resumed after the window", resumed_at_the_deadline),
    ("I1", "resumed after the window", second_window_is_not_new),
    ("I1", "resumed although the customer left", came_back_after_leaving),
    ("I1", "resumed after the window", contact_of_the_old_boot_keeps_the_window),
    ("I2", "ticket accepted twice", ticket_twice),
    ("I2", "void ticket accepted", ticket_of_an_undone_restart),
    ("I2", "ticket never given", ticket_never_given),
    ("I2", "ticket accepted from another machine", ticket_from_elsewhere),
    ("I2", "secret exposed: agent log", ticket_in_a_log),
    ("I3", "second endpoint joined", second_endpoint),
    ("I3", "second endpoint resumed", resumed_beside),
    ("I4", "no confirmation by the representative", rep_never_said_yes),
    ("I4", "confirmation nobody gave", recorded_yes_nobody_gave),
    ("I4", "restart without an order", no_order_at_all),
    ("I4", "restart without an order", restart_after_joining_anew),
    ("I4", "restart without an order", restart_of_an_order_that_was_undone),
    ("I4", "no consent of the customer", silence_taken_as_yes),
    ("I4", "no consent of the customer", no_taken_as_yes),
    ("I4", "no consent of the customer", old_click_used_again),
    ("I4", "no consent of the customer", representative_clicked_for_the_customer),
    ("I4", "no consent of the customer", other_window_clicked),
    ("I4", "no consent of the customer", automatic_yes_called_human),
    ("I5", "screen shared without consent", shared_without_consent),
    ("I5", "screen shared without consent", shared_although_declined),
    ("I6", "left in safe mode", left_in_safe_mode),
    ("I7", "left behind: boot:safeboot=network", left_a_flag),
    ("I7", "left behind: missing:boot:safeboot=network", took_the_owners_flag),
    ("I7", "left behind: registry:HKCU/RunOnce/!rragent", left_and_added_after_the_deletion),
    ("I8", "mac told to restart", mac_ordered),
    ("I8", "mac restarted", mac_restarted),
    ("I9", "no verdict in time", never_decided),
    ("I9", "no verdict in time", decided_too_late),
    ("I10", "safe mode ordered in application mode", safe_mode_ordered_in_application_mode),
    ("I10", "safe mode armed in application mode", safe_mode_armed_in_application_mode),
    ("I11", "foreign restart resumed", foreign_resumed),
    ("I11", "foreign restart resumed", foreign_resumed_after_withdrawal),
    ("I12", "transcript numbering broken", line_missing),
    ("I12", "customer's line repeated", line_repeated),
    ("I12", "customer's line missing", typed_line_skipped),
    ("I12", "line lost at the server", line_never_written),
    ("I12", "line lost at the server", line_forgotten_over_a_restart),
    ("I12", "line changed on its way", line_changed),
    ("I12", "shown line is not in the transcript", strangers_line_shown),
    ("I12", "shown line is not in the transcript", wrong_line_at_the_console),
    ("I12", "shown out of order", shown_twice),
    ("I13", "restart nobody ordered", no_order_at_all),
    ("I13", "customer's decision nobody took", click_of_an_earlier_session),
    ("I13", "answer to an earlier question", click_of_an_earlier_question),
    ("I13", "resumed without a new boot", resumed_without_any_witnessed_boot),
    ("I13", "answer nobody gave", human_answer_without_a_click),
    ("I13", "answer without a question", answer_to_no_question),
    ("I13", "customer's decision nobody took", window_closed_by_windows_taken_for_leaving),
    ("I13", "resumed without a new boot", resumed_from_the_old_boot),
    ("I13", "resumed from the old boot", resumed_with_the_old_mark),
    ("I13", "boot without a request", boot_without_a_request),
    ("I13", "restart without who or where", restart_from_nowhere),
]


@pytest.mark.parametrize(("name", "cause", "make"), BAD, ids=[f"{n}-{f.__name__}" for n, _, f in BAD])
def test_a_violation_is_found_and_named(name: str, cause: str, make: Callable[[], Hand]) -> None:
    hand = make()
    result = hand.results()[name]
    assert (result.outcome, result.cause) == ("failed", cause)
    assert "expected" in result.message
    assert "seen" in result.message
    assert 0 <= result.entry < len(hand.history)


def test_every_invariant_has_a_violation_here() -> None:
    assert {name for name, _, _ in BAD} == {f"I{n}" for n in range(1, 14)}


def test_safe_mode_at_the_probe_is_not_judged_while_a_session_is_open() -> None:
    failing = Hand(mode="service").opening().healed().winds_down(over=False, safe=True).failing()
    assert failing["I6"] == "unknown: session not over"


def test_a_restart_already_on_its_way_is_not_charged_to_a_newer_session() -> None:
    """The customer asks for support anew between the recorded intent and Windows' answer (``rrsim swarm``, 119301)."""
    hand = Hand().opening().asked().confirmed().given().armed().call("intent saved").server(_NEWER)
    results = hand.pc(seen.RestartBegan("agent", "agent", False)).ends().results()
    assert (results["I4"].outcome, results["I13"].outcome) == ("passed", "passed")
