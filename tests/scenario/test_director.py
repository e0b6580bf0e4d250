"""The director: moments, dependencies, patience, and the one way every run ends."""

from __future__ import annotations

import pytest

from rrsim.machine.observations import BootBegan, HostCall
from rrsim.scenario import director as d
from rrsim.scenario.actions import PowerCut, RepChats, RepRestarts, Wait
from rrsim.scenario.model import Moment, Scenario, Step
from rrsim.scenario.words import Duration

SECOND_US = 1_000_000
LIMIT_US = 900 * SECOND_US


def _scenario(*steps: Step) -> Scenario:
    return Scenario(name="directed", steps=steps)


def _begin(*steps: Step) -> tuple[d.Plan, d.DirectorState, tuple[d.Command, ...]]:
    ready = d.plan(_scenario(*steps))
    state, commands = d.step(ready, d.DirectorState(), d.Begin(LIMIT_US))
    return ready, state, commands


def _boot(number: int = 2) -> d.Happened:
    return d.Happened("boot began", BootBegan(f"boot-{number}", False, "agent"), 1)


def test_a_first_step_without_a_moment_happens_after_one_second() -> None:
    _, _, commands = _begin(Step(Moment(), RepRestarts()))
    assert d.Wake("step 0", SECOND_US) in commands


def test_a_step_at_a_time_with_a_delay() -> None:
    _, _, commands = _begin(Step(Moment(at_us=Duration(5), delay_us=Duration(2)), RepRestarts()))
    assert d.Wake("step 0", 7) in commands


def test_a_step_without_a_moment_happens_with_the_one_before() -> None:
    ready, state, _ = _begin(Step(Moment(at_us=Duration(5)), RepRestarts()), Step(Moment(), RepChats()))
    _, commands = d.step(ready, state, d.Woke("step 0"))
    assert [c.action for c in commands if isinstance(c, d.Do)] == [RepRestarts(), RepChats()]


def test_the_nth_event_is_counted() -> None:
    ready, state, _ = _begin(Step(Moment(when="boot began", nth=2), PowerCut()))
    state, commands = d.step(ready, state, _boot())
    assert not any(isinstance(c, d.Do) for c in commands)
    state, commands = d.step(ready, state, _boot(3))
    assert d.Do(0, "step 1", PowerCut()) in commands
    assert state.phase == "deciding"


def test_where_must_match_every_field() -> None:
    ready, state, _ = _begin(Step(Moment(when="host call", where={"verb": "ticket saved", "ok": True}), Wait()))
    state, commands = d.step(ready, state, d.Happened("host call", HostCall("ticket saved", False), 1))
    assert commands == ()
    _, commands = d.step(ready, state, d.Happened("host call", HostCall("ticket saved", True), 1))
    assert any(isinstance(c, d.Do) for c in commands)


def test_an_event_of_another_customer_does_not_count() -> None:
    ready, state, _ = _begin(Step(Moment(when="boot began"), PowerCut(customer=2)))
    after, commands = d.step(ready, state, _boot())
    assert (after, commands) == (state, ())


def test_counting_starts_when_the_step_named_after_is_done() -> None:
    ready, state, _ = _begin(
        Step(Moment(at_us=Duration(5), called="order"), RepRestarts()),
        Step(Moment(after="order", when="boot began"), PowerCut()),
    )
    state, _ = d.step(ready, state, _boot())
    assert state.seen == (0, 0)
    state, _ = d.step(ready, state, d.Woke("step 0"))
    _, commands = d.step(ready, state, _boot())
    assert any(isinstance(c, d.Do) for c in commands)


def test_a_step_whose_event_never_comes_is_reported_as_that() -> None:
    ready, state, commands = _begin(Step(Moment(when="boot began"), PowerCut()), Step(Moment(), Wait()))
    assert d.Wake("patience", d.PATIENCE_US + LIMIT_US) in commands
    state, commands = d.step(ready, state, d.Woke("patience"))
    reasons = [c.reason for c in commands if isinstance(c, d.ReportImpossible)]
    assert len(reasons) == 2
    assert "its event never happened: 'boot began'" in reasons[0]
    assert "never happened" in reasons[1]
    assert state.phase == "deciding"


def test_patience_does_not_run_while_a_step_has_a_fixed_time() -> None:
    _, _, commands = _begin(Step(Moment(at_us=Duration(5)), Wait()), Step(Moment(when="boot began"), PowerCut()))
    assert not any(isinstance(c, d.Wake) and c.token == "patience" for c in commands)


def test_patience_ends_when_the_event_has_come_however_long_the_delay_after_it() -> None:
    step = Step(Moment(when="boot began", nth=2, delay_us=Duration(10 * d.PATIENCE_US)), Wait())
    ready, state, commands = _begin(step)
    assert d.Wake("patience", d.PATIENCE_US + LIMIT_US) in commands
    state, _ = d.step(ready, state, _boot())
    state, commands = d.step(ready, state, _boot(3))
    assert d.Unwake("patience") in commands


def test_an_unknown_step_name_is_refused() -> None:
    with pytest.raises(d.UnknownStepName, match="no step is called 'nowhere'"):
        d.plan(_scenario(Step(Moment(after="nowhere"), Wait())))


def test_the_end_of_a_run_has_one_order() -> None:
    ready, state, commands = _begin()
    assert state.phase == "deciding"
    seen: list[str] = []
    for event in (d.Woke("settle"), d.Woke("settle"), d.Woke("settle"), d.Probed(), d.Woke("settle")):
        state, commands = d.step(ready, state, event)
        seen += [type(c).__name__ for c in commands if not isinstance(c, d.Wake | d.Unwake)]
    assert seen == ["Heal", "EndSessions", "Probe", "Finish"]
    assert state.phase == "over"


def test_an_undecided_restart_keeps_the_run_going_until_the_bound() -> None:
    ready, state, _ = _begin()
    state, commands = d.step(ready, state, d.Decided(False))
    assert d.Unwake("settle") in commands
    assert d.Wake("bound", LIMIT_US + d.VERDICT_SLACK_US) in commands
    state, commands = d.step(ready, state, d.Woke("bound"))
    assert d.Heal() in commands


def test_a_probe_that_never_arrives_is_not_quiet() -> None:
    ready, state, _ = _begin()
    for token in ("settle", "settle", "settle"):
        state, _ = d.step(ready, state, d.Woke(token))
    _, commands = d.step(ready, state, d.Woke("bound"))
    assert d.Finish(quiet=False) in commands
