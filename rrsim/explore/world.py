"""The composed state, and what one move makes of it.

A composed state is one number (:mod:`rrsim.explore.packing`) of small numbers: for each customer the client (agent and
PC), the session core, the network, and the monitor; and once the bounds (budget, what the representative is being
asked, stage). A move is one due event or one fault; every delivery without a duration that follows from it runs to its
end, as in the simulator's world (:mod:`rrsim.explore.turn`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from rrsim.agent import core as agent_core
from rrsim.agent.host import Saved
from rrsim.backends.sim import parts, pc
from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.backends.sim.stranger import NEW_BOOT, STRANGE_MACHINE
from rrsim.explore import ending, monitor, moves
from rrsim.explore import network as net
from rrsim.explore.component import NONE, Component, Table
from rrsim.explore.model import NO_BUDGET, Budget, Model, check
from rrsim.explore.moves import Move
from rrsim.explore.packing import BITS, CLIENT, FIELD, NET, ROLES, SESSION, WATCH, pack, unpack
from rrsim.explore.turn import THIEF, Client, ClientTurn, Out, Say, Session, at_session
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired
from rrsim.scenario.model import PcSetup
from rrsim.server import core as server_core
from rrsim.server import vocabulary

_PLAIN_PC: Final = PcSetup()


class Bounds(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What may still be added, and how far the search of this behaviour has come."""

    budget: Budget
    confirm: tuple[int, ...] = (0,)
    """For each session the restart that the representative is being asked to confirm, or 0."""
    stage: int = ending.FAULTS
    stolen: Saved | None = None
    """What a second machine has copied and not presented yet."""


