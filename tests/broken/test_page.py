"""docs/broken-agents.md lists every bug as the catalogue has it, and what it says of catches is true."""

from __future__ import annotations

import pytest

from rrsim.broken.bug import Bug
from rrsim.broken.catalogue import BUGS
from rrsim.broken.hunt import Catch, hunt
from rrsim.scenario.model import Scenario
from tests.broken import page

TEXT = page.PAGE.read_text(encoding="utf-8")
AGAIN = "run: python -m tests.broken.page"


def test_the_page_lists_every_bug() -> None:
    expected = [[bug.name, bug.where, bug.about, ", ".join(bug.breaks)] for bug in BUGS]
    assert [cells[:-1] for cells in page.rows(TEXT)] == expected, AGAIN


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_scenario_on_the_page_catches_the_bug(bug: Bug, passing: tuple[Scenario, ...]) -> None:
    said = next(cells[-1] for cells in page.rows(TEXT) if cells[0] == bug.name)
    name, _, checks = said.removeprefix("`").partition("`: ")
    named = [scenario for scenario in passing if scenario.id == name]
    assert named, f"no passing scenario is called {name!r}; {AGAIN}"
    (catch,) = hunt(bug, named).catches or (Catch(name, ()),)
    assert set(checks.split(", ")) <= set(catch.checks), AGAIN


def test_a_missing_bug_is_noticed() -> None:
    without = "".join(line for line in TEXT.splitlines(keepends=True) if not line.startswith(f"| {BUGS[0].name} |"))
    assert len(page.rows(without)) == len(BUGS) - 1
