"""Hand-written histories of all kinds of runs that break no invariant."""

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


def ordinary() -> Hand:
    hand = Hand().opening(shares=True).said("before", 1).restarts().said("since", 1)
    return hand.server(r.SharingChanged(SESSION, True, "back")).pc(seen.ScreenSeen(True)).ends()


def strict() -> Hand:
    hand = Hand(STRICT).opening(shares=True).restarts()
    hand.server(r.CustomerAsked(SESSION, 2, "sharing", 0))
    hand.pc(seen.WindowShown("sharing prompt"), seen.Clicked("customer", "sharing prompt", "yes"))
    hand.server(r.CustomerAnswered(SESSION, 2, "sharing", 0, "yes", True), r.SharingChanged(SESSION, True, "consent"))
    return hand.pc(seen.ScreenSeen(True)).ends()


def automatic() -> Hand:
    hand = Hand(PROFILES["auto-accept"]).opening().asked().confirmed()
    hand.server(r.CustomerAsked(SESSION, 1, "restart", 1), r.CustomerAnswered(SESSION, 1, "restart", 1, "yes", False))
    return hand.given().armed().intended().goes_down().boots_up().logs_on().resumed().ends()


def safe_mode_service() -> Hand:
    hand = Hand(mode="service").opening().asked(mode="safe").confirmed().given(mode="safe").armed()
    hand.call("safe boot key registered", "boot flag set").intended().goes_down().boots_up(safe=True)
    return hand.logs_on().resumed().call("boot flag cleared", "safe boot key removed").ends()


def foreign_lost() -> Hand:
    hand = Hand().opening().pc(seen.SessionEnds("windows dialog"))
    hand.server(r.WindowOpened(SESSION, 0, "disconnect"), r.EndpointLost(SESSION, "closed"))
    hand.boots_up("windows dialog")
    hand.put("server", r.SessionExpired(SESSION, 0), hand.t_us + WINDOW_US)
    return hand.ends()


def new_session_after_expiry() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended().goes_down()
    hand.put("server", r.SessionExpired(SESSION, 1), hand.t_us + WINDOW_US)
    hand.boots_up()
    hand.session = "session-1.2"
    hand.seq = 0
    return hand.joined().said("again", 1).ends()


def last_instant() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended()
    opened_us = hand.t_us + 2 * S  # goes_down: the end of the Windows session, then the window
    hand.goes_down().boots_up().logs_on()
    return hand.resumed(at_us=opened_us + WINDOW_US - 1).ends()


def mac() -> Hand:
    hand = Hand(platform="mac").opening().asked()
    return hand.server(r.RestartRefused(SESSION, 1, "not available: the customer has a Mac")).ends()


def left_after_the_request() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended().leaves()
    hand.server(r.SessionEnded(SESSION, "customer", "closed the chat window"))
    return hand.boots_up().healed().winds_down(over=False)


def network_loss_long_ago() -> Hand:
    hand = Hand().opening().server(r.EndpointLost(SESSION, "reset"), r.WindowOpened(SESSION, 0, "disconnect"))
    hand.server(r.EndpointReconnected(SESSION, "seal"))
    hand.t_us += 2 * WINDOW_US
    hand.server(r.EndpointLost(SESSION, "reset"), r.EndpointReconnected(SESSION, "seal"))
    return hand.restarts().ends()


def window_closes_when_connected() -> Hand:
    hand = Hand(Account(window_closes="connected")).opening().asked().confirmed().given().armed().intended()
    opened_us = hand.t_us + 2 * S
    hand.goes_down().boots_up().logs_on()
    return hand.resumed(at_us=opened_us + WINDOW_US + 29 * S).ends()


def typed_after_the_end() -> Hand:
    hand = Hand().opening().server(r.SessionEnded(SESSION, "representative", "done"))
    hand.put("wire-1", m.AgentChat(1, "too late"))
    return hand.healed().winds_down(over=False)


def typed_on_a_dead_connection() -> Hand:
    hand = Hand().opening().server(r.EndpointLost(SESSION, "reset"))
    hand.put("wire-1", m.AgentChat(1, "still there?"))
    return hand.server(r.EndpointReconnected(SESSION, "seal")).said("still there?", 1).ends()


def stayed_when_asked() -> Hand:
    hand = Hand().opening().asked().confirmed().given().armed().intended()
    hand.pc(seen.WindowShown("leave prompt"), seen.Clicked("customer", "leave prompt", "yes"))
    return hand.goes_down().boots_up().logs_on().resumed().ends()


def two_customers_chat() -> Hand:
    hand = Hand().opening().said("one")
    hand.server(r.SessionRequested("session-2", "standard", Account()))
    hand.put("console", m.RepSeesChat(1, "customer", "a line of the other session"))
    return hand.ends()


GOOD: list[Callable[[], Hand]] = [
    network_loss_long_ago, window_closes_when_connected, typed_after_the_end, two_customers_chat,
    typed_on_a_dead_connection, stayed_when_asked,
    ordinary, strict, automatic, safe_mode_service, foreign_lost, new_session_after_expiry, last_instant, mac,
    left_after_the_request,
]  # fmt: skip


@pytest.mark.parametrize("make", GOOD, ids=lambda f: f.__name__)
def test_a_history_that_breaks_nothing_passes_every_invariant(make: Callable[[], Hand]) -> None:
    assert make().failing() == {}


def test_all_thirteen_are_there_in_order() -> None:
    assert list(ordinary().results()) == [f"I{n}" for n in range(1, 14)]
