"""What every remote shell can do, how it fails, and to which boot it belongs.

Rules, learnt from harnesses that hung or took the old Windows for the new one:

1. A shell object is one connection. Once it lost the connection, or missed a deadline, it is over; open a new one.
2. It belongs to one :class:`Boot`. When that boot has ended it refuses, even if something still answers: a service may
   go on answering while the machine goes down.
3. Every call has a deadline of its own that ends the connection; no library's idea of patience counts.
4. A connection lost in mid-command leaves the outcome unknown (:class:`ShellLost`), and says whether the machine may
   have got the command at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec

from rrsim.live_clock import monotonic_us

System = Literal["windows", "linux"]
"""What runs in the machine: it decides how command lines are written."""
Command = list[str] | str
"""A program with its arguments, each taken literally; or one line for the system's own command interpreter."""

YOUNG_S: Final = 180.0
"""So long after a boot began a machine may decline good credentials: what checks them is not up yet."""
OPEN_LIMIT_S: Final = 30.0
"""Default limit of :meth:`Shell.open`."""
MOST_OUTPUT_BYTES: Final = 16 * 1024 * 1024
"""More output than this of one command, on either stream, is an error."""


class ShellError(Exception):
    """Base of everything that goes wrong with a remote shell."""


class NotYet(ShellError):
    """Nothing answers, or not properly, and it is no wonder (yet): try again. Nothing was carried out."""


class ShellRefused(ShellError):
    """The machine declines the credentials; trying again will not help."""


class WrongMachine(ShellRefused):
    """Whoever answers cannot prove to be the machine: another host key or certificate than the known one."""


class DeadlineMissed(ShellError):
    """A call did not end in time; its connection was ended. Whether the command runs on is unknown."""


class ShellLost(ShellError):
    """The connection broke. ``sent``: the machine may have got the command, so that its outcome is unknown."""

    def __init__(self, message: str, *, sent: bool) -> None:
        """Say what was going on when the connection broke."""
        super().__init__(message)
        self.sent = sent


class OldBoot(ShellError):
    """The shell belongs to a boot that is over. Nothing was carried out."""


class NotOpen(ShellError):
    """The shell was never opened, or it is over; or it is open and was to be opened again."""


class ShellFault(ShellError):
    """The machine's end of the shell answered, and said that it cannot do this."""


class TooMuch(ShellError):
    """There is more output, or a file is larger, than the caller allows."""


class Result(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    """Exit code; of Windows programs as an unsigned 32-bit number."""
    out: str
    err: str


class Boot:
    """One boot of one machine, as far as its shells need to know it. All shells opened in a boot share the object."""

    def __init__(self, mark: str | None = None, *, young_s: float = YOUNG_S) -> None:
        """Take the boot to begin now; ``mark`` is its boot mark, if that is known already."""
        self.mark = mark
        self.ended = ""
        self._young_until_us = monotonic_us() + round(young_s * 1_000_000)
        self._listeners: list[Callable[[], None]] = []

    @property
    def young(self) -> bool:
        """Whether good credentials may still be declined because what checks them is not up yet."""
        return monotonic_us() < self._young_until_us

    def require(self, name: str) -> None:
        """Check that the boot goes on.

        Raises:
            OldBoot: it is over; ``name`` is the shell that was to be used.
        """
        if self.ended:
            raise OldBoot(f"the {name} shell belongs to a boot that is over ({self.ended}); open one for the new boot")

    def confirm(self, mark: str) -> None:
        """Compare a boot mark that was just read; the first one read is kept. Another one ends this boot.

        Raises:
            OldBoot: the mark is of another boot.
        """
        if self.mark is None:
            self.mark = mark
        if mark != self.mark:
            self.end(f"its mark was {self.mark}, and {mark} was read")
        self.require("remote")

    def end(self, why: str) -> None:
        """Say that the boot is over, in a few words; running calls of its shells lose their connection at once."""
        if not self.ended:
            self.ended = why or "no reason given"
            listeners, self._listeners = self._listeners, []
            for listener in listeners:
                listener()

    def on_end(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the boot ends, from whatever thread says so; at once if it has ended."""
        if self.ended:
            call()
        else:
            self._listeners.append(call)

    def forget(self, call: Callable[[], None]) -> None:
        """Take back :meth:`on_end`; harmless if it was not asked for."""
        self._listeners = [listener for listener in self._listeners if listener != call]


class Shell(Protocol):
    """One way into one boot of one machine. Calls are carried out one after another.

    Every method may raise :class:`DeadlineMissed`, :class:`ShellLost`, :class:`OldBoot`, :class:`NotOpen` and
    :class:`ShellFault`. Limits are in seconds and cover the whole call.
    """

    @property
    def name(self) -> str:
        """``winrm``, ``ssh`` or ``guest agent``."""

    @property
    def system(self) -> System:
        """What runs in the machine."""

    @property
    def boot(self) -> Boot:
        """The boot that the shell belongs to."""

    async def open(self, *, limit_s: float = OPEN_LIMIT_S) -> None:
        """Connect and sign in. May be called again after :class:`NotYet` and :class:`ShellRefused`.

        Raises:
            NotYet: nothing answers yet, or not properly.
            ShellRefused: the credentials are declined.
            WrongMachine: whoever answers is not the machine.
        """

    async def run(self, command: Command, *, limit_s: float) -> Result:
        """Run a command to its end.

        Raises:
            TooMuch: it printed more than :data:`MOST_OUTPUT_BYTES`.
        """

    async def put(self, local: Path, remote: str, *, limit_s: float) -> None:
        """Copy a file into the machine. It appears under its name only when it is complete."""

    async def get(self, remote: str, *, limit_bytes: int, limit_s: float) -> bytes:
        """Read a file of the machine.

        Raises:
            TooMuch: it is larger than ``limit_bytes``.
        """

    async def start_detached(self, command: Command, *, limit_s: float = OPEN_LIMIT_S) -> int:
        """Start a command that outlives the connection; return its process id."""

    async def close(self) -> None:
        """End the connection; never raises, and takes a few seconds at most."""
