"""One core per session, driven by a real clock: inputs in, effects out, in order and durable.

* Before an input taken up at an instant, all timers due by then are delivered (:mod:`rrsim.server.live.timers`).
* Effects leave in the order in which they were decided, and none before the records decided ahead of it are on disk:
  everything that leaves goes through one queue that the journal opens (:meth:`Registry.settled` waits for it).
* An input that a core does not take closes the connection it came from, with the reason in the log; nobody else
  notices.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

from rrsim.live_clock import fresh_secret, monotonic_us
from rrsim.protocol import codec
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired
from rrsim.server import core, desk, transcript, vocabulary
from rrsim.server.live import history as seen
from rrsim.server.live.ends import BROKE, INTERNAL, NORMAL, POLICY, TRY_AGAIN, Console, Link, ListenTo, LiveSession
from rrsim.server.live.faults import Direction, Fault, Faults
from rrsim.server.live.history import History
from rrsim.server.live.journal import Journal, Recorded, SessionMade, TimerGone, due_again_us, timer_kept
from rrsim.server.live.timers import Timers

LOG: Final = logging.getLogger("rrsim.server")

class UnknownSession(LookupError):
    """No session has this id."""


class SessionExists(ValueError):
    """A session has this id already."""


class Registry:
    """All sessions of one server process."""

    def __init__(self, journal: Journal, history: History) -> None:
        self.history = history
        self.faults = Faults(self._fault_acted)
        self.sessions: dict[str, LiveSession] = {}
        self.links: set[Link] = set()
        self.machines: Counter[str] = Counter()
        """How many connections each machine has that said hello."""
        self._of_machine: dict[str, dict[str, None]] = {}
        self._consoles: dict[str, Console] = {}
        self._timers = Timers(self._fires)
        self._outbox: deque[tuple[int, Callable[..., object], tuple[Any, ...]]] = deque()
        self._last_conn = 0
        self.use(journal)

    def use(self, journal: Journal) -> None:
        """Write to ``journal`` from now on."""
        self.journal = journal
        journal.on_durable = self._released

    # --- a start, and a restart ---------------------------------------------------------------------------------

    def restore(self, refill: bool) -> None:
        """Bring back what the journal keeps: states, then timers, then the cores hear that they were recovered.

        Args:
            refill: put the records into the history too, for a process that has seen none of them happen.
        """
        kept, self.journal.kept = self.journal.kept, {}
        if refill:
            told = sorted(
                ((t_us, k.customer, r) for k in kept.values() for t_us, r in zip(k.times_us, k.records, strict=True)),
                key=lambda item: item[0],
            )
            for t_us, customer, record in told:
                self.history.note("server", record, session=record.session, customer=customer, t_us=t_us)
        for name, what in kept.items():
            session = self.sessions[name] = LiveSession(name, what.customer)
            session.records = what.records
            session.state = core.rebuild(tuple(what.records))
            self._index(session)
        self.history.note("server", seen.ServerUp(len(kept)))
        now_us = monotonic_us()
        for name, what in kept.items():
            session = self.sessions[name]
            if not session.state.over:
                for timer in what.timers.values():
                    session.durable.add(timer.name)
                    self._timers.start(name, timer.name, due_again_us(timer, self.journal.boot))
            self._step(session, vocabulary.Recovered(), now_us)
        self._timers.deliver_due(monotonic_us())
        for rep, console in self._consoles.items():
            if console.is_up():
                self._rep_hears_all(vocabulary.RepHere(rep))

    def deafen(self) -> None:
        """Take no more input and carry out nothing new: the first half of a restart."""
        self._timers.clear()
        for link in tuple(self.links):
            link.listening = link.connected = False
            link.up.clear()
            link.down.clear()
            link.close(0, "the session server is restarted")

    def go_down(self) -> None:
        """Forget everything that is not in the journal, as a killed process would.

        Call :meth:`deafen` and await :meth:`settled` first, or what still waits for the disk is not seen to happen.
        """
        self.history.note("server", seen.ServerDown())
        self.links.clear()
        self.machines.clear()
        self.sessions.clear()
        self._of_machine.clear()
        self._outbox.clear()
        self._timers.clear()

    async def settled(self) -> None:
        """Return when everything decided so far is on disk and has left."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaves(_finish, done)
        await done

    # --- sessions and representatives ---------------------------------------------------------------------------

    def open_session(self, session_id: str, kind: rec.SessionKind, account: Account, customer: str) -> LiveSession:
        """A customer asked for support: a new session waits in the queue.

        Raises:
            SessionExists: the id is taken.
        """
        if session_id in self.sessions:
            raise SessionExists(f"expected a new session's id, saw {session_id!r}, which exists; choose another")
        now_us = self._now()
        session = self.sessions[session_id] = LiveSession(session_id, customer)
        self.journal.append(SessionMade(session=session_id, customer=customer))
        self._step(session, vocabulary.Opened(session_id, kind, account), now_us)
        for rep, console in self._consoles.items():
            if console.is_up():
                self._step(session, vocabulary.RepHere(rep), now_us)
        return session

    def session(self, session_id: str) -> LiveSession:
        """Return a session.

        Raises:
            UnknownSession: there is none of this id.
        """
        try:
            return self.sessions[session_id]
        except KeyError:
            raise UnknownSession(f"expected the id of a session, saw {session_id!r}; list the sessions") from None

    def window_left_us(self, session: LiveSession) -> int | None:
        """Return how much of the resume window is left, or None if none runs."""
        due_us = self._timers.due_us(session.id, "window") if session.state.durable.restart.window else None
        return None if due_us is None else max(0, due_us - monotonic_us())

    def reps(self) -> list[str]:
        """Return the representatives whose consoles are connected, sorted."""
        return sorted(rep for rep, console in self._consoles.items() if console.is_up())

    def rep_connects(self, rep: str, listener: ListenTo | None = None) -> None:
        """A console is connected; ``listener`` takes what it is shown, without one only the history does."""
        console = self._consoles.setdefault(rep, Console())
        was_up = console.is_up()
        if listener is None:
            console.held = True
        else:
            console.listeners.add(listener)
        now_us = self._now()
        if not was_up:
            self._leaves(partial(self.history.note, "console", seen.ConsoleOpened(), rep=rep, t_us=now_us))
            self._rep_hears_all(vocabulary.RepHere(rep))
        elif listener is not None:
            self._rep_hears_all(vocabulary.RepHere(rep))  # a second window is shown everything too

    def rep_disconnects(self, rep: str, listener: ListenTo | None = None) -> None:
        """A console is gone; the representative is, too, unless another one of theirs is connected."""
        console = self._consoles.get(rep)
        if console is None or not console.is_up():
            return
        if listener is None:
            console.held = False
        else:
            console.listeners.discard(listener)
        if not console.is_up():
            now_us = self._now()
            self._leaves(partial(self.history.note, "console", seen.ConsoleClosed(), rep=rep, t_us=now_us))
            self._rep_hears_all(vocabulary.RepGone(rep))

    def rep_says(self, session_id: str, rep: str, message: msg.RepMessage) -> LiveSession:
        """A representative used the console, or a script forces a request.

        Raises:
            UnknownSession: there is none of this id.
            CodecError: the message is over the protocol's limits.
            SessionError: the session's core does not take it.
        """
        session = self.session(session_id)
        codec.encode(message)
        now_us = self._now()
        self._leaves(self._note, "console", message, session, 0, rep, now_us)
        self._step(session, vocabulary.RepSaid(rep, message, fresh_secret()), now_us)
        return session

    def _rep_hears_all(self, event: vocabulary.RepHere | vocabulary.RepGone) -> None:
        now_us = monotonic_us()
        for session in tuple(self.sessions.values()):
            if not session.state.over:
                self._step(session, event, now_us)

    # --- connections --------------------------------------------------------------------------------------------

    def connects(self, remote: str, transmit: Callable[[bytes], None], close: Callable[[int, str], None]) -> Link:
        """An endpoint has shaken hands; return its link."""
        self._last_conn += 1
        link = Link(self._last_conn, remote, transmit, close)
        self.links.add(link)
        self._leaves(partial(
            self.history.note, "wire", seen.ConnectionOpened(remote), conn=link.number, t_us=self._now()
        ))  # fmt: skip
        return link

    def agent_says(self, link: Link, message: msg.AgentMessage) -> None:
        """A message came on a connection."""
        if link.listening:
            session_id = link.session.id if link.session else ""
            self.faults.carry(
                link.up, "up", message, session_id, link.number,
                partial(self._arrives, link, message), partial(self._cut, link),
            )  # fmt: skip

    def link_gone(self, link: Link, reason: str) -> None:
        """A connection is gone, whoever ended it."""
        if link not in self.links:
            return
        self.links.discard(link)
        was_listening, link.listening, link.connected = link.listening, False, False
        link.up.clear()
        link.down.clear()
        if link.desk.machine:
            self.machines[link.desk.machine] -= 1
            if self.machines[link.desk.machine] <= 0:
                del self.machines[link.desk.machine]
        now_us = self._now()
        session = link.session or link.greeted
        by: Literal["server", "endpoint", "network"] = "endpoint" if was_listening else "server"
        closed = seen.ConnectionClosed("network" if reason == BROKE else by, reason)
        self._leaves(self._note, "wire", closed, session, link.number, "", now_us)
        if session is not None and was_listening:
            session.links.pop(link.number, None)
            self._step(session, vocabulary.AgentGone(link.number, reason), now_us)

    def refuse(self, link: Link, code: int, reason: str) -> None:
        """Hang up on a connection that does not keep to the rules; it says nothing more to anybody."""
        if link.listening:
            LOG.warning("connection %d from %s: %s", link.number, link.remote, reason)
            now_us = self._now()
            refused = seen.ConnectionRefused(link.remote, reason)
            self._leaves(self._note, "wire", refused, link.session, link.number, "", now_us)
            session = link.session or link.greeted
            self._deaf(link)
            self._leaves(self._hang_up, link, code, reason)
            if session is not None:
                self._step(session, vocabulary.AgentGone(link.number, reason), now_us)

    def _arrives(self, link: Link, message: msg.AgentMessage) -> None:
        if not link.listening:
            return
        now_us = self._now()
        session = link.session
        self._leaves(self._note, "wire", message, session or self._claimed_by(message), link.number, "", now_us)
        if session is None:
            self._at_desk(link, message, now_us)
            return
        fresh = fresh_secret() if isinstance(message, msg.ConsentAnswer) else ""
        self._try(link, session, vocabulary.AgentSaid(link.number, message, fresh), now_us)

    def _claimed_by(self, message: msg.AgentMessage) -> LiveSession | None:
        """Return the session that a claim names: the history shows the claim with it, whatever becomes of it."""
        if isinstance(message, msg.Join):
            return self.sessions.get(message.code)
        if isinstance(message, msg.Resume | msg.Reconnect | msg.CancelResume):
            return self.sessions.get(message.session)
        return None

    def _at_desk(self, link: Link, message: msg.AgentMessage, now_us: int) -> None:
        before = link.desk
        link.desk, replies, claim = desk.greet(before, message)
        if link.desk.machine and not before.machine:
            self.machines[link.desk.machine] += 1
        for reply in replies:
            self._leaves(self._send, link, reply, now_us)
        if claim is not None:
            self._claims(link, claim, now_us)
        elif desk.closed(link.desk):
            LOG.info("connection %d from %s turned away at the desk", link.number, link.remote)
            self._deaf(link)
            self._leaves(self._hang_up, link, POLICY, "turned away")
        elif link.greeted is None:
            self._tell_of_hello(link, now_us)

    def _claims(self, link: Link, claim: desk.Claim, now_us: int) -> None:
        if self.faults.refuses(claim.session, link.number):
            self.refuse(link, TRY_AGAIN, "refused by a fault that is set")
            return
        session = self.sessions.get(claim.session)
        if session is None:
            LOG.info("connection %d from %s claims an unknown session", link.number, link.remote)
            self._leaves(self._send, link, desk.UNKNOWN_SESSION, now_us)
            self._deaf(link)
            self._leaves(self._hang_up, link, POLICY, desk.UNKNOWN_SESSION.reason)
            return
        link.session = session
        session.links[link.number] = link
        claimed = vocabulary.Claimed(
            link.number, claim.machine, claim.platform, claim.mode, claim.claim, fresh_secret()
        )
        self._try(link, session, claimed, now_us)
        if session.links.get(link.number) is link:
            for line in transcript.lines(session.records):
                self._leaves(self._send, link, line, now_us)

    def _tell_of_hello(self, link: Link, now_us: int) -> None:
        """The window may close with the connection: the machine's open session hears of the hello (rule 1)."""
        for name in self._of_machine.get(link.desk.machine, ()):
            session = self.sessions[name]
            if not session.state.over and session.state.durable.account.window_closes == "connected":
                link.greeted = session
                self._step(session, vocabulary.Greeted(link.number, link.desk.machine), now_us)
                return

    def _try(self, link: Link, session: LiveSession, event: vocabulary.Input, now_us: int) -> None:
        try:
            self._step(session, event, now_us)
        except core.SessionError as error:
            LOG.warning("session %s does not take %s: %s", session.id, type(event).__name__, error)
            self._leaves(self._note, "server", seen.InputRefused(str(error)), session, link.number, "", now_us)
            self.refuse(link, POLICY, "not a message for this state of the session")

    @staticmethod
    def _deaf(link: Link) -> None:
        """Take nothing more that comes on a connection; what was sent on it before still goes out."""
        link.listening = False
        if link.session is not None:
            link.session.links.pop(link.number, None)

    # --- effects ------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        """Return the instant at which an input is taken up, with every timer due by then delivered."""
        now_us = monotonic_us()
        self._timers.deliver_due(now_us)
        return now_us

    def _step(self, session: LiveSession, event: vocabulary.Input, at_us: int) -> None:
        """Let a core take an input and see to the effects. Timers count from ``at_us``."""
        session.state, effects = core.step(session.state, event)
        for effect in effects:
            if isinstance(effect, vocabulary.Write):
                self._write(session, effect.record, at_us)
            elif isinstance(effect, vocabulary.ToAgent):
                link = session.links.get(effect.conn)
                if link is not None:
                    self._leaves(self._send, link, effect.message, at_us)
            elif isinstance(effect, vocabulary.ToRep):
                self._leaves(self._shows, effect.rep, session, effect.message, at_us)
            elif isinstance(effect, SetTimer):
                due_us = at_us + effect.after_us
                self._timers.start(session.id, effect.name, due_us)
                if effect.durable:
                    session.durable.add(effect.name)
                    self.journal.append(timer_kept(session.id, effect.name, due_us, self.journal.boot))
            elif isinstance(effect, CancelTimer):
                self._timers.stop(session.id, effect.name)
                self._forget_timer(session, effect.name)
            else:
                link = session.links.get(effect.conn)
                if link is not None:
                    self._deaf(link)
                    self._leaves(self._hang_up, link, NORMAL, "hung up by the session")

    def _fires(self, session_id: str, name: str, due_us: int) -> None:
        session = self.sessions[session_id]
        event = TimerFired(name)
        self._leaves(self._note, "server", event, session, 0, "", monotonic_us())
        kept = name in session.durable
        self._step(session, event, due_us)
        # Only now: whoever dies before these lines are written finds the timer due, and fires it again.
        if kept and self._timers.due_us(session_id, name) is None:
            self._forget_timer(session, name)

    def _forget_timer(self, session: LiveSession, name: str) -> None:
        if name in session.durable:
            session.durable.discard(name)
            self.journal.append(TimerGone(session=session.id, name=name))

    def _write(self, session: LiveSession, record: rec.AnyRecord, at_us: int) -> None:
        session.records.append(record)
        self.journal.append(Recorded(t_us=at_us, record=record))
        self._leaves(self._note, "server", record, session, 0, "", at_us)
        if isinstance(record, rec.EndpointJoined):
            self._index(session)

    def _index(self, session: LiveSession) -> None:
        machine = session.state.durable.endpoint.machine
        if machine:
            self._of_machine.setdefault(machine, {})[session.id] = None

    # --- what leaves --------------------------------------------------------------------------------------------

    def _leaves(self, act: Callable[..., object], *args: Any) -> None:
        """Do ``act`` as soon as everything decided before it is on disk, and in order."""
        if not self._outbox and self.journal.durable >= self.journal.written:
            act(*args)
        else:
            self._outbox.append((self.journal.written, act, args))

    def _released(self) -> None:
        while self._outbox and self._outbox[0][0] <= self.journal.durable:
            _, act, args = self._outbox.popleft()
            act(*args)

    def _note(
        self, source: seen.Source, event: Any, session: LiveSession | None, conn: int, rep: str, t_us: int | None
    ) -> None:
        self.history.note(
            source, event, session=session.id if session else "", conn=conn, rep=rep,
            customer=session.customer if session else "", t_us=t_us,
        )  # fmt: skip

    def _shows(self, rep: str, session: LiveSession, message: msg.ConsoleMessage, t_us: int) -> None:
        console = self._consoles.get(rep)
        if console is not None and console.is_up():
            self._note("console", message, session, 0, rep, t_us)
            for listener in tuple(console.listeners):
                listener(session.id, message)

    def _send(self, link: Link, message: msg.ServerMessage, t_us: int) -> None:
        if not self.faults.set and link.down.idle:
            self._transmit(link, message, t_us)
            return
        session_id = link.session.id if link.session else ""
        self.faults.carry(
            link.down, "down", message, session_id, link.number,
            partial(self._transmit, link, message, None), partial(self._cut, link),
        )  # fmt: skip

    def _transmit(self, link: Link, message: msg.ServerMessage, t_us: int | None) -> None:
        if not link.connected:
            return
        try:
            data = codec.encode(message)
        except codec.CodecError as error:
            LOG.critical("%s cannot be sent on connection %d: %s", type(message).__name__, link.number, error)
            link.close(INTERNAL, "the server's answer cannot be sent")
            return
        self._note("wire", message, link.session, link.number, "", t_us)
        link.transmit(data)

    def _hang_up(self, link: Link, code: int, reason: str) -> None:
        if link.connected:
            self.faults.carry(
                link.down, "down", None, "", link.number, partial(link.close, code, reason), partial(self._cut, link)
            )

    def _cut(self, link: Link) -> None:
        """The connection breaks, as far as both sides can tell by an accident of the network."""
        link.close(0, "cut by a fault that is set")

    def _fault_acted(self, fault: Fault, direction: Direction, name: str, session_id: str, conn: int) -> None:
        acted = seen.FaultActed(fault.kind, direction, name)
        self.history.note("wire", acted, session=session_id, conn=conn)


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
