"""An image as a folder of files with a manifest, read and checked before anything is started from it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rrsim.backends.live.vm.errors import ImageCorrupt, ImageMissing
from rrsim.images.description import Built

DISKS = ("disk.qcow2", "disk.raw", "disk.img")


class Image(msgspec.Struct, frozen=True):
    """A built image on this computer."""

    folder: Path
    built: Built

    @property
    def disk(self) -> str:
        """File name of the disk."""
        return next(name for name in DISKS if name in self.built.files)

    @property
    def disk_format(self) -> str:
        """Format of the disk: ``qcow2`` or ``raw``."""
        return "qcow2" if self.disk.endswith(".qcow2") else "raw"

    def has(self, name: str) -> bool:
        """Whether a file belongs to the image."""
        return name in self.built.files


def load(folder: Path) -> Image:
    """Read the manifest of an image and see that its files are there; their checksums are read when they are used.

    Raises:
        ImageMissing: there is no image, or a file of it is gone.
        ImageCorrupt: the manifest cannot be read.
    """
    manifest = folder / "manifest.json"
    try:
        built = msgspec.json.decode(manifest.read_bytes(), type=Built)
    except OSError as error:
        raise ImageMissing(
            f"expected a built image in {folder}, saw: {error}; build it: rrsim image build {folder.name}"
        ) from error
    except msgspec.DecodeError as error:
        raise ImageCorrupt(
            f"expected the manifest of an image in {manifest}, saw: {error}; remove the folder and build it again"
        ) from error
    gone = [name for name in built.files if not (folder / name).is_file()]
    if gone:
        raise ImageMissing(
            f"the image {built.description.name} in {folder} lacks {', '.join(sorted(gone))}; build it again: "
            f"rrsim image build {built.description.name}"
        )
    if not any(name in built.files for name in DISKS):
        raise ImageCorrupt(f"the image {built.description.name} names no disk; expected one of {', '.join(DISKS)}")
    return Image(folder, built)
