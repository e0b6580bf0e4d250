"""The lists of cases for Wine: every one can run there, and together they speak of every requirement."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrsim.backends.live.wine.bench import DEFAULT_SCALE, MAC
from rrsim.backends.live.wine.pc import CAPABILITIES, RESOLUTION_US
from rrsim.scenario import needs
from rrsim.scenario.accounts import account_of
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Scenario

ROOT = Path(__file__).parents[4]


def listed(name: str) -> list[Scenario]:
    """Return the cases of a list."""
    lines = (ROOT / "scenarios" / name).read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    known = {case.id: case for case in load_paths([str(ROOT / "scenarios")]).scenarios}
    assert len(set(wanted)) == len(wanted)
    return [known[one] for one in wanted]


@pytest.mark.parametrize("name", ["wine-ci.txt", "wine-nightly.txt"])
def test_every_listed_case_can_run_on_wine(name: str) -> None:
    for case in listed(name):
        has = MAC if case.given.platform == "mac" else CAPABILITIES
        assert set(needs.needs(case)) <= has, case.id
        assert needs.too_close(case, account_of(case.given), RESOLUTION_US, DEFAULT_SCALE) == "", case.id


def test_the_list_for_every_commit_is_long_enough_and_speaks_of_every_requirement() -> None:
    cases = listed("wine-ci.txt")
    assert len(cases) >= 40
    covered = {identifier for case in cases for identifier in case.covers}
    assert {f"R{number}" for number in range(1, 15)} <= covered
    assert {case.given.agent for case in cases} == {"application", "service"}
