"""Named, seeded streams: a value depends on seed, side, name and count, and on nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.scenario import streams
from rrsim.scenario.streams import BadDraw, Streams, UnknownDraw

TABLE = {"one": (10, 20), "two": (0, 1 << 40), "always": (7, 7)}
SEEDS = st.integers(0, 1 << 63)


def values(seed: int, name: str, count: int, side: int = 1) -> list[int]:
    """Return the first values of a stream."""
    found = Streams(seed, side=side, table=TABLE)
    return [found.draw(name) for _ in range(count)]


@settings(deadline=None)
@given(SEEDS, st.lists(st.sampled_from(sorted(TABLE)), max_size=60))
def test_asking_one_stream_never_disturbs_another(seed: int, names: list[str]) -> None:
    mixed = Streams(seed, table=TABLE)
    drawn: dict[str, list[int]] = {}
    for name in names:
        drawn.setdefault(name, []).append(mixed.draw(name))
    for name, found in drawn.items():
        assert found == values(seed, name, len(found))


@settings(deadline=None)
@given(SEEDS, st.sampled_from(sorted(TABLE)))
def test_values_stay_in_their_range(seed: int, name: str) -> None:
    lo, hi = TABLE[name]
    assert all(lo <= value <= hi for value in values(seed, name, 50))


def test_the_whole_range_is_used_and_evenly() -> None:
    found = values(1, "one", 11_000)
    counts = [found.count(value) for value in range(10, 21)]
    assert min(counts) > 850
    assert max(counts) < 1150


def test_seed_side_and_name_each_make_another_stream() -> None:
    first = values(1, "two", 20)
    assert first != values(2, "two", 20)
    assert first != values(1, "two", 20, side=2)
    # Sides and seeds do not lead into each other's streams.
    assert len({tuple(values(seed, "two", 5, side)) for seed in range(30) for side in range(1, 31)}) == 900


@settings(deadline=None)
@given(SEEDS, st.integers(0, 1 << 40))
def test_what_is_fixed_by_hand_is_always_that(seed: int, value: int) -> None:
    found = Streams(seed, {"one": value, "not in the table": value}, table=TABLE)
    assert [found.draw("one"), found.draw("one"), found.draw("not in the table")] == [value] * 3


def test_fixing_one_draw_leaves_the_others_alone() -> None:
    found = Streams(5, {"one": 3}, table=TABLE)
    found.draw("one")
    assert [found.draw("two") for _ in range(5)] == values(5, "two", 5)


def test_a_run_is_the_same_in_every_process() -> None:
    program = ("from rrsim.scenario.streams import Streams\n"
               f"s = Streams(42, table={TABLE!r})\nprint([s.draw('two') for _ in range(5)])")  # fmt: skip
    for seed in ("0", "1"):
        said = subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True,
                              text=True, check=True).stdout  # fmt: skip
        assert said.strip() == str(values(42, "two", 5))


def test_an_unknown_name_is_told_with_close_ones() -> None:
    with pytest.raises(UnknownDraw, match="did you mean 'one'"):
        Streams(1, table=TABLE).draw("onee")
    with pytest.raises(UnknownDraw, match=r"docs/scenarios\.md"):
        streams.check_fixed({"xyzzy": 1}, TABLE)
    with pytest.raises(BadDraw, match="0 or more, saw -1"):
        streams.check_fixed({"one": -1}, TABLE)
    streams.check_fixed({"one": 0}, TABLE)
