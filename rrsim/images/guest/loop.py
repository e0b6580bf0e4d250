"""One thread, many descriptors: what the daemon waits for."""

from __future__ import annotations

import heapq
import os
import selectors
from collections.abc import Callable

from rrsim.images.guest import clock

Do = Callable[[], None]


class Timer:
    """Something that is due later, once or again and again."""

    def __init__(self, do: Do, every_us: int | None) -> None:
        """Hold it; made by :class:`Loop`."""
        self.do, self.every_us, self.on = do, every_us, True

    def cancel(self) -> None:
        """Have it not happen any more."""
        self.on = False


class Loop:
    """Descriptors and timers; runs until it is told to stop."""

    def __init__(self) -> None:
        """Begin with nothing to wait for."""
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[int, int, Timer]] = []
        self._count = 0
        self._code: int | None = None

    def watch(self, descriptor: int, readable: Do | None, writable: Do | None = None) -> None:
        """Call these when the descriptor can be read or written; replaces what was said before."""
        events = (selectors.EVENT_READ if readable else 0) | (selectors.EVENT_WRITE if writable else 0)
        known = descriptor in self._selector.get_map()
        if not events:
            if known:
                self._selector.unregister(descriptor)
        elif known:
            self._selector.modify(descriptor, events, (readable, writable))
        else:
            self._selector.register(descriptor, events, (readable, writable))

    def forget(self, descriptor: int) -> None:
        """Wait for this descriptor no longer."""
        self.watch(descriptor, None)

    def after(self, us: int, do: Do) -> Timer:
        """Do something once, ``us`` microseconds from now."""
        return self._push(us, Timer(do, None))

    def every(self, us: int, do: Do) -> Timer:
        """Do something again and again, ``us`` microseconds apart."""
        return self._push(us, Timer(do, us))

    def _push(self, us: int, timer: Timer) -> Timer:
        self._count += 1
        heapq.heappush(self._timers, (clock.monotonic_us() + us, self._count, timer))
        return timer

    @staticmethod
    def _still(timer: Timer) -> bool:
        """Whether a timer goes on: what it did may have cancelled it."""
        return timer.on

    def when_ended(self, pid: int, do: Do) -> None:
        """Call this once when a process has ended; its end is not taken note of (``waitpid``) here."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self.after(0, do)
            return

        def ended() -> None:
            self.forget(handle)
            os.close(handle)
            do()

        self.watch(handle, ended)

    def stop(self, code: int) -> None:
        """Have :meth:`run` return this."""
        self._code = code

    def run(self) -> int:
        """Wait and serve, and return the code given to :meth:`stop`."""
        while self._code is None:
            self.once()
        return self._code

    def _wanted(self, key: selectors.SelectorKey) -> bool:
        """Whether an event found in this round is still wanted: what was done for an earlier one may have closed it."""
        now = self._selector.get_map().get(key.fd)
        return now is not None and now.data is key.data

    def once(self, most_us: int = 1_000_000) -> None:
        """Wait for one round of events, ``most_us`` microseconds at most."""
        now = clock.monotonic_us()
        due = self._timers[0][0] if self._timers else now + most_us
        wait_us = max(0, min(due - now, most_us))
        for key, events in self._selector.select(wait_us / 1_000_000):
            readable, writable = key.data
            if events & selectors.EVENT_WRITE and writable and self._wanted(key):
                writable()
            if events & selectors.EVENT_READ and readable and self._wanted(key):
                readable()
        now = clock.monotonic_us()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            if not timer.on:
                continue
            timer.do()
            if timer.every_us is not None and self._still(timer):
                self._push(timer.every_us, timer)
