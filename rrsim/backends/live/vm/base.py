"""An image's files on the host: uploaded once by digest, checked, read by all machines and written by none."""

from __future__ import annotations

from typing import Final

import msgspec

from rrsim.backends.live.vm import lease
from rrsim.backends.live.vm.errors import ImageCorrupt
from rrsim.backends.live.vm.host import Progress
from rrsim.backends.live.vm.image import Image
from rrsim.backends.live.vm.pool import MIB, Pool, size_of

DIGEST_CHARACTERS: Final = 16
WANTED: Final = ("vmlinuz", "initrd.img")
NVRAM: Final = "nvram.fd"


class Provided(msgspec.Struct, frozen=True):
    """A file of an image on the host."""

    name: str
    """Volume name."""
    path: str


async def provide(pool: Pool, image: Image, progress: Progress | None = None) -> dict[str, Provided]:
    """See that disk, kernel and RAM disk are on the host, whole and unchanged; upload what is missing.

    A file that was uploaded before is known by a second, empty volume, whose name has the time at which the file last
    changed; if that time is another one, the file is read and compared.

    Returns:
        By file name.

    Raises:
        ImageCorrupt: a file here or on the host is not what the manifest says.
        DiskFull: the host has no room.
    """
    names = (image.disk, *(name for name in WANTED if image.has(name)))
    return {name: await _one(pool, image, name, progress) for name in names}


async def own_nvram(pool: Pool, image: Image, volume: str) -> None:
    """Make a machine's own copy of the image's UEFI variables; without any libvirt takes the firmware's template."""
    if image.has(NVRAM):
        await pool.upload(volume, image.folder / NVRAM, image.built.files[NVRAM])


async def _one(pool: Pool, image: Image, file: str, progress: Progress | None) -> Provided:
    name = f"base-{image.built.files[file][:DIGEST_CHARACTERS]}-{file}"
    found = await _known(pool, name)
    if found is not None:
        return found
    async with lease.lock(pool.host, name):
        found = await _known(pool, name)  # somebody else may have brought it meanwhile
        if found is not None:
            return found
        return await _bring(pool, image, name, file, progress)


async def _known(pool: Pool, name: str) -> Provided | None:
    volume = await pool.look_at(name)
    if volume is None or await pool.look_at(f"{name}.ok-{volume.changed}") is None:
        return None
    return Provided(name, volume.path)


async def _bring(pool: Pool, image: Image, name: str, file: str, progress: Progress | None) -> Provided:
    """Upload a file, or check one that is there without proof. The lock is held."""
    expected = image.built.files[file]
    volume = await pool.look_at(name)
    marks = [mark for mark in await pool.names() if mark.startswith(f"{name}.ok-")]
    if volume is not None:
        if progress is not None:
            progress(f"checking {file} of {image.built.description.name} on {pool.host.info.name}")
        seen = await pool.checksum(name)
        if seen != expected and marks:
            raise ImageCorrupt(
                f"expected {volume.path} on {pool.host.info.name} to have the checksum {expected[:16]}…, saw "
                f"{seen[:16]}…; it was changed after it was uploaded, and machines that use it are broken; when none "
                f"runs, remove it and its marks: rrsim reap --images"
            )
        if seen != expected:
            await pool.delete(name)  # an upload that was killed
            volume = None
    if volume is None:
        await pool.require_room(size_of(image.folder / file) // MIB + 64)
        await pool.upload(name, image.folder / file, expected, progress)
        volume = await pool.look_at(name)
        assert volume is not None, "it was just uploaded"
    for mark in marks:
        await pool.delete(mark)
    await pool.create(f"{name}.ok-{volume.changed}", 0)
    return Provided(name, volume.path)
