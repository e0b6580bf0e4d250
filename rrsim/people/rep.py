"""The representative at the console, as a pure step function.

Rules:

* A confirmation is answered by habit after a reaction time; the question belongs to the console window, so that a
  console that is lost takes it along.
* A restart control that the console does not offer cannot be pressed (R2, R10): the wish waits until it is offered.
  ``bypass_controls`` sends the request all the same, as a script would.
* Without a console nothing can be said: the wish waits until it is back.
* One representative may have several sessions; each message is about one of them (RE-11).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rrsim.people import vocabulary as parts
from rrsim.people.vocabulary import After, ConsoleHeard, ConsoleUp, Forget, RepActs, RepEffect, Say, ToPc
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import RepHabits

MAX_SESSIONS: Final = 32
MAX_WISHES: Final = 16


class NotForRep(ValueError):
    """An input of a type that a representative does not take."""


class TooManyWishes(ValueError):
    """More actions wait to become possible than a representative can keep in mind."""


class View(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What the console shows of one session, as far as it matters for what can be pressed."""

    session: str
    restart: bool = False
    safe_mode: bool = False
    sharing: bool = False
    state: str = ""


class RepState(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Everything a representative keeps in mind."""

    habits: RepHabits
    name: str
    console: bool = True
    views: tuple[View, ...] = ()
    questions: tuple[tuple[str, int], ...] = ()
    """Confirmations on the screen: session and order."""
    wishes: tuple[RepActs, ...] = ()
    """Actions that are not possible yet, oldest first."""


Effects = list[Any]
_replace: Final = msgspec.structs.replace

_SAYINGS: Final = (
    act.RepTakes, act.RepRestarts, act.RepChats, act.RepEnds, act.RepTransfers, act.RepStartsSharing,
    act.RepStopsSharing,
)  # fmt: skip
ACTIONS: Final = (
    *_SAYINGS, act.RepConsoleLost, act.RepConsoleReturns, act.RepClicks, act.RepTypesPassword,
)  # fmt: skip
"""Every action a representative can carry out."""


def initial(habits: RepHabits, name: str) -> RepState:
    """Return a representative with an open console and no session in view."""
    return RepState(habits, name)


def pending_wishes(state: RepState) -> tuple[str, ...]:
    """Return what the representative still waits to be able to do, and what is missing for it."""
    return tuple(f"{_tag(wish.action)}: {_missing(state, wish)}" for wish in state.wishes)


def step(state: RepState, event: Any) -> tuple[RepState, tuple[RepEffect, ...]]:
    """Take one input.

    Raises:
        NotForRep: the input's type means nothing to a representative.
        TooManyWishes: an action is not possible now and too many are waiting already.
    """
    effects: Effects = []
    if isinstance(event, ConsoleHeard):
        return _hear(state, event, effects), tuple(effects)
    if isinstance(event, TimerFired):
        return _react(state, event.name, effects), tuple(effects)
    wanted = event if isinstance(event, RepActs) else None
    if wanted is None and isinstance(event, ACTIONS):
        wanted = RepActs(session_of(event.customer), event)
    if wanted is None or not isinstance(wanted.action, ACTIONS):
        raise NotForRep(
            f"expected a console message or an action of the representative, saw {_name(event)}; "
            "the list at the top of parts.py says who hears what"
        )
    return _act(state, wanted, effects), tuple(effects)


def session_of(customer: int) -> str:
    """Return the id of a customer's first session, which an action means if nobody says otherwise."""
    return f"session-{customer}"


# --- what the console shows -------------------------------------------------------------------------------------


def _hear(state: RepState, event: ConsoleHeard, effects: Effects) -> RepState:
    if not state.console:
        return state
    session, message = event.session, event.message
    if isinstance(message, msg.ConfirmRestart):
        return _asked(state, session, message.order, effects)
    if isinstance(message, msg.SessionView):
        view = View(session, message.restart_offered, message.safe_mode_offered, message.sharing, message.state)
        others = tuple(v for v in state.views if v.session != session)
        return _try_wishes(_replace(state, views=(*others, view)[-MAX_SESSIONS:]), effects)
    if isinstance(message, msg.RestartView) and message.phase in ("refused", "cancelled"):
        return _drop_question(state, session, effects, order=message.order)
    return state


def _asked(state: RepState, session: str, order: int, effects: Effects) -> RepState:
    if state.habits.confirms == "ignore":
        return state
    others = tuple(q for q in state.questions if q[0] != session)
    for forgotten, _ in others[: max(0, len(others) + 1 - MAX_SESSIONS)]:
        effects.append(Forget(f"confirm {forgotten}"))
    wait_us = state.habits.reacts_in_us
    effects.append(After(f"confirm {session}", "rep reacts", -1 if wait_us is None else int(wait_us)))
    return _replace(state, questions=(*others, (session, order))[-MAX_SESSIONS:])


def _drop_question(state: RepState, session: str, effects: Effects, order: int) -> RepState:
    if (session, order) not in state.questions:
        return state
    effects.append(Forget(f"confirm {session}"))
    return _replace(state, questions=tuple(q for q in state.questions if q[0] != session))


def _react(state: RepState, timer: str, effects: Effects) -> RepState:
    session = timer.removeprefix("confirm ")
    order = next((order for name, order in state.questions if name == session), None)
    if order is None or not state.console or state.habits.confirms == "ignore":
        return state
    effects.append(Say(msg.Confirm(order, state.habits.confirms), session))
    return _replace(state, questions=tuple(q for q in state.questions if q[0] != session))


# --- what a scenario makes the representative do ----------------------------------------------------------------


def _act(state: RepState, wanted: RepActs, effects: Effects) -> RepState:
    match wanted.action:
        case act.RepConsoleLost():
            return _console_lost(state, effects)
        case act.RepConsoleReturns():
            if state.console:
                return state
            effects.append(ConsoleUp(True))
            return _try_wishes(_replace(state, console=True), effects)
    if not _missing(state, wanted):
        effects.append(_deed(wanted))
        return state
    if len(state.wishes) >= MAX_WISHES:
        raise TooManyWishes(
            f"expected at most {MAX_WISHES} waiting actions of {state.name}, saw one more: {_tag(wanted.action)}; "
            "check that the steps before it can happen"
        )
    return _replace(state, wishes=(*state.wishes, wanted))


def _console_lost(state: RepState, effects: Effects) -> RepState:
    if not state.console:
        return state
    effects += [Forget(f"confirm {session}") for session, _ in state.questions]
    effects.append(ConsoleUp(False))
    return _replace(state, console=False, views=(), questions=())


def _missing(state: RepState, wanted: RepActs) -> str:
    """Return what keeps an action from being possible; empty if it is possible now."""
    if not state.console:
        return "the console is not connected"
    action = wanted.action
    if not isinstance(action, act.RepRestarts) or action.bypass_controls:
        return ""
    view = next((v for v in state.views if v.session == wanted.session), View(wanted.session))
    if not view.restart:
        return 'the control "restart" is not offered'
    if action.mode == "safe" and not view.safe_mode:
        return 'the control "restart in safe mode" is not offered'
    return ""


def _try_wishes(state: RepState, effects: Effects) -> RepState:
    ready = tuple(wish for wish in state.wishes if not _missing(state, wish))
    effects += [_deed(wish) for wish in ready]
    return _replace(state, wishes=tuple(wish for wish in state.wishes if wish not in ready))


def _deed(wanted: RepActs) -> Say | ToPc:
    """Turn a possible action into what it does."""
    action, session = wanted.action, wanted.session
    match action:
        case act.RepRestarts():
            return Say(msg.AskRestart(action.from_, action.mode, action.end_programs), session)
        case act.RepTakes():
            return Say(msg.Take(), session)
        case act.RepChats():
            return Say(msg.RepChat(action.text), session)
        case act.RepEnds():
            return Say(msg.EndSession(), session)
        case act.RepTransfers():
            return Say(msg.Transfer(action.to), session)
        case act.RepClicks():
            return ToPc(parts.Press("representative", action.window, action.button), session)
        case act.RepTypesPassword():
            return ToPc(action, session)
        case _:
            return Say(msg.RequestSharing(isinstance(action, act.RepStartsSharing)), session)


def _tag(action: Any) -> str:
    return str(type(action).__struct_config__.tag)


def _name(event: Any) -> str:
    return type(event.action).__name__ if isinstance(event, RepActs) else type(event).__name__
