"""Images that were built: found by name, checked, listed, removed. Each is a whole folder or none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import msgspec

from rrsim.agent.freezing.places import file_sha256
from rrsim.backends.live.state import state_home
from rrsim.images.description import Built
from rrsim.images.errors import ImageError

MANIFEST: Final = "manifest.json"
SCRATCH: Final = "scratch"
FOLDER_DIGITS: Final = 16


class Stored(msgspec.Struct, frozen=True):
    """A built image and where it is."""

    built: Built
    folder: Path

    def file(self, name: str) -> Path:
        """Return where a file of the image is.

        Raises:
            ImageError: the image has no such file, or it is gone.
        """
        path = self.folder / name
        if name not in self.built.files or not path.is_file():
            raise ImageError(
                f"{name} in {self.folder}", "no such file", f"rrsim image build {self.built.description.name}"
            )
        return path


def images_home() -> Path:
    """Return the folder of all built images."""
    return state_home() / "images"


def place(name: str, digest: str) -> Path:
    """Return the folder that an image of this name and recipe has, or will have."""
    return images_home() / name / digest[:FOLDER_DIGITS]


def read(folder: Path) -> Stored:
    """Read one built image's manifest.

    Raises:
        ImageError: it is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        return Stored(msgspec.json.decode(path.read_bytes(), type=Built), folder)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ImageError(
            f"{path} to be an image's manifest", str(error), f"removing {folder} and building again"
        ) from None


def stored(name: str = "") -> list[Stored]:
    """Return the built images of a name, or all, the newest first. Damaged ones are left out: see :func:`damaged`."""
    found = []
    for folder in _folders(name):
        try:
            found.append(read(folder))
        except ImageError:
            continue
    return sorted(found, key=lambda one: one.built.made, reverse=True)


def damaged(name: str = "") -> list[ImageError]:
    """Return why images that are there cannot be used."""
    wrong = []
    for folder in _folders(name):
        try:
            read(folder)
        except ImageError as error:
            wrong.append(error)
    return wrong


def _folders(name: str) -> list[Path]:
    home = images_home()
    return sorted(path for path in home.glob(f"{name or '*'}/*") if path.is_dir() and path.parent.name != SCRATCH)


def find(name: str, sources: str = "") -> Stored:
    """Return the newest built image of this name whose recipe, packages aside, is ``sources``; empty: any.

    Raises:
        ImageError: there is none; the message says whether there are older ones.
    """
    there = stored(name)
    for one in there:
        if not sources or one.built.sources == sources:
            return one
    damages = damaged(name)
    saw = f"{len(there)} from other states of the recipe" if there else str(damages[0].saw) if damages else "none"
    raise ImageError(f"a built image {name!r}", saw, f"rrsim image build {name}")


def check(one: Stored) -> None:
    """Compare every file of an image with its checksum.

    Raises:
        ImageError: a file is missing or is not what was built; nothing was changed.
    """
    for name, expected in one.built.files.items():
        seen = file_sha256(one.file(name))
        if seen != expected:
            raise ImageError(
                f"{one.folder / name} with sha256 {expected[:16]}…", f"{seen[:16]}…: the file has been changed",
                f"rrsim image rm {one.built.description.name}, and building it again",
            )


def remove(name: str, digest: str = "") -> list[Path]:
    """Remove the built images of a name, or the one whose digest begins so; return their folders.

    Raises:
        ImageError: there is none.
    """
    chosen = [path for path in _folders(name) if path.name.startswith(digest[:FOLDER_DIGITS])]
    if not name or not chosen:
        raise ImageError(f"a built image {name!r}" + (f" {digest}" if digest else ""), "none", "rrsim image list")
    for folder in chosen:
        (folder / MANIFEST).unlink(missing_ok=True)  # whoever looks meanwhile finds no image, not half of one
        shutil.rmtree(folder)
    return chosen


def size_bytes(folder: Path) -> int:
    """Return the disk space that an image takes."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
