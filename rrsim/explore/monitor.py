"""The invariants as a fold over what happened: records, observations and clicks, never the agent's own word.

The monitor is one more part of the composed state: a small state, a pure step, and as effects what is wrong
(:class:`Broken`) and which situations occurred (:class:`Reached`). It sees the world *before* the event. What can only
be said when nothing is left to happen (I6, I7, I9) is in :mod:`rrsim.explore.ending`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from rrsim.backends.sim.memo import StepFunction
from rrsim.explore.model import Model
from rrsim.machine import observations as seen
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec

ADDS_INTENT: Final = "intent saved"
WITHDRAWS: Final = frozenset({"ticket saved", "record saved", "record erased"})


class Watch(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True):
    """What the invariants need to remember."""

    over: bool = False
    """The session expired, ended or was lost."""
    present: bool = False
    standing: int = 0
    """The order that stands, or 0."""
    given: int = 0
    """The latest order, standing or not."""
    resumed: tuple[int, ...] = ()
    """Restarts that were resumed from."""
    asked: int = 0
    """The latest restart that the representative asked for."""
    rep_yes: int = 0
    """The restart that the representative said Yes to on the console."""
    clicks: tuple[str, ...] = ()
    """What the customer clicked in the questions, such as ``restart prompt yes``, since each was last asked."""
    intent: bool = False
    """The intent stands on the disk: the next boot is an ordered one (rule 3)."""
    ordered_boots: tuple[str, ...] = ()
    booted: bool = False
    """There was a new boot since the latest order."""
    consent: bool = True
    """Nobody needs to be asked before the screen is shared."""
    seq: int = 0
    """Length of the transcript."""


class Broken(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True):
    """An invariant does not hold."""

    invariant: str
    message: str
    """Expected, and seen."""


class Reached(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True):
    """A situation occurred."""

    what: str


class _Step:
    """One step in the making."""

    __slots__ = ("model", "out", "w")

    def __init__(self, model: Model, watch: Watch) -> None:
        self.model = model
        self.w = watch
        self.out: list[Broken | Reached] = []

    def set(self, **changes: Any) -> None:
        self.w = replace(self.w, **changes)

    def broken(self, invariant: str, expected: str, saw: str) -> None:
        if invariant in self.model.invariants:
            self.out.append(Broken(invariant, f"expected {expected}; seen: {saw}"))

    def reached(self, what: str) -> None:
        self.out.append(Reached(what))

    def alive(self, what: str) -> None:
        if self.w.over:
            self.broken("I1", "nothing to bring back a session that is over", what)

    def enters(self, what: str) -> None:
        self.alive(what)
        if self.w.present:
            self.broken("I3", "one customer endpoint at a time", f"{what} while another is joined")
        self.set(present=True)


def watch(model: Model) -> StepFunction:
    """Return the monitor's step function for ``model``."""

    def step(state: Watch, event: Any) -> tuple[Watch, tuple[Any, ...]]:
        turn = _Step(model, state)
        HEARS[type(event)](turn, event)
        return turn.w, tuple(turn.out)

    return step


# --- the session ------------------------------------------------------------------------------------------------


def _joined(t: _Step, _: rec.EndpointJoined) -> None:
    t.enters("endpoint joined")


def _reconnected(t: _Step, _: rec.EndpointReconnected) -> None:
    t.reached("reconnected")
    t.enters("endpoint reconnected")


def _gone(t: _Step, _: rec.EndpointLost) -> None:
    t.set(present=False)


def _resumed(t: _Step, r: rec.EndpointResumed) -> None:
    w = t.w
    t.reached("resumed")
    t.enters("endpoint resumed")
    if r.restart in w.resumed:
        t.broken("I2", "a ticket to resume once", f"a second resume from restart {r.restart}")
    elif r.restart != w.standing and not w.over:
        t.broken("I1", f"a resume from the standing order ({w.standing or 'none'})", f"one from restart {r.restart}")
    if not w.booted:
        t.broken("rule 9", "a new boot between order and resume", f"resumed from {r.boot} without one")
    elif r.boot not in w.ordered_boots and not t.model.account.foreign_resumes:
        t.broken("I11", "only an ordered boot to resume", f"resumed from {r.boot}, which nobody ordered")
    t.set(
        resumed=tuple(sorted({*w.resumed, r.restart})),
        standing=0,
        consent=not t.model.account.ask_before_sharing,
        clicks=_without(w.clicks, "sharing prompt"),
    )


def _finished(t: _Step, r: rec.SessionExpired | rec.SessionLost | rec.SessionEnded) -> None:
    t.reached(str(r.__struct_config__.tag))
    t.alive("it ended a second time")
    decided = ("leave prompt no", *(("restart prompt no",) if t.model.account.decline_ends_session else ()))
    if isinstance(r, rec.SessionEnded) and r.by == "customer" and not any(click in t.w.clicks for click in decided):
        t.broken("I13", "the customer's click before their decision is recorded", f"session ended: {r.reason}")
    t.set(over=True, present=False, standing=0)


def _rejected(t: _Step, r: rec.ClaimRejected) -> None:
    if r.what == "resume" and t.w.over:
        t.reached("late agent turned away")


