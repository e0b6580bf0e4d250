"""How fast a telephone line is: bytes one way, one after the other. The clock is whoever drives it.

A line is a single queue: a piece is across when everything before it is, and its own bits are. There is no burst. An
event loop that is late may catch up on :data:`LATE_US`, as long as there was always something to send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

PIECES_A_SECOND: Final = 50
"""A line delivers in pieces of a fiftieth of a second: fine enough for a modem, and cheap."""
LEAST_PIECE_BYTES: Final = 16
MOST_PIECE_BYTES: Final = 16 * 1024
LATE_US: Final = 100_000
MOST_HELD_BYTES: Final = 4 * 1024
"""What the modem buffers before it stops the sender, as by flow control."""


class Pace:
    """When bytes are across a line of so many bits per second."""

    def __init__(self, rate_bps: float) -> None:
        """0 for no limit."""
        self._rate_bps = rate_bps
        self._free_us: float | None = None
        """When the line has carried what it was given so far."""

    @property
    def piece_bytes(self) -> int:
        """How many bytes to give it at a time."""
        if self._rate_bps <= 0:
            return MOST_PIECE_BYTES
        return min(MOST_PIECE_BYTES, max(LEAST_PIECE_BYTES, int(self._rate_bps / 8 / PIECES_A_SECOND)))

    def across_after_us(self, count: int, now_us: int, *, was_waiting: bool) -> int:
        """Give it so many bytes now; return after how many microseconds the last of them is across.

        ``was_waiting``: they were waiting already when the piece before them was across.
        """
        if self._rate_bps <= 0:
            return 0
        free_us = now_us if self._free_us is None else self._free_us
        start_us = max(free_us, now_us - (LATE_US if was_waiting else 0))
        self._free_us = start_us + count * 8_000_000 / self._rate_bps
        return max(0, round(self._free_us) - now_us)


class PacedWay:
    """One direction of a call: bytes go in, and come out at the line's pace. Bounded: see :attr:`full`."""

    def __init__(
        self, rate_bps: float, deliver: Callable[[bytes], Awaitable[None]], clock_us: Callable[[], int],
        wait_us: Callable[[int], Awaitable[None]],
    ) -> None:
        """``deliver`` gets every piece, in order, and may block the line."""
        self._pace = Pace(rate_bps)
        self._deliver = deliver
        self._clock_us = clock_us
        self._wait_us = wait_us
        self._held = bytearray()
        self._stalled = self._closed = False
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self.passed_bytes = 0

    @property
    def full(self) -> bool:
        """Whether the sender has to stop."""
        return len(self._held) >= MOST_HELD_BYTES

    def put(self, data: bytes) -> None:
        """Send bytes; they are lost once the way is closed."""
        if not self._closed and data:
            self._held += data
            self._drained.clear()
            self._changed.set()

    def stall(self, *, on: bool) -> None:
        """Hold everything back, or let it flow again."""
        self._stalled = on
        self._changed.set()

    def close(self) -> None:
        """Carry nothing more; what is on its way is lost."""
        self._closed = True
        self._held.clear()
        self._drained.set()
        self._changed.set()

    def is_closed(self) -> bool:
        """Whether it carries nothing any more."""
        return self._closed

    async def room(self) -> None:
        """Wait until the sender may go on."""
        while self.full and not self.is_closed():
            await self._wait_for_change()

    async def emptied(self) -> None:
        """Wait until everything that was put in is across, or lost."""
        await self._drained.wait()

    async def run(self) -> None:
        """Carry bytes until the way is closed."""
        was_waiting = False
        while not self.is_closed():
            if not self._held or self._stalled:
                was_waiting = False
                await self._wait_for_change()
                continue
            piece = bytes(self._held[:self._pace.piece_bytes])
            after_us = self._pace.across_after_us(len(piece), self._clock_us(), was_waiting=was_waiting)
            if after_us:
                await self._wait_us(after_us)
            await self._flows()
            if self.is_closed():
                return
            del self._held[:len(piece)]
            was_waiting = bool(self._held)
            self.passed_bytes += len(piece)
            await self._deliver(piece)
            if not self._held:
                self._drained.set()
            self._changed.set()

    async def _flows(self) -> None:
        """Wait until a stall that began under a piece is over."""
        while self._stalled and not self._closed:
            await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
