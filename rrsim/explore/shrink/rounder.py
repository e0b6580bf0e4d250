"""Simpler values for what is left of a plan: defaults, rounder times, first events instead of seventh ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from rrsim.scenario.model import Given, Moment, Step
from rrsim.scenario.words import Duration

GRID_US: Final = (
    3_600_000_000, 600_000_000, 60_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1,
)  # fmt: skip
"""Times are round if they are a multiple of one of these; the earlier the rounder."""
_FIELDS_KEPT: Final = frozenset({"customer", "do"})


def rounder(us: int) -> Iterator[Duration]:
    """Yield times that are rounder than this one and at most half as long again or shorter, the roundest first."""
    for grid in GRID_US:
        if us % grid == 0:
            return
        low = us // grid * grid
        for candidate in (low, low + grid):
            if us <= 2 * candidate <= 3 * us:
                yield Duration(candidate)


def simpler_steps(step: Step) -> Iterator[Step]:
    """Yield the step with one thing simpler, the greatest relief first."""
    moment, action = step.moment, step.action
    for simpler in _simpler_moments(moment):
        yield Step(simpler, action)
    for field, default in zip(action.__struct_fields__, _defaults(type(action)), strict=True):
        value = getattr(action, field)
        if field in _FIELDS_KEPT or value == default or default is msgspec.NODEFAULT:
            continue
        yield Step(moment, msgspec.structs.replace(action, **{field: default}))
        if field.endswith("_us") and value is not None:
            for us in rounder(value):
                yield Step(moment, msgspec.structs.replace(action, **{field: us}))


def _simpler_moments(moment: Moment) -> Iterator[Moment]:
    replace = msgspec.structs.replace
    if moment.delay_us:
        yield replace(moment, delay_us=Duration(0))
    if moment.when is not None:
        if moment.after is not None and moment.delay_us == 0:
            yield replace(moment, when=None, where={}, nth=1, delay_us=Duration(1_000_000))
        if moment.after is not None:
            yield replace(moment, after=None)
        if moment.where:
            yield replace(moment, where={})
        if moment.nth > 1:
            yield replace(moment, nth=1)
            if moment.nth > 2:
                yield replace(moment, nth=moment.nth // 2)
            yield replace(moment, nth=moment.nth - 1)
    for field in ("delay_us", "at_us"):
        value = getattr(moment, field)
        if value:
            for us in rounder(value):
                yield replace(moment, **{field: us})


def _defaults(kind: type[Any]) -> list[Any]:
    return [field.default for field in msgspec.structs.fields(kind)]


# --- given ------------------------------------------------------------------------------------------------------

Setting = tuple[str, str, Any]
"""Part of *given* (empty: given itself, ``durations``: a fixed draw), field, value."""

_PARTS: Final = ("account", "pc", "customer", "rep")
_SIMPLE: Final = ("agent", "platform", "session", "kind", "profile", "customers")
_NOTHING: Final = Given()


def settings(given: Given) -> tuple[Setting, ...]:
    """Return everything in *given* that is not as usual."""
    out: list[Setting] = [("", field, getattr(given, field)) for field in _SIMPLE
                          if getattr(given, field) != getattr(_NOTHING, field)]
    for part in _PARTS:
        own, usual = getattr(given, part), getattr(_NOTHING, part)
        out += [(part, field, getattr(own, field)) for field in own.__struct_fields__
                if getattr(own, field) != getattr(usual, field)]
    return (*out, *(("durations", name, us) for name, us in given.durations.items()))


def with_settings(kept: tuple[Setting, ...]) -> Given:
    """Return the set-up that has these settings, and else is as usual."""
    parts: dict[str, dict[str, Any]] = {name: {} for name in ("", *_PARTS, "durations")}
    for part, field, value in kept:
        parts[part][field] = value
    changed = {
        part: msgspec.structs.replace(getattr(_NOTHING, part), **parts[part]) for part in _PARTS if parts[part]
    }
    return msgspec.structs.replace(_NOTHING, **parts[""], **changed, durations=parts["durations"])


def simpler_settings(setting: Setting) -> Iterator[Setting]:
    """Yield a setting with a simpler value."""
    part, field, value = setting
    if isinstance(value, Duration):
        for us in rounder(value):
            yield (part, field, us)
    elif field == "customers":
        for fewer in range(2, int(value)):
            yield (part, field, fewer)
    elif isinstance(value, int) and not isinstance(value, bool) and value > 1:
        yield (part, field, 1)
