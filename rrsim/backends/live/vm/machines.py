"""Machines for runs: a slot, a virtual machine from the image, and how it comes up: from a kept state, or cold.

A kept (*ready*) state is the image at its welcome screen with the agent's build laid in and no agent connected.
Whatever comes out of it gets chance, time, names and connections of its own before anything of the run sees it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from rrsim import live_clock
from rrsim.backends.live.vm import ready, slots, undo
from rrsim.backends.live.vm.errors import GuestNeverBooted, ReadyStateBad, VmError
from rrsim.backends.live.vm.guest_pc import GuestMachine, GuestPc
from rrsim.backends.live.vm.guest_port import GuestPort, GuestRefused, PortLost
from rrsim.backends.live.vm.guest_site import GuestSite, digest_of_tree
from rrsim.backends.live.vm.host import Host, Progress
from rrsim.backends.live.vm.image import Image
from rrsim.backends.live.vm.lease import Held
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.vm import Options, Vm
from rrsim.backends.live.wine.power import MachineFailed, NotPossible
from rrsim.machine.adapters import AgentAdapter

ANSWER_LIMIT_S: Final = 60.0
"""A restored guest answers at once."""
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

NO_FILES: Final[Mapping[str, bytes]] = MappingProxyType({})

Ended = Callable[[Vm], Awaitable[None]]


class Fleet(msgspec.Struct, frozen=True):
    """What all machines of a command have in common."""

    host: Host
    pool: Pool
    image: Image
    options: Options
    folder: Path | None = None
    """The command's folder on this computer, for leases."""
    wanted_slots: int = 0
    ready: ready.Record | None = None
    """What machines start from; None: they start cold."""
    laid_in: Mapping[str, str] = NOTHING
    """What is on the kept state's disk besides the image: Windows path to the digest of what was copied there."""
    progress: Progress | None = None


async def with_ready_state(fleet: Fleet, adapter: AgentAdapter) -> Fleet:
    """Return the fleet with a ready state that the agent's build is laid into; it is made unless the host has it.

    Raises:
        GuestNeverBooted: the image did not come up; the text has the end of its console and the last events.
        VmError: it cannot be made for another reason.
    """
    notes = _Notes()
    await adapter.lay_in(notes)
    layer = hashlib.sha256(repr(sorted(notes.laid_in.items())).encode()).hexdigest()[:16] if notes.laid_in else ""
    parts = ready.about(fleet.host, fleet.image, fleet.options.accelerator, layer)
    made: list[Vm] = []

    async def boot(disk: str) -> Vm:
        vm = await _create(fleet, await _slot(fleet), disk)
        made.append(vm)
        pc = pc_of(vm, "ready", fleet.folder or Path(), lambda _: None, ended=_leave)
        try:
            await pc.power_on()
            await adapter.lay_in(pc)
            await pc.site_of_guest.let_go()
        except (MachineFailed, NotPossible, PortLost, GuestRefused, TimeoutError) as error:
            trouble = vm.trouble or error.__cause__
            if isinstance(trouble, VmError):
                raise trouble from error  # the host's, which no look into the guest explains
            # The machine goes now, so what it said last goes into the error; a case's own machine can be kept.
            raise GuestNeverBooted(
                f"{vm.name}: expected a machine of the image {fleet.image.built.description.name} at its welcome "
                f"screen, to start others from, saw: {type(error).__name__}: {error}; {await vm.last_seen()}\n"
                "to look inside: the same command with --cold --keep-vm failed"
            ) from error
        return vm

    try:
        record = await ready.provide(fleet.pool, parts, boot, fleet.progress)
    except BaseException as error:
        for vm in made:
            await undo.after(error, vm.remove, vm.name)
        raise
    for vm in made:
        await undo.through(vm.remove())
    return msgspec.structs.replace(fleet, ready=record, laid_in=notes.laid_in)


