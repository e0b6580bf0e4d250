"""A virtual machine of a built image under questions: what ``rrsim image verify`` asks, and restarts.

Each machine begins as the image was built: its disk is an overlay, firmware settings and TPM state are copies. The
hypervisor is the witness of restarts; a shell belongs to one boot, and a reset that nobody asked for ends it too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

from rrsim.backends.live.shells import boot_mark, choose
from rrsim.backends.live.shells.interface import Boot, Command, Shell, ShellError
from rrsim.backends.live.vm import events, slots, tpm_state
from rrsim.backends.live.vm.accelerator import Acceleration
from rrsim.backends.live.vm.errors import VmError
from rrsim.backends.live.vm.events import AnyEvent
from rrsim.backends.live.vm.host import Host, Progress
from rrsim.backends.live.vm.image import Image
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.vm import Options, Vm

FIRST_SHELL_S: Final = 600.0
"""How long a boot may take until something in it answers, before a mode in which nothing answers is believed in."""
OTHER_SHELLS_S: Final = 120.0
"""How long the other shells may take after the first: a service that is not there by then does not run."""
RESTART_S: Final = 300.0
"""From the command to the reset: Windows ends its services, and may install updates."""
ASK_S: Final = 60.0
BOOTS_MAX: Final = 5
"""Windows restarts by itself after an update; more often than this is a loop."""
EMULATED: Final = 6.0
"""How many times longer everything takes where the processor is emulated."""
TPM: Final = "tpm"
"""Folder of an image with the TPM's state."""
_FORWARD: Final = re.compile(r"^\s*TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)\s", re.MULTILINE)

Ways = Mapping[str, Callable[[], Shell]]


class Entrances(Protocol):
    """How one gets into machines of an image."""

    @property
    def ports(self) -> tuple[int, ...]:
        """The guest's TCP ports that have to be reached from this computer."""

    def ways(self, vm: Vm, ports: Mapping[int, int], boot: Boot) -> Ways:
        """Return how to make a shell of each kind. ``ports``: the guest's port to that of this computer's loopback."""


class Person(Protocol):
    """Somebody who sits at the machine."""

    async def sign_in(self, vm: Vm, shells: Mapping[str, Shell], *, administrator: bool) -> bool:
        """Sign in at the welcome screen; return whether that was seen to succeed."""

    async def restart_from_start_menu(self, vm: Vm) -> None:
        """Go to the Start menu and restart."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the machines under questions have in common."""

    host: Host
    pool: Pool
    image: Image
    acceleration: Acceleration
    kvm_offered: bool
    """Whether the host has a KVM that can be believed in, used or not."""
    entrances: Entrances
    person: Person
    folder: Path
    """For leases: where the command works."""
    say: Progress

    @property
    def patience(self) -> float:
        """How many times longer than on KVM everything may take."""
        return 1.0 if self.acceleration.kind == "kvm" else EMULATED


