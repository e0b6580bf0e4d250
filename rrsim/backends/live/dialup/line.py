"""The machine's serial port as a stream of bytes, whoever carries it.

libvirt and QEMU offer a serial port as a unix socket, libvirt also as a console stream: everything that can read,
write, drain and close fits. :mod:`.dialup` joins such a stream to the modem.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final, Protocol

from rrsim.backends.live.timers import pause
from rrsim.live_clock import monotonic_us

READ_BYTES: Final = 1024
_POLL_US: Final = 50_000
_LONGEST_UNIX_PATH: Final = 107


class NoSerialPort(Exception):
    """The machine's serial port cannot be reached."""


class ByteStream(Protocol):
    """Bytes both ways."""

    async def read(self, n: int) -> bytes:
        """Return at least one byte and at most ``n``; nothing at the end of the stream."""

    def write(self, data: bytes) -> None:
        """Send bytes, at once or later; nothing happens once the stream is closed or broken."""

    async def drain(self) -> None:
        """Wait until more may be written; returns at once when the stream is closed or broken."""

    def close(self) -> None:
        """End the stream both ways; harmless if repeated."""


class AsyncioStream:
    """A stream over asyncio's reader and writer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take both over."""
        self._reader, self._writer = reader, writer

    async def read(self, n: int) -> bytes:
        """Return what has arrived; nothing at the end, or if the connection broke."""
        try:
            return await self._reader.read(n)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait for room."""
        with contextlib.suppress(OSError):
            await self._writer.drain()

    def close(self) -> None:
        """Close the connection; a machine that reads nothing any more cannot hold it open."""
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Close, and wait until the socket is gone."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def open_unix(path: Path, limit_us: int) -> AsyncioStream:
    """Connect to a serial port that a hypervisor offers as a listening unix socket; wait until it is there.

    Raises:
        NoSerialPort: the path is too long for a socket, or nobody listened within ``limit_us`` microseconds.
    """
    if len(str(path).encode()) > _LONGEST_UNIX_PATH:
        raise NoSerialPort(
            f"expected a socket path of at most {_LONGEST_UNIX_PATH} bytes, saw {len(str(path).encode())}: {path}; "
            "choose a shorter folder"
        )
    until_us = monotonic_us() + limit_us
    while True:
        try:
            return AsyncioStream(*await asyncio.open_unix_connection(str(path)))
        except OSError as error:
            if monotonic_us() >= until_us:
                raise NoSerialPort(
                    f"expected the machine's serial port at {path} within {limit_us / 1_000_000:g} s, saw: {error}; "
                    "look whether the machine runs and has a serial port of type unix there"
                ) from error
        await pause(_POLL_US)
