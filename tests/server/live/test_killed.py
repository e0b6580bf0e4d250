"""A server process that is killed in the middle loses no session, no chat line and no deadline."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from rrsim.protocol import messages as msg
from tests.server.live.rig import Handle, process
from tests.server.live.scripted import ScriptedAgent

SESSIONS = 6
LINES = 90
"""Two messages each: as many as may come at once."""
WINDOW_US = 600_000_000


async def _prepare(server: Handle) -> list[ScriptedAgent]:
    await server.ask("POST", "/api/reps/rep-1/connect")
    agents = []
    for number in range(1, SESSIONS + 1):
        agent = await server.active(f"session-{number}", number, resume_window_us=WINDOW_US)
        await server.rep(agent.session, msg.RepChat(f"hello {number}"))
        agents.append(agent)
    for agent in agents[::2]:
        await server.order(agent)
        await agent.goes_down()
    return agents


async def _chat_until_killed(agent: ScriptedAgent, acknowledged: list[str], enough: asyncio.Event) -> None:
    """Chat on; a line counts as acknowledged once the answer to a heartbeat behind it has come."""
    try:
        for line in range(1, LINES + 1):
            text = f"line {line} of {agent.session}"
            await agent.say(msg.AgentChat(line, text))
            await agent.say(msg.Heartbeat())
            await agent.expect(msg.HeartbeatReply)
            acknowledged.append(text)
            if line >= 20:
                enough.set()
    except Exception:  # noqa: BLE001 -- however the kill shows on this side, it ends the chat
        agent.ws = None


def test_killed_while_everybody_is_busy(tmp_path: Path) -> None:
    async def story() -> None:
        async with process(tmp_path / "state") as server:
            handle = await server.start()
            agents = await _prepare(handle)
            chats: dict[str, list[str]] = {agent.session: [] for agent in agents[1::2]}
            enough = asyncio.Event()
            busy = [asyncio.create_task(_chat_until_killed(a, chats[a.session], enough)) for a in agents[1::2]]
            await asyncio.wait_for(enough.wait(), 30)
            assert await server.end(signal.SIGKILL) == -signal.SIGKILL
            await asyncio.wait(busy, timeout=10)
            before = handle.endpoints
            handle = await server.start()
            assert (handle.endpoints.agent_port, handle.endpoints.api_port) == (before.agent_port, before.api_port)
            await _all_back(handle, agents, chats)
            log = server.log()
            for secret in (handle.token, *(a.key for a in agents), *(a.ticket for a in agents[::2])):
                assert secret
                assert secret not in log
                assert secret not in (server.state / "journal" / "journal.jsonl").read_text()
            assert await server.end(signal.SIGTERM) == 0

    asyncio.run(story())


async def _all_back(handle: Handle, agents: list[ScriptedAgent], chats: dict[str, list[str]]) -> None:
    shown = await handle.ask("GET", "/api/sessions")
    assert len(shown) == SESSIONS
    for info in shown:
        away = info["session"] not in chats
        assert info["state"] == ("rebooting" if away else "interrupted")
        if away:
            assert WINDOW_US - 60_000_000 < info["restart"]["window_left_us"] < WINDOW_US
    for number, agent in enumerate(agents, 1):
        said = await handle.transcript(agent.session)
        sure = [f"hello {number}", *chats.get(agent.session, [])]
        assert said[: len(sure)] == sure
        await agent.connect()
        if agent.session in chats:
            resumed = await agent.reconnect()
            assert resumed.lines >= len(chats[agent.session])
        else:
            agent.boot = "boot-2"
            await agent.resume()
        assert (await handle.show(agent.session))["present"]
        await agent.hang_up()


def test_a_window_that_ran_out_while_nobody_served_is_expired(tmp_path: Path) -> None:
    async def story() -> None:
        async with process(tmp_path / "state") as server:
            handle = await server.start()
            agent = await handle.active("session-1", 1, resume_window_us=1_000_000)
            await handle.order(agent)
            await agent.goes_down()
            assert (await handle.show())["state"] == "rebooting"
            await server.end(signal.SIGKILL)
            passed = asyncio.Event()
            asyncio.get_running_loop().call_later(1, passed.set)
            await passed.wait()
            handle = await server.start()
            assert (await handle.show())["state"] == "expired"
            assert await server.end(signal.SIGINT) == 0

    asyncio.run(story())
