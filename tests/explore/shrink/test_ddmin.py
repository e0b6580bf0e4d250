"""Delta debugging: a part that still fails, of which nothing can be left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrsim.explore.shrink.ddmin import ddmin


def _needs(*wanted: int) -> tuple[list[tuple[int, ...]], Callable[[tuple[int, ...]], bool]]:
    asked: list[tuple[int, ...]] = []

    def fails(part: tuple[int, ...]) -> bool:
        asked.append(part)
        return set(wanted) <= set(part)

    return asked, fails


@given(st.integers(1, 40), st.sets(st.integers(0, 39), max_size=6))
def test_exactly_what_is_needed_is_left_in_its_order(count: int, wanted: set[int]) -> None:
    wanted = {number for number in wanted if number < count}
    asked, fails = _needs(*wanted)
    assert ddmin(range(count), fails) == tuple(sorted(wanted))
    assert len(asked) <= count * count + 3 * count + 1


@given(st.lists(st.integers(0, 9), min_size=1, max_size=14), st.integers(1, 40))
def test_no_single_item_can_be_left_out(items: list[int], least: int) -> None:
    """Also where the failure is no set of items: here a sum has to be reached."""
    if sum(items) < least:
        return
    left = ddmin(items, lambda part: sum(part) >= least)
    assert sum(left) >= least
    assert all(sum(left) - item < least for item in left)


@pytest.mark.parametrize("count", [1, 2, 30])
def test_one_culprit_of_many_takes_few_questions(count: int) -> None:
    asked, fails = _needs(count - 1)
    assert ddmin(range(count), fails) == (count - 1,)
    assert len(asked) <= 25


def test_what_fails_by_itself_needs_nothing() -> None:
    assert ddmin(range(9), lambda _: True) == ()
    assert ddmin((), lambda _: True) == ()
