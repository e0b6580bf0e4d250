"""The abstract network and the server's front desk: ordered queues, connections that come up, fail, or are lost.

A pure step function like every other part. What is on its way waits in a queue for each direction of each connection;
the search decides which head arrives next. An end of a connection learns that the other is gone when the mark
:data:`GONE` has come through its queue: after what was sent before it, or, when the connection was *lost*, at once and
instead of it. A silent end (half open, power cut) is one whose mark arrives late.

Connection numbers are the smallest free ones, so that equal situations are equal states. A dial-up line is gone with
the PC and comes back when the customer dials; until then every attempt to connect fails.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from rrsim.agent import host
from rrsim.protocol.messages import AgentMessage, CancelResume, ConsentAnswer, Join, Resume, ServerMessage
from rrsim.server import desk, vocabulary


class _Word(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True):
    """Base of everything in this file."""


CONNS: Final = 16
"""Numbers of one customer's connections: the first customer's begin at 0, the second one's at this."""


class QueueFull(RuntimeError):
    """More messages on their way than the model allows: widen ``queue``, or look for what sends without end."""


class Misrouted(ValueError):
    """A customer's PC claims another customer's session."""


class Gone(_Word, frozen=True):
    """Stands in a queue for the end of the connection."""


GONE: Final = Gone()


class Link(_Word, frozen=True):
    """One connection, as long as one end believes in it."""

    conn: int
    desk: desk.DeskState
    up: tuple[AgentMessage | Gone, ...] = ()
    down: tuple[ServerMessage | Gone, ...] = ()
    at_agent: bool = True
    at_server: bool = True


class Net(_Word, frozen=True):
    """All connections of one customer."""

    links: tuple[Link, ...] = ()
    trying: bool = False
    """The agent waits for a connection."""
    keys: int = 0
    """Which of two fresh strings the next claim gets, so that two keys in a row always differ."""
    line: bool = True
    """The telephone line carries a call, or there is a network that needs none."""


# --- inputs -----------------------------------------------------------------------------------------------------


class Open(_Word, frozen=True):
    """The agent wants a connection; one that it had is closed."""


class Tried(_Word, frozen=True):
    """The attempt ends."""

    well: bool


class Close(_Word, frozen=True):
    """The agent closes its connection, or its process is gone."""


class AgentSends(_Word, frozen=True):
    """The agent sends on its connection."""

    message: AgentMessage


class ServerSends(_Word, frozen=True):
    """The server sends."""

    conn: int
    message: ServerMessage


class ServerCloses(_Word, frozen=True):
    """The server hangs up after what it sent."""

    conn: int


class Up(_Word, frozen=True):
    """What comes next on its way to the server arrives."""

    conn: int


class Down(_Word, frozen=True):
    """What comes next on its way to the agent arrives."""

    conn: int


class Lose(_Word, frozen=True):
    """The connection is lost with everything on its way."""

    conn: int


class Again(_Word, frozen=True):
    """The next message in one direction will arrive twice in a row."""

    conn: int
    up: bool


class LineDown(_Word, frozen=True):
    """The call ends: every connection is lost, and none comes up before somebody dials."""


class Dial(_Word, frozen=True):
    """The customer dials, and the call comes up."""


# --- effects ----------------------------------------------------------------------------------------------------


class AgentHears(_Word, frozen=True):
    """Deliver to the agent's core."""

    what: host.Connected | host.ConnectFailed | host.Disconnected | host.Received | host.NetworkChanged


class ServerHears(_Word, frozen=True):
    """Deliver to the session's core. The fresh string of an answer is the turn's to add."""

    what: vocabulary.AgentSaid | vocabulary.AgentGone | vocabulary.Claimed


def needs_fresh(message: AgentMessage) -> bool:
    """Whether the server may have to make a ticket when it hears this."""
    return isinstance(message, ConsentAnswer)


