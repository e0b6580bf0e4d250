"""What eyes see of a desktop: windows with their controls, as plain values.

*Eyes* are a helper of the harness in the customer's session that lists windows; *hands* are real input at a control's
rectangle.
"""

from __future__ import annotations

import msgspec


class Rect(msgspec.Struct, frozen=True):
    """A rectangle on the screen, in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def middle(self) -> tuple[int, int]:
        """The pixel in the middle: where a hand presses."""
        return (self.left + self.right) // 2, (self.top + self.bottom) // 2


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
    """A visible top-level window."""

    hwnd: int
    pid: int
    exe: str
    """File name of the program that owns it."""
    cls: str
    title: str
    rect: Rect
    controls: tuple[Control, ...] = ()

    def control(self, control_id: int) -> Control | None:
        """Return the control with this id, if there is one."""
        return next((one for one in self.controls if one.id == control_id), None)
