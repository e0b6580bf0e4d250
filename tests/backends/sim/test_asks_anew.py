"""The customer asks for support at moments when that cannot work: said in the history, no error of the harness."""

from __future__ import annotations

import pytest

from rrsim.backends.sim import runner
from rrsim.machine import observations as seen
from rrsim.protocol import records
from rrsim.scenario.actions import CustomerStartsSupport, RepRestarts
from rrsim.scenario.model import Moment, Scenario, Step
from rrsim.scenario.words import Duration


def asked(moment: Moment) -> list[object]:
    """Run a restart during which the customer asks for support; return the history's events."""
    steps = (Step(Moment(at_us=Duration(1_000_000)), RepRestarts()), Step(moment, CustomerStartsSupport()))
    result = runner.run(Scenario(name="asks anew", steps=steps), seed=1)
    assert result.outcome != "error", result.reason
    assert result.history is not None
    return [event for _, _, event, _ in result.history.entries]


@pytest.mark.parametrize("phase", ["shutting down", "firmware", "loading", "services", "welcome", "shell"])
def test_asking_while_the_pc_restarts_is_reported_as_impossible(phase: str) -> None:
    events = asked(Moment(when="phase began", where={"phase": phase}))
    said = [e for e in events if isinstance(e, seen.StepImpossible)]
    assert [e.step for e in said] == ["customer asks for support"]
    assert sum(isinstance(e, records.SessionRequested) for e in events) == 1


def test_asking_inside_the_session_is_reported_as_impossible() -> None:
    events = asked(Moment(at_us=Duration(500_000)))
    reasons = [e.reason for e in events if isinstance(e, seen.StepImpossible)]
    assert reasons == ["the program is connected in session-1 already"]
    assert sum(isinstance(e, records.EndpointResumed) for e in events) == 1
