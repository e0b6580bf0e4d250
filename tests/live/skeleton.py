"""The walking skeleton: the frozen agent as a service with its helper on Wine, restarted and resumed over TLS, again
and again.

Nothing of the live runner takes part: machine, server process and agent only. It stays as the shortest proof that the
three work together, and as the first thing to look at when a live run does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rrsim.agent.adapter import BundledAgent
from rrsim.backends.live.wine.pc import WinePc
from rrsim.machine.adapters import Address, Entry
from rrsim.machine.identity import New, compare
from rrsim.protocol import messages, records
from rrsim.protocol.settings import Account
from rrsim.server.adapter import BundledServer

SECOND_US = 1_000_000
ACCOUNT = Account(
    resume_window_us=60 * SECOND_US, restart_limit_us=20 * SECOND_US, heartbeat_us=5 * SECOND_US,
    silence_us=15 * SECOND_US, retry_first_us=SECOND_US // 5, retry_max_us=SECOND_US,
)


class Heard:
    """The server's entries, and a way to wait for the next one of a kind."""

    def __init__(self, server: BundledServer) -> None:
        self.entries: list[Entry] = []
        self._more = asyncio.Event()
        self._task = asyncio.create_task(self._listen(server))

    async def _listen(self, server: BundledServer) -> None:
        async for entry in server.entries():
            self.entries.append(entry)
            self._more.set()

    async def next(self, kind: type[Any], after: int, limit_s: float = 60) -> int:
        """Wait for an entry of this kind at or behind place ``after``; return the place behind it."""
        try:
            async with asyncio.timeout(limit_s):
                at = after
                while True:
                    while at < len(self.entries):
                        at += 1
                        if isinstance(self.entries[at - 1].event, kind):
                            return at
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            last = [type(e.event).__name__ for e in self.entries[-8:]]
            raise AssertionError(f"expected {kind.__name__} within {limit_s} s; last entries: {last}") from None

    def stop(self) -> None:
        self._task.cancel()


async def walk(root: Path, cycles: int, say: Callable[[str], None]) -> list[float]:
    """Restart and resume ``cycles`` times; return how long each took in seconds, from order to resumption.

    Raises:
        AssertionError: anything did not happen as it must.
    """
    agent, server = BundledAgent(), BundledServer()
    say(f"agent build {await agent.prepare(say)}")
    address = await server.start(root / "server")
    heard = Heard(server)
    seen: list[Any] = []
    machine = await WinePc.create("pc-1", root, seen.append)
    took_s: list[float] = []
    try:
        machine.agent_exe_names = frozenset(agent.executables)
        await machine.power_on()
        await agent.install(machine, "service", Address(address.host, address.port, address.ca_file), "en")
        await machine.log_on()
        await server.console("rep-1", True)
        code = await server.create_session("session-1", "standard", ACCOUNT)
        await agent.start_support(machine, code)
        at = await heard.next(records.EndpointJoined, 0)
        await server.rep_says("session-1", "rep-1", messages.Take())
        say("joined")
        for cycle in range(1, cycles + 1):
            at, s = await _cycle(machine, server, heard, at, cycle)
            took_s.append(s)
            say(f"cycle {cycle}: resumed after {s:.1f} s")
    except BaseException:
        (root / "failed.png").write_bytes(machine.screenshot())
        for name, data in agent.logs(machine).items():
            (root / name).write_bytes(data)
        say(f"machine saw: {seen[-12:]}")
        raise
    finally:
        await machine.close()
        await server.close()
        heard.stop()
    return took_s


async def _cycle(machine: WinePc, server: BundledServer, heard: Heard, at: int, cycle: int) -> tuple[int, float]:
    before = await machine.boot_identity()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await server.rep_says("session-1", "rep-1", messages.AskRestart("chat window"))
    at = await heard.next(records.RestartAsked, at)
    await server.rep_says("session-1", "rep-1", messages.Confirm(cycle, "yes"))
    at = await heard.next(records.WindowOpened, at)
    resumed = await heard.next(records.EndpointResumed, at)
    took_s = loop.time() - began
    record = heard.entries[resumed - 1].event
    assert record.restart == cycle, record
    assert record.session == "session-1", record
    after = await machine.boot_identity()
    assert isinstance(compare(before, after), New), (before, after)
    await machine.log_on()
    return await heard.next(records.HelperSeen, resumed), took_s