def _line(t: _Step, r: rec.ChatLine) -> None:
    if r.seq != t.w.seq + 1:
        t.broken("I12", f"chat line {t.w.seq + 1} next", f"line {r.seq}")
    t.set(seq=r.seq)


# --- the restart ------------------------------------------------------------------------------------------------


def _asked(t: _Step, r: rec.RestartAsked) -> None:
    t.set(asked=r.restart)


def _question(t: _Step, r: rec.CustomerAsked) -> None:
    t.set(clicks=_without(t.w.clicks, f"{r.kind} prompt"))


def _answered(t: _Step, r: rec.CustomerAnswered) -> None:
    click = f"{r.kind} prompt {r.answer}"
    if r.human and click not in t.w.clicks:
        t.broken("I13", f"the customer's click {click!r}", "a human answer that nobody gave")


def _rep_said(t: _Step, m: msg.Confirm) -> None:
    if m.answer == "yes":
        t.set(rep_yes=m.order)


def _ordered(t: _Step, r: rec.OrderGiven) -> None:
    w = t.w
    t.alive("a new order")
    if w.rep_yes != r.restart:
        t.broken("I4", "the representative's Yes before the order", f"order {r.restart} without it")
    if t.model.account.ask_before_restart and "restart prompt yes" not in w.clicks:
        t.broken("I4", "the customer's click on Yes before the order", f"order {r.restart} without it")
    if r.boot_mode == "safe" and t.model.mode != "service":
        t.broken("I10", "safe mode only in service mode", f"order {r.restart} for safe mode")
    t.set(standing=r.restart, given=r.restart, booted=False)


def _closed(t: _Step, r: rec.RestartRefused | rec.RestartCancelled | rec.RestartUndone) -> None:
    t.reached({rec.RestartRefused: "refused", rec.RestartCancelled: "cancelled"}.get(type(r), "undone"))
    t.set(standing=0)


def _opened(t: _Step, r: rec.WindowOpened) -> None:
    t.reached(f"window opened by {r.reason}")


# --- the PC -----------------------------------------------------------------------------------------------------


def _called(t: _Step, e: seen.HostCall) -> None:
    if e.ok and e.verb == ADDS_INTENT:
        t.set(intent=True)
    elif e.ok and e.verb in WITHDRAWS:
        t.set(intent=False)


def _restart_began(t: _Step, e: seen.RestartBegan) -> None:
    if e.cause != "agent":
        return
    if not t.w.given:
        t.broken("I4", "an order before the agent restarts the PC", "none")
    if t.model.platform == "mac":
        t.broken("I8", "a Mac never to be restarted", "the agent restarts one")


def _booted(t: _Step, e: seen.BootBegan) -> None:
    w = t.w
    if e.safe_mode and t.model.mode != "service":
        t.broken("I10", "no safe mode in application mode", f"{e.boot} is one")
    if e.safe_mode:
        t.reached("safe mode boot")
    if e.cause == "probe" and e.safe_mode:
        t.broken("I6", "the next boot after the session to be normal", f"{e.boot} is in safe mode")
    if w.intent:
        t.set(ordered_boots=tuple(sorted({*w.ordered_boots, e.boot})))
        if e.cause != "agent":
            t.reached("ordered boot by another cause")
    elif not w.over:
        t.reached("foreign boot")
    t.set(booted=True)


def _clicked(t: _Step, e: seen.Clicked) -> None:
    if e.who == "customer" and e.window.endswith(" prompt"):
        t.set(clicks=tuple(sorted({*_without(t.w.clicks, e.window), f"{e.window} {e.button}"})))
        if (e.window, e.button) == ("sharing prompt", "yes"):
            t.set(consent=True)


def _captured(t: _Step, e: seen.ScreenSeen) -> None:
    if e.on:
        t.reached("screen shared again")
        if not t.w.consent:
            t.broken("I5", "the customer's click before the screen is shared again", "shared without it")


def _without(clicks: tuple[str, ...], window: str) -> tuple[str, ...]:
    return tuple(c for c in clicks if not c.startswith(window))


HEARS: Final[dict[type, Callable[[_Step, Any], None]]] = {
    rec.EndpointJoined: _joined, rec.EndpointReconnected: _reconnected, rec.EndpointLost: _gone,
    rec.EndpointResumed: _resumed, rec.SessionExpired: _finished, rec.SessionLost: _finished,
    rec.SessionEnded: _finished, rec.ClaimRejected: _rejected, rec.ChatLine: _line, rec.RestartAsked: _asked,
    rec.CustomerAsked: _question, rec.CustomerAnswered: _answered, msg.Confirm: _rep_said, rec.OrderGiven: _ordered,
    rec.RestartRefused: _closed, rec.RestartCancelled: _closed, rec.RestartUndone: _closed, rec.WindowOpened: _opened,
    seen.HostCall: _called, seen.RestartBegan: _restart_began, seen.BootBegan: _booted, seen.Clicked: _clicked,
    seen.ScreenSeen: _captured,
}  # fmt: skip
"""Which events the monitor hears; everything else passes it by."""
