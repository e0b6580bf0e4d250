"""Windows on the desktop, drawn with native controls: the only part of the user interface that calls Win32.

One thread owns a :class:`Glass` and everything on it. A window is closed in one of four ways, which must not be
mistaken for each other (rule 12):

* by the program, through :meth:`Pane.close`: nobody hears of it;
* by the person: the close button, Alt+F4 and the taskbar all arrive as ``SC_CLOSE``, before any ``WM_CLOSE``;
* by another program: a ``WM_CLOSE`` without ``SC_CLOSE``, which is what Restart Manager sends;
* by Windows: the window is destroyed without either.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import sys
import threading
from collections.abc import Callable
from ctypes import wintypes
from typing import Any, Final, Literal, Protocol

import win32api
import win32con
import win32gui as _win32gui
import win32process
import win32ts

from rrsim.agent.windows import ui_forms as forms
from rrsim.agent.windows.ui_forms import Control, Form, Rect, Size

assert sys.platform == "win32", "native windows exist on Windows only"

win32gui: Any = _win32gui
"""Untyped: the stubs are wrong for half of what is used here (``MoveWindow``, ``DrawText``, ``WNDCLASS`` …)."""

Event = Literal["pressed", "closed by person", "closed by program", "destroyed"]

_WM_WAKE: Final = win32con.WM_APP + 1
_WM_SESSION_CHANGE: Final = 0x02B1
_DM_GETDEFID: Final = win32con.WM_USER
_DC_HASDEFID: Final = 0x534B
_SC_MASK: Final = 0xFFF0
_FLASH_UNTIL_SEEN: Final = 0x2 | 0xC
_NOTIFY_THIS_SESSION: Final = 0
_SHELL: Final = frozenset({"#32769", "Progman", "WorkerW", "Shell_TrayWnd"})
"""Windows of the desktop itself: while one of them is in front nobody is typing anywhere."""


class Session(Protocol):
    """What the owner of a :class:`Glass` hears from Windows, apart from its own windows' events."""

    def work(self) -> None:
        """:meth:`Glass.wake` was called."""

    def query_end(self, bits: int) -> None:
        """``WM_QUERYENDSESSION``."""

    def end(self, ends: bool, bits: int) -> None:
        """``WM_ENDSESSION``; when this returns, Windows may end the process."""

    def session_changed(self, code: int) -> None:
        """``WM_WTSSESSION_CHANGE``: the desktop was locked, unlocked, connected or disconnected."""


