"""Named timers on the event loop, delivered by one rule: what is due before an input was taken up comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Timers:
    """Timers of one part of a live run, by name."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use this loop's clock."""
        self._loop = loop
        self._handles: dict[Any, asyncio.TimerHandle] = {}

    def start(self, name: Any, after_us: int, call: Callable[..., None], *arguments: Any) -> None:
        """Call ``call`` after so long; replaces a timer of the same name."""
        self.stop(name)
        self._handles[name] = self._loop.call_later(max(0, after_us) / 1_000_000, self._fire, name, call, arguments)

    def _fire(self, name: Any, call: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._handles.pop(name, None)
        call(*arguments)

    def stop(self, name: Any) -> None:
        """Forget a timer; harmless if there is none."""
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.cancel()

    def stop_all(self) -> None:
        """Forget every timer."""
        for name in list(self._handles):
            self.stop(name)


async def pause(us: int) -> None:
    """Let so much time pass: a power cut lasts as long as the scenario says, and what is polled is looked at again."""
    over = asyncio.Event()
    handle = asyncio.get_running_loop().call_later(us / 1_000_000, over.set)
    try:
        await over.wait()
    finally:
        handle.cancel()
