"""The judgement over one history: what failures, unknowns and impossible steps come to."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.scenario import actions
from rrsim.scenario.history import History
from rrsim.scenario.judge import judge, outcome_of
from rrsim.scenario.model import Expect, Moment, Scenario, Step
from rrsim.scenario.result import CheckResult
from tests.scenario.checks.hand import SESSION, Hand


def scenario(**expect: Any) -> Scenario:
    step = Step(Moment(), actions.RepRestarts(name="the one"))
    return Scenario(name="by hand", steps=(step,), expect=Expect(**expect))


def ordinary() -> Hand:
    return Hand().opening().restarts().ends()


def problems(hand: Hand, **expect: Any) -> dict[str, str]:
    return {one.check: one.outcome for one in judge(scenario(**expect), hand.history).problems}


def test_a_good_run_passes() -> None:
    judgement = judge(scenario(verdict="resumed", session="active"), ordinary().history)
    assert judgement.outcome == "passed"
    assert judgement.verdict == "resumed"
    assert {one.check for one in judgement.checks} >= {"I1", "I13", "expect verdict", "expect session"}


def test_an_unmet_expectation_fails() -> None:
    assert judge(scenario(verdict="expired"), ordinary().history).outcome == "failed"


def test_a_broken_invariant_fails_whatever_is_expected() -> None:
    hand = Hand().opening().restarts().healed().winds_down(items=("file:theirs", "file:ticket"))
    assert judge(scenario(verdict="resumed"), hand.history).outcome == "failed"


def test_left_behind_is_allowed_and_demanded() -> None:
    hand = Hand().opening().restarts().healed().winds_down(items=("file:theirs", "file:ticket"))
    assert judge(scenario(left_behind=("file:ticket",)), hand.history).outcome == "passed"
    assert problems(ordinary(), left_behind=("file:ticket",)) == {"expect left behind": "failed"}


def test_an_expected_violation_passes() -> None:
    hand = Hand().opening().asked().given().armed().intended().goes_down().boots_up().logs_on().resumed().ends()
    assert judge(scenario(broken_invariant="I4"), hand.history).outcome == "passed"
    assert judge(scenario(broken_invariant="I4"), ordinary().history).outcome == "failed"


def test_an_impossible_step_fails_with_its_reason() -> None:
    hand = Hand().opening()
    hand.put("director", seen.StepImpossible("step 3", "no such prompt appeared"))
    judgement = judge(scenario(restarts=()), hand.ends().history)
    step = next(one for one in judgement.checks if one.check == "step 3")
    assert judgement.outcome == step.outcome == "failed"
    assert "no such prompt appeared" in step.message
    assert isinstance(hand.history.entries[step.entry][2], seen.StepImpossible)


def test_what_people_could_not_do_while_the_run_winds_down_is_no_step() -> None:
    hand = Hand().opening().restarts().healed()
    hand.put("director", seen.StepImpossible("SignIn", "the PC is shutting down"))
    assert judge(scenario(verdict="resumed"), hand.winds_down().history).outcome == "passed"


@pytest.mark.parametrize("quiet", [False, None])
def test_a_run_that_does_not_end_quietly_is_unknown(quiet: bool | None) -> None:
    hand = ordinary()
    hand.history.entries.pop()
    if quiet is not None:
        hand.put("director", seen.RunEnded(quiet))
    assert problems(hand, verdict="resumed")["run ended"] == "unknown"
    assert judge(scenario(verdict="resumed"), hand.history).outcome == "unknown"


def test_a_verdict_that_is_unknown_is_never_a_pass() -> None:
    hand = Hand().opening().asked().confirmed()
    hand.healed()
    hand.winds_down(over=False)
    assert problems(hand)["verdict 1 of customer 1"] == "unknown"
    assert judge(scenario(), hand.history).outcome == "unknown"


def test_names_come_from_the_steps_where_the_history_has_no_actions() -> None:
    hand = ordinary()
    entries = [(t, s, e, -1) for t, s, e, _ in hand.history.entries if not isinstance(e, actions.RepRestarts)]
    assert judge(scenario(), History(hand.header, entries)).restarts[0].name == "the one"
    assert judge(scenario(), hand.history).restarts[0].name == ""


def test_a_foreign_restart_takes_no_name() -> None:
    hand = Hand().opening().boots_up("power").server(r.SessionExpired(SESSION, 0)).healed().winds_down(False)
    entries = [entry for entry in hand.history.entries if not isinstance(entry[2], actions.RepRestarts)]
    assert judge(scenario(), History(hand.header, entries)).restarts[0].name == ""


@pytest.mark.parametrize(
    ("outcomes", "wanted"),
    [
        (("passed", "passed"), "passed"),
        (("passed", "unknown"), "unknown"),
        (("unknown", "failed", "passed"), "failed"),
        ((), "unknown"),
    ],
)
def test_what_checks_come_to(outcomes: tuple[Any, ...], wanted: str) -> None:
    assert outcome_of([CheckResult(check="c", outcome=one) for one in outcomes]) == wanted


def test_an_empty_history_is_unknown() -> None:
    assert judge(scenario(), Hand().history).outcome == "unknown"
