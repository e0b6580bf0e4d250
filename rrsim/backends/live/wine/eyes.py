"""What the eyes see: the windows on the customer's desktop, their controls, and where the hands may press.

Pure: it reads what the helper in the session reports and decides where a click goes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from rrsim.machine.desktop import CannotPress, Control, DesktopWindow


class ControlMissing(CannotPress):
    """There is no such window, or no such control in it, or it cannot be pressed now."""


class ControlCovered(CannotPress):
    """Another window lies over the control: a person could not press it either."""


def plain(text: str) -> str:
    """Return a label as a person reads it."""
    return text.replace("&&", "\0").replace("&", "").replace("\0", "&")


def pressable(window: DesktopWindow, which: int | str) -> Control:
    """Return a control by its id, or by its text without the ``&`` of its shortcut.

    Raises:
        ControlMissing: there is none that can be pressed; the message lists those there are.
    """
    for one in window.controls:
        named = one.id == which if isinstance(which, int) else plain(one.text).casefold() == which.casefold()
        if named and one.visible and one.enabled:
            return one
    there = ", ".join(
        f"{one.id} {plain(one.text)!r}{'' if one.visible and one.enabled else ' (off)'}" for one in window.controls
    )
    raise ControlMissing(
        f"{window.title!r} of {window.exe}: no control {which!r} that can be pressed; there are: {there or 'none'}"
    )


def windows(fields: dict[str, Any]) -> tuple[DesktopWindow, ...]:
    """Return what one report of the eyes lists."""
    return msgspec.convert(fields.get("windows", []), tuple[DesktopWindow, ...])


def changes(
    before: tuple[DesktopWindow, ...], after: tuple[DesktopWindow, ...]
) -> tuple[tuple[DesktopWindow, ...], tuple[DesktopWindow, ...]]:
    """Return the windows that came, and those that went."""
    had, has = {one.hwnd for one in before}, {one.hwnd for one in after}
    return tuple(one for one in after if one.hwnd not in had), tuple(one for one in before if one.hwnd not in has)


def find(seen: tuple[DesktopWindow, ...], hwnd: int) -> DesktopWindow:
    """Return one window of a list.

    Raises:
        ControlMissing: it is not there; the message says what is.
    """
    for one in seen:
        if one.hwnd == hwnd:
            return one
    there = ", ".join(f"{one.title!r} of {one.exe}" for one in seen)
    raise ControlMissing(f"no window {hwnd:#x} is on the desktop; there are: {there or 'none'}")


def target(seen: tuple[DesktopWindow, ...], hwnd: int, which: int | str | Literal["close"]) -> tuple[int, int]:
    """Return where to press for a control of a window; ``close`` is the X in the title bar.

    Raises:
        ControlMissing: it is not there or switched off.
        ControlCovered: another window lies over that place.
    """
    window = find(seen, hwnd)
    if which == "close":
        x, y = window.rect.right - 13, window.rect.top + 13
    else:
        x, y = pressable(window, which).rect.middle
    for one in seen:
        if one.hwnd == hwnd:
            return x, y
        if one.rect.holds(x, y):
            raise ControlCovered(
                f"{which!r} of {window.title!r} lies under {one.title!r} of {one.exe}; move or answer that first"
            )
    return x, y