class Pane:
    """One window of ours. Only the thread of its glass may touch it."""

    def __init__(self, glass: Glass, form: Form, on: Callable[[Event, int], None]) -> None:
        """Make the window, and show it."""
        self.form = form
        self.alive = True
        self._glass = glass
        self._on = on
        self._controls: dict[int, int] = {}
        self._hidden = frozenset(control.id for control in form.controls() if not control.visible)
        self._focus = 0
        self._by_us = False
        self.hwnd = self._create()
        _OWNERS[self.hwnd] = self
        for control in form.controls():
            self._controls[control.id] = self._child(control)
        self._place()
        glass.present(self)

    # --- making it ----------------------------------------------------------------------------------------------

    def _create(self) -> int:
        _register(self.form.cls)
        style = win32con.WS_OVERLAPPED | win32con.WS_CAPTION | win32con.WS_CLIPCHILDREN
        if self.form.closable:
            style |= win32con.WS_SYSMENU
        if self.form.min_height:
            style |= win32con.WS_THICKFRAME | win32con.WS_MINIMIZEBOX | win32con.WS_MAXIMIZEBOX
        above = win32con.WS_EX_TOPMOST if self.form.place == "front" else 0
        return int(win32gui.CreateWindowEx(
            above | win32con.WS_EX_CONTROLPARENT | win32con.WS_EX_APPWINDOW, self.form.cls, self.form.title, style,
            0, 0, 100, 100, 0, 0, win32api.GetModuleHandle(None), None,
        ))  # fmt: skip

    def _child(self, control: Control) -> int:
        style = win32con.WS_CHILD | (0 if control.id in self._hidden else win32con.WS_VISIBLE)
        extended, cls = 0, "EDIT"
        if control.kind == "text":
            cls, style = "STATIC", style | win32con.SS_NOPREFIX
        elif control.kind in ("line", "transcript"):
            extended, style = win32con.WS_EX_CLIENTEDGE, style | win32con.WS_TABSTOP
            style |= win32con.ES_AUTOHSCROLL if control.kind == "line" else (
                win32con.ES_MULTILINE | win32con.ES_READONLY | win32con.ES_AUTOVSCROLL | win32con.WS_VSCROLL
            )  # fmt: skip
        else:
            cls = "BUTTON"
            style |= win32con.WS_TABSTOP | (win32con.BS_DEFPUSHBUTTON if control.kind == "default" else 0)
        hwnd = int(win32gui.CreateWindowEx(
            extended, cls, control.text, style, 0, 0, 10, 10, self.hwnd, control.id, win32api.GetModuleHandle(None),
            None,
        ))  # fmt: skip
        win32gui.SendMessage(hwnd, win32con.WM_SETFONT, self._glass.font, 0)
        if cls == "EDIT":
            win32gui.SendMessage(hwnd, win32con.EM_SETLIMITTEXT, 4000 if control.kind == "line" else 0, 0)
        return hwnd

    def _place(self) -> None:
        """Give the window the size that its texts need, and a spot where it covers none of our others."""
        scale = self._glass.scale
        inside, _ = forms.arrange(self.form, self._glass.measure, self._hidden)
        frame = _frame(self.hwnd)
        size = (round(inside[0] * scale) + frame[0], round(inside[1] * scale) + frame[1])
        x, y = forms.spot(size, self._glass.area(), self._glass.taken(self), self.form.place)
        win32gui.SetWindowPos(self.hwnd, 0, x, y, *size, win32con.SWP_NOZORDER | win32con.SWP_NOACTIVATE)
        self._arrange()

    def _arrange(self) -> None:
        scale = self._glass.scale
        left, top, right, bottom = win32gui.GetClientRect(self.hwnd)
        inside = (int((right - left) / scale), int((bottom - top) / scale))
        _, rects = forms.arrange(self.form, self._glass.measure, self._hidden, inside)
        for number, rect in rects.items():
            win32gui.MoveWindow(self._controls[number], *(round(length * scale) for length in rect), True)

    # --- using it -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the window, unheard."""
        if self.alive:
            self._by_us = True
            win32gui.DestroyWindow(self.hwnd)

    def front(self) -> None:
        """Bring the window to the front."""
        if self.alive:
            self._glass.present(self)

    def text(self, number: int) -> str:
        """Return what a control says."""
        return str(win32gui.GetWindowText(self._controls[number])) if self.alive else ""

    def set_text(self, number: int, text: str) -> None:
        """Let a control say something; a transcript shows its end."""
        if not self.alive:
            return
        hwnd = self._controls[number]
        win32gui.SetWindowText(hwnd, text.replace("\n", "\r\n"))
        end = len(text) * 2
        win32gui.SendMessage(hwnd, win32con.EM_SETSEL, end, end)
        win32gui.SendMessage(hwnd, win32con.EM_SCROLLCARET, 0, 0)

    def append(self, number: int, text: str) -> None:
        """Add to the end of a transcript."""
        if not self.alive:
            return
        hwnd = self._controls[number]
        end = win32gui.SendMessage(hwnd, win32con.WM_GETTEXTLENGTH, 0, 0)
        win32gui.SendMessage(hwnd, win32con.EM_SETSEL, end, end)
        win32gui.SendMessage(hwnd, win32con.EM_REPLACESEL, 0, text.replace("\n", "\r\n"))

    def show(self, number: int, visible: bool) -> None:
        """Show or hide a control; a window of fixed size grows or shrinks with it."""
        if not self.alive:
            return
        self._hidden = self._hidden - {number} if visible else self._hidden | {number}
        win32gui.ShowWindow(self._controls[number], win32con.SW_SHOWNA if visible else win32con.SW_HIDE)
        if self.form.min_height:
            self._arrange()
        else:
            self._place()

    def focus(self) -> None:
        """Put the keyboard where this window wants it."""
        first = next((c.id for c in self.form.controls() if c.kind == "line"), self.form.default())
        target = self._focus or self._controls.get(first, 0)
        if target:
            win32gui.SetFocus(target)

    # --- what Windows says --------------------------------------------------------------------------------------

    def hear(self, message: int, wparam: int, lparam: int) -> int | None:
        """Take a window message; None leaves it to Windows."""
        if message == win32con.WM_COMMAND:
            if not wparam >> 16 & 0xFFFF:
                self._on("pressed", wparam & 0xFFFF)
            return 0
        if message == win32con.WM_SYSCOMMAND and wparam & _SC_MASK == win32con.SC_CLOSE:
            if self.form.closable:
                self._on("closed by person", 0)
            return 0
        if message == win32con.WM_CLOSE:
            self._by_us = True
            self._on("closed by program", 0)
            win32gui.DestroyWindow(self.hwnd)
            return 0
        if message == win32con.WM_DESTROY:
            self.alive = False
            if not self._by_us:
                self._on("destroyed", 0)
            return 0
        return self._hear_quietly(message, wparam, lparam)

    def _hear_quietly(self, message: int, wparam: int, lparam: int) -> int | None:
        if message == _DM_GETDEFID:
            number = self.form.default()
            return _DC_HASDEFID << 16 | number if number else 0
        if message == win32con.WM_ACTIVATE and not wparam & 0xFFFF:
            focus = win32gui.GetFocus()
            self._focus = focus if focus in self._controls.values() else 0
            return 0
        if message == win32con.WM_SETFOCUS:
            self.focus()
            return 0
        if message == win32con.WM_SIZE and self.form.min_height and wparam != win32con.SIZE_MINIMIZED:
            if len(self._controls) == len(self.form.controls()):
                self._arrange()
            return 0
        if message == win32con.WM_GETMINMAXINFO and self.form.min_height and self._controls:
            inside, _ = forms.arrange(self.form, self._glass.measure, self._hidden)
            smallest = wintypes.POINT.from_address(lparam + 3 * ctypes.sizeof(wintypes.POINT))
            frame = _frame(self.hwnd)
            smallest.x = round(inside[0] * self._glass.scale) + frame[0]
            smallest.y = round(inside[1] * self._glass.scale * 2 / 3) + frame[1]
            return 0
        # Several windows of a process get these; only the invisible one speaks to the agent about them.
        if message == win32con.WM_QUERYENDSESSION:
            return 1
        return 0 if message == win32con.WM_ENDSESSION else None


