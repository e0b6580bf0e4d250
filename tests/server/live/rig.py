"""A session server on loopback for one test: in this process, or as one of its own that may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from rrsim.protocol import messages as msg
from rrsim.server.live.history import Entry, decode_entry
from rrsim.server.live.limits import Limits
from rrsim.server.live.main import Endpoints, LiveServer, ServerOptions
from tests.server.live.scripted import PATIENCE_S, ScriptedAgent

ROOT = Path(__file__).parents[3]


class Handle:
    """What a test holds of a running server."""

    def __init__(self, endpoints: Endpoints, server: LiveServer | None = None) -> None:
        self.endpoints = endpoints
        self.server = server
        """The server itself, if it runs in this process."""
        self.token = Path(endpoints.token_file).read_text(encoding="ascii").strip()
        self.base = f"http://{endpoints.api_host}:{endpoints.api_port}"
        self.http = httpx.AsyncClient(
            base_url=self.base, headers={"Authorization": f"Bearer {self.token}"}, timeout=PATIENCE_S, trust_env=False
        )

    async def ask(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """Send a request and return the body of the answer; its status must be ``status``, or a good one."""
        content = None if body is None else msgspec.json.encode(body)
        answer = await self.http.request(
            method, path, content=content, headers={"content-type": "application/json"} if content else {}
        )
        assert answer.status_code == status if status else answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    async def session(self, name: str = "session-1", **more: Any) -> str:
        """Make a session and return its code."""
        made = await self.ask("POST", "/api/sessions", {"session": name, **more})
        return str(made["code"])

    async def rep(self, session: str, message: msg.Message, rep: str = "rep-1") -> Any:
        """Act as a representative."""
        return await self.ask("POST", f"/api/sessions/{session}/rep", {"rep": rep, "message": message})

    async def show(self, session: str = "session-1") -> Any:
        """Return what the server knows about a session."""
        return await self.ask("GET", f"/api/sessions/{session}")

    async def transcript(self, session: str) -> list[str]:
        """Return the texts of the chat."""
        return [line["text"] for line in await self.ask("GET", f"/api/sessions/{session}/transcript")]

    async def state_is(self, session: str, state: str) -> Any:
        """Wait until a session is in this state; what it waits on is the history, not the time."""
        history = self.server.registry.history if self.server else None
        assert history is not None, "only for a server in this process"
        async with asyncio.timeout(PATIENCE_S):
            while True:
                seen = len(history)
                shown = await self.show(session)
                if shown["state"] == state:
                    return shown
                await history.more(seen)

    async def said(self, session: str, text: str) -> None:
        """Wait until this line is in the chat; what it waits on is the history, not the time."""
        history = self.server.registry.history if self.server else None
        assert history is not None, "only for a server in this process"
        async with asyncio.timeout(PATIENCE_S):
            while True:
                seen = len(history)
                if text in await self.transcript(session):
                    return
                await history.more(seen)

    def agent(self, number: int = 1, **more: Any) -> ScriptedAgent:
        """Return a scripted agent on machine ``number``."""
        return ScriptedAgent(self.endpoints.agent_port, Path(self.endpoints.ca), f"machine-{number}", **more)

    def socket(self, path: str) -> Any:
        """Open a WebSocket of the API."""
        return connect(
            f"ws://{self.endpoints.api_host}:{self.endpoints.api_port}{path}",
            additional_headers={"Authorization": f"Bearer {self.token}"}, compression=None, proxy=None,
            max_queue=None,  # a test that stops reading must still be able to close
        )  # fmt: skip

    async def active(self, name: str = "session-1", number: int = 1, **account: Any) -> ScriptedAgent:
        """Make a session, let an agent join and a representative take it."""
        agent = await self.agent(number).connect()
        await agent.join(await self.session(name, account=account))
        await self.rep(name, msg.Take())
        return agent

    async def order(self, agent: ScriptedAgent) -> msg.Order:
        """Have the representative order a restart."""
        shown = await self.rep(agent.session, msg.AskRestart("chat window"))
        await self.rep(agent.session, msg.Confirm(shown["restart"]["number"], "yes"))
        return await agent.expect(msg.Order)


@contextlib.asynccontextmanager
async def running(state: Path, limits: Limits | None = None, **options: Any) -> AsyncIterator[Handle]:
    """Run a server in this process."""
    server = LiveServer(ServerOptions(state=state, limits=limits or Limits(), **options))
    try:
        handle = Handle(await server.start(), server)
        try:
            await handle.ask("POST", "/api/reps/rep-1/connect")
            yield handle
        finally:
            await handle.http.aclose()
    finally:
        await server.stop()


class Process:
    """A server in a process of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.process: asyncio.subprocess.Process | None = None
        self.handle: Handle | None = None

    async def start(self) -> Handle:
        """Start it, or start it again; return once it listens."""
        with (self.state.parent / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rrsim.server.live", "--state", str(self.state), "--log-level", "debug",
                cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=log, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            line = await self.process.stdout.readline()
        assert line, f"the server did not come up: {self.log()}"
        self.handle = Handle(msgspec.json.decode(line, type=Endpoints))
        return self.handle

    def log(self) -> str:
        """Return what the server has logged."""
        return (self.state.parent / "server.log").read_text(encoding="utf-8")

    async def end(self, how: signal.Signals) -> int:
        """Send it a signal and wait for its end."""
        assert self.process is not None
        if self.handle is not None:
            await self.handle.http.aclose()
        if self.process.returncode is None:
            self.process.send_signal(how)
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def process(state: Path) -> AsyncIterator[Process]:
    """Have a server in a process of its own, and end it in any case."""
    server = Process(state)
    try:
        yield server
    finally:
        if server.process is not None:
            await server.end(signal.SIGKILL)
            # The pipe's transport must see the end of the process before the loop closes.
            transport = server.process._transport  # type: ignore[attr-defined]  # there is no public way to close it
            transport.close()


async def next_entry(socket: ClientConnection, type_: str) -> Entry:
    """Return the next entry of the stream whose event has this type on the wire."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            text = await socket.recv()
            if f'"event":{{"type":"{type_}"' in str(text):
                return decode_entry(text)
