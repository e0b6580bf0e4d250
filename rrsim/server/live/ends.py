"""What the registry knows about those at its ends: connections, sessions, consoles. No decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.server import core, desk
from rrsim.server.live.faults import Lane

TRY_AGAIN: Final = 1013
"""Close code for *not now*: the claim stays good."""
POLICY: Final = 1008
"""Close code for whoever does not keep to the protocol."""
NORMAL: Final = 1000
INTERNAL: Final = 1011
BROKE: Final = "the connection broke"
"""Why a connection is gone that nobody closed."""

ListenTo = Callable[[str, msg.ConsoleMessage], None]
"""Takes what a console is shown: session and message."""


class Link:
    """One connection of an endpoint, as the server sees it."""

    __slots__ = ("close", "connected", "desk", "down", "greeted", "listening", "number", "remote", "session",
                 "transmit", "up")  # fmt: skip

    def __init__(
        self, number: int, remote: str, transmit: Callable[[bytes], None], close: Callable[[int, str], None]
    ) -> None:
        self.number = number
        self.remote = remote
        self.transmit = transmit
        """Sends one message's bytes."""
        self.close = close
        """Closes with a code and a reason, after what was sent."""
        self.desk = desk.initial()
        self.session: LiveSession | None = None
        self.greeted: LiveSession | None = None
        """The session that was told of this connection's hello, before any claim."""
        self.listening = True
        """The server still takes what comes on it."""
        self.connected = True
        """It can still carry something to the endpoint."""
        self.up = Lane()
        self.down = Lane()


class LiveSession:
    """One session: its core's state, its records, its connections."""

    __slots__ = ("customer", "durable", "id", "links", "records", "state")

    def __init__(self, session: str, customer: str) -> None:
        self.id = session
        self.customer = customer
        self.state = core.initial()
        self.records: list[rec.AnyRecord] = []
        self.links: dict[int, Link] = {}
        self.durable: set[str] = set()
        """Names of the timers whose deadlines the journal keeps."""


class Console:
    """One representative's console: somebody listens, or a script said that it is connected."""

    __slots__ = ("held", "listeners")

    def __init__(self) -> None:
        self.held = False
        self.listeners: set[ListenTo] = set()

    def is_up(self) -> bool:
        """Say whether the representative is there."""
        return self.held or bool(self.listeners)
