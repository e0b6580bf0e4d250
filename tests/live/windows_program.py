"""Runs inside Windows: the agent's windows under the control of a test, by lines of JSON on its standard streams.

``ui``: windows of its own. ``service``: a desk with helpers; ``helper``: the real helper. Lines in: an effect;
``{"see": true}`` asks for the open windows. Lines out: ``said`` for an input of the core, ``windows`` for what is open.
"""

from __future__ import annotations

import ctypes
import json
import sys
import threading

import msgspec
import win32con
import win32gui

from rrsim.agent.windows import pipe, ui

OUT = threading.Lock()


def out(**what):
    with OUT:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


def said(event, wait):
    out(said=msgspec.to_builtins(event), wait=wait)


def clipped(hwnd):
    """Whether a control is too small for what it says, by the font it is drawn in."""
    cls, text = win32gui.GetClassName(hwnd), win32gui.GetWindowText(hwnd)
    if cls not in ("Static", "Button") or not win32gui.IsWindowVisible(hwnd):
        return False
    left, top, right, bottom = win32gui.GetClientRect(hwnd)
    dc = win32gui.GetDC(hwnd)
    old = win32gui.SelectObject(dc, win32gui.SendMessage(hwnd, win32con.WM_GETFONT, 0, 0))
    how = win32con.DT_CALCRECT | (win32con.DT_WORDBREAK | win32con.DT_NOPREFIX if cls == "Static" else 0)
    _, needed = win32gui.DrawText(dc, text, -1, (0, 0, right - left, 0), how)
    win32gui.SelectObject(dc, old)
    win32gui.ReleaseDC(hwnd, dc)
    return needed[2] > right - left or needed[3] > bottom - top


def text_of(hwnd):
    """What a control says. Unlike ``GetWindowText`` this also reads an edit control of another process."""
    text = ctypes.create_unicode_buffer(8192)
    ctypes.windll.user32.SendMessageW(hwnd, win32con.WM_GETTEXT, len(text), text)
    return text.value


def windows():
    """Every visible window of the agent's classes, whichever process it belongs to."""
    found = []

    def control(hwnd, into):
        into.append({
            "id": win32gui.GetDlgCtrlID(hwnd), "rect": win32gui.GetWindowRect(hwnd), "clipped": clipped(hwnd),
            "text": text_of(hwnd), "visible": bool(win32gui.IsWindowVisible(hwnd)),
        })

    def window(hwnd, _):
        cls = win32gui.GetClassName(hwnd)
        if cls.startswith("rragent.") and win32gui.IsWindowVisible(hwnd):
            controls = []
            win32gui.EnumChildWindows(hwnd, control, controls)
            found.append({
                "cls": cls, "title": win32gui.GetWindowText(hwnd), "rect": win32gui.GetWindowRect(hwnd),
                "controls": controls,
            })

    win32gui.EnumWindows(window, None)
    return found


def main():
    what, language = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "en"
    if what == "ui":
        desk = ui.DesktopUi(language, False, said, lambda text: out(log=text))
    elif what == "service":
        desk = pipe.ServiceDesk(
            pipe.service_pipe(), language, said, lambda code: out(code=code), lambda session: out(gone=session),
            lambda text: out(log=text),
        )
    elif what == "helper":
        from rrsim.agent.windows import helper

        return helper.main()
    elif what == "code":
        out(taken=pipe.send_code(pipe.service_pipe(), language))
        return 0
    elif what == "restart":
        out(restart=ctypes.windll.user32.ExitWindowsEx(win32con.EWX_REBOOT, 0))
        return 0
    else:
        hwnd = win32gui.FindWindow(what, None)
        win32gui.PostMessage(hwnd, win32con.WM_CLOSE, 0, 0)
        out(posted=hwnd)
        return 0
    desk.start()
    out(ready=True)
    for line in sys.stdin:
        word = json.loads(line)
        if "see" in word:
            out(windows=windows())
        else:
            desk.do(msgspec.convert(word, ui.Effect))
    desk.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
