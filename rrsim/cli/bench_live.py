"""How much the session server carries: many agents joined, restarted at once, and back in their sessions.

Every figure is of real processes, over TLS WebSockets on loopback; agents and server share this computer. The same load
runs twice: undisturbed, and with the server killed (``kill -9``) while everybody is away. What the server costs beyond
the connection itself is measured side by side: joins at our server and at a bare one, which has the same TLS,
WebSocket library and messages but no core, journal, history or limits, take turns in one run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from rrsim.cli.bench import Figure
from rrsim.cli.errors import environment_error, say

AGENTS_FLOOR: Final = 1000
AGENTS_GOAL: Final = 5000
BACK_FLOOR_S: Final = 60.0
ROUNDS: Final = 5
JOINS_A_ROUND: Final = 200
START_LIMIT_S: Final = 30.0


def measure(agents: int = AGENTS_GOAL) -> Iterator[Figure]:
    """Yield the figures one by one, as they are measured.

    Args:
        agents: how many agents are connected at a time. Fewer than the floor cannot reach it, and say so.

    Raises:
        CommandError: the load could not be put on the server.
    """
    try:
        from rrsim.server.live import load
    except ImportError as error:
        raise environment_error(
            "the packages of the session server", f"no module {error.name}", "pip install 'rrsim[live]'"
        ) from None
    try:
        for kill in (False, True):
            with tempfile.TemporaryDirectory(prefix="rrsim-bench-") as folder:
                found = asyncio.run(load.measure(Path(folder) / "state", agents, kill, lambda text: say(f"  {text}")))
            yield from _of_load(found)
        yield asyncio.run(_overhead())
    except (load.LoadFailed, TimeoutError, OSError) as error:
        raise environment_error(
            f"{agents} agents that join, are restarted and come back", f"{type(error).__name__}: {error}",
            "fewer --agents, a computer with less to do, or a higher ulimit -n",
        ) from error


def _of_load(found: Any) -> Iterator[Figure]:
    """Yield what one load came to."""
    how = ", kill -9" if found.killed else ""
    well = found.agents - found.lost - found.duplicated - found.mixed
    yield Figure(
        name=f"agents back in their session{how}", value=well, unit="agents", floor=AGENTS_FLOOR, goal=AGENTS_GOAL,
        better="higher", note=f"of {found.agents} connected at once, all restarted",
    )
    yield Figure(
        name=f"lost, duplicated or mixed up{how}", value=found.agents - well, unit="agents", floor=0,
        note="; ".join(found.problems) or "every chat line once, every session resumed once, by its own machine",
    )
    yield Figure(
        name=f"restart asked to last agent back{how}", value=found.all_back_s, unit="s", floor=BACK_FLOOR_S,
        note="the resume window of every session is as long as the floor",
    )
    if not found.killed:
        yield Figure(name="joins", value=found.connects_per_s, unit="1/s", better="higher",
                     note="TCP, TLS, WebSocket, hello and join")
        yield Figure(name="join, p50", value=found.join_p50_ms, unit="ms", note="64 at a time")
        yield Figure(name="join, p99", value=found.join_p99_ms, unit="ms")
        yield Figure(name="memory of the server a session", value=round(found.memory_per_session_bytes / 1024, 1),
                     unit="KiB", note="connected, with two chat lines")
    yield Figure(name=f"resumes{how}", value=found.resumes_per_s, unit="1/s", better="higher")
    yield Figure(name=f"resume, p50{how}", value=found.resume_p50_ms, unit="ms", note="64 at a time")
    yield Figure(name=f"resume, p99{how}", value=found.resume_p99_ms, unit="ms")


async def _overhead() -> Figure:
    """Joins at our server and at a bare one in turns."""
    from rrsim.server.live import load, main

    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory(prefix="rrsim-bench-") as folder:
        sessions = (ROUNDS + 1) * JOINS_A_ROUND
        async with load.server_with_sessions(Path(folder) / "state", sessions) as here, _bare_server(here) as port:
            other = main.Endpoints("127.0.0.1", port, "", 0, here.ca, "", 0)
            say(f"  {ROUNDS} rounds of {JOINS_A_ROUND} joins, here and at a bare server")
            for first in range(1, sessions, JOINS_A_ROUND):
                bare.append(await load.join_and_leave(other, first, JOINS_A_ROUND))
                ours.append(await load.join_and_leave(here, first, JOINS_A_ROUND))
    del ours[0], bare[0]  # the first round warms both up
    times, others = ([one / JOINS_A_ROUND * 1000 for one in side] for side in (ours, bare))
    return Figure(
        name="one join, agents and server together", value=round(statistics.median(times), 3), unit="ms",
        ratio=round(statistics.median(a / b for a, b in zip(ours, bare, strict=True)), 3),
        against="a bare TLS WebSocket server",
        note=f"spread {min(times):.2f}..{max(times):.2f} ms; the bare one {statistics.median(others):.2f} ms",
    )


@contextlib.asynccontextmanager
async def _bare_server(endpoints: Any) -> AsyncIterator[int]:
    """Run the bare server in a process of its own; yield its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rrsim.cli.bench_live", os.fspath(Path(endpoints.ca).parent),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_LIMIT_S):
            line = await process.stdout.readline()
        if not line:
            raise OSError("expected the bare server to listen, saw it end; its words are above")
        yield int(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _be_bare(folder: Path) -> None:
    """Listen with the certificates in ``folder``, print the port, and answer hello and join, until ended."""
    from websockets.asyncio.server import ServerConnection, serve

    from rrsim.protocol import codec
    from rrsim.protocol import messages as msg
    from rrsim.server.live import main, tls

    main.expect_many_connections()
    answers: dict[type, bytes] = {
        msg.Hello: codec.encode(msg.Welcome(1)),
        msg.Join: codec.encode(msg.Joined("load", "0" * 64, msg.AgentSettings())),
    }

    async def handle(socket: ServerConnection) -> None:
        async for data in socket:
            answer = answers.get(type(codec.decode(data if isinstance(data, bytes) else data.encode(), "agent")))
            if answer is not None:
                await socket.send(answer, text=True)

    made = tls.Certificates(folder / tls.CA_FILE, folder / tls.CERT_FILE, folder / tls.KEY_FILE)
    async with serve(
        handle, "127.0.0.1", 0, ssl=tls.server_context(made), compression=None, ping_interval=None, backlog=4096
    ) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_be_bare(Path(sys.argv[1])))
