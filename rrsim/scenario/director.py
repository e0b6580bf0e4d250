"""The director: carries out a scenario's steps at their moments and ends every run the same way. Pure.

The same director runs on every backend. It has no clock: it asks to be woken and is told what happened.

A run has these phases, in this order:

``steps``     steps happen at their moments; a step that waits for an event that never comes is reported as that.
``deciding``  all steps are done; every restart gets the time it may take to reach a verdict (I9), then a quiet spell.
``healing``   all faults are taken back, and liveness is demanded: again everything must be decided.
``ending``    the representative ends what is still open; the agent may clean up (rule 7).
``probing``   one restart of the harness's own shows what the next boot is like (I6, I7).
``over``      the inventory is taken; nothing more happens.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from rrsim.scenario.actions import AnyAction
from rrsim.scenario.model import Scenario
from rrsim.scenario.vocabulary import EVENT_TYPES, matches

SECOND_US: Final = 1_000_000
FIRST_STEP_US: Final = SECOND_US
"""When a first step without a moment happens."""
QUIET_US: Final = 90 * SECOND_US
"""Quiet spell before faults are healed: long enough for a prompt's time-out and a sign of life to show."""
HEALED_US: Final = 45 * SECOND_US
"""Quiet spell after healing: a retry at the longest back-off fits in."""
ENDING_US: Final = 60 * SECOND_US
"""Time for the agent to clean up after the session's end."""
PROBED_US: Final = 120 * SECOND_US
"""Time after the probe's desktop for an agent that started again to clean up."""
PROBE_LIMIT_US: Final = 3600 * SECOND_US
VERDICT_SLACK_US: Final = 30 * SECOND_US
"""I9: verdict by the end of restart limit and window plus this."""
PATIENCE_US: Final = 3600 * SECOND_US
"""How long a step may wait for its event, besides limit and window."""

Phase = Literal["steps", "deciding", "healing", "ending", "probing", "over"]
Status = Literal["blocked", "counting", "scheduled", "done", "impossible"]


