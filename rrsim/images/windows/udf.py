"""Reading single files out of a UDF volume, as Windows' own media are: no mounting, no root, nothing but the file.

Only what such media use: one partition, blocks of 2048 bytes, read-only (ECMA-167, UDF 1.02). Every size and every
count that comes from the medium is bounded before it is used.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

BLOCK: Final = 2048
ANCHOR_BLOCK: Final = 256
MOST_DESCRIPTORS: Final = 64
MOST_DIRECTORY_BYTES: Final = 16 * 1024 * 1024
MOST_EXTENTS: Final = 4096
_ANCHOR, _PARTITION, _LOGICAL, _TERMINATOR = 2, 5, 6, 8
_FILE_SET, _FILE_NAME, _FILE, _LONG_FILE = 256, 257, 261, 266
_FOLDER: Final = 0x02
_DELETED_OR_PARENT: Final = 0x04 | 0x08


class UdfWrong(ValueError):
    """This is no UDF volume that can be read, or the file is not on it."""


class _Extent(msgspec.Struct, frozen=True):
    block: int
    """In the whole file, not in the partition."""
    length: int


class _Entry(msgspec.Struct, frozen=True):
    length: int
    extents: tuple[_Extent, ...] = ()
    embedded: bytes | None = None


class UdfFile:
    """One file on a volume, read piece by piece."""

    def __init__(self, source: BinaryIO, entry: _Entry) -> None:
        """Read ``entry`` from ``source``; the volume gives it."""
        self._source, self._entry = source, entry

    @property
    def length(self) -> int:
        """Its size in bytes."""
        return self._entry.length

    def read(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset`` on; fewer at the end of the file.

        Raises:
            UdfWrong: the medium ends before the file does.
        """
        count = max(0, min(count, self.length - offset))
        if self._entry.embedded is not None:
            return self._entry.embedded[offset : offset + count]
        parts: list[bytes] = []
        at = 0
        for extent in self._entry.extents:
            begin, end = max(offset, at), min(offset + count, at + extent.length)
            if begin < end:
                parts.append(_bytes(self._source, extent.block * BLOCK + begin - at, end - begin))
            at += extent.length
        return b"".join(parts)


