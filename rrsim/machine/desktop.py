"""What eyes see of a desktop: windows with their controls, as plain values.

*Eyes* are a helper of the harness in the customer's session that lists windows; *hands* are real input at a control's
rectangle.
"""

from __future__ import annotations

import msgspec


class CannotPress(RuntimeError):
    """A person could not press there either: the control is missing, switched off, or lies under another window."""


class Rect(msgspec.Struct, frozen=True, array_like=True):
    """A rectangle on the screen, in pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def middle(self) -> tuple[int, int]:
        """The pixel in the middle: where a hand presses."""
        return (self.left + self.right) // 2, (self.top + self.bottom) // 2

    def holds(self, x: int, y: int) -> bool:
        """Say whether a pixel lies inside."""
        return self.left <= x < self.right and self.top <= y < self.bottom


class Control(msgspec.Struct, frozen=True):
    """A control in a window."""

    hwnd: int
    id: int
    cls: str
    """Window class, such as ``Button`` or ``Edit``."""
    text: str
    rect: Rect
    visible: bool = True
    enabled: bool = True


class DesktopWindow(msgspec.Struct, frozen=True):
    """A visible top-level window. Of a list of windows, the first is the topmost."""

    hwnd: int
    pid: int
    exe: str
    """File name of the program that owns it."""
    cls: str
    title: str
    rect: Rect
    controls: tuple[Control, ...] = ()
    foreground: bool = False

    def control(self, control_id: int) -> Control | None:
        """Return the control with this id, if there is one."""
        return next((one for one in self.controls if one.id == control_id), None)
