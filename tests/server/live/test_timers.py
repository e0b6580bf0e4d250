"""Timers fire in due order, before what was taken up later, and replaced or stopped ones not at all."""

from __future__ import annotations

import asyncio

from rrsim.live_clock import monotonic_us
from rrsim.server.live.timers import Timers


def test_due_order_and_replacement() -> None:
    async def story() -> None:
        fired: list[tuple[str, str, int]] = []
        timers = Timers(lambda owner, name, due_us: fired.append((owner, name, due_us)))
        for owner, name, due_us in (("b", "late", 30), ("a", "first", 10), ("a", "gone", 11), ("b", "moved", 12)):
            timers.start(owner, name, due_us)
        timers.stop("a", "gone")
        timers.start("b", "moved", 40)
        timers.deliver_due(30)
        assert fired == [("a", "first", 10), ("b", "late", 30)]
        assert (timers.due_us("b", "moved"), timers.due_us("a", "first")) == (40, None)
        timers.clear()
        timers.deliver_due(100)
        assert len(fired) == 2

    asyncio.run(story())


def test_a_timer_that_firing_starts_counts_from_when_it_was_due() -> None:
    async def story() -> None:
        fired: list[int] = []

        def fire(owner: str, name: str, due_us: int) -> None:
            fired.append(due_us)
            timers.start(owner, name, due_us + 10)

        timers = Timers(fire)
        timers.start("a", "beat", 10)
        timers.deliver_due(45)
        assert fired == [10, 20, 30, 40]
        timers.clear()

    asyncio.run(story())


def test_they_fire_by_themselves_and_not_early() -> None:
    async def story() -> None:
        done = asyncio.Event()
        fired: list[tuple[str, int]] = []

        def fire(_: str, name: str, due_us: int) -> None:
            fired.append((name, monotonic_us() - due_us))
            if len(fired) == 2:
                done.set()

        timers = Timers(fire)
        now_us = monotonic_us()
        timers.start("a", "second", now_us + 20_000)
        timers.start("a", "first", now_us + 5_000)
        await asyncio.wait_for(done.wait(), 10)
        assert [name for name, _ in fired] == ["first", "second"]
        assert all(late_us >= 0 for _, late_us in fired)

    asyncio.run(story())


def test_many_replacements_do_not_pile_up() -> None:
    async def story() -> None:
        timers = Timers(lambda *_: None)
        for n in range(20_000):
            timers.start("a", "silence", monotonic_us() + 60_000_000 + n)
        assert len(timers._heap) < 3000
        timers.clear()

    asyncio.run(story())
