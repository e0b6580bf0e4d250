"""Hostile input on the agents' port: refused with a reason, logged without secrets, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rrsim.protocol import codec
from rrsim.protocol import messages as msg
from rrsim.server.live.limits import Limits
from rrsim.server.live.tls import client_context
from tests.server.live.rig import Handle, running
from tests.server.live.scripted import PATIENCE_S, ScriptedAgent

TIGHT = Limits(
    open_s=0.3, claim_s=0.3, messages_per_s=20, messages_at_once=20, connections=40, connections_per_remote=20,
    connections_per_machine=3, unsent_bytes=64 * 1024,
)  # fmt: skip


@contextlib.asynccontextmanager
async def bystander(tmp_path: Path, limits: Limits = TIGHT) -> AsyncIterator[tuple[Handle, ScriptedAgent]]:
    """A server with one agent in an active session, which must not notice anything."""
    async with running(tmp_path, limits) as server:
        agent = await server.active()
        before = await server.show()
        yield server, agent
        await agent.say(msg.Heartbeat())
        await agent.expect(msg.HeartbeatReply)
        assert await server.show() == before
        assert [type(m) for m in agent.seen if not isinstance(m, msg.Welcome | msg.Joined)] == [msg.HeartbeatReply]
        await agent.hang_up()


def _refusals(server: Handle) -> list[str]:
    assert server.server is not None
    entries = server.server.registry.history.since(0)
    return [e.event.reason for e in entries if type(e.event).__name__ == "ConnectionRefused"]


async def _refused(server: Handle, count: int = 1) -> list[str]:
    """Wait until so many connections were refused; return the reasons."""
    assert server.server is not None
    history = server.server.registry.history
    async with asyncio.timeout(PATIENCE_S):
        while len(_refusals(server)) < count:
            await history.more(len(history))
    return _refusals(server)


async def _raw(server: Handle, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = client_context(Path(server.endpoints.ca)) if tls else None
    return await asyncio.open_connection(
        "127.0.0.1", server.endpoints.agent_port, ssl=context, server_hostname="localhost" if tls else None
    )


async def _to_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    data = b""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(PATIENCE_S):
            data = await reader.read()
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return data


def _dial(server: Handle, path: str = "/agent") -> Any:
    return connect(
        f"wss://localhost:{server.endpoints.agent_port}{path}", ssl=client_context(Path(server.endpoints.ca)),
        compression=None, ping_interval=None, max_queue=None, proxy=None,
    )  # fmt: skip


async def _closed(ws: ClientConnection) -> tuple[int, str]:
    """Read to the end and return the close code and reason."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await ws.recv()
    return ws.close_code or 0, ws.close_reason or ""


def test_not_tls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            reader, writer = await _raw(server, tls=False)
            writer.write(b"GET /agent?ticket=CANARY HTTP/1.1\r\nHost: x\r\n\r\n")
            assert not await _to_the_end(reader, writer)
            assert await _refused(server) == ["no TLS: http request"]

    asyncio.run(story())
    assert "no TLS" in caplog.text
    assert "CANARY" not in caplog.text


def test_half_open_handshakes(tmp_path: Path) -> None:
    """Neither TCP without TLS nor TLS without HTTP stays open for long."""

    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            plain = await _raw(server, tls=False)
            silent = await _raw(server, tls=True)
            half = await _raw(server, tls=True)
            half[1].write(b"GET /agent HTTP/1.1\r\nHost: x\r\n")
            for reader, writer in (plain, silent, half):
                await _to_the_end(reader, writer)
            first, *others = sorted(await _refused(server, 3))
            assert first == "no TLS: the handshake was not finished in time"
            assert {r[:58] for r in others} == {"no WebSocket: the opening handshake was not finished or no"}
            assert server.server is not None
            assert server.server.port.door.total == 1

    asyncio.run(story())


