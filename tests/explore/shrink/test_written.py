"""Scenario files that are written are read as what they were."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rrsim.explore.shrink.rounder import GRID_US, rounder, settings, simpler_steps, with_settings
from rrsim.explore.shrink.written import scenario_yaml
from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.plan import as_scenario
from rrsim.scenario import loader
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Expect, Scenario

_CASES = load_paths(["scenarios"]).scenarios


@pytest.mark.parametrize("case", _CASES[::3], ids=lambda case: case.id)
def test_every_scenario_is_read_as_it_was_written(case: Scenario) -> None:
    written = replace(case, case="")
    (read,) = loader.load_text(scenario_yaml(written, ("a remark",)))
    assert replace(read, path="", line=1, area="") == replace(written, path="", line=1, area="")


@pytest.mark.parametrize("seed", range(0, 300, 5))
def test_every_plan_is_read_as_it_was_written(seed: int) -> None:
    case = replace(as_scenario(draw_plan(seed)), expect=Expect(broken_invariant="I7"))
    (read,) = loader.load_text(scenario_yaml(case))
    assert (read.given, read.steps, read.expect) == (case.given, case.steps, case.expect)


@pytest.mark.parametrize("seed", range(0, 2_000, 50))
def test_settings_are_everything_that_is_unusual(seed: int) -> None:
    given = draw_plan(seed).given
    assert with_settings(settings(given)) == given


def test_rounder_times_are_near_and_rounder() -> None:
    for us in (1, 7, 1_234, 61_000_000, 599_999_999, 600_000_000, 3_599_999_999):
        for candidate in rounder(us):
            assert candidate != us
            assert us / 1.5 <= candidate <= us * 1.5
            grid = next(grid for grid in GRID_US if candidate % grid == 0)
            assert us % grid, "rounder than before"
    assert list(rounder(600_000_000)) == []
    assert 600_000_000 in list(rounder(599_999_999))


def test_simpler_steps_never_go_round_in_a_circle() -> None:
    """Each way of making a step simpler ends: otherwise shrinking would not."""
    for seed in range(0, 200, 3):
        for step in draw_plan(seed).steps:
            now, seen = step, 0
            while (simpler := next(simpler_steps(now), None)) is not None:
                now, seen = simpler, seen + 1
                assert seen < 40, now
