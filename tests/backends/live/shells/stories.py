"""How the tests of the shells tell a story on an event loop, and look at what it left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rrsim.backends.live.timers import pause
from rrsim.live_clock import monotonic_us

T = TypeVar("T")
PATIENCE_S = 10


def tell(story: Coroutine[Any, Any, T]) -> T:
    """Run a story; it fails if it takes too long or the loop has something to complain of."""
    complaints: list[Any] = []

    async def told() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(PATIENCE_S):
            return await story

    result = asyncio.run(told())
    assert complaints == []
    return result


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that nobody announces; the story's patience bounds it."""
    while not holds():
        await pause(5_000)


class Watch:
    """Measures how long something took."""

    def __init__(self) -> None:
        self._began_us = monotonic_us()

    @property
    def s(self) -> float:
        return (monotonic_us() - self._began_us) / 1_000_000


def threads_end(prefix: str, *, within_s: float = 3) -> bool:
    """Whether all threads of this name have ended, or do so in time."""
    watch = Watch()
    for thread in threading.enumerate():
        if thread.name.startswith(prefix):
            thread.join(max(0.01, within_s - watch.s))
    return not any(thread.name.startswith(prefix) for thread in threading.enumerate())
