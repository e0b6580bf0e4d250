"""A small driver for tests of the modelled PC: feeds inputs, fires timers, collects what was seen and told."""

from __future__ import annotations

from typing import Any

from rrsim.agent import host
from rrsim.backends.sim import parts
from rrsim.backends.sim.pc import PcInput, initial, step
from rrsim.protocol.messages import AgentMode, AgentSettings, Platform
from rrsim.scenario.model import PcSetup


def record(ticket: str = "ticket-1", *, intent: bool = False, order: int = 1) -> host.Saved:
    """A saved record as the agent would write it."""
    return host.Saved(session="session-1", machine="machine-1", order=order, ticket=ticket, boot="boot-1",
                      boot_mode="normal", intent=intent, safe_key=False, settings=AgentSettings())


class Pc:
    """A PC under test. ``effects`` holds the effects of the last input, ``all`` everything so far."""

    def __init__(self, mode: AgentMode = "application", platform: Platform = "windows", **setup: Any) -> None:
        self.state: Any = initial(PcSetup(**setup), mode, platform, "machine-1")
        self.effects: tuple[parts.PcEffect, ...] = ()
        self.all: list[parts.PcEffect] = []

    def give(self, what: PcInput) -> Pc:
        """Deliver one input."""
        self.state, self.effects = step(self.state, what)
        self.all.extend(self.effects)
        return self

    def started(self) -> Pc:
        """Have the customer start support."""
        return self.give(parts.StartSupport("session-1"))

    def fire(self, name: str) -> Pc:
        """Fire one timer that must be running."""
        assert name in self.timers, f"timer {name!r} is not running; running: {self.timers}"
        return self.give(parts.TimerFired(name))

    @property
    def timers(self) -> tuple[str, ...]:
        """Names of the running timers."""
        return tuple(t.name for t in self.state.timers)

    def call(self, what: host.HostRequest, op: int = 1) -> Pc:
        """Make a call to the operating system and let it return; ``effects`` are those of the return."""
        return self.give(parts.HostAsked(op, what)).fire(f"call:{op}")

    def settle(self, *, until: str = "", limit: int = 60, skip: tuple[str, ...] = ()) -> Pc:
        """Fire timers (alphabetically) until phase ``until`` is reached, or none is left."""
        for _ in range(limit):
            names = [n for n in self.timers if n not in skip]
            if (until and self.phase == until) or not names:
                break
            self.fire(names[0])
        assert not until or self.phase == until, f"expected phase {until!r}, the PC is in {self.phase!r}"
        return self

    def restarted(self, forced: bool = False, until: str = "welcome") -> Pc:
        """Have the agent restart Windows and come up to ``until``."""
        return self.call(host.RequestRestart(forced), op=9).settle(until=until)

    def at_desktop(self, how: Any = "right user") -> Pc:
        """Sign in and let the shell come up."""
        return self.give(parts.SignIn(how)).settle(until="desktop")

    @property
    def phase(self) -> Any:
        """The phase the PC is in."""
        return self.state.power.phase

    def seen(self, kind: type | None = None, *, ever: bool = True) -> list[Any]:
        """Observations so far (or of the last input only), optionally of one kind."""
        source = self.all if ever else self.effects
        found = [e.what for e in source if isinstance(e, parts.Saw)]
        return [f for f in found if kind is None or isinstance(f, kind)]

    def told(self, kind: type | None = None, *, ever: bool = True) -> list[Any]:
        """What the agent was told."""
        source = self.all if ever else self.effects
        found = [e.what for e in source if isinstance(e, parts.TellAgent)]
        return [f for f in found if kind is None or isinstance(f, kind)]

    def starts(self) -> list[host.Started]:
        """Every start of the agent's process."""
        return [e.started for e in self.all if isinstance(e, parts.StartAgent)]

    def kills(self) -> list[str]:
        """Why the agent's process was ended, each time."""
        return [e.why for e in self.all if isinstance(e, parts.KillAgent)]
