"""Scaled time for real clocks: scenario durations and account settings shrink together (``docs/design.md``, *Time*).
Pure.

Windows' own durations do not scale: how long a PC boots is not for a scenario to say, so named draws that begin with
``pc `` stay as they are. A jump of the wall clock is no duration and stays too. The agent learns of scaled values as
ordinary account settings, never through a test switch.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rrsim.protocol.settings import Account
from rrsim.scenario.actions import WallClockJumps
from rrsim.scenario.model import Scenario
from rrsim.scenario.words import Duration

PC_DRAWS: Final = "pc "
RESTARTS_IN_A_WINDOW: Final = 3
"""A resume window must leave room for this many restarts of the machine, or the case would measure the machine."""


class BadScale(ValueError):
    """A time scale that no real clock can keep."""


def check(scale: float, window_us: int, restart_us: int) -> None:
    """Check that a scaled resume window leaves room for restarts that do not scale.

    Raises:
        BadScale: the scale is below 1, or the window is too short for it.
    """
    if scale < 1:
        raise BadScale(f"expected a time scale of 1 or more, saw {scale:g}; 10 makes ten minutes of waiting one")
    if window_us / scale < RESTARTS_IN_A_WINDOW * restart_us:
        most = max(1.0, window_us / (RESTARTS_IN_A_WINDOW * restart_us))
        raise BadScale(
            f"expected a resume window of at least {RESTARTS_IN_A_WINDOW} restarts ({restart_us / 1e6:g} s each); "
            f"a window of {window_us / 1e6:g} s at time scale {scale:g} is {window_us / scale / 1e6:g} s; "
            f"use a scale of at most {most:.0f}"
        )


def account(settings: Account, scale: float) -> Account:
    """Return the account with every duration divided by ``scale``."""
    changes = {
        name: round(getattr(settings, name) / scale) for name in settings.__struct_fields__ if name.endswith("_us")
    }
    return msgspec.structs.replace(settings, **changes)


def scenario(case: Scenario, scale: float) -> Scenario:
    """Return the scenario with every duration divided by ``scale``, except Windows' own."""
    if scale == 1:
        return case
    given = _scaled(case.given, scale)
    kept = {
        name: (us if name.startswith(PC_DRAWS) else given.durations[name]) for name, us in case.given.durations.items()
    }
    return msgspec.structs.replace(
        case,
        given=msgspec.structs.replace(given, durations=kept),
        steps=tuple(_scaled(step, scale) for step in case.steps),
        expect=_scaled(case.expect, scale),
        runs_for_us=None if case.runs_for_us is None else Duration(round(case.runs_for_us / scale)),
    )


def _scaled(value: Any, scale: float) -> Any:
    if isinstance(value, Duration):
        return Duration(round(value / scale))
    if isinstance(value, WallClockJumps):
        return value
    if isinstance(value, msgspec.Struct):
        changes = {}
        for name in value.__struct_fields__:
            before = getattr(value, name)
            after = _scaled(before, scale)
            if after is not before:
                changes[name] = after
        return msgspec.structs.replace(value, **changes) if changes else value
    if isinstance(value, tuple):
        return tuple(_scaled(item, scale) for item in value)
    if isinstance(value, dict):
        return {key: _scaled(item, scale) for key, item in value.items()}
    return value
