"""One direction of a relayed connection: bytes read at one end, held or paced, and written at the other.

Bounds: a direction never holds more than :data:`MOST_HELD_BYTES`, counting what a socket has not taken yet; when it is
full its source is not read, so that the sender feels it as on any slow line.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, Literal, Protocol

How = Literal["closed", "reset"]
"""How an end went: with a goodbye (FIN), or without (reset, or an error of its socket)."""

MOST_HELD_BYTES: Final = 256 * 1024
CHUNK_BYTES: Final = 16 * 1024
_UNWRITTEN_BYTES: Final = 64 * 1024
"""A socket that has so much unwritten counts as full."""
ROOM_BYTES: Final = MOST_HELD_BYTES - _UNWRITTEN_BYTES - CHUNK_BYTES
"""What a direction itself may hold."""
SOCKET_BUFFER_BYTES: Final = 64 * 1024
SEGMENT_BYTES: Final = 1460
"""As on Ethernet. With loopback's own segments a sender would be rid of megabytes before it feels the line."""
PIECES_A_SECOND: Final = 50
"""A paced direction writes in pieces of a fiftieth of a second: fine enough for a modem, and cheap."""
LEAST_PIECE_BYTES: Final = 64
LATE_S: Final = 0.1
"""How much of the time that the event loop was late a line may catch up on."""


def new_socket(host: str) -> socket.socket:
    """Return a TCP socket for an address of this host that behaves like one on a real network."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
    return made


class Place(Protocol):
    """One end as a direction sees it: where bytes come from or go to."""

    full: bool

    def write(self, data: bytes) -> None:
        """Send bytes; nothing happens if the end is gone."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read again."""

    def finish(self) -> None:
        """Say that nothing more will come (FIN)."""

    def close(self) -> None:
        """Send what is still to be sent, then close."""

    def reset(self) -> None:
        """Break off without a goodbye."""


class Keeper(Protocol):
    """Whoever owns an end and hears of it."""

    def room(self, end: Place) -> int:
        """Return how many bytes may be read at this end now; at least 1."""

    def got(self, end: Place, data: bytes) -> None:
        """Take bytes that were read."""

    def took(self, end: Place) -> None:
        """The end takes bytes again."""

    def ended(self, end: Place, how: How) -> None:
        """The peer at this end said goodbye or is gone; told once."""

    def broke(self, end: Place) -> None:
        """An end that had said goodbye takes nothing any more."""


class Lane:
    """All directions of one kind (to the server, or to the PC) share the line's rate, in turns."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rate_bps: float) -> None:
        """``rate_bps`` in bits per second; 0 or less: as fast as sockets take it."""
        self._loop = loop
        self._byte_s = 8 / rate_bps if rate_bps > 0 else 0.0
        self._piece_bytes = min(CHUNK_BYTES, max(LEAST_PIECE_BYTES, int(rate_bps / 8 / PIECES_A_SECOND)))
        self._free_at = 0.0
        self._waiting: deque[Flow] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def serve(self, flow: Flow) -> None:
        """Let a direction write what it can, now or when it is its turn."""
        if not self._byte_s:
            while flow.ready:
                flow.send(CHUNK_BYTES)
        elif flow not in self._waiting:
            if self._timer is None:
                # An idle line: a piece is through when its last bit is, so the first one takes its time too.
                first_bytes = min(flow.held_bytes, self._piece_bytes)
                self._free_at = max(self._free_at, self._loop.time()) + first_bytes * self._byte_s
            self._waiting.append(flow)
            self._arm()

    def _arm(self) -> None:
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_at(self._free_at, self._turn)

    def _turn(self) -> None:
        self._timer = None
        flow = self._waiting.popleft()
        if flow.ready:
            sent_bytes = flow.send(self._piece_bytes)
            self._free_at = max(self._free_at, self._loop.time() - LATE_S) + sent_bytes * self._byte_s
            if flow.held_bytes and flow not in self._waiting:
                self._waiting.append(flow)
        self._arm()

    def close(self) -> None:
        """Serve nobody any more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Flow:
    """What was read at one end of a connection and is to be written at the other."""

    def __init__(self, lane: Lane, is_open: Callable[[], bool], passing: Callable[[bytes], bool]) -> None:
        """``is_open`` says whether anything passes now. ``passing`` sees every piece before it is written, and says no
        if nothing passes any more with that; the piece then stays held."""
        self._lane = lane
        self._is_open = is_open
        self._passing = passing
        self._held = bytearray()
        self._source_paused = False
        self._at_end: Callable[[], None] | None = None
        self.source: Place | None = None
        self.sink: Place | None = None

    @property
    def held_bytes(self) -> int:
        """How much waits here."""
        return len(self._held)

    def peek(self, most_bytes: int) -> bytes:
        """Return the first bytes that wait here; they stay."""
        return bytes(self._held[:most_bytes])

    @property
    def room_bytes(self) -> int:
        """How much more may be read."""
        return max(1, ROOM_BYTES - len(self._held))

    @property
    def ready(self) -> bool:
        """Whether something could be written now."""
        return bool(self._held) and self.sink is not None and not self.sink.full and self._is_open()

    def take(self, data: bytes) -> None:
        """Take bytes that were read, and pass on what can pass."""
        self._held += data
        if len(self._held) >= ROOM_BYTES and self.source is not None:
            self._source_paused = True
            self.source.pause()
        self.pump()

    def pump(self) -> None:
        """Pass on what can pass now."""
        if self.ready:
            self._lane.serve(self)
        self._look_for_end()

    def send(self, most_bytes: int) -> int:
        """Write a piece; return its size in bytes."""
        piece = bytes(self._held[:most_bytes])
        if not self._passing(piece):
            return 0
        del self._held[: len(piece)]
        assert self.sink is not None
        self.sink.write(piece)
        if self._source_paused and len(self._held) < ROOM_BYTES // 2:
            self._let_source_go_on()
        self._look_for_end()
        return len(piece)

    def end_with(self, call: Callable[[], None]) -> None:
        """Call once, when everything held has been written."""
        self._at_end = call
        self.pump()

    def _look_for_end(self) -> None:
        if not self._held and self._at_end is not None:
            call, self._at_end = self._at_end, None
            call()

    def flush(self) -> None:
        """Write everything at once, whatever the line says: the last words of a PC that goes down in order."""
        if self._held and self.sink is not None:
            self.sink.write(bytes(self._held))
            self._held.clear()

    def clear(self) -> None:
        """Lose what is held, and wait for no end of it."""
        self._held.clear()
        self._at_end = None
        self._let_source_go_on()

    def _let_source_go_on(self) -> None:
        if self._source_paused and self.source is not None:
            self._source_paused = False
            self.source.resume()


