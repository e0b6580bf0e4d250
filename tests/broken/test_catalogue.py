"""The catalogue: every bug has a name, cites what it breaks, can be made, and is no copy of the product."""

from __future__ import annotations

from dataclasses import fields

import pytest

from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.broken.bug import Bug
from rrsim.broken.catalogue import BUGS
from rrsim.scenario.ids import EDGE_CASES, KNOWN_REQUIREMENTS

AT_LEAST = 30
KNOWN_IDS = frozenset({*KNOWN_REQUIREMENTS, *EDGE_CASES})


def changed(parts: Parts) -> set[str]:
    """Return the names of the parts that are not the product's own."""
    return {f.name for f in fields(Parts) if getattr(parts, f.name) is not getattr(REAL, f.name)}


def test_there_are_enough_bugs() -> None:
    assert len(BUGS) >= AT_LEAST


def test_there_are_bugs_everywhere() -> None:
    assert {bug.where for bug in BUGS} == {"agent", "server", "wiring"}


def test_names_are_unique() -> None:
    names = [bug.name for bug in BUGS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_says_what_it_breaks(bug: Bug) -> None:
    assert bug.breaks
    assert set(bug.breaks) <= KNOWN_IDS
    assert bug.about.endswith(".")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_made_and_changes_the_part_it_names(bug: Bug) -> None:
    different = changed(bug.parts())
    expected = {"agent": {"agent"}, "server": {"server"}, "wiring": {"pc", "world"}}[bug.where]
    assert different & expected
    assert different <= expected | {"agent", "server_apply"}


def test_making_bugs_leaves_the_product_alone() -> None:
    for bug in BUGS:
        bug.parts()
    assert changed(Parts()) == set()
