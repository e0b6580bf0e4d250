"""Verdicts of restarts, from hand-written histories."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.protocol.messages import AgentMode
from rrsim.protocol.settings import PROFILES, Account
from rrsim.scenario.history import History
from rrsim.scenario.result import RestartResult
from rrsim.scenario.verdicts import restarts
from tests.scenario.checks.hand import SESSION, Hand, S

Make = Callable[[], Hand]
WINDOW_US = Account().resume_window_us


def going(account: Account | None = None, mode: AgentMode = "application", shares: bool = False) -> Hand:
    """An executed restart up to the PC being down."""
    hand = Hand(account, mode).opening(shares=shares)
    return hand.asked().confirmed().given().armed().intended().goes_down()


def expired(hand: Hand) -> Hand:
    hand.put("server", r.SessionExpired(SESSION, 1), hand.t_us + WINDOW_US)
    return hand


ENDED_BY_REP = r.SessionEnded(SESSION, "representative", "done")
LEFT = r.SessionEnded(SESSION, "customer", "closed the chat window")

SINGLE: list[tuple[str, str, Make]] = [
    ("resumed", "", lambda: going().boots_up().logs_on().resumed()),
    ("resumed", "", lambda: going(mode="service").boots_up().resumed()),
    ("resumed", "", lambda: going().boots_up().boots_up("servicing").logs_on().resumed()),
    ("resumed", "", lambda: going().boots_up("power").logs_on().resumed()),
    ("cancelled", "said no", lambda: Hand().opening().asked().server(r.RestartConfirmed(SESSION, 1, "rep-1", "no"))),
    ("cancelled", "not confirmed", lambda: Hand().opening().asked().server(
        r.RestartConfirmed(SESSION, 1, "rep-1", "no"), r.RestartCancelled(SESSION, 1, "rep-1", "not confirmed"))),
    ("lost", "idle", lambda: going().server(r.SessionEnded(SESSION, "server", "idle"))),
    ("lost", "idle", lambda: Hand().opening().asked().confirmed().given().server(
        r.SessionEnded(SESSION, "server", "idle"))),
    ("cancelled", "closed", lambda: Hand().opening().asked().confirmed().given().server(LEFT)),
    ("lost", "closed", lambda: going().server(LEFT)),
    ("refused", "silence", lambda: Hand().opening().asked().server(
        r.RestartConfirmed(SESSION, 1, "rep-1", "silence"))),
    ("refused", "mac", lambda: Hand().opening().asked().server(r.RestartRefused(SESSION, 1, "mac"))),
    ("refused", "queued", lambda: Hand().opening().server(r.RestartRefused(SESSION, 1, "queued"))),
    ("cancelled", "said no", lambda: Hand().opening().asked().confirmed().consent(button="no").server(
        r.RestartCancelled(SESSION, 1, "customer", "said no"))),
    ("refused", "disk full", lambda: Hand().opening().asked().confirmed().given().server(
        r.RestartRefused(SESSION, 1, "disk full"))),
    ("refused", "blocked", lambda: Hand().opening().asked().confirmed().given().armed().pc(
        seen.RestartStopped("windows")).server(r.RestartUndone(SESSION, 1, "blocked"))),
    ("cancelled", "block screen", lambda: Hand().opening().asked().confirmed().given().armed().pc(
        seen.RestartStopped("customer")).server(r.RestartUndone(SESSION, 1, "cancelled at the block screen"))),
    ("cancelled", "representative ended", lambda: going().server(ENDED_BY_REP)),
    ("expired", "signed in", lambda: expired(going().boots_up().pc(seen.PhaseBegan("welcome")))),
    ("expired", "updates", lambda: expired(going().boots_up().pc(seen.PhaseBegan("updating")))),
    ("expired", "connection was down", lambda: expired(going().boots_up().pc(
        seen.PhaseBegan("desktop"), seen.LinkChanged(False, "lan", "cable")))),
    ("expired", "connection was down (the pc is down)", lambda: expired(going().pc(
        seen.LinkChanged(False, "lan", "the pc is down")).boots_up().pc(seen.PhaseBegan("desktop")))),
    ("expired", "connection was up", lambda: expired(going().boots_up().pc(
        seen.LinkChanged(True, "lan"), seen.PhaseBegan("desktop")))),
    ("expired", "signed in and its connection was down (wifi)", lambda: expired(going().boots_up().pc(
        seen.LinkChanged(False, "wifi"), seen.PhaseBegan("welcome")))),
    ("expired", "", lambda: going(PROFILES["rescue"]).server(r.WindowOffline(SESSION, 1))),
    ("expired", "", lambda: expired(Hand().opening().asked().confirmed().given().armed().intended().pc(
        seen.WindowShown("leave prompt"), seen.Clicked("customer", "leave prompt", "yes")).goes_down().boots_up())),
    ("lost", "no way", lambda: going().server(r.SessionLost(SESSION, "no way back"))),
    ("cancelled", "before", lambda: Hand().opening().asked().confirmed().given().armed().leaves().server(LEFT)),
    ("lost", "after", lambda: Hand().opening().asked().confirmed().given().armed().intended().leaves().server(LEFT)),
    ("lost", "after", lambda: expired(Hand().opening().asked().confirmed().given().armed().intended().leaves()
                                      .goes_down().boots_up())),
    ("cancelled", "cancelled the reconnect", lambda: going().boots_up().logs_on().pc(
        seen.Clicked("customer", "cancel option", "cancel")).server(LEFT)),
    ("cancelled", "cancelled the reconnect", lambda: expired(going().boots_up().logs_on().pc(
        seen.Clicked("customer", "cancel option", "cancel")))),
    ("cancelled", "cancelled the reconnect", lambda: going().boots_up().logs_on().pc(
        seen.Clicked("customer", "cancel option", "cancel")).server(r.SessionLost(SESSION, "no way back"))),
    ("lost", "died", lambda: expired(Hand().opening().asked().confirmed().given().armed().pc(
        seen.AgentStopped("crash")).server(r.WindowOpened(SESSION, 1, "disconnect")))),
    ("lost", "agent deleted", lambda: expired(going().boots_up().pc(seen.MachineTampered("agent deleted")))),
    ("lost", "identity", lambda: expired(going().boots_up().pc(seen.MachineTampered("machine identity changed")))),
    ("lost", "agent", lambda: expired(going().boots_up().pc(seen.MachineTampered("agent")))),
    ("lost", "ticket", lambda: expired(going().boots_up().pc(seen.MachineTampered("ticket")))),
    ("expired", "", lambda: expired(Hand().opening().pc(seen.MachineTampered("ticket")).asked().confirmed().given()
                                    .armed().intended().goes_down().boots_up())),
    ("expired", "", lambda: expired(going().boots_up().pc(seen.MachineTampered("wall clock")))),
    ("expired", "", lambda: expired(going().boots_up().pc(seen.MachineTampered("autostart deleted")))),
    ("unknown", "no new boot", lambda: going().resumed()),
]  # fmt: skip


def only(hand: Hand) -> RestartResult:
    found = restarts(hand.ends().history)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(("verdict", "reason", "make"), SINGLE)
def test_verdict_of_one_ordered_restart(verdict: str, reason: str, make: Make) -> None:
    one = only(make())
    assert (one.kind, one.verdict) == ("ordered", verdict)
    assert reason in one.reason
    assert one.customer == 1
    assert one.session == SESSION


# --- losses -----------------------------------------------------------------------------------------------------

BACK_ON = r.SharingChanged(SESSION, True, "back")
LOSSES: list[tuple[tuple[str, ...], Make]] = [
    ((), lambda: going(shares=True).boots_up().logs_on().resumed().server(BACK_ON)),
    (("chat only",), lambda: going(shares=True).boots_up().logs_on().resumed()),
    (("chat only",), lambda: going(shares=True).boots_up().logs_on().resumed().server(
        r.SharingChanged(SESSION, False, "declined"))),
    (("no sharing at the welcome screen",), lambda: going(mode="service", shares=True).boots_up().resumed()),
    (("chat only",), lambda: going(mode="service", shares=True).boots_up().resumed().logs_on()),
    (("chat only",), lambda: going(mode="service", shares=True).boots_up().logs_on().resumed()),
    (("chat only",), lambda: going(shares=True).boots_up().resumed()),
    (("wrong boot mode",), lambda: going().boots_up(safe=True).logs_on().resumed()),
    (("wrong boot mode",), lambda: Hand(mode="service").opening().asked(mode="safe").confirmed().given(mode="safe")
        .armed().intended().goes_down().boots_up().resumed()),
    (("work pending",), lambda: going().pc(seen.PendingWork(True)).boots_up().logs_on().resumed()),
    ((), lambda: going().pc(seen.PendingWork(True)).boots_up().pc(seen.PendingWork(False)).logs_on().resumed()),
    (("not elevated",), lambda: going().boots_up().logs_on(elevated=False).resumed()),
    (("locked",), lambda: going().boots_up().logs_on(desktop="locked").resumed()),
    (("black screen",), lambda: going().boots_up().logs_on(desktop="black").resumed()),
    (("other user",), lambda: going(mode="service").boots_up().logs_on(right=False).resumed()),
    (("other user",), lambda: going(mode="service").boots_up().resumed().logs_on(right=False)),
    ((), lambda: going(mode="service").boots_up().logs_on(right=False).logs_on().resumed()),
    (("late",), lambda: going(PROFILES["rescue"]).server(r.WindowOffline(SESSION, 1)).boots_up().logs_on()
        .resumed(late=True)),
]  # fmt: skip


@pytest.mark.parametrize(("losses", "make"), LOSSES)
def test_losses_make_it_degraded(losses: tuple[str, ...], make: Make) -> None:
    one = only(make())
    assert one.losses == losses
    assert one.verdict == ("degraded" if losses else "resumed")


def test_sharing_that_returns_only_after_the_next_restart_is_still_a_loss() -> None:
    hand = Hand().opening(shares=True).restarts(1).restarts(2).server(BACK_ON).ends()
    first, second = restarts(hand.history)
    assert first.losses == ("chat only",)
    assert second.verdict == "resumed"


def test_sharing_that_returns_only_after_a_foreign_restart_is_still_a_loss() -> None:
    hand = Hand(PROFILES["setme"]).opening(shares=True).restarts(1)
    first, second = restarts(hand.boots_up("power").logs_on().resumed(0).server(BACK_ON).ends().history)
    assert first.losses == ("chat only",)
    assert (second.kind, second.verdict) == ("foreign", "resumed")


def test_who_stopped_the_restart_before_says_nothing_about_this_one() -> None:
    hand = Hand().opening().asked(1).confirmed(1).given(1).armed(1)
    hand.pc(seen.RestartStopped("customer")).server(r.RestartUndone(SESSION, 1, "cancelled at the block screen"))
    hand.asked(2).confirmed(2).given(2).armed(2).server(r.RestartUndone(SESSION, 2, "restart limit"))
    assert [one.verdict for one in restarts(hand.ends().history)] == ["cancelled", "refused"]


# --- ordered and foreign ----------------------------------------------------------------------------------------


def test_a_boot_without_a_recorded_intent_is_foreign_and_lost() -> None:
    one = only(Hand().opening().boots_up("windows dialog").logs_on().server(r.SessionExpired(SESSION, 0)))
    assert (one.kind, one.verdict, one.cause) == ("foreign", "lost", "windows dialog")


@pytest.mark.parametrize("verb", ["record erased", "record saved", "ticket saved"])
def test_a_withdrawn_intent_makes_the_boot_foreign(verb: seen.HostVerb) -> None:
    hand = Hand().opening().asked().confirmed().given().armed().intended().call(verb).goes_down().boots_up("installer")
    hand.server(r.SessionExpired(SESSION, 1)).ends()
    ordered, foreign = restarts(hand.history)
    assert (ordered.kind, ordered.verdict) == ("ordered", "lost")
    assert "another restart came first: installer" in ordered.reason
    assert (foreign.kind, foreign.verdict) == ("foreign", "lost")


def test_a_failed_call_records_no_intent() -> None:
    hand = Hand().opening().asked().confirmed().given().armed()
    hand.pc(seen.HostCall("intent saved", False)).boots_up("power").server(r.SessionExpired(SESSION, 1)).ends()
    assert [one.kind for one in restarts(hand.history)] == ["ordered", "foreign"]


def test_the_intent_is_spent_once_the_agent_is_back() -> None:
    hand = going().boots_up().logs_on().resumed()
    hand.history.entries.pop()  # not even the erasing of the record was seen
    hand.boots_up("servicing").server(r.SessionLost(SESSION, "restart")).ends()
    assert [(one.kind, one.verdict) for one in restarts(hand.history)] == [("ordered", "resumed"), ("foreign", "lost")]


def test_several_boots_of_one_interruption_are_one_foreign_restart() -> None:
    one = only(Hand().opening().boots_up("power").boots_up("power").server(r.SessionExpired(SESSION, 0)))
    assert (one.kind, one.cause) == ("foreign", "power")


def test_probe_boots_and_boots_after_the_end_are_no_restarts() -> None:
    assert restarts(Hand().opening().ends().history) == ()
    assert restarts(Hand().opening().server(ENDED_BY_REP).boots_up("power").ends().history) == ()


def test_a_foreign_restart_that_resumes_is_named_so() -> None:
    one = only(Hand().opening().boots_up("windows dialog").logs_on().resumed(0))
    assert (one.kind, one.verdict) == ("foreign", "resumed")


def test_an_order_overtaken_in_a_session_that_goes_on_is_refused() -> None:
    hand = Hand(PROFILES["setme"]).opening().asked().confirmed().given().boots_up("power").logs_on().resumed(0).ends()
    assert [(one.kind, one.verdict) for one in restarts(hand.history)] == [
        ("ordered", "refused"),
        ("foreign", "resumed"),
    ]


def test_where_foreign_restarts_may_resume_one_can_expire() -> None:
    one = only(Hand(PROFILES["setme"]).opening().boots_up("power").server(r.SessionExpired(SESSION, 0)))
    assert (one.kind, one.verdict) == ("foreign", "expired")


# --- order, names, times, missing witnesses ---------------------------------------------------------------------


def test_a_foreign_restart_after_which_the_session_is_lost_has_not_expired() -> None:
    hand = Hand(PROFILES["setme"]).opening().boots_up("power").server(r.SessionLost(SESSION, "no way back"))
    assert only(hand).verdict == "lost"


def test_restarts_come_in_order_with_names_numbers_and_times() -> None:
    hand = Hand().opening().asked(1, name="first").server(r.RestartRefused(SESSION, 1, "no")).asked(2, name="second")
    hand.confirmed(2).given(2).armed(2).intended().goes_down(2).boots_up().logs_on().resumed(2).ends()
    first, second = restarts(hand.history)
    assert (first.number, first.name, second.number, second.name) == (1, "first", 2, "second")
    assert first.decided_us - first.asked_us == S
    assert second.decided_us > second.asked_us > first.decided_us


def test_a_double_click_does_not_shift_the_names() -> None:
    hand = Hand().opening().asked(1, name="first")
    hand.history.append(hand.t_us, "director", hand.history.entries[-2][2].__class__(name="double"))
    hand.server(r.RestartRefused(SESSION, 1, "no")).asked(2, name="second").server(r.RestartRefused(SESSION, 2, "no"))
    assert [one.name for one in restarts(hand.ends().history)] == ["first", "second"]


def test_a_second_request_meanwhile_does_not_disturb_the_first() -> None:
    hand = Hand().opening().asked(1).confirmed(1).given(1).asked(2).server(r.RestartRefused(SESSION, 2, "under way"))
    hand.armed(1).intended().goes_down(1).boots_up().logs_on().resumed(1).ends()
    assert [one.verdict for one in restarts(hand.history)] == ["resumed", "refused"]


def test_two_customers_are_counted_apart() -> None:
    hand = Hand().opening().restarts()
    hand.server(r.RestartRefused("session-2", 1, "queued")).ends()
    assert [(one.customer, one.number) for one in restarts(hand.history)] == [(1, 1), (2, 1)]


def test_without_the_machine_as_witness_the_verdict_is_unknown() -> None:
    hand = Hand().opening().restarts().ends()
    header = msgspec.structs.replace(hand.header, unobserved=("host call",))
    assert restarts(History(header, hand.history.entries))[0].verdict == "unknown"
    server_only = [entry for entry in hand.history.entries if entry[1] == "server"]
    one = restarts(History(hand.header, server_only))[0]
    assert one.verdict == "unknown"
    assert "pc" in one.reason


def test_without_the_machine_as_witness_a_foreign_restart_is_unknown_too() -> None:
    hand = Hand().opening().boots_up("power").server(r.SessionExpired(SESSION, 0)).ends()
    header = msgspec.structs.replace(hand.header, unobserved=("host call",))
    assert [one.verdict for one in restarts(History(header, hand.history.entries))] == ["unknown"]


def test_a_refusal_before_any_order_needs_no_machine_as_witness() -> None:
    hand = Hand().opening().asked().server(r.RestartRefused(SESSION, 1, "mac")).ends()
    header = msgspec.structs.replace(hand.header, unobserved=("host call",))
    assert restarts(History(header, hand.history.entries))[0].verdict == "refused"


def test_a_no_is_a_verdict_even_if_the_history_ends_there() -> None:
    history = Hand().opening().asked().server(r.RestartConfirmed(SESSION, 1, "rep-1", "no")).history
    assert restarts(history)[0].verdict == "cancelled"


def test_what_brought_the_pc_down_first_is_the_cause() -> None:
    one = only(going().boots_up("agent").boots_up("servicing").logs_on().resumed())
    assert one.cause == "agent"


def test_a_window_that_passes_decides_at_that_time() -> None:
    hand = going(PROFILES["rescue"])
    hand.put("server", r.WindowOffline(SESSION, 1), hand.t_us + 300 * S)
    passed_us = hand.t_us
    assert only(hand).decided_us == passed_us


def test_a_history_that_stops_early_leaves_the_verdict_unknown() -> None:
    assert restarts(going().history)[0].verdict == "unknown"
    assert restarts(Hand().opening().boots_up("power").history)[0].verdict == "unknown"