class World:
    """All parts of one model, their tables, and the moves between composed states."""

    def __init__(self, model: Model, steps: Parts = REAL) -> None:
        """Set the scene: the sessions are active, and shared if the model says so. See :attr:`start`.

        Raises:
            ModelError: the model checks nothing or explores nothing.
        """
        check(model)
        self.model = model
        sides = range(model.customers)
        self.sides = sides
        self.fields = ROLES * model.customers + 1
        """How many parts there are; the last one is the bounds."""
        self.sessions = tuple(f"session-{side + 1}" for side in sides)
        self.agent = Component(steps.agent)
        self.server = Component(steps.server)
        self.pc = Component(steps.pc)
        self.nets = tuple(
            Component(net.Network(session, self.sessions, model.queue, side * net.CONNS).step)
            for side, session in enumerate(self.sessions)
        )
        self.monitor = Component(monitor.watch(model))
        self.client = Table()
        self.session = Table()
        self.bounds = Table()
        self.newborn = self.agent.number(agent_core.initial())
        machines = [pc.initial(_PLAIN_PC, model.mode, model.platform, f"machine-{side + 1}") for side in sides]
        self.before = tuple(pc.items(machine) for machine in machines)
        self.start = self._set_the_scene(machines)

    def tables(self) -> dict[str, Table]:
        """Return the tables of all parts by name, in a fixed order."""
        nets = {f"network {side + 1}" if side else "network": table for side, table in enumerate(self.nets)}
        return {
            "agent": self.agent, "pc": self.pc, "client": self.client, "server": self.server, "session": self.session,
            **nets, "bounds": self.bounds, "monitor": self.monitor,
        }  # fmt: skip

    def sizes(self) -> dict[str, int]:
        """Return how many distinct states each part has shown."""
        return {name: len(table) for name, table in self.tables().items()}

    def part(self, state: int, side: int, role: int) -> int:
        """Return the number of one part in a composed state."""
        return state >> BITS * (side * ROLES + role) & FIELD

    def here(self, state: int) -> Bounds:
        """Return the bounds of a composed state."""
        found: Bounds = self.bounds.states[state >> BITS * (self.fields - 1)]
        return found

    def over(self, session: int) -> bool:
        """Whether the session with this number is over."""
        return bool(self.server.states[self.session.states[session].core].over)

    # --- what may happen ----------------------------------------------------------------------------------------

    def next_stage(self, state: int) -> Move | None:
        """Return what the harness does when nothing is due: stop the faults and end what still lives, restart the PCs,
        then nothing. An agent that was kept from tidying up has its time to do so before the PC restarts."""
        stage = self.here(state).stage
        if stage == ending.PROBED:
            return None
        over = all(self.over(self.part(state, side, SESSION)) for side in self.sides)
        done = over and not any(ending.held(self._pc_of(self.part(state, side, CLIENT))) for side in self.sides)
        return Move("stage", ending.PROBED if done or stage == ending.CLOSING else ending.CLOSING)

    def due_on_net(self, side: int, wires: int) -> tuple[Move, ...]:
        """Return what is due on a customer's network."""
        return _of(side, moves.due_on_net(self.nets[side].states[wires]))

    def due_at_client(self, side: int, client: int) -> tuple[Move, ...]:
        """Return what is due at a customer's PC, and the agent's timers."""
        here: Client = self.client.states[client]
        at_pc = moves.due_at_pc(self.pc.states[here.machine])
        found = tuple(move for move in at_pc if self._possible(here.machine, move))
        return _of(side, found + moves.due_timers_of_agent(here.timers, self.pc.states[here.machine]))

    def due_at_session(self, side: int, session: int, client: int) -> tuple[Move, ...]:
        """Return the session's timers that may fire."""
        timers = self.session.states[session].timers
        return _of(side, moves.due_timers_of_server(timers, self.client.states[client].timers))

    def dial(self, side: int, wires: int, client: int) -> tuple[Move, ...]:
        """Return the customer's dialling, if the line is down and somebody is there."""
        if not self.model.dial_up or self.nets[side].states[wires].line:
            return ()
        return _of(side, moves.dial_at_pc(self.pc.states[self.client.states[client].machine]))

    def confirms(self, bounds: int) -> tuple[Move, ...]:
        """Return the representative's answers to the open questions."""
        here: Bounds = self.bounds.states[bounds]
        return tuple(
            Move("rep", msg.Confirm(order, answer), side=side)
            for side, order in enumerate(here.confirm) if order for answer in _ANSWERS
        )

    def asks(self, side: int, bounds: int, over: bool) -> tuple[Move, ...]:
        """Return what the representative may ask for, and what a second machine may do with what it has copied."""
        here: Bounds = self.bounds.states[bounds]
        if here.stage != ending.FAULTS:
            return ()
        modes = self.model.boot_modes if here.budget.asks and not over else ()
        found = [Move("rep", msg.AskRestart("chat window", mode), "asks") for mode in modes]
        if here.stolen is not None and here.stolen.session == self.sessions[side]:
            found += [Move("thief", moves.Presents(pretends)) for pretends in (False, True)]
        return _of(side, tuple(found))

    def faults_on_net(self, side: int, bounds: int, wires: int) -> tuple[Move, ...]:
        """Return the misfortunes on a customer's network that the budget allows."""
        state = self.nets[side].states[wires]
        found = moves.faults_on_net(state)
        if self.model.dial_up:
            found = (*(move for move in found if move.cost != "losses"), *moves.faults_of_line(state))
        return _of(side, self._afforded(bounds, found))

    def faults_at_client(self, side: int, bounds: int, client: int) -> tuple[Move, ...]:
        """Return what people and misfortune may do to a customer's PC, as far as the budget allows."""
        machine = self.client.states[client].machine
        state: pc.PcState = self.pc.states[machine]
        afforded = self._afforded(bounds, moves.faults_at_pc(state, self.model.denied))
        found = [move for move in afforded if self._possible(machine, move)]
        here: Bounds = self.bounds.states[bounds]
        if here.stolen is None:
            thefts = [Move("thief", moves.JoinsToo(), "strangers")]
            if state.disk.record is not None and state.disk.record.ticket:
                thefts.append(Move("thief", moves.Copies(), "strangers"))
            found += self._afforded(bounds, tuple(thefts))
        return _of(side, tuple(found))

    def _afforded(self, bounds: int, found: tuple[Move, ...]) -> tuple[Move, ...]:
        here: Bounds = self.bounds.states[bounds]
        if here.stage != ending.FAULTS:
            return ()
        return tuple(move for move in found if getattr(here.budget, move.cost))

    def _possible(self, machine: int, move: Move) -> bool:
        """Whether the PC can do this now: people cannot press what is not there. A timer always can fire."""
        if isinstance(move.what, TimerFired):
            return True
        try:
            self.pc.step(machine, move.what)
        except pc.NotPossible:
            return False
        return True

    def wrong_when_quiet(self, state: int) -> list[monitor.Broken]:
        """Return what is wrong with a state in which nothing is due."""
        stage = self.here(state).stage
        found: list[monitor.Broken] = []
        for side in self.sides:
            client: Client = self.client.states[self.part(state, side, CLIENT)]
            session: Session = self.session.states[self.part(state, side, SESSION)]
            found += ending.quiet(
                stage, self.agent.states[client.agent], self.server.states[session.core],
                self.pc.states[client.machine], self.monitor.states[self.part(state, side, WATCH)], self.before[side],
            )  # fmt: skip
        return [broken for broken in found if broken.invariant in self.model.invariants]

    # --- what it leads to ---------------------------------------------------------------------------------------

    def paid(self, bounds: int, move: Move) -> int:
        """Return the bounds after a move has taken from them what it takes itself."""
        here: Bounds = self.bounds.states[bounds]
        if move.cost:
            here = replace(here, budget=here.budget.less(move.cost))
        if isinstance(move.what, msg.Confirm):
            here = replace(here, confirm=(*here.confirm[: move.side], 0, *here.confirm[move.side + 1:]))
        elif isinstance(move.what, moves.Presents):
            here = replace(here, stolen=None)
        return self.bounds.number(here)

    def in_stage(self, bounds: int, stage: int) -> int:
        """Return the bounds of a stage: nothing is added any more, and nobody is asked anything."""
        here: Bounds = self.bounds.states[bounds]
        return self.bounds.number(Bounds(NO_BUDGET, (0,) * len(here.confirm), stage))

    def copied(self, bounds: int, client: int) -> int:
        """Return the bounds after a second machine has copied what is saved on a PC."""
        record = self.pc.states[self.client.states[client].machine].disk.record
        return self.bounds.number(replace(self.bounds.states[bounds], stolen=record))

    def shown(self, bounds: int, side: int, messages: tuple[Any, ...]) -> int:
        """Return the bounds after the representative has seen a question, or that one is no longer to be decided."""
        here: Bounds = self.bounds.states[bounds]
        for message in messages:
            asks = isinstance(message, msg.ConfirmRestart) and here.stage == ending.FAULTS
            if asks or (isinstance(message, msg.RestartView) and here.confirm[side] == message.order):
                order = message.order if asks else 0
                here = replace(here, confirm=(*here.confirm[:side], order, *here.confirm[side + 1:]))
        return self.bounds.number(here)

    def claims(self, side: int, bounds: int, what: moves.Presents | moves.JoinsToo) -> vocabulary.Claimed:
        """Return a second machine's claim: its whole conversation is this and the answer."""
        session, machine = self.sessions[side], STRANGE_MACHINE
        claim: msg.Resume | msg.Join = msg.Join(session, NEW_BOOT, "somebody")
        if isinstance(what, moves.Presents):
            stolen = self.bounds.states[bounds].stolen
            boot = stolen.boot if what.pretends else NEW_BOOT
            machine = stolen.machine if what.pretends else machine
            claim = msg.Resume(
                session, stolen.ticket, boot, safe_mode=False, elevated=False, user="somebody", desktop="visible"
            )
        return vocabulary.Claimed(THIEF, machine, "windows", self.model.mode, claim, "second machine")

    def at_client(self, client: int, to: moves.To, what: Any, say: Say | None = None) -> tuple[int, Out]:
        """Return the client after an input to its agent or PC, and what the listeners are told.

        Raises:
            AgentError: the agent refuses an input.
        """
        before: Client = self.client.states[client]
        told = {"say": say} if say else {}
        turn = ClientTurn(self.agent, self.pc, self.newborn, before, dial_up=self.model.dial_up, **told)
        after, out = turn.take(to, what)
        return self.client.number(after), out

    def at_session(self, session: int, event: Any, say: Say | None = None) -> tuple[int, Out]:
        """Return the session after an input, and what the listeners are told.

        Raises:
            SessionError: the core refuses the input.
        """
        before: Session = self.session.states[session]
        after, out = at_session(self.server, before, event, say) if say else at_session(self.server, before, event)
        return self.session.number(after), out

    def healed(self, client: int) -> int:
        """Return the client after what hinders its clean-up was taken back: faults stop before anything is judged."""
        state = self._pc_of(client)
        if not ending.held(state):
            return client
        here: Client = self.client.states[client]
        return self.client.number(here._replace(machine=self.pc.number(pc.heal(state))))

    def _pc_of(self, client: int) -> pc.PcState:
        state: pc.PcState = self.pc.states[self.client.states[client].machine]
        return state

    def fire(self, state: int, move: Move, log: list[str] | None = None) -> tuple[int, list[Any]]:
        """Return the state after a move, worked out part by part, and what the monitor said about it.

        With ``log``, everything that happens is appended to it as readable lines.

        Raises:
            AgentError: the agent refuses an input.
            SessionError: the session core, or the front desk, refuses one.
        """
        from rrsim.explore.slowly import Firing

        return Firing(self, unpack(state, self.fields), log).carry_out(move)

    def _set_the_scene(self, machines: list[pc.PcState]) -> int:
        """Open the sessions, join them, share the screens: all that is due happens, in the order it became due."""
        numbers: list[int] = []
        for side, machine in enumerate(machines):
            opened = vocabulary.Opened(self.sessions[side], "standard", self.model.account)
            core, _ = self.server.step(self.server.number(server_core.initial()), opened)
            numbers += (
                self.client.number(Client(NONE, self.pc.number(machine), ())), self.session.number(Session(core, ())),
                self.nets[side].number(net.Net()), self.monitor.number(monitor.Watch()),
            )  # fmt: skip
        state = pack([*numbers, self.bounds.number(Bounds(self.model.budget, (0,) * len(machines)))])
        for side, session in enumerate(self.sessions):
            script: list[Move] = [Move("rep", msg.Take()), Move("pc", parts.StartSupport(session))]
            if self.model.sharing:
                script.append(Move("rep", msg.RequestSharing(True)))
            script.append(Move("rep", msg.RepChat("hello")))
            for move in _of(side, tuple(script)):
                state, _ = self.fire(state, move)
                while due := self._due(state):
                    state, _ = self.fire(state, due[0])
        return state

    def _due(self, state: int) -> list[Move]:
        found: list[Move] = []
        for side in self.sides:
            client, session, wires = (self.part(state, side, role) for role in (CLIENT, SESSION, NET))
            found += self.due_on_net(side, wires) + self.due_at_client(side, client)
            found += self.due_at_session(side, session, client)
        return found


def _of(side: int, found: tuple[Move, ...]) -> tuple[Move, ...]:
    return tuple(move._replace(side=side) for move in found) if side else found


_ANSWERS: Final[tuple[msg.Answer, msg.Answer]] = ("yes", "no")
