"""The composed state, and what one move makes of it.

A composed state is a tuple of small numbers, one for each part (:mod:`rrsim.explore.component`): the agent (0: no
process runs), the session server, the PC, the network, the timers that run in both cores, the bounds (budget, what the
representative is being asked, stage), and the monitor. A move is one due event or one fault; every delivery without a
duration that follows from it runs to its end, first in, first out, as in the simulator's world.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from rrsim.agent import core as agent_core
from rrsim.backends.sim import parts, pc
from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.explore import ending, monitor, moves
from rrsim.explore import network as net
from rrsim.explore.component import NONE, Component, Table
from rrsim.explore.model import Budget, Model, check
from rrsim.explore.moves import Move
from rrsim.explore.turn import Turn
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired
from rrsim.scenario.model import PcSetup
from rrsim.server import core as server_core
from rrsim.server import vocabulary

State = tuple[int, int, int, int, int, int, int]
"""Agent, server, PC, network, timers, bounds, monitor."""

SESSION: Final = "session-1"
_PLAIN_PC: Final = PcSetup()

class Bounds(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What may still be added, and how far the search of this behaviour has come."""

    budget: Budget
    confirm: int = 0
    """The restart that the representative is being asked to confirm, or 0."""
    stage: int = ending.FAULTS


