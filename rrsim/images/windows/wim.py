"""What a Windows installation file (``install.wim`` or ``install.esd``) says is in it.

The list of editions is plain XML, in UTF-16, at a place that the header names; the rest of the file is not looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final
from xml.etree import ElementTree as ET

import msgspec

MAGIC: Final = b"MSWIM\0\0\0"
HEADER_BYTES: Final = 208
MOST_XML_BYTES: Final = 16 * 1024 * 1024
AMD64: Final = "9"
_XML_ENTRY: Final = 0x48


class WimWrong(ValueError):
    """This is no installation file of Windows, or a damaged one."""


class Edition(msgspec.Struct, frozen=True):
    """One Windows that can be installed from it."""

    index: int
    name: str
    edition: str
    """EditionID: ``EnterpriseEval``, ``ServerStandardEval`` …"""
    build: int
    architecture: str
    languages: tuple[str, ...]

    @property
    def evaluation(self) -> bool:
        """Whether Windows runs for some days only: all of Microsoft's evaluation editions say so in their name."""
        return self.edition.endswith("Eval")

    def __str__(self) -> str:
        return f"{self.index}: {self.name} ({self.edition}, build {self.build}, {', '.join(self.languages)})"


def editions(read: Callable[[int, int], bytes]) -> tuple[Edition, ...]:
    """Return what the installation file lists; ``read(offset, count)`` gives its bytes.

    Raises:
        WimWrong: it is none, or damaged.
    """
    header = read(0, HEADER_BYTES)
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise WimWrong("expected an installation file of Windows (MSWIM), saw another kind of file")
    size = int.from_bytes(header[_XML_ENTRY : _XML_ENTRY + 7], "little")
    (offset,) = struct.unpack_from("<Q", header, _XML_ENTRY + 8)
    if not 0 < size <= MOST_XML_BYTES:
        raise WimWrong(f"expected a list of editions of at most {MOST_XML_BYTES} bytes, saw {size}")
    written = read(offset, size)
    if len(written) < size:
        raise WimWrong("expected a list of editions, saw the end of the file; was the medium fetched as a whole?")
    text = written.decode("utf-16", "replace")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise WimWrong("expected a plain list of editions, saw one with a document type")
    try:
        root = ET.fromstring(text)  # noqa: S314 -- without a document type there are no entities to expand
    except ET.ParseError as error:
        raise WimWrong(f"expected a list of editions, saw: {error}") from error
    return tuple(_edition(image) for image in root.iter("IMAGE") if image.find("WINDOWS") is not None)


def _edition(image: ET.Element) -> Edition:
    index, build = image.get("INDEX", ""), image.findtext("WINDOWS/VERSION/BUILD") or ""
    if not index.isdecimal() or not build.isdecimal():
        raise WimWrong(f"expected numbers for index and build of an edition, saw {index!r} and {build!r}")
    return Edition(
        index=int(index), name=image.findtext("NAME") or "", edition=image.findtext("WINDOWS/EDITIONID") or "",
        build=int(build), architecture=image.findtext("WINDOWS/ARCH") or "",
        languages=tuple(one.text or "" for one in image.iterfind("WINDOWS/LANGUAGES/LANGUAGE")),
    )  # fmt: skip
