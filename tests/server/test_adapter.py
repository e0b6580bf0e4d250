"""The adapter of the bundled session server, with a real process that is killed and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from rrsim.machine.adapters import AdapterError, Address, Entry
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.server.adapter import BundledServer
from rrsim.server.live import history
from rrsim.server.live.history import ENTRY_ENCODER
from tests.server.live.scripted import ScriptedAgent

PATIENCE_S = 60


class Listener:
    """Takes up what the adapter tells, and can be made to stand still."""

    def __init__(self, server: BundledServer) -> None:
        self.told: list[Entry] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._listen(server))

    async def _listen(self, server: BundledServer) -> None:
        async for entry in server.entries():
            self.told.append(entry)
            self._news.set()
            await self.goes_on.wait()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until what was told is as wanted."""
        while not true():
            assert not self.task.done(), "the adapter tells no more"
            self._news.clear()
            await self._news.wait()

    def lines(self) -> list[str]:
        """The chat lines among the server's records."""
        return [one.event.text for one in self.told if one.source == "server" and isinstance(one.event, rec.ChatLine)]

    def records(self) -> list[Any]:
        """Everything the server wrote down."""
        return [one.event for one in self.told if one.source == "server" and isinstance(one.event, rec.AnyRecord)]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[BundledServer, Listener, ScriptedAgent]]:
    """Run a server with one session that an agent has joined and a representative has taken."""
    server = BundledServer()
    async with asyncio.timeout(PATIENCE_S):
        try:
            address: Address = await server.start(str(folder / "state"))
            listener = Listener(server)
            await server.console("rep-1", True)
            code = await server.create_session("session-1", "standard", Account())
            agent = await ScriptedAgent(address.port, Path(address.ca_file), "machine-1").connect()
            await agent.join(code)
            await server.rep_says("session-1", "rep-1", msg.Take())
            try:
                yield server, listener, agent
            finally:
                listener.task.cancel()
                await agent.hang_up()
        finally:
            await server.close()


