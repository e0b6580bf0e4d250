"""Drives one modelled network by hand; shared by its tests."""

from __future__ import annotations

from typing import Any

from rrsim.agent.host import NetworkChanged
from rrsim.backends.sim import parts
from rrsim.backends.sim.network import initial, step
from rrsim.machine import observations as seen
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import PcSetup
from rrsim.scenario.words import Duration


class Net:
    """Drives one network by hand: keeps its state, its running timers, and everything it has said."""

    def __init__(self, **setup: Any) -> None:
        self.state = initial(PcSetup(**setup))
        self.timers: dict[str, parts.After] = {}
        self.said: list[Any] = []

    def tell(self, *events: Any) -> list[Any]:
        fresh: list[Any] = []
        for event in events:
            if isinstance(event, TimerFired):
                del self.timers[event.name]
            self.state, effects = step(self.state, event)
            for effect in effects:
                if isinstance(effect, parts.After):
                    self.timers[effect.name] = effect
                elif isinstance(effect, parts.Forget):
                    self.timers.pop(effect.name, None)
                else:
                    fresh.append(effect)
        self.said += fresh
        return fresh

    def fire(self, name: str) -> list[Any]:
        assert name in self.timers, f"expected the timer {name!r} to run, running: {sorted(self.timers)}"
        return self.tell(TimerFired(name))

    def connect(self, conn: int = 1) -> list[Any]:
        self.tell(parts.NetConnect(conn))
        return self.fire(f"connect {conn}")

    def boot(self, *, safe: bool = False, clean: bool = True) -> None:
        self.tell(
            seen.WentDown("agent", clean), seen.PhaseBegan("firmware"), seen.PhaseBegan("loading"),
            seen.BootBegan("boot-2", safe, "agent"), seen.PhaseBegan("services"), seen.PhaseBegan("welcome"),
        )  # fmt: skip

    def log_on(self) -> list[Any]:
        return self.tell(
            seen.LoggedOn("right", "visible", True), seen.PhaseBegan("shell"), seen.PhaseBegan("desktop")
        )


def links(effects: list[Any]) -> list[tuple[bool, str]]:
    return [
        (e.what.up, e.what.kind)
        for e in effects
        if isinstance(e, parts.Saw) and isinstance(e.what, seen.LinkChanged)
    ]


def downs(effects: list[Any]) -> list[tuple[int, bool, bool]]:
    return [(e.conn, e.tell_agent, e.tell_server) for e in effects if isinstance(e, parts.ConnDown)]


def refusals(effects: list[Any]) -> list[str]:
    return [e.reason for e in effects if isinstance(e, parts.ConnRefused)]


TOLD = parts.TellAgent(NetworkChanged())
FAULTS = [
    act.CablePulled(), act.ConnectionStalls(), act.ServerRefuses(), act.DnsFails(), act.Impostor(), act.LineDead(),
    act.WallClockJumps(by_us=Duration(10**12), back=True),
]  # fmt: skip


def dial(net: Net) -> list[Any]:
    said = net.tell(parts.DialNow())
    while "call" in net.timers:
        said += net.fire("call")
    return said
