"""A build of a Windows image on real machines, with a medium that plays Windows Setup; also as a program to be killed.

The builder, its steps, libvirt, QEMU, firmware, TPM and disks are real. Windows is not: see ``played_medium``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from rrsim.backends.live.vm.workshop import Machine, Workshop
from rrsim.images.description import Built, Hardware
from rrsim.images.windows import build, media
from rrsim.images.windows.machine import MachineSpec
from tests.images.windows import played_medium
from tests.images.windows.build_rig import CERTIFICATE, FACTS, Clock, Play, PlayedVm, Rig

EMULATED = 6.0


class Swapped:
    """A workshop that puts the played medium into the drive of the Windows medium."""

    def __init__(self, real: Workshop, folder: Path) -> None:
        self.real, self.folder = real, folder
        self.made: list[MachineSpec] = []
        self.on_find: Callable[[Machine], None] = lambda _: None

    def make(self, spec: MachineSpec) -> Machine:
        pretended, played = self.folder / "windows.iso", self.folder / "played" / "setup.iso"
        swapped = tuple(played if path == pretended else path for path in spec.media)
        self.made.append(spec)
        return self.real.make(msgspec.structs.replace(spec, media=swapped))

    def find(self, name: str) -> Machine | None:
        found = self.real.find(name)
        if found is not None:
            self.on_find(found)
        return found


def prepare(folder: Path, *, hold: bool) -> None:
    """Make all inputs of a build, once: another process goes on with the very same files."""
    hardware = Rig(folder).recipe.description.hardware
    played_medium.build(folder / "played", _facts(folder, hardware), hold=hold)


def _facts(folder: Path, hardware: Hardware) -> bytes:
    """What the played machine of the builder's other tests says of itself, as lines."""
    log = folder / "facts.log"
    spec = MachineSpec(
        name="facts", hardware=hardware, disk=folder, disk_bus="sata",
        nvram=folder, tpm=None, media=(), boot_from_media=False, serial_log=log,
    )
    play = Play()
    play.facts, play.certificate = FACTS, CERTIFICATE
    PlayedVm(Clock(), spec, play).tell()
    return log.read_bytes()


def order(folder: Path, name: str) -> build.Order:
    """What is to be built: Windows 11 under another name, so that tests do not meet on the host."""
    from rrsim.images.windows import recipe
    from tests.images.windows.build_rig import ROOT

    whole = recipe.read(ROOT, "windows-11")
    whole = msgspec.structs.replace(whole, description=msgspec.structs.replace(whole.description, name=name))
    given = media.Inputs(
        windows=folder / "windows.iso", virtio=folder / "virtio.iso", openssh=folder / "ssh.zip"
    )
    return build.Order(
        recipe=whole, inputs=given, folder=folder / "build", patience=EMULATED,
        place=lambda digest: folder / "images" / digest[:16],
    )


async def run(
    folder: Path, name: str, say: Callable[[str], None], on_find: Callable[[Machine], None] = lambda _: None
) -> tuple[Built, Swapped]:
    """Build, or take the build up again."""
    wanted = order(folder, name)
    workshop = await Workshop.open(wanted.folder, forced="tcg")
    swapped = Swapped(workshop, folder)
    swapped.on_find = on_find
    try:
        return await build.build(wanted, build.surroundings(swapped, say)), swapped
    finally:
        await workshop.close()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], lambda line: print(line, flush=True)))  # noqa: T201 -- it is a program
