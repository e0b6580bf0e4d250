"""Cases take their machines in turns, on libvirt's mock driver: none waits for a slot that its own rival waits with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live import runner
from rrsim.backends.live.vm import lease, slots, turns
from rrsim.backends.live.vm.errors import NoFreeSlot
from rrsim.backends.live.vm.host import Host
from rrsim.scenario.result import RunResult
from tests.backends.live import runner_rig
from tests.backends.live.vm.rig import MOCK, run, until

pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")

SLOTS = 2


def machines_of(host: Host, taken: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[Any]]:
    """Machines in slots of a host; ``taken`` is waited for after each."""
    async def machine(name: str, folder: Path, observe: Any) -> runner_rig.Machine:
        slot = await slots.acquire(host, memory_mib=64, wanted=SLOTS, folder=folder, wait_s=10)
        await taken()
        return runner_rig.Machine(name, slot.release)

    return machine


def test_cases_of_two_customers_on_two_slots_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """Two runs, each with a connection of its own, begin at the same time; each would get one of the two slots."""
    async def case() -> None:
        hosts = [await Host.open(MOCK) for _ in range(2)]

        async def play(number: int, host: Host) -> RunResult:
            async def taken() -> None:
                await asyncio.sleep(0.2)  # time enough for the other run to take the other slot

            bench = runner_rig.bench(
                machines_of(host, taken), most_machines=SLOTS, turn=lambda n: turns.turn(host, n, SLOTS)
            )
            return await runner.run_case(runner_rig.case(2), number, bench, tmp_path / str(number))

        results = await asyncio.gather(*(play(number, host) for number, host in enumerate(hosts)))
        assert [one.reason for one in results] == [f"RuntimeError: {runner_rig.BROKEN}"] * 2
        assert await lease.holders(hosts[0]) == {}
        for host in hosts:
            await host.close()

    run(case())


def test_a_case_of_two_customers_is_not_passed_by_those_of_one() -> None:
    async def case() -> None:
        host = await Host.open(MOCK)
        long = await slots.acquire(host, memory_mib=64, wanted=SLOTS)
        order: list[str] = []
        waits = asyncio.Event()

        async def two() -> None:
            async with turns.turn(host, 2, SLOTS):
                first = await slots.acquire(host, memory_mib=64, wanted=SLOTS)
                waits.set()
                second = await slots.acquire(host, memory_mib=64, wanted=SLOTS)
            order.append("two")
            await first.release()
            await second.release()

        async def one() -> None:
            await waits.wait()
            async with turns.turn(host, 1, SLOTS):
                slot = await slots.acquire(host, memory_mib=64, wanted=SLOTS)
            order.append("one")
            await slot.release()

        tasks = [asyncio.create_task(two()), *(asyncio.create_task(one()) for _ in range(3))]
        await waits.wait()
        await asyncio.sleep(0.3)  # those of one have asked by now
        await long.release()
        await asyncio.gather(*tasks)
        assert order == ["two", "one", "one", "one"]
        await host.close()

    run(case())


def test_who_waits_for_a_turn_hears_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SAY_AFTER_US", 10_000)

    async def case() -> None:
        host = await Host.open(MOCK)
        said: list[str] = []
        async with turns.turn(host, 1, SLOTS):
            with pytest.raises(NoFreeSlot, match=r"waited 0.4 s for turn on .*in use, by process"):
                async with turns.turn(host, 1, SLOTS, said.append, wait_s=0.4):
                    pytest.fail("it is another's")
        assert len(said) == 1
        assert "waiting for our turn to take machines on" in said[0]
        assert "in use, by process" in said[0]
        async with turns.turn(host, 1, SLOTS, said.append):
            pass
        assert len(said) == 1
        await host.close()

    run(case())


def test_a_turn_is_given_back_by_whoever_is_cancelled_while_he_waits_for_a_slot() -> None:
    async def case() -> None:
        host = await Host.open(MOCK)
        held = [await slots.acquire(host, memory_mib=64, wanted=SLOTS) for _ in range(SLOTS)]
        said: list[str] = []

        async def one() -> None:
            async with turns.turn(host, 1, SLOTS):
                await slots.acquire(host, memory_mib=64, wanted=SLOTS, progress=said.append)

        task = asyncio.create_task(one())
        await until(lambda: bool(said))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert {name for name, _ in (await lease.holders(host)).values()} == {slot.name for slot in held}
        for slot in held:
            await slot.release()
        await host.close()

    run(case())


def test_a_turn_ends_when_a_machine_is_kept_that_was_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would keep every case of the host from its machines, for an hour."""
    monkeypatch.setattr(slots, "SAY_EVERY_US", 1)

    async def case() -> None:
        host = await Host.open(MOCK)
        other = await slots.acquire(host, memory_mib=64, wanted=3)
        said: list[str] = []

        async def needs_three() -> None:
            async with turns.turn(host, 3, 3):
                held = [await slots.acquire(host, memory_mib=64, wanted=3, progress=said.append) for _ in range(2)]
                try:
                    await slots.acquire(host, memory_mib=64, wanted=3, progress=said.append)
                finally:
                    for one in held:
                        await one.release()

        waiting = asyncio.create_task(needs_three())
        await until(lambda: bool(said))
        await other.renew(24 * 3600, kept=True)
        with pytest.raises(NoFreeSlot, match=r"3 of 3 slots .*kept .* in rrsim-slot-1; "):
            await waiting
        async with turns.turn(host, 1, 3):
            await (await slots.acquire(host, memory_mib=64, wanted=3)).release()
        await other.release()
        await host.close()

    run(case())


def test_nobody_waits_in_vain_for_slots_of_kept_machines() -> None:
    """Not for hours, at least, while all other cases wait for the turn; a lease that soon ends is waited for."""
    async def case() -> None:
        host = await Host.open(MOCK)
        kept = await slots.acquire(host, memory_mib=64, wanted=SLOTS)
        await kept.renew(24 * 3600, kept=True)
        async with turns.turn(host, 1, SLOTS):
            pass
        with pytest.raises(NoFreeSlot, match=r"2 of 2 slots .*kept .* in rrsim-slot-1; .*reap --kept.*--slots"):
            async with turns.turn(host, 2, SLOTS):
                pytest.fail("there is only one")
        await kept.renew(600, kept=True)
        async with turns.turn(host, 2, SLOTS):
            pass
        await kept.release()
        await host.close()

    run(case())
