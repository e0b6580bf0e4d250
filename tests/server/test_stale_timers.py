"""Timers that outlive what they were set for find nothing to do; those that count tell everybody (NE-12, rule 11)."""

from __future__ import annotations

import pytest

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.protocol.timers import TimerFired
from rrsim.server._turn import TIMERS
from tests.server.bench import Bench

RESCUE = Account(profile="rescue", expiry_final=False)


@pytest.mark.parametrize("name", [name for name in TIMERS if name not in {"silence", "idle"}])
@pytest.mark.parametrize("stage", ["nobody joined", "active", "resumed", "offline", "ended"])
def test_a_timer_nobody_waits_for_changes_nothing(name: str, stage: str) -> None:
    b = Bench(RESCUE if stage == "offline" else None)
    if stage == "active":
        b.active()
    elif stage != "nobody joined":
        b.rebooting()
    if stage == "resumed":
        b.resume()
        b.say(msg.Heartbeat())
    elif stage == "offline":
        b.wait(RESCUE.resume_window_us)
        assert b.name == "offline"
    elif stage == "ended":
        b.rep(msg.EndSession())
    before, count = b.state, len(b.journal)
    b.do(TimerFired(name))
    assert b.state == before
    assert len(b.journal) == count
    assert not b.sent


def test_the_console_is_told_that_the_session_expired() -> None:
    b = Bench().rebooting()
    b.wait(b.account.resume_window_us)
    assert b.told_rep(msg.RestartView) == [msg.RestartView(1, "expired")]


def test_a_restart_that_was_only_talked_about_is_refused_when_the_customer_is_lost() -> None:
    b = Bench().active()
    b.ask()
    b.drop()
    b.do(TimerFired("window"))
    assert b.last(rec.RestartRefused).reason == "the customer is gone"
    assert b.name == "lost"


def test_the_screen_comes_back_when_the_restart_limit_has_passed() -> None:
    b = Bench().active()
    b.rep(msg.RequestSharing(on=True))
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.drop()
    b.reconnect(restarting=True)
    b.say(msg.NotRestarting(1, "blocked"))
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.say(msg.Armed(2))
    b.drop()
    b.reconnect(restarting=True)
    assert not b.state.durable.screen.on
    b.do(TimerFired("limit"))
    assert b.last(rec.RestartUndone).reason == "restart limit"
    assert b.state.durable.screen.on


def test_whoever_gets_the_session_sees_it_at_once() -> None:
    b = Bench().active()
    b.rep(msg.Transfer("rep-2"))
    views = [e for e in b.sent if getattr(e, "rep", "") == "rep-2" and isinstance(e.message, msg.SessionView)]
    assert len(views) == 1


def test_what_is_open_at_the_end_is_closed_in_the_journal() -> None:
    """Rules 6 and 14, I13: every question has an answer, and the screen is off."""
    b = Bench(Account(ask_before_restart=True)).active()
    b.rep(msg.RequestSharing(on=True))
    b.rep(msg.Confirm(b.ask(), "yes"))
    assert b.state.durable.restart_ask
    b.rep(msg.EndSession())
    assert (b.last(rec.CustomerAnswered).kind, b.last(rec.CustomerAnswered).answer) == ("restart", "silence")
    assert not b.last(rec.SharingChanged).on
    b = Bench(Account(ask_before_sharing=True), mode="application").active()
    b.rep(msg.RequestSharing(on=True))
    b.rep(msg.Confirm(b.ask(), "yes"))
    b.say(msg.Armed(1))
    b.resume()
    assert b.state.durable.sharing_ask
    b.rep(msg.EndSession())
    assert (b.last(rec.CustomerAnswered).kind, b.last(rec.CustomerAnswered).answer) == ("sharing", "silence")
