"""Named timers of a live run, and the one wait that is safe to cancel."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rrsim.backends.live.timers import Timers, pause

PATIENCE_S = 10


def tell(story: Any) -> list[Any]:
    """Run a story with timers that write down what they call; return what the loop complained of."""
    problems: list[Any] = []

    async def told() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context))
        async with asyncio.timeout(PATIENCE_S):
            await story(Timers(loop), loop)

    asyncio.run(told())
    return problems


def test_timers_fire_in_due_order_once_with_their_arguments() -> None:
    fired: list[Any] = []

    async def story(timers: Timers, loop: asyncio.AbstractEventLoop) -> None:
        over = loop.create_future()
        timers.start("late", 30_000, over.set_result, None)
        timers.start(("a", "pair"), 10_000, fired.append, "early")
        timers.start("at once", 0, fired.append, "at once")
        timers.start("past", -5, fired.append, "past")
        await over

    assert tell(story) == []
    assert fired == ["at once", "past", "early"]


def test_a_timer_is_replaced_by_one_of_its_name_and_can_be_stopped() -> None:
    fired: list[Any] = []

    async def story(timers: Timers, loop: asyncio.AbstractEventLoop) -> None:
        over = loop.create_future()
        timers.start("one", 1_000, fired.append, "replaced")
        timers.start("one", 20_000, fired.append, "kept")
        timers.start("two", 1_000, fired.append, "stopped")
        timers.stop("two")
        timers.stop("never there")
        timers.start("end", 40_000, over.set_result, None)
        await over
        timers.start("three", 1_000, fired.append, "all stopped")
        timers.start("four", 1_000, fired.append, "all stopped")
        timers.stop_all()
        await pause(10_000)

    assert tell(story) == []
    assert fired == ["kept"]


def test_a_timer_may_start_itself_again() -> None:
    fired: list[int] = []

    async def story(timers: Timers, loop: asyncio.AbstractEventLoop) -> None:
        over = loop.create_future()

        def tick(number: int) -> None:
            fired.append(number)
            if number == 3:
                over.set_result(None)
            else:
                timers.start("tick", 1_000, tick, number + 1)

        timers.start("tick", 0, tick, 1)
        await over
        timers.stop("tick")

    assert tell(story) == []
    assert fired == [1, 2, 3]


def test_a_timer_that_started_itself_again_can_be_stopped() -> None:
    fired: list[int] = []

    async def story(timers: Timers, loop: asyncio.AbstractEventLoop) -> None:
        over = loop.create_future()

        def tick() -> None:
            fired.append(1)
            timers.start("tick", 5_000, fired.append, 2)
            over.set_result(None)

        timers.start("tick", 0, tick)
        await over
        timers.stop("tick")
        await pause(20_000)

    assert tell(story) == []
    assert fired == [1]


def test_a_pause_lasts_as_long_as_it_says() -> None:
    async def story(_: Timers, loop: asyncio.AbstractEventLoop) -> None:
        began = loop.time()
        await pause(30_000)
        assert 0.03 <= loop.time() - began < PATIENCE_S

    assert tell(story) == []


@pytest.mark.parametrize("late_us", [-1_000, 0, 1_000])
def test_a_pause_that_is_cancelled_when_it_ends_is_nobodys_mistake(late_us: int) -> None:
    async def story(_: Timers, loop: asyncio.AbstractEventLoop) -> None:
        waits = loop.create_task(pause(20_000))
        loop.call_later((20_000 + late_us) / 1e6, waits.cancel)
        until = loop.time() + 0.03
        loop.call_later(0.005, _spin, loop, until)  # both are due in the same turn of the loop
        await asyncio.wait({waits})
        await pause(20_000)

    assert tell(story) == []


def _spin(loop: asyncio.AbstractEventLoop, until: float) -> None:
    while loop.time() < until:
        pass
