"""The mutable bookkeeping of a run: one :class:`Side` per customer, one :class:`SessionSide` per session, one
:class:`Link` per connection. They hold references to interned part states and to what is under way; no decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rrsim.backends.sim.draws import Draws
from rrsim.backends.sim.kernel import Timer
from rrsim.backends.sim.memo import Node
from rrsim.protocol.records import AnyRecord

CONN_NUMBERS = 64
"""Connection numbers of a side run 1..64 and wrap, so that part states stay finite."""


class Link:
    """One established connection between an endpoint and the session server."""

    __slots__ = ("at_agent", "at_server", "conn", "desk", "greeted", "server_number", "session", "side", "stranger")

    def __init__(self, side: Side, conn: int, desk: Any, stranger: Any = None) -> None:
        self.side = side
        self.conn = conn
        self.desk = desk
        self.stranger = stranger
        self.session: SessionSide | None = None
        self.greeted: SessionSide | None = None
        """The session that was told of this connection's hello, before any claim."""
        self.server_number = conn
        self.at_agent = True
        """The endpoint still believes in it."""
        self.at_server = True
        """The server still believes in it."""


class SessionSide:
    """One session on the server: its core, its journal, its timers."""

    __slots__ = ("account", "durable", "fresh", "id", "links", "node", "over", "owner", "records", "side", "timers")

    def __init__(self, session: str, side: Side, node: Node, account: Any) -> None:
        self.id = session
        self.side = side
        self.node = node
        self.account = account
        self.owner = "rep-1"
        self.records: list[AnyRecord] = []
        self.links: dict[int, Link] = {}
        self.timers: dict[str, Timer] = {}
        self.durable: dict[str, int] = {}
        self.fresh = 0
        self.over = False


class Side:
    """One customer's side of the world: PC, network, person and agent process."""

    __slots__ = (
        "agent", "agent_source", "agent_timers", "alive", "asked_ticket", "conn", "customer_source",
        "down_free_us", "draws", "epoch", "frozen", "generation", "held_down", "held_up", "last_conn",
        "link", "links", "machine", "missed", "net", "net_source", "net_timers", "number", "pc",
        "pc_source", "pc_timers", "person", "person_timers", "phase", "probing", "session", "session_count",
        "strangers", "up_free_us", "wire_source",
    )  # fmt: skip

    def __init__(self, number: int, draws: Draws, pc: Node, net: Node, person: Node) -> None:
        self.number = number
        self.draws = draws
        self.pc = pc
        self.net = net
        self.person = person
        self.agent: Node | None = None
        self.alive = False
        self.frozen = False
        """The process lives but gets no processor time; what it would have heard waits in ``missed``."""
        self.missed: list[tuple[Callable[[Any, Any], None], Any]] = []
        self.epoch = 0
        """Counts what the agent did about its connection: news of an earlier one never reaches it (host.Disconnect)."""
        self.generation = 0
        """Counts agent processes: deliveries meant for an earlier one are dropped."""
        self.pc_timers: dict[str, Timer] = {}
        self.net_timers: dict[str, Timer] = {}
        self.person_timers: dict[str, Timer] = {}
        self.agent_timers: dict[str, Timer] = {}
        self.conn = 0
        """Number of the connection the agent has or is trying to get; 0: none."""
        self.last_conn = 0
        self.links: dict[int, Link] = {}
        self.link: Link | None = None
        self.up_free_us = 0
        """Messages towards the server keep their order: none arrives before this."""
        self.down_free_us = 0
        self.held_up: list[tuple[Link, Any]] = []
        self.held_down: list[tuple[Link, Any]] = []
        self.session: SessionSide | None = None
        self.session_count = 0
        self.strangers = 0
        self.machine = f"machine-{number}"
        self.asked_ticket = ""
        """The latest ticket that travelled to this customer: what a stranger could have copied (SE-02)."""
        self.phase = "desktop"
        self.probing = False
        self.pc_source = f"pc-{number}"
        self.net_source = f"net-{number}"
        self.customer_source = f"customer-{number}"
        self.agent_source = f"agent-{number}"
        self.wire_source = f"wire-{number}"
