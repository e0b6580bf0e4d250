"""The little that is read out of ISO 9660 files: the label, and the names at the root. No mounting, no root."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

BLOCK: Final = 2048
FIRST: Final = 16
MOST_DESCRIPTORS: Final = 32
MOST_ROOT_BYTES: Final = 1024 * 1024
_PRIMARY, _JOLIET = 1, 2
_JOLIET_ESCAPES: Final = (b"%/@", b"%/C", b"%/E")


class IsoWrong(ValueError):
    """This is no ISO 9660 file."""


def label(path: Path) -> str:
    """Return the volume label.

    Raises:
        IsoWrong: it has none, because it is another kind of file.
        OSError: it cannot be read.
    """
    with path.open("rb") as source:
        return _descriptors(source)[_PRIMARY][40:72].decode("ascii", "replace").strip()


def root_names(path: Path) -> tuple[str, ...]:
    """Return the names at the root; long ones as the Joliet extension has them, where it is used.

    Raises:
        IsoWrong: this is another kind of file, or a damaged one.
        OSError: it cannot be read.
    """
    with path.open("rb") as source:
        descriptors = _descriptors(source)
        joliet = descriptors.get(_JOLIET)
        root = (joliet or descriptors[_PRIMARY])[156:190]
        (block,), (size,) = struct.unpack_from("<I", root, 2), struct.unpack_from("<I", root, 10)
        if size > MOST_ROOT_BYTES:
            raise IsoWrong(f"expected a root folder of at most {MOST_ROOT_BYTES} bytes, saw {size}")
        source.seek(block * BLOCK)
        content = source.read(size)
    return tuple(_names(content, "utf-16-be" if joliet else "ascii"))


def _names(content: bytes, encoding: str) -> list[str]:
    names: list[str] = []
    at = 0
    while at + 33 < len(content):
        length = content[at]
        if length == 0:  # entries do not cross blocks: the rest of this one is empty
            at = (at // BLOCK + 1) * BLOCK
            continue
        name = content[at + 33 : at + 33 + content[at + 32]]
        if name not in {b"\0", b"\1"}:  # the folder itself, and its parent
            names.append(name.decode(encoding, "replace").removesuffix(";1"))
        at += length
    return names


def _descriptors(source: BinaryIO) -> dict[int, bytes]:
    """Return the volume descriptors by kind: the primary one, and Joliet's if there is one."""
    found: dict[int, bytes] = {}
    source.seek(FIRST * BLOCK)
    for _ in range(MOST_DESCRIPTORS):
        block = source.read(BLOCK)
        if len(block) < BLOCK or block[1:6] != b"CD001" or block[0] == 255:
            break
        if block[0] == _PRIMARY or (block[0] == _JOLIET and block[88:91] in _JOLIET_ESCAPES):
            found.setdefault(block[0], block)
    if _PRIMARY not in found:
        raise IsoWrong("expected an ISO file, saw another kind of file; was it fetched as a whole?")
    return found
