"""The tools that make bugs: they change what they say, and nothing else, and nothing stays changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rrsim.broken.bug import NothingToPatch, changed_effects, changed_input, patched, without

PRODUCT: Any = SimpleNamespace(LIMIT=3, __name__="product")


def step(state: int, event: int) -> tuple[int, tuple[int, ...]]:
    """Count up to a limit, and say what was added and where it led."""
    if event < 0:
        raise ValueError("expected something to add")
    after = min(state + event, PRODUCT.LIMIT)
    return after, (event, after)


def test_effects_are_changed_and_the_state_is_not() -> None:
    broken = changed_effects(step, lambda state, event, effects: (*effects, state, event))
    assert broken(1, 1) == (2, (1, 2, 1, 1))


def test_an_unwanted_effect_is_left_out() -> None:
    broken = without(step, lambda _state, _event, effect: effect == 2)
    assert broken(1, 1) == (2, (1,))


def test_an_input_is_changed() -> None:
    broken = changed_input(step, lambda _state, event: event * 2)
    assert broken(0, 1) == step(0, 2)


def test_an_input_is_ignored() -> None:
    broken = changed_input(step, lambda _state, _event: None)
    assert broken(1, 1) == (1, ())


def test_a_patch_holds_during_the_step_only() -> None:
    broken = patched(step, (PRODUCT, "LIMIT", 10))
    assert broken(0, 9) == (9, (9, 9))
    assert step(0, 9) == (3, (9, 3))


def test_a_patch_is_taken_back_when_the_step_raises() -> None:
    broken = patched(step, (PRODUCT, "LIMIT", 10))
    with pytest.raises(ValueError, match="expected something to add"):
        broken(0, -1)
    assert PRODUCT.LIMIT == 3


def test_a_patch_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(NothingToPatch, match="'LIMITS' in product"):
        patched(step, (PRODUCT, "LIMITS", 10))
