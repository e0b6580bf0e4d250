"""The door of the agents' port: every TCP connection is counted and shakes hands in TLS before anything else sees it.

The WebSocket server behind it learns of a connection once TLS stands. That way a connection that never gets so far is
bounded like any other, ends after the handshake's time, and its reason is logged; asyncio's own TLS servers end it
without a word.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final

from websockets.asyncio.server import ServerConnection

from rrsim.server.live.limits import Limits

Refused = Callable[[str, str], None]
"""Hears of a connection that was refused: remote address and reason."""

_MANY: Final = 2
"""Before TLS a refusal cannot give its reason, so up to this many times the limit may come in and be told."""


class Door:
    """Counts connections by remote address and lets them in through TLS."""

    def __init__(
        self, context: ssl.SSLContext, limits: Limits, refused: Refused,
        make: Callable[[str, asyncio.Transport], ServerConnection],
    ) -> None:  # fmt: skip
        """``make`` gives the protocol that takes over once TLS stands, from remote address and TCP connection."""
        self.context = context
        self.limits = limits
        self.refused = refused
        self.make = make
        self.here: Counter[str] = Counter()
        """Connections by remote address, from the first packet on."""
        self.total = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._inside: set[asyncio.Transport] = set()

    def caller(self) -> Caller:
        """Return the protocol for a connection that was just accepted."""
        return Caller(self)

    def too_many(self, remote: str, times: int = 1) -> str:
        """Return why one more connection from ``remote`` is too many, or nothing."""
        if self.total > self.limits.connections * times:
            return f"too many connections: at most {self.limits.connections} at a time"
        if self.here[remote] > self.limits.connections_per_remote * times:
            return f"too many connections from one address: at most {self.limits.connections_per_remote} at a time"
        return ""

    def enter(self, remote: str, transport: asyncio.Transport) -> None:
        """Count a connection."""
        self.total += 1
        self.here[remote] += 1
        self._inside.add(transport)

    def leave(self, remote: str, transport: asyncio.Transport) -> None:
        """A counted connection is gone."""
        if transport not in self._inside:
            return
        self._inside.discard(transport)
        self.total -= 1
        self.here[remote] -= 1
        if self.here[remote] <= 0:
            del self.here[remote]

    def clear(self) -> None:
        """End every connection at once, however far it has come."""
        for task in tuple(self._tasks):
            task.cancel()
        for transport in tuple(self._inside):
            transport.abort()

    def shake_hands(self, caller: Caller) -> None:
        """Start the TLS handshake of a connection."""
        task = asyncio.get_running_loop().create_task(caller.upgrade())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Caller(asyncio.Protocol):
    """A connection from accept to the end of its TLS handshake; keeps what comes with the handshake's last packet."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._early: list[bytes] = []
        self._ended = False
        self._lost = False
        self._upgrading = False
        self.remote = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection and begin with TLS, or drop it if there are far too many."""
        assert isinstance(transport, asyncio.Transport)
        self._tcp = transport
        transport.pause_reading()
        self.remote = str((transport.get_extra_info("peername") or ("unknown",))[0])
        self._door.enter(self.remote, transport)
        reason = self._door.too_many(self.remote, times=_MANY)
        if reason:
            self._door.refused(self.remote, reason)
            transport.abort()
        else:
            self._upgrading = True
            self._door.shake_hands(self)

    def data_received(self, data: bytes) -> None:
        """Keep what the endpoint said before the WebSocket server has taken over."""
        self._early.append(data)

    def eof_received(self) -> None:
        """Remember that the endpoint will say no more."""
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended before the WebSocket server had taken over."""
        del exc  # upgrade() says why
        self._lost = True
        if not self._upgrading:
            self._door.leave(self.remote, self._tcp)

    async def upgrade(self) -> None:
        """Shake hands in TLS and hand over; an endpoint that cannot is refused with the reason."""
        door = self._door
        try:
            tls = await asyncio.get_running_loop().start_tls(
                self._tcp, self, door.context, server_side=True,
                ssl_handshake_timeout=door.limits.open_s, ssl_shutdown_timeout=door.limits.close_s,
            )  # fmt: skip
        except (OSError, TimeoutError) as error:
            door.leave(self.remote, self._tcp)
            door.refused(self.remote, why_no_tls(error))
            return
        except asyncio.CancelledError:
            self._tcp.abort()
            door.leave(self.remote, self._tcp)
            raise
        if tls is None or self._lost:
            door.leave(self.remote, self._tcp)
            door.refused(self.remote, "gone after the TLS handshake")
            return
        connection = door.make(self.remote, self._tcp)
        connection.connection_made(tls)
        tls.set_protocol(connection)
        for data in self._early:
            connection.data_received(data)
        if self._ended:
            connection.eof_received()


def why_no_tls(error: BaseException) -> str:
    """Return why a TLS handshake failed, in words that come from here and not from the network."""
    if isinstance(error, ssl.SSLError):
        name = "".join(c for c in (error.reason or "unknown reason") if c.isalnum() or c in " _")[:60]
        return f"no TLS: {name.lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError) or "taking longer" in str(error):
        return "no TLS: the handshake was not finished in time"
    return "no TLS: the connection ended during the handshake"
