"""Keeping machines to be looked at, on libvirt's mock driver."""

from __future__ import annotations

import asyncio
import types
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.vm import bench, keep, lease, machines, reap, slots
from rrsim.backends.live.vm.errors import LeaseLost, NoFreeSlot
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.vm import Options
from tests.backends.live.vm import rig
from tests.backends.live.vm.rig import run

pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")


async def fleet_of(host: Host, pool: rig.MockPool, folder: Path, count: int) -> machines.Fleet:
    return machines.Fleet(
        host, pool, await asyncio.to_thread(rig.pretend, folder / "image"), Options(), wanted_slots=count
    )


async def machine(fleet: machines.Fleet, folder: Path) -> machines.GuestPc:
    return await machines.make(fleet, "pc", folder, lambda _: None)


def test_one_slot_stays_free_and_who_is_not_kept_is_told(tmp_path: Path) -> None:
    async def case() -> None:
        async with rig.mock() as (host, pool):
            fleet = await fleet_of(host, pool, tmp_path, 3)
            said: list[str] = []
            for _ in range(4):
                pc = await machine(fleet, tmp_path)
                pc.keep_with(said.append)
                await pc.close()
            assert list(await slots.kept(host, 3)) == ["rrsim-slot-1", "rrsim-slot-2"]
            assert [one.partition(f" on {host.info.name}")[0] for one in said] == [
                "rrsim-slot-1 is kept for 24 h", "rrsim-slot-2 is kept for 24 h", *2 * [
                    "rrsim-slot-3 is not kept: machines are kept in rrsim-slot-1, rrsim-slot-2, and the last of 3 slots"
                ],
            ]
            assert f"virsh -c {rig.MOCK} console rrsim-slot-1 --force" in said[0]
            assert "rrsim reap --kept" in said[0]
            assert "more --slots, rrsim reap --kept, or --pause-on-failure" in said[2]
            last = await machine(fleet, tmp_path)
            assert await rig.ours(host, pool, last.vm.uuid) != []
            await last.close()
            assert await rig.ours(host, pool, last.vm.uuid) == [], "nobody asked to keep it"
            found = await reap.reap(host, pool, kept=True)
            assert len(found.domains) == 2
            assert not [name for name in await pool.names() if name.startswith("run-")]

    run(case())


def test_of_two_that_end_at_once_one_is_kept(tmp_path: Path) -> None:
    async def case() -> None:
        async with rig.mock() as (host, pool):
            fleet = await fleet_of(host, pool, tmp_path, 2)
            both = [await machine(fleet, tmp_path) for _ in range(2)]
            said = await asyncio.gather(*(keep.keep_machine(one.vm) for one in both))
            assert sorted("is not kept" in one for one in said) == [False, True]
            assert len(await slots.kept(host, 2)) == 1

    run(case())


def test_with_one_slot_none_is_kept(tmp_path: Path) -> None:
    async def case() -> None:
        async with rig.mock() as (host, pool):
            pc = await machine(await fleet_of(host, pool, tmp_path, 1), tmp_path)
            said = await keep.keep_machine(pc.vm)
            assert said.startswith("rrsim-slot-1 is not kept: the last of 1 slots on ")
            assert await rig.ours(host, pool, pc.vm.uuid) == []

    run(case())


def test_a_machine_whose_slot_was_taken_cannot_be_kept(tmp_path: Path) -> None:
    async def case() -> None:
        async with rig.mock() as (host, pool):
            pc = await machine(await fleet_of(host, pool, tmp_path, 2), tmp_path)
            await lease.remove_domain(host, pc.vm.uuid)
            with pytest.raises(LeaseLost):
                await keep.keep_machine(pc.vm)

    run(case())


def test_where_every_machine_is_kept_nobody_waits() -> None:
    async def case() -> None:
        async with rig.mock() as (host, _):
            taken = [await slots.acquire(host, memory_mib=64, wanted=2) for _ in range(2)]
            for one in taken:
                await one.stop()
            await taken[0].renew(keep.KEPT_S, kept=True)
            with pytest.raises(NoFreeSlot, match=r"waited 0\.1 s"):
                await slots.acquire(host, memory_mib=64, wanted=2, wait_s=0.1)
            await taken[1].renew(keep.KEPT_S, kept=True)
            with pytest.raises(NoFreeSlot, match=r"1 of 2 slots .* in rrsim-slot-1, rrsim-slot-2; .* reap --kept; or "):
                await slots.acquire(host, memory_mib=64, wanted=2)
            third = await slots.acquire(host, memory_mib=64, wanted=3)
            assert third.of_slots == 3
            await third.release()
            await taken[1].renew(lease.LEASE_S, kept=True)  # over before we give up
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(slots.acquire(host, memory_mib=64, wanted=2), 0.3)

    run(case())


@pytest.mark.parametrize(("chosen", "outcome", "kept"), [
    ("failed", "failed", True), ("failed", "error", True), ("failed", "passed", False), ("failed", "skipped", False),
    ("never", "failed", False), ("always", "passed", True),
])
def test_a_run_keeps_what_was_asked_for_and_names_the_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: keep.Keep, outcome: str, kept: bool
) -> None:
    """A machine that was never switched on for the case has nothing to show, and is not kept."""
    class Agent:
        """An agent that needs no build."""

        async def prepare(self, _: object) -> None:
            """Nothing."""

    image = rig.pretend(tmp_path / "image")
    monkeypatch.setattr(bench.adapters, "load", lambda *_: Agent())
    monkeypatch.setattr(bench, "_fit", lambda *_: types.SimpleNamespace(folder=image.folder, built=image.built))

    async def case() -> None:
        async with rig.mock() as (_, pool):
            async def opened(host: Host) -> rig.MockPool:
                return rig.MockPool(host, pool.name)

            monkeypatch.setattr(bench.Pool, "open", opened)
            said: list[str] = []
            made = await bench.make_bench(
                tmp_path, bench.VmOptions(uri=rig.MOCK, accelerator="tcg", cold=True, slots=2, keep=chosen),
                progress=said.append,
            )
            result: Any = types.SimpleNamespace(outcome=outcome, scenario=types.SimpleNamespace(id="some case"))
            unused: Any = await made.bench.machine("pc", tmp_path, lambda _: None)
            made.bench.at_the_end(unused, result)
            await unused.close()
            assert await rig.ours(made.fleet.host, pool, unused.vm.uuid) == []
            pc: Any = await made.bench.machine("pc", tmp_path, lambda _: None)
            pc._power.phase = "firmware"
            made.bench.at_the_end(pc, result)
            made.bench.at_the_end(object(), result)  # a Mac, which is no virtual machine
            await pc.close()
            assert bool(await rig.ours(made.fleet.host, pool, pc.vm.uuid)) is kept
            assert any(one.startswith("some case: rrsim-slot-1 is kept for 24 h") for one in said) is kept
            await made.close()

    run(case())
