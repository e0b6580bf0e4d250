"""This process as a cluster: a task is done when it is gathered. For few seeds, and for tests."""

from __future__ import annotations

from collections import deque

from rrsim.explore.cluster.seam import Done, Work


class Here:
    """One worker: this process."""

    name = "this process"
    slots = 1
    gone = False

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Work, bytes]] = deque()
        self._count = 0

    def submit(self, work: Work, payload: bytes, slot: str = "") -> int:
        """Note a task for later; whatever ``slot`` is, one task at a time has it."""
        del slot
        self._count += 1
        self._waiting.append((self._count, work, payload))
        return self._count

    def gather(self, patience_s: float = 0.5) -> list[Done]:
        """Do the next task, however long it takes. If the user stops it, it counts as not begun."""
        del patience_s
        if not self._waiting:
            return []
        number, work, payload = self._waiting[0]
        data = work(payload)
        self._waiting.popleft()
        return [Done(number, data)]

    def cancel(self) -> int:
        """Forget all tasks."""
        count = len(self._waiting)
        self._waiting.clear()
        return count

    def close(self) -> None:
        """Nothing is open."""
