"""Pretended media: a Windows medium as small as can be, a virtio-win medium, an OpenSSH zip."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

BLOCK = 2048
PARTITION = 260


def wim(*images: tuple[int, str, str, int, str], arch: str = "9") -> bytes:
    """An installation file that lists (index, name, edition, build, language)."""
    listed = "".join(
        f'<IMAGE INDEX="{index}"><NAME>{name}</NAME><WINDOWS><ARCH>{arch}</ARCH><EDITIONID>{edition}</EDITIONID>'
        f"<LANGUAGES><LANGUAGE>{language}</LANGUAGE></LANGUAGES><VERSION><BUILD>{build}</BUILD></VERSION></WINDOWS></IMAGE>"
        for index, name, edition, build, language in images
    )
    xml = ("\ufeff<WIM>" + listed + "</WIM>").encode("utf-16-le")
    header = bytearray(208)
    header[:8] = b"MSWIM\0\0\0"
    content = b"\x5a" * 5000  # what is installed: never looked at
    header[0x48:0x60] = len(xml).to_bytes(7, "little") + b"\x02" + struct.pack("<QQ", 208 + len(content), len(xml))
    return bytes(header) + content + xml


def iso9660_blocks(label: str, names: tuple[str, ...] = ()) -> dict[int, bytes]:
    """Blocks of an ISO 9660 volume with nothing but names at its root, in block 20."""
    entries = b""
    for name in ("\0", "\1", *(f"{one};1" for one in names)):
        raw = name.encode("ascii")
        length = (33 + len(raw) + 1) // 2 * 2
        entry = bytearray(length)
        entry[0], entry[32] = length, len(raw)
        entry[33 : 33 + len(raw)] = raw
        entries += bytes(entry)
    volume = bytearray(BLOCK)
    volume[:6] = b"\x01CD001"
    volume[40:72] = label.encode("ascii").ljust(32)
    volume[156] = 34
    struct.pack_into("<I", volume, 158, 20)
    struct.pack_into("<I", volume, 166, BLOCK)
    end = b"\xffCD001".ljust(BLOCK, b"\0")
    return {16: bytes(volume), 17: end, 20: entries.ljust(BLOCK, b"\0")}


def _tagged(kind: int, size: int = BLOCK) -> bytearray:
    block = bytearray(size)
    struct.pack_into("<H", block, 0, kind)
    return block


def _file_entry(block: int, length: int, kind: int = 261, form: int = 0) -> bytes:
    entry = _tagged(kind)
    struct.pack_into("<H", entry, 34, form)
    struct.pack_into("<Q", entry, 56, length)
    sizes = 168 if kind == 261 else 208
    # Two extents, so that a reader that takes the first one only is found out.
    first = min(length, BLOCK)
    extents = [(first, block)] + ([(length - first, block + 1)] if length > first else [])
    packed = b"".join(
        struct.pack("<II", size, at) if form == 0 else struct.pack("<II8x", size, at) for size, at in extents
    )
    struct.pack_into("<II", entry, sizes, 0, len(packed))
    entry[sizes + 8 : sizes + 8 + len(packed)] = packed
    return bytes(entry)


def _name(name: str, block: int, kind: int = 0) -> bytes:
    raw = b"\x10" + name.encode("utf-16-be") if name else b""
    entry = _tagged(257, (38 + len(raw) + 3) // 4 * 4)
    entry[18], entry[19] = kind, len(raw)
    struct.pack_into("<II", entry, 20, BLOCK, block)
    entry[38 : 38 + len(raw)] = raw
    return bytes(entry)


def windows_iso(
    path: Path, installs: bytes, *, label: str = "CPBA_X64FREV_EN-US_DV5", file: str = "install.wim", udf: bool = True,
    kind: int = 261, form: int = 0,
) -> Path:
    """Write a Windows medium: a UDF volume with ``sources/install.wim``, and the ISO 9660 face that says so."""
    blocks = iso9660_blocks(label)
    if udf:
        blocks[18] = b"\0BEA01".ljust(BLOCK, b"\0")
        blocks[19] = b"\0NSR02".ljust(BLOCK, b"\0")
        anchor = _tagged(2)
        struct.pack_into("<II", anchor, 16, 4 * BLOCK, 32)
        partition = _tagged(5)
        struct.pack_into("<I", partition, 188, PARTITION)
        volume = _tagged(6)
        struct.pack_into("<I", volume, 212, BLOCK)
        struct.pack_into("<II", volume, 248, BLOCK, 0)
        file_set = _tagged(256)
        struct.pack_into("<II", file_set, 400, BLOCK, 1)
        root = _name("", 1, 0x0A) + _name("boot.wim", 3, 0x04) + _name("sources", 3, 0x02)
        sources = _name("", 1, 0x0A) + _name(file, 5)
        blocks |= {
            256: bytes(anchor), 32: bytes(partition), 33: bytes(volume), 34: bytes(_tagged(8)),
            PARTITION: bytes(file_set), PARTITION + 1: _file_entry(2, len(root)),
            PARTITION + 2: root.ljust(BLOCK, b"\0"), PARTITION + 3: _file_entry(4, len(sources), kind, form),
            PARTITION + 4: sources.ljust(BLOCK, b"\0"), PARTITION + 5: _file_entry(6, len(installs), kind, form),
        }
        for at in range(0, len(installs), BLOCK):
            blocks[PARTITION + 6 + at // BLOCK] = installs[at : at + BLOCK].ljust(BLOCK, b"\0")
    with path.open("wb") as target:
        for number, block in blocks.items():
            target.seek(number * BLOCK)
            target.write(block)
    return path


def virtio_iso(path: Path, names: tuple[str, ...] = ("virtio-win-guest-tools.exe",)) -> Path:
    """Write a medium with these names at its root."""
    with path.open("wb") as target:
        for number, block in iso9660_blocks("virtio-win-0.1.285", names).items():
            target.seek(number * BLOCK)
            target.write(block)
    return path


def openssh_zip(path: Path, names: tuple[str, ...] = ("sshd.exe", "install-sshd.ps1")) -> Path:
    """Write a zip with these files in the folder that the real one has."""
    with zipfile.ZipFile(path, "w") as packed:
        for name in names:
            packed.writestr(f"OpenSSH-Win64/{name}", "nothing")
    return path
