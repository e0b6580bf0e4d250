"""Frames that nobody would send on purpose: the server refuses or takes them, and goes on serving."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from rrsim.protocol import codec
from rrsim.protocol import messages as msg
from rrsim.server.live.tls import client_context
from tests.server.live.rig import Handle, running
from tests.server.live.scripted import PATIENCE_S, ScriptedAgent

CANARY = "CANARY-"
_words = st.sampled_from(["session-1", "machine-1", "boot-1", "", CANARY + "1", "ü" * 256, "x" * 257, "\0\n\x1b[31m"])
_messages = st.one_of(*(
    st.builds(kind, **{
        field.name: _words for field in msgspec.structs.fields(kind) if field.type is str
    }) for kind in msg.AgentMessage.__args__
))  # fmt: skip
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["type", "code", "session", "ticket", "versions", CANARY + "key"]) | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def _mangled(data: bytes, at: int, byte: int) -> bytes:
    place = at % max(1, len(data))
    return data[:place] + bytes([byte]) + data[place + 1 :]


_encoded = _messages.map(msgspec.json.encode)
_frames = st.one_of(
    st.binary(max_size=200), st.text(max_size=100), _json.map(msgspec.json.encode), _encoded,
    st.builds(_mangled, _encoded, st.integers(0, 500), st.integers(0, 255)),
)  # fmt: skip
_hello = st.just(codec.encode(msg.Hello((1,), "windows", "application", "machine-2")))
_talk = st.lists(_frames, max_size=3) | st.builds(lambda h, rest: [h, *rest], _hello, st.lists(_frames, max_size=6))


class Underground:
    """A server and a bystander on an event loop of their own, so that Hypothesis can drive them step by step."""

    def __init__(self, tmp_path: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.tmp_path = tmp_path
        self.stack = contextlib.AsyncExitStack()
        self.server: Handle
        self.agent: ScriptedAgent
        self.heard = 0

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        done: Future[Any] = asyncio.run_coroutine_threadsafe(what, self.loop)
        return done.result(60)

    async def start(self) -> None:
        self.server = await self.stack.enter_async_context(running(self.tmp_path))
        self.agent = await self.server.active()
        self.context = client_context(Path(self.server.endpoints.ca))

    async def stop(self) -> None:
        await self.agent.hang_up()
        await self.stack.aclose()

    async def talk(self, frames: list[bytes | str]) -> None:
        """Say all of it on a connection of its own; the bystander's heart beats on, undisturbed."""
        async with connect(
            f"wss://localhost:{self.server.endpoints.agent_port}/agent", ssl=self.context, compression=None,
            proxy=None, max_queue=None,
        ) as ws:  # fmt: skip
            with contextlib.suppress(ConnectionClosed):
                for frame in frames:
                    await ws.send(frame)
        async with asyncio.timeout(PATIENCE_S):
            await self.agent.say(msg.Heartbeat())
            assert isinstance(await self.agent.hear(), msg.HeartbeatReply)
        shown = await self.server.show()
        assert (shown["state"], shown["machine"], shown["present"]) == ("active", "machine-1", True)


@pytest.fixture
def underground(tmp_path: Path) -> Iterator[Underground]:
    """The server of one fuzz test."""
    place = Underground(tmp_path)
    place.thread.start()
    try:
        place.do(place.start())
        try:
            yield place
        finally:
            place.do(place.stop())
    finally:
        place.loop.call_soon_threadsafe(place.loop.stop)
        place.thread.join()
        place.loop.close()


def test_any_frames(underground: Underground, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "rrsim")

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(frames=_talk)
    def talk(frames: list[bytes | str]) -> None:
        underground.do(underground.talk(frames))

    talk()
    assert CANARY not in caplog.text
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR and r.name.startswith("rrsim")]
