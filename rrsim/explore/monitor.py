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
NOBODY: Final = "restart prompt accepted for nobody"
"""Stands among the clicks where the account takes silence for Yes (CO-04)."""
LEAVES: Final = "leave prompt no"
"""The customer's click on the confirmation that they leave (rule 12)."""
CANCELS: Final = "cancel option cancel"
"""The customer's click on phone mode's way out (R11)."""
LEFT: Final = "left for good"
OUT: Final = "out for good"
"""Stand among the clicks of a customer who left, or who cancelled the reconnect, as long as the agent can still do what
that asks of it. One that dies before the record is off the disk has not kept the click, and nobody could."""
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
    resumed: tuple[int | str, ...] = ()
    """Restarts that were resumed from; with a stand-by ticket, which belongs to no restart, the boot."""
    asked: int = 0
    """The latest restart that the representative asked for."""
    rep_yes: int = 0
    """The restart that the representative said Yes to on the console."""
    clicks: tuple[str, ...] = ()
    """What the customer clicked in the questions, such as ``restart prompt yes``, since each was last asked."""
    intent: bool = False
    """The intent stands on the disk: the next boot is an ordered one (rule 3)."""
    standby: bool = False
    """Where foreign restarts resume: something that resumes may stand on the disk."""
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


class ThiefHears(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True):
    """What the session server answered to a second machine."""

    message: msg.ServerMessage


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


def _joined(t: _Step, r: rec.EndpointJoined) -> None:
    t.enters("endpoint joined")
    if t.model.account.foreign_resumes:
        t.set(resumed=(r.boot,))  # the boot that joined is no new one (rule 9)


def _reconnected(t: _Step, _: rec.EndpointReconnected) -> None:
    t.reached("reconnected")
    t.enters("endpoint reconnected")


def _gone(t: _Step, _: rec.EndpointLost) -> None:
    t.set(present=False)


def _resumed(t: _Step, r: rec.EndpointResumed) -> None:
    w = t.w
    t.reached("resumed")
    t.enters("endpoint resumed")
    standby = not r.restart and t.model.account.foreign_resumes
    spent: int | str = r.boot if standby else r.restart
    if standby:
        t.reached("resumed from a foreign boot")
    if spent in w.resumed:
        t.broken("I2", "a ticket to resume once", f"a second resume from {'restart ' * (not standby)}{spent}")
    elif r.restart != w.standing and not w.over and not standby:
        t.broken("I1", f"a resume from the standing order ({w.standing or 'none'})", f"one from restart {r.restart}")
    if not w.booted and not standby:
        t.broken("rule 9", "a new boot between order and resume", f"resumed from {r.boot} without one")
    elif r.boot not in w.ordered_boots and not t.model.account.foreign_resumes:
        t.broken("I11", "only an ordered boot to resume", f"resumed from {r.boot}, which nobody ordered")
    if r.late:
        t.reached("resumed late")
        if t.model.account.expiry_final:
            t.broken("I1", "nothing to resume after the window", f"a late resume from {spent}")
    t.set(
        resumed=tuple(sorted({*w.resumed, spent}, key=str)),
        standing=0,
        consent=not t.model.account.ask_before_sharing,
        clicks=_without(w.clicks, "sharing prompt"),
    )


def _finished(t: _Step, r: rec.SessionExpired | rec.SessionLost | rec.SessionEnded) -> None:
    t.reached(str(r.__struct_config__.tag))
    t.alive("it ended a second time")
    decided = (LEAVES, CANCELS, *(("restart prompt no",) if t.model.account.decline_ends_session else ()))
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
    if not r.human and r.answer == "yes":
        # Rule 6: a Yes without a person exists where the account says so, and only before a restart.
        if r.kind != "restart" or not t.model.account.auto_accept_silence:
            t.broken("I4", "a person to say Yes", f"a Yes to the {r.kind} prompt without one")
        t.reached("silence accepted")
        t.set(clicks=tuple(sorted({*t.w.clicks, NOBODY})))


def _rep_said(t: _Step, m: msg.Confirm) -> None:
    if m.answer == "yes":
        t.set(rep_yes=m.order)


def _ordered(t: _Step, r: rec.OrderGiven) -> None:
    w = t.w
    t.alive("a new order")
    if w.rep_yes != r.restart:
        t.broken("I4", "the representative's Yes before the order", f"order {r.restart} without it")
    agreed = "restart prompt yes" in w.clicks or NOBODY in w.clicks
    if t.model.account.ask_before_restart and not agreed:
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
        t.set(intent=False, standby=t.model.account.foreign_resumes and e.verb != "record erased")


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
    if e.who == "customer" and e.window == "cancel option":
        t.reached("reconnect cancelled")
        t.set(clicks=tuple(sorted({*t.w.clicks, CANCELS, OUT})))
    if e.who == "customer" and e.window.endswith(" prompt"):
        # A question of the server's has the clicks since it was asked; the agent's own is asked anew each time.
        kept = _without(t.w.clicks, e.window) if e.window == "leave prompt" else t.w.clicks
        click = f"{e.window} {e.button}"
        t.set(clicks=tuple(sorted({*kept, click, *((LEFT,) if click == LEAVES else ())})))
        if (e.window, e.button) == ("sharing prompt", "yes"):
            t.set(consent=True)


def _agent_stopped(t: _Step, _: seen.AgentStopped) -> None:
    if t.w.intent or t.w.standby:
        t.set(clicks=tuple(click for click in t.w.clicks if click not in {LEFT, OUT}))


def _offline(t: _Step, _: rec.WindowOffline) -> None:
    t.reached("session offline")
    if t.model.account.expiry_final:
        t.broken("I1", "a session to expire at the end of its window", "it waits offline")


def _answered_thief(t: _Step, e: ThiefHears) -> None:
    if isinstance(e.message, msg.TurnedAway):
        t.reached("second machine turned away")
    else:
        t.broken("rule 5", "a second machine to be turned away", f"it was sent {type(e.message).__name__}")


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
    seen.ScreenSeen: _captured, seen.AgentStopped: _agent_stopped, rec.WindowOffline: _offline,
    ThiefHears: _answered_thief,
}  # fmt: skip
"""Which events the monitor hears; everything else passes it by."""


def hears(event: Any) -> bool:
    """Whether the monitor does anything with an event: what passes it by must not make its state matter."""
    kind = type(event)
    if kind is seen.HostCall:
        return bool(event.ok) and (event.verb == ADDS_INTENT or event.verb in WITHDRAWS)
    return kind in HEARS
