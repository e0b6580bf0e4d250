"""One turn of the PC: the state as it changes during one step, and the effects gathered on the way.

A step is a pure function; inside it the functions of this package share one :class:`Turn`. An error leaves the caller's
state untouched, since only the turn was changed.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rrsim.agent.host import Input
from rrsim.backends.sim.parts import After, Forget, PcEffect, Saw, TellAgent
from rrsim.backends.sim.pc.inventory import exposed
from rrsim.backends.sim.pc.state import PcState, Timer
from rrsim.machine.observations import AnyObservation, Phase, PhaseBegan, SecretSeen


class Turn:
    """The state being worked on, and the effects so far."""

    __slots__ = ("effects", "state")

    def __init__(self, state: PcState) -> None:
        self.state = state
        self.effects: list[PcEffect] = []

    def set(self, **changes: Any) -> None:
        """Change fields of the whole state."""
        self.state = replace(self.state, **changes)

    def disk(self, **changes: Any) -> None:
        """Change what is on disk. A ticket that can be read where it must not be is seen at once (SE-03, SE-04)."""
        before = exposed(self.state.disk)
        self.state = replace(self.state, disk=replace(self.state.disk, **changes))
        for where in exposed(self.state.disk):
            if where not in before:
                self.saw(SecretSeen(where))

    def power(self, **changes: Any) -> None:
        """Change the machine's life."""
        self.state = replace(self.state, power=replace(self.state.power, **changes))

    def session(self, **changes: Any) -> None:
        """Change who is signed in."""
        self.state = replace(self.state, session=replace(self.state.session, **changes))

    def process(self, **changes: Any) -> None:
        """Change the agent's process."""
        self.state = replace(self.state, process=replace(self.state.process, **changes))

    def faults(self, **changes: Any) -> None:
        """Change what somebody did to the PC."""
        self.state = replace(self.state, faults=replace(self.state.faults, **changes))

    def setup(self, **changes: Any) -> None:
        """Change what kind of PC this is: something that happens once has happened."""
        self.state = replace(self.state, setup=replace(self.state.setup, **changes))

    def do(self, effect: PcEffect) -> None:
        """Add an effect."""
        self.effects.append(effect)

    def saw(self, what: AnyObservation) -> None:
        """Put an observation into the history."""
        self.effects.append(Saw(what))

    def tell(self, what: Input) -> None:
        """Deliver an input to the agent, if its process runs."""
        if self.state.process.running:
            self.effects.append(TellAgent(what))

    def phase(self, phase: Phase) -> None:
        """Enter a phase and say so."""
        self.power(phase=phase)
        self.saw(PhaseBegan(phase))

    def after(self, name: str, draw: str, us: int = -1) -> None:
        """Set a timer, replacing one of the same name."""
        kept = tuple(t for t in self.state.timers if t.name != name)
        added = (*kept, Timer(name, draw, us))
        self.set(timers=tuple(sorted(added, key=lambda t: t.name)))
        self.do(After(name, draw, us))

    def forget(self, *names: str) -> None:
        """Cancel timers that run; others are ignored."""
        gone = [t for t in self.state.timers if t.name in names]
        if gone:
            self.set(timers=tuple(t for t in self.state.timers if t.name not in names))
            for timer in gone:
                self.do(Forget(timer.name))

    def forget_all(self, keep: tuple[str, ...] = ()) -> None:
        """Cancel every running timer but those in ``keep``."""
        self.forget(*(t.name for t in self.state.timers if t.name not in keep))

    def freeze(self) -> None:
        """Stop every timer of Windows until :meth:`thaw`; the electricity's own timer goes on."""
        stopping = tuple(t for t in self.state.timers if t.name != "mains")
        self.forget(*(t.name for t in stopping))
        self.set(frozen=stopping)

    def hold(self, timer: Timer) -> None:
        """Keep a timer that fired at a wrong moment until :meth:`thaw`."""
        kept = (*(t for t in self.state.frozen if t.name != timer.name), timer)
        self.set(frozen=tuple(sorted(kept, key=lambda t: t.name)))

    def thaw(self) -> None:
        """Set the timers again that :meth:`freeze` or :meth:`hold` stopped. Each runs its whole
        duration anew: the state holds no instants, so what had passed before is not known."""
        stopped = self.state.frozen
        self.set(frozen=())
        for timer in stopped:
            self.after(timer.name, timer.draw, timer.us)
