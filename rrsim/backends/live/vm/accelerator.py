"""Whether a host's KVM can be trusted, or its processor is emulated (TCG). Proved, not assumed.

Neither ``/dev/kvm`` nor libvirt's capabilities prove anything: there are hosts whose KVM starts a boot sector and dies
in a stock kernel. So a processor without ``vmx`` or ``svm`` means TCG, and one with it has to boot the image's own
kernel once, within a limit; the answer is remembered for this host and its kernel.

Only what the guest itself does under KVM is such an answer: it comes up, or it does not, stops, crashes, restarts
without end. Where the host is in trouble nothing is known of KVM, and nothing is remembered. That it failed is believed
for :data:`FAILED_DAYS`, for it may have been the load.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import msgspec

from rrsim import live_clock
from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm import lease, slots, undo
from rrsim.backends.live.vm.errors import GuestNeverBooted, GuestStopped, HostRefused, HostSlow, LeaseLost, RestartLoop
from rrsim.backends.live.vm.host import Host, Progress
from rrsim.backends.live.vm.image import Image
from rrsim.backends.live.vm.lease import Held
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.vm import Options, Vm
from rrsim.images.description import Accelerator

PROBE_LIMIT_S: Final = 40.0
PROBE_SIGNS: Final = ("Run /init", "Freeing unused kernel", "VFS: Cannot open root")
"""What a kernel says once it has come through its own start."""
PROBE_COMMAND_LINE: Final = "console=ttyS0 loglevel=7 panic=0"
MEMORY: Final = "accelerators.json"
"""File of the state folder that answers are remembered in."""
DIED: Final = "closed the monitor: "
"""After this libvirt tells QEMU's own last words."""
SAID_CHARACTERS: Final = 200
FAILED_DAYS: Final = 7
"""How long it is remembered that KVM failed, unless the file is removed."""
DAY_S: Final = 24 * 3600
FLAGS: Final = frozenset({"vmx", "svm"})


class Acceleration(msgspec.Struct, frozen=True):
    """How a host runs machines, and why."""

    kind: Accelerator
    why: str
    """For reports, such as ``the processor has neither vmx nor svm``."""
    proved: bool = True

    def text(self) -> str:
        """One line for reports."""
        name = "KVM" if self.kind == "kvm" else "TCG, software emulation (slow)"
        return f"{name}: {self.why}"


class Remembered(msgspec.Struct, frozen=True):
    """What trying KVM on a host once has shown."""

    wrong: str
    """What went wrong; empty: it works."""
    tried_s: int
    """When: wall time, seconds since 1970."""

    @property
    def again_s(self) -> int:
        """When it is tried again, if it failed."""
        return self.tried_s + FAILED_DAYS * DAY_S


