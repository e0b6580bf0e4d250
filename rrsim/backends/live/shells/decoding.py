"""Text from Windows programs: each writes in an encoding of its own, and PowerShell wraps its errors in XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Final

FALLBACK: Final = "cp1252"
"""For bytes that are neither UTF-8 nor UTF-16."""
_CLIXML: Final = "#< CLIXML"
_CODE: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")


def decode(data: bytes, fallback: str = FALLBACK) -> str:
    """Return the text of a program's output; never fails. Line ends become plain ones."""
    return _plain_ends(_decoded(data, fallback))


def _decoded(data: bytes, fallback: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    high, low = data[1::2], data[0::2]
    if len(data) >= 4 and high.count(0) * 10 >= len(high) * 9 and low.count(0) * 10 <= len(low):
        return data.decode("utf-16-le", "replace")  # such as wmic's, without a mark in front
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(fallback, "replace")


def _plain_ends(text: str) -> str:
    return text.replace("\r\r\n", "\n").replace("\r\n", "\n")


def powershell_errors(text: str) -> str:
    """Return what PowerShell wrote on its error stream, taken out of its XML; other text is returned as it is."""
    if not text.startswith(_CLIXML):
        return text
    try:
        root = ET.fromstring(text.split("\n", maxsplit=1)[1])  # noqa: S314 -- the machine under test wrote it; no DTD
    except (ET.ParseError, IndexError):
        return text
    said = [node.text or "" for node in root.iter() if node.tag.endswith("}S") and node.get("S") != "progress"]
    return _plain_ends(_CODE.sub(lambda match: chr(int(match[1], 16)), "".join(said)))