def test_not_websocket(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            for request, answer in (
                (b"GET /agent HTTP/1.1\r\nHost: x\r\nAuthorization: CANARY\r\n\r\n", b"HTTP/1.1 426"),
                (b"POST /agent HTTP/1.1\r\nHost: x\r\n\r\n", b""),
                (b"\x00\xff\xfe CANARY \x80" * 50 + b"\r\n\r\n", b""),
                (b"GET /agent HTTP/1.1\r\n" + b"X-Many: CANARY\r\n" * 1000 + b"\r\n", b""),
                (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b""),
            ):
                reader, writer = await _raw(server, tls=True)
                writer.write(request)
                assert (await _to_the_end(reader, writer)).startswith(answer)
            with pytest.raises(InvalidStatus) as refused:
                await _dial(server, "/admin?ticket=CANARY")
            assert refused.value.response.status_code == 404
            assert refused.value.response.body == b"no such path: agents connect to /agent\n"

    asyncio.run(story())
    assert "CANARY" not in caplog.text


HELLO = codec.encode(msg.Hello((1,), "windows", "application", "machine-9"))

BAD_FIRST: list[tuple[bytes | str, int, str]] = [
    (b"\x00\xff\xfe\x80CANARY", 1008, "expected JSON in UTF-8 at $"),
    ("CANARY", 1008, "expected JSON in UTF-8 at $"),
    ('{"type":"CANARY"}', 1008, "unknown message type at $.type"),
    ('{"type":"hello","CANARY":1}', 1008, "unknown field at $"),
    ("[" * 5000, 1008, "wrong type or value at $"),
    (b" " * (codec.MAX_MESSAGE_BYTES + 1), 1009, ""),
    ('{"type":"join","code":"' + "C" * 300 + '"}', 1009, "expected at most 256 characters"),
    ('{"type":"heartbeat"}', 1008, "turned away"),
    ('{"type":"hello","versions":[99],"platform":"windows","mode":"service","machine":"m"}', 1008, "turned away"),
    ('{"type":"hello","versions":[1],"platform":"windows","mode":"service","machine":""}', 1008, "turned away"),
]


@pytest.mark.parametrize("n", range(len(BAD_FIRST)))
def test_bad_first_message(n: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data, code, reason = BAD_FIRST[n]

    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            ws = await _dial(server)
            await ws.send(data)
            assert (code, True) == ((seen := await _closed(ws))[0], seen[1].startswith(reason))

    caplog.set_level(logging.DEBUG, "rrsim.server")
    asyncio.run(story())
    assert "CANARY" not in caplog.text


def test_a_wrong_version_is_told_which_there_are(tmp_path: Path) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            ws = await _dial(server)
            await ws.send(codec.encode(msg.Hello((7, 8), "windows", "service", "machine-2")))
            told = codec.decode(await ws.recv(decode=False), "server")
            assert isinstance(told, msg.TurnedAway)
            assert "this side speaks 1" in told.reason
            await _closed(ws)

    asyncio.run(story())


def test_slow_ones_are_ended(tmp_path: Path) -> None:
    """Whoever makes no claim in time is ended, whether it says nothing or keeps the heart beating."""

    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            mute = await _dial(server)
            beating = await _dial(server)
            await beating.send(HELLO)
            await beating.send(codec.encode(msg.Heartbeat()))
            for ws in (mute, beating):
                assert await _closed(ws) == (1008, "no claim within 0.3 s")

    asyncio.run(story())


def test_an_idle_connection_is_ended(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, Limits(idle_s=0.2)) as server:
            agent = await server.active()
            assert agent.ws is not None
            assert await _closed(agent.ws) == (1008, "nothing was said for 0.2 s")
            await server.state_is("session-1", "interrupted")

    asyncio.run(story())


def test_stolen_and_replayed_tickets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> list[str]:
        async with running(tmp_path) as server:
            agent = await server.active()
            await server.order(agent)
            other = await server.active("session-2", 2)
            await server.order(other)
            await agent.goes_down()
            await server.state_is("session-1", "rebooting")
            agent.boot = "boot-2"

            async def tries(machine: int, session: str, ticket: str, boot: str = "boot-2") -> str:
                visitor = server.agent(machine, boot=boot)
                await visitor.connect()
                visitor.session, visitor.ticket = session, ticket
                await visitor.say(visitor.resume_claim())
                reason = (await visitor.expect(msg.TurnedAway)).reason
                assert visitor.ws is not None
                await _closed(visitor.ws)
                return reason

            assert await tries(3, "session-1", agent.ticket) == "another machine"
            assert await tries(1, "session-1", other.ticket) == "ticket does not match"
            assert await tries(1, "session-1", agent.ticket, "boot-1") == "same boot"
            assert await tries(1, "no-such-session", agent.ticket) == "unknown session"
            await agent.connect()
            await agent.resume()
            assert await tries(1, "session-1", agent.ticket, "boot-3") == "ticket already used"
            for there in (agent, other):
                await there.say(msg.Heartbeat())
                await there.expect(msg.HeartbeatReply)
                await there.hang_up()
            return [agent.ticket, other.ticket, agent.key, other.key]

    caplog.set_level(logging.DEBUG, "rrsim")
    secrets = asyncio.run(story())
    assert all(secrets)
    assert not [secret for secret in secrets if secret in caplog.text]


def test_a_second_hello_in_a_session_ends_only_that_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            rude = await server.active("session-2", 2)
            await rude.say(msg.Hello((1,), "windows", "application", "machine-2"))
            assert rude.ws is not None
            assert await _closed(rude.ws) == (1008, "not a message for this state of the session")
            await server.state_is("session-2", "interrupted")

    asyncio.run(story())


def test_a_flood_of_messages(tmp_path: Path) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            flood = await server.active("session-2", 2)
            assert flood.ws is not None
            with contextlib.suppress(ConnectionClosed):
                for _n in range(100):
                    await flood.ws.send(codec.encode(msg.Heartbeat()), text=True)
            assert await _closed(flood.ws) == (1008, "too many messages: at most 20 a second")

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["pings", "pieces"])
def test_a_flood_of_frames(tmp_path: Path, kind: str) -> None:
    """Neither pings nor the pieces of a message that never ends are free."""

    async def pieces() -> AsyncIterator[str]:
        for _n in range(1000):
            yield ""

    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            flood = await server.active("session-2", 2)
            assert flood.ws is not None
            with contextlib.suppress(ConnectionClosed):
                if kind == "pieces":
                    await flood.ws.send(pieces())
                else:
                    for _n in range(1000):
                        await flood.ws.ping()
            assert await _refused(server) == ["too many frames"]
            await server.state_is("session-2", "interrupted")

    asyncio.run(story())


def test_a_flood_of_connections(tmp_path: Path) -> None:
    """From one address, and of one machine; what is over the limit is told so and the rest goes on."""

    async def story() -> None:
        async with bystander(tmp_path, Limits(connections_per_remote=20, connections_per_machine=3)) as (server, _):
            machine = [await _dial(server) for _ in range(4)]
            for ws in machine:
                await ws.send(HELLO)
            code, reason = await _closed(machine[3])
            assert (code, reason) == (1013, "too many connections of one machine: at most 3 at a time")
            here = [await _dial(server) for _ in range(16)]
            with pytest.raises(InvalidStatus) as refused:
                await _dial(server)
            assert refused.value.response.status_code == 503
            assert refused.value.response.body is not None
            assert refused.value.response.body.startswith(b"too many connections from one address")
            for ws in (*machine, *here):
                await ws.close()
            await (await server.agent(2).connect()).hang_up()

    asyncio.run(story())


def test_a_flood_before_tls(tmp_path: Path) -> None:
    async def story() -> None:
        async with bystander(tmp_path, Limits(connections_per_remote=10, open_s=2)) as (server, _):
            opened = [await _raw(server, tls=False) for _ in range(30)]
            reasons = await _refused(server, 11)
            assert set(reasons) == {"too many connections from one address: at most 10 at a time"}
            for _, writer in opened:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            await _refused(server, 30)
            await (await server.agent(2).connect()).hang_up()

    asyncio.run(story())


def test_an_endpoint_that_does_not_read(tmp_path: Path) -> None:
    async def story() -> None:
        async with bystander(tmp_path) as (server, _):
            deaf = await server.active("session-2", 2)
            assert deaf.ws is not None
            deaf.ws.transport.pause_reading()
            async with asyncio.timeout(60):
                while (await server.show("session-2"))["present"]:
                    for _n in range(50):
                        await server.rep("session-2", msg.RepChat("x" * 4000))
            deaf.break_off()

    asyncio.run(story())


