"""What all shells have in common: one connection, one call at a time, a hard deadline round each, one boot.

Libraries that block run in daemon threads. When a deadline passes the connection is ended from outside, which lets the
thread go; should it not notice (a name server that never answers), it holds up neither the run nor the end of the
process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

from rrsim.backends.live.shells.interface import (
    OPEN_LIMIT_S,
    Boot,
    DeadlineMissed,
    NotOpen,
    NotYet,
    ShellError,
    ShellFault,
    ShellLost,
    ShellRefused,
    System,
    TooMuch,
)
from rrsim.live_clock import monotonic_us

T = TypeVar("T")
State = Literal["new", "open", "over"]

CLOSE_LIMIT_S: Final = 3.0
"""A polite goodbye may take so long; after that the connection is simply ended."""
_STAYS_OPEN: Final = (ShellFault, TooMuch)
"""After these errors the connection of an open shell is still good."""


class Deadline:
    """An instant on the monotonic clock by which a call must be over; handed through all that the call does."""

    def __init__(self, limit_s: float) -> None:
        """Begin now."""
        self.limit_s = limit_s
        self._at_us = monotonic_us() + round(limit_s * 1_000_000)

    @property
    def left_s(self) -> float:
        """Seconds left; never less than a millisecond, which libraries do not take for *without limit*."""
        return max(0.001, (self._at_us - monotonic_us()) / 1_000_000)

    @property
    def passed(self) -> bool:
        """Whether it is too late."""
        return monotonic_us() >= self._at_us

    def at_most_s(self, limit_s: float) -> float:
        """Return the shorter of what is left and ``limit_s``."""
        return min(self.left_s, limit_s)


def in_thread(name: str, call: Callable[[], T]) -> asyncio.Future[T]:
    """Run ``call`` in a daemon thread of its own and return its future outcome; a cancelled one is let go."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(settle: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            settle(value)

    def work() -> None:
        settle: Callable[[Any], None]
        value: Any
        try:
            settle, value = future.set_result, call()
        except BaseException as error:  # noqa: BLE001 -- it is raised again where the outcome is awaited
            settle, value = future.set_exception, error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, settle, value)

    threading.Thread(target=work, name=f"rrsim {name}", daemon=True).start()
    return future


def _look_at(future: asyncio.Future[Any]) -> None:
    """Take note of how something ended that nobody waits for any more, so that the loop does not complain of it."""
    if not future.cancelled():
        future.exception()


class BaseShell(ABC):
    """State, turns, deadlines and boot of a shell; what it speaks is for a subclass."""

    name: str = "remote"

    def __init__(self, system: System, boot: Boot) -> None:
        """Hold a shell that is not open."""
        self.system: System = system
        self.boot = boot
        self._state: State = "new"
        self._why_over = ""
        self._turn = asyncio.Lock()
        self._sent = False
        """Whether the running call has got so far that the machine may act on it."""

    @abstractmethod
    def _abort(self) -> None:
        """End the connection at once, whatever is going on; must not block or raise, from any thread, repeatedly."""

    @abstractmethod
    async def _connect(self, deadline: Deadline) -> None:
        """Connect and sign in."""

    @abstractmethod
    async def _say_goodbye(self, deadline: Deadline) -> None:
        """End an open connection politely; what goes wrong does not matter."""

    async def open(self, *, limit_s: float = OPEN_LIMIT_S) -> None:
        """Connect and sign in; see :class:`~rrsim.backends.live.shells.interface.Shell`."""
        await self._call("new", "to be opened", self._connect, limit_s)
        self._state = "open"

    async def close(self) -> None:
        """End the connection politely if it is open, and in any case; never raises."""
        was_open, self._state = self._state == "open", "over"
        self._why_over = self._why_over or "it was closed"
        if was_open and not self._turn.locked() and not self.boot.ended:
            task = asyncio.ensure_future(self._say_goodbye(Deadline(CLOSE_LIMIT_S)))
            task.add_done_callback(_look_at)
            try:
                await asyncio.wait({task}, timeout=CLOSE_LIMIT_S)
            finally:
                task.cancel()
                self._abort()
        self._abort()

    def _require(self, state: State) -> None:
        self.boot.require(self.name)
        if self._state == state:
            return
        if state == "new":
            raise NotOpen(f"the {self.name} shell was opened before; make a new one for a new connection")
        why = self._why_over if self._state == "over" else "it was never opened"
        raise NotOpen(f"the {self.name} shell cannot be used: {why}; open a new one")

    def _end(self, why: str) -> None:
        self._state = "over"
        self._why_over = self._why_over or why
        self._abort()

    async def _call(
        self, state: State, what: str, work: Callable[[Deadline], Any], limit_s: float,
    ) -> Any:
        """Carry out one call in its turn, with everything that may end it: its deadline, the boot, a cancellation."""
        self._require(state)
        deadline = Deadline(limit_s)
        try:
            async with asyncio.timeout(limit_s):
                await self._turn.acquire()
        except TimeoutError:
            raise DeadlineMissed(
                f"the {self.name} shell had {limit_s:g} s {what} and was busy with an earlier call all the time; "
                "nothing was carried out"
            ) from None
        try:
            self._require(state)
            self._sent = False
            return await self._bounded(what, work, deadline)
        except _STAYS_OPEN:
            if state == "new":
                self._abort()
            raise
        except (NotYet, ShellRefused):
            self._abort()  # the same object may try again, with a connection that is new
            raise
        except ShellError as error:
            self._end(f"its last call failed ({error})")
            raise
        except BaseException:
            self._end("its last call was broken off")
            raise
        finally:
            self._turn.release()

    async def _bounded(self, what: str, work: Callable[[Deadline], Any], deadline: Deadline) -> Any:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not over.done():
                over.set_result(None)

        def boot_ended() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle)

        task = asyncio.ensure_future(work(deadline))
        task.add_done_callback(_look_at)
        self.boot.on_end(boot_ended)
        try:
            await asyncio.wait({task, over}, timeout=deadline.left_s, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                raise ShellLost(
                    f"the {self.name} shell was {what} when its boot ended ({self.boot.ended})", sent=self._sent
                )
            if task.done():
                with contextlib.suppress(DeadlineMissed):  # what noticed it first makes no difference
                    return task.result()
            raise DeadlineMissed(
                f"the {self.name} shell had {deadline.limit_s:g} s {what} and did not end in time; its connection was "
                "ended, and what was begun may go on in the machine; look at the machine's console, or allow more time"
            ) from None
        finally:
            self.boot.forget(boot_ended)
            over.cancel()
            task.cancel()  # what it waits for is ended by the caller
