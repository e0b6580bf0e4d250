"""What the world of a live run does with what the server's side tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from rrsim.backends.live.world import LiveWorld, Side
from rrsim.machine.adapters import Entry
from rrsim.protocol import records
from rrsim.protocol.settings import Account
from rrsim.scenario.history import Header, History
from rrsim.scenario.model import Expect, ExpectedEvent, Scenario

REFUSED = records.RestartRefused("session-1", restart=1, reason="access denied")
ENDED = records.SessionEnded("session-1", by="representative", reason="done")


class World(LiveWorld):
    """A world that only writes down in which order things come."""

    def server_told(self, entry: Entry) -> None:
        """Write it down."""
        self.told.append(type(entry.event).__name__)

    told: list[str]


async def _order(*expected: ExpectedEvent) -> list[str]:
    told: list[str] = []

    async def entries() -> AsyncIterator[Entry]:
        for t_us, event in ((5, REFUSED), (6, ENDED)):
            yield Entry(t_us, "server", "session-1", event)

    async def look_before(moment_us: int) -> None:
        await asyncio.sleep(0)  # others may run meanwhile
        told.append(f"looked at {moment_us}")

    scenario: Any = Scenario(name="a case", expect=Expect(events=expected))
    server: Any = SimpleNamespace(entries=entries)
    world = World(scenario, Account(), 1.0, 1, History(Header(scenario="a case", backend="wine", seed=1)), server)
    world.told = told
    pc: Any = SimpleNamespace(look_before=look_before)
    side = Side(1, pc, None, None, None)  # type: ignore[arg-type]  # only the PC takes part
    side.session = "session-1"
    world.sides.append(side)
    await world.listen()
    return told


def test_a_witness_looks_before_an_event_that_something_must_come_before() -> None:
    expected = ExpectedEvent(event="host call", before="restart refused")
    assert asyncio.run(_order(expected)) == ["looked at 5", "RestartRefused", "SessionEnded"]


def test_nobody_looks_where_no_order_is_expected() -> None:
    assert asyncio.run(_order(ExpectedEvent(event="host call"))) == ["RestartRefused", "SessionEnded"]
