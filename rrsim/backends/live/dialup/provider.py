"""The internet provider that a call reaches: Debian's slirp on a pseudo-terminal, one process a call.

slirp speaks PPP and TCP/IP in user space: no privileges, no ``/dev/ppp``. It knows no access control at all (no list of
ports or addresses, and a shell on the host for whoever asks at 10.0.2.1), so a caller is never joined to it directly:
see :mod:`.gate`.

The process lives as long as the call. It reads the end of the pseudo-terminal as the end of the call, so that it also
goes if rrsim is killed; its user's ``~/.slirprc`` is not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tty
from collections import deque
from typing import Final, Protocol

from rrsim.backends.live import processes
from rrsim.backends.live.dialup.line import ByteStream

PROGRAM: Final = "slirp-fullbolt"
INSTALL: Final = "sudo apt-get install -y slirp"
# -P first: it clears every option before it. No "00000" ends the call, no header compression (the gate could not read
# it), packets as on Ethernet, and the end of PPP is the end of the process.
OPTIONS: Final = ("-P", "nozeros", "-vj", "mtu 1500", "ppp_exit", "dns 10.0.2.3", "host addr 127.0.0.1")
STOP_S: Final = 2.0
"""A process that has not ended so long after it was asked to is killed."""
MOST_UNWRITTEN_BYTES: Final = 64 * 1024
_KEPT_OUTPUT_BYTES: Final = 2_000
_NOWHERE: Final = "/nonexistent"


class ProviderFailed(Exception):
    """The internet provider cannot be had."""


class Call(Protocol):
    """The provider's end of one call."""

    @property
    def stream(self) -> ByteStream:
        """PPP both ways; ends when the provider hangs up."""

    @property
    def about(self) -> str:
        """What is known about this end, for a message."""

    async def close(self) -> None:
        """End it in bounded time; harmless if repeated."""


class Provider(Protocol):
    """Whoever answers calls."""

    def check(self) -> None:
        """Look whether calls can be answered.

        Raises:
            ProviderFailed: they cannot; says what is missing.
        """

    async def open(self) -> Call:
        """Answer a call.

        Raises:
            ProviderFailed: nobody answers, through no fault of the scenario.
        """


class PtyStream:
    """The master end of a pseudo-terminal, without a thread."""

    def __init__(self, master: int) -> None:
        """Take the file descriptor over."""
        self._master = master
        self._loop = asyncio.get_running_loop()
        self._held = bytearray()
        self._open = True
        self._room = asyncio.Event()
        self._room.set()
        self._reads: asyncio.Future[bytes] | None = None
        os.set_blocking(master, False)

    async def read(self, n: int) -> bytes:
        """Return what has arrived; nothing at the end."""
        if not self._open:
            return b""
        self._reads = self._loop.create_future()
        self._loop.add_reader(self._master, self._readable, n)
        try:
            return await self._reads
        finally:
            self._reads = None
            if self._open:
                self._loop.remove_reader(self._master)

    def _readable(self, n: int) -> None:
        try:
            data = os.read(self._master, n)
        except BlockingIOError:
            return
        except OSError:  # EIO: the other end is closed
            data = b""
        if self._reads is not None and not self._reads.done():
            self._reads.set_result(data)
        self._loop.remove_reader(self._master)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not self._open or not data:
            return
        if not self._held:
            self._loop.add_writer(self._master, self._writable)
        self._held += data
        if len(self._held) > MOST_UNWRITTEN_BYTES:
            self._room.clear()

    def _writable(self) -> None:
        try:
            del self._held[:os.write(self._master, self._held)]
        except BlockingIOError:
            return
        except OSError:
            self._held.clear()
        if not self._held:
            self._loop.remove_writer(self._master)
        if len(self._held) <= MOST_UNWRITTEN_BYTES:
            self._room.set()

    async def drain(self) -> None:
        """Wait for room."""
        await self._room.wait()

    def close(self) -> None:
        """Close the pseudo-terminal: a terminal that hangs up."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        self._held.clear()
        self._room.set()
        if self._reads is not None and not self._reads.done():
            self._reads.set_result(b"")
        os.close(self._master)


class SlirpCall:
    """One slirp process and its terminal."""

    def __init__(self, process: asyncio.subprocess.Process, stream: PtyStream) -> None:
        """Take both over."""
        self._process = process
        self.stream = stream
        self._said: deque[bytes] = deque(maxlen=8)
        self._listens = asyncio.create_task(self._listen(), name="slirp's own words")

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def about(self) -> str:
        """How the process is, and what it said last."""
        code = self._process.returncode
        state = "runs" if code is None else f"ended with {code}"
        words = b"".join(self._said)[-_KEPT_OUTPUT_BYTES:].decode(errors="replace").split()
        return f"{PROGRAM} (process {self.pid}) {state}; it said last: {' '.join(words[-30:]) or 'nothing'}"

    async def _listen(self) -> None:
        assert self._process.stderr is not None, "started with a pipe"
        with contextlib.suppress(OSError):
            while data := await self._process.stderr.read(_KEPT_OUTPUT_BYTES):
                self._said.append(data)

    async def close(self) -> None:
        """Hang up, end the process, and wait until it is gone."""
        self.stream.close()  # it ends by that, in its own time
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is None:
                await self._end(how)
        self._listens.cancel()
        await asyncio.gather(self._listens, return_exceptions=True)
        if self._process.returncode is None:
            raise ProviderFailed(
                f"expected process {self.pid} ({PROGRAM}) to end within {STOP_S:g} s of being killed, it is still "
                "there; look at its state in /proc"
            )

    async def _end(self, how: signal.Signals) -> None:
        processes.send(self._process, how)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), STOP_S)


class Slirp:
    """A provider whose callers reach nothing but the host's loopback, and of that what the gate lets through."""

    def __init__(self, program: str = PROGRAM) -> None:
        """``program`` is a name on the path, or a path."""
        self._program = program

    def check(self) -> None:
        """Look whether slirp is installed.

        Raises:
            ProviderFailed: it is not; says what to install.
        """
        self._found()

    def _found(self) -> str:
        found = shutil.which(self._program)
        if found is None:
            raise ProviderFailed(
                f"expected the program {self._program} (the internet provider of dial-up), saw none on the path; "
                f"install it with: {INSTALL}"
            )
        return found

    async def open(self) -> SlirpCall:
        """Start slirp for one call.

        Raises:
            ProviderFailed: it is not installed, or did not start.
        """
        command = self._found()
        try:
            master, slave = os.openpty()
        except OSError as error:
            raise ProviderFailed(
                f"expected a pseudo-terminal for {self._program}, saw: {error}; look at /proc/sys/kernel/pty"
            ) from error
        try:
            tty.setraw(slave)
            process = await asyncio.create_subprocess_exec(
                command, *OPTIONS, stdin=slave, stdout=slave, stderr=asyncio.subprocess.PIPE, cwd="/",
                env={"PATH": _NOWHERE, "HOME": _NOWHERE}, start_new_session=True,
            )
        except OSError as error:
            os.close(master)
            raise ProviderFailed(
                f"expected {command} to start, saw: {error}; reinstall it with: {INSTALL}"
            ) from error
        finally:
            os.close(slave)
        return SlirpCall(process, PtyStream(master))


__all__ = [
    "INSTALL", "OPTIONS", "PROGRAM", "Call", "Provider", "ProviderFailed", "PtyStream", "Slirp", "SlirpCall",
]
