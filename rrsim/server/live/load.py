"""The session server under load: many agents join, are all restarted at once, and all come back.

The server runs in a process of its own, agents and representative in this one, over TLS on loopback. At the end the
server's state and its journal are gone through: every session must be active with its own agent in it, resumed exactly
once, with exactly its own chat lines. The account's resume window is :data:`WINDOW_US`: who is later is lost. With
``kill`` the server process is killed while everybody is away and started again: that must lose nothing either.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import resource
import signal
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from rrsim.live_clock import monotonic_us
from rrsim.protocol import codec
from rrsim.protocol import messages as msg
from rrsim.server.live import journal
from rrsim.server.live.main import Endpoints, expect_many_connections
from rrsim.server.live.tls import client_context

REP: Final = "rep-load"
LINES: Final = 2
"""Chat lines in every session: one of the representative, one of the customer."""
WINDOW_US: Final = 60_000_000
"""The resume window of every session."""
AT_ONCE: Final = 64
"""How many agents shake hands at a time: what one process of agents can do, not a limit of the server."""
RETRY_S: Final = 0.25
PATIENCE_S: Final = 120.0
_REQUESTERS: Final = 8


class LoadFailed(RuntimeError):
    """The load could not be put on the server."""


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    agents: int
    connects_per_s: float
    """Joins a second: TCP, TLS, WebSocket, hello and join."""
    join_p50_ms: float
    join_p99_ms: float
    resumes_per_s: float
    resume_p50_ms: float
    """From the first packet of an agent that comes back to its *resumed*, waiting for its turn left out."""
    resume_p99_ms: float
    all_back_s: float
    """From the first restart asked for to the last agent back in its session."""
    memory_per_session_bytes: int
    """Growth of the server's resident memory while everybody was connected, for each session."""
    lost: int
    duplicated: int
    mixed: int
    killed: bool
    problems: tuple[str, ...] = ()
    """The first few findings, in words."""

    @property
    def ok(self) -> bool:
        """Whether nobody was lost, let in twice, or brought into a wrong session."""
        return not (self.lost or self.duplicated or self.mixed)


class _Agent:
    """One customer's agent, as little of it as the load needs."""

    def __init__(self, number: int, endpoints: Endpoints, context: ssl.SSLContext) -> None:
        self.name = f"load-{number}"
        self.machine = f"machine-{number}"
        self.boot = 1
        self.ws: ClientConnection | None = None
        self.ticket = ""
        self.wrong: list[str] = []
        self._endpoints = endpoints
        self._context = context

    async def connect(self) -> None:
        self.ws = await connect(
            f"wss://localhost:{self._endpoints.agent_port}/agent", ssl=self._context, compression=None, proxy=None,
            ping_interval=None, open_timeout=PATIENCE_S, close_timeout=5,
        )  # fmt: skip
        await self.say(msg.Hello((1,), "windows", "service", self.machine))
        await self.hear(msg.Welcome)

    async def say(self, message: msg.AgentMessage) -> None:
        assert self.ws is not None
        await self.ws.send(codec.encode(message), text=True)

    async def hear(self, kind: type[msg.Message]) -> Any:
        assert self.ws is not None
        while True:
            message = codec.decode(await self.ws.recv(decode=False), "server")
            if isinstance(message, kind):
                return message
            if isinstance(message, msg.TurnedAway | msg.SessionOver):
                self.wrong.append(f"{self.name}: {message.reason}")
                raise LoadFailed(f"expected {kind.__name__} for {self.name}, saw {message.reason}")

    async def join(self) -> None:
        await self.connect()
        await self.say(msg.Join(self.name, f"{self.machine}/{self.boot}", "customer"))
        await self.hear(msg.Joined)
        await self.say(msg.AgentChat(1, f"customer of {self.name}"))

    async def goes_down(self) -> None:
        order = await self.hear(msg.Order)
        self.ticket = order.ticket
        await self.say(msg.Armed(order.order))
        await self.say(msg.Restarting(order.order))
        assert self.ws is not None
        await self.ws.close()
        self.boot += 1

    async def comes_back(self) -> None:
        while True:
            try:
                await self.connect()
                await self.say(msg.Resume(
                    self.name, self.ticket, f"{self.machine}/{self.boot}", False, True, "customer", "visible"
                ))  # fmt: skip
                resumed = await self.hear(msg.Resumed)
                break
            except (OSError, ConnectionClosed, InvalidHandshake):
                await asyncio.sleep(RETRY_S)  # the back-off of an agent whose server is away
        if resumed.session != self.name:
            self.wrong.append(f"{self.name}: resumed into {resumed.session}")
        lines = [(await self.hear(msg.ServerChat)).text for _ in range(LINES)]
        if sorted(lines) != [f"customer of {self.name}", f"rep of {self.name}"]:
            self.wrong.append(f"{self.name}: was shown another chat")

    async def leave(self) -> None:
        if self.ws is not None:
            await self.ws.close()


