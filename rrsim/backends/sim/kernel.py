"""The virtual-time kernel: a heap, a queue and a loop, in integer microseconds.

Two rules make runs deterministic and the deadline win (``docs/design.md``, *Time*):

* work due at the same instant runs timers first, then everything else, each in the order it was asked for;
* work asked for *now* runs before anything later, but after timers that are due at this instant.

Entries carry the index of the history entry that caused them, so that every event knows its cause.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

Work = Callable[[Any, Any], None]
"""What the kernel runs: a function of two arguments, whatever they mean to the one who asked."""

Timer = list[Any]
"""A heap entry ``[key, sequence, work, a, b, cause]``; cancelled by setting ``work`` to None."""

MAX_EVENTS: Final = 200_000
"""A run that dispatches more than this is in a loop; real ones take a few hundred."""


class RunawayError(RuntimeError):
    """A run dispatched more events than any sensible run can: something loops without time passing."""


class Kernel:
    """Virtual time, and what is due when."""

    __slots__ = ("_heap", "_ready", "_sequence", "cause", "dispatched", "now_us", "stopped")

    def __init__(self) -> None:
        self.now_us = 0
        self.cause = -1
        self.dispatched = 0
        self.stopped = False
        self._heap: list[Timer] = []
        self._ready: deque[tuple[Work, Any, Any, int]] = deque()
        self._sequence = 0

    def soon(self, work: Work, a: Any, b: Any) -> None:
        """Run ``work(a, b)`` at this instant, after what is being done and after timers due now."""
        self._ready.append((work, a, b, self.cause))

    def next(self, work: Work, a: Any, b: Any) -> None:
        """Run ``work(a, b)`` at this instant before everything else asked for with :meth:`soon`."""
        self._ready.appendleft((work, a, b, self.cause))

    def timer(self, due_us: int, work: Work, a: Any, b: Any) -> Timer:
        """Run ``work(a, b)`` at ``due_us``, before other work due then. Returns what :meth:`cancel` takes."""
        self._sequence = sequence = self._sequence + 1
        entry: Timer = [due_us << 1, sequence, work, a, b, self.cause]
        heappush(self._heap, entry)
        return entry

    def at(self, due_us: int, work: Work, a: Any, b: Any) -> None:
        """Run ``work(a, b)`` at ``due_us``, after timers due at the same instant."""
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, [(due_us << 1) | 1, sequence, work, a, b, self.cause])

    @staticmethod
    def cancel(entry: Timer) -> None:
        """Make a timer do nothing; harmless if it has run."""
        entry[2] = None

    def restart(self, timers: dict[Any, Timer], name: Any, due_us: int, work: Work, a: Any, b: Any) -> None:
        """Start the timer ``name`` of a table of timers; one of the same name that still runs is cancelled."""
        old = timers.get(name)
        if old is not None:
            old[2] = None
        timers[name] = self.timer(due_us, work, a, b)

    @staticmethod
    def stop(timers: dict[Any, Timer], name: Any) -> None:
        """Cancel the timer ``name`` of a table; harmless if there is none."""
        old = timers.pop(name, None)
        if old is not None:
            old[2] = None

    @staticmethod
    def stop_all(timers: dict[Any, Timer]) -> None:
        """Cancel every timer of a table."""
        for entry in timers.values():
            entry[2] = None
        timers.clear()

    def run(self, max_events: int = MAX_EVENTS) -> None:
        """Run until stopped or until nothing is due.

        Raises:
            RunawayError: more than ``max_events`` were dispatched.
        """
        heap = self._heap
        ready = self._ready
        dispatched = 0
        while not self.stopped:
            if ready and not (heap and heap[0][0] <= self.now_us << 1):
                work, a, b, self.cause = ready.popleft()
            elif heap:
                key, _, due_work, a, b, cause = heappop(heap)
                if due_work is None:
                    continue
                work = due_work
                self.now_us = key >> 1
                self.cause = cause
            else:
                break
            dispatched += 1
            if dispatched > max_events:
                self.dispatched = dispatched
                raise RunawayError(
                    f"more than {max_events} events by {self.now_us / 1e6:.3f} s: something repeats without end; "
                    "look at the last entries of the history"
                )
            work(a, b)
        self.dispatched = dispatched
