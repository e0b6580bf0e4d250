"""What a deliberate bug is, and the tools to make one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from rrsim.backends.sim.compiled import Parts
from rrsim.backends.sim.memo import StepFunction

Function = Callable[..., Any]

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


class NothingToPatch(ValueError):
    """A patch names something that its owner does not have: the product has moved on and the bug must follow."""


Patch = tuple[Any, str, Any]
"""A module or class of the product, a name in it, and what stands there instead while a step runs."""


def patched(function: Function, *patches: Patch) -> Function:
    """Return a function that runs ``function`` with parts of the product replaced, and puts them back afterwards.

    So a bug sits exactly inside the product's logic, and the product needs no switch for it. Steps are never run from
    two threads, and what is replaced is back before anybody else runs. The function must look the name up in its owner
    when it is called, which module-level functions and constants of the product are: patch the module that *uses* a
    name, not the one that defines it, if it was imported by name.

    Raises:
        NothingToPatch: an owner has no such name.
    """
    kept = tuple((owner, name, _there(owner, name), new) for owner, name, new in patches)

    def broken(*args: Any) -> Any:
        try:
            for owner, name, _, new in kept:
                setattr(owner, name, new)
            return function(*args)
        finally:
            for owner, name, old, _ in kept:
                setattr(owner, name, old)

    return broken


def _there(owner: Any, name: str) -> Any:
    try:
        return vars(owner)[name]
    except KeyError:
        raise NothingToPatch(
            f"expected {name!r} in {owner.__name__}, saw no such name; look where the product keeps it now"
        ) from None