class _ServerProcess:
    """The server, in a process of its own."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Endpoints:
        with (self._state.parent / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rrsim.server.live", "--state", str(self._state), "--log-level", "warning",
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        if not line:
            raise LoadFailed(f"expected the server to come up, saw it end; look into {self._state.parent}/server.log")
        return msgspec.json.decode(line, type=Endpoints)

    def memory_bytes(self) -> int:
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * resource.getpagesize()

    async def end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.send_signal(how)
            async with asyncio.timeout(PATIENCE_S):
                await process.wait()


class _Control:
    """The control API, over a few connections that are kept."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._token = Path(endpoints.token_file).read_text(encoding="ascii").strip()

    def ask(self, requests: list[tuple[str, str, Any]]) -> list[Any]:
        """Carry out requests one after the other on one connection; for a thread."""
        link = http.client.HTTPConnection(self._endpoints.api_host, self._endpoints.api_port, timeout=PATIENCE_S)
        answers = []
        try:
            for method, path, body in requests:
                link.request(method, path, json.dumps(body), {
                    "Authorization": f"Bearer {self._token}", "Content-Type": "application/json",
                })  # fmt: skip
                answer = link.getresponse()
                text = answer.read()
                if answer.status >= 300:
                    raise LoadFailed(f"expected {method} {path} to work, saw {answer.status}: {text[:200]!r}")
                answers.append(json.loads(text) if text else None)
        finally:
            link.close()
        return answers

    async def ask_all(self, requests: list[tuple[str, str, Any]]) -> list[Any]:
        """Carry out many requests, in any order."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(_REQUESTERS) as pool:
            shares = [requests[n::_REQUESTERS] for n in range(_REQUESTERS)]
            done = await asyncio.gather(*(loop.run_in_executor(pool, self.ask, share) for share in shares))
        return [answer for share in done for answer in share]

    @contextlib.asynccontextmanager
    async def console(self) -> AsyncIterator[_Rep]:
        """Connect the representative's console."""
        url = f"ws://{self._endpoints.api_host}:{self._endpoints.api_port}/api/reps/{REP}/console"
        async with connect(
            url, additional_headers={"Authorization": f"Bearer {self._token}"}, compression=None, proxy=None,
            ping_interval=None, max_queue=None,
        ) as ws:  # fmt: skip
            rep = _Rep(ws)
            listening = asyncio.create_task(rep.confirm_everything())
            try:
                yield rep
            finally:
                listening.cancel()


