"""Steps that are taken apart happen when they did, and what waits for a lost one keeps its time."""

from __future__ import annotations

import msgspec
import pytest

from rrsim.backends.sim.runner import run
from rrsim.explore.shrink.relink import apart, together, without
from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.plan import as_scenario
from rrsim.machine.observations import StepDone, StepImpossible
from rrsim.scenario.actions import RepChats
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Moment, Scenario, Step
from rrsim.scenario.words import Duration


def _times(case: Scenario, steps: tuple[Step, ...]) -> list[tuple[int, object]]:
    history = run(msgspec.structs.replace(case, steps=steps), 1).history
    assert history is not None
    done = [(t, e) for t, source, e, _ in history.entries if source == "director" and type(e) is not StepDone]
    # Names of steps are not the same before and after; when one turns out to be impossible is.
    return [(t, type(e) if type(e) is StepImpossible else e) for t, e in done]


_CASES = [case for case in load_paths(["scenarios"]).scenarios if len(case.steps) > 2][::6]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.id)
def test_taken_apart_and_put_together_everything_happens_as_before(case: Scenario) -> None:
    loose = apart(case.steps)
    assert all(step.moment.called for step in loose)
    before = _times(case, case.steps)
    assert _times(case, together(loose)) == before


@pytest.mark.parametrize("seed", range(40))
def test_a_plan_put_together_is_the_same_run(seed: int) -> None:
    case = as_scenario(draw_plan(seed))
    assert _times(case, together(apart(case.steps))) == _times(case, case.steps)


def _step(**moment: object) -> Step:
    return Step(Moment(**moment), RepChats())  # type: ignore[arg-type]  # fields of a moment, as named


def _moments(*steps: Step, kept: str) -> list[Moment]:
    return [step.moment for step in without(apart(steps), frozenset(kept.split()))]


def test_delays_add_up_when_a_step_between_is_lost() -> None:
    first, last = _moments(
        _step(), _step(delay_us=Duration(5)), _step(delay_us=Duration(7)), kept="s1 s3"
    )
    assert first.called == "s1"
    assert (last.after, last.delay_us) == ("s1", 12)


def test_the_time_of_a_lost_first_step_is_taken_over() -> None:
    (left,) = _moments(_step(at_us=Duration(100)), _step(delay_us=Duration(7)), kept="s2")
    assert (left.at_us, left.after, left.delay_us) == (107, None, 0)


def test_the_event_of_a_lost_step_is_taken_over() -> None:
    lost = _step(when="boot began", nth=2, delay_us=Duration(3), where={"safe_mode": True})
    (left,) = _moments(lost, _step(delay_us=Duration(4)), kept="s2")
    assert (left.when, left.nth, left.where, left.delay_us) == ("boot began", 2, {"safe_mode": True}, 7)


def test_a_step_with_an_event_of_its_own_keeps_it() -> None:
    lost = _step(when="boot began")
    (left,) = _moments(lost, _step(after="step 1", when="logged on"), kept="s2")
    assert (left.when, left.after) == ("logged on", None)


def test_names_that_nobody_uses_are_not_written() -> None:
    steps = together(apart((_step(), _step(delay_us=Duration(5)), _step(after="step 1", delay_us=Duration(9)))))
    assert [step.moment.called for step in steps] == ["s1", "", ""]
    assert [step.moment.after for step in steps] == [None, None, "s1"]
    assert steps[0].moment.at_us is None