class _Main:
    """The invisible window: end of the session, session changes, and work from other threads."""

    def __init__(self, session: Session) -> None:
        _register(forms.MAIN_CLASS)
        self._session = session
        # Not a message-only window: those are not told that the session ends.
        self.hwnd: int = win32gui.CreateWindowEx(
            0, forms.MAIN_CLASS, "rragent", win32con.WS_POPUP, 0, 0, 0, 0, 0, 0, win32api.GetModuleHandle(None), None
        )
        _OWNERS[self.hwnd] = self
        try:
            win32ts.WTSRegisterSessionNotification(self.hwnd, _NOTIFY_THIS_SESSION)
        except win32api.error:
            # Early in a boot the service for it may not run yet; whoever needs the news also asks by itself.
            return

    def hear(self, message: int, wparam: int, lparam: int) -> int | None:
        """Take a window message; None leaves it to Windows."""
        if message == _WM_WAKE:
            self._session.work()
            return 0
        if message == win32con.WM_QUERYENDSESSION:
            self._session.query_end(lparam)
            return 1
        if message == win32con.WM_ENDSESSION:
            self._session.end(bool(wparam), lparam)
            return 0
        if message == _WM_SESSION_CHANGE:
            self._session.session_changed(wparam)
            return 0
        return 0 if message == win32con.WM_CLOSE else None


def _sit_where_the_program_sits() -> None:
    """Put this thread on the desktop of the program's first one.

    A program that a service starts on the customer's desktop begins there with its first thread; a later thread may
    get the service's own desktop, which nobody sees (seen on Wine).
    """
    first = threading.main_thread().native_id
    if first is not None and first != threading.get_native_id():
        desktop = _USER.GetThreadDesktop(first)
        if desktop:
            _USER.SetThreadDesktop(desktop)


