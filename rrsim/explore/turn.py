"""One move carried out on one side: what follows at the same instant, first in, first out, until nothing is left.

A move reaches either the customer's side (PC and agent answer each other) or the session core. What they send, write
and show on the way is handed to network, monitor and bounds afterwards: those only listen, so nothing that follows from
a move at the same instant depends on them. That is what keeps the number of different turns small.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from rrsim.agent import core as agent_core
from rrsim.agent import host
from rrsim.backends.sim import parts, pc
from rrsim.explore import monitor, moves
from rrsim.explore import network as net
from rrsim.explore.component import NONE, Component
from rrsim.machine import observations as seen
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired
from rrsim.server import vocabulary

REP: Final = "rep-1"
THIEF: Final = 15
"""Number of the second machine's connection: more than an agent ever has at a time."""
_CHAIN: Final = 1_000
"""More deliveries than this after one move are a loop without time."""
_CONSOLE: Final = (msg.ConfirmRestart, msg.RestartView)
"""What the representative acts upon."""

Say = Callable[[str, Any], None]
"""Told who does what, for the lines of a trace."""


class Endless(RuntimeError):
    """One move led to deliveries without end: something answers itself at once, for ever."""


class Client(NamedTuple):
    """The customer's side: numbers of agent (0: no process runs) and PC, and the agent's timers that run."""

    agent: int
    machine: int
    timers: tuple[str, ...]


class Session(NamedTuple):
    """The session: number of the core's state, and its timers that run."""

    core: int
    timers: tuple[str, ...]


class Out(NamedTuple):
    """What the parts that only listen are told, each in order."""

    net: tuple[Any, ...]
    watch: tuple[Any, ...]
    console: tuple[Any, ...]


def _silent(_: str, __: Any) -> None:
    """No trace is wanted."""


class ClientTurn:
    """The customer's side as it is becoming."""

    __slots__ = ("_agents", "_clock", "_dial_up", "_generation", "_net", "_pcs", "_queue", "_say", "_watch", "agent",
                 "machine", "newborn")  # fmt: skip

    def __init__(
        self, agents: Component, pcs: Component, newborn: int, before: Client, *, dial_up: bool, say: Say = _silent
    ) -> None:
        self._agents, self._pcs, self.newborn = agents, pcs, newborn
        self.agent, self.machine = before.agent, before.machine
        self._clock = before.timers
        self._dial_up = dial_up
        self._say = say
        self._generation = 0
        """Counts agent processes: what was meant for an earlier one is dropped."""
        self._queue: deque[tuple[bool, Any, int]] = deque()
        self._net: list[Any] = []
        self._watch: list[Any] = []

    def take(self, to: moves.To, what: Any) -> tuple[Client, Out]:
        """Deliver an input to the agent or the PC, and all that follows.

        Raises:
            AgentError: the agent refuses an input.
            NotPossible: the PC cannot do this.
            Endless: it never ends.
        """
        if to == "agent" and isinstance(what, TimerFired):
            self._timer(what.name, runs=False)
        self._later(what, at_agent=to == "agent")
        for _ in range(_CHAIN):
            if not self._queue:
                break
            at_agent, event, generation = self._queue.popleft()
            if not at_agent:
                self._at_pc(event)
            elif generation == self._generation and self.agent != NONE:
                self._at_agent(event)
        else:
            raise Endless(f"more than {_CHAIN} deliveries follow from {moves.plain(what)}")
        if self.agent != NONE:
            self.agent = self._agents.number(tidy(self._agents.states[self.agent], self._pcs.states[self.machine]))
        return Client(self.agent, self.machine, self._clock), Out(tuple(self._net), tuple(self._watch), ())

    def _later(self, what: Any, *, at_agent: bool) -> None:
        self._queue.append((at_agent, what, self._generation))

    def _timer(self, name: str, *, runs: bool) -> None:
        if (name in self._clock) != runs and name in moves.AGENT_TIMERS:
            kept = tuple(other for other in self._clock if other != name)
            self._clock = tuple(sorted((*kept, name))) if runs else kept

    def _at_agent(self, event: Any) -> None:
        self._say("agent hears", event)
        self.agent, effects = self._agents.step(self.agent, event)
        for effect in effects:
            kind = type(effect)
            if kind is host.Send:
                self._say("agent sends", effect.message)
                self._net.append(net.AgentSends(effect.message))
            elif kind is host.Request:
                self._later(parts.HostAsked(effect.op, effect.what), at_agent=False)
            elif kind is SetTimer or kind is CancelTimer:
                self._timer(effect.name, runs=kind is SetTimer)
            elif kind is host.Connect:
                self._net.append(net.Open())
            elif kind is host.Disconnect:
                self._net.append(net.Close())
            elif kind is host.Exit:
                self._agent_dies()
                self._later(parts.AgentEnded(effect.reason), at_agent=False)
            elif kind is not host.Note:
                self._later(parts.UiAsked(effect), at_agent=False)

    def _agent_dies(self) -> None:
        """No process runs any more: its timers are void and its connection breaks."""
        if self.agent != NONE:
            self.agent = NONE
            self._generation += 1
            self._clock = ()
            self._net.append(net.Close())

    def _at_pc(self, event: Any) -> None:
        self.machine, effects = self._pcs.step(self.machine, event)
        for effect in effects:
            kind = type(effect)
            if kind is parts.Saw:
                self._say("pc", effect.what)
                if monitor.hears(effect.what):
                    self._watch.append(effect.what)
                if self._dial_up and type(effect.what) is seen.WentDown:
                    self._net.append(net.LineDown())
            elif kind is parts.TellAgent:
                self._later(effect.what, at_agent=True)
            elif kind is parts.StartAgent:
                self._agent_dies()
                self.agent = self.newborn
                self._generation += 1
                self._later(effect.started, at_agent=True)
            elif kind is parts.KillAgent:
                self._agent_dies()


