"""Scenarios written in Python are the same model with the same checks."""

from __future__ import annotations

import pytest

from rrsim.scenario.actions import PowerCut, RepRestarts, Wait
from rrsim.scenario.api import check, scenario, us
from rrsim.scenario.durations import WrongDuration
from rrsim.scenario.loader import ScenarioError, load_text
from rrsim.scenario.model import Expect, ExpectedEvent, PcSetup, Scenario, Step

YAML = """
rrsim: 1
name: power is cut
about: why
covers: [R1, rule 3]
edge cases: [SH-09]
given:
  agent: service
  pc: {network: wifi, wifi returns after: 20s}
  account: {resume window: 5m}
  durations: {pc firmware: 12s}
steps:
  - {do: rep restarts, at: 2s, called: order}
  - {do: power is cut, returns after: 30s, after: order, when: boot began, where: {safe mode: false}, nth: 2, delay: 1s}
expect:
  {verdict: resumed, asked: [], offered: {restart: true}, events: [{event: boot began, where: {safe mode: false}}]}
runs for: 1h
meta: {owner: team}
"""


def test_the_builder_makes_what_the_file_makes() -> None:
    built = (
        scenario(
            "power is cut",
            about="why",
            covers=["R1", "rule 3"],
            edge_cases=["SH-09"],
            runs_for="1h",
            area="b",
            meta={"owner": "team"},
        )
        .given(agent="service", pc={"network": "wifi", "wifi returns after": "20s"}, account={"resume window": "5m"})
        .given(durations={"pc firmware": "12s"})
        .do(RepRestarts(), at="2s", called="order")
        .do(
            PowerCut(returns_after_us=us("30s")),
            after="order",
            when="boot began",
            where={"safe mode": False},
            nth=2,
            delay=1_000_000,
        )
        .expect(verdict="resumed", asked=[])
        .expect(offered={"restart": True}, events=[ExpectedEvent(event="boot began", where={"safe mode": False})])
        .build()
    )
    loaded = load_text(YAML, "a/b/c.yaml")[0]
    for field in Scenario.__struct_fields__:
        if field not in ("path", "line"):
            assert getattr(built, field) == getattr(loaded, field), field
    assert check(loaded) == ()


def test_a_builder_is_never_changed() -> None:
    start = scenario("x").given(pc=PcSetup(network="dial-up"))
    first = start.do(RepRestarts()).expect(verdict="resumed").build()
    second = start.do(RepRestarts(), at=5).expect(verdict="expired").build()
    assert (len(start.scenario.steps), len(first.steps), len(second.steps)) == (0, 1, 1)
    assert second.steps[0].moment.at_us == 5
    assert first.given.pc.network == "dial-up"


def test_wrong_scenarios_are_refused_with_the_words_of_the_loader() -> None:
    with pytest.raises(ScenarioError, match=r"x: expect: expected at least one expectation, saw none"):
        scenario("x").do(RepRestarts()).build()
    with pytest.raises(ScenarioError, match=r"steps\.1\.when: expected the name of an event.*'boot began'"):
        scenario("x").do(Wait(), when="boot bgan")
    with pytest.raises(ScenarioError, match=r"given\.pc\.netwrk.*'network:'"):
        scenario("x").given(pc={"netwrk": "lan"})
    with pytest.raises(ScenarioError, match=r"where\.saf mode.*'safe mode'"):
        scenario("x").expect(events=[ExpectedEvent(event="boot began", where={"saf mode": True})])
    with pytest.raises(ScenarioError, match=r"covers\.1"):
        scenario("x", covers=["R99"]).do(RepRestarts()).expect(verdict="lost").build()
    with pytest.raises(WrongDuration):
        scenario("x").do(Wait(), at="5 min")
    with pytest.raises(ScenarioError, match="expected a name"):
        scenario(" ").do(RepRestarts()).expect(verdict="lost").build()


def test_a_scenario_built_by_hand_can_be_checked() -> None:
    moment = load_text(YAML)[0].steps[0].moment
    good = Scenario(name="x", steps=(Step(moment, RepRestarts()),), expect=Expect(verdict="resumed"))
    assert check(good) == ()
    bad = Scenario(name="x", steps=(Step(moment, RepRestarts(customer=2)),), expect=Expect(verdict="resumed"))
    assert [p.where for p in check(bad)] == ["x: steps.1.customer"]