class Network:
    """The step function of one customer's network, for queues of a given length and the sessions there are."""

    __slots__ = ("_base", "_longest", "_session", "_sessions")

    def __init__(self, session: str, sessions: tuple[str, ...], longest: int, base: int = 0) -> None:
        self._session = session
        self._sessions = sessions
        self._longest = longest
        self._base = base

    def step(self, net: Net, event: Any) -> tuple[Net, tuple[Any, ...]]:
        """Return the network after one input, and what its ends hear.

        Raises:
            QueueFull: a queue grew past the model's bound.
        """
        match event:
            case Open():
                return replace(_leave(net), trying=True), ()
            case Tried(well=True):
                return self._established(net), (AgentHears(host.Connected()),)
            case Tried():
                return replace(net, trying=False), (AgentHears(host.ConnectFailed("no connection")),)
            case Close():
                return replace(_leave(net), trying=False), ()
            case AgentSends(message=message):
                link = own(net)
                if link is None or not link.at_server or GONE in link.up:
                    return net, ()
                return self._keep(net, replace(link, up=(*link.up, message))), ()
            case ServerSends(conn=conn, message=reply):
                return self._send_down(net, conn, reply), ()
            case ServerCloses(conn=conn):
                return self._hang_up(net, conn), ()
            case Up(conn=conn):
                return self._at_server(net, conn)
            case Down(conn=conn):
                return self._at_agent(net, conn)
            case Lose(conn=conn):
                return self._lose(net, conn), ()
            case Again(conn=conn, up=up):
                link = find(net, conn)
                assert link is not None, "only what is on its way arrives twice"
                line = link.up if up else link.down
                line = (line[0], *line)
                return self._keep(net, replace(link, up=line) if up else replace(link, down=line)), ()
            case LineDown():
                for link in net.links:
                    net = self._lose(net, link.conn)
                return replace(net, line=False), ()
            case Dial():
                return replace(net, line=True), (AgentHears(host.NetworkChanged()),)
            case _:
                raise TypeError(f"the network does not hear {type(event).__name__}")

    def _keep(self, net: Net, link: Link) -> Net:
        """Put a changed connection back, or drop it when no end believes in it any more."""
        if max(len(link.up), len(link.down)) > self._longest:
            raise QueueFull(f"more than {self._longest} messages wait on connection {link.conn}: {link.up}{link.down}")
        others = [other for other in net.links if other.conn != link.conn]
        if link.at_agent or link.at_server:
            others.append(link)
        return replace(net, links=tuple(sorted(others, key=lambda one: one.conn)))

    def _lose(self, net: Net, conn: int) -> Net:
        link = find(net, conn)
        assert link is not None, "only a connection that is there is lost"
        up = (GONE,) if link.at_server else ()
        return self._keep(net, replace(link, up=up, down=(GONE,) if link.at_agent else ()))

    def _established(self, net: Net) -> Net:
        used = {link.conn for link in net.links}
        first = self._base + 1
        conn = next(number for number in range(first, first + len(used) + 1) if number not in used)
        links = (*net.links, Link(conn, desk.initial()))
        return replace(net, trying=False, links=tuple(sorted(links, key=lambda one: one.conn)))

    def _send_down(self, net: Net, conn: int, message: ServerMessage) -> Net:
        link = find(net, conn)
        if link is None or not (link.at_server and link.at_agent) or GONE in link.down:
            return net
        return self._keep(net, replace(link, down=(*link.down, message)))

    def _hang_up(self, net: Net, conn: int) -> Net:
        link = find(net, conn)
        if link is None or not link.at_server:
            return net
        down = (*link.down, GONE) if link.at_agent and GONE not in link.down else link.down
        return self._keep(net, replace(link, at_server=False, up=(), down=down))

    def _at_server(self, net: Net, conn: int) -> tuple[Net, tuple[Any, ...]]:
        link = find(net, conn)
        assert link is not None, "only what is on its way arrives"
        head, rest = link.up[0], link.up[1:]
        link = replace(link, up=rest)
        routed = link.desk.stage == "routed"
        if isinstance(head, Gone):
            net = self._keep(net, replace(link, at_server=False, up=()))
            return net, (ServerHears(vocabulary.AgentGone(conn, "connection lost")),) if routed else ()
        if routed:
            return self._keep(net, link), (ServerHears(vocabulary.AgentSaid(conn, head)),)
        state, replies, claim = desk.greet(link.desk, head)
        net = self._keep(net, replace(link, desk=state))
        for reply in replies:
            net = self._send_down(net, conn, reply)
        if desk.closed(state):
            return self._hang_up(net, conn), ()
        if claim is None:
            return net, ()
        if claim.session != self._session:
            if claim.session in self._sessions:
                raise Misrouted(f"expected claims on {self._session}; seen: one on {claim.session}, another customer's")
            return self._hang_up(self._send_down(net, conn, desk.UNKNOWN_SESSION), conn), ()
        return self._claimed(net, conn, claim)

    @staticmethod
    def _claimed(net: Net, conn: int, claim: desk.Claim) -> tuple[Net, tuple[Any, ...]]:
        made = claim.claim
        boot = "" if isinstance(made, CancelResume) else made.boot
        fresh = f"{boot}/{net.keys}"
        if isinstance(made, Join | Resume):
            net = replace(net, keys=1 - net.keys)
        said = vocabulary.Claimed(conn, claim.machine, claim.platform, claim.mode, made, fresh)
        return net, (ServerHears(said),)

    def _at_agent(self, net: Net, conn: int) -> tuple[Net, tuple[Any, ...]]:
        link = find(net, conn)
        assert link is not None, "only what is on its way arrives"
        head, link = link.down[0], replace(link, down=link.down[1:])
        if isinstance(head, Gone):
            return self._keep(net, replace(link, at_agent=False)), (AgentHears(host.Disconnected("connection lost")),)
        return self._keep(net, link), (AgentHears(host.Received(head)),)


def find(net: Net, conn: int) -> Link | None:
    """Return connection ``conn``, or nothing."""
    return next((link for link in net.links if link.conn == conn), None)


def own(net: Net) -> Link | None:
    """Return the agent's connection, or nothing."""
    return next((link for link in net.links if link.at_agent), None)


def _leave(net: Net) -> Net:
    """The agent's end is gone; the server learns of it after what was sent before."""
    link = own(net)
    if link is None:
        return net
    up = link.up if GONE in link.up or not link.at_server else (*link.up, GONE)
    others = [other for other in net.links if other.conn != link.conn]
    if link.at_server:
        others.append(replace(link, at_agent=False, down=(), up=up))
    return replace(net, links=tuple(sorted(others, key=lambda one: one.conn)))
