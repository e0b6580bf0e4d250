"""The lock file: every wheel that goes into the frozen agent, by version, file name and sha256."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from rrsim.agent.freezing.errors import BuildError

LOCK_FILE: Final = Path(__file__).with_name("windows.lock")
"""The lock file of this version of rrsim."""

_LINE: Final = re.compile(r"([A-Za-z0-9][\w.-]*)==(\S+)\s+(\S+\.whl)\s+([0-9a-f]{64})")


class Pin(msgspec.Struct, frozen=True):
    """One pinned wheel."""

    name: str
    version: str
    file_name: str
    sha256: str

    @property
    def requirement(self) -> str:
        """The line that makes pip fetch exactly this file."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def read_pins(path: Path = LOCK_FILE) -> tuple[Pin, ...]:
    """Read a lock file.

    Raises:
        BuildError: a line is not ``name==version file.whl sha256``, or a name comes twice.
    """
    pins: dict[str, Pin] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise BuildError("`name==version file.whl sha256` on every line of the lock file",
                             f"{path.name}:{number}: {text!r}", "putting the line right")
        pin = Pin(*match.groups())
        if pin.name in pins:
            raise BuildError("every package once in the lock file", f"{path.name}:{number}: {pin.name} again",
                             "removing one of the two lines")
        pins[pin.name] = pin
    return tuple(pins.values())


def pin_of(pins: tuple[Pin, ...], name: str) -> Pin:
    """Return the pin of a package.

    Raises:
        BuildError: the lock file does not have it.
    """
    for pin in pins:
        if pin.name == name:
            return pin
    raise BuildError(f"{name} in the lock file", ", ".join(pin.name for pin in pins), "adding a line for it")