def tidy(mind: agent_core.AgentState, body: pc.PcState) -> agent_core.AgentState:
    """Return an agent with its counters set back where nothing refers to them: equal situations are equal states,
    however many requests and windows there were before.

    How often a connection has failed decides the wait until the next try only, and time is erased: more than one
    failure in a row is one.
    """
    if mind.hands.op and not mind.hands.doing and not body.calls:
        mind = replace(mind, hands=replace(mind.hands, op=0))
    asked = any(question.prompt for question in mind.questions) or any(w.prompt for w in body.screen.windows)
    if mind.prompt and not asked:
        mind = replace(mind, prompt=0)
    if mind.link.attempts > 1:
        mind = replace(mind, link=replace(mind.link, attempts=1))
    return mind


def at_session(cores: Component, before: Session, event: Any, say: Say = _silent) -> tuple[Session, Out]:
    """Deliver one input to a session's core: what it hears, a timer of its own, or what the representative says.

    Raises:
        SessionError: the core refuses the input.
    """
    fresh = f"ticket-{cores.states[before.core].durable.restart.number}"
    # A ticket is made from its restart's number only, so that equal situations are equal states.
    clock, watch = before.timers, list[Any]()
    if isinstance(event, moves.RepSays):
        if monitor.hears(event.message):
            watch.append(event.message)
        event = vocabulary.RepSaid(REP, event.message, fresh)
    elif isinstance(event, vocabulary.AgentSaid) and net.needs_fresh(event.message):
        event = replace(event, fresh=fresh)
    elif isinstance(event, TimerFired):
        clock = tuple(name for name in clock if name != event.name)
    say("server hears", event)
    core, effects = cores.step(before.core, event)
    wires, console = list[Any](), list[Any]()
    for effect in effects:
        kind = type(effect)
        if kind is vocabulary.Write:
            say("server", effect.record)
            if monitor.hears(effect.record):
                watch.append(effect.record)
        elif kind is vocabulary.ToAgent and effect.conn == THIEF:
            watch.append(monitor.ThiefHears(effect.message))
        elif kind is vocabulary.ToAgent:
            wires.append(net.ServerSends(effect.conn, effect.message))
        elif kind is vocabulary.HangUp:
            if effect.conn != THIEF:
                wires.append(net.ServerCloses(effect.conn))
        elif kind is SetTimer or kind is CancelTimer:
            kept = tuple(name for name in clock if name != effect.name)
            wanted = kind is SetTimer and effect.name in moves.SERVER_TIMERS
            clock = tuple(sorted((*kept, effect.name))) if wanted else kept
        elif type(effect.message) in _CONSOLE:
            console.append(effect.message)
    return Session(core, clock), Out(tuple(wires), tuple(watch), tuple(console))
