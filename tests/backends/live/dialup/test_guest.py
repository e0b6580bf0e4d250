"""The whole way, for real: a machine under QEMU dials, pppd negotiates with slirp, and a page comes over the line."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rrsim.backends.live.dialup import exchange
from rrsim.backends.live.dialup.dialup import DialUp
from rrsim.backends.live.dialup.line import open_unix
from rrsim.backends.live.dialup.provider import Slirp
from rrsim.machine.observations import DialProgress, LinkChanged
from rrsim.scenario import actions
from tests.backends.live.dialup import guest as guests

pytestmark = [
    pytest.mark.libvirt, pytest.mark.timeout(600),
    pytest.mark.skipif(guests.missing() != "", reason=f"needs {guests.missing()}"),
]
PAGE = b"a page of the session server\n" * 40
PEER_SILENT = 15
"""pppd's exit code when LCP echo is not answered."""


class Stage:
    """A booted machine with its modem, and two servers of which only one may be reached."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.seen: list[DialProgress | LinkChanged] = []
        self.told: list[exchange.Told] = []
        self.failures: list[BaseException] = []
        self.machine: guests.Guest
        self.dial: DialUp
        self.port = self.other_port = 0

    @property
    def phases(self) -> list[str]:
        return [what.phase for what in self.seen if isinstance(what, DialProgress)]

    async def serves(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readline()).decode())
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE)
        await writer.drain()
        writer.close()

    async def online(self, options: str = "") -> None:
        code, said = await self.machine.ask(guests.PPPD.format(options=f"updetach {options}"), 120)
        _, log = await self.machine.ask("cat /tmp/ppp.log; rm -f /tmp/ppp.log")
        assert code == 0, said + log
        assert self.dial.online

    async def fetches(self, port: int) -> tuple[int, str]:
        return await self.machine.ask(f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 8 10.0.2.2 {port}", 90)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    stage = Stage()
    server = await asyncio.start_server(stage.serves, "127.0.0.1", 0)
    other = await asyncio.start_server(stage.serves, "127.0.0.1", 0)
    stage.port, stage.other_port = (one.sockets[0].getsockname()[1] for one in (server, other))
    with tempfile.TemporaryDirectory() as folder:
        async with server, other:
            stage.machine = await guests.Guest.start(Path(folder))
            stage.dial = DialUp(
                Slirp(), lambda: {stage.port}, lambda _: 300_000, stage.seen.append, stage.failures.append,
                tell=stage.told.append,
            )
            try:
                stage.dial.attach(await open_unix(stage.machine.modem_path, 10_000_000))
                yield stage
            finally:
                await stage.dial.close()
                await stage.machine.close()
    assert stage.failures == []


async def it_hears_what_is_wrong_with_the_line(stage: Stage) -> None:
    for action, heard in ((actions.LineBusy(), "BUSY"), (actions.LineDead(), "NO DIALTONE")):
        stage.dial.do(action)
        assert await stage.machine.chat() == guests.ABORTED[heard]
    stage.dial.set_line("no carrier")
    assert await stage.machine.chat() == guests.ABORTED["NO CARRIER"]
    assert stage.phases == ["dialling", "busy", "dialling", "no dial tone", "dialling", "training", "no carrier"]
    stage.dial.do(actions.LineWorks())


async def it_reaches_the_server_and_nothing_else(stage: Stage) -> None:
    await stage.online()
    code, page = await stage.fetches(stage.port)
    assert (code, stage.asked) == (0, ["GET / HTTP/1.0\r\n"])
    assert page.replace("\r", "").endswith(PAGE.decode())
    before = stage.dial.statistics
    assert before.down_bytes > len(PAGE)
    code, page = await stage.fetches(stage.other_port)
    assert (code != 0, "page" in page, len(stage.asked)) == (True, False, 1)
    code, said = await stage.machine.ask("(sleep 1; echo id) | timeout 6 nc -w 4 10.0.2.1 23")
    assert code != 0, said  # slirp's shell on the host
    assert stage.dial.statistics.turned_away >= before.turned_away + 2


async def it_hangs_up(stage: Stage) -> None:
    await stage.machine.ask("killall pppd; while pidof pppd; do sleep 1; done")
    assert stage.dial.stage == "idle"
    assert stage.seen[-2:] == [DialProgress("dropped"), LinkChanged(False, "dial-up", "no call")]
    assert stage.told[-1] == exchange.Ended("the provider hung up")


async def it_notices_a_drop_by_itself(stage: Stage) -> None:
    command = guests.PPPD.format(options="nodetach lcp-echo-interval 1 lcp-echo-failure 3")
    asks = asyncio.ensure_future(stage.machine.ask(command, 120))
    async with asyncio.timeout(60):
        while not stage.dial.online:
            await asyncio.wait([asks], timeout=0.1)
            assert not asks.done(), asks.result()
    stage.dial.do(actions.CarrierLost())
    code, _ = await asks
    _, log = await stage.machine.ask("cat /tmp/ppp.log; rm -f /tmp/ppp.log")
    assert code == PEER_SILENT, log
    assert "No response to 3 echo-requests" in log
    assert stage.told[-1] == exchange.Ended("the line was cut")


def test_a_real_machine_dials() -> None:
    async def story() -> None:
        async with staged() as stage:
            await it_hears_what_is_wrong_with_the_line(stage)
            await it_reaches_the_server_and_nothing_else(stage)
            await it_hangs_up(stage)
            await it_notices_a_drop_by_itself(stage)
            await stage.online("noipv6")  # and dials again
            code, _ = await stage.fetches(stage.port)
            assert (code, len(stage.asked)) == (0, 2)

    asyncio.run(asyncio.wait_for(story(), 580))
