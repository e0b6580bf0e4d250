"""Scaled time: every duration of a scenario shrinks but Windows' own, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.protocol.settings import PROFILES, Account
from rrsim.scenario import actions, scaling
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Scenario
from rrsim.scenario.words import Duration

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
KEPT = "kept"


@cache
def cases() -> tuple[Scenario, ...]:
    """Every case of every file."""
    return tuple(load_paths([str(SCENARIOS)]).scenarios)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Walk a scenario: where, and what is there. What must not be scaled has a path that begins with ``kept``."""
    if isinstance(value, actions.WallClockJumps):
        yield (KEPT, *path), value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from leaves(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for key, item in value.items():
            own = path[-1:] == ("durations",) and key.startswith("pc ")
            yield from leaves(item, (KEPT, *path, key) if own else (*path, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    else:
        yield path, value


def is_duration(path: tuple[Any, ...], value: Any) -> bool:
    """Say whether a leaf is a span of time: by its type, or by its name."""
    named = isinstance(path[-1], str) and path[-1].endswith("_us") and isinstance(value, int)
    return isinstance(value, Duration) or named


@settings(deadline=None)  # the first example reads every file
@given(scale=st.floats(1, 500) | st.sampled_from([1.0, 2.0, 10.0, 60.0]), data=st.data())
def test_every_duration_scales_but_windows_own_and_nothing_else_changes(scale: float, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(cases()))
    scaled = scaling.scenario(case, scale)
    before, after = list(leaves(case)), list(leaves(scaled))
    assert [path for path, _ in before] == [path for path, _ in after]
    for (path, was), (_, now) in zip(before, after, strict=True):
        wanted = round(was / scale) if path[0] != KEPT and is_duration(path, was) else was
        assert now == wanted, f"{case.path}: {path}"
        assert type(now) is type(was)


def test_all_cases_at_one_scale_and_that_the_walk_sees_what_it_should() -> None:
    seen = {"scaled": 0, "kept": 0, "jumps": 0}
    for case in cases():
        for (path, was), (_, now) in zip(leaves(case), leaves(scaling.scenario(case, 7)), strict=True):
            if path[0] == KEPT:
                seen["jumps" if isinstance(was, actions.WallClockJumps) else "kept"] += 1
                assert now == was
            elif is_duration(path, was):
                seen["scaled"] += was > 0
                assert now == round(was / 7)
            else:
                assert now == was
    assert all(seen.values()), f"a kind of duration is in no scenario: {seen}"


def test_a_scale_of_one_changes_nothing() -> None:
    assert all(scaling.scenario(case, 1) is case for case in cases())


@settings(deadline=None)
@given(st.sampled_from(sorted(PROFILES)), st.floats(1, 500))
def test_an_account_scales_as_a_whole(profile: str, scale: float) -> None:
    before: Account = PROFILES[profile]
    after = scaling.account(before, scale)
    for name in before.__struct_fields__:
        was, now = getattr(before, name), getattr(after, name)
        assert now == (round(was / scale) if name.endswith("_us") else was)


def test_a_window_must_leave_room_for_restarts_that_do_not_scale() -> None:
    scaling.check(20, 600_000_000, 10_000_000)
    with pytest.raises(scaling.BadScale, match="use a scale of at most 20"):
        scaling.check(20.1, 600_000_000, 10_000_000)
    with pytest.raises(scaling.BadScale, match=r"1 or more, saw 0\.5"):
        scaling.check(0.5, 600_000_000, 1)
