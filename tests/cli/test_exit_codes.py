"""With several reasons 1 wins, then 70, then bad input, then 2."""

from __future__ import annotations

import itertools

import pytest

from rrsim.cli.exit_codes import ORDER, exit_code
from rrsim.scenario.result import Outcome

TABLE: list[tuple[list[Outcome], int]] = [
    ([], 0),
    (["passed"], 0),
    (["known"], 0),
    (["skipped"], 0),
    (["failed"], 1),
    (["unknown"], 2),
    (["error"], 70),
    (["passed", "unknown"], 2),
    (["unknown", "error"], 70),
    (["error", "failed"], 1),
    (["unknown", "failed", "error", "passed", "known", "skipped"], 1),
]


@pytest.mark.parametrize(("outcomes", "code"), TABLE)
def test_outcomes(outcomes: list[Outcome], code: int) -> None:
    """Every outcome and the order among them, whatever the order of the runs."""
    for order in itertools.islice(itertools.permutations(outcomes), 24):
        assert exit_code(order) == code


@pytest.mark.parametrize(
    ("outcomes", "bad_input", "interrupted", "stale", "code"),
    [
        (["passed"], True, False, False, 64),
        (["unknown"], True, False, False, 64),
        (["error"], True, False, False, 70),
        (["failed"], True, True, False, 1),
        (["passed"], False, True, False, 70),
        (["passed"], True, True, False, 70),
        (["passed"], False, False, True, 1),
        (["error"], True, True, True, 1),
    ],
)
def test_other_reasons(outcomes: list[Outcome], bad_input: bool, interrupted: bool, stale: bool, code: int) -> None:
    """Bad input, an interruption and a stale known issue take their place in the order."""
    assert exit_code(outcomes, bad_input=bad_input, interrupted=interrupted, stale_issues=stale) == code


def test_order_is_the_designs() -> None:
    """The design fixes 1 before 70 before 2; nothing loses to success."""
    assert ORDER.index(1) < ORDER.index(70) < ORDER.index(2) < ORDER.index(0)