def test_everything_is_told_once_and_in_order_also_after_a_kill(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as (server, listener, agent):
            for number in (1, 2, 3):
                await agent.say(msg.AgentChat(number, f"line {number}"))
            await listener.until(lambda: len(listener.lines()) == 3)
            before = listener.records()
            agent.break_off()
            await server.restart(50_000)
            await agent.connect()
            await agent.reconnect()
            await agent.say(msg.AgentChat(4, "line 4"))
            await server.rep_says("session-1", "rep-1", msg.RepChat("line 5"))
            await listener.until(lambda: len(listener.lines()) >= 5)
            assert listener.lines() == [f"line {number}" for number in (1, 2, 3, 4, 5)]
            assert listener.records()[: len(before)] == before
            assert [type(one) for one in before[:2]] == [rec.SessionRequested, rec.EndpointJoined]
            assert {one.source for one in listener.told} == {"server", "wire", "console"}
            times = [one.t_us for one in listener.told if one.source == "server"]
            assert times == sorted(times)

    asyncio.run(story())


def test_what_was_on_the_disk_but_not_told_when_it_was_killed_is_told_afterwards(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as (server, listener, agent):
            await listener.until(lambda: any(isinstance(one, rec.SessionTaken) for one in listener.records()))
            listener.task.cancel()
            await agent.say(msg.AgentChat(1, "line 1"))
            await agent.say(msg.Heartbeat())
            await agent.expect(msg.HeartbeatReply)  # what was said before it is on the disk
            late = Listener(server)
            late.goes_on.clear()  # it has heard of the first record and stands still
            await late.until(lambda: len(late.told) == 1)
            agent.break_off()
            await server.restart(0)
            late.goes_on.set()
            await late.until(lambda: "line 1" in late.lines())
            await agent.connect()
            await agent.reconnect()
            await late.until(lambda: any(isinstance(one, rec.EndpointReconnected) for one in late.records()))
            late.task.cancel()
            wanted = listener.records()
            assert late.records()[: len(wanted)] == wanted
            assert late.lines() == ["line 1"]

    asyncio.run(story())


def _line(n: int, event: Any) -> str:
    return ENTRY_ENCODER.encode(history.Entry(n, n, "server", event, "session-1")).decode()


@pytest.mark.parametrize(("journal", "told"), [
    ((1, 2, 3), (1, 2, 3, 4)),  # 3 was on the disk but on no wire
    ((1, 2), (1, 2, 4)),
    ((2,), (1, 2, 4)),  # a journal may have been made shorter
    ((), (1, 2, 4)),
])  # fmt: skip
def test_of_a_journal_only_what_is_news_is_told(journal: tuple[int, ...], told: tuple[int, ...]) -> None:
    records = {n: rec.RepLost("session-1", f"rep-{n}") for n in range(1, 5)}
    lives = [[records[1], records[2]], [*(records[n] for n in journal), history.ServerUp(1), records[4]]]
    asked: list[str] = []

    async def story() -> None:
        server = BundledServer()

        async def stream(connection: ServerConnection) -> None:
            asked.append(connection.request.path if connection.request else "")
            for n, event in enumerate(lives[server._lives - 1]):
                await connection.send(_line(n, event))
            if server._lives == 1:
                server._lives = 2  # it was killed and is back
            else:
                await connection.wait_closed()

        class Process:
            """A process that goes on."""

            returncode = None

            async def wait(self) -> None:
                """Wait for its end."""
                await asyncio.Event().wait()

        async with asyncio.timeout(PATIENCE_S), serve(stream, "127.0.0.1", 0) as there:
            server._endpoints, server._lives = {"api_port": there.sockets[0].getsockname()[1]}, 1
            server._process = Process()  # type: ignore[assignment] # all that the adapter asks of it here
            server._up.set()
            entries = server.entries()
            found = [(await anext(entries)).event for _ in told]
            await entries.aclose()
        assert found == [records[n] for n in told]
        assert [path.rpartition("=")[2] for path in asked] == ["0", "0"]

    asyncio.run(story())


def test_a_second_kill_repeats_nothing_either(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as (server, listener, agent):
            for number in (1, 2, 3):
                await agent.say(msg.AgentChat(number, f"line {number}"))
                await listener.until(lambda number=number: len(listener.lines()) == number)
                agent.break_off()
                await server.restart(0)
                await agent.connect()
                await agent.reconnect()
            await agent.say(msg.AgentChat(4, "line 4"))
            await listener.until(lambda: len(listener.lines()) >= 4)
            assert listener.lines() == [f"line {number}" for number in (1, 2, 3, 4)]
            assert sum(isinstance(one, rec.SessionRequested) for one in listener.records()) == 1
            assert sum(isinstance(one, rec.EndpointReconnected) for one in listener.records()) == 3

    asyncio.run(story())


def test_secrets_are_in_no_evidence(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as (server, listener, agent):
            await server.rep_says("session-1", "rep-1", msg.AskRestart("chat window"))
            await listener.until(lambda: any(isinstance(one.event, msg.ConfirmRestart) for one in listener.told))
            order = next(one.event.order for one in listener.told if isinstance(one.event, msg.ConfirmRestart))
            await server.rep_says("session-1", "rep-1", msg.Confirm(order, "yes"))
            await agent.expect(msg.Order)
            evidence = b"".join(server.evidence().values()).decode()
            assert "session-1" in evidence
            for secret in (agent.ticket, agent.key, server._token):
                assert len(secret) > 10
                assert secret not in evidence
                assert secret not in repr(listener.told)

    asyncio.run(story())


def test_what_the_server_refuses_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as (server, _, _agent):
            with pytest.raises(AdapterError, match=r"take /api/sessions, saw 409: .*session-1"):
                await server.create_session("session-1", "standard", Account())

    asyncio.run(story())


def test_a_server_that_does_not_come_up_says_what_it_said_last(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "journal").mkdir()
        (tmp_path / "journal" / "journal.jsonl").write_text("garbage\nmore garbage\n", encoding="ascii")
        server = BundledServer()
        with pytest.raises(AdapterError, match=r"it ended with code 70; it said last: rrsim serve: "):
            await server.start(str(tmp_path))
        await server.close()

    asyncio.run(story())


def test_after_close_nothing_runs_and_nothing_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        server = BundledServer()
        await server.start(str(tmp_path))
        listener = Listener(server)
        await server.console("rep-1", True)
        process = server._process
        assert process is not None
        await server.close()
        assert process.returncode == 0
        await asyncio.wait_for(listener.task, 10)
        await server.close()

    asyncio.run(story())
