"""Everything that happens at the session server, in order, for whoever watches: tests, consoles, reports.

Sources are ``server`` (records, fired timers, the server's own coming and going), ``wire`` (each message between server
and endpoint when the server takes it up or hands it on, secrets masked) and ``console`` (the same for representatives).
An entry about a decision shows only once the decision is durable. Kept in memory, and bounded: the oldest go first.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from rrsim.live_clock import monotonic_us
from rrsim.protocol import messages, records
from rrsim.protocol.codec import masked
from rrsim.protocol.messages import SECRET_FIELDS
from rrsim.protocol.timers import TimerFired

Source = Literal["server", "wire", "console"]


class _Event(msgspec.Struct, frozen=True, gc=False, tag_field="type", forbid_unknown_fields=True):
    """Base of what only a server on a network sees."""


class ConnectionOpened(_Event, frozen=True, tag="connection opened"):
    """An endpoint has shaken hands: TLS and WebSocket stand, nothing was said yet."""

    remote: str
    """The other side's address, without its port."""


class ConnectionClosed(_Event, frozen=True, tag="connection closed"):
    """A connection is gone."""

    by: Literal["server", "endpoint", "network"]
    reason: str


class ConnectionRefused(_Event, frozen=True, tag="connection refused"):
    """Somebody was turned away before a session heard of them."""

    remote: str
    reason: str


class InputRefused(_Event, frozen=True, tag="input refused"):
    """A core would not take an input: whoever sent it does not keep to the protocol."""

    reason: str


class ConsoleOpened(_Event, frozen=True, tag="console opened"):
    """A representative's console is connected."""


class ConsoleClosed(_Event, frozen=True, tag="console closed"):
    """A representative's console is gone."""


class ServerUp(_Event, frozen=True, tag="server up"):
    """The server takes connections; ``sessions`` came back from the journal."""

    sessions: int


class ServerDown(_Event, frozen=True, tag="server down"):
    """The server is being restarted: every connection is cut."""


class FaultActed(_Event, frozen=True, tag="fault acted"):
    """A fault that a test had set changed what became of a message."""

    kind: str
    direction: str
    message: str
    """Type of the message it acted on."""


ServerEvent = (
    ConnectionOpened | ConnectionClosed | ConnectionRefused | InputRefused | ConsoleOpened | ConsoleClosed | ServerUp
    | ServerDown | FaultActed
)
_TimerFired = msgspec.defstruct(
    "TimerFired", [("name", str)], frozen=True, tag="timer fired", tag_field="type", module=__name__
)
"""How a fired timer is shown: like every other event, under ``type``."""


class Entry(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One thing that happened."""

    n: int
    """Its place in the history, from 0."""
    t_us: int
    """Monotonic time at which the server took it up or decided it, in microseconds."""
    source: Source
    event: Any
    session: str = ""
    """Empty while a connection belongs to no session."""
    conn: int = 0
    """Number of the connection; 0: none."""
    rep: str = ""
    customer: str = ""
    """The name the session's customer was given when it was made."""


_KINDS: Final[tuple[Any, ...]] = (
    *messages.AgentMessage.__args__, *messages.ServerMessage.__args__, *messages.RepMessage.__args__,
    *messages.ConsoleMessage.__args__, *records.AnyRecord.__args__, *ServerEvent.__args__, _TimerFired,
)
_HAS_SECRETS: Final = frozenset(kind for kind in _KINDS if SECRET_FIELDS.intersection(kind.__struct_fields__))

ENTRY_ENCODER: Final = msgspec.json.Encoder()


class _Raw(msgspec.Struct, frozen=True):
    """An entry whose event is not looked into yet."""

    n: int
    t_us: int
    source: Source
    event: msgspec.Raw
    session: str = ""
    conn: int = 0
    rep: str = ""
    customer: str = ""


_RAW: Final = msgspec.json.Decoder(_Raw)


def _event_decoder() -> msgspec.json.Decoder[Any]:
    union: Any = _KINDS[0]
    for kind in _KINDS[1:]:
        union = union | kind
    return msgspec.json.Decoder(union)


_EVENT: Final = _event_decoder()


def decode_entry(line: bytes | str) -> Entry:
    """Return the entry in one line of the stream, its event as the struct that it was.

    Raises:
        msgspec.MsgspecError: the line is no entry.
    """
    raw = _RAW.decode(line)
    event = _EVENT.decode(raw.event)
    if type(event) is _TimerFired:
        event = TimerFired(event.name)  # type: ignore[attr-defined]  # made by defstruct, which mypy cannot see into
    return Entry(raw.n, raw.t_us, raw.source, event, raw.session, raw.conn, raw.rep, raw.customer)


class History:
    """The latest entries, and everybody who waits for the next one."""

    def __init__(self, keep: int = 200_000) -> None:
        self._keep = keep
        self._entries: list[Entry] = []
        self._waiters: set[asyncio.Future[None]] = set()
        self.first = 0
        """The place of the oldest entry that is still kept."""
        self._last_us = 0

    def __len__(self) -> int:
        """Return how many entries there ever were."""
        return self.first + len(self._entries)

    def note(
        self, source: Source, event: Any, *, session: str = "", conn: int = 0, rep: str = "", customer: str = "",
        t_us: int | None = None,
    ) -> None:  # fmt: skip
        """Append an entry; secrets in its event are masked."""
        kind = type(event)
        if kind in _HAS_SECRETS:
            event = masked(event)
        elif kind is TimerFired:
            event = _TimerFired(event.name)
        # What waited for the disk shows after what did not have to; time never goes back from entry to entry.
        at_us = self._last_us = max(self._last_us, monotonic_us() if t_us is None else t_us)
        self._entries.append(Entry(len(self), at_us, source, event, session, conn, rep, customer))
        if len(self._entries) > self._keep + self._keep // 4:
            dropped = len(self._entries) - self._keep
            del self._entries[:dropped]
            self.first += dropped
        if self._waiters:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    def since(self, n: int, limit: int = 1_000_000, session: str = "") -> list[Entry]:
        """Return the kept entries from place ``n`` on, at most ``limit``, of one session if it is named."""
        start = max(n - self.first, 0)
        if not session:
            return self._entries[start : start + limit]
        found = (entry for entry in self._entries[start:] if entry.session == session)
        return list(islice(found, limit))

    async def more(self, n: int) -> None:
        """Return when there is an entry at place ``n``."""
        while len(self) <= n:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
