"""The one pass: missing witnesses and broken checks are unknown, others are not disturbed, little is paid for noise."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pytest

from rrsim.machine import observations as seen
from rrsim.scenario import checks
from rrsim.scenario.checks.base import Check, Hears
from rrsim.scenario.history import History
from tests.scenario.checks.hand import Hand


class Raises(Check):
    __slots__ = ()
    name: ClassVar[str] = "raises"

    def _boot(self, *_: object) -> None:
        raise ZeroDivisionError("on purpose")

    hears: ClassVar[Hears] = {seen.BootBegan: _boot}


class RaisesAtTheEnd(Check):
    __slots__ = ()
    name: ClassVar[str] = "raises at the end"

    def finish(self) -> None:
        raise KeyError("on purpose")


def whole() -> Hand:
    return Hand().opening().restarts().ends()


def test_a_check_that_raises_is_unknown_and_disturbs_no_other() -> None:
    found = checks.run(whole().history, checks=(Raises, *checks.INVARIANTS, RaisesAtTheEnd))
    results = {one.check: one for one in found.results}
    for name, word in (("raises", "ZeroDivisionError"), ("raises at the end", "KeyError")):
        assert results[name].outcome == "unknown"
        assert word in results[name].message
    assert all(results[f"I{n}"].outcome == "passed" for n in range(1, 14))


@pytest.mark.parametrize("kind", ["server", "pc", "console", "wire"])
def test_a_missing_source_makes_every_check_unknown_that_needs_it(kind: str) -> None:
    hand = whole()
    entries = [entry for entry in hand.history.entries if entry[1].partition("-")[0] != kind]
    found = checks.run(History(hand.header, entries))
    needing = {check.name for check in checks.INVARIANTS if kind in check.needs}
    assert needing
    for one in found.results:
        if one.check in needing:
            assert (one.outcome, one.cause) == ("unknown", "witness missing")


def test_a_witness_the_backend_does_not_have_makes_a_check_unknown() -> None:
    hand = whole()
    header = msgspec.structs.replace(hand.header, unobserved=("clicked",))
    results = {one.check: one.outcome for one in checks.run(History(header, hand.history.entries)).results}
    assert results["I4"] == results["I5"] == results["I13"] == "unknown"
    assert results["I1"] == "passed"


def test_a_run_without_probe_or_inventory_cannot_be_judged() -> None:
    failing = Hand().opening().restarts().healed().failing()
    assert failing["I6"] == "unknown: no probe boot"
    assert failing["I7"] == "unknown: no inventory"


def test_a_history_that_stops_too_early_for_a_verdict_is_unknown() -> None:
    failing = Hand().opening().asked().confirmed().given().armed().failing()
    assert failing["I9"] == "unknown: history too short"


def test_an_empty_history_is_unknown_throughout() -> None:
    assert {one.outcome for one in checks.run(Hand().history).results} == {"unknown"}


def test_every_check_declares_name_needs_and_events() -> None:
    for check in checks.INVARIANTS:
        assert check.name
        assert check.needs
        assert check.hears or check.finish is not Check.finish


def test_events_of_no_concern_reach_nobody() -> None:
    assert seen.DialProgress not in checks.PLAN
    assert seen.ConnectTried not in checks.PLAN
