"""The sockets of a link: one listener for a PC's agent, and every connection through it to the session server.

TLS passes through untouched. What may pass, and when, is :mod:`rrsim.backends.live.link_way`'s word; here it is done to
sockets. Everything is bounded: connections, bytes held (:mod:`rrsim.backends.live.link_flow`), every wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from rrsim.backends.live import link_way
from rrsim.backends.live.link_flow import End, Lane, new_socket
from rrsim.backends.live.link_impostor import Impostor, ImpostorEnd
from rrsim.backends.live.link_pair import CONNECT_S, Pair
from rrsim.backends.live.timers import Timers

LOOPBACK: Final = "127.0.0.1"
MOST_PAIRS: Final = 64
"""Connections at one time. A new one takes the place of the oldest whose agent is gone; without such it is refused."""
CLOSE_S: Final = 5.0


class NotClosed(RuntimeError):
    """Sockets of a link were still there when it should have been closed."""


class Relay:
    """Listener and connections of one link."""

    def __init__(
        self, way: link_way.Way, delay_us: Callable[[str], int], tried: Callable[[str], None],
        upstream: Callable[[], tuple[str, int]], rates_bps: tuple[float, float],
    ) -> None:
        """``tried`` hears how each attempt to connect ended; ``rates_bps`` are to the server and to the PC."""
        self.way = way
        self.delay_us = delay_us
        self.tried = tried
        self._upstream = upstream
        self._loop = asyncio.get_running_loop()
        self.timers = Timers(self._loop)
        self.up = Lane(self._loop, rates_bps[0])
        self.down = Lane(self._loop, rates_bps[1])
        self._pairs: dict[int, Pair] = {}
        self._count = 0
        self._ends: set[End] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._impostor: Impostor | None = None
        self._all_gone: asyncio.Future[None] | None = None
        self._closed = False

    # --- the listener -----------------------------------------------------------------------------------------------

    async def start(self) -> int:
        """Listen on loopback; return the port. Where it listened before, it does no longer."""
        listener = new_socket(LOOPBACK)  # accepted sockets inherit its settings
        listener.bind((LOOPBACK, 0))
        before = self._server
        self._server = await self._loop.create_server(lambda: End(self._accepted, self._end_gone), sock=listener)
        if before is not None:
            before.close()
        return int(listener.getsockname()[1])

    def _accepted(self, end: End) -> None:
        self._ends.add(end)
        if self._closed:
            end.reset()
            return
        if len(self._pairs) >= MOST_PAIRS:
            stale = next((pair for pair in self._pairs.values() if pair.agent_gone), None)
            if stale is None:
                end.reset()
                self.tried("connection refused")
                return
            stale.end()
        self._count += 1
        pair = self._pairs[self._count] = Pair(self, self._count, end)
        end.keeper = pair
        pair.begin()

    def forget(self, pair: Pair) -> None:
        """A connection is over."""
        self._pairs.pop(pair.number, None)

    # --- the other end ----------------------------------------------------------------------------------------------

    def open_upstream(self, pair: Pair) -> None:
        """Connect to the session server for this connection."""
        self._soon(self._open_upstream(pair))

    async def _open_upstream(self, pair: Pair) -> None:
        def made(end: End) -> None:
            self._ends.add(end)
            end.keeper = pair

        host, port = self._upstream()
        bare = new_socket(host)
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._loop.sock_connect(bare, (host, port))
                _, end = await self._loop.create_connection(lambda: End(made, self._end_gone), sock=bare)
        except (OSError, TimeoutError):
            bare.close()
            pair.not_opened("connection refused")
            return
        except asyncio.CancelledError:
            bare.close()
            raise
        pair.opened(end)

    def open_impostor(self, pair: Pair) -> None:
        """Let an impostor answer this connection."""
        self._soon(self._open_impostor(pair))

    async def _open_impostor(self, pair: Pair) -> None:
        if self._impostor is None:
            self._impostor = await asyncio.to_thread(Impostor)
        pair.opened(ImpostorEnd(self._impostor, pair))

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work, name="link connects")
        self._tasks.add(task)
        task.add_done_callback(self._task_over)

    def _task_over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._loop.call_exception_handler({"message": "a link could not connect", "exception": problem})

    # --- what the way does ------------------------------------------------------------------------------------------

    def carry_out(self, effect: link_way.WireEffect) -> None:
        """Do to every connection what the way has decided."""
        for pair in tuple(self._pairs.values()):
            match effect:
                case link_way.Cut():
                    pair.cut(effect.notice)
                case link_way.Mend():
                    pair.mend()
                case link_way.Flow():
                    pair.flow()
                case link_way.Drop():
                    pair.drop()
                case link_way.HalfOpen():
                    pair.half_open()
                case link_way.PcDown():
                    pair.pc_down(clean=effect.clean, passes=effect.passes)
                case link_way.Wake():
                    pair.wake()

    # --- the end ----------------------------------------------------------------------------------------------------

    @property
    def pairs(self) -> int:
        """How many connections there are, those included that only one end still believes in."""
        return len(self._pairs)

    async def close(self) -> None:
        """Stop listening, end every connection, and wait until every socket is closed.

        Raises:
            NotClosed: a socket stayed open; says how many.
        """
        self._closed = True
        if self._server is not None:
            self._server.close()
        for pair in tuple(self._pairs.values()):
            pair.end()
        self.timers.stop_all()
        self.up.close()
        self.down.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in tuple(self._ends):
            end.reset()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._no_ends()
                if self._server is not None:
                    await self._server.wait_closed()
        except TimeoutError:
            raise NotClosed(
                f"expected every socket of the link to be closed within {CLOSE_S:g} s, {len(self._ends)} are still "
                "there; look for a blocked event loop"
            ) from None

    async def _no_ends(self) -> None:
        if self._ends:
            self._all_gone = self._loop.create_future()
            await self._all_gone

    def _end_gone(self, end: End) -> None:
        self._ends.discard(end)
        if not self._ends and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)