class World:
    """All parts of one model, their tables, and the moves between composed states."""

    def __init__(self, model: Model, steps: Parts = REAL) -> None:
        """Set the scene: the session is active, and shared if the model says so. See :attr:`start`.

        Raises:
            ModelError: the model checks nothing or explores nothing.
        """
        check(model)
        self.model = model
        self.agent = Component(steps.agent)
        self.server = Component(steps.server)
        self.pc = Component(steps.pc)
        self.net = Component(net.Network(SESSION, model.queue).step)
        self.monitor = Component(monitor.watch(model))
        self.timers = Table()
        self.bounds = Table()
        self.newborn = self.agent.number(agent_core.initial())
        self._due_pc: dict[int, tuple[Move, ...]] = {}
        self._faults_pc: dict[int, tuple[Move, ...]] = {}
        self._due_net: dict[int, tuple[Move, ...]] = {}
        self._faults_net: dict[int, tuple[Move, ...]] = {}
        self._due_timers: dict[int, tuple[Move, ...]] = {}
        self._tidy: dict[tuple[int, int], int] = {}
        machine = pc.initial(_PLAIN_PC, model.mode, model.platform, "machine-1")
        self.before = pc.items(machine)
        self.start = self._set_the_scene(machine)

    def sizes(self) -> dict[str, int]:
        """Return how many distinct states each part has shown."""
        return {
            "agent": len(self.agent), "server": len(self.server), "pc": len(self.pc), "network": len(self.net),
            "timers": len(self.timers), "bounds": len(self.bounds), "monitor": len(self.monitor),
        }  # fmt: skip

    # --- what may happen ----------------------------------------------------------------------------------------

    def moves(self, state: State) -> list[Move]:
        """Return everything that may happen next, always in the same order; empty at the very end."""
        due = self.due(state)
        return due + self.more(state, quiet=not due)

    def more(self, state: State, *, quiet: bool) -> list[Move]:
        """Return what may happen beside the due events. ``quiet``: nothing is due, so the next stage may begin."""
        _, server, machine, wires, _, bounds, _ = state
        found: list[Move] = []
        here: Bounds = self.bounds.states[bounds]
        over = self.server.states[server].over
        if quiet and here.stage != ending.PROBED:
            to = ending.PROBED if over or here.stage == ending.CLOSING else ending.CLOSING
            found.append(Move("stage", to))
        if here.stage == ending.FAULTS and not here.budget.empty:
            budget = here.budget
            if budget.asks and not over:
                found += [Move("rep", msg.AskRestart("chat window", mode), "asks") for mode in self.model.boot_modes]
            faults = _cached(self._faults_net, wires, self.net, moves.faults_on_net)
            if machine not in self._faults_pc:
                possible = (m for m in moves.faults_at_pc(self.pc.states[machine]) if self._possible(machine, m))
                self._faults_pc[machine] = tuple(possible)
            found += [m for m in faults + self._faults_pc[machine] if getattr(budget, m.cost)]
        return found

    def due(self, state: State) -> list[Move]:
        """Return what must happen sooner or later: one of these comes next, unless something optional does."""
        _, _, machine, wires, timers, bounds, _ = state
        found = list(_cached(self._due_net, wires, self.net, moves.due_on_net))
        if machine not in self._due_pc:
            timers_and_people = moves.due_at_pc(self.pc.states[machine])
            self._due_pc[machine] = tuple(m for m in timers_and_people if self._possible(machine, m))
        found += self._due_pc[machine]
        if timers not in self._due_timers:
            self._due_timers[timers] = moves.due_timers(*self.timers.states[timers])
        found += self._due_timers[timers]
        order = self.bounds.states[bounds].confirm
        if order:
            found += [Move("rep", msg.Confirm(order, "yes")), Move("rep", msg.Confirm(order, "no"))]
        return found

    def _possible(self, machine: int, move: Move) -> bool:
        """Whether the PC can do this now: people cannot press what is not there. A timer always can fire."""
        if isinstance(move.what, TimerFired):
            return True
        try:
            self.pc.step(machine, move.what)
        except pc.NotPossible:
            return False
        return True

    def wrong_when_quiet(self, state: State) -> list[monitor.Broken]:
        """Return what is wrong with a state in which nothing is due."""
        agent, server, machine, _, _, bounds, _ = state
        found = ending.quiet(
            self.bounds.states[bounds].stage, self.agent.states[agent], self.server.states[server],
            self.pc.states[machine], self.before,
        )  # fmt: skip
        return [broken for broken in found if broken.invariant in self.model.invariants]

    # --- what it leads to ---------------------------------------------------------------------------------------

    def fire(self, state: State, move: Move, log: list[str] | None = None) -> tuple[State, list[Any]]:
        """Return the state after a move, and what the monitor said: what is broken, and what was reached.

        With ``log``, everything that happens is appended to it as readable lines.
        """
        turn = Turn(self, state, log)
        turn.begin(move)
        return turn.settle(), turn.out

    def tidied(self, agent: int, machine: int) -> int:
        """Return the agent's number with its counters set back where nothing refers to them: equal situations are
        equal states, however many requests and windows there were before."""
        found = self._tidy.get((agent, machine))
        if found is None:
            mind, body = self.agent.states[agent], self.pc.states[machine]
            if not mind.hands.doing and not body.calls and mind.hands.op:
                mind = replace(mind, hands=replace(mind.hands, op=0))
            if mind.prompt and not any(q.prompt for q in mind.questions) and not any(
                w.prompt for w in body.screen.windows
            ):
                mind = replace(mind, prompt=0)
            found = self._tidy[agent, machine] = self.agent.number(mind)
        return found

    def _set_the_scene(self, machine: pc.PcState) -> State:
        """Open the session, join it, share the screen: everything due happens, in the order it became due."""
        opened = vocabulary.Opened(SESSION, "standard", self.model.account)
        server, _ = self.server.step(self.server.number(server_core.initial()), opened)
        state: State = (
            NONE, server, self.pc.number(machine), self.net.number(net.Net()), self.timers.number(((), ())),
            self.bounds.number(Bounds(self.model.budget)), self.monitor.number(monitor.Watch()),
        )  # fmt: skip
        script: list[Move] = [Move("rep", msg.Take()), Move("pc", parts.StartSupport(SESSION))]
        if self.model.sharing:
            script.append(Move("rep", msg.RequestSharing(True)))
        script.append(Move("rep", msg.RepChat("hello")))
        for move in script:
            state, _ = self.fire(state, move)
            while due := self.due(state):
                state, _ = self.fire(state, due[0])
        return state


def _cached(known: dict[int, tuple[Move, ...]], number: int, part: Table, find: Any) -> tuple[Move, ...]:
    found = known.get(number)
    if found is None:
        found = known[number] = find(part.states[number])
    return found
