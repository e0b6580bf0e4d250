"""What an image is: one ``image.toml`` under ``vm_images/NAME/``, and the manifest of each build of it.

The description says what the machine has (firmware, devices, shells, accounts, locale); the manifest says what one
build consists of, by file and checksum. Both are read by whoever starts machines; only the builder writes manifests.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.machine.interface import Capability

Windows = Literal["wine", "windows"]
"""Whose Windows runs in the machine: Wine's, or Microsoft's."""
Firmware = Literal["bios", "uefi"]
Shell = Literal["guest daemon", "ssh", "winrm", "guest agent"]
"""Ways into the machine. The guest daemon is the Wine guest's own, over a virtio port."""
Accelerator = Literal["kvm", "tcg"]

GUEST_PORT: Final = "org.rrsim.guest.0"
"""Name of the virtio port that the guest daemon listens on."""
AGENT_PORT: Final = "org.qemu.guest_agent.0"


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who can sign in."""

    name: str
    administrator: bool = False
    password: str = ""
    """``env:NAME`` or ``file:PATH``, never the password itself; empty: minted at the build, kept beside the image."""


class Hardware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the machine is made of."""

    memory_mib: int
    processors: int = 1
    disk_gib: int = 8
    firmware: Firmware = "bios"
    secure_boot: bool = False
    tpm: bool = False
    network_card: str = "virtio"
    """libvirt's name of the model; ``e1000e`` for Windows, whose own driver also runs in safe mode."""
    modem: bool = True
    """A serial port with a modem on it."""
    processor: dict[Accelerator, str] = msgspec.field(
        default_factory=lambda: {"kvm": "host-passthrough", "tcg": "Nehalem"}
    )
    """libvirt's model by accelerator. QEMU 7.2's emulation faults on SMAP, hence one without it."""
    clock: Literal["utc", "localtime"] = "utc"


class Licence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long Windows in the image may be used."""

    kind: Literal["free", "evaluation", "own"] = "free"
    days: int | None = None
    """Days after the build until an evaluation ends."""


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One image, as ``image.toml`` describes it."""

    name: str
    title: str
    windows: Windows
    hardware: Hardware
    licence: Licence = Licence()
    shells: tuple[Shell, ...]
    accounts: tuple[Account, ...] = ()
    locale: str = "en-US"
    keyboard: str = "us"
    """Keyboard layout by X name; keys are typed by layout."""
    command_line: str = ""
    """Kernel command line, for images that are started from a kernel file instead of their disk."""
    stand_ins: tuple[str, ...] = ()
    """What in the image stands in for a part of Windows."""
    lacks: tuple[Capability, ...] = ()
    """What scenarios may need and this image cannot do."""


class Built(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The manifest of one build: ``manifest.json`` beside its files."""

    description: Description
    digest: str
    """sha256 over the recipe: the description, every file of it, package versions, builder version."""
    sources: str = ""
    """sha256 over the part of the recipe that is on this computer: all but the packages."""
    made: str
    """Date of the build, ISO 8601, UTC."""
    files: dict[str, str]
    """File name (``disk.qcow2``, ``vmlinuz``, ``initrd.img``, ``nvram.fd``) to its sha256."""
    versions: dict[str, str] = {}
    """What is in it: package or program to version."""
    expires: str = ""
    """Date an evaluation licence ends, ISO 8601; empty: never."""
