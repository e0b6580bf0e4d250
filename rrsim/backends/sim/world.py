"""The simulated world: it owns time, randomness, routing and the history, and decides nothing.

Every part (agent core, server core, PC, network, people, director) is a pure step function. The world delivers
inputs, carries out effects in list order, turns named draws into microseconds, and writes everything down.
Deliveries between parts always go through the kernel, never directly, so that a part's effects are complete before
anybody reacts to them; only a fault that kills a process takes effect at once, between two effects.

How messages and connections travel is in :mod:`rrsim.backends.sim.wire`; what the director may do to the world is in
:mod:`rrsim.backends.sim.stage`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rrsim.agent import host
from rrsim.backends.sim import parts, pc
from rrsim.backends.sim.compiled import Compiled
from rrsim.backends.sim.draws import Draws
from rrsim.backends.sim.kernel import Kernel
from rrsim.backends.sim.memo import Node
from rrsim.backends.sim.side import CONN_NUMBERS, SessionSide, Side
from rrsim.backends.sim.stage import Stage
from rrsim.backends.sim.wire import Wire
from rrsim.machine import observations as seen
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired
from rrsim.scenario.history import History
from rrsim.scenario.staging import STABLE
from rrsim.scenario.tracker import Tracker

_FIRED: Final[dict[str, TimerFired]] = {}


def fired(name: str) -> TimerFired:
    """Return the one ``TimerFired`` of this name (one object a name keeps the memo's look-ups cheap)."""
    found = _FIRED.get(name)
    if found is None:
        found = _FIRED[name] = TimerFired(name)
    return found


class World(Wire, Stage):
    """One run in the making."""

    def __init__(self, compiled: Compiled, seed: int, history: History) -> None:
        self.compiled = compiled
        self.kernel = Kernel()
        self.history = history
        self.entries = history.entries
        self.tracker = Tracker()
        self.watched = compiled.watched
        self.memos = compiled.memos
        self.sides = [
            Side(
                number,
                Draws(seed, compiled.fixed, number),
                compiled.pc_nodes[number - 1],
                compiled.net_node,
                compiled.person_node,
            )
            for number in range(1, compiled.scenario.given.customers + 1)
        ]
        self.sessions: dict[str, SessionSide] = {}
        self.draws = self.sides[0].draws
        self.reps: dict[str, Node] = {}
        self.rep_timers: dict[tuple[str, str], Any] = {}
        self.reps_up: dict[str, bool] = {}
        self.console_free_us: dict[tuple[str, str], int] = {}
        self.server_up = True
        self.prepared = False
        self.set_stage()

    # --- history ------------------------------------------------------------------------------------------------

    def note(self, source: str, event: Any, customer: int) -> None:
        """Append to the history and let the director hear of it if a step waits for this type of event."""
        kernel = self.kernel
        entries = self.entries
        entries.append((kernel.now_us, source, event, kernel.cause))
        kernel.cause = len(entries) - 1
        if type(event) in self.watched:
            self.tell_director(event, customer)

    # --- part timers --------------------------------------------------------------------------------------------

    def _after(
        self, side: Side, effect: parts.After, timers: dict[str, Any], deliver: Callable[[Any, Any], None]
    ) -> None:
        kernel = self.kernel
        due_us = kernel.now_us + (effect.us if effect.us >= 0 else side.draws.draw(effect.draw))
        kernel.restart(timers, effect.name, due_us, deliver, side, fired(effect.name))

    # --- the PC -------------------------------------------------------------------------------------------------

    def pc_hears(self, side: Side, event: Any) -> None:
        """Deliver an input to the PC and carry out what follows."""
        node = side.pc
        side.pc, effects = node.arcs.get(event) or self.memos.pc.learn(node, event)
        for effect in effects:
            kind = type(effect)
            if kind is parts.Saw:
                self.saw(side, side.pc_source, effect.what)
            elif kind is parts.TellAgent:
                self.kernel.soon(self.agent_if_same, side, (side.generation, effect.what))
            elif kind is parts.After:
                self._after(side, effect, side.pc_timers, self.pc_hears)
            elif kind is parts.Forget:
                self.kernel.stop(side.pc_timers, effect.name)
            elif kind is parts.StartAgent:
                self._start_agent(side, effect.started)
            else:
                self.kill_agent(side)

    def saw(self, side: Side, source: str, what: Any) -> None:
        """Write an observation down and offer it to network, customer and stage."""
        self.note(source, what, side.number)
        kind = type(what)
        if kind in parts.NET_HEARS:
            self.kernel.soon(self.net_hears, side, what)
        if kind in parts.CUSTOMER_HEARS:
            self.kernel.soon(self.person_hears, side, what)
        if kind is seen.PhaseBegan:
            before = side.phase in STABLE
            side.phase = what.phase
            if side.alive or side.frozen:
                self._freeze_or_thaw(side)
            if before != (what.phase in STABLE):
                self.check_decided()
            if side.probing and what.phase == "desktop":
                self.probe_arrived(side)

    def _freeze_or_thaw(self, side: Side) -> None:
        """Asleep, or switched off with fast startup, the agent's process lives but stands still; then it catches up."""
        frozen = side.alive and not pc.runs(side.pc.state)
        if frozen == side.frozen:
            return
        side.frozen = frozen
        if not frozen:
            waiting, side.missed = side.missed, []
            for work, what in waiting:
                self.kernel.soon(work, side, what)

    # --- the agent ----------------------------------------------------------------------------------------------

    def _start_agent(self, side: Side, started: host.Started) -> None:
        if side.alive:
            self.kill_agent(side)
        side.alive = True
        side.frozen = False
        side.missed.clear()
        side.generation += 1
        side.epoch += 1
        side.agent = self.compiled.agent_node
        self.kernel.soon(self.agent_if_same, side, (side.generation, started))

    def kill_agent(self, side: Side) -> None:
        """End the agent process now: its timers are void, its connection breaks, later effects do not happen."""
        if not side.alive:
            return
        side.alive = False
        side.generation += 1
        side.agent = None
        self.kernel.stop_all(side.agent_timers)
        if side.conn:
            self.leave_connection(side, polite=False)

    def agent_if_same(self, side: Side, what: tuple[int, Any]) -> None:
        """Deliver an input that was meant for process number ``what[0]``."""
        if what[0] != side.generation:
            return
        if side.frozen:
            side.missed.append((self.agent_if_same, what))
        else:
            self.agent_hears(side, what[1])

    def agent_news(self, side: Side, what: tuple[int, Any]) -> None:
        """Deliver news of a connection, unless the agent has given that connection up meanwhile."""
        if what[0] != side.epoch:
            return
        if side.frozen:
            side.missed.append((self.agent_news, what))
        else:
            self.agent_hears(side, what[1])

    def _agent_timer(self, side: Side, event: TimerFired) -> None:
        if side.frozen:
            side.missed.append((self._agent_late_timer, event))
            return
        self.note(side.agent_source, event, side.number)
        self.agent_hears(side, event)

    def _agent_late_timer(self, side: Side, event: TimerFired) -> None:
        """A timer that was due while the process stood still fires now, unless what it hears before cancels it."""
        now_us = self.kernel.now_us
        side.agent_timers[event.name] = self.kernel.timer(now_us, self._agent_timer, side, event)

    def agent_hears(self, side: Side, event: Any) -> None:
        """Deliver an input to the agent's core, if its process lives, and carry out what follows."""
        node = side.agent
        if node is None:
            return
        side.agent, effects = node.arcs.get(event) or self.memos.agent.learn(node, event)
        if self.compiled.watches_agent:
            self._agent_effects_watched(side, effects)
            return
        for effect in effects:
            _AGENT_EFFECTS[type(effect)](self, side, effect)

    def _agent_effects_watched(self, side: Side, effects: tuple[Any, ...]) -> None:
        """Like the loop above, telling the director before each effect: a fault can kill the process in between."""
        generation = side.generation
        for effect in effects:
            inner = getattr(effect, "what", None) or getattr(effect, "message", None)
            detail = "" if inner is None or isinstance(inner, str) else str(type(inner).__struct_config__.tag)
            self.note(side.agent_source, seen.AgentDoes(type(effect).__name__, detail), side.number)
            if side.generation != generation:
                return
            _AGENT_EFFECTS[type(effect)](self, side, effect)

    def agent_sends(self, side: Side, effect: host.Send) -> None:
        """Send a message on the connection the agent has, if it has one."""
        self.send_up(side, effect.message)

    def agent_requests(self, side: Side, effect: host.Request) -> None:
        """Bring a request to the operating system."""
        self.kernel.soon(self.pc_hears, side, parts.HostAsked(effect.op, effect.what))

    def agent_shows(self, side: Side, effect: Any) -> None:
        """Bring a window, or the wish to capture the screen, to the PC."""
        self.kernel.soon(self.pc_hears, side, parts.UiAsked(effect))

    def agent_sets_timer(self, side: Side, effect: SetTimer) -> None:
        """Start a timer of the process, replacing one of the same name."""
        due_us = self.kernel.now_us + effect.after_us
        self.kernel.restart(side.agent_timers, effect.name, due_us, self._agent_timer, side, fired(effect.name))

    def agent_cancels_timer(self, side: Side, effect: CancelTimer) -> None:
        """Forget a timer of the process."""
        self.kernel.stop(side.agent_timers, effect.name)

    def agent_connects(self, side: Side, _: host.Connect) -> None:
        """Try to open a new connection; one that is there is closed first."""
        if side.conn:
            self.leave_connection(side, polite=True)
        side.epoch += 1
        side.conn = side.last_conn = side.last_conn % CONN_NUMBERS + 1
        self.kernel.soon(self.net_hears, side, parts.NetConnect(side.conn))

    def agent_disconnects(self, side: Side, _: host.Disconnect) -> None:
        """Close the connection; news of it that is still on the way is dropped."""
        side.epoch += 1
        if side.conn:
            self.leave_connection(side, polite=True)

    def agent_exits(self, side: Side, effect: host.Exit) -> None:
        """The process ends by itself."""
        if side.conn:
            self.leave_connection(side, polite=True)
        self.kill_agent(side)
        self.kernel.soon(self.pc_hears, side, parts.AgentEnded(effect.reason))

    def agent_notes(self, side: Side, effect: host.Note) -> None:
        """Write the agent's log line into the history: its own account, never evidence."""
        self.note(side.agent_source, effect, side.number)

    # --- the network --------------------------------------------------------------------------------------------

    def net_hears(self, side: Side, event: Any) -> None:
        """Deliver an input to the network and carry out what follows."""
        node = side.net
        side.net, effects = node.arcs.get(event) or self.memos.net.learn(node, event)
        for effect in effects:
            kind = type(effect)
            if kind is parts.Saw:
                self.saw(side, side.net_source, effect.what)
            elif kind is parts.After:
                self._after(side, effect, side.net_timers, self.net_hears)
            elif kind is parts.Forget:
                self.kernel.stop(side.net_timers, effect.name)
            elif kind is parts.TellAgent:
                self.kernel.soon(self.agent_if_same, side, (side.generation, effect.what))
            else:
                self.network_did(side, effect)

    # --- people -------------------------------------------------------------------------------------------------

    def person_hears(self, side: Side, event: Any) -> None:
        """Deliver an input to the customer and carry out what follows."""
        node = side.person
        side.person, effects = node.arcs.get(event) or self.memos.person.learn(node, event)
        for effect in effects:
            kind = type(effect)
            if kind is parts.After:
                self._after(side, effect, side.person_timers, self.person_hears)
            elif kind is parts.Forget:
                self.kernel.stop(side.person_timers, effect.name)
            elif kind is parts.Saw:
                self.saw(side, side.customer_source, effect.what)
            elif kind is parts.ToPc:
                self.kernel.soon(self.pc_does, side, effect.what)
            elif kind is parts.ToNet:
                self.kernel.soon(self.net_hears, side, effect.what)
            else:
                self.kernel.soon(self.open_session, side, None)

    def memo_states(self) -> dict[str, int]:
        """Return how many distinct states each part has shown so far, over all runs with these memos."""
        return {name: getattr(self.memos, name).states for name in ("agent", "server", "pc", "net", "person", "rep")}


_AGENT_EFFECTS: Final[dict[type, Callable[[World, Side, Any], None]]] = {
    host.Send: World.agent_sends,
    host.Request: World.agent_requests,
    SetTimer: World.agent_sets_timer,
    CancelTimer: World.agent_cancels_timer,
    host.Connect: World.agent_connects,
    host.Disconnect: World.agent_disconnects,
    host.Exit: World.agent_exits,
    host.Note: World.agent_notes,
    **dict.fromkeys(
        (
            host.OpenChat, host.CloseChat, host.ShowPrompt, host.HidePrompt, host.ShowCancel, host.HideCancel,
            host.ShowChat, host.Tell, host.Capture,
        ),
        World.agent_shows,
    ),
}  # fmt: skip

__all__ = ["World", "fired"]
