"""The header of libvirt's saved memory images, read and rewritten. Pure.

libvirt restores an image only as the domain that was saved: its ABI check refuses another UUID or name, both when an
image is restored with other XML and when its XML is redefined. The XML in the header is checked against nothing,
though, so whoever may write the file can make it another domain. The format (``qemu_saveimage.h``, version 2, the same
since libvirt 1.3): a header of 92 bytes, then the XML, a zero byte, a cookie, and zeros up to the recorded length, then
QEMU's stream. libvirt leaves 64 KiB of zeros, so that the XML may grow without the stream being moved.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final
from xml.etree import ElementTree

import msgspec

from rrsim.backends.live.vm.errors import ReadyStateBad

MAGIC: Final = b"LibvirtQemudSave"
VERSION: Final = 2
_HEADER: Final = struct.Struct("<16sIIIII14I")
HEADER_BYTES: Final = _HEADER.size
DATA_MAX_BYTES: Final = 4 << 20


class Header(msgspec.Struct, frozen=True):
    """What comes before QEMU's stream."""

    data_bytes: int
    """Length of everything between header and stream."""
    running: int
    compressed: int
    cookie_at: int
    """Where the cookie begins in the data; 0: there is none."""

    @property
    def stream_at(self) -> int:
        """Where QEMU's stream begins in the file."""
        return HEADER_BYTES + self.data_bytes


def parse(data: bytes) -> Header:
    """Read the first :data:`HEADER_BYTES` bytes of an image.

    Raises:
        ReadyStateBad: these are not the beginning of a whole image of the format we know.
    """
    if len(data) < HEADER_BYTES:
        raise ReadyStateBad(f"expected a saved memory image, saw a file of {len(data)} bytes; make it anew")
    magic, version, data_bytes, running, compressed, cookie_at, *_ = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ReadyStateBad(f"expected a saved memory image, saw one that begins with {magic!r}; make it anew")
    if version != VERSION or not 0 < data_bytes <= DATA_MAX_BYTES or cookie_at >= data_bytes:
        raise ReadyStateBad(
            f"expected a saved memory image of version {VERSION}, saw version {version} with {data_bytes} bytes of "
            f"description and a cookie at {cookie_at}; make it anew"
        )
    return Header(data_bytes, running, compressed, cookie_at)


def rewrite(head: bytes, change: Callable[[str], str]) -> bytes:
    """Return header and data of an image with its XML changed; the same length as before.

    Args:
        head: the file up to where the stream begins.
        change: from the domain's XML to the new one.

    Raises:
        ReadyStateBad: it is no such image, or the new XML does not fit.
    """
    header = parse(head)
    data = head[HEADER_BYTES:header.stream_at]
    if len(data) < header.data_bytes:
        raise ReadyStateBad(f"expected {header.data_bytes} bytes of description, saw {len(data)}; make it anew")
    xml, _, _ = data.partition(b"\0")
    cookie = data[header.cookie_at:].partition(b"\0")[0] if header.cookie_at else b""
    try:
        new = change(xml.decode("utf-8")).encode("utf-8") + b"\0"
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise ReadyStateBad(f"expected XML in a saved memory image, saw: {error}; make it anew") from error
    cookie_at = len(new) if header.cookie_at else 0
    if header.cookie_at:
        new += cookie + b"\0"
    if len(new) > header.data_bytes:
        raise ReadyStateBad(
            f"the machine's description grew to {len(new)} bytes and the saved memory image has room for "
            f"{header.data_bytes}; make it anew"
        )
    fields = _HEADER.unpack_from(head)
    return _HEADER.pack(*fields[:5], cookie_at, *fields[6:]) + new.ljust(header.data_bytes, b"\0")


def as_machine(
    xml: str, *, name: str, uuid: str, mark: str, disk: str, console_log: str, nvram: str = ""
) -> str:
    """Return a domain's XML as another machine's: the same hardware with its own name, lease and files.

    Raises:
        ElementTree.ParseError: it is no XML.
    """
    root = ElementTree.fromstring(xml)  # noqa: S314 -- libvirt's own
    _set(root, "name", name)
    _set(root, "uuid", uuid)
    metadata = root.find("metadata")
    if metadata is not None:
        metadata[:] = [ElementTree.fromstring(mark)]  # noqa: S314 -- made by rrsim
    for element in root.iterfind("devices/disk"):
        for chain in element.findall("backingStore"):
            element.remove(chain)  # libvirt reads the chain from the files
        source = element.find("source")
        if source is not None:
            source.set("file", disk)
            for index in ("index", "startupPolicy"):
                source.attrib.pop(index, None)
    for log in root.iter("log"):
        log.set("file", console_log)
    if nvram:
        _set(root, "os/nvram", nvram)
    return ElementTree.tostring(root, encoding="unicode")


def _set(root: ElementTree.Element, path: str, text: str) -> None:
    element = root.find(path)
    if element is not None:
        element.text = text
