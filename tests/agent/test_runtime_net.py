"""The asyncio shell around the agent's core, against a real TLS server on loopback."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from rrsim.agent import core, host, runtime
from rrsim.agent.outside import Endpoint, NotSecure
from rrsim.protocol import codec
from rrsim.protocol import messages as msg
from tests.agent.runtime_rig import STARTED, Recorder, Rig, in_thread, listening, running, text

GO = host.ChatTyped("connect")
HELLO = msg.Hello((1,), "windows", "application", "machine-1")


def tell(story: Any, folder: Path, **options: Any) -> None:
    """Run a story with a server that listens."""
    async def told() -> None:
        async with listening(folder, **options) as rig:
            rig.script.on(GO, host.Connect())
            await story(rig)

    asyncio.run(told())


def lines(count: int) -> list[msg.AgentChat]:
    """Return so many chat lines."""
    return [msg.AgentChat(number, "x") for number in range(1, count + 1)]


# --- sending and receiving ------------------------------------------------------------------------------------------


def test_messages_go_both_ways_in_their_order(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        rig.script.on(host.Connected, *(host.Send(line) for line in lines(50)))
        async with running(rig, rig.agent(), GO):
            assert [await rig.peer.got.get() for _ in range(50)] == lines(50)
            for number in range(20):
                await rig.peer.connections[0].send(text(msg.Order(number, "normal", False, "ticket-1")))
            await rig.script.until_heard(host.Received, 20)
        orders = [one.message.order for one in rig.script.heard if isinstance(one, host.Received)]
        assert orders == list(range(20))
        assert [type(one) for one in rig.script.heard[:3]] == [host.Started, host.ChatTyped, host.Connected]

    tell(story, tmp_path)


def test_the_last_words_before_the_end_are_sent(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        said = (host.Send(msg.Leave("the customer left")), host.Disconnect(), host.Exit("left"))
        rig.script.on(host.Connected, *(host.Send(line) for line in lines(200)), *said)
        assert await rig.agent().run(STARTED, GO) == "left"
        got = [await rig.peer.got.get() for _ in range(201)]
        assert got == [*lines(200), msg.Leave("the customer left")]
        assert await rig.peer.gone.get() == 1000

    tell(story, tmp_path)


@pytest.mark.parametrize("last", [(host.Disconnect(), host.Exit("left")), (host.Exit("left"),)])
def test_the_last_words_are_waited_for_on_a_slow_line(tmp_path: Path, last: tuple[Any, ...]) -> None:
    async def story(rig: Rig) -> None:
        agent = rig.agent()
        rig.script.on(host.NetworkChanged(), host.Send(msg.Leave("the customer left")), *last)
        async with running(rig, agent, GO) as task:
            await rig.script.until_heard(host.Connected)
            gate = Gate(agent)
            agent.put(host.NetworkChanged())
            done, _ = await asyncio.wait({task}, timeout=0.2)
            assert not done
            gate.open.set()
            assert await task == "left"
        assert await rig.peer.got.get() == msg.Leave("the customer left")
        assert await rig.peer.gone.get() == 1000

    tell(story, tmp_path)


def test_what_no_message_can_hold_costs_one_line_and_not_the_session(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        rig.script.on(
            host.Connected, host.Send(msg.AgentChat(1, "secret half \ud83d")),
            host.Send(msg.AgentChat(2, "secret " * 1000)), host.Send(msg.AgentChat(3, "x")),
        )  # fmt: skip
        async with running(rig, rig.agent(), GO):
            assert await rig.peer.got.get() == msg.AgentChat(3, "x")
        assert rig.seen.lines.count("not sent: ") == 2
        assert "secret" not in rig.seen.lines

    tell(story, tmp_path)


def test_nothing_is_sent_without_a_connection(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        rig.script.on(host.NetworkChanged(), host.Send(HELLO), host.Exit("done"))
        assert await rig.agent().run(STARTED, host.NetworkChanged()) == "done"
        assert not rig.peer.connections

    tell(story, tmp_path)


# --- connections that are given up ----------------------------------------------------------------------------------


def test_news_of_a_connection_that_was_given_up_is_dropped(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        async def greet(connection: ServerConnection) -> None:
            number = len(rig.peer.connections)
            for line in range(3):
                await connection.send(text(msg.Order(10 * number + line, "normal", False, "ticket-1")))
            if number == 1:
                await connection.close()

        rig.peer.greets = greet
        rig.script.on(host.Received, host.Disconnect(), host.Connect())
        async with running(rig, rig.agent(), GO):
            await rig.script.until_heard(host.Received, 4)
            agents_view = [one.message.order if isinstance(one, host.Received) else type(one).__name__
                           for one in rig.script.heard[2:]]  # fmt: skip
        assert agents_view == ["Connected", 10, "Connected", 20, 21, 22]

    tell(story, tmp_path)


def test_a_connection_attempt_that_is_given_up_says_nothing(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        hello, gone = asyncio.Event(), asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)  # takes the connection, never speaks TLS
            hello.set()
            await reader.read()
            writer.close()
            gone.set()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/agent"
            rig.script.on(host.NetworkChanged(), host.Disconnect())
            agent = rig.agent(Endpoint(url, rig.endpoint.ca_file))
            async with running(rig, agent, GO):
                await hello.wait()
                agent.put(host.NetworkChanged())
                await asyncio.wait_for(gone.wait(), runtime.OPEN_TIMEOUT_S / 3)
        assert rig.script.heard[2:] == [host.NetworkChanged()]

    tell(story, tmp_path)


def test_a_new_connection_closes_the_old_one(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        async with running(rig, rig.agent(), GO):
            await rig.script.until_heard(host.Connected)
            rig.script.on(host.Connected, host.Send(HELLO))
            rig.script.on(host.Received, host.Connect())
            await rig.peer.connections[0].send(text(msg.Order(1, "normal", False, "ticket-1")))
            assert await rig.peer.gone.get() == 1000
            assert await rig.peer.got.get() == HELLO
        assert not [one for one in rig.script.heard if isinstance(one, host.Disconnected)]

    tell(story, tmp_path)


@pytest.mark.parametrize(("code", "reason"), [
    (1000, "closed by the server"), (1011, "closed with code 1011"), (None, "closed without a goodbye"),
])  # fmt: skip
def test_a_connection_that_goes_is_told_with_a_reason(tmp_path: Path, code: int | None, reason: str) -> None:
    async def story(rig: Rig) -> None:
        async def greet(connection: ServerConnection) -> None:
            if code is None:
                connection.transport.abort()
            else:
                await connection.close(code)

        rig.peer.greets = greet
        async with running(rig, rig.agent(), GO):
            assert await rig.script.until_heard(host.Disconnected) == host.Disconnected(reason, 5)

    tell(story, tmp_path)


# --- who is believed ------------------------------------------------------------------------------------------------


async def _refused(rig: Rig, endpoint: Endpoint | None = None) -> str:
    """Connect, and return why that failed; the server must not have got a word."""
    rig.script.on(host.Connected, host.Send(HELLO), host.Exit("connected"))
    rig.script.on(host.ConnectFailed, host.Exit("failed"))
    assert await rig.agent(endpoint).run(STARTED, GO) == "failed"
    assert not rig.peer.connections
    failed = rig.script.heard[-1]
    assert failed.jitter == 5
    assert f"no connection: {failed.reason}" in rig.seen.lines
    return str(failed.reason)


def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        assert (await _refused(rig)).startswith("the server's certificate does not verify: ")

    tell(story, tmp_path, trusted=False)


def test_without_a_file_only_the_systems_authorities_are_believed(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        assert "does not verify" in await _refused(rig, Endpoint(rig.endpoint.url))

    tell(story, tmp_path)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        assert "Hostname mismatch" in await _refused(rig)

    tell(story, tmp_path, name="other.test")


def test_an_address_without_encryption_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        assert rig.endpoint.url.startswith("ws://")
        assert "begins with wss://" in await _refused(rig)

    tell(story, tmp_path, plain=True)
    with pytest.raises(NotSecure, match="wss://"):
        runtime.tls_of(Endpoint("https://localhost/agent"))


def test_a_server_that_speaks_without_encryption_is_refused(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        assert await _refused(rig, Endpoint(f"wss://localhost:{rig.port}/agent", rig.endpoint.ca_file))

    tell(story, tmp_path, plain=True)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        assert "failed" in await _refused(rig, Endpoint(f"wss://127.0.0.1:{port}/agent", rig.endpoint.ca_file))

    tell(story, tmp_path)


@pytest.mark.parametrize("url", ["wss://", "wss://:0/agent", "wss://localhost:99999/agent", "wss://a b/agent",
                                 "wss://" + "x" * 300 + "/agent", "wss://user:word@/agent"])  # fmt: skip
def test_an_address_that_leads_nowhere(tmp_path: Path, url: str) -> None:
    async def story(rig: Rig) -> None:
        reason = await _refused(rig, Endpoint(url, rig.endpoint.ca_file))
        assert "word" not in reason

    tell(story, tmp_path)


def test_an_authoritys_file_that_is_missing_or_damaged(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        none = Endpoint(rig.endpoint.url, str(tmp_path / "none.pem"))
        assert await _refused(rig, none) == "No such file or directory"
        (tmp_path / "bad.pem").write_text("no certificate", encoding="ascii")
        rig.script.on(GO, host.Connect())
        assert await _refused(rig, Endpoint(rig.endpoint.url, str(tmp_path / "bad.pem")))

    tell(story, tmp_path)


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "OPEN_TIMEOUT_S", 0.1)

    async def story(rig: Rig) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"wss://127.0.0.1:{silent.getsockname()[1]}/agent"
            assert await _refused(rig, Endpoint(url, rig.endpoint.ca_file)) == "no answer in time"

    tell(story, tmp_path)


# --- garbage --------------------------------------------------------------------------------------------------------

GOOD = msg.Order(1, "normal", False, "ticket-1")


@pytest.mark.parametrize(("garbage", "code"), [
    ("not json, but ticket-1", 1003), (b"\xff\xfe", 1003), ('{"type":"ticket-1"}', 1003), ("[]", 1003), ("", 1003),
    (codec.encode(HELLO).decode(), 1003), (text(GOOD).replace("ticket-1", "x" * 300), 1003),
    ("[" * 30_000, 1003), ("x" * (codec.MAX_MESSAGE_BYTES + 1), 1009),
])  # fmt: skip
def test_garbage_closes_the_connection(tmp_path: Path, garbage: str | bytes, code: int) -> None:
    async def story(rig: Rig) -> None:
        async def greet(connection: ServerConnection) -> None:
            await connection.send(text(GOOD))
            await connection.send(garbage)
            await connection.send(text(GOOD))

        rig.peer.greets = greet
        async with running(rig, rig.agent(), GO):
            gone = await rig.script.until_heard(host.Disconnected)
            assert await rig.peer.gone.get() == code
        assert gone.reason.startswith("the server sent what is no message" if code == 1003 else "closed without")
        assert [type(one) for one in rig.script.heard[2:]] == [host.Connected, host.Received, host.Disconnected]
        assert "ticket-1" not in rig.seen.lines + gone.reason

    tell(story, tmp_path)


# --- Windows goes down ----------------------------------------------------------------------------------------------


class Gate:
    """Holds what the agent sends until it is opened."""

    def __init__(self, agent: runtime.Agent) -> None:
        assert agent._connection is not None
        assert agent._connection.socket is not None
        self.open = asyncio.Event()
        self.sent: list[bytes] = []
        self._send = agent._connection.socket.send
        agent._connection.socket.send = self.send  # type: ignore[method-assign,assignment] # what the gate is for

    async def send(self, data: bytes, text: bool) -> None:
        """Send when the gate is open."""
        await self.open.wait()
        await self._send(data, text=text)
        self.sent.append(data)


def test_windows_waits_until_the_server_was_told(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        agent = rig.agent()
        rig.script.on(host.SessionEnding, host.Send(msg.Restarting(1)))
        async with running(rig, agent, GO):
            await rig.script.until_heard(host.Connected)
            gate = Gate(agent)
            waits = asyncio.ensure_future(in_thread(agent.put_and_wait, host.SessionEnding(), True))
            await rig.script.until_heard(host.SessionEnding)
            done, _ = await asyncio.wait({waits}, timeout=0.3)
            assert not done, "Windows went on before the server was told"
            gate.open.set()
            await waits
            assert gate.sent == [codec.encode(msg.Restarting(1))]
            assert await rig.peer.got.get() == msg.Restarting(1)
        assert rig.seen.lines == ""

    tell(story, tmp_path)


def test_windows_waits_for_nobody_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "FLUSH_TIMEOUT_S", 0.2)

    async def story(rig: Rig) -> None:
        agent = rig.agent()
        rig.script.on(host.SessionEnding, host.Send(msg.Restarting(1)))
        async with running(rig, agent, GO):
            await rig.script.until_heard(host.Connected)
            gate = Gate(agent)
            await in_thread(agent.put_and_wait, host.SessionEnding(), True)
            assert not gate.sent
        assert "the last messages could not be sent in time" in rig.seen.lines

    tell(story, tmp_path)


def test_an_agent_that_is_stuck_does_not_hold_windows_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "FLUSH_TIMEOUT_S", -0.9)

    seen = Recorder()
    agent = runtime.Agent(Endpoint("wss://localhost/agent"), seen, seen, seen.log, lambda: 0)
    agent.put_and_wait(host.SessionEnding(), True)  # nobody runs it
    assert seen.lines == "Windows goes on although the server could not be told in time"


def test_a_dead_connection_does_not_hold_windows_up(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        loop, agent = asyncio.get_running_loop(), rig.agent()
        rig.script.on(host.SessionEnding, *(host.Send(line) for line in lines(5)))
        async with running(rig, agent, GO):
            await rig.script.until_heard(host.Connected)
            assert agent._connection is not None
            assert agent._connection.socket is not None
            began = loop.time()
            agent._connection.socket.transport.abort()
            await in_thread(agent.put_and_wait, host.SessionEnding(), True)
            assert loop.time() - began < runtime.FLUSH_TIMEOUT_S / 2

    tell(story, tmp_path)


def test_without_a_connection_nobody_waits_for_one(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        loop, agent = asyncio.get_running_loop(), rig.agent()
        async with running(rig, agent):
            began = loop.time()
            await in_thread(agent.put_and_wait, host.SessionEnding(), True)
            assert loop.time() - began < runtime.FLUSH_TIMEOUT_S / 2

    tell(story, tmp_path)


# --- the real core --------------------------------------------------------------------------------------------------


def test_the_real_core_joins_arms_and_tells_of_the_restart(tmp_path: Path) -> None:
    async def story(rig: Rig) -> None:
        agent, peer, asked = rig.agent(step=core.step), rig.peer, []
        loop, requested = asyncio.get_running_loop(), asyncio.Event()

        def carry(what: host.HostRequest) -> str:
            asked.append(type(what).__name__)
            if isinstance(what, host.RequestRestart):
                loop.call_soon_threadsafe(requested.set)
            return ""

        rig.seen.carry = carry
        async with running(rig, agent, host.CustomerStarts("1234")) as task:
            connection = await peer.came.get()
            assert isinstance(await peer.got.get(), msg.Hello)
            await connection.send(text(msg.Welcome(1)))
            assert (await peer.got.get()).code == "1234"
            await connection.send(text(msg.Joined("session-1", "key-1", msg.AgentSettings())))
            await connection.send(text(msg.Order(1, "normal", False, "ticket-1")))
            while not isinstance(await peer.got.get(), msg.Armed):
                pass
            await requested.wait()
            await in_thread(agent.put_and_wait, host.SessionEnding(), True)
            while not isinstance(await peer.got.get(), msg.Restarting):
                pass
            assert not task.done()
        assert asked == ["ArmAutostart", "Save", "Save", "RequestRestart"]
        assert "ticket-1" not in rig.seen.lines
        assert "key-1" not in rig.seen.lines

    tell(story, tmp_path)
