"""Every requirement, invariant, rule and edge case has a scenario; what has none is excused in docs/coverage.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrsim.scenario.ids import EDGE_CASES
from tests.house import coverage_page

REQUIRED = [f"R{n}" for n in range(1, 15)] + [f"I{n}" for n in range(1, 14)] + [f"rule {n}" for n in range(1, 15)]
MIN_FILES = 60
MIN_CASES = 100


@pytest.fixture(scope="module")
def cases() -> tuple[coverage_page.Scenario, ...]:
    """Every case, loaded once."""
    return coverage_page.scenarios()


def test_there_are_enough_scenarios(cases: tuple[coverage_page.Scenario, ...]) -> None:
    """At least 60 files and more than 100 cases."""
    assert len({case.path for case in cases}) >= MIN_FILES
    assert len(cases) > MIN_CASES


def test_every_requirement_has_a_scenario(cases: tuple[coverage_page.Scenario, ...]) -> None:
    """R1 to R14, I1 to I13 and the rules 1 to 14 are each named by some scenario."""
    covered = {one for case in cases for one in case.covers}
    assert not set(REQUIRED) - covered, f"no scenario covers {sorted(set(REQUIRED) - covered)}"


def test_every_edge_case_has_a_scenario_or_a_reason(cases: tuple[coverage_page.Scenario, ...]) -> None:
    """No edge case is forgotten, and no excuse stays for one that has become a scenario unless it says *in part*."""
    cited = {one for case in cases for one in case.edge_cases}
    excused = coverage_page.reasons(coverage_page.PAGE.read_text(encoding="utf-8"))
    assert not set(EDGE_CASES) - cited - set(excused), "add a scenario, or a reason in docs/coverage.md"
    assert not set(excused) - set(EDGE_CASES), "a reason for an edge case that does not exist"
    stale = [one for one in excused if one in cited and not excused[one].startswith("In part: ")]
    assert not stale, f"{stale} have scenarios: remove the reason, or say what is left with 'In part: …'"


def test_every_scenario_names_what_it_covers(cases: tuple[coverage_page.Scenario, ...]) -> None:
    """A scenario without ids proves nothing about the requirements; one without a description explains nothing."""
    assert not [case.path for case in cases if not case.covers or not case.about]


def test_the_coverage_page_is_up_to_date() -> None:
    """The table in docs/coverage.md is the one made from the scenario files."""
    made = coverage_page.made()
    assert coverage_page.PAGE.read_text(encoding="utf-8") == made, "run: python -m tests.house.coverage_page"


def test_a_forgotten_edge_case_is_seen(cases: tuple[coverage_page.Scenario, ...]) -> None:
    """The table says **missing** where there is neither scenario nor reason."""
    some = tuple(case for case in cases if "LO-01" not in case.edge_cases)
    assert "| LO-01 | **missing** |" in coverage_page.table(some, {})
    assert "| LO-01 | see above |" in coverage_page.table(some, {"LO-01": "why"})


def test_the_page_is_inside_the_checkout() -> None:
    """The path above is right."""
    assert Path(coverage_page.PAGE).parent.name == "docs"