class End(asyncio.BufferedProtocol):
    """The socket at one end of a connection."""

    def __init__(self, made: Callable[[End], None], gone: Callable[[End], None]) -> None:
        """``made`` is called once the socket is there and sets :attr:`keeper`; ``gone`` once it is closed."""
        self._made = made
        self._gone = gone
        self._scratch = bytearray(CHUNK_BYTES)
        self._transport: asyncio.Transport | None = None
        self._ended = False
        """The keeper was told of the end."""
        self._dismissed = False
        """We closed it ourselves: the keeper hears no more."""
        self._finished = False
        self.keeper: Keeper | None = None
        self.full = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop hands the socket over."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_UNWRITTEN_BYTES)
        self._made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Offer the event loop so much room as the direction has."""
        del sizehint
        room_bytes = CHUNK_BYTES if self.keeper is None else self.keeper.room(self)
        return memoryview(self._scratch)[: min(CHUNK_BYTES, room_bytes)]

    def buffer_updated(self, nbytes: int) -> None:
        """The event loop read bytes."""
        if self.keeper is not None:
            self.keeper.got(self, bytes(self._scratch[:nbytes]))

    def eof_received(self) -> bool:
        """The peer said goodbye; our side stays open until the other end has said it too."""
        self._tell_end("closed")
        return True

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self.full = True

    def resume_writing(self) -> None:
        """The socket takes bytes again."""
        self.full = False
        if self.keeper is not None:
            self.keeper.took(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self.lost = True
        self._gone(self)
        if self._ended and exc is not None and self.keeper is not None and not self._dismissed:
            self.keeper.broke(self)
        self._tell_end("closed" if exc is None else "reset")

    def _tell_end(self, how: How) -> None:
        if self._ended:
            return
        self._ended = True
        if self.keeper is not None:
            self.keeper.ended(self, how)

    @property
    def _usable(self) -> asyncio.Transport | None:
        transport = self._transport
        return None if transport is None or self.lost or transport.is_closing() else transport

    def write(self, data: bytes) -> None:
        """Send bytes; nothing happens if the end is gone."""
        if (transport := self._usable) is not None and not self._finished:
            transport.write(data)

    def pause(self) -> None:
        """Stop reading."""
        if (transport := self._usable) is not None:
            transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if (transport := self._usable) is not None and not self._ended:
            transport.resume_reading()

    def finish(self) -> None:
        """Say that nothing more will come (FIN)."""
        if (transport := self._usable) is not None and not self._finished:
            self._finished = True
            with contextlib.suppress(OSError):  # the peer may be gone in this instant: then there is nobody to tell
                transport.write_eof()

    def close(self) -> None:
        """Send what is still to be sent, then close; the keeper hears nothing of it."""
        self._ended = self._dismissed = True
        if (transport := self._usable) is not None:
            transport.close()

    def reset(self) -> None:
        """Break off without a goodbye; the keeper hears nothing of it."""
        self._ended = self._dismissed = True
        transport = self._transport
        if transport is None or self.lost:
            return
        with contextlib.suppress(OSError):  # a socket that is gone needs no reset
            bare = transport.get_extra_info("socket")
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