class _Word(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Base of the director's inputs and commands."""


# --- inputs -----------------------------------------------------------------------------------------------------


class Begin(_Word, frozen=True):
    """The session is as ``given`` says: time 0 of the steps. ``limit_us`` is restart limit plus resume window."""

    limit_us: int
    decided: bool = True
    gives_up_us: int = 0
    """How long an agent without a server tries to come back before it cleans up by itself."""


class Happened(_Word, frozen=True):
    """An event that some step waits for (see :func:`watched`). ``customer`` is 0 if it belongs to nobody."""

    name: str
    event: Any
    customer: int


class Woke(_Word, frozen=True):
    """The time asked for with :class:`Wake` has passed."""

    token: str


class Decided(_Word, frozen=True):
    """Whether every restart has a verdict and no session is on its way back."""

    yes: bool


class CouldNot(_Word, frozen=True):
    """A step turned out to be impossible."""

    step: int
    reason: str


class Probed(_Word, frozen=True):
    """The probe's boot has reached a usable desktop."""


Input = Begin | Happened | Woke | Decided | CouldNot | Probed

# --- commands ---------------------------------------------------------------------------------------------------


class Do(_Word, frozen=True):
    """Carry out this action now."""

    step: int
    name: str
    action: AnyAction


class Wake(_Word, frozen=True):
    """Tell :class:`Woke` with this token after this long; replaces one with the same token."""

    token: str
    after_us: int


class Unwake(_Word, frozen=True):
    """Forget a :class:`Wake`."""

    token: str


class ReportImpossible(_Word, frozen=True):
    """Write into the history that a step never became possible, and why."""

    step: int
    name: str
    reason: str


class Heal(_Word, frozen=True):
    """Take all faults back."""


class EndSessions(_Word, frozen=True):
    """Let the representative end every session that is still open."""


class Probe(_Word, frozen=True):
    """Restart every PC once, cleanly, and let the right user sign in."""


class Finish(_Word, frozen=True):
    """Take the inventory; the run is over. ``quiet`` False: a time limit cut it short."""

    quiet: bool


Command = Do | Wake | Unwake | ReportImpossible | Heal | EndSessions | Probe | Finish

# --- plan and state ---------------------------------------------------------------------------------------------


class Plan(msgspec.Struct, frozen=True, gc=False):
    """A scenario made ready to direct: computed once, used for any number of runs."""

    scenario: Scenario
    names: tuple[str, ...]
    """Name of each step: as called, or its number."""
    starts_after: tuple[int, ...]
    """Index of the step each step waits for first, or -1."""


class DirectorState(msgspec.Struct, frozen=True, gc=False):
    """Where the direction of a run stands."""

    phase: Phase = "steps"
    status: tuple[Status, ...] = ()
    seen: tuple[int, ...] = ()
    """Matching events counted so far, for each step."""
    decided: bool = True
    limit_us: int = 0
    gives_up_us: int = 0


class UnknownStepName(ValueError):
    """A step waits for a step that does not exist."""


def plan(scenario: Scenario) -> Plan:
    """Prepare a scenario for directing.

    Raises:
        UnknownStepName: ``after`` names a step that is not there.
    """
    names = tuple(s.moment.called or f"step {i + 1}" for i, s in enumerate(scenario.steps))
    starts: list[int] = []
    for i, step in enumerate(scenario.steps):
        moment = step.moment
        if moment.after is not None:
            if moment.after not in names:
                raise UnknownStepName(f"step {i + 1} of {scenario.id}: no step is called {moment.after!r}")
            starts.append(names.index(moment.after))
        elif moment.at_us is None and moment.when is None:
            starts.append(i - 1)
        else:
            starts.append(-1)
    return Plan(scenario, names, tuple(starts))


def watched(ready: Plan) -> frozenset[type]:
    """Return the event types the director wants to hear of."""
    return frozenset(EVENT_TYPES[s.moment.when] for s in ready.scenario.steps if s.moment.when is not None)


def step(ready: Plan, state: DirectorState, event: Input) -> tuple[DirectorState, tuple[Command, ...]]:
    """Take one input and return the new state and what to do about it."""
    match event:
        case Begin():
            return _begin(ready, event)
        case Happened():
            return _happened(ready, state, event)
        case Woke(token=token) if token.startswith("step "):
            return _carry_out(ready, state, int(token[5:]))
        case Woke(token=token):
            return _time_is_up(ready, state, token)
        case Decided(yes=yes):
            return _decided(state, yes)
        case CouldNot(step=index, reason=reason):
            return _settle_steps(ready, _mark(state, index, "impossible"), (_report(ready, index, reason),))
        case Probed():
            # The probe's boot may have no network at all, as safe mode on Wi-Fi: then the agent has to give up first.
            settle_us = PROBED_US + state.gives_up_us
            commands = (Wake("settle", settle_us), Wake("bound", settle_us + PROBE_LIMIT_US))
            return state, commands if state.phase == "probing" else ()


def waiting(ready: Plan, state: DirectorState) -> tuple[tuple[int, str], ...]:
    """Return the steps that have not happened yet, with the reason."""
    out = []
    for i, status in enumerate(state.status):
        moment = ready.scenario.steps[i].moment
        if status == "counting":
            count = f" number {moment.nth}" if moment.nth > 1 else ""
            fields = "".join(f", {k} {v!r}" for k, v in moment.where.items())
            out.append((i, f"its event never happened: {moment.when!r}{count}{fields} (seen {state.seen[i]} times)"))
        elif status == "blocked":
            out.append((i, f"it waits for {ready.names[ready.starts_after[i]]!r}, which never happened"))
    return tuple(out)


# --- transitions ------------------------------------------------------------------------------------------------


def _begin(ready: Plan, event: Begin) -> tuple[DirectorState, tuple[Command, ...]]:
    steps = ready.scenario.steps
    status: list[Status] = []
    commands: list[Command] = []
    for i, one in enumerate(steps):
        moment = one.moment
        if moment.at_us is not None:
            status.append("scheduled")
            commands.append(Wake(f"step {i}", moment.at_us + moment.delay_us))
        elif ready.starts_after[i] >= 0:
            status.append("blocked")
        elif moment.when is not None:
            status.append("counting")
        else:
            status.append("scheduled")
            commands.append(Wake(f"step {i}", FIRST_STEP_US + moment.delay_us))
    state = DirectorState("steps", tuple(status), (0,) * len(steps), event.decided, event.limit_us, event.gives_up_us)
    return _settle_steps(ready, state, tuple(commands))


def _happened(ready: Plan, state: DirectorState, event: Happened) -> tuple[DirectorState, tuple[Command, ...]]:
    commands: tuple[Command, ...] = ()
    for i, status in enumerate(state.status):
        if status != "counting":
            continue
        one = ready.scenario.steps[i]
        if one.moment.when != event.name or event.customer not in (0, one.action.customer):
            continue
        if not matches(event.event, one.moment.where):
            continue
        seen = state.seen[i] + 1
        state = msgspec.structs.replace(state, seen=(*state.seen[:i], seen, *state.seen[i + 1 :]))
        if seen == one.moment.nth:
            state, more = _due(ready, state, i)
            commands += more
    return state, commands


def _due(ready: Plan, state: DirectorState, index: int) -> tuple[DirectorState, tuple[Command, ...]]:
    """The moment of step ``index`` has come; only its delay is left."""
    delay_us = ready.scenario.steps[index].moment.delay_us
    if delay_us > 0:
        # Patience is for steps whose event may never come; this one's time is known, however long it is.
        return _mark(state, index, "scheduled"), (Wake(f"step {index}", delay_us), Unwake("patience"))
    return _carry_out(ready, state, index)


def _carry_out(ready: Plan, state: DirectorState, index: int) -> tuple[DirectorState, tuple[Command, ...]]:
    state = _mark(state, index, "done")
    commands: tuple[Command, ...] = (Do(index, ready.names[index], ready.scenario.steps[index].action),)
    for i, first in enumerate(ready.starts_after):
        if first == index and state.status[i] == "blocked":
            if ready.scenario.steps[i].moment.when is not None:
                state = _mark(state, i, "counting")
            else:
                state, more = _due(ready, state, i)
                commands += more
    return _settle_steps(ready, state, commands)


def _settle_steps(
    ready: Plan, state: DirectorState, commands: tuple[Command, ...]
) -> tuple[DirectorState, tuple[Command, ...]]:
    """Go on to ``deciding`` once no step is left; otherwise give the waiting ones their patience."""
    if state.phase != "steps":
        return state, commands
    open_steps = {s for s in state.status if s not in ("done", "impossible")}
    if not open_steps:
        return _enter(ready, state, "deciding", commands)
    if "scheduled" in open_steps:
        return state, (*commands, Unwake("patience"))
    return state, (*commands, Wake("patience", PATIENCE_US + state.limit_us))


def _enter(
    ready: Plan, state: DirectorState, phase: Phase, commands: tuple[Command, ...]
) -> tuple[DirectorState, tuple[Command, ...]]:
    state = msgspec.structs.replace(state, phase=phase)
    out = [*commands, Unwake("patience")]
    bound_us = state.limit_us + VERDICT_SLACK_US
    match phase:
        case "deciding":
            out.append(Wake("bound", max(bound_us, ready.scenario.runs_for_us or 0)))
            if state.decided:
                out.append(Wake("settle", max(QUIET_US, ready.scenario.runs_for_us or 0)))
        case "healing":
            out += [Heal(), Wake("bound", bound_us)]
            if state.decided:
                out.append(Wake("settle", HEALED_US))
        case "ending":
            out += [Unwake("bound"), EndSessions(), Wake("settle", ENDING_US)]
        case "probing":
            out += [Probe(), Wake("bound", PROBE_LIMIT_US)]
        case _:
            raise AssertionError(f"no way into phase {phase!r}")
    return state, tuple(out)


def _time_is_up(ready: Plan, state: DirectorState, token: str) -> tuple[DirectorState, tuple[Command, ...]]:
    match state.phase, token:
        case "steps", "patience":
            reports = tuple(_report(ready, i, why) for i, why in waiting(ready, state))
            status = tuple("impossible" if s in ("counting", "blocked") else s for s in state.status)
            return _enter(ready, msgspec.structs.replace(state, status=status), "deciding", reports)
        case "deciding", "settle" | "bound":
            return _enter(ready, state, "healing", (Unwake("settle"),))
        case "healing", "settle" | "bound":
            return _enter(ready, state, "ending", (Unwake("settle"),))
        case "ending", "settle":
            return _enter(ready, state, "probing", ())
        case "probing", "settle" | "bound":
            over = msgspec.structs.replace(state, phase="over")
            return over, (Unwake("bound"), Unwake("settle"), Finish(quiet=token == "settle"))
        case _:
            return state, ()


def _decided(state: DirectorState, yes: bool) -> tuple[DirectorState, tuple[Command, ...]]:
    if yes == state.decided:
        return state, ()
    state = msgspec.structs.replace(state, decided=yes)
    if state.phase not in ("deciding", "healing"):
        return state, ()
    if yes:
        return state, (Wake("settle", QUIET_US if state.phase == "deciding" else HEALED_US),)
    return state, (Unwake("settle"), Wake("bound", state.limit_us + VERDICT_SLACK_US))


def _report(ready: Plan, index: int, reason: str) -> ReportImpossible:
    return ReportImpossible(index, ready.names[index], reason)


def _mark(state: DirectorState, index: int, status: Status) -> DirectorState:
    return msgspec.structs.replace(state, status=(*state.status[:index], status, *state.status[index + 1 :]))
