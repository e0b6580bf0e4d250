"""How messages travel in the simulated world: connections, the session server behind them, and the consoles.

Messages on one connection keep their order and take a drawn latency; what the network does with them now is the
network part's word (:func:`rrsim.backends.sim.network.fate_of`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rrsim.agent import host
from rrsim.backends.sim import parts
from rrsim.backends.sim.network import fate_of, latency_draw
from rrsim.backends.sim.side import Link, SessionSide, Side
from rrsim.machine import observations as seen
from rrsim.protocol.messages import ConsentAnswer, Order, StandBy
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired
from rrsim.server import desk, transcript, vocabulary

if TYPE_CHECKING:
    from rrsim.backends.sim.draws import Draws
    from rrsim.backends.sim.kernel import Kernel
    from rrsim.backends.sim.memo import Node

JITTERS: Final = 8
"""The share of random spread in a retry comes in eighths, so that the agent's inputs stay few."""


class Wire:
    """The part of the world between agent, server and console."""

    kernel: Kernel
    draws: Draws
    sessions: dict[str, SessionSide]
    reps: dict[str, Node]
    rep_timers: dict[tuple[str, str], Any]
    reps_up: dict[str, bool]
    console_free_us: dict[tuple[str, str], int]
    server_up: bool
    memos: Any
    compiled: Any

    # provided by the other halves of the world
    note: Any
    agent_hears: Any
    net_hears: Any
    record_written: Any
    pc_does: Any

    # --- the agent's end ----------------------------------------------------------------------------------------

    def leave_connection(self, side: Side, polite: bool) -> None:
        """The agent's end of its connection is closed, or its process is gone."""
        conn, link = side.conn, side.link
        side.conn = 0
        side.epoch += 1
        side.link = None
        if link is not None:
            link.at_agent = False
        self.kernel.soon(self.net_hears, side, parts.NetHangUp(conn, polite))

    def send_up(self, side: Side, message: Any) -> None:
        """Send a message from the agent towards the server."""
        link = side.link
        if link is None:
            return
        fate = self._fate(side, link.conn)
        if fate == "deliver":
            self._up(side, link, message)
        elif fate == "hold":
            side.held_up.append((link, message))

    @staticmethod
    def _fate(side: Side, conn: int) -> str:
        fates = side.net.fates
        fate = fates.get(conn)
        if fate is None:
            fate = fates[conn] = fate_of(side.net.state, conn)
        return fate

    def _up(self, side: Side, link: Link, message: Any) -> None:
        kernel = self.kernel
        due = kernel.now_us + side.draws.draw(latency_draw(side.net.state))
        side.up_free_us = due = max(due, side.up_free_us)
        kernel.at(due, self._arrives_at_server, link, message)

    def _down(self, side: Side, link: Link, message: Any) -> None:
        kernel = self.kernel
        due = kernel.now_us + side.draws.draw(latency_draw(side.net.state))
        side.down_free_us = due = max(due, side.down_free_us)
        kernel.at(due, self._arrives_at_agent, link, message)

    def _arrives_at_agent(self, link: Link, message: Any) -> None:
        side = link.side
        if link.stranger is not None:
            self.note(side.wire_source, message, side.number)
            self.stranger_hears(link, host.Received(message))
            return
        if not link.at_agent or side.link is not link:
            return
        if side.frozen:
            side.missed.append((self._arrives_late, (link, message)))
            return
        self.note(side.wire_source, message, side.number)
        if type(message) is Order or type(message) is StandBy:
            side.asked_ticket = message.ticket
        self.agent_hears(side, host.Received(message))

    def _arrives_late(self, _: Side, what: tuple[Link, Any]) -> None:
        """A message that came while the agent's process stood still."""
        self._arrives_at_agent(*what)

    def network_did(self, side: Side, effect: Any) -> None:
        """Carry out what the network part decided about a connection."""
        kind = type(effect)
        if kind is parts.ConnUp:
            self._connection_up(side, effect.conn)
        elif kind is parts.ConnRefused:
            if effect.conn == side.conn:
                side.conn = 0
                self._tell_agent(side, host.ConnectFailed(effect.reason, self._jitter(side)))
        elif kind is parts.ConnDown:
            self._connection_down(side, effect)
        else:
            self._release(side, effect.conn)

    def _tell_agent(self, side: Side, event: Any) -> None:
        self.kernel.soon(self.agent_news, side, (side.epoch, event))

    agent_if_same: Any
    agent_news: Any

    @staticmethod
    def _jitter(side: Side) -> int:
        return side.draws.draw("agent retry jitter") % JITTERS

    def _connection_up(self, side: Side, conn: int) -> None:
        if conn != side.conn or not side.alive:
            self.kernel.soon(self.net_hears, side, parts.NetHangUp(conn, True))
            return
        link = Link(side, conn, desk.initial())
        side.link = side.links[conn] = link
        side.up_free_us = side.down_free_us = self.kernel.now_us
        self._tell_agent(side, host.Connected())

    def _connection_down(self, side: Side, effect: parts.ConnDown) -> None:
        link = side.links.get(effect.conn)
        if link is None:
            return
        if effect.tell_agent and link.at_agent:
            self._agent_end_gone(link, effect.reason)
        if not link.at_agent and (effect.tell_server or not link.at_server):
            del side.links[effect.conn]
        if effect.tell_server and link.at_server:
            self.kernel.at(max(self.kernel.now_us, side.up_free_us), self._server_loses, link, effect.reason)

    def _agent_end_gone(self, link: Link, reason: str) -> None:
        side = link.side
        link.at_agent = False
        if side.link is link:
            side.link = None
            side.conn = 0
            self._tell_agent(side, host.Disconnected(reason, self._jitter(side)))

    def _release(self, side: Side, conn: int) -> None:
        """What was held on a connection flows again, in order; what was held on one that has ended is lost."""
        held_up, side.held_up = side.held_up, []
        held_down, side.held_down = side.held_down, []
        for held, still_held, send in ((held_up, side.held_up, self._up), (held_down, side.held_down, self._down)):
            for link, message in held:
                if link.at_agent and link.at_server:
                    if link.conn == conn:
                        send(side, link, message)
                    else:
                        still_held.append((link, message))

    # --- the server's end ---------------------------------------------------------------------------------------

    def _arrives_at_server(self, link: Link, message: Any) -> None:
        if not self.server_up or not link.at_server:
            return
        side = link.side
        self.note(side.wire_source, message, side.number)
        session = link.session
        if session is not None:
            fresh = self._fresh(session) if type(message) is ConsentAnswer else ""
            self.server_hears(session, vocabulary.AgentSaid(link.server_number, message, fresh))
            return
        self._at_desk(link, message)

    @staticmethod
    def _fresh(session: SessionSide) -> str:
        session.fresh += 1
        return f"{session.id}/{session.fresh}"

    def _at_desk(self, link: Link, message: Any) -> None:
        link.desk, replies, claim = desk.greet(link.desk, message)
        for reply in replies:
            self._send_down(link, reply)
        if claim is not None:
            session = self.sessions.get(claim.session)
            if session is None:
                self._send_down(link, desk.UNKNOWN_SESSION)
                self._hang_up(link)
                return
            link.session = session
            session.links[link.server_number] = link
            self.server_hears(
                session,
                vocabulary.Claimed(
                    link.server_number, claim.machine, claim.platform, claim.mode, claim.claim, self._fresh(session)
                ),
            )
        elif desk.closed(link.desk):
            self._hang_up(link)
        elif self.compiled.account.window_closes == "connected" and link.greeted is None:
            self._tell_of_hello(link)

    def _tell_of_hello(self, link: Link) -> None:
        """The window may close with the connection: the machine's open session hears of the hello (rule 1)."""
        for session in self.sessions.values():
            if not session.over and session.node.state.durable.endpoint.machine == link.desk.machine:
                link.greeted = session
                self.server_hears(session, vocabulary.Greeted(link.server_number, link.desk.machine))
                return

    def _server_loses(self, link: Link, reason: str) -> None:
        if not link.at_server:
            return
        link.at_server = False
        session = link.session or link.greeted
        if session is not None:
            session.links.pop(link.server_number, None)
            if self.server_up:
                self.server_hears(session, vocabulary.AgentGone(link.server_number, reason))

    def _send_down(self, link: Link, message: Any) -> None:
        side = link.side
        if not link.at_server:
            return
        fate = "deliver" if link.stranger is not None else self._fate(side, link.conn)
        if fate == "deliver":
            self._down(side, link, message)
        elif fate == "hold":
            side.held_down.append((link, message))

    def _hang_up(self, link: Link) -> None:
        """The server closes a connection after what it sent on it."""
        link.at_server = False
        side = link.side
        if link.session is not None:
            link.session.links.pop(link.server_number, None)
        self.kernel.at(max(self.kernel.now_us, side.down_free_us), self._hung_up, link, None)

    def _hung_up(self, link: Link, _: None) -> None:
        if link.stranger is None:
            self.net_hears(link.side, parts.ServerHungUp(link.conn))

    def server_hears(self, session: SessionSide, event: Any) -> None:
        """Deliver an input to a session's core and carry out what follows."""
        node = session.node
        session.node, effects = node.arcs.get(event) or self.memos.server.learn(node, event)
        kernel = self.kernel
        for effect in effects:
            kind = type(effect)
            if kind is vocabulary.Write:
                record = effect.record
                session.records.append(record)
                self.note("server", record, session.side.number)
                self.record_written(session, record)
            elif kind is vocabulary.ToAgent:
                link = session.links.get(effect.conn)
                if link is not None:
                    self._send_down(link, effect.message)
            elif kind is SetTimer:
                due = kernel.now_us + effect.after_us
                kernel.restart(session.timers, effect.name, due, self._server_timer, session, effect.name)
                if effect.durable:
                    session.durable[effect.name] = due
            elif kind is CancelTimer:
                kernel.stop(session.timers, effect.name)
                session.durable.pop(effect.name, None)
            elif kind is vocabulary.ToRep:
                due = self._console_due(effect.rep, "down")
                kernel.at(due, self._arrives_at_console, effect.rep, (session.id, effect.message))
            else:
                link = session.links.get(effect.conn)
                if link is not None:
                    self._hang_up(link)
        if type(event) is vocabulary.Claimed:
            self._show_transcript(session, event.conn)

    def _show_transcript(self, session: SessionSide, conn: int) -> None:
        """An endpoint that is in the session again is shown the lines from before, in order (I12)."""
        link = session.links.get(conn)
        if link is not None:
            for line in transcript.lines(session.records):
                self._send_down(link, line)

    def _server_timer(self, session: SessionSide, name: str) -> None:
        if not self.server_up:
            return
        session.timers.pop(name, None)
        session.durable.pop(name, None)
        event = TimerFired(name)
        self.note("server", event, session.side.number)
        self.server_hears(session, event)

    def _console_due(self, rep: str, way: str) -> int:
        """When a message arrives at or from a console: messages keep their order, as on any connection."""
        due = max(self.kernel.now_us + self.draws.draw("net latency lan"), self.console_free_us.get((rep, way), 0))
        self.console_free_us[rep, way] = due
        return due

    # --- consoles -----------------------------------------------------------------------------------------------

    def _arrives_at_console(self, rep: str, what: tuple[str, Any]) -> None:
        if not self.reps_up.get(rep):
            return
        self.note("console", what[1], self.sessions[what[0]].side.number)
        self.rep_hears(rep, parts.ConsoleHeard(what[0], what[1]))

    def _rep_says(self, rep: str, what: tuple[str, Any]) -> None:
        if not (self.server_up and self.reps_up.get(rep)):
            return
        session = self.sessions.get(what[0])
        if session is None:
            return
        self.note("console", what[1], session.side.number)
        self.server_hears(session, vocabulary.RepSaid(rep, what[1], self._fresh(session)))

    def rep_hears(self, rep: str, event: Any) -> None:
        """Deliver an input to a representative and carry out what follows."""
        node = self.reps[rep]
        self.reps[rep], effects = node.arcs.get(event) or self.memos.rep.learn(node, event)
        kernel = self.kernel
        for effect in effects:
            kind = type(effect)
            if kind is parts.Say:
                due = self._console_due(rep, "up")
                kernel.at(due, self._rep_says, rep, (effect.session, effect.message))
            elif kind is parts.After:
                due = kernel.now_us + (effect.us if effect.us >= 0 else self.draws.draw(effect.draw))
                fires = TimerFired(effect.name)
                kernel.restart(self.rep_timers, (rep, effect.name), due, self.rep_hears, rep, fires)
            elif kind is parts.Forget:
                kernel.stop(self.rep_timers, (rep, effect.name))
            elif kind is parts.Saw:
                self.note("rep", effect.what, 0)
            elif kind is parts.ConsoleUp:
                self.console_changes(rep, effect.up)
            else:
                self.kernel.soon(self.pc_does, self.side_of_rep(rep), effect.what)

    def console_changes(self, rep: str, up: bool) -> None:
        """A representative's console is connected, or gone: every session of theirs hears of it."""
        if self.reps_up.get(rep) == up:
            return
        self.reps_up[rep] = up
        self.note("rep", seen.RepReturned(rep) if up else seen.RepAway(rep), 0)
        if self.server_up:
            event = vocabulary.RepHere(rep) if up else vocabulary.RepGone(rep)
            for session in self.sessions.values():
                if not session.over:
                    self.server_hears(session, event)

    side_of_rep: Any
    stranger_hears: Any
