"""What the console's tests need besides a browser: login links and pictures."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from tests.server.live.rig import Handle


def link_file(server: Handle) -> Path:
    """Return where the server keeps the login link."""
    return Path(server.endpoints.login_file)


def login_link(server: Handle) -> str:
    """Return the login link that is good now."""
    return content_of(link_file(server)).strip()


def content_of(path: Path) -> str:
    """Return a file's text."""
    return path.read_text(encoding="utf-8")


def mode_of(path: Path) -> int:
    """Return who may do what with a file."""
    return path.stat().st_mode & 0o777


def png(width: int, height: int, extra: int = 0) -> bytes:
    """Return a black PNG, with some bytes more where the format allows them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(height * (width + 1)))
    return b"".join((
        b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"tEXt", bytes(extra)), chunk(b"IDAT", pixels),
        chunk(b"IEND", b""),
    ))  # fmt: skip