async def make(
    fleet: Fleet, name: str, folder: Path, observe: Callable[[Any], None], ended: Ended | None = None
) -> GuestPc:
    """Take a slot and make a machine in it. Seen from a run it is off until it is switched on.

    Args:
        fleet: what it is like.
        name: its name in the run.
        folder: the case's folder on this computer.
        observe: hears what is seen of it.
        ended: does away with the virtual machine when the case is over; by default it is removed.

    Raises:
        NoFreeSlot: no slot became free.
        VmError: the host cannot make it; nothing is left of it, and its slot is given back.
    """
    slot = await _slot(fleet)
    if fleet.ready is None:
        vm = await _create(fleet, slot)
    else:
        vm = await _restore(fleet, slot, fleet.ready)
    return pc_of(vm, name, folder, observe, fleet.laid_in, restored=fleet.ready is not None, ended=ended)


async def _create(fleet: Fleet, slot: Held, disk: str = "") -> Vm:
    """Make a machine that is off in a slot; if that fails nothing is left, and the slot is given back."""
    async with _whole(fleet, slot):
        return await Vm.create(
            fleet.host, fleet.pool, slot, fleet.image, fleet.options, disk=disk, progress=fleet.progress
        )


async def _restore(fleet: Fleet, slot: Held, record: ready.Record) -> Vm:
    """Start a machine in a slot from a ready state; if that fails nothing is left, and the slot is given back."""
    async with _whole(fleet, slot):
        try:
            return await ready.restore(fleet.pool, slot, fleet.image, record, fleet.options)
        except ReadyStateBad as error:
            if ready.ANEW in str(error):
                raise
            raise ReadyStateBad(f"{error}; {ready.ANEW}") from error


@contextlib.asynccontextmanager
async def _whole(fleet: Fleet, slot: Held) -> AsyncIterator[None]:
    """Remove all that a machine in this slot may have by now, if it is not made; the error stays what it is."""
    try:
        yield
    except BaseException as error:
        half = Vm(fleet.host, fleet.pool, slot, fleet.image, fleet.options)
        await undo.after(error, half.remove, half.name)
        raise


async def _slot(fleet: Fleet) -> Held:
    return await slots.acquire(
        fleet.host, memory_mib=fleet.image.built.description.hardware.memory_mib, folder=fleet.folder,
        wanted=fleet.wanted_slots, progress=fleet.progress,
    )


def pc_of(
    vm: Vm, name: str, folder: Path, observe: Callable[[Any], None], laid_in: Mapping[str, str] = NOTHING, *,
    restored: bool = False, ended: Ended | None = None,
) -> GuestPc:
    """Return a virtual machine as a customer's PC: one that is off, or one that was just restored."""
    comes_up = _ComesUp(vm, restored=restored)

    async def end() -> None:
        await (ended(vm) if ended is not None else vm.remove())

    site = GuestSite(GuestMachine(vm), folder / name, comes_up, laid_in, end)
    return GuestPc(name, vm, site, observe, restored=restored)


class _ComesUp:
    """How a machine comes up: one that was restored runs already, the first time; else it is switched on."""

    def __init__(self, vm: Vm, *, restored: bool) -> None:
        self._vm, self._restored = vm, restored

    async def __call__(self) -> GuestPort:
        restored, self._restored = self._restored, False
        if not restored:
            await self._vm.start()
            return GuestPort(await self._vm.open_channel(), beneath=self._vm.connection_since_now())
        port = GuestPort(await self._vm.open_channel(), beneath=self._vm.connection_since_now())
        await self._vm.guard(port.hello(limit_s=ANSWER_LIMIT_S), "an answer of the restored guest", ANSWER_LIMIT_S)
        await _renew(port, self._vm.name)
        return port


async def _renew(port: GuestPort, name: str) -> None:
    """Give a guest that was restored what no two machines may share."""
    await port.ask("entropy", base64=base64.b64encode(bytes.fromhex(live_clock.fresh_secret())).decode())
    await port.ask("clock", wall_us=live_clock.wall_time_us())
    await port.ask("mint", machine_id=live_clock.fresh_secret()[:32], hostname=name)
    await port.ask("link up")


class _Notes:
    """A machine that only takes note of what would be copied to it."""

    def __init__(self) -> None:
        self.laid_in: dict[str, str] = {}

    async def copy_in(self, folder: Path, target: str, beside: Mapping[str, bytes] = NO_FILES) -> None:
        del beside
        self.laid_in[target] = digest_of_tree(folder)


async def _leave(_: Vm) -> None:
    """It is somebody else's to remove."""
