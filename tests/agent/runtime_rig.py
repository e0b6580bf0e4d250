"""A session server with a certificate on loopback, and an agent's shell around a core that a test tells what to do."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import trustme
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from rrsim.agent import host
from rrsim.agent.outside import Endpoint
from rrsim.agent.runtime import Agent
from rrsim.protocol import codec
from rrsim.protocol import messages as msg

PATIENCE_S = 20.0
"""Longer than anything here takes on a busy machine: only a mistake waits so long."""

STARTED = host.Started(
    host.BootFacts(boot="boot-1", machine="machine-1", platform="windows", mode="application", safe_mode=False,
                   elevated=False, user="ann", desktop="visible"),
    None,
)  # fmt: skip


FORGET = ("forget",)
"""What the recorder writes when the desk is to forget a session."""


class State(msgspec.Struct, frozen=True):
    """What the shell reads of a core's state."""

    settings: msg.AgentSettings = msg.AgentSettings()
    goal: str = "member"


class Script:
    """A core by numbers: inputs are written down, and each is answered with the effects that the test gave for it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.answers: dict[Any, list[tuple[Any, ...]]] = {}
        self.raises: dict[Any, Exception] = {}
        self.states: dict[Any, State] = {}
        """The state after an input; any other input leaves the state alone."""
        self.news = asyncio.Event()

    def on(self, event: Any, *effects: Any) -> None:
        """The next time an input equal to ``event``, or of this type, comes, these are the effects."""
        self.answers.setdefault(event, []).append(effects)

    def step(self, state: Any, event: Any) -> tuple[Any, tuple[Any, ...]]:
        """Take one input."""
        if event in self.raises:
            raise self.raises[event]
        self.heard.append(event)
        self.news.set()
        state = self.states.get(event, state if isinstance(state, State) else State())
        for key in (event, type(event)):
            if self.answers.get(key):
                return state, self.answers[key].pop(0)
        return state, ()

    async def until(self, true: Callable[[list[Any]], bool]) -> None:
        """Wait until the inputs so far are as wanted."""
        while not true(self.heard):
            self.news.clear()
            await self.news.wait()

    async def until_heard(self, kind: Any, times: int = 1) -> Any:
        """Wait for an input of this type, or equal to this, and return the last of them."""
        def found() -> list[Any]:
            return [one for one in self.heard if one == kind or (isinstance(kind, type) and isinstance(one, kind))]

        await self.until(lambda _: len(found()) >= times)
        return found()[-1]


class Recorder:
    """Hands, desk and log in one list, in the order of what happened."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.carry: Callable[[Any], str] = lambda what: ""

    def carry_out(self, what: host.HostRequest) -> str:
        """Carry out a request, in its thread."""
        return self.carry(what)

    def do(self, effect: Any) -> None:
        """Write an effect of the desk down."""
        self.done.append(effect)

    def settings(self, language: str, phone_mode: bool) -> None:
        """Write the settings down."""
        self.done.append((language, phone_mode))

    def forget(self) -> None:
        """Write down that what was shown of a session is to be forgotten."""
        self.done.append(FORGET)

    def log(self, text: str) -> None:
        """Write a line of the log down."""
        self.done.append(text)

    @property
    def lines(self) -> str:
        """The log alone."""
        return "\n".join(one for one in self.done if isinstance(one, str))


class Peer:
    """The server's side: connections in the order they came, each with what was received on it."""

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []
        self.got: asyncio.Queue[Any] = asyncio.Queue()
        self.came: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.gone: asyncio.Queue[int | None] = asyncio.Queue()
        self.greets: Callable[[ServerConnection], Any] | None = None

    async def serve(self, connection: ServerConnection) -> None:
        """Serve one agent until it goes."""
        self.connections.append(connection)
        self.came.put_nowait(connection)
        with contextlib.suppress(ConnectionClosed):  # the close code tells how
            if self.greets is not None:
                await self.greets(connection)
            async for frame in connection:
                self.got.put_nowait(codec.decode(frame.encode() if isinstance(frame, str) else frame, "agent"))
        await connection.wait_closed()
        self.gone.put_nowait(connection.close_code)


def text(message: msg.Message) -> str:
    """Return a message as a text frame."""
    return codec.encode(message).decode()


class Rig:
    """A server that listens, and what an agent needs to reach it."""

    def __init__(self, folder: Path, peer: Peer, server: Server, scheme: str) -> None:
        self.peer, self.server = peer, server
        self.port = server.sockets[0].getsockname()[1]
        self.endpoint = Endpoint(f"{scheme}://localhost:{self.port}/agent", str(folder / "ca.pem"))
        self.script, self.seen = Script(), Recorder()

    def agent(self, endpoint: Endpoint | None = None, step: Any = None) -> Agent:
        """Make an agent with the scripted core."""
        seen = self.seen
        return Agent(endpoint or self.endpoint, seen, seen, seen.log, lambda: 5, step or self.script.step)


@asynccontextmanager
async def listening(
    folder: Path, name: str = "localhost", trusted: bool = True, plain: bool = False
) -> AsyncIterator[Rig]:
    """Listen with a certificate for ``name``, of an authority that the agent knows only if ``trusted``."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    known = authority if trusted else trustme.CA()
    known.cert_pem.write_to_path(str(folder / "ca.pem"))
    peer = Peer()
    async with asyncio.timeout(PATIENCE_S):
        async with serve(peer.serve, "localhost", 0, ssl=None if plain else context, compression=None) as server:
            yield Rig(folder, peer, server, "ws" if plain else "wss")


@asynccontextmanager
async def running(rig: Rig, agent: Agent, *first: host.Input) -> AsyncIterator[asyncio.Task[str]]:
    """Run an agent; it is stopped at the end if it still runs."""
    task = asyncio.get_running_loop().create_task(agent.run(STARTED, *first))
    try:
        yield task
    finally:
        agent.stop("the test is over")
        await task


@contextmanager
def held() -> Iterator[threading.Event]:
    """An event that threads may hang on; it is let go at the end."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


async def in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call from another thread, as Windows and the desktop do."""
    return await asyncio.to_thread(call, *arguments)
