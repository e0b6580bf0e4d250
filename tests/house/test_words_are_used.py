"""No word of the scenario language is only promised: each action is done, and each setting set, by some scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from rrsim.protocol.settings import PROFILES, Account
from rrsim.scenario.actions import AnyAction
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import CustomerHabits, Given, PcSetup, RepHabits, Scenario

ROOT = Path(__file__).parents[2]

NOT_YET: frozenset[str] = frozenset()
"""Settings that no scenario uses yet; each with its reason."""


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    """Every case of every scenario file."""
    return list(load_paths([ROOT / "scenarios"]).scenarios)


def test_every_action_is_done_by_some_scenario(scenarios: list[Scenario]) -> None:
    done = {type(step.action) for scenario in scenarios for step in scenario.steps}
    assert {kind.__name__ for kind in get_args(AnyAction)} - {kind.__name__ for kind in done} == set()


def _set(part: msgspec.Struct) -> set[str]:
    fresh: Any = type(part)()
    return {f for f in part.__struct_fields__ if getattr(part, f) != getattr(fresh, f)}


@pytest.mark.parametrize(("name", "kind"), [("pc", PcSetup), ("customer", CustomerHabits), ("rep", RepHabits)])
def test_every_setting_is_changed_by_some_scenario(name: str, kind: Any, scenarios: list[Scenario]) -> None:
    changed = set().union(*(_set(getattr(scenario.given, name)) for scenario in scenarios))
    assert set(kind.__struct_fields__) - changed == set()


def test_every_account_setting_is_changed_by_some_scenario_or_profile(scenarios: list[Scenario]) -> None:
    used = {PROFILES[scenario.given.profile] for scenario in scenarios}
    changed = set().union(*(_set(scenario.given.account) for scenario in scenarios))
    changed |= {f for f in Account.__struct_fields__ if len({getattr(one, f) for one in used}) > 1}
    words = {f"AccountSettings.{f}" for f in type(Given().account).__struct_fields__ if f not in changed}
    assert words == NOT_YET
