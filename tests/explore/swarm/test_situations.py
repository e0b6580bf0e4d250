"""Situations: each can be reached, and none is claimed that did not occur."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from rrsim.backends.sim.runner import run
from rrsim.explore.swarm.run import Swarm
from rrsim.explore.swarm.situations import MEANINGS, MUST_REACH, reached
from rrsim.scenario import actions as do
from rrsim.scenario.api import scenario, us

RESTART = scenario("a restart").given(agent="service").do(do.RepRestarts(), called="order")
W = us("10m")


def _network(back_us: int) -> Any:
    return RESTART.do(do.CablePulled(returns_after_us=us(back_us)), when="window opened")


def _foreign(**account: Any) -> Any:
    case = scenario("a foreign restart").given(agent="service", account=account)
    return case.do(do.CustomerRestartsFromStart())


CASES = {
    "a fault while the window ran": RESTART.do(do.ServerRefuses(), when="window opened", delay="1s").do(
        do.ServerAccepts(), delay="20s"
    ),
    "two boots in one window": RESTART.do(do.PcCrashes(), when="phase began", where={"phase": "services"}),
    "expired while the PC was off": RESTART.do(do.PowerCut(returns_after_us=us("30m")), when="window opened"),
    "ended by the representative while away": RESTART.do(do.RepEnds(), when="window opened", delay="5s"),
    "the server restarted inside a window": RESTART.do(do.ServerRestarts(), when="window opened", delay="2s"),
    "resumed in safe mode": scenario("safe").given(agent="service").do(do.RepRestarts(mode="safe")),
    "resumed over dial-up": scenario("dial").given(pc={"network": "dial-up"}).do(do.RepRestarts()),
    "fault between two effects of the agent": RESTART.do(
        do.AgentDies(), after="order", when="agent does", nth=4
    ),
    "foreign restart resumed by the profile": _foreign(**{"foreign resumes": True}),
    "resumed after the window by the profile": scenario("late").given(
        agent="service", profile="rescue"
    ).do(do.RepRestarts()).do(do.CablePulled(returns_after_us=us("20m")), when="window opened"),
    "asleep through a deadline": scenario("sleep").given(agent="service").do(
        do.PcSleeps(wakes_after_us=us("30m"))
    ).do(do.Wait(), delay="31m"),
    "several sessions restarted": scenario("two").given(customers=2).do(do.RepRestarts()).do(
        do.RepRestarts(customer=2)
    ),
    "three restarts of one session": scenario("three").given(agent="service").do(do.RepRestarts()).do(
        do.RepRestarts(), when="endpoint resumed", delay="20s"
    ).do(do.RepRestarts(), when="endpoint resumed", nth=2, delay="20s"),
}


@pytest.mark.parametrize("situation", CASES)
def test_a_case_made_for_a_situation_reaches_it(situation: str) -> None:
    result = run(CASES[situation].scenario, 1)
    assert situation in reached(result), [r.verdict for r in result.restarts]


def test_an_ordinary_restart_reaches_none_of_them() -> None:
    found = reached(run(RESTART.scenario, 1))
    assert "verdict resumed" in found
    assert found.isdisjoint(MEANINGS)


def test_every_situation_has_a_case_or_is_at_the_edge_of_the_window() -> None:
    edges = {"back in the last second of the window", "turned away within a second of the end"}
    assert set(MEANINGS) == set(CASES) | edges


def test_a_run_elsewhere_or_without_a_history_says_nothing() -> None:
    result = run(RESTART.scenario, 1)
    assert reached(replace(result, history=None)) == set()
    assert reached(replace(result, backend="wine")) == set()


def test_a_few_thousand_seeds_reach_almost_everything() -> None:
    batch = Swarm().batch(0, 1_999)
    assert set(batch.situations) <= set(MUST_REACH)
    never = set(MUST_REACH) - set(batch.situations)
    assert len(never) <= 6, never