class _Rep:
    """The representative of all sessions, who says Yes to every confirmation."""

    def __init__(self, ws: ClientConnection) -> None:
        self._ws = ws

    async def say(self, session: str, message: msg.RepMessage) -> None:
        await self._ws.send(msgspec.json.encode({"session": session, "message": message}).decode())

    async def confirm_everything(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self._ws:
                shown = msgspec.json.decode(text)
                message = shown.get("message") or {}
                if message.get("type") == "confirm-restart":
                    await self.say(shown["session"], msg.Confirm(message["order"], "yes"))


async def _each(agents: list[_Agent], act: Callable[[_Agent], Coroutine[Any, Any, None]]) -> tuple[list[float], float]:
    """Let every agent act, :data:`AT_ONCE` at a time; return each one's time in ms, and the whole in s."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(agent: _Agent) -> float:
        async with turn:
            begun_us = monotonic_us()
            await act(agent)
            return (monotonic_us() - begun_us) / 1000

    begun_us = monotonic_us()
    async with asyncio.timeout(PATIENCE_S + len(agents) / 20):
        times = await asyncio.gather(*(one(agent) for agent in agents))
    return sorted(times), (monotonic_us() - begun_us) / 1e6


def _at(times: list[float], share: float) -> float:
    return round(times[min(len(times) - 1, int(len(times) * share))], 1)


async def join_and_leave(endpoints: Endpoints, first: int, count: int) -> float:
    """Let agents ``first`` and following join, then leave; return the seconds that the joins took. For comparisons.

    Their sessions must be there already.

    Raises:
        LoadFailed: the server turned somebody away.
        TimeoutError: they did not all join in time.
    """
    context = client_context(Path(endpoints.ca))
    agents = [_Agent(n, endpoints, context) for n in range(first, first + count)]
    try:
        _, join_s = await _each(agents, _Agent.join)
    finally:
        await asyncio.gather(*(agent.leave() for agent in agents))
    return join_s


@contextlib.asynccontextmanager
async def server_with_sessions(state: Path, count: int) -> AsyncIterator[Endpoints]:
    """Run a server in a process of its own, with sessions that the agents 1 to ``count`` can join.

    Raises:
        LoadFailed: the server did not come up.
    """
    allow_open_files(count + 200)
    server = _ServerProcess(state)
    try:
        endpoints = await server.start()
        names = [f"load-{n}" for n in range(1, count + 1)]
        await _Control(endpoints).ask_all([("POST", "/api/sessions", {"session": name}) for name in names])
        yield endpoints
    finally:
        await server.end(signal.SIGKILL)


def allow_open_files(count: int) -> None:
    """Let this process, and those it starts, have so many files open.

    Raises:
        LoadFailed: the system allows fewer.
    """
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < count:
        raise LoadFailed(f"expected room for {count} open files, saw {most}; try ulimit -n, or fewer agents")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, most))


async def measure(
    state: Path, agents: int = 1000, kill: bool = False, tell: Callable[[str], None] = lambda _: None
) -> LoadResult:
    """Put the load on a server with its state in ``state``, a folder that does not exist yet.

    Args:
        state: folder for the server; its log goes beside it.
        agents: how many agents.
        kill: kill the server process while everybody is away, and start it again.
        tell: hears how it goes.

    Raises:
        LoadFailed: server or agents did not get as far as being measured.
    """
    expect_many_connections()
    room, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if room < agents + 200:
        raise LoadFailed(f"expected room for {agents + 200} open files, saw {room}; try ulimit -n, or fewer agents")
    server = _ServerProcess(state)
    try:
        return await _measure(server, state, agents, kill, tell)
    finally:
        await server.end(signal.SIGKILL)


async def _measure(
    server: _ServerProcess, state: Path, count: int, kill: bool, tell: Callable[[str], None]
) -> LoadResult:
    endpoints = await server.start()
    control = _Control(endpoints)
    context = client_context(Path(endpoints.ca))
    agents = [_Agent(n, endpoints, context) for n in range(1, count + 1)]
    empty_bytes = server.memory_bytes()
    tell(f"{count} sessions")
    account = {"resume_window_us": WINDOW_US}
    await control.ask_all([
        ("POST", "/api/sessions", {"session": a.name, "customer": a.machine, "account": account}) for a in agents
    ])  # fmt: skip
    tell(f"{count} agents join")
    joins, join_s = await _each(agents, _Agent.join)
    async with control.console() as rep:
        for agent in agents:
            await rep.say(agent.name, msg.Take())
            await rep.say(agent.name, msg.RepChat(f"rep of {agent.name}"))
        memory_bytes = server.memory_bytes() - empty_bytes
        tell(f"{count} agents are restarted")
        begun_us = monotonic_us()
        downs = asyncio.gather(*(agent.goes_down() for agent in agents))
        for agent in agents:
            await rep.say(agent.name, msg.AskRestart("chat window"))
        async with asyncio.timeout(PATIENCE_S):
            await downs
    if kill:
        tell("the server is killed and started again")
        await server.end(signal.SIGKILL)
        again = await server.start()
        if (again.agent_port, again.api_port) != (endpoints.agent_port, endpoints.api_port):
            raise LoadFailed("expected the server to come back on its ports, saw others: somebody else took them")
    tell(f"{count} agents come back")
    resumes, resume_s = await _each(agents, _Agent.comes_back)
    all_back_s = (monotonic_us() - begun_us) / 1e6
    sessions = (await control.ask_all([("GET", "/api/sessions", None)]))[0]
    await asyncio.gather(*(agent.leave() for agent in agents))
    await server.end(signal.SIGTERM)
    lost, duplicated, mixed, problems = _judge(agents, sessions, state)
    return LoadResult(
        agents=count, connects_per_s=round(count / join_s, 1),
        join_p50_ms=_at(joins, 0.5), join_p99_ms=_at(joins, 0.99),
        resumes_per_s=round(count / resume_s, 1), resume_p50_ms=_at(resumes, 0.5), resume_p99_ms=_at(resumes, 0.99),
        all_back_s=round(all_back_s, 2), memory_per_session_bytes=memory_bytes // count, lost=lost,
        duplicated=duplicated, mixed=mixed, killed=kill, problems=tuple(problems[:10]),
    )  # fmt: skip


def _judge(agents: list[_Agent], sessions: list[dict[str, Any]], state: Path) -> tuple[int, int, int, list[str]]:
    """Go through the server's state and its journal: who was lost, let in twice, or brought into a wrong session."""
    problems: list[str] = [word for agent in agents for word in agent.wrong]
    mixed = sum(bool(agent.wrong) for agent in agents)
    shown = {info["session"]: info for info in sessions}
    resumed: Counter[str] = Counter()
    lines, _ = journal.read(state / "journal" / journal.FILE)
    for line in lines:
        if isinstance(line, journal.Recorded) and line.record.__struct_config__.tag == "endpoint resumed":
            resumed[line.record.session] += 1
    lost = duplicated = 0
    for agent in agents:
        info = shown.get(agent.name)
        if info is None or info["state"] != "active" or not resumed[agent.name] or info["chat_lines"] < LINES:
            lost += 1
            problems.append(f"{agent.name}: {info and info['state']}, {info and info['chat_lines']} chat lines")
        elif resumed[agent.name] > 1 or info["chat_lines"] > LINES:
            duplicated += 1
            problems.append(f"{agent.name}: resumed {resumed[agent.name]} times, {info['chat_lines']} chat lines")
        elif info["machine"] != agent.machine:
            mixed += 1
            problems.append(f"{agent.name}: holds {info['machine']}")
    return lost, duplicated, mixed, problems


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
        found = asyncio.run(measure(Path(folder) / "state", number, "kill" in sys.argv))
        sys.stdout.write(json.dumps(msgspec.to_builtins(found), indent=2) + "\n")
