"""The whole way on real sockets: join, chat, restart, resume; and what consoles and watchers see of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.server.live.history import ServerDown, ServerUp
from tests.server.live.rig import next_entry, running
from tests.server.live.scripted import PATIENCE_S


def test_an_agent_joins_chats_restarts_and_resumes(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            agent = await server.active()
            await server.rep("session-1", msg.RepChat("hello"))
            await agent.expect(msg.ServerChat)
            await agent.say(msg.AgentChat(1, "hi"))
            order = await server.order(agent)
            assert order.order == 1
            await agent.goes_down()
            shown = await server.state_is("session-1", "rebooting")
            assert 599_000_000 < shown["restart"]["window_left_us"] <= 600_000_000
            agent.boot = "boot-2"
            await agent.connect()
            resumed = await agent.resume()
            assert (resumed.session, resumed.order) == ("session-1", 0)
            assert [(await agent.expect(msg.ServerChat)).text for _ in range(2)] == ["hello", "hi"]
            shown = await server.show()
            assert (shown["state"], shown["rep"], shown["restart"]) == ("active", "rep-1", None)
            await agent.say(msg.AgentChat(1, "back again"))
            await agent.say(msg.Heartbeat())
            await agent.expect(msg.HeartbeatReply)
            assert await server.transcript("session-1") == ["hello", "hi", "back again"]
            await agent.hang_up()

    asyncio.run(story())


def test_a_network_loss_reconnects_with_the_live_key(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            agent = await server.active()
            agent.break_off()
            await server.state_is("session-1", "interrupted")
            await agent.connect()
            await agent.reconnect()
            await server.state_is("session-1", "active")
            await agent.hang_up()

    asyncio.run(story())


def test_the_window_runs_out_on_the_real_clock(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            agent = await server.active(resume_window_us=150_000)
            await server.order(agent)
            await agent.goes_down()
            await server.state_is("session-1", "expired")
            agent.boot = "boot-2"
            await agent.connect()
            await agent.say(agent.resume_claim())
            assert (await agent.expect(msg.TurnedAway)).reason == "session expired"
            await agent.hang_up()

    asyncio.run(story())


def test_the_stream_tells_everything_and_no_secret(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server, server.socket("/api/stream?from=0") as stream:
            agent = await server.active()
            await server.order(agent)
            await agent.goes_down()
            assert isinstance((await next_entry(stream, "server up")).event, ServerUp)
            joined = await next_entry(stream, "joined")
            assert joined.event.live_key == "***"
            assert (joined.session, joined.source, joined.conn) == ("session-1", "wire", 1)
            ordered = await next_entry(stream, "order")
            assert ordered.event.ticket == "***"
            opened = await next_entry(stream, "window opened")
            assert opened.event == rec.WindowOpened("session-1", 1, "announcement")
            assert opened.t_us >= ordered.t_us >= joined.t_us
            everything = await server.http.get("/api/sessions/session-1/history?from=0")
            for secret in (agent.key, agent.ticket, server.token):
                assert secret
                assert secret not in everything.text
            types = [entry["event"]["type"] for entry in everything.json()["entries"]]
            assert types[:2] == ["session requested", "session-view"]
            assert {"join", "joined", "order given", "order", "restarting", "connection closed"} <= set(types)

    asyncio.run(story())


async def _shown(socket: Any, type_: str) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            shown = msgspec.json.decode(await socket.recv())
            if shown.get("message", {}).get("type") == type_ or (type_ == "error" and "error" in shown):
                return shown


def test_a_console_over_the_network(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server:
            agent = await server.agent().connect()
            await agent.join(await server.session())
            async with server.socket("/api/reps/rep-2/console") as console:
                assert (await _shown(console, "session-view"))["message"]["state"] == "queued"

                async def say(session: str, message: dict[str, Any]) -> None:
                    await console.send(msgspec.json.encode({"session": session, "message": message}).decode())

                await say("session-1", {"type": "take"})
                assert (await _shown(console, "session-view"))["message"]["state"] == "active"
                await say("session-1", {"type": "ask-restart", "place": "tools menu"})
                asked = await _shown(console, "confirm-restart")
                await say("session-1", {"type": "confirm", "order": asked["message"]["order"], "answer": "yes"})
                await agent.expect(msg.Order)
                await say("no-such-session", {"type": "take"})
                assert "no-such-session" in (await _shown(console, "error"))["error"]
                await console.send("nonsense")
                assert "expected" in (await _shown(console, "error"))["error"]
                assert (await server.ask("GET", "/api/reps"))["reps"] == ["rep-1", "rep-2"]
            async with server.socket("/api/stream?from=0") as stream:
                lost = await next_entry(stream, "rep lost")
                assert lost.event.rep == "rep-2"
            await agent.hang_up()

    asyncio.run(story())


def test_a_restart_of_the_server_keeps_sessions_and_cuts_connections(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as server, server.socket("/api/stream") as stream:
            away = await server.active("session-1", 1)
            await server.rep("session-1", msg.RepChat("before"))
            await server.order(away)
            await away.goes_down()
            await server.state_is("session-1", "rebooting")
            stays = await server.active("session-2", 2)
            await server.ask("POST", "/api/restart", {})
            assert isinstance((await next_entry(stream, "server down")).event, ServerDown)
            assert (await next_entry(stream, "server up")).event == ServerUp(2)
            assert (await server.show("session-2"))["state"] == "interrupted"
            assert (await server.show("session-2"))["rep_lost"] is False
            await stays.connect()
            await stays.reconnect()
            away.boot = "boot-2"
            await away.connect()
            await away.resume()
            assert (await away.expect(msg.ServerChat)).text == "before"
            await server.ask("POST", "/api/restart", {"down_for_us": 50_000})
            await server.ask("GET", "/api/sessions", status=503)
            assert (await next_entry(stream, "server up")).event == ServerUp(2)
            await stays.connect()
            await stays.reconnect()
            await stays.hang_up()

    asyncio.run(story())
