"""Reads ``vm_images/NAME/image.toml``. Errors name the file, and the line or the key."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from rrsim.images.description import Description
from rrsim.images.errors import ImageError

FILE_NAME = "image.toml"


def images_dir() -> Path:
    """Return the folder of all image folders: ``$RRSIM_IMAGES``, or ``vm_images`` of the checkout rrsim runs from."""
    own = os.environ.get("RRSIM_IMAGES")
    return Path(own) if own else Path(__file__).parents[2] / "vm_images"


def names() -> tuple[str, ...]:
    """Return the names of all described images."""
    return tuple(sorted(path.parent.name for path in images_dir().glob(f"*/{FILE_NAME}")))


def folder_of(name: str) -> Path:
    """Return the folder of an image.

    Raises:
        ImageError: there is none of this name; the message lists those there are.
    """
    folder = images_dir() / name
    if "/" in name or not (folder / FILE_NAME).is_file():
        raise ImageError(
            f"an image described in {images_dir()}", f"no {name}/{FILE_NAME}",
            f"one of: {', '.join(names())}" if names() else "a checkout of rrsim, or RRSIM_IMAGES=FOLDER",
        )
    return folder


def load(name: str) -> Description:
    """Read the description of an image by its name.

    Raises:
        ImageError: there is none, or it is not well formed.
    """
    return read(folder_of(name) / FILE_NAME)


def read(path: Path) -> Description:
    """Read one description.

    Raises:
        ImageError: it is not well formed; the message names the file and the line or key.
    """
    try:
        described = msgspec.toml.decode(path.read_bytes(), type=Description)
    except msgspec.ValidationError as error:
        raise ImageError(
            f"{path} to describe an image", str(error), "the keys that vm_images/README.md lists"
        ) from None
    except msgspec.DecodeError as error:
        raise ImageError(f"{path} to be TOML", str(error), "mending that line") from None
    except OSError as error:
        raise ImageError(f"{path} to be readable", str(error), "another checkout") from None
    if described.name != path.parent.name:
        raise ImageError(
            f"{path}: name = {path.parent.name!r}, as its folder", f"name = {described.name!r}", "renaming one of them"
        )
    return described
