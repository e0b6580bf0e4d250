"""I1: a session that is over is not taken, handed over or restarted any more."""

from __future__ import annotations

import pytest

from rrsim.protocol import records as r
from tests.scenario.checks.hand import SESSION, Hand

ENDED = r.SessionEnded(SESSION, "representative", "done")


@pytest.mark.parametrize(
    "record",
    [
        r.SessionTaken(SESSION, "rep-2"),
        r.SessionTransferred(SESSION, "rep-2"),
        r.OrderGiven(SESSION, 1, "normal", False, "boot-1", "seal"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_session_that_is_over_does_not_go_on(record: r.AnyRecord) -> None:
    result = Hand().opening().server(ENDED, record).healed().winds_down(over=False).results()["I1"]
    assert (result.outcome, result.cause) == ("failed", "ended session goes on")
    assert "seen" in result.message


def test_one_that_goes_on_may_be_handed_over() -> None:
    hand = Hand().opening().server(r.SessionTransferred(SESSION, "rep-2"), ENDED)
    assert hand.healed().winds_down(over=False).results()["I1"].outcome == "passed"
