"""Drives a modelled person by hand; shared by the tests of customer and representative."""

from __future__ import annotations

from typing import Any

from rrsim import people
from rrsim.machine import observations as seen
from rrsim.people import customer
from rrsim.people import vocabulary as parts
from rrsim.protocol.timers import TimerFired
from rrsim.scenario.model import CustomerHabits, PcSetup


class Person:
    """Drives a customer or a representative by hand."""

    def __init__(self, part: Any, state: Any) -> None:
        self.part = part
        self.state = state
        self.timers: dict[str, parts.After] = {}

    def tell(self, *events: Any) -> list[Any]:
        fresh: list[Any] = []
        for event in events:
            if isinstance(event, TimerFired):
                del self.timers[event.name]
            self.state, effects = self.part.step(self.state, event)
            for effect in effects:
                if isinstance(effect, parts.After):
                    assert effect.draw in people.DRAWS
                    self.timers[effect.name] = effect
                elif isinstance(effect, parts.Forget):
                    self.timers.pop(effect.name, None)
                else:
                    fresh.append(effect)
        return fresh

    def fire(self, name: str) -> list[Any]:
        assert name in self.timers, f"expected the timer {name!r} to run, running: {sorted(self.timers)}"
        return self.tell(TimerFired(name))

    def wishes(self) -> tuple[str, ...]:
        wishes = self.part.pending_wishes(self.state)
        assert isinstance(wishes, tuple)
        return wishes


def a_customer(phone: bool = False, setup: dict[str, Any] | None = None, **habits: Any) -> Person:
    pc = PcSetup(**(setup or {}))
    return Person(customer, customer.initial(CustomerHabits(**habits), pc, "application", phone))


def shown(window: seen.Window) -> seen.WindowShown:
    return seen.WindowShown(window)


def gone(window: seen.Window) -> seen.WindowGone:
    return seen.WindowGone(window, "agent")


def press(window: seen.Window, button: str, *, by_habit: bool = False) -> parts.ToPc:
    return parts.ToPc(parts.Press("customer", window, button, by_habit))


def sign_in(how: Any) -> parts.ToPc:
    return parts.ToPc(parts.SignIn(how))


DOWN = (seen.LinkChanged(False, "lan"), seen.WentDown("agent", True), seen.PhaseBegan("firmware"))
WELCOME = seen.PhaseBegan("welcome")
ON = seen.LoggedOn("right", "visible", True)
AT_DESKTOP = (ON, seen.PhaseBegan("shell"), seen.PhaseBegan("desktop"))
LINK = seen.LinkChanged(True, "lan")
