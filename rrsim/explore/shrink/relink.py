"""Steps that can be taken apart: each says by itself when it happens, and survives when another one is left out.

A step of a scenario may wait for another one. When that other one is left out, the step takes over what it waited for,
so that it still happens at much the same time.
"""

from __future__ import annotations

from typing import Final

import msgspec

from rrsim.scenario.director import FIRST_STEP_US
from rrsim.scenario.model import Moment, Step
from rrsim.scenario.words import Duration

_NO_TIME: Final = Duration(0)


def apart(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Give every step a name of its own and a moment that does not depend on its place among the steps."""
    out: list[Step] = []
    names: dict[str, str] = {}
    for index, step in enumerate(steps):
        moment = step.moment
        own = moment.called or f"step {index + 1}"
        names[own] = name = f"s{index + 1}"
        after = names.get(moment.after, moment.after) if moment.after is not None else None
        if moment.at_us is None and moment.when is None and after is None:
            if index == 0:
                moment = msgspec.structs.replace(moment, at_us=Duration(FIRST_STEP_US))
            else:
                after = f"s{index}"
        out.append(Step(msgspec.structs.replace(moment, after=after, called=name), step.action))
    return tuple(out)


def without(steps: tuple[Step, ...], kept: frozenset[str]) -> tuple[Step, ...]:
    """Return the named steps only, of steps that :func:`apart` made; what they waited for is passed on to them."""
    by_name = {step.moment.called: step for step in steps}
    out = []
    for step in steps:
        if step.moment.called not in kept:
            continue
        moment = step.moment
        while moment.after is not None and moment.after not in kept:
            moment = _takes_over(moment, by_name[moment.after].moment)
        out.append(Step(moment, step.action))
    return tuple(out)


def _takes_over(moment: Moment, gone: Moment) -> Moment:
    """Return a step's moment when the step it waited for, whose moment was ``gone``, is left out."""
    delay_us = Duration(moment.delay_us + gone.delay_us)
    if moment.when is not None:
        # Its own event counts from an earlier time now; an event of the lost step cannot be waited for as well.
        return msgspec.structs.replace(moment, after=gone.after)
    if gone.at_us is not None:
        return msgspec.structs.replace(
            moment, after=None, at_us=Duration(gone.at_us + delay_us), delay_us=_NO_TIME
        )
    return msgspec.structs.replace(
        moment, after=gone.after, when=gone.when, where=gone.where, nth=gone.nth, delay_us=delay_us
    )


def together(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Write steps as a person would: no name that nobody uses, no *after* that is the step before anyway."""
    out: list[Step] = []
    for index, step in enumerate(steps):
        moment = step.moment
        if index == 0 and moment.at_us is not None and moment.when is None and moment.after is None:
            # The first step without a moment happens at one second.
            if moment.at_us + moment.delay_us == FIRST_STEP_US:
                moment = msgspec.structs.replace(moment, at_us=None, delay_us=_NO_TIME)
        elif moment.after is not None and moment.when is None and moment.after == steps[index - 1].moment.called:
            moment = msgspec.structs.replace(moment, after=None)
        out.append(Step(moment, step.action))
    used = {step.moment.after for step in out}
    return tuple(
        step if step.moment.called in used else Step(msgspec.structs.replace(step.moment, called=""), step.action)
        for step in out
    )
