"""What Windows tells the builder over its first serial port: one mark a line.

``@rrsim phase NAME`` is written when a part of the set-up begins, ``@rrsim fact NAME VALUE`` for what the builder
keeps, ``@rrsim failed STEP TEXT`` when a step went wrong, ``@rrsim done`` when nothing is left to do. Firmware and
Windows may write to the same port: all else is ignored, and a mark counts once its line is complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

SIGN: Final = "@rrsim"
MOST_BYTES: Final = 8 * 1024 * 1024
"""More than this of a serial log is not read: no set-up says so much."""
_MARK: Final = re.compile(rb"@rrsim (phase|fact|failed|done)(?: ([A-Za-z0-9._-]{1,60}))?(?: ([^\r\n\x1b]{0,4000}))?")


class Mark(msgspec.Struct, frozen=True):
    """One line Windows wrote for the builder."""

    kind: str
    """``phase``, ``fact``, ``failed`` or ``done``."""
    name: str = ""
    text: str = ""


def read(serial: bytes) -> tuple[Mark, ...]:
    """Return the marks in what the serial port has said so far; a line that is still being written is left out."""
    return tuple(_marks(serial[:MOST_BYTES]))


def _marks(serial: bytes) -> Iterator[Mark]:
    for line in serial.split(b"\n")[:-1]:
        found = _MARK.search(line)
        if found is not None:
            kind, name, text = (part.decode("ascii", "replace") if part else "" for part in found.groups())
            yield Mark(kind, name, text.rstrip())


def facts(marks: tuple[Mark, ...]) -> dict[str, str]:
    """Return the facts by name; a fact too long for one line comes in numbered parts, ``NAME.1`` and on.

    A later value replaces an earlier one: the last boot knows best.
    """
    plain: dict[str, str] = {}
    parts: dict[str, dict[int, str]] = {}
    for mark in marks:
        if mark.kind != "fact":
            continue
        name, dot, number = mark.name.rpartition(".")
        if dot and number.isdigit():
            if int(number) == 1:
                parts[name] = {}
            parts.setdefault(name, {})[int(number)] = mark.text
        else:
            plain[mark.name] = mark.text
    for name, texts in parts.items():
        if sorted(texts) == list(range(1, len(texts) + 1)):
            plain[name] = "".join(texts[number] for number in sorted(texts))
    return plain


def command(kind: str, name: str) -> str:
    """Return the command line that writes a mark from a command prompt, as Windows Setup runs it."""
    return f"cmd /c echo {SIGN} {kind} {name}>COM1"
