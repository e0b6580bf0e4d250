"""Which libraries a program is linked with, read from the program itself."""

from __future__ import annotations

import struct
from typing import Final

_LOAD: Final = 1
_DYNAMIC: Final = 2
_NEEDED: Final = 1
_STRING_TABLE: Final = 5


def needed(data: bytes) -> list[str]:
    """Return the names of the libraries that a 64-bit ELF file asks for; none for any other file."""
    if data[:5] != b"\x7fELF\x02":
        return []
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    loads: list[tuple[int, int, int]] = []
    entries: list[tuple[int, int]] = []
    for number in range(count):
        kind, _, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", data, start + number * size)
        if kind == _LOAD:
            loads.append((address, offset, in_file))
        elif kind == _DYNAMIC:
            entries = list(struct.iter_unpack("<QQ", data[offset : offset + in_file // 16 * 16]))
    strings = next((value for tag, value in entries if tag == _STRING_TABLE), None)
    if strings is None:
        return []
    where = next(strings - at + offset for at, offset, in_file in loads if at <= strings < at + in_file)
    found = [where + value for tag, value in entries if tag == _NEEDED]
    return [data[one : data.index(b"\0", one)].decode() for one in found]
