"""Every expectation a scenario can state: met, and not met."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.machine import observations as seen
from rrsim.protocol import messages as m
from rrsim.protocol import records as r
from rrsim.protocol.settings import Account
from rrsim.scenario import checks, expectations
from rrsim.scenario.model import Expect, ExpectedEvent, ExpectedRestart
from rrsim.scenario.result import CheckResult
from rrsim.scenario.words import Duration
from tests.scenario.checks.hand import SESSION, Hand

CONSENT = Account(ask_before_restart=True)


def results(hand: Hand, **fields: Any) -> tuple[CheckResult, ...]:
    found = checks.run(hand.history)
    restarts = found.context.verdicts.results(hand.history.entries, found.complete, found.missing)
    return expectations.evaluate(Expect(**fields), hand.history, found, restarts)


def outcome(hand: Hand, **fields: Any) -> str:
    got = results(hand, **fields)
    assert got
    for one in got:
        assert one.check.startswith("expect")
        if one.outcome != "passed":
            assert "expected" in one.message
            assert "seen" in one.message
    outcomes = {one.outcome for one in got}
    return "failed" if "failed" in outcomes else "unknown" if "unknown" in outcomes else "passed"


def ordinary() -> Hand:
    return Hand(CONSENT).opening(shares=True).said("hello", 1).restarts().server(
        r.SharingChanged(SESSION, True, "back")
    ).pc(seen.ScreenSeen(True)).ends()


def two() -> Hand:
    hand = Hand().opening().asked(1, name="first").server(r.RestartRefused(SESSION, 1, "disk full")).asked(2, name="b")
    return hand.confirmed(2).given(2).armed(2).intended().goes_down(2).boots_up().logs_on().resumed(2).ends()


def foreign() -> Hand:
    return Hand().opening(shares=True).boots_up("power").server(r.SessionExpired(SESSION, 0)).healed().winds_down(False)


def one(verdict: Any, **fields: Any) -> ExpectedRestart:
    return ExpectedRestart(verdict=verdict, **fields)


CASES: list[tuple[Any, dict[str, Any], str]] = [
    (ordinary, {"verdict": "resumed"}, "passed"),
    (ordinary, {"verdict": "degraded"}, "failed"),
    (ordinary, {"verdict": "resumed", "losses": ()}, "passed"),
    (ordinary, {"verdict": "resumed", "losses": ("chat only",)}, "failed"),
    (two, {"verdict": "resumed"}, "failed"),
    (lambda: Hand().opening().ends(), {"verdict": "resumed"}, "failed"),
    (lambda: Hand().opening().asked().confirmed().given().armed(), {"verdict": "resumed"}, "unknown"),
    (two, {"restarts": (one("refused"), one("resumed"))}, "passed"),
    (two, {"restarts": (one("resumed"), one("refused"))}, "failed"),
    (two, {"restarts": (one("refused"),)}, "failed"),
    (two, {"restarts": (one("resumed", name="b"), one("refused", name="first"))}, "passed"),
    (two, {"restarts": (one("resumed", name="b"), one("refused"))}, "passed"),
    (two, {"restarts": (one("refused", name="nobody"), one("resumed"))}, "failed"),
    (two, {"restarts": (one("refused", reason="Disk Full"), one("resumed", kind="ordered"))}, "passed"),
    (two, {"restarts": (one("refused", reason="silence"), one("resumed"))}, "failed"),
    (two, {"restarts": (one("refused"), one("resumed", kind="foreign"))}, "failed"),
    (two, {"restarts": (one("refused", no_later_than_us=Duration(1_000_000)), one("resumed"))}, "passed"),
    (two, {"restarts": (one("refused", no_later_than_us=Duration(999_999)), one("resumed"))}, "failed"),
    (two, {"restarts": (one("refused", no_earlier_than_us=Duration(1_000_000)), one("resumed"))}, "passed"),
    (two, {"restarts": (one("refused", no_earlier_than_us=Duration(1_000_001)), one("resumed"))}, "failed"),
    (two, {"restarts": ()}, "failed"),
    (lambda: Hand().opening().ends(), {"restarts": ()}, "passed"),
    (ordinary, {"session": "active"}, "passed"),
    (ordinary, {"session": "ended"}, "failed"),
    (foreign, {"session": "expired"}, "passed"),
    (ordinary, {"boots": 1}, "passed"),
    (ordinary, {"boots": 2}, "failed"),
    (ordinary, {"asked": ("restart",)}, "passed"),
    (ordinary, {"asked": ()}, "failed"),
    (foreign, {"asked": ()}, "passed"),
    (ordinary, {"sharing": True}, "passed"),
    (ordinary, {"sharing": False}, "failed"),
    (foreign, {"sharing": False}, "passed"),
    (lambda: Hand().opening().ends(), {"sharing": False}, "passed"),
    (lambda: Hand().opening(shares=True).pc(seen.AgentStopped("crashed")).ends(), {"sharing": False}, "passed"),
    (lambda: Hand().opening().boots_up("probe").ends(), {"boots": 0}, "passed"),
    (ordinary, {"offered": {"restart": True, "safe mode": False}}, "passed"),
    (ordinary, {"offered": {"safe mode": True}}, "failed"),
    (ordinary, {"left_behind": ()}, "passed"),
    (ordinary, {"left_behind": ("file:ticket",)}, "failed"),
    (lambda: Hand().opening().healed().winds_down(items=("file:theirs", "file:ticket")),
     {"left_behind": ("file:ticket",)}, "passed"),
    (lambda: Hand().opening(), {"left_behind": ()}, "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "fields", "wanted"), CASES)
def test_expectation(make: Any, fields: dict[str, Any], wanted: str) -> None:
    assert outcome(make(), **fields) == wanted


EVENTS: list[tuple[dict[str, Any], str]] = [
    ({"event": "boot began"}, "passed"),
    ({"event": "boot began", "where": {"cause": "agent"}}, "passed"),
    ({"event": "boot began", "where": {"cause": "probe"}}, "failed"),  # after the steps
    ({"event": "boot began", "where": {"cause": "power"}}, "failed"),
    ({"event": "boot began", "times": 1}, "passed"),
    ({"event": "boot began", "times": 2}, "failed"),
    ({"event": "session expired", "times": 0}, "passed"),
    ({"event": "session ended", "times": 0}, "passed"),  # the harness ends it after the steps
    ({"event": "order given", "times": 0}, "failed"),
    ({"event": "order given", "where": {"boot mode": "normal"}}, "passed"),
    ({"event": "order given", "where": {"boot_mode": "normal", "customer": 1}}, "passed"),
    ({"event": "order given", "where": {"customer": 2}}, "failed"),
    ({"event": "host call", "where": {"verb": "intent saved", "source": "pc-1"}, "before": "boot began"}, "passed"),
    ({"event": "boot began", "before": "order given"}, "failed"),
    ({"event": "boot began", "before": "order given", "times": 0}, "passed"),
    ({"event": "order given", "before": "session expired"}, "failed"),
    ({"event": "message agent-chat", "where": {"text": "hello"}}, "passed"),
    ({"event": "message confirm", "times": 1}, "passed"),
    ({"event": "never heard of"}, "failed"),
    ({"event": "boot began", "before": "never heard of"}, "failed"),
]


@pytest.mark.parametrize(("fields", "wanted"), EVENTS)
def test_expected_event(fields: dict[str, Any], wanted: str) -> None:
    assert outcome(ordinary(), events=(ExpectedEvent(**fields),)) == wanted


def test_a_near_miss_shows_what_such_events_looked_like() -> None:
    event = ExpectedEvent(event="boot began", where={"cause": "power"})
    assert "cause='agent'" in results(ordinary(), events=(event,))[0].message


def test_a_near_miss_shows_no_secret() -> None:
    hand = Hand().opening()
    hand.put("wire-1", m.Order(1, "normal", False, "the-ticket"))
    event = ExpectedEvent(event="message order", where={"boot mode": "safe"})
    message = results(hand, events=(event,))[0].message
    assert "the-ticket" not in message
    assert "***" in message


def test_without_a_console_what_is_offered_is_unknown() -> None:
    hand = ordinary()
    hand.history.entries = [e for e in hand.history.entries if e[1] != "console"]
    assert outcome(hand, offered={"restart": True}) == "unknown"


def test_offered_is_what_was_shown_before_the_first_restart() -> None:
    hand = Hand().opening().asked()
    hand.put("console", m.SessionView("active", False, False, False))
    assert outcome(hand, offered={"restart": True}) == "passed"


def test_each_customer_of_several_has_one_restart() -> None:
    hand = Hand().opening().asked().server(r.RestartRefused(SESSION, 1, "no"))
    hand.server(r.RestartRefused("session-2", 1, "no"))
    assert len(results(hand, verdict="refused")) == 2
    assert outcome(hand, verdict="refused") == "passed"
    hand.server(r.RestartRefused("session-2", 2, "no"))
    assert outcome(hand, verdict="refused") == "failed"


def test_the_first_session_of_a_customer_is_meant() -> None:
    hand = Hand().opening().server(r.SessionExpired(SESSION, 1))
    hand.session = "session-1.2"
    hand.joined()
    assert outcome(hand, session="expired") == "passed"


def invariants(hand: Hand, name: str | None) -> dict[str, str]:
    found = checks.run(hand.history)
    return {one.check: one.outcome for one in expectations.invert(found.results, name)}


def test_a_broken_invariant_that_is_expected_passes_and_one_that_holds_fails() -> None:
    broken = Hand().opening().asked().given().armed().intended().ends()
    assert invariants(broken, None)["I4"] == "failed"
    assert invariants(broken, "I4")["I4"] == "passed"
    assert invariants(ordinary(), "I4")["I4"] == "failed"
    assert invariants(ordinary(), "I99")["I99"] == "failed"
    assert invariants(Hand().opening().restarts(), "I6")["I6"] == "unknown"
