"""What the builder needs of whoever runs machines: a way to make one, and the few things that are done to it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from rrsim.backends.live import timers
from rrsim.images.description import Hardware
from rrsim.live_clock import monotonic_us


class HostAway(RuntimeError):
    """Whoever runs the machine does not answer. That says nothing about the machine, which may be at work as before."""


class MachineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A machine for building an image."""

    name: str
    hardware: Hardware
    disk: Path
    disk_bus: str
    """``sata`` or ``virtio``."""
    nvram: Path
    """Where the firmware keeps its settings; made from the firmware's own template when it is missing."""
    tpm: Path | None
    """Folder of the emulated TPM's state; none: the machine has no TPM."""
    media: tuple[Path, ...]
    """ISO files, each in a drive of its own, in this order."""
    boot_from_media: bool
    """Try the first medium before the disk."""
    serial_log: Path
    """Everything the first serial port says is appended here, over restarts too."""


class Vm(Protocol):
    """One machine. Every call returns at once, or raises :class:`HostAway`; asked again later it may well answer."""

    def running(self) -> bool:
        """Whether it is switched on."""

    def start(self) -> None:
        """Switch it on."""

    def destroy(self) -> None:
        """Take the electricity away, if it is on, and forget the machine. Its files stay."""

    def press_key(self, name: str) -> None:
        """Press a key of its keyboard: ``spc``, ``ret`` …, as QEMU names them."""

    def screenshot(self) -> bytes:
        """Return a picture of its screen, as PNG."""


class Workshop(Protocol):
    """Whoever runs machines: libvirt, in rrsim; something that plays one, in tests. It may raise :class:`HostAway`."""

    def make(self, spec: MachineSpec) -> Vm:
        """Return a new machine, switched off; one of the same name is destroyed first."""

    def find(self, name: str) -> Vm | None:
        """Return the machine of this name that is switched on, if there is one."""


class Time(Protocol):
    """The clock that limits are measured with."""

    def monotonic_us(self) -> int:
        """Return monotonic time in microseconds."""

    async def pause(self, us: int) -> None:
        """Let so many microseconds pass."""


class RealTime:
    """The host's own clock."""

    def monotonic_us(self) -> int:
        """Return monotonic time in microseconds."""
        return monotonic_us()

    async def pause(self, us: int) -> None:
        """Let so many microseconds pass."""
        await timers.pause(us)


class Ended:
    """A machine that is off already, and forgotten."""

    def running(self) -> bool:
        """Whether it is switched on: never."""
        return False

    def start(self) -> None:
        """Refuse: it is no more."""
        raise RuntimeError("expected a machine to start, saw one that has ended; make a new one")

    def destroy(self) -> None:
        """Do nothing: there is nothing left."""

    def press_key(self, name: str) -> None:
        """Refuse: it is no more."""
        raise RuntimeError(f"expected a machine to press {name} on, saw one that has ended; make a new one")

    def screenshot(self) -> bytes:
        """Refuse: it has no screen any more."""
        raise RuntimeError("expected a machine with a screen, saw one that has ended; look at the pictures kept before")