class Glass:
    """A thread's windows, its font and scale, and its message loop."""

    def __init__(self, log: Callable[[str], None], session: Session | None = None) -> None:
        """Prepare this thread for windows; with ``session`` it also hears that the Windows session ends."""
        self._log = log
        _sit_where_the_program_sits()
        self.scale = _scale()
        self.font = _font()
        self.panes: list[Pane] = []
        self._measured: dict[tuple[str, int], Size] = {}
        self._main = _Main(session) if session is not None else None
        _LOGS[win32api.GetCurrentThreadId()] = log

    def open(self, form: Form, on: Callable[[Event, int], None]) -> Pane:
        """Open a window; ``on`` hears what happens to it."""
        pane = Pane(self, form, on)
        self.panes = [p for p in self.panes if p.alive] + [pane]
        return pane

    def wake(self) -> None:
        """Let :meth:`Session.work` be called in the thread of the glass; from any thread."""
        if self._main is not None:
            win32gui.PostMessage(self._main.hwnd, _WM_WAKE, 0, 0)

    def run(self) -> None:
        """Serve the windows until :meth:`quit`."""
        message = wintypes.MSG()
        at = ctypes.byref(message)
        while _USER.GetMessageW(at, None, 0, 0) > 0:
            root = win32gui.GetAncestor(message.hWnd, win32con.GA_ROOT) if message.hWnd else 0
            # What gives windows that are no dialogs Tab, Enter, Escape and Alt keys; pywin32 lacks it.
            if isinstance(_OWNERS.get(root), Pane) and _USER.IsDialogMessageW(root, at):
                continue
            _USER.TranslateMessage(at)
            _USER.DispatchMessageW(at)
        for pane in self.panes:
            pane.close()
        if self._main is not None:
            win32gui.DestroyWindow(self._main.hwnd)

    def quit(self) -> None:
        """End :meth:`run`; in the thread of the glass."""
        win32gui.PostQuitMessage(0)

    def present(self, pane: Pane) -> None:
        """Show a window in front, and take the keyboard only from where nobody is typing."""
        if _may_take_keyboard(pane.form):
            win32gui.ShowWindow(pane.hwnd, win32con.SW_SHOWNORMAL)
            # Windows' own rule against stealing the foreground may refuse: it flashes in the taskbar instead.
            with contextlib.suppress(win32gui.error):
                win32gui.SetForegroundWindow(pane.hwnd)
            pane.focus()
        else:
            win32gui.ShowWindow(pane.hwnd, win32con.SW_SHOWNOACTIVATE)
            win32gui.FlashWindowEx(pane.hwnd, _FLASH_UNTIL_SEEN, 3, 0)
        still = win32con.SWP_NOMOVE | win32con.SWP_NOSIZE | win32con.SWP_NOACTIVATE
        win32gui.SetWindowPos(pane.hwnd, win32con.HWND_TOPMOST, 0, 0, 0, 0, still)
        if pane.form.place == "corner":
            win32gui.SetWindowPos(pane.hwnd, win32con.HWND_NOTOPMOST, 0, 0, 0, 0, still)

    # --- measures -----------------------------------------------------------------------------------------------

    def measure(self, text: str, width: int) -> Size:
        """Return the size of a text in units, wrapped at ``width``, or on one line where it is 0."""
        if (text, width) not in self._measured:
            self._measured[text, width] = self._measure(text, width)
        return self._measured[text, width]

    def _measure(self, text: str, width: int) -> Size:
        dc = win32gui.GetDC(0)
        old = win32gui.SelectObject(dc, self.font)
        try:
            room = (0, 0, int(width * self.scale) if width else 30000, 30000)
            how = win32con.DT_WORDBREAK | win32con.DT_NOPREFIX if width else win32con.DT_SINGLELINE
            _, (left, top, right, bottom) = win32gui.DrawText(dc, text, -1, room, win32con.DT_CALCRECT | how)
        finally:
            win32gui.SelectObject(dc, old)
            win32gui.ReleaseDC(0, dc)
        return math.ceil((right - left) / self.scale), math.ceil((bottom - top) / self.scale)

    def area(self) -> Rect:
        """Return the main screen without the taskbar, in pixels."""
        work = win32api.GetMonitorInfo(win32api.MonitorFromPoint((0, 0), 1))["Work"]
        return work[0], work[1], work[2] - work[0], work[3] - work[1]

    def taken(self, but: Pane) -> list[Rect]:
        """Return where our other windows are, in pixels."""
        others = (win32gui.GetWindowRect(pane.hwnd) for pane in self.panes if pane.alive and pane is not but)
        return [(left, top, right - left, bottom - top) for left, top, right, bottom in others]


