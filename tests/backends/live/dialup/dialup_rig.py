"""A dial-up connection whose machine and provider a test plays, in memory, with every duration short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from rrsim.backends.live.dialup import exchange
from rrsim.backends.live.dialup.dialup import DialUp
from rrsim.backends.live.dialup.exchange import Rates
from rrsim.backends.live.dialup.line import ByteStream
from rrsim.backends.live.timers import pause
from rrsim.machine.observations import DialProgress, LinkChanged

PATIENCE_S = 15.0
FAST = Rates(0, 0)


class End:
    """One end of a pipe in memory: a :class:`ByteStream`."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.other: End
        self.closed = False

    async def read(self, n: int) -> bytes:
        return await self.reader.read(n)

    def write(self, data: bytes) -> None:
        if not self.closed and not self.other.closed:
            self.other.reader.feed_data(data)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.reader.feed_eof()
            if not self.other.closed:
                self.other.reader.feed_eof()


def pipe() -> tuple[End, End]:
    one, two = End(), End()
    one.other, two.other = two, one
    return one, two


class FakeCall:
    """A provider's end that a test plays."""

    def __init__(self) -> None:
        self.stream, self.far = pipe()
        self.about = "a test's provider"
        self.closes = 0

    async def close(self) -> None:
        self.closes += 1
        self.stream.close()


class FakeProvider:
    """Answers every call, or fails."""

    def __init__(self) -> None:
        self.calls: list[FakeCall] = []
        self.problem: Exception | None = None

    def check(self) -> None:
        """There is always somebody."""

    async def open(self) -> FakeCall:
        if self.problem is not None:
            raise self.problem
        self.calls.append(FakeCall())
        return self.calls[-1]


class Rig:
    """A machine's end of the port, and everything that was told."""

    def __init__(self) -> None:
        self.provider = FakeProvider()
        self.seen: list[DialProgress | LinkChanged] = []
        self.told: list[exchange.Told] = []
        self.failures: list[BaseException] = []
        self.ports: set[int] = {8080}
        self.dial: DialUp
        self.guest: ByteStream

    @property
    def phases(self) -> list[str]:
        return [what.phase for what in self.seen if isinstance(what, DialProgress)]

    async def hears(self, text: bytes) -> bytes:
        """Read from the port until a text comes."""
        got = b""
        async with asyncio.timeout(PATIENCE_S):
            while text not in got:
                data = await self.guest.read(1_000)
                assert data, got
                got += data
        return got

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await pause(5_000)

    async def calls(self) -> FakeCall:
        """Dial, and wait until the provider has answered."""
        count = len(self.provider.calls)
        self.guest.write(b"ATE0DT5551234\r")
        await self.hears(b"CONNECT 56000\r\n")
        await self.until(lambda: len(self.provider.calls) == count + 1)
        return self.provider.calls[-1]


@asynccontextmanager
async def rig(provider: Any = None, rates: Rates | None = FAST, **more: Any) -> AsyncIterator[Rig]:
    made = Rig()
    made.dial = DialUp(
        provider or made.provider, lambda: made.ports, lambda _: 2_000, made.seen.append, made.failures.append,
        tell=made.told.append, rates=rates, **more,
    )
    near, made.guest = pipe()
    made.dial.attach(near)
    try:
        yield made
    finally:
        await made.dial.close()
    assert not made.dial._tasks


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))
