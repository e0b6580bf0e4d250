"""Faults that a test sets: messages are lost, late, doubled or out of order, and healed when they are taken back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rrsim.protocol import messages as msg
from tests.server.live.rig import Handle, running
from tests.server.live.scripted import ScriptedAgent


async def _set(server: Handle, kind: str, **more: Any) -> None:
    await server.ask("POST", "/api/faults", {"kind": kind, **more})


async def _texts(agent: ScriptedAgent, count: int) -> list[str]:
    return [(await agent.expect(msg.ServerChat)).text for _ in range(count)]


def test_lose_duplicate_and_reorder_downwards(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            agent = await server.active()
            down = {"direction": "down", "type": "server-chat", "session": "session-1"}
            await _set(server, "lose", **down)
            await server.rep("session-1", msg.RepChat("lost"))
            await _set(server, "duplicate", **down)
            await server.rep("session-1", msg.RepChat("twice"))
            await _set(server, "reorder", **down)
            await server.rep("session-1", msg.RepChat("overtaken"))
            await server.rep("session-1", msg.RepChat("first"))
            assert await _texts(agent, 4) == ["twice", "twice", "first", "overtaken"]
            assert await server.ask("GET", "/api/faults") == []
            page = await server.ask("GET", "/api/sessions/session-1/history")
            acts = [e["event"]["kind"] for e in page["entries"] if e["event"]["type"] == "fault acted"]
            assert acts == ["lose", "duplicate", "reorder"]
            await agent.hang_up()

    asyncio.run(story())


def test_what_is_held_keeps_its_order_until_healed(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            agent = await server.active()
            await _set(server, "delay", direction="up", type="agent-chat")
            await agent.say(msg.AgentChat(1, "one"))
            await agent.say(msg.AgentChat(2, "two"))
            await agent.say(msg.Heartbeat())
            await _set(server, "delay", direction="down", type="server-chat", delay_us=50_000)
            await server.rep("session-1", msg.RepChat("late"))
            await server.rep("session-1", msg.RepChat("behind it"))
            assert await _texts(agent, 2) == ["late", "behind it"]
            assert "one" not in await server.transcript("session-1")
            await server.ask("DELETE", "/api/faults")
            await agent.expect(msg.HeartbeatReply)
            assert await server.transcript("session-1") == ["late", "behind it", "one", "two"]
            await agent.hang_up()

    asyncio.run(story())


def test_drop_takes_the_connection_along(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            agent = await server.active()
            await _set(server, "drop", type="agent-chat")
            await agent.say(msg.AgentChat(1, "never heard"))
            with pytest.raises(ConnectionClosed):
                await agent.hear()
            await server.state_is("session-1", "interrupted")
            await agent.connect()
            assert (await agent.reconnect()).lines == 0
            await agent.hang_up()

    asyncio.run(story())


def test_refuse_everybody_or_one_session(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            agent = await server.active()
            agent.break_off()
            await server.state_is("session-1", "interrupted")
            await _set(server, "refuse", count=2)
            for _ in range(2):
                with pytest.raises(InvalidStatus) as refused:
                    await agent.connect()
                assert refused.value.response.status_code == 503
            await _set(server, "refuse", session="session-1", count=0)
            for _ in range(2):
                await agent.connect()
                await agent.say(msg.Reconnect("session-1", agent.key, "boot-1", restarting=False))
                with pytest.raises(ConnectionClosed) as closed:
                    await agent.hear()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013
            other = await server.active("session-2", 2)
            await other.hang_up()
            await server.ask("DELETE", "/api/faults")
            await agent.connect()
            await agent.reconnect()
            await agent.hang_up()

    asyncio.run(story())
