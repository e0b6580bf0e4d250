"""How fast a line is: from the times at which pieces arrive by a clock of the test's own, never by real time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrsim.backends.live.dialup.pace import LATE_US, MOST_HELD_BYTES, Pace, PacedWay


class Clock:
    """Time that passes only by waiting for it."""

    def __init__(self) -> None:
        self.now_us = 0
        self.late_us = 0

    def __call__(self) -> int:
        return self.now_us

    async def wait(self, us: int) -> None:
        self.now_us += us + self.late_us
        await asyncio.wait_for(asyncio.sleep(0), 1)


class Line:
    """A paced way and when each piece arrived."""

    def __init__(self, rate_bps: float) -> None:
        self.clock = Clock()
        self.arrived: list[tuple[int, bytes]] = []
        self.way = PacedWay(rate_bps, self._deliver, self.clock, self.clock.wait)
        self.task = asyncio.ensure_future(self.way.run())

    async def _deliver(self, data: bytes) -> None:
        self.arrived.append((self.clock.now_us, data))

    @property
    def data(self) -> bytes:
        return b"".join(piece for _, piece in self.arrived)

    async def end(self) -> None:
        self.way.close()
        await asyncio.wait_for(self.task, 5)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 20))


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("rate_bps", [300, 33_600, 56_000, 1_120_000])
def test_bytes_take_their_time(rate_bps: int) -> None:
    async def story() -> None:
        line = Line(rate_bps)
        sent = bytes(range(256)) * 14
        line.way.put(sent)
        await line.way.emptied()
        assert line.data == sent
        needed_us = len(sent) * 8_000_000 / rate_bps
        assert line.arrived[-1][0] == pytest.approx(needed_us, rel=0.001)
        so_far = 0
        for at_us, piece in line.arrived:  # no burst: at no time has more arrived than the rate allows
            so_far += len(piece)
            assert so_far * 8 <= rate_bps * at_us / 1_000_000 * 1.001 + 1
        await line.end()

    run(story)


def test_no_limit_takes_no_time() -> None:
    async def story() -> None:
        line = Line(0)
        line.way.put(b"x" * 4_000)
        await line.way.emptied()
        assert line.arrived == [(0, b"x" * 4_000)]
        await line.end()

    run(story)


def test_an_idle_line_saves_nothing_up() -> None:
    pace = Pace(8_000)  # a byte a millisecond
    assert pace.across_after_us(100, 0, was_waiting=False) == 100_000
    assert pace.across_after_us(100, 0, was_waiting=True) == 200_000
    assert pace.across_after_us(100, 10_000_000, was_waiting=False) == 100_000


def test_a_late_loop_catches_up_within_bounds() -> None:
    pace = Pace(8_000)
    pace.across_after_us(10, 0, was_waiting=False)
    assert pace.across_after_us(10, 15_000, was_waiting=True) == 5_000  # 5 ms late
    much_later_us = 60_000_000
    assert pace.across_after_us(500, much_later_us, was_waiting=True) == 500_000 - LATE_US


def test_a_late_loop_keeps_the_rate() -> None:
    async def story() -> None:
        line = Line(56_000)
        line.clock.late_us = 3_000
        line.way.put(b"x" * 70_000)
        await line.way.emptied()
        assert line.arrived[-1][0] == pytest.approx(10_000_000, rel=0.001)
        await line.end()

    run(story)


def test_a_full_way_stops_the_sender_until_there_is_room() -> None:
    async def story() -> None:
        line = Line(56_000)
        line.way.stall(on=True)
        line.way.put(b"x" * MOST_HELD_BYTES)
        assert line.way.full
        waits = asyncio.ensure_future(line.way.room())
        await settle()
        assert not waits.done()
        line.way.stall(on=False)
        await asyncio.wait_for(waits, 5)
        assert not line.way.full
        await line.end()

    run(story)


def test_a_stall_holds_everything_and_loses_nothing() -> None:
    async def story() -> None:
        line = Line(56_000)
        line.way.stall(on=True)
        line.way.put(b"held back")
        await settle()
        assert line.arrived == []
        line.way.stall(on=False)
        await line.way.emptied()
        assert line.data == b"held back"
        await line.end()

    run(story)


def test_a_closed_way_loses_what_is_on_it_and_wakes_who_waits() -> None:
    async def story() -> None:
        line = Line(56_000)
        line.way.stall(on=True)
        line.way.put(b"x" * MOST_HELD_BYTES)
        waits = [asyncio.ensure_future(line.way.room()), asyncio.ensure_future(line.way.emptied())]
        await settle()
        await line.end()
        await asyncio.wait_for(asyncio.gather(*waits), 5)
        line.way.put(b"too late")
        assert line.arrived == []
        assert not line.way.full

    run(story)


@given(st.lists(st.tuples(st.integers(1, 2_000), st.integers(0, 500_000)), min_size=1, max_size=30))
def test_never_faster_than_the_line(pieces: list[tuple[int, int]]) -> None:
    pace, rate_bps, now_us, sent = Pace(33_600), 33_600, 0, 0
    for count, idle_us in pieces:
        now_us += idle_us
        now_us += pace.across_after_us(count, now_us, was_waiting=False)
        sent += count
        assert sent * 8_000_000 / rate_bps <= now_us + 1
