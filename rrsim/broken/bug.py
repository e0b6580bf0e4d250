"""What a deliberate bug is, and the tools to make one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from rrsim.backends.sim.compiled import Parts
from rrsim.backends.sim.memo import StepFunction


class Bug(msgspec.Struct, frozen=True, kw_only=True):
    """One deliberate bug."""

    name: str
    """Short and stable, such as ``ticket accepted twice``."""
    about: str
    """What is wrong, and what a customer or representative would see."""
    where: Literal["agent", "server", "wiring"]
    breaks: tuple[str, ...]
    """Requirement ids, rules, invariants and edge cases it violates: scenarios that cover them are tried first."""
    parts: Callable[[], Parts]
    """Makes the parts of a world that has this bug."""


def changed_effects(step: StepFunction, change: Callable[[Any, Any, tuple[Any, ...]], tuple[Any, ...]]) -> StepFunction:
    """Return a step function whose effects pass through ``change(state, input, effects)``."""

    def broken(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
        after, effects = step(state, event)
        return after, change(state, event, effects)

    return broken


def changed_input(step: StepFunction, change: Callable[[Any, Any], Any]) -> StepFunction:
    """Return a step function that sees ``change(state, input)`` in place of each input; None: the input is ignored."""

    def broken(state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
        event = change(state, event)
        return (state, ()) if event is None else step(state, event)

    return broken


def without(step: StepFunction, unwanted: Callable[[Any, Any, Any], bool]) -> StepFunction:
    """Return a step function that leaves out every effect for which ``unwanted(state, input, effect)`` holds."""

    def change(state: Any, event: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(e for e in effects if not unwanted(state, event, e))

    return changed_effects(step, change)
