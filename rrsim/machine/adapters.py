"""The two ends of a support session as plug-ins: agents and session servers, the bundled ones and other products'.

An adapter is found through an entry point group: ``rrsim.agents`` (installs build X, starts it, names its windows) or
``rrsim.servers`` (creates sessions, acts as representative, tells what happened). Nothing outside an adapter knows a
product's file names, windows or messages. An adapter says what it can observe; a check that needs more says
*unknown*. ``docs/adapters.md`` shows how to write one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Literal, Protocol

import msgspec

from rrsim.machine.desktop import DesktopWindow
from rrsim.machine.interface import Capability
from rrsim.machine.observations import HostVerb, Window
from rrsim.protocol.messages import AgentMode
from rrsim.protocol.records import SessionKind
from rrsim.protocol.settings import Account

Progress = Callable[[str], None]
StartedBy = Literal["customer", "autostart", "service", "recovery"]

SEEN_THROUGH_SERVER: Final = frozenset({"server", "wire", "console"})
"""Kinds of sources that are seen only if the server's adapter tells of them."""
SEEN_THROUGH_AGENT: Final = frozenset({
    "agent started", "clicked", "host call", "inventory taken", "screen capture", "window shown",
})
"""Event tags that are seen only if the agent's adapter says what to look at: processes, windows, buttons, watches."""


class AdapterError(RuntimeError):
    """An adapter is not there, cannot be loaded, or its product does not do what it should at the harness's wish."""


class Address(msgspec.Struct, frozen=True):
    """Where the agent has to connect, and which authority vouches for that."""

    host: str
    """The name in the server's certificate."""
    port: int
    ca_file: str


class Entry(msgspec.Struct, frozen=True):
    """Something the session server's side saw."""

    t_us: int
    """Monotonic time of this host, in microseconds."""
    source: str
    """``server`` for records, ``wire`` for messages between server and agent, ``console`` for the representative's."""
    session: str
    event: Any
    """A record, a message, or an observation; secrets are masked."""


class Watch(msgspec.Struct, frozen=True):
    """Something on the machine whose change is the outside witness of a call to the operating system (I7, rule 3)."""

    kind: str
    """``file``, ``value`` (a registry value) or ``key`` (a registry key)."""
    path: str
    """Windows path of the file; ``HKCU\\...\\Key`` of a key; ``HKCU\\...\\Key\\\\Value`` of a value (two backslashes
    before it)."""
    appears: HostVerb | None = None
    goes: HostVerb | None = None
    changes: HostVerb | None = None
    marker: str = ""
    """For files: a text inside (decrypted by the harness with the owner's rights) that makes the write count as
    ``marked``."""
    marked: HostVerb | None = None


class ServerAdapter(Protocol):
    """A session server that the harness starts, drives and listens to."""

    name: str
    observes: frozenset[str]
    """Which of ``server``, ``wire`` and ``console`` its entries carry."""
    scales: bool
    """Whether its account settings take scaled durations; without, its cases run at time scale 1 only."""
    lacks: frozenset[Capability]
    """What a scenario may need and this server cannot do, such as ``server restart``: such cases are skipped."""

    def secrets(self) -> tuple[str, ...]:
        """Return the credentials it works with, resolved: the harness masks them in everything it keeps."""

    def unsupported(self, kind: SessionKind, account: Account) -> str:
        """Say what of a session this product does not have, such as a setting of the account; empty: it has all.

        Cases with such a session are skipped with that reason.
        """

    async def start(self, folder: str) -> Address:
        """Start it, with its data in the folder of this path, made if missing; return where agents connect."""

    async def create_session(self, session: str, kind: SessionKind, account: Account) -> str:
        """Let a customer ask for support; return the code to be typed on the customer's PC."""

    async def console(self, rep: str, connected: bool) -> None:
        """Connect or disconnect a representative's console."""

    async def rep_says(self, session: str, rep: str, message: Any) -> None:
        """Act as the representative: send a message of the console."""

    def entries(self) -> AsyncIterator[Entry]:
        """Tell everything that happens, from the start, in the order of the server."""

    async def restart(self, down_for_us: int) -> None:
        """Kill the server's process, and start it again after so long."""

    async def close(self) -> None:
        """End it."""

    def evidence(self) -> dict[str, bytes]:
        """Return logs and journal for the bundle of a failed run: file name to content, without secrets."""


class AgentAdapter(Protocol):
    """An agent that the harness installs on a machine and whose windows it can name."""

    name: str
    modes: frozenset[AgentMode]
    observes: frozenset[str]
    """Which of :data:`SEEN_THROUGH_AGENT` it makes visible. The others count as not observed: a check or a verdict that
    rests on them says *unknown*."""
    lacks: frozenset[Capability]
    """What a scenario may need and this agent cannot do: such cases are skipped."""
    executables: tuple[str, ...]
    """File names of its programs, lower case: a restart that one of them asks for has the cause ``agent``."""

    def secrets(self) -> tuple[str, ...]:
        """Return the credentials it works with, resolved: the harness masks them in everything it keeps."""

    async def prepare(self, progress: Progress) -> str:
        """Build or find what will be installed; return its digest or version for the report."""

    async def lay_in(self, machine: Any) -> None:
        """Copy to the machine what every installation has in common, if anything: kept for all runs of a build where
        machines begin from a kept state. ``install`` follows in each run, and may copy the same once more."""

    async def install(self, machine: Any, mode: AgentMode, address: Address, language: str) -> None:
        """Put it on the machine, as the customer or an administrator would."""

    async def start_support(self, machine: Any, code: str) -> None:
        """Start the customer's program and type the code, with real input."""

    def window(self, window: DesktopWindow) -> Window | None:
        """Say which of the agent's windows this is, if it is one."""

    def control(self, window: Window, button: str) -> int | str | None:
        """Return what to press for a button in one of the agent's windows: a control's id, its label, or ``close`` for
        the X in the title bar."""

    def shows_sharing(self, window: DesktopWindow) -> bool:
        """Say whether this window tells the customer that the screen is being shared."""

    def core_process(self, command_line: str) -> bool:
        """Say whether a process with this command line is the one that decides."""

    def helper_process(self, command_line: str) -> bool:
        """Say whether a process with this command line only shows windows for a service."""

    def started_by(self, command_line: str, mode: AgentMode) -> StartedBy:
        """Say who starts a deciding process that has this command line."""

    def chat_controls(self) -> tuple[int, int]:
        """Return the control ids of the line and of the send button in the chat window."""

    def watches(self, mode: AgentMode) -> tuple[Watch, ...]:
        """Return what on the machine shows the agent's calls to the operating system."""

    def belongs(self, item: str) -> bool:
        """Say whether an inventory item is the installed product itself, which stays after a session."""

    def plain_name(self, item: str) -> str:
        """Return the name that scenarios use for an inventory item, such as ``file:ticket``."""

    def logs(self, machine: Any) -> dict[str, bytes]:
        """Return the agent's logs for the bundle: file name to content, without secrets."""
