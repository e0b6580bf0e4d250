"""The timers of all sessions on one clock: a heap, and one call-back of the event loop for the earliest.

The rule of every driver holds here too: before an input that was taken up at an instant is delivered, all timers due by
then are delivered, in due order (:meth:`Timers.deliver_due`).
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Final

from rrsim.live_clock import monotonic_us

_SPARE: Final = 1024
"""How many outdated heap entries are kept before they are swept out."""


class Timers:
    """Timers by owner and name; ``fire(owner, name, due_us)`` is called for each that is due."""

    def __init__(self, fire: Callable[[str, str, int], None]) -> None:
        self._fire = fire
        self._heap: list[tuple[int, int, str, str]] = []
        self._running: dict[tuple[str, str], tuple[int, int]] = {}
        self._serial = 0
        self._handle: asyncio.TimerHandle | None = None
        self._delivering = False

    def start(self, owner: str, name: str, due_us: int) -> None:
        """Start a timer that is due at monotonic ``due_us``; replaces one of the same owner and name."""
        self._serial += 1
        self._running[owner, name] = due_us, self._serial
        heapq.heappush(self._heap, (due_us, self._serial, owner, name))
        if len(self._heap) > _SPARE + 2 * len(self._running):
            self._heap = [(due, serial, *key) for key, (due, serial) in self._running.items()]
            heapq.heapify(self._heap)
        if self._heap[0][1] == self._serial or self._handle is None:
            self._arm()

    def stop(self, owner: str, name: str) -> None:
        """Forget a timer; harmless if there is none."""
        self._running.pop((owner, name), None)

    def due_us(self, owner: str, name: str) -> int | None:
        """Return when a timer is due, or None if it does not run."""
        found = self._running.get((owner, name))
        return None if found is None else found[0]

    def clear(self) -> None:
        """Forget every timer."""
        self._running.clear()
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def deliver_due(self, now_us: int) -> None:
        """Fire every timer due at or before ``now_us``, in due order, those that firing starts included."""
        if self._delivering or not self._heap or self._heap[0][0] > now_us:
            return
        self._delivering = True
        try:
            while self._heap and self._heap[0][0] <= now_us:
                due_us, serial, owner, name = heapq.heappop(self._heap)
                if self._running.get((owner, name)) == (due_us, serial):
                    del self._running[owner, name]
                    self._fire(owner, name, due_us)
        finally:
            self._delivering = False
            self._arm()

    def _arm(self) -> None:
        if self._delivering:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        while self._heap and self._running.get(self._heap[0][2:]) != self._heap[0][:2]:
            heapq.heappop(self._heap)
        if self._heap:
            loop = asyncio.get_running_loop()
            # The loop's clock is the monotonic clock, in seconds; a delay is exact whatever its origin.
            after_us = max(0, self._heap[0][0] - monotonic_us())
            self._handle = loop.call_later(after_us / 1e6, self._woke)

    def _woke(self) -> None:
        self._handle = None
        self.deliver_due(monotonic_us())
        if self._handle is None:
            self._arm()
