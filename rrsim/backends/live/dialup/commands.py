"""A modem's command line, cut into commands. Pure; what each one does is :mod:`.modem`'s affair.

What a modem of the nineties took without doing anything visible here (speaker, error correction, flow control, lamps)
is accepted, so that the set-up lines of Windows' modem files and of chat scripts pass. What is unknown is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

NAME: Final = "rrsim modem"
_ACCEPTED: Final = frozenset("BCFLMNPTWY")
"""Basic commands that only have to be accepted, besides those that :mod:`.modem` obeys."""
_OBEYED: Final = frozenset("AEHOQVXZ")
_EXTENDED: Final = frozenset({
    "A8E", "DR", "DS", "EB", "EFCS", "ER", "ES", "ESR", "ETBM", "EWIND", "ICF", "IFC", "ILRR", "IPR", "MR", "MS",
    "MSC", "PCW", "PMH", "PQC", "PSS", "PIG", "VCID",
})
"""Settings of V.250 and its kin that are accepted; a question about one is answered with an empty value."""
_IDENTITY: Final = {"GMI": "rrsim", "GMM": NAME, "GMR": "1", "GCAP": "+FCLASS", "FCLASS?": "0", "FCLASS=?": "0"}
_DIALLED: Final = frozenset("0123456789*#ABCD")
_IGNORED: Final = frozenset("TPR!@ ()-./")
"""In a number: kinds of dialling, flash, silence and how people write numbers."""
_NUMBERED: Final = re.compile(r"(\d{0,5})")
_PREFIXED: Final = re.compile(r"([&\\%*\-$])([A-Z])(\d{0,5})")
_REGISTER: Final = re.compile(r"S?(\d{0,5})(?:(\?)|=(\d{0,5}))?")
_PLUS: Final = re.compile(r"\+([A-Z0-9]+)(=\?|\?|=[^;]*)?(;|$)")


class _Part(msgspec.Struct, frozen=True):
    """Base of the commands of a line."""


class Basic(_Part, frozen=True):
    """A letter (``E``, ``&F``, ``\\N``) with a number, 0 if none was given."""

    letter: str
    value: int = 0


class Register(_Part, frozen=True):
    """Read (``asks``), write (``value`` from 0) or only name an S-register."""

    number: int
    value: int = -1
    asks: bool = False


class DialNumber(_Part, frozen=True):
    """Dial."""

    number: str
    pauses: int = 0
    second_tones: int = 0
    again: bool = False
    """The number dialled last (``DL``)."""


class Tell(_Part, frozen=True):
    """Show a line about the modem."""

    text: str


class Unknown(_Part, frozen=True):
    """Nothing this modem knows."""


Command = Basic | Register | DialNumber | Tell | Unknown


def read(line: str) -> Iterator[Command]:
    """Yield the commands of a line, ``AT`` taken off; after :class:`Unknown` nothing more follows."""
    rest = line.upper().replace(" ", "")
    named = 0
    """The register that a bare ``?`` or ``=`` speaks of."""
    while rest:
        letter = rest[0]
        if letter == "D":
            yield _number(rest[1:])
            return
        if letter in "S?=":
            found = _REGISTER.match(rest)
            assert found is not None, "every part of the pattern may be empty"
            number = int(found[1] or 0) if letter == "S" else named
            named = number
            yield Register(number, -1 if found[3] is None else int(found[3] or 0), found[2] is not None)
            rest = rest[max(1, found.end()):]
            continue
        command, length = _one(rest)
        yield command
        if isinstance(command, Unknown):
            return
        rest = rest[length:]


def _one(rest: str) -> tuple[Command, int]:
    """Read one command that is neither a number to dial nor a register, and say how long it is."""
    letter = rest[0]
    if letter == "+":
        return _extended(rest)
    if prefixed := _PREFIXED.match(rest):
        return Basic(prefixed[1] + prefixed[2], int(prefixed[3] or 0)), prefixed.end()
    numbered = _NUMBERED.match(rest, 1)
    assert numbered is not None, "the pattern may be empty"
    value = int(numbered[1] or 0)
    if letter == "I":
        return (Tell(NAME) if value <= 9 else Unknown()), numbered.end()
    known = letter in _ACCEPTED or letter in _OBEYED
    return (Basic(letter, value) if known else Unknown()), numbered.end()


def _extended(rest: str) -> tuple[Command, int]:
    found = _PLUS.match(rest)
    if found is None:
        return Unknown(), 0
    name, given = found[1], found[2] or ""
    text = _IDENTITY.get(name + given, _IDENTITY.get(name) if given in ("", "?") else None)
    if text is not None:
        return Tell(text), found.end()
    if name == "FCLASS":  # data calls only, no fax
        return (Basic("+FCLASS") if given == "=0" else Unknown()), found.end()
    if name not in _EXTENDED:
        return Unknown(), 0
    return (Tell(f"+{name}: ") if given.endswith("?") else Basic(f"+{name}")), found.end()


def _number(text: str) -> DialNumber | Unknown:
    if text == "L":
        return DialNumber("", again=True)
    digits = "".join(letter for letter in text if letter in _DIALLED)
    if not digits or any(letter not in _DIALLED and letter not in _IGNORED and letter not in ",W" for letter in text):
        return Unknown()
    return DialNumber(digits, text.count(","), text.count("W"))
