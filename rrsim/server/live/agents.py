"""The port for agents: TLS and WebSocket at path ``/agent``; messages of :mod:`rrsim.protocol.codec` in any data frame.

Everything here is bounded (:class:`rrsim.server.live.limits.Limits`). Whoever is refused gets the reason where the
protocol allows one (HTTP status and text, or close code and reason), and the log has it; neither repeats what came in,
since that may hold a secret.
"""

from __future__ import annotations

import asyncio
import http
import logging
import socket
import ssl
import traceback
from typing import Any, Final

from websockets.asyncio.connection import broadcast
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

from rrsim.protocol import codec
from rrsim.server.live import history as seen
from rrsim.server.live.door import Door
from rrsim.server.live.ends import BROKE, INTERNAL, POLICY, TRY_AGAIN, Link
from rrsim.server.live.limits import Bucket, Limits
from rrsim.server.live.registry import Registry

LOG: Final = logging.getLogger("rrsim.server")
PATH: Final = "/agent"
TOO_BIG: Final = 1009
BACKLOG: Final = 4096
FRAMES: Final = 10
"""Frames allowed for each message: a message may come in pieces, and somebody may ping."""
LOGGED_PER_S: Final = 10.0
LOGGED_AT_ONCE: Final = 100
"""A flood must not fill the disk with words about it."""


