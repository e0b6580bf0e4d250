"""One move carried out: the deliveries that follow at the same instant, first in, first out, until none is left."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from rrsim.agent import host
from rrsim.backends.sim import parts
from rrsim.explore import ending, monitor, moves
from rrsim.explore import network as net
from rrsim.explore.component import NONE
from rrsim.explore.model import NO_BUDGET
from rrsim.explore.moves import Move
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import CancelTimer, SetTimer
from rrsim.server import vocabulary

if TYPE_CHECKING:
    from rrsim.explore.world import Bounds, State, World

REP: Final = "rep-1"
_CHAIN: Final = 1_000
"""More deliveries than this after one move are a loop without time."""

_QUIET: Final = (host.Note,)
"""Effects of the agent that change nothing outside it."""


class Endless(RuntimeError):
    """One move led to deliveries without end: something answers itself at once, for ever."""


class Turn:
    """The composed state as it is becoming."""

    __slots__ = (
        "_queue", "agent", "bounds", "generation", "log", "machine", "monitor", "out", "server", "timers", "wires",
        "world",
    )  # fmt: skip

    def __init__(self, world: World, state: State, log: list[str] | None) -> None:
        self.world = world
        self.agent, self.server, self.machine, self.wires, self.timers, self.bounds, self.monitor = state
        self.out: list[monitor.Broken | monitor.Reached] = []
        self.log = log
        self.generation = 0
        """Counts agent processes: what was meant for an earlier one is dropped."""
        self._queue: deque[tuple[str, Any, int]] = deque()

    def begin(self, move: Move) -> None:
        """Carry out the move itself."""
        if self.log is not None:
            self.log.append(moves.say(move))
        bounds: Bounds = self.world.bounds.states[self.bounds]
        if move.cost:
            bounds = replace(bounds, budget=bounds.budget.less(move.cost))
        if move.to == "rep" and isinstance(move.what, msg.Confirm):
            bounds = replace(bounds, confirm=0)
        elif move.to == "stage":
            bounds = replace(bounds, budget=NO_BUDGET, confirm=0, stage=move.what)
        self.bounds = self.world.bounds.number(bounds)
        if move.to == "stage":
            if move.what == ending.CLOSING:
                self._later("rep", msg.EndSession())
            else:
                self._later("pc", parts.Probe())
        else:
            if move.to in ("agent", "server"):
                self._clock(move.to, move.what.name, runs=False)
            self._later(move.to, move.what)

    def settle(self) -> State:
        """Deliver everything that is left to deliver now, and return the state after it.

        Raises:
            Endless: it never ends.
        """
        queue, deliver = self._queue, _DELIVER
        for _ in range(_CHAIN):
            if not queue:
                agent = self.world.tidied(self.agent, self.machine) if self.agent != NONE else NONE
                return agent, self.server, self.machine, self.wires, self.timers, self.bounds, self.monitor
            to, what, generation = queue.popleft()
            if to != "agent" or (generation == self.generation and self.agent != NONE):
                deliver[to](self, what)
        raise Endless(f"more than {_CHAIN} deliveries follow from one move; the last ones: {list(queue)[:3]}")

    def _later(self, to: str, what: Any) -> None:
        self._queue.append((to, what, self.generation))

    def _say(self, source: str, what: Any) -> None:
        if self.log is not None:
            self.log.append(f"    {source}: {moves.plain(what)}")

    def _watch(self, event: Any) -> None:
        """Let the monitor hear of it, if it listens to such events."""
        if type(event) in monitor.HEARS:
            self.monitor, said = self.world.monitor.step(self.monitor, event)
            self.out.extend(said)

    def _clock(self, owner: str, name: str, *, runs: bool) -> None:
        """Start or stop a timer of the agent or the server."""
        agent, server = self.world.timers.states[self.timers]
        mine = agent if owner == "agent" else server
        if (name in mine) != runs:
            mine = tuple(sorted((*mine, name))) if runs else tuple(n for n in mine if n != name)
            self.timers = self.world.timers.number((mine, server) if owner == "agent" else (agent, mine))

    # --- the agent ----------------------------------------------------------------------------------------------

    def at_agent(self, event: Any) -> None:
        """Deliver to the agent's core and carry out what follows, in order."""
        self._say("agent hears", event)
        self.agent, effects = self.world.agent.step(self.agent, event)
        for effect in effects:
            kind = type(effect)
            if kind is host.Send:
                self._say("agent sends", effect.message)
                self.on_net(net.AgentSends(effect.message))
            elif kind is host.Request:
                self._later("pc", parts.HostAsked(effect.op, effect.what))
            elif kind is SetTimer:
                if effect.name in moves.AGENT_TIMERS:
                    self._clock("agent", effect.name, runs=True)
            elif kind is CancelTimer:
                self._clock("agent", effect.name, runs=False)
            elif kind is host.Connect:
                self.on_net(net.Open())
            elif kind is host.Disconnect:
                self.on_net(net.Close())
            elif kind is host.Exit:
                self.agent_dies()
                self._later("pc", parts.AgentEnded(effect.reason))
            elif kind not in _QUIET:
                self._later("pc", parts.UiAsked(effect))

    def agent_dies(self) -> None:
        """No process runs any more: its timers are void and its connection breaks."""
        if self.agent != NONE:
            self.agent = NONE
            self.generation += 1
            _, server = self.world.timers.states[self.timers]
            self.timers = self.world.timers.number(((), server))
            self.on_net(net.Close())

    # --- the PC -------------------------------------------------------------------------------------------------

    def at_pc(self, event: Any) -> None:
        """Deliver to the PC and carry out what follows, in order."""
        self.machine, effects = self.world.pc.step(self.machine, event)
        for effect in effects:
            kind = type(effect)
            if kind is parts.Saw:
                self._say("pc", effect.what)
                self._watch(effect.what)
            elif kind is parts.TellAgent:
                self._later("agent", effect.what)
            elif kind is parts.StartAgent:
                self.agent_dies()
                self.agent = self.world.newborn
                self.generation += 1
                self._later("agent", effect.started)
            elif kind is parts.KillAgent:
                self.agent_dies()

    # --- the network --------------------------------------------------------------------------------------------

    def on_net(self, event: Any) -> None:
        """Let the network take something up; what its ends hear of it comes later."""
        self.wires, effects = self.world.net.step(self.wires, event)
        for effect in effects:
            self._later("agent" if type(effect) is net.AgentHears else "server", effect.what)

    # --- the session server and the representative ----------------------------------------------------------------

    def at_server(self, event: Any) -> None:
        """Deliver to the session's core and carry out what follows, in order."""
        if type(event) is vocabulary.AgentSaid and net.needs_fresh(event.message):
            event = replace(event, fresh=self._ticket())
        self._say("server hears", event)
        self.server, effects = self.world.server.step(self.server, event)
        for effect in effects:
            kind = type(effect)
            if kind is vocabulary.Write:
                self._say("server", effect.record)
                self._watch(effect.record)
            elif kind is vocabulary.ToAgent:
                self.on_net(net.ServerSends(effect.conn, effect.message))
            elif kind is vocabulary.HangUp:
                self.on_net(net.ServerCloses(effect.conn))
            elif kind is SetTimer:
                if effect.name in moves.SERVER_TIMERS:
                    self._clock("server", effect.name, runs=True)
            elif kind is CancelTimer:
                self._clock("server", effect.name, runs=False)
            else:
                self._at_console(effect.message)

    def _ticket(self) -> str:
        """The string a ticket is made from depends on its restart only, so that equal situations are equal states."""
        return f"ticket-{self.world.server.states[self.server].durable.restart.number}"

    def _at_console(self, message: Any) -> None:
        """The representative sees a question, or that what it was about is no longer to be decided."""
        bounds: Bounds = self.world.bounds.states[self.bounds]
        if isinstance(message, msg.ConfirmRestart) and bounds.stage == ending.FAULTS:
            self.bounds = self.world.bounds.number(replace(bounds, confirm=message.order))
        elif isinstance(message, msg.RestartView) and bounds.confirm == message.order:
            self.bounds = self.world.bounds.number(replace(bounds, confirm=0))

    def from_rep(self, message: Any) -> None:
        """The representative says something."""
        self._watch(message)
        self.at_server(vocabulary.RepSaid(REP, message, self._ticket()))


_DELIVER: Final = {
    "agent": Turn.at_agent, "pc": Turn.at_pc, "net": Turn.on_net, "server": Turn.at_server, "rep": Turn.from_rep,
}  # fmt: skip
