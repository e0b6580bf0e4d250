"""Which desktop this process is on: its Windows session, its user, and whether anybody can see it."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import wintypes
from typing import Any, Final

import win32api
import win32ts as _win32ts

from rrsim.agent.windows.pipe_words import Here
from rrsim.protocol.messages import Desktop

assert sys.platform == "win32", "desktops exist on Windows only"

win32ts: Any = _win32ts
"""The stubs leave its calls untyped."""
_READ_OBJECTS: Final = 1
_USER: Final = ctypes.WinDLL("user32")
_USER.OpenInputDesktop.restype = wintypes.HANDLE
_USER.CloseDesktop.argtypes = (wintypes.HANDLE,)


def where() -> Here:
    """Return this desktop. It is locked while the keyboard belongs to another one, which we may not open."""
    open_one = _USER.OpenInputDesktop(0, False, _READ_OBJECTS)
    if open_one:
        _USER.CloseDesktop(open_one)
    desktop: Desktop = "visible" if open_one else "locked"
    return Here(desktop, str(win32api.GetUserName()), int(win32ts.ProcessIdToSessionId(os.getpid())))
