"""Clearing away on libvirt's mock driver, while another runner does something between any two steps of it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest

from rrsim.backends.live.vm import lease, reap
from rrsim.backends.live.vm.host import Host
from tests.backends.live.vm import rig
from tests.backends.live.vm.rig import run

pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")

READY = "ready-aa11-0f0f0f0f"
BASE = "base-77aa-disk.qcow2"
MARK = f"{BASE}.ok-17.5"
Play = Callable[[], Awaitable[object]]


def dead(**changes: object) -> lease.Lease:
    """A lease whose holder is gone."""
    return msgspec.structs.replace(lease.mine(None), pid=2**22 + 1, **changes)


async def leave(host: Host, name: str) -> str:
    """Leave a domain behind whose holder is gone; its UUID."""
    held = await lease.claim(host, name, dead())
    assert held is not None
    await held.stop()
    return held.uuid


@contextlib.contextmanager
def between(host: Host, number: int, play: Play) -> Iterator[None]:
    """Does something once, right before the n-th request to libvirt within this block."""
    call, left = host.call, number

    async def counted(*arguments: Any, **given: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            await play()
        return await call(*arguments, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "call", counted)
        yield


STEPS = range(1, 25)
"""More requests than reap makes here."""


@pytest.mark.parametrize("step", STEPS)
def test_what_a_runner_makes_at_any_moment_of_a_reap_stays(step: int) -> None:
    """A slot with its disk, and an unfinished ready state and upload under their locks."""
    async def case() -> None:
        async with rig.mock() as (host, pool), rig.mock() as (other, others), contextlib.AsyncExitStack() as held:
            gone = [await leave(host, f"rrsim-slot-{number}") for number in (71, 72)]
            for one in gone:
                await pool.create(f"run-{one}-disk.qcow2", 1)
            await pool.create("ready-bb22-0e0e0e0e-disk.qcow2", 1)
            mine: list[str] = []

            async def begin() -> None:
                slot = await lease.claim(other, "rrsim-slot-73", lease.mine(None))
                assert slot is not None
                held.push_async_callback(slot.release)
                await held.enter_async_context(lease.lock(other, "make-aa11"))
                await held.enter_async_context(lease.lock(other, BASE))
                mine.extend((f"run-{slot.uuid}-disk.qcow2", f"{READY}-disk.qcow2", BASE))
                for name in mine:
                    await others.create(name, 1)

            with between(host, step, begin):
                found = await reap.reap(host, pool)
            if not mine:
                await begin()
            names = await pool.names()
            assert set(mine) <= set(names)
            assert set(found.volumes) == {
                f"run-{gone[0]}-disk.qcow2", f"run-{gone[1]}-disk.qcow2", "ready-bb22-0e0e0e0e-disk.qcow2",
            }
            assert not set(found.volumes) & set(names)
            assert not found.failed

    run(case())


@pytest.mark.parametrize("step", STEPS)
def test_what_is_finished_at_any_moment_of_a_reap_stays(step: int) -> None:
    """A ready state and an upload that are unfinished when the reap begins, and whose locks are given back later."""
    async def case() -> None:
        async with rig.mock() as (host, pool), rig.mock() as (other, others), contextlib.AsyncExitStack() as held:
            for name in ("make-aa11", BASE):
                await held.enter_async_context(lease.lock(other, name))
            for name in (f"{READY}-disk.qcow2", BASE):
                await others.create(name, 1)
            done: list[int] = []

            async def finish() -> None:
                done.append(step)
                await others.create(f"{READY}-record", 1)
                await others.create(MARK, 0)
                await held.aclose()

            with between(host, step, finish):
                found = await reap.reap(host, pool)
            if not done:
                await finish()
            assert found.volumes == ()
            assert set(await pool.names()) == {f"{READY}-disk.qcow2", f"{READY}-record", BASE, MARK}

    run(case())


@pytest.mark.parametrize("step", STEPS)
def test_a_dead_upload_that_a_runner_does_again_is_the_runners(step: int) -> None:
    """The same name comes back: the runner finds it, deletes it and uploads anew, at any moment of the reap."""
    async def case() -> None:
        async with rig.mock() as (host, pool), rig.mock() as (other, others), contextlib.AsyncExitStack() as held:
            await pool.create(BASE, 1)
            began: list[bool] = []

            async def upload() -> None:
                lock = await lease.claim(other, f"rrsim-lock-{BASE}", lease.mine(None))
                began.append(lock is not None)
                if lock is None:
                    return  # reap has it: it would be waited for
                held.push_async_callback(lock.release)
                await others.delete(BASE)
                await others.create(BASE, 2)

            with between(host, step, upload):
                found = await reap.reap(host, pool)
            if began == [True]:
                there = await pool.look_at(BASE)
                assert there is not None
                assert there.capacity_bytes == 2
            else:
                assert found.volumes == (BASE,)

    run(case())


@pytest.mark.parametrize("step", STEPS)
def test_images_are_not_taken_from_a_runner_that_takes_a_slot_meanwhile(step: int) -> None:
    """A runner that claims a slot and then sees the mark uses the file; one that finds no mark uploads it anew."""
    async def case() -> None:
        async with rig.mock() as (host, pool), rig.mock() as (other, others), contextlib.AsyncExitStack() as held:
            await pool.create(BASE, 1)
            await pool.create(MARK, 0)
            uses: list[bool] = []

            async def start() -> None:
                slot = await lease.claim(other, "rrsim-slot-74", lease.mine(None))
                assert slot is not None
                held.push_async_callback(slot.release)
                uses.append(await others.look_at(MARK) is not None)

            with between(host, step, start):
                found = await reap.clear_images(host, pool)
            if uses == [True]:
                assert set(await pool.names()) == {BASE, MARK}
                assert [line for line in found.left if line.startswith("rrsim-slot-74: in use")]
            elif not uses:
                assert set(await pool.names()) == set()
                assert set(found.volumes) == {BASE, MARK}

    run(case())


def test_images_and_ready_states_go_when_nobody_holds_anything() -> None:
    async def case() -> None:
        async with rig.mock() as (host, pool):
            names = {BASE, MARK, f"{READY}-disk.qcow2", f"{READY}-memory", f"{READY}-proved-17", f"{READY}-record"}
            for name in (*names, "somebody-elses"):
                await pool.create(name, 1)
            found = await reap.clear_images(host, pool)
            assert set(found.volumes) == names
            assert (found.left, found.images) == ((), ())
            assert await pool.names() == ("somebody-elses",)
            assert set((await lease.holders(host)).values()) == set(), "its locks are given back"

    run(case())


@pytest.mark.parametrize("lock", ["make-aa11", f"restore-{READY}"])
def test_a_ready_state_that_a_runner_is_busy_with_stays(lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins after the first look, at which nobody held anything."""
    async def case() -> None:
        async with rig.mock() as (host, pool), contextlib.AsyncExitStack() as held:
            for name in (f"{READY}-disk.qcow2", f"{READY}-record"):
                await pool.create(name, 1)
            once = reap.reap

            async def reap_then_begin(*arguments: object) -> reap.Reaped:
                found = await once(*arguments)  # type: ignore[arg-type]  # -- passed on as it came
                await held.enter_async_context(lease.lock(host, lock))
                return found

            monkeypatch.setattr(reap, "reap", reap_then_begin)
            found = await reap.clear_images(host, pool)
            assert found.left == (f"{READY}: another runner makes it, or starts a machine from it, at this moment",)
            assert len(found.images) == 1
            assert len(await pool.names()) == 2

    run(case())


def test_a_machine_whose_lease_is_renewed_at_the_last_moment_keeps_its_files() -> None:
    async def case() -> None:
        async with rig.mock() as (host, pool):
            held = await lease.claim(host, "rrsim-slot-75", lease.mine(None, lease_s=-lease.SKEW_S - 5))
            assert held is not None
            await pool.create(f"run-{held.uuid}-disk.qcow2", 1)
            with between(host, 2, held.renew):
                found = await reap.reap(host, pool)
            assert (found.domains, found.volumes) == ((), ())
            assert [line for line in found.left if line.startswith("rrsim-slot-75: in use")]
            assert await pool.names() == (f"run-{held.uuid}-disk.qcow2",)
            await held.release()

    run(case())