class Volume:
    """A UDF volume in an open file."""

    def __init__(self, source: BinaryIO) -> None:
        """Find the root folder of the volume in ``source``.

        Raises:
            UdfWrong: there is none.
        """
        self._source = source
        anchor = self._descriptor(ANCHOR_BLOCK)
        if _tag(anchor) != _ANCHOR:
            raise UdfWrong(f"expected the anchor of a UDF volume in block {ANCHOR_BLOCK}, saw none")
        _, at = struct.unpack_from("<II", anchor, 16)
        start: int | None = None
        file_set: int | None = None
        for number in range(MOST_DESCRIPTORS):
            descriptor = self._descriptor(at + number)
            kind = _tag(descriptor)
            if kind == _PARTITION:
                (start,) = struct.unpack_from("<I", descriptor, 188)
            elif kind == _LOGICAL:
                (size,) = struct.unpack_from("<I", descriptor, 212)
                if size != BLOCK:
                    raise UdfWrong(f"expected blocks of {BLOCK} bytes, saw {size}")
                (file_set,) = struct.unpack_from("<I", descriptor, 252)
            elif kind in {_TERMINATOR, 0}:
                break
        if start is None or file_set is None:
            raise UdfWrong("expected a partition and a volume in the UDF descriptors, saw only a part of that")
        self._start = start
        root = self._descriptor(start + file_set)
        if _tag(root) != _FILE_SET:
            raise UdfWrong("expected the description of a file set where the volume says, saw something else")
        (block,) = struct.unpack_from("<I", root, 404)
        self._root = self._entry(block)

    def open(self, path: str) -> UdfFile:
        """Return the file at ``path`` (``sources/install.wim``); capital and small letters are alike.

        Raises:
            UdfWrong: there is none, or the volume is damaged.
        """
        entry, walked = self._root, ""
        names = path.strip("/").split("/")
        for name in names:
            found = {key.lower(): block for key, block in self._folder(entry).items()}.get(name.lower())
            if found is None:
                raise UdfWrong(f"expected {path} on the medium, saw no {name} in /{walked}")
            entry, walked = self._entry(found), f"{walked}{name}/"
        return UdfFile(self._source, entry)

    def _folder(self, entry: _Entry) -> dict[str, int]:
        """Return the names in a folder, with the block of each entry."""
        if entry.length > MOST_DIRECTORY_BYTES:
            raise UdfWrong(f"expected a folder of at most {MOST_DIRECTORY_BYTES} bytes, saw {entry.length}")
        content = UdfFile(self._source, entry).read(0, entry.length)
        names: dict[str, int] = {}
        at = 0
        while at + 38 <= len(content):
            if _tag(content[at : at + 16]) != _FILE_NAME:
                raise UdfWrong("expected the name of a file in a folder of the medium, saw something else")
            kind, name_length = content[at + 18], content[at + 19]
            (block,) = struct.unpack_from("<I", content, at + 24)
            (extra,) = struct.unpack_from("<H", content, at + 36)
            name = content[at + 38 + extra : at + 38 + extra + name_length]
            if not kind & _DELETED_OR_PARENT:
                names[_text(name)] = block
            at += (38 + extra + name_length + 3) // 4 * 4
        return names

    def _entry(self, block: int) -> _Entry:
        entry = self._descriptor(self._start + block)
        kind = _tag(entry)
        if kind not in {_FILE, _LONG_FILE}:
            raise UdfWrong("expected the description of a file or folder on the medium, saw something else")
        (flags,) = struct.unpack_from("<H", entry, 34)
        (length,) = struct.unpack_from("<Q", entry, 56)
        sizes = 168 if kind == _FILE else 208
        extra, described = struct.unpack_from("<II", entry, sizes)
        begin = sizes + 8 + extra
        listed = entry[begin : begin + described]
        if len(listed) < described:
            raise UdfWrong("expected a file's extents in one block, saw more of them")
        form = flags & 0x07
        if form == 3:
            return _Entry(length, embedded=listed[:length])
        if form not in {0, 1}:
            raise UdfWrong(f"expected the usual extents of a file on the medium, saw form {form}")
        step = 8 if form == 0 else 16
        extents: list[_Extent] = []
        for at in range(0, min(len(listed) // step, MOST_EXTENTS) * step, step):
            size, position = struct.unpack_from("<II", listed, at)
            if size & 0x3FFFFFFF:
                extents.append(_Extent(self._start + position, size & 0x3FFFFFFF))
        return _Entry(length, tuple(extents))

    def _descriptor(self, block: int) -> bytes:
        return _bytes(self._source, block * BLOCK, BLOCK)


def is_udf(path: Path) -> bool:
    """Whether the file says that it is a UDF volume: a mark in one of the blocks after the first 16."""
    with path.open("rb") as source:
        source.seek(16 * BLOCK)
        marks = source.read(16 * BLOCK)
    return any(marks[at + 1 : at + 6] in {b"NSR02", b"NSR03"} for at in range(0, len(marks), BLOCK))


def _bytes(source: BinaryIO, offset: int, count: int) -> bytes:
    source.seek(offset)
    read = source.read(count)
    if len(read) < count:
        raise UdfWrong(f"expected {count} bytes at {offset}, saw the end of the file; was it fetched as a whole?")
    return read


def _tag(descriptor: bytes) -> int:
    (kind,) = struct.unpack_from("<H", descriptor, 0)
    return int(kind)


def _text(name: bytes) -> str:
    if name[:1] == b"\x10":
        return name[1:].decode("utf-16-be", "replace")
    return name[1:].decode("latin-1")
