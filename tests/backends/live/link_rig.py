"""A link between a test's own client and server, on real sockets, with every duration fixed and short."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from rrsim.backends.live.link import Link
from rrsim.machine import observations as seen
from rrsim.people.vocabulary import DialNow
from rrsim.scenario.linkdraws import DRAWS
from rrsim.scenario.model import PcSetup
from rrsim.scenario.streams import Streams

PATIENCE_S = 5.0
"""Whatever has not come by then never comes."""

QUICK_US = {
    **dict.fromkeys(DRAWS, 2_000),
    "net timeout": 80_000,
    "net notice": 30_000,
    "net stall": 100_000,
}
BOOT = (
    seen.PhaseBegan("firmware"), seen.BootBegan("boot-2", False, "agent"), seen.PhaseBegan("services"),
    seen.PhaseBegan("welcome"),
)  # fmt: skip
LOGGED_ON = (seen.LoggedOn("customer", "visible", True), seen.PhaseBegan("desktop"))


class Client:
    """An agent's end: a plain TCP connection through the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, text: bytes = b"ping") -> None:
        """Send something; the server must answer it."""
        self.writer.write(text)
        async with asyncio.timeout(PATIENCE_S):
            assert await self.reader.readexactly(len(text)) == text

    async def fate(self) -> str:
        """Wait for the end of the connection: ``closed`` or ``reset``."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.reader.read()
        except ConnectionError:
            return "reset"
        return "closed"

    def hears_nothing(self) -> bool:
        """Nothing came and nobody said goodbye, as far as this end knows."""
        return not self.reader.at_eof() and self.reader.exception() is None and not self.reader._buffer  # type: ignore[attr-defined]  # looks without waiting

    def kill(self) -> None:
        """Vanish as a killed process does."""
        self.writer.transport.abort()


class Accepted:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.got = b""
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def echo(self) -> None:
        """Answer everything; note how it ended."""
        try:
            while data := await self.reader.read(65536):
                self.got += data
                self.writer.write(data)
                await self.writer.drain()
            how = "closed"
        except ConnectionError:
            how = "reset"
        if not self.over.done():
            self.over.set_result(how)
        self.writer.close()

    async def fate(self) -> str:
        """Wait until this end learns that the connection is over, and how."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.shield(self.over)


class Rig:
    """A link, an echo server behind it, and everything the link has observed."""

    def __init__(self, setup: PcSetup, scale: float, fixed: dict[str, int], options: dict[str, Any]) -> None:
        self.seen: list[Any] = []
        self._more = asyncio.Event()
        self.on_seen: Callable[[Any], None] = lambda _: None
        streams = Streams(1, {**QUICK_US, **fixed}, 1, DRAWS)
        self.upstream = ("127.0.0.1", 0)
        self.link = Link(setup, scale, streams, self._observe, lambda: self.upstream, **options)
        self.port = 0
        self.accepted: list[Accepted] = []
        self.clients: list[Client] = []

    def _observe(self, what: Any) -> None:
        self.seen.append(what)
        self._more.set()
        self.on_seen(what)

    async def until(self, what: Any, times: int = 1) -> None:
        """Wait until something was observed so often."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self.seen.count(what) < times:
                    self._more.clear()
                    await self._more.wait()
        assert self.seen.count(what) >= times, f"expected {what}, saw {self.seen}"

    async def until_online(self, kind: str, *, portal: bool) -> None:
        """Wait until the last that was seen of the link is that the whole way is up."""
        wanted = seen.LinkChanged(True, kind, "portal passed" if portal and kind != "vpn" else "")
        async with asyncio.timeout(PATIENCE_S):
            while [one for one in self.seen if isinstance(one, seen.LinkChanged)][-1:] != [wanted]:
                self._more.clear()
                await self._more.wait()

    async def server_ends(self, count: int) -> None:
        """Wait until the server has accepted so many connections."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.accepted) < count:
                self._more.clear()
                await self._more.wait()

    @property
    def tries(self) -> list[str]:
        """How the attempts to connect ended."""
        return [one.outcome for one in self.seen if isinstance(one, seen.ConnectTried)]

    @property
    def calls(self) -> list[str]:
        """What was seen of calls."""
        return [one.phase for one in self.seen if isinstance(one, seen.DialProgress)]

    def shows(self, *observations: Any) -> None:
        """Let the PC live."""
        for one in observations:
            self.link.pc_shows(one)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection of the server's."""
        one = Accepted(reader, writer)
        self.accepted.append(one)
        self._more.set()
        await one.echo()

    async def connect(self) -> Client:
        """Connect to the link's port; what becomes of it is another matter."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def established(self) -> tuple[Client, Accepted]:
        """Connect, and see that bytes pass both ways."""
        client = await self.connect()
        await client.ask()
        return client, self.accepted[-1]

    async def dialled(self) -> None:
        """Sign in and dial, until the connection is up."""
        before = self.calls.count("connected")
        self.link.person_does(DialNow())
        await self.until(seen.DialProgress("connected"), before + 1)


def descriptors() -> int:
    """How many files and sockets this process has open."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@contextlib.asynccontextmanager
async def running(
    setup: PcSetup | None = None, *, scale: float = 1, fixed: dict[str, int] | None = None, **options: Any
) -> AsyncIterator[Rig]:
    """Run a link with an echo server; afterwards nothing of the link may be left."""
    rig = Rig(setup or PcSetup(), scale, fixed or {}, options)
    server = await asyncio.start_server(rig.serve, "127.0.0.1", 0)
    rig.upstream = server.sockets[0].getsockname()
    try:
        rig.port = await rig.link.start()
        yield rig
    finally:
        await rig.link.close()
        assert rig.link.connections == 0
        for client in rig.clients:
            client.writer.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()
        for one in rig.accepted:
            await one.fate()
            with contextlib.suppress(ConnectionError):
                await one.writer.wait_closed()
        server.close()
        await server.wait_closed()


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's story; no task may outlive it."""

    async def watched() -> None:
        before = asyncio.all_tasks()
        async with asyncio.timeout(30):
            await story()
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        assert not [task for task in left if task.get_name() == "link connects"], left

    asyncio.run(watched())
