"""Which keys type a text, by keyboard layout: QEMU's key names (positions on a US keyboard) with the modifiers held.

The layout is the guest's. A character that the layout lacks is an error, never a near miss.
"""

from __future__ import annotations

from typing import Final, Literal

Modifier = Literal["shift", "alt_r"]
Stroke = tuple[str, tuple[Modifier, ...]]
"""A key and what is held down with it."""

_POSITIONS: Final = (
    "grave_accent 1 2 3 4 5 6 7 8 9 0 minus equal",
    "q w e r t y u i o p bracket_left bracket_right",
    "a s d f g h j k l semicolon apostrophe backslash",
    "less z x c v b n m comma dot slash",
)
"""The four rows of an international keyboard, by QEMU's names; ``less`` is the key beside the left Shift."""

_LAYOUTS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    # A row without modifiers and with Shift; a space stands for a key that types nothing here (or is a dead key).
    "us": (
        ("`1234567890-=", "~!@#$%^&*()_+"), ("qwertyuiop[]", "QWERTYUIOP{}"), ("asdfghjkl;'\\", 'ASDFGHJKL:"|'),
        (" zxcvbnm,./", " ZXCVBNM<>?"),
    ),
    "gb": (
        ("`1234567890-=", "¬!\"£$%^&*()_+"), ("qwertyuiop[]", "QWERTYUIOP{}"), ("asdfghjkl;'#", "ASDFGHJKL:@~"),
        ("\\zxcvbnm,./", "|ZXCVBNM<>?"),
    ),
    "de": (
        (" 1234567890ß ", '°!"§$%&/()=? '), ("qwertzuiopü+", "QWERTZUIOPÜ*"), ("asdfghjklöä#", "ASDFGHJKLÖÄ'"),
        ("<yxcvbnm,.-", ">YXCVBNM;:_"),
    ),
}
_ALT_GR: Final[dict[str, dict[str, str]]] = {
    "us": {}, "gb": {"€": "4"},
    "de": {
        "²": "2", "³": "3", "{": "7", "[": "8", "]": "9", "}": "0", "\\": "minus", "@": "q", "€": "e",
        "~": "bracket_right", "|": "less", "µ": "m",
    },
}
_EVERYWHERE: Final[dict[str, str]] = {" ": "spc", "\n": "ret", "\t": "tab"}

NAMES: Final[dict[str, str]] = {
    "enter": "ret", "return": "ret", "escape": "esc", "space": "spc", "delete": "delete", "insert": "insert",
    "page up": "pgup", "page down": "pgdn", "windows": "meta_l", "alt gr": "alt_r", "control": "ctrl",
    "caps lock": "caps_lock", "print": "print",
}
"""Names that people use to QEMU's; every other name is QEMU's own (``tab``, ``f4``, ``ctrl``, ``alt``, ``left`` …)."""


class KeyUnknown(ValueError):
    """A text has a character, or a caller a layout, that no key is known for."""


def layouts() -> tuple[str, ...]:
    """Return the layouts that texts can be typed in, by X name."""
    return tuple(sorted(_LAYOUTS))


def strokes(text: str, keyboard: str = "us") -> tuple[Stroke, ...]:
    """Return the strokes that type ``text``, one a character.

    Raises:
        KeyUnknown: the layout is not known, or lacks a character of the text. The text itself is not repeated in the
            message: it may be a password.
    """
    table = _table(keyboard)
    found: list[Stroke] = []
    for place, character in enumerate(text, 1):
        if character not in table:
            raise KeyUnknown(
                f"character {place} of {len(text)} cannot be typed with the keyboard layout {keyboard!r}"
            )
        found.append(table[character])
    return tuple(found)


def key(name: str) -> str:
    """Return QEMU's name of a key that people call ``name``."""
    low = name.lower()
    return NAMES.get(low, low)


def _table(keyboard: str) -> dict[str, Stroke]:
    rows = _LAYOUTS.get(keyboard)
    if rows is None:
        raise KeyUnknown(f"no keyboard layout {keyboard!r}; there are: {', '.join(layouts())}")
    table: dict[str, Stroke] = {}
    for positions, (plain, shifted) in zip(_POSITIONS, rows, strict=True):
        for position, low, high in zip(positions.split(), plain, shifted, strict=True):
            if low != " ":
                table.setdefault(low, (position, ()))
            if high != " ":
                table.setdefault(high, (position, ("shift",)))
    for character, position in _ALT_GR[keyboard].items():
        table.setdefault(character, (position, ("alt_r",)))
    for character, position in _EVERYWHERE.items():
        table[character] = (position, ())
    return table