async def choose(
    host: Host, forced: str = "", *, probe: Callable[[], Awaitable[str]] | None = None,
    cpuinfo: Path = Path("/proc/cpuinfo"), memory: Path | None = None, progress: Progress | None = None,
) -> Acceleration:
    """Return how machines are run on a host.

    Args:
        host: where.
        forced: ``kvm`` or ``tcg``, if the user decides.
        probe: boots something under KVM and returns what went wrong, empty if nothing did: see :func:`boot_once`. If
            libvirt does not let it try, the processor is emulated this time, and nothing is remembered.
        cpuinfo: what a local host's processor can do.
        memory: file that answers are remembered in.
        progress: hears that the probe is running, and how a remembered failure is tried again.

    Raises:
        ValueError: ``forced`` is neither.
        VmError: ``probe`` found the host in trouble that machines without KVM would have as well.
    """
    if forced:
        if forced not in {"kvm", "tcg"}:
            raise ValueError(f"expected the accelerator to be kvm or tcg, saw {forced!r}")
        return Acceleration("kvm" if forced == "kvm" else "tcg", "asked for", proved=forced == "tcg")
    offered = await host.call("ask for KVM", _offers_kvm)
    if not offered:
        return Acceleration("tcg", f"libvirt on {host.info.name} offers no KVM")
    able = await _able(host, cpuinfo)
    if able is False:
        return Acceleration("tcg", "the processor has neither vmx nor svm, whatever /dev/kvm says")
    if probe is None:
        if able:
            return Acceleration("kvm", "the processor has vmx or svm; no kernel to try it with", proved=False)
        return Acceleration("tcg", f"it is not known whether {host.info.name} can, and there is no kernel to try it")
    remembered = _recall(memory, host)
    if remembered is None:
        if progress is not None:
            progress(f"trying KVM on {host.info.name} once")
        try:
            wrong = await probe()
        except (HostRefused, HostSlow, LeaseLost) as error:
            return Acceleration("tcg", f"KVM could not be tried on {host.info.name} this time: {error}", proved=False)
        remembered = Remembered(wrong, live_clock.wall_time_us() // 1_000_000)
        _remember(memory, host, remembered)
    if remembered.wrong:
        if progress is not None and memory is not None:
            day = datetime.fromtimestamp(remembered.again_s, UTC).date()
            progress(
                f"KVM failed on {host.info.name} and is tried again on {day}; sooner: remove {memory}; to use it "
                "untried: --accelerator kvm"
            )
        return Acceleration("tcg", f"KVM was tried on {host.info.name} and failed: {remembered.wrong}")
    return Acceleration("kvm", f"a kernel booted with it on {host.info.name}")


async def in_a_slot(
    host: Host, pool: Pool, image: Image, *, wanted_slots: int = 0, progress: Progress | None = None
) -> str:
    """Wait for a free slot, try KVM in it (:func:`boot_once`), and give it back.

    Raises:
        NoFreeSlot: none became free.
        VmError: what :func:`boot_once` raises.
    """
    memory_mib = image.built.description.hardware.memory_mib
    slot = await slots.acquire(host, memory_mib=memory_mib, wanted=wanted_slots, progress=progress)
    async with lease.giving_back(slot):
        return await boot_once(host, pool, slot, image)


async def boot_once(host: Host, pool: Pool, slot: Held, image: Image) -> str:
    """Boot the image's kernel under KVM, without its system, and return what went wrong; empty: it came up.

    Args:
        host: where.
        pool: its pool.
        slot: a slot of the caller's, who gives it back.
        image: an image that is started from a kernel file.

    Raises:
        VmError: the host is in trouble: no room, no answer, QEMU does not start for another reason. That says nothing
            of KVM.
        LeaseLost: the slot was taken meanwhile.
    """
    description = msgspec.structs.replace(image.built.description, command_line=PROBE_COMMAND_LINE)
    trial = msgspec.structs.replace(image, built=msgspec.structs.replace(image.built, description=description))
    options = Options(accelerator="kvm")
    vm = Vm(host, pool, slot, trial, options)  # knows all that it may have if it is not made
    try:
        vm = await Vm.create(host, pool, slot, trial, options)
        wrong = await _try(vm)
    except BaseException as error:
        await undo.after(error, lambda: undo.empty(vm), vm.name)
        raise
    await undo.through(undo.empty(vm))
    return wrong


async def _try(vm: Vm) -> str:
    try:
        await vm.start()
    except HostRefused as error:
        if not blames_kvm(str(error)):
            raise
        return f"QEMU does not start with it: {' '.join(str(error).partition(DIED)[2].split())[:SAID_CHARACTERS]}"
    try:
        await vm.guard(_sign(vm), "a sign of the kernel under KVM", PROBE_LIMIT_S)
    except (GuestNeverBooted, GuestStopped, RestartLoop) as error:
        await vm.slot.renew()  # who takes a slot stops its machine: then this says so instead
        return str(error).splitlines()[0]
    return ""


def blames_kvm(said: str) -> bool:
    """Whether libvirt tells that QEMU itself ended because of KVM, as it does where the host's is not a whole one."""
    return "kvm" in said.partition(DIED)[2].lower()


async def _sign(vm: Vm) -> None:
    while True:
        said = await vm.console()
        if any(sign in said for sign in PROBE_SIGNS):
            return
        await pause(250_000)


def _offers_kvm(connection: Any) -> bool:
    import libvirt

    try:
        connection.getDomainCapabilities(None, "x86_64", "q35", "kvm")
    except libvirt.libvirtError:
        return False
    return True


async def _able(host: Host, cpuinfo: Path) -> bool | None:
    """Whether the host's processor has what KVM needs; nothing if that is not known."""
    if host.is_local:
        return flags_of(cpuinfo)
    try:
        xml = await host.call("read the capabilities", lambda c: str(c.getCapabilities()))
    except HostRefused:
        return None
    root = ElementTree.fromstring(xml)  # noqa: S314 -- libvirt's own
    names = {feature.get("name") for feature in root.iterfind("host/cpu/feature")}
    return True if names & FLAGS else None


def flags_of(cpuinfo: Path) -> bool | None:
    """Whether a processor described like ``/proc/cpuinfo`` has vmx or svm; nothing if it cannot be read."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return bool(FLAGS & set(value.split()))
    return None


def _mark(host: Host) -> str:
    kernel = platform.release() if host.is_local else ""
    return f"{host.info.name} {kernel} libvirt {host.info.libvirt} QEMU {host.info.hypervisor}"


def _recall(memory: Path | None, host: Host) -> Remembered | None:
    found = _known(memory).get(_mark(host))
    if found is not None and found.wrong and live_clock.wall_time_us() // 1_000_000 >= found.again_s:
        return None
    return found


def _known(memory: Path | None) -> dict[str, Remembered]:
    """Return what is remembered; nothing if the file is not there, is damaged, or an older version's."""
    try:
        return msgspec.json.decode(memory.read_bytes(), type=dict[str, Remembered]) if memory is not None else {}
    except (OSError, msgspec.DecodeError):
        return {}


def _remember(memory: Path | None, host: Host, answer: Remembered) -> None:
    if memory is None:
        return
    known = _known(memory)
    known[_mark(host)] = answer
    memory.parent.mkdir(parents=True, exist_ok=True)
    new = memory.with_name(f"{memory.name}.{os.getpid()}")
    new.write_bytes(msgspec.json.encode(known))
    new.replace(memory)
