"""The difference between two inventories."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rrsim.machine.inventory import difference, left_behind

names = st.lists(st.sampled_from(["file:ticket", "boot:safeboot=network", "service:rragent", "x"]), unique=True).map(
    lambda found: tuple(sorted(found)))


def test_added_and_missing_are_told_apart() -> None:
    before, after = ("boot:safeboot=network", "service:rragent"), ("file:ticket", "service:rragent")
    assert difference(before, after) == ("file:ticket", "missing:boot:safeboot=network")
    assert left_behind(before, after) == ("file:ticket",)


def test_allowed_differences_are_left_out_in_the_form_they_are_returned() -> None:
    assert difference(("a",), ("b",), allowed=("b",)) == ("missing:a",)
    assert difference(("a",), ("b",), allowed=("missing:a", "b")) == ()
    assert difference(("a",), ("b",), allowed=("a",)) == ("b", "missing:a")


@given(names, names)
def test_no_difference_exactly_when_equal(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    assert (difference(before, after) == ()) is (set(before) == set(after))
    assert difference(before, after) == tuple(sorted(difference(before, after)))