class _Quiet(logging.Filter):
    """Lets through what the WebSocket library says, but no headers, frames or tracebacks: they may hold secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            kind = record.exc_info[0]
            record.msg = f"{record.getMessage()}: {kind.__name__ if kind else 'unknown error'}"
            record.args = ()
            record.exc_info = None
            record.exc_text = None
        return True


def _wire_log() -> logging.Logger:
    log = logging.getLogger("rrsim.server.websockets")
    log.setLevel(logging.WARNING)  # its INFO is every connection, its DEBUG every frame
    if not log.filters:
        log.addFilter(_Quiet())
    return log


class _Connection(ServerConnection):
    """A WebSocket connection that tells the door when it is gone, and how a handshake failed."""

    door: Door
    remote: str
    tcp: asyncio.Transport
    frames: Bucket
    flooding = False

    def process_event(self, event: Event) -> None:
        """Count frames too: pings and pieces of a message that never ends are no messages."""
        if self.flooding or (self.request is not None and not self.frames.take(self.loop.time())):
            if not self.flooding:
                self.flooding = True
                self.door.refused(self.remote, "too many frames")
                self.transport.abort()
            return
        super().process_event(event)

    def connection_lost(self, exc: Exception | None) -> None:
        never_open = self.protocol.state is State.CONNECTING or self.response is None
        super().connection_lost(exc)
        self.door.leave(self.remote, self.tcp)
        if never_open:
            self.door.refused(self.remote, "no WebSocket: the opening handshake was not finished or not understood")


class AgentPort:
    """The listening port for agents."""

    def __init__(self, registry: Registry, context: ssl.SSLContext, limits: Limits) -> None:
        self.registry = registry
        self.limits = limits
        self.host, self.port = "", 0
        self._server: Server | None = None
        self._log = _wire_log()
        self.door = Door(context, limits, self._refused, self._make)
        self._log_room = Bucket(LOGGED_PER_S, LOGGED_AT_ONCE, 0.0)
        self._not_logged = 0

    async def open(self, host: str, port: int) -> None:
        """Listen; with port 0 a free one is chosen, and kept when the port is closed and opened again.

        Raises:
            OSError: the port cannot be had.
        """
        server = serve(
            self._handle, host, port, process_request=self._request, open_timeout=self.limits.open_s, logger=self._log,
            server_header=None,
        )  # fmt: skip

        async def listen() -> asyncio.Server:
            return await asyncio.get_running_loop().create_server(self.door.caller, host, port, backlog=BACKLOG)

        server.create_server = listen
        self._server = await server
        listener: socket.socket = next(iter(server.sockets))
        self.host, self.port = listener.getsockname()[:2]

    async def close(self, politely: bool = True) -> None:
        """Stop listening and end every connection, with a word of goodbye or as if the process had died."""
        server, self._server = self._server, None
        if server is None:
            return
        if politely:
            server.close(code=1001, reason="the session server stops")
        else:
            server.close(close_connections=False)
        goodbye_s = self.limits.close_s if politely else 0.0
        try:
            async with asyncio.timeout(goodbye_s):
                await server.wait_closed()
        except TimeoutError:
            self.door.clear()
            await server.wait_closed()

    def _make(self, remote: str, tcp: asyncio.Transport) -> ServerConnection:
        assert self._server is not None
        protocol = ServerProtocol(max_size=self.limits.message_bytes, logger=self._log)
        connection = _Connection(
            protocol, self._server, ping_interval=None, close_timeout=self.limits.close_s, max_queue=4,
        )
        connection.door, connection.remote, connection.tcp = self.door, remote, tcp
        connection.frames = Bucket(
            FRAMES * self.limits.messages_per_s, FRAMES * self.limits.messages_at_once, connection.loop.time()
        )
        return connection

    def _refused(self, remote: str, reason: str) -> None:
        if self._log_room.take(asyncio.get_running_loop().time()):
            more = f" (and {self._not_logged} more before it)" if self._not_logged else ""
            LOG.warning("connection from %s refused: %s%s", remote, reason, more)
            self._not_logged = 0
        else:
            self._not_logged += 1
        self.registry.history.note("wire", seen.ConnectionRefused(remote, reason))

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse what is no agent's request, and what is too many."""
        assert isinstance(connection, _Connection)
        status, reason = http.HTTPStatus.NOT_FOUND, ""
        if request.path.partition("?")[0] != PATH:
            reason = "no such path: agents connect to /agent"
        else:
            status = http.HTTPStatus.SERVICE_UNAVAILABLE
            reason = self.door.too_many(connection.remote)
            if not reason and self.registry.faults.refuses():
                reason = "refused by a fault that is set"
        if not reason:
            return None
        self._refused(connection.remote, reason)
        return connection.respond(status, reason + "\n")

    async def _handle(self, ws: ServerConnection) -> None:
        """Serve one connection until it is gone."""
        assert isinstance(ws, _Connection)
        link = self.registry.connects(ws.remote, lambda data: self._transmit(ws, data), _Closer(ws))
        reason = "ended"
        try:
            reason = await self._listen(ws, link)
            # It is refused: the reason is on its way, and a return would close without one.
            async with asyncio.timeout(2 * self.limits.close_s):
                while True:
                    await ws.recv(decode=False)
        except TimeoutError:
            ws.transport.abort()
        except ConnectionClosed as closed:
            reason = _why(closed)
        except Exception as error:  # noqa: BLE001 -- a mistake of ours must end one connection only
            # Where it happened, but not the error's own words: they may repeat what came in.
            where = "".join(traceback.format_tb(error.__traceback__)[-3:])
            LOG.error("connection %d: %s at\n%s", link.number, type(error).__name__, where)  # noqa: TRY400 -- as above
            await ws.close(INTERNAL, "a mistake of the server")
        finally:
            self.registry.link_gone(link, reason)

    async def _listen(self, ws: ServerConnection, link: Link) -> str:
        loop = asyncio.get_running_loop()
        bucket = Bucket(self.limits.messages_per_s, self.limits.messages_at_once, loop.time())
        claim_by_s = loop.time() + self.limits.claim_s
        while True:
            wait_s = self.limits.idle_s if link.session else claim_by_s - loop.time()
            try:
                async with asyncio.timeout(wait_s):
                    data = await ws.recv(decode=False)
            except TimeoutError:
                reason = (
                    f"nothing was said for {self.limits.idle_s:g} s" if link.session
                    else f"no claim within {self.limits.claim_s:g} s"
                )  # fmt: skip
                self.registry.refuse(link, POLICY, reason)
                return reason
            if not bucket.take(loop.time()):
                reason = f"too many messages: at most {self.limits.messages_per_s:g} a second"
                self.registry.refuse(link, POLICY, reason)
                return reason
            reason = self._take(link, data)
            if reason:
                return reason

    def _take(self, link: Link, data: bytes) -> str:
        """Hand one message on; return why the connection is refused, or nothing."""
        try:
            message: Any = codec.decode(data, "agent")
        except codec.CodecError as error:
            reason = str(error)
            code = TOO_BIG if isinstance(error, codec.TooLarge) else POLICY
            self.registry.refuse(link, code, reason)
            return reason
        self.registry.agent_says(link, message)
        machine = link.desk.machine
        if link.session is None and self.registry.machines[machine] > self.limits.connections_per_machine:
            reason = f"too many connections of one machine: at most {self.limits.connections_per_machine} at a time"
            self.registry.refuse(link, TRY_AGAIN, reason)
            return reason
        return ""

    def _transmit(self, ws: ServerConnection, data: bytes) -> None:
        """Send at once; an endpoint that does not read what it is sent loses its connection."""
        broadcast((ws,), data, text=True)
        if ws.transport.get_write_buffer_size() > self.limits.unsent_bytes:
            LOG.warning("a connection from %s does not read what it is sent: ended", ws.transport.get_extra_info(
                "peername", ("unknown",))[0])  # fmt: skip
            ws.transport.abort()


class _Closer:
    """Closes a connection: with a code and a reason after what was sent, or with code 0 as if the network broke it."""

    __slots__ = ("_task", "_ws")

    def __init__(self, ws: ServerConnection) -> None:
        self._ws = ws
        self._task: asyncio.Task[None] | None = None

    def __call__(self, code: int, reason: str) -> None:
        if not code:
            self._ws.transport.abort()
        elif self._task is None:
            text = reason.encode()[:120].decode(errors="ignore")  # a close frame holds 123 bytes
            self._task = asyncio.get_running_loop().create_task(self._ws.close(code, text))


def _why(closed: ConnectionClosed) -> str:
    """Return why a connection is gone, in words of our own."""
    if closed.sent is not None and closed.rcvd_then_sent is not True:
        return f"closed by the server with code {closed.sent.code}"
    if closed.rcvd is not None:
        return f"closed by the endpoint with code {closed.rcvd.code}"
    return BROKE