class VmSubject:
    """One machine after the other, each from the image as it was built. End it with :meth:`close`."""

    def __init__(self, around: Surroundings) -> None:
        """No machine runs yet."""
        self._around = around
        self._vm: Vm | None = None
        self._ports: Mapping[int, int] = {}
        self._boot = Boot()
        self._shells: dict[str, Shell] = {}
        self._silent: set[str] = set()
        """Ways that did not answer in this boot; they are not waited for again."""
        self._reset = asyncio.Event()

    @property
    def host(self) -> Mapping[str, str]:
        """``accelerator`` and ``kvm``, as the questions know them."""
        around = self._around
        return {"accelerator": around.acceleration.kind, "kvm": "offered" if around.kvm_offered else "none"}

    @property
    def vm(self) -> Vm:
        """The machine.

        Raises:
            VmError: there is none yet, or no more.
        """
        if self._vm is None:
            raise VmError("expected a machine under questions, saw none; it has to be started anew first")
        return self._vm

    async def close(self) -> None:
        """Remove the machine, with everything that belongs to it."""
        await self._close_shells()
        self._boot.end("the machine was removed")
        vm, self._vm = self._vm, None
        if vm is not None:
            await asyncio.shield(vm.remove())

    async def anew(self) -> None:
        """Start from the image as it was built, and wait until a shell answers or that takes too long.

        Raises:
            VmError: the host cannot make or start the machine.
        """
        await self.close()
        around = self._around
        built = around.image.built
        slot = await slots.acquire(
            around.host, memory_mib=built.description.hardware.memory_mib, folder=around.folder, progress=around.say
        )
        try:
            vm = await Vm.create(
                around.host, around.pool, slot, around.image, Options(accelerator=around.acceleration.kind),
                progress=around.say,
            )
        except BaseException:
            await slot.release()
            raise
        self._vm = vm
        vm.on_event = self._take
        if built.description.hardware.tpm and (around.image.folder / TPM).is_dir():
            await asyncio.to_thread(tpm_state.put, around.host.uri, vm.uuid, around.image.folder / TPM)
        self._begin_boot()
        await vm.start()
        self._ports = {port: await forward(vm, port) for port in around.entrances.ports}
        await self.shells()

    async def shells(self) -> Mapping[str, Shell]:
        """Return the shells that answer in the running boot, by name; none after the limit, or if the machine is off.

        They come in the order of the entrances' ways, the surest first.

        Raises:
            VmError: the machine is reset again and again.
        """
        for _ in range(BOOTS_MAX):
            boot = self._boot
            await self._prove()
            ways = self._around.entrances.ways(self.vm, self._ports, boot)
            wanted = {
                name: make for name, make in ways.items() if name not in self._silent and name not in self._shells
            }
            if wanted and not boot.ended:
                await self._open(wanted)
            if boot is self._boot:
                return {name: self._shells[name] for name in ways if name in self._shells}
        raise VmError(f"expected {self.vm.name} to come up, saw it reset {BOOTS_MAX} times before anything answered")

    async def restart(self, command: Command) -> bool:
        """Give a command that restarts the system, through the first shell that answers, and wait for the reset.

        Returns:
            Whether the hypervisor saw a reset by the guest.

        Raises:
            RestartDeclined: the machine answered that it will not.
            ShellError: no shell answers, or the command did not get through.
        """
        there = await self.shells()
        if not there:
            raise ShellError("expected a shell to give a restart's command through, saw none that answers")
        self._reset.clear()
        await choose.restart(next(iter(there.values())), command, limit_s=ASK_S * self._around.patience)
        return await self._saw_reset()

    async def restart_from_start_menu(self) -> bool:
        """Restart with keys, as a customer does; return whether the hypervisor saw a reset by the guest."""
        self._reset.clear()
        await self._around.person.restart_from_start_menu(self.vm)
        return await self._saw_reset()

    async def sign_in(self, *, administrator: bool) -> bool:
        """Sign in at the welcome screen; return whether that was seen to succeed."""
        return await self._around.person.sign_in(self.vm, await self.shells(), administrator=administrator)

    async def screenshot(self) -> bytes:
        """Return a picture of the screen, as PNG."""
        return await self.vm.screenshot()

    # --- boots --------------------------------------------------------------------------------------------------------

    def _take(self, event: AnyEvent) -> None:
        """Hear what the hypervisor tells. A reset begins a boot, whoever asked for it."""
        match event:
            case events.Reset():
                self._boot.end(events.text(event))
                self._begin_boot()
                if event.guest:
                    self._reset.set()
            case events.Stopped() | events.Crashed():
                self._boot.end(events.text(event))

    def _begin_boot(self) -> None:
        self._boot, self._shells, self._silent = Boot(), {}, set()

    async def _saw_reset(self) -> bool:
        try:
            async with asyncio.timeout(RESTART_S * self._around.patience):
                await self._reset.wait()
        except TimeoutError:
            return False
        return True

    async def _close_shells(self) -> None:
        shells, self._shells = self._shells, {}
        for shell in shells.values():
            await shell.close()

    async def _prove(self) -> None:
        """Close the shells that answer no more; they are opened again."""
        for name, shell in list(self._shells.items()):
            try:
                await boot_mark.prove(shell, limit_s=ASK_S * self._around.patience)
            except ShellError:
                self._shells.pop(name, None)
                await shell.close()

    async def _open(self, ways: Ways) -> None:
        """Wait for the first of these to answer, then for the others; those that do not are silent in this boot."""
        patience, boot = self._around.patience, self._boot
        others_s = OTHER_SHELLS_S * patience
        limit_s = others_s if self._shells else FIRST_SHELL_S * patience
        tasks = {
            asyncio.ensure_future(choose.first_to_answer({name: make}, limit_s=limit_s)): name
            for name, make in ways.items()
        }
        waiting = set(tasks)
        try:
            while waiting:
                done, waiting = await asyncio.wait(
                    waiting, timeout=others_s if self._shells else None, return_when="FIRST_COMPLETED"
                )
                for task in done:
                    await self._note(tasks[task], task, boot)
                if not done:
                    break
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        for task in waiting:
            await self._note(tasks[task], task, boot)

    async def _note(self, name: str, task: asyncio.Future[Shell], boot: Boot) -> None:
        """Take down what came of one way."""
        late = asyncio.CancelledError("another one did, and it had time enough after that")
        error = late if task.cancelled() else task.exception()
        if error is None and boot is self._boot:
            self._shells[name] = task.result()
        elif error is None:
            await task.result().close()  # the machine was reset meanwhile: it is a shell into a boot that is over
        elif not isinstance(error, ShellError | asyncio.CancelledError):
            raise error
        elif boot is self._boot:
            self._around.say(f"{name} does not answer: {error}")
            self._silent.add(name)


async def forward(vm: Vm, guest_port: int) -> int:
    """Lead a free port of this computer's loopback to the guest and return it; nobody else can have taken it meanwhile.

    Raises:
        VmError: QEMU refuses, or the machine's host is another computer.
    """
    if await vm.host.tunnels() is not None:
        raise VmError(
            f"{vm.name}: expected a host whose loopback is this computer's, to get at the guest's port {guest_port}, "
            f"saw {vm.host.uri}; run rrsim on that computer, with --uri qemu:///system there"
        )
    await vm.forward(0, guest_port)  # the host's own system chooses
    told = await vm.monitor_text("info usernet")
    for here, there in _FORWARD.findall(told):
        if int(there) == guest_port:
            return int(here)
    raise VmError(f"{vm.name}: expected QEMU to lead a port to the guest's {guest_port}, saw: {told.strip()[:300]}")