# --- helpers ------------------------------------------------------------------------------------------------------

_USER: Final = ctypes.WinDLL("user32")
_USER.GetThreadDesktop.restype = wintypes.HANDLE
_USER.SetThreadDesktop.argtypes = (wintypes.HANDLE,)
_USER.GetMessageW.argtypes = (ctypes.POINTER(wintypes.MSG), wintypes.HWND, wintypes.UINT, wintypes.UINT)
_USER.IsDialogMessageW.argtypes = (wintypes.HWND, ctypes.POINTER(wintypes.MSG))
_USER.TranslateMessage.argtypes = (ctypes.POINTER(wintypes.MSG),)
_USER.DispatchMessageW.argtypes = (ctypes.POINTER(wintypes.MSG),)
_USER.DispatchMessageW.restype = ctypes.c_ssize_t

_OWNERS: dict[int, Any] = {}
"""Who takes the messages of a window."""
_LOGS: dict[int, Callable[[str], None]] = {}
"""Where a thread's errors go."""
_REGISTERED: set[str] = set()


def _procedure(hwnd: int, message: int, wparam: int, lparam: int) -> int:
    owner = _OWNERS.get(hwnd)
    if message == win32con.WM_NCDESTROY:
        _OWNERS.pop(hwnd, None)
    answer: int | None = None
    if owner is not None:
        try:
            answer = owner.hear(message, wparam, lparam)
        except Exception as error:  # noqa: BLE001 (an error must not end the message loop, and with it every window)
            _LOGS.get(win32api.GetCurrentThreadId(), _unheard)(f"window message {message:#x}: {error!r}")
    return int(win32gui.DefWindowProc(hwnd, message, wparam, lparam)) if answer is None else answer


def _unheard(_: str) -> None:
    """There is no log for this thread."""


def _register(cls: str) -> None:
    if cls in _REGISTERED:
        return
    window = win32gui.WNDCLASS()
    window.lpszClassName = cls
    window.lpfnWndProc = _procedure
    window.hInstance = win32api.GetModuleHandle(None)
    window.hCursor = win32gui.LoadCursor(0, win32con.IDC_ARROW)
    window.hIcon = win32gui.LoadIcon(0, win32con.IDI_QUESTION if "prompt" in cls else win32con.IDI_APPLICATION)
    window.hbrBackground = win32con.COLOR_3DFACE + 1
    win32gui.RegisterClass(window)
    _REGISTERED.add(cls)


def _frame(hwnd: int) -> Size:
    """Return what caption and borders add to the inside of a window, in pixels."""
    left, top, right, bottom = win32gui.GetWindowRect(hwnd)
    inside = win32gui.GetClientRect(hwnd)
    return right - left - inside[2], bottom - top - inside[3]


def _scale() -> float:
    """Return pixels per 1/96 inch, after telling Windows that this program draws at the screen's own resolution."""
    _USER.SetProcessDPIAware()
    dc = win32gui.GetDC(0)
    try:
        caps = ctypes.windll.gdi32.GetDeviceCaps
        caps.argtypes = (wintypes.HDC, ctypes.c_int)
        return max(1.0, float(caps(dc, win32con.LOGPIXELSX)) / 96)
    finally:
        win32gui.ReleaseDC(0, dc)


def _font() -> int:
    """Return the font in which Windows writes its own messages."""
    metrics = win32gui.SystemParametersInfo(win32con.SPI_GETNONCLIENTMETRICS)
    return int(win32gui.CreateFontIndirect(metrics["lfMessageFont"]))


def _may_take_keyboard(form: Form) -> bool:
    """Whether a window may take the keyboard: not from another program, and a question not even from our own chat.

    A key that was meant for something else must not answer a question.
    """
    front = win32gui.GetForegroundWindow()
    if not front or win32gui.GetClassName(front) in _SHELL:
        return True
    ours = win32process.GetWindowThreadProcessId(front)[1] == win32api.GetCurrentProcessId()
    return ours and form.place == "corner"
