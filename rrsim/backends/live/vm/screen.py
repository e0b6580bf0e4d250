"""Pictures of a machine's screen, taken through the hypervisor."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import Any, Final

PNG: Final = b"\x89PNG\r\n\x1a\n"
PNG_HEADER: Final = struct.Struct(">16s0sII")
"""Signature and beginning of the first chunk, then width and height."""
HEADER_BYTES: Final = 64
PICTURE_MAX_BYTES: Final = 64 << 20


def take(domain: Any) -> bytes:
    """Return the screen as libvirt gives it: PNG or a portable pixmap. Blocks.

    Raises:
        libvirtError: the machine is off or has no screen.
    """
    stream = domain.connect().newStream()
    domain.screenshot(stream, 0, 0)
    data = bytearray()
    try:
        while chunk := stream.recv(1 << 18):
            data += chunk
            if len(data) > PICTURE_MAX_BYTES:
                raise ValueError(f"a picture of more than {PICTURE_MAX_BYTES} bytes")
        stream.finish()
    except BaseException:
        _abort(stream)
        raise
    return bytes(data)


def png(picture: bytes) -> bytes:
    """Return a picture of the hypervisor's as PNG: newer QEMU gives one itself, older a portable pixmap.

    Raises:
        ValueError: it is neither.
    """
    size(picture)
    if picture.startswith(PNG):
        return picture
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        out = io.BytesIO()
        opened.save(out, "PNG")
    return out.getvalue()


def size(picture: bytes) -> tuple[int, int]:
    """Return width and height in pixels.

    Raises:
        ValueError: it is neither PNG nor a portable pixmap.
    """
    if picture.startswith(PNG) and len(picture) >= PNG_HEADER.size:
        _, _, width, height = PNG_HEADER.unpack_from(picture)
        return width, height
    words = picture[:HEADER_BYTES].split()
    try:
        if words[0] != b"P6":
            raise ValueError
        return int(words[1]), int(words[2])
    except (ValueError, IndexError):
        raise ValueError(f"expected a picture from the hypervisor, saw {picture[:16]!r}") from None


def _abort(stream: Any) -> None:
    import libvirt

    with contextlib.suppress(libvirt.libvirtError):
        stream.abort()
