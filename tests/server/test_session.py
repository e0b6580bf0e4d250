"""Chat, sharing, consoles, time, illegal inputs: R9, rules 4, 6, 13; I5, I12; LO-05, CO-07, NE-08, EX-07."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.protocol.timers import SetTimer, TimerFired
from rrsim.server import core
from rrsim.server.vocabulary import AgentGone, AgentSaid, Claimed, Opened, Recovered, RepGone, RepHere, RepSaid
from tests.server.bench import REP, SESSION, Bench

CONSENT = Account(ask_before_sharing=True)


# --- chat -------------------------------------------------------------------------------------------------------


def test_chat_is_numbered_without_gaps_and_repeats_are_dropped() -> None:
    b = Bench().active()
    b.say(msg.AgentChat(1, "one"))
    assert b.told_rep(msg.RepSeesChat) == [msg.RepSeesChat(1, "customer", "one")]
    b.rep(msg.RepChat("two"))
    assert b.told_agent(msg.ServerChat) == [msg.ServerChat(2, REP, "two")]
    b.drop()
    b.reconnect()
    assert b.told_agent(msg.Resumed)[0].lines == 1
    b.say(msg.AgentChat(1, "one"))
    b.say(msg.AgentChat(2, "three"))
    assert [(c.seq, c.text) for c in b.records(rec.ChatLine)] == [(1, "one"), (2, "two"), (3, "three")]


def test_a_new_process_counts_its_lines_from_one_and_the_transcript_goes_on() -> None:
    b = Bench().active()
    b.say(msg.AgentChat(1, "before"))
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.drop()
    b.rep(msg.RepChat("while away"))
    b.resume()
    assert b.told_agent(msg.Resumed)[0].lines == 0
    b.say(msg.AgentChat(1, "after"))
    assert [c.text for c in b.records(rec.ChatLine)] == ["before", "while away", "after"]
    assert [c.seq for c in b.records(rec.ChatLine)] == [1, 2, 3]


# --- sharing ----------------------------------------------------------------------------------------------------


def shared(account: Account, mode: msg.AgentMode = "application") -> Bench:
    """A PC that is away and whose screen was shared."""
    b = Bench(account, mode).active()
    if mode == "service":
        b.say(msg.HelperState("visible", "customer"))
    b.rep(msg.RequestSharing(True))
    assert b.told_agent(msg.Sharing) == [msg.Sharing(True)]
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.drop()
    return b


def test_sharing_that_ran_returns_by_itself() -> None:
    b = shared(Account())
    b.resume()
    assert b.told_agent(msg.Sharing) == [msg.Sharing(True)]
    assert not b.records(rec.CustomerAsked)


def test_sharing_that_did_not_run_is_not_started() -> None:
    b = Bench(CONSENT).rebooting()
    b.resume()
    assert not b.told_agent(msg.Sharing)
    assert not b.records(rec.CustomerAsked)


@pytest.mark.parametrize(("answer", "on"), [("yes", True), ("no", False), ("silence", False), (None, False)])
def test_sharing_is_asked_again_where_the_account_says_so(answer: msg.Answer | None, on: bool) -> None:
    b = shared(CONSENT)
    b.resume()
    assert b.told_agent(msg.Ask)[0].kind == "sharing"
    assert not b.told_agent(msg.Sharing)
    if answer is None:
        b.wait(CONSENT.prompt_timeout_us + 5_000_000)
    else:
        b.say(msg.ConsentAnswer(1, answer, True))
    assert b.told_agent(msg.Sharing) == ([msg.Sharing(True)] if on else [])
    assert b.last(rec.SharingChanged).on == on
    assert b.name == "active", "chat only is still the same session"
    if not on:
        b.say(msg.ConsentAnswer(1, "yes", True))
        assert not b.told_agent(msg.Sharing), "the question is closed"
        b.rep(msg.RequestSharing(True))
        assert not b.told_agent(msg.Sharing)
        assert b.told_agent(msg.Ask)[0].ask == 2, "the representative's wish needs a Yes too (I5)"


def test_at_the_welcome_screen_the_question_waits_for_somebody() -> None:
    b = shared(CONSENT, "service")
    b.resume(user="", desktop="none")
    assert not b.told_agent(msg.Ask)
    b.rep(msg.RequestSharing(True))
    assert not b.told_agent(msg.Sharing)
    assert b.told_rep(msg.SessionView)[0].reason == "nobody can be asked now"
    b.say(msg.HelperState("locked", "customer"))
    assert not b.told_agent(msg.Ask)
    b.say(msg.HelperState("visible", "customer"))
    assert b.told_agent(msg.Ask)[0].kind == "sharing"
    b.say(msg.HelperState("visible", "customer"))
    assert not b.told_agent(msg.Ask), "asked once"


@pytest.mark.parametrize("account", [Account(), CONSENT])
def test_another_person_is_asked_before_they_are_seen(account: Account) -> None:
    b = shared(account, "service")
    b.resume(user="", desktop="none")
    b.say(msg.HelperState("visible", "somebody else"))
    assert b.told_agent(msg.Ask)[0].kind == "sharing"
    assert not b.state.durable.screen.on
    assert b.told_agent(msg.Sharing) == ([] if account is CONSENT else [msg.Sharing(False)])
    b.say(msg.ConsentAnswer(1, "yes", True))
    assert b.state.durable.screen.on


def test_a_person_who_is_back_after_a_loss_is_not_asked_again() -> None:
    b = shared(CONSENT)
    b.resume()
    b.say(msg.ConsentAnswer(1, "yes", True))
    b.drop()
    assert not b.state.durable.screen.on
    b.boot = "boot-2"
    b.reconnect()
    assert b.told_agent(msg.Sharing) == [msg.Sharing(True)]


def test_a_question_outlives_a_loss_and_not_the_server() -> None:
    b = shared(CONSENT)
    b.resume()
    b.say(msg.Heartbeat())
    b.boot = "boot-2"
    b.drop()
    b.reconnect()
    assert not b.told_agent(msg.Sharing)
    b.crash()
    assert b.last(rec.CustomerAnswered).answer == "silence"
    b.reconnect()
    assert b.told_agent(msg.Ask)[0].ask == 2
    b.say(msg.ConsentAnswer(2, "yes", True))
    assert b.state.durable.screen.on


def test_the_representative_stops_sharing_and_its_question() -> None:
    b = shared(CONSENT)
    b.resume()
    b.rep(msg.RequestSharing(False))
    b.say(msg.ConsentAnswer(1, "yes", True))
    assert not b.state.durable.screen.on


# --- consoles ---------------------------------------------------------------------------------------------------


def test_a_lost_console_is_waited_for_and_the_window_runs_on() -> None:
    b = Bench().rebooting()
    due = b.timers["window"]
    b.do(RepGone(REP))
    assert b.records(rec.RepLost)
    assert b.timers["window"] == due
    b.wait(10_000_000)
    b.do(RepHere(REP))
    assert b.records(rec.RepBack)
    assert b.told_rep(msg.SessionView)[0].state == "rebooting"
    assert b.told_rep(msg.RestartView)[0].phase == "rebooting"
    assert "rep" not in b.timers


def test_nobody_comes_back_and_the_session_waits_in_the_queue() -> None:
    b = Bench().rebooting()
    b.do(RepGone(REP))
    b.wait(b.account.rep_grace_us)
    assert b.records(rec.SessionRequeued)
    assert b.last(rec.ChatLine).author == "server", "the customer is told"
    b.resume()
    assert b.name == "queued"
    b.rep(msg.Take(), rep="rep-2")
    assert b.name == "active"
    assert b.told_rep(msg.SessionView)[0].state == "active"


def test_only_the_own_console_matters() -> None:
    b = Bench().active()
    before = b.state.durable
    b.do(RepHere("rep-2"))
    b.do(RepGone("rep-2"))
    assert b.state.durable == before
    assert "rep" not in b.timers, "nobody is waited for"
    b.do(RepHere(REP))
    assert b.state.durable == before, "it was not lost"
    b.do(RepGone(REP))
    b.do(RepGone(REP))
    assert len(b.records(rec.RepLost)) == 1
    b.do(RepHere("rep-2"))
    assert b.state.durable.rep_lost
    assert not b.records(rec.RepBack)
    b.do(RepHere(REP))
    assert len(b.records(rec.RepBack)) == 1


def test_a_console_that_comes_and_goes_after_the_end_is_not_recorded() -> None:
    b = Bench().active()
    b.do(RepGone(REP))
    b.do(AgentSaid(b.state.conn, msg.Leave("closed the chat window")))
    count = len(b.journal)
    b.do(RepHere(REP))
    b.do(RepGone(REP))
    assert len(b.journal) == count


def test_the_customer_is_told_when_nobody_came_back() -> None:
    b = Bench().active()
    b.do(RepGone(REP))
    b.do(TimerFired("rep"))
    assert b.records(rec.SessionRequeued)
    told = b.told_agent(msg.ServerChat)
    assert [one.text for one in told] == [b.last(rec.ChatLine).text]


def test_a_console_that_is_back_is_asked_to_confirm_again() -> None:
    b = Bench().active()
    b.ask()
    b.do(RepGone(REP))
    b.do(RepHere(REP))
    assert b.told_rep(msg.ConfirmRestart) == [msg.ConfirmRestart(1, "chat window", "normal")]
    b.rep(msg.Confirm(1, "yes"))
    b.do(RepHere(REP))
    assert not b.told_rep(msg.ConfirmRestart)
    assert b.told_rep(msg.RestartView) == [msg.RestartView(1, "arming")]


def test_whoever_gets_the_session_is_not_asked_to_confirm_what_another_asked_for() -> None:
    b = Bench().active()
    b.ask()
    b.rep(msg.Transfer("rep-2"))
    assert not b.told_rep(msg.ConfirmRestart)
    b.rep(msg.Confirm(1, "yes"), rep="rep-2")
    assert not b.records(rec.RestartConfirmed)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_yes_counts_for_the_restart_it_was_asked_about(number: int) -> None:
    b = Bench().active()
    b.rep(msg.Confirm(b.ask(), "no"))
    assert b.ask() == 2
    b.rep(msg.Confirm(number, "yes"))
    assert len(b.records(rec.RestartConfirmed)) == 1
    assert not b.records(rec.OrderGiven)


def test_a_second_yes_gives_no_second_order() -> None:
    b = Bench().active()
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.rep(msg.Confirm(1, "yes"))
    b.say(msg.Armed(1))
    b.rep(msg.Confirm(1, "no"))
    assert len(b.records(rec.OrderGiven)) == len(b.records(rec.RestartConfirmed)) == 1


def test_a_transfer_while_rebooting_resumes_with_the_new_representative() -> None:
    b = Bench().rebooting()
    b.rep(msg.Transfer("rep-2"))
    assert b.last(rec.SessionTransferred).rep == "rep-2"
    b.resume()
    assert [e.rep for e in b.sent if hasattr(e, "rep")] == ["rep-2", "rep-2"]
    b.rep(msg.RepChat("not mine any more"))
    assert not b.records(rec.ChatLine)
    b.rep(msg.EndSession())
    assert b.name == "active"
    b.rep(msg.EndSession(), rep="rep-2")
    assert b.name == "ended"


def test_a_session_is_taken_once() -> None:
    b = Bench().active()
    b.rep(msg.Take(), rep="rep-2")
    assert "another representative" in b.told_rep(msg.SessionView)[0].reason
    assert b.state.durable.rep == REP


def test_a_console_after_the_end_is_told() -> None:
    b = Bench().active()
    b.rep(msg.EndSession())
    b.ask()
    assert b.told_rep(msg.SessionView)[0].state == "ended"
    assert not b.records(rec.RestartAsked)


# --- time -------------------------------------------------------------------------------------------------------


def test_a_heartbeat_is_answered_and_changes_nothing() -> None:
    b = Bench().active()
    b.say(msg.Heartbeat())
    before = b.state
    b.say(msg.Heartbeat())
    assert b.state is before
    assert len(b.sent) == 2
    assert b.told_agent(msg.HeartbeatReply)
    assert [e.name for e in b.sent if isinstance(e, SetTimer)] == ["silence"]


def test_a_silent_connection_is_dead() -> None:
    b = Bench().active()
    conn = b.state.conn
    b.wait(b.account.silence_us)
    assert b.hung_up == [conn]
    assert b.last(rec.EndpointLost).reason == "silence"
    assert b.name == "interrupted"


def test_an_idle_session_ends_but_not_while_its_pc_restarts() -> None:
    account = Account(idle_timeout_us=120_000_000)
    b = Bench(account).rebooting()
    b.wait(500_000_000)
    assert b.name == "rebooting"
    b.resume()
    b.alive(119_999_999)
    b.say(msg.AgentChat(1, "not idle"))
    b.alive(119_999_999)
    assert b.name == "active"
    b.alive(1)
    assert b.last(rec.SessionEnded).by == "server"


# --- illegal inputs ---------------------------------------------------------------------------------------------

CLAIM = Claimed(9, "machine-1", "windows", "application", msg.Join(SESSION), "f")


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Opened(SESSION, "standard", Account()), core.OpenedTwice),
        (TimerFired("no such timer"), core.UnknownTimer),
        (Claimed(0, "machine-1", "windows", "application", msg.Join(SESSION), "f"), core.NotAConnection),
        (Claimed(1, "machine-1", "windows", "application", msg.Join(SESSION), "f"), core.NotAConnection),
        (AgentSaid(1, msg.Hello((1,), "windows", "service", "m")), core.OutOfTurn),
        (AgentSaid(1, msg.Join(SESSION)), core.OutOfTurn),
        (AgentSaid(1, msg.Reconnect(SESSION, "k", "boot-1", False)), core.OutOfTurn),
    ],
)
def test_illegal_inputs_have_names_and_change_nothing(event: Any, error: type[core.SessionError]) -> None:
    b = Bench().active()
    before = b.state
    with pytest.raises(error):
        b.do(event)
    assert b.state is before
    b.say(msg.Heartbeat())


@pytest.mark.parametrize(
    "event",
    [CLAIM, AgentSaid(1, msg.Heartbeat()), AgentGone(1, "x"), RepHere(REP), RepGone(REP), Recovered(),
     RepSaid(REP, msg.Take(), "f"), TimerFired("window")],
)  # fmt: skip
def test_nothing_comes_before_opened(event: Any) -> None:
    with pytest.raises(core.NotOpened):
        core.step(core.initial(), event)


def test_a_journal_of_another_session_is_refused() -> None:
    b = Bench().active()
    with pytest.raises(core.CorruptJournal):
        core.apply(b.state, rec.SessionLost("session-2", "x"))
    with pytest.raises(core.CorruptJournal):
        core.apply(b.state, rec.SessionRequested(SESSION, "standard", Account()))
    with pytest.raises(core.CorruptJournal):
        core.rebuild((rec.SessionTaken(SESSION, REP),))


@pytest.mark.parametrize(("first", "desktop", "second", "paused"), [
    ("customer", "locked", "customer", False),
    ("customer", "none", "", False),
    ("", "visible", "customer", False),
    ("customer", "visible", "somebody else", True),
])  # fmt: skip
def test_only_another_person_pauses_the_screen(first: str, desktop: msg.Desktop, second: str, paused: bool) -> None:
    b = Bench(mode="service")
    b.do(RepHere("rep-1"))
    b.rep(msg.Take())
    b.claim(msg.Join("session-1", boot=b.boot, user=first))
    b.rep(msg.RequestSharing(on=True))
    assert b.state.durable.screen.on
    b.say(msg.HelperState(desktop, second))
    assert b.state.durable.screen.on is not paused


@pytest.mark.parametrize("ending", ["refused", "undone"])
def test_the_screen_comes_back_when_the_restart_does_not_happen(ending: str) -> None:
    b = Bench().active()
    b.rep(msg.RequestSharing(on=True))
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.drop()
    b.reconnect(restarting=True)
    assert not b.state.durable.screen.on, "the restart may still come"
    b.say(msg.ArmFailed(1, "x", "y") if ending == "refused" else msg.NotRestarting(1, "z"))
    assert b.state.durable.screen.on
    assert b.told_agent(msg.Sharing) == [msg.Sharing(on=True)]
