"""Trouble of the host under a machine: told in the moment in which it comes, whatever the run waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrsim.backends.live.vm import events, lease, watching
from rrsim.backends.live.vm import image as images
from rrsim.backends.live.vm.errors import DiskFailed, DiskFull, HostLost, HostRefused, LeaseLost, VmError
from rrsim.backends.live.vm.guest_pc import GuestMachine, GuestPc
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.vm import Options, Vm
from tests.backends.live.vm.rig import MOCK, pretend, run

libvirt = pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")

POOL: Any = SimpleNamespace(name="rrsim")


@contextlib.asynccontextmanager
async def machine(folder: Path) -> AsyncIterator[Vm]:
    """A machine in a slot of the mock, without anything behind it."""
    host = await Host.open(MOCK)
    slot = await lease.claim(host, "rrsim-slot-95", lease.mine(None))
    assert slot is not None
    try:
        yield Vm(host, POOL, slot, images.load(pretend(folder / "image").folder), Options())
    finally:
        await slot.release()
        await host.close()


@pytest.mark.parametrize(
    ("told", "trouble"),
    [
        (events.Suspended(1, "disk full"), DiskFull),
        (events.Suspended(1, "disk error"), DiskFailed),
        (HostLost("it stayed away"), HostLost),
        (LeaseLost("somebody has it"), LeaseLost),
        (events.Suspended(1, "asked"), None),
        (events.Resumed(1), None),
    ],
)
def test_what_makes_a_machine_useless_is_told_at_once_and_to_who_asks_later(
    told: Any, trouble: type[VmError] | None, tmp_path: Path
) -> None:
    async def case() -> None:
        async with machine(tmp_path) as vm:
            heard: list[Exception] = []
            seen_by_the_run = GuestMachine(vm)
            seen_by_the_run.on_trouble(heard.append)
            vm.slot.on_lost(told) if isinstance(told, LeaseLost) else vm._take(told)
            late: list[Exception] = []
            seen_by_the_run.on_trouble(late.append)
            expected = [] if trouble is None else [trouble]
            assert [type(one) for one in heard] == [type(one) for one in late] == expected

    run(case())


def test_only_the_first_trouble_is_told(tmp_path: Path) -> None:
    """What follows from it would bury the cause."""
    async def case() -> None:
        async with machine(tmp_path) as vm:
            heard: list[Exception] = []
            vm.on_trouble = heard.append
            vm._take(events.Suspended(1, "disk full"))
            vm.slot.on_lost(LeaseLost("somebody has it"))
            assert [type(one) for one in heard] == [DiskFull]

    run(case())


def test_only_a_halt_that_somebody_asked_for_is_one() -> None:
    """A restore begins halted, and a disk's trouble is told by an event of its own, with its reason."""
    suspended = libvirt.VIR_DOMAIN_EVENT_SUSPENDED
    assert watching.typed(suspended, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED, 1) == events.Suspended(1, "asked")
    for detail in (libvirt.VIR_DOMAIN_EVENT_SUSPENDED_RESTORED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR):
        assert watching.typed(suspended, detail, 1) is None


def test_the_connection_to_the_host_says_what_became_of_it(tmp_path: Path) -> None:
    async def case() -> None:
        host = await Host.open(MOCK)
        slot = await lease.claim(host, "rrsim-slot-95", lease.mine(None))
        assert slot is not None
        vm = Vm(host, POOL, slot, images.load(pretend(tmp_path / "image").folder), Options())
        said = vm.connection_since_now()
        assert (host.is_there, said()) == (True, "")
        vm._take(events.Gap(1))
        assert said() == f"the connection to libvirt at {MOCK} broke and came back"
        later = vm.connection_since_now()
        assert later() == "", "a line that was opened since then runs over the new connection"
        await slot.release()
        await host.close()
        assert (host.is_there, later()) == (False, f"the connection to libvirt at {MOCK} is broken")

    run(case())


@pytest.mark.parametrize(("running", "raises"), [(True, True), (False, False)])
def test_a_cable_that_cannot_be_pulled_is_no_pulled_cable(running: bool, raises: bool) -> None:
    """Only a machine that is off has none to be pulled."""
    class Refuses:
        async def set_link(self, *, up: bool) -> None:
            raise HostRefused(f"move the cable to {up}: libvirt says no", 38)

        async def domain(self, _what: str, ask: Any) -> bool:
            return bool(ask(SimpleNamespace(isActive=lambda: int(running))))

    pc: Any = SimpleNamespace(vm=Refuses())
    if not raises:
        asyncio.run(GuestPc.set_cable(pc, False))
        return
    with pytest.raises(HostRefused, match="libvirt says no"):
        asyncio.run(GuestPc.set_cable(pc, False))
