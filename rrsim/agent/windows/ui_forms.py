"""What the agent's windows look like, as data: class names, control ids, rows of controls, and where they go.

Class names and ids never change, so that any eye finds a window and its buttons in every language. The default button
is always the one that changes nothing: a window may come up while somebody types, and Enter must neither restart the
PC (rule 6: silence is no) nor share a screen, nor leave a session (rule 12: only a close that is confirmed counts).

Lengths are in units of 1/96 inch; whoever draws a form gives them in pixels of its own screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from rrsim.agent import host
from rrsim.agent.windows.texts import Texts

LINE: Final = 1001
SEND: Final = 1002
TRANSCRIPT: Final = 1003
END_SESSION: Final = 1004
SHARED: Final = 1005
"""The line that says that the screen is being shared."""
TEXT: Final = 1010
CANCEL_RECONNECT: Final = 1020
OK: Final = 1
CANCEL: Final = 2
YES: Final = 6
NO: Final = 7

CHAT_CLASS: Final = "rragent.chat"
SESSION_CLASS: Final = "rragent.session"
PROMPT_CLASSES: Final[dict[host.PromptKind, str]] = {
    "restart": "rragent.prompt.restart", "sharing": "rragent.prompt.sharing", "leave": "rragent.prompt.leave",
}
NOTICE_CLASS: Final = "rragent.notice"
CANCEL_CLASS: Final = "rragent.cancel"
CODE_CLASS: Final = "rragent.code"
MAIN_CLASS: Final = "rragent.main"
"""The invisible window to which Windows says that the session ends."""

Size = tuple[int, int]
Rect = tuple[int, int, int, int]
"""Left, top, width, height."""

MARGIN: Final = 14
GAP: Final = 8
MIN_BUTTON: Final = 88
BUTTON_HEIGHT: Final = 28
LINE_HEIGHT: Final = 26


class Control(msgspec.Struct, frozen=True):
    """One control of a window."""

    kind: Literal["text", "line", "transcript", "button", "default"]
    """``default`` is the button that Enter presses."""
    id: int
    text: str = ""
    visible: bool = True


class Form(msgspec.Struct, frozen=True):
    """One window."""

    cls: str
    title: str
    width: int
    rows: tuple[tuple[Control, ...], ...]
    place: Literal["front", "corner"] = "front"
    """``front``: a window that wants an answer, above all others. ``corner``: one that stays, out of the way."""
    closable: bool = True
    min_height: int = 0
    """Height to which a transcript makes the window grow; it can then be resized."""

    def controls(self) -> tuple[Control, ...]:
        """Every control, in the order of the Tab key."""
        return tuple(control for row in self.rows for control in row)

    def default(self) -> int:
        """Id of the button that Enter presses, or 0."""
        return next((control.id for control in self.controls() if control.kind == "default"), 0)


def chat(texts: Texts, shared: bool) -> Form:
    """Return the chat window."""
    return Form(CHAT_CLASS, texts["chat.title"], 400, (
        (Control("text", SHARED, texts["chat.shared"], shared),),
        (Control("transcript", TRANSCRIPT),),
        (Control("line", LINE), Control("default", SEND, texts["chat.send"])),
        (Control("button", END_SESSION, texts["chat.end"]),),
    ), place="corner", min_height=340)  # fmt: skip


def session(texts: Texts, shared: bool) -> Form:
    """Return the small window of phone mode, which stands in place of the chat window (R11)."""
    return Form(SESSION_CLASS, texts["session.title"], 340, (
        (Control("text", TEXT, texts["session.text"]),),
        (Control("text", SHARED, texts["chat.shared"], shared),),
        (Control("button", END_SESSION, texts["chat.end"]),),
    ), place="corner")  # fmt: skip


def prompt(texts: Texts, kind: host.PromptKind) -> Form:
    """Return a question."""
    keep = kind == "leave"
    return Form(PROMPT_CLASSES[kind], texts[f"prompt.{kind}.title"], 420, (
        (Control("text", TEXT, texts[f"prompt.{kind}.text"]),),
        (
            Control("default" if keep else "button", YES, texts["yes"]),
            Control("button" if keep else "default", NO, texts["no"]),
        ),
    ))  # fmt: skip


def notice(texts: Texts, what: str) -> Form:
    """Return a notice for a word of the agent or a reason of the server."""
    return Form(NOTICE_CLASS, texts["notice.title"], 400, (
        (Control("text", TEXT, texts.tell(what)),),
        (Control("default", OK, texts["ok"]),),
    ))  # fmt: skip


def cancel(texts: Texts) -> Form:
    """Return the option to cancel the reconnect (R11). It has no close button: it is there until the way is decided."""
    return Form(CANCEL_CLASS, texts["cancel.title"], 360, (
        (Control("text", TEXT, texts["cancel.text"]),),
        (Control("button", CANCEL_RECONNECT, texts["cancel.button"]),),
    ), place="corner", closable=False)  # fmt: skip


def code(texts: Texts) -> Form:
    """Return the window in which the customer types the code of a session."""
    return Form(CODE_CLASS, texts["code.title"], 380, (
        (Control("text", TEXT, texts["code.text"]),),
        (Control("line", LINE),),
        (Control("default", OK, texts["ok"]), Control("button", CANCEL, texts["code.cancel"])),
    ))  # fmt: skip


# --- where things go ----------------------------------------------------------------------------------------------


def arrange(
    form: Form, measure: Callable[[str, int], Size], hidden: frozenset[int], size: Size | None = None
) -> tuple[Size, dict[int, Rect]]:
    """Return the size of a form's inside and the rectangle of each control.

    ``measure(text, width)`` gives the size of a text, wrapped at ``width``, or on one line where ``width`` is 0.
    ``size`` is the inside of a window that somebody has resized.
    """
    width = max(size[0] if size else form.width, _widest(form, measure)) - 2 * MARGIN
    heights = [_height(row, measure, width, hidden) for row in form.rows]
    gaps = GAP * max(0, sum(1 for height in heights if height) - 1)
    needed = 2 * MARGIN + sum(heights) + gaps
    height = max(needed, form.min_height, size[1] if size else 0)
    spare = height - needed
    rects: dict[int, Rect] = {}
    top = MARGIN
    for row, own in zip(form.rows, heights, strict=True):
        if not own:
            rects.update((control.id, (MARGIN, top, 0, 0)) for control in row)
            continue
        tall = own + (spare if row[0].kind == "transcript" else 0)
        _row(row, measure, (MARGIN, top, width, tall), rects)
        top += tall + GAP
    return (width + 2 * MARGIN, height), rects


def _is_button(control: Control) -> bool:
    return control.kind in ("button", "default")


def _button_width(control: Control, measure: Callable[[str, int], Size]) -> int:
    return max(MIN_BUTTON, measure(control.text, 0)[0] + 28)


def _widest(form: Form, measure: Callable[[str, int], Size]) -> int:
    """Return the width that the buttons need: a translation may be long."""
    return 2 * MARGIN + max(
        sum(_button_width(c, measure) + GAP if _is_button(c) else 100 for c in row) for row in form.rows
    )


def _height(row: tuple[Control, ...], measure: Callable[[str, int], Size], width: int, hidden: frozenset[int]) -> int:
    heights = {"button": BUTTON_HEIGHT, "default": BUTTON_HEIGHT, "line": LINE_HEIGHT, "transcript": 60}
    seen = [control for control in row if control.id not in hidden]
    return max((heights.get(c.kind) or measure(c.text, width)[1] + 2 for c in seen), default=0)


def _row(row: tuple[Control, ...], measure: Callable[[str, int], Size], at: Rect, rects: dict[int, Rect]) -> None:
    left, top, width, height = at
    buttons = [control for control in row if _is_button(control)]
    edge = left + width
    for control in reversed(buttons):
        own = _button_width(control, measure)
        edge -= own
        rects[control.id] = (edge, top, own, min(height, BUTTON_HEIGHT))
        edge -= GAP
    for control in row:
        if not _is_button(control):
            rects[control.id] = (left, top, edge - left if buttons else width, height)


def spot(size: Size, area: Rect, taken: Sequence[Rect], place: Literal["front", "corner"]) -> tuple[int, int]:
    """Return where a window of ``size`` goes: the first spot that covers no other window of ours, else the first.

    A question begins above the middle of the screen, a window that stays in the lower right corner.
    """
    left, top, width, height = area
    last_x, last_y = max(left, left + width - size[0] - GAP), max(top, top + height - size[1] - GAP)
    middle = max(left, left + (width - size[0]) // 2)
    if place == "front":
        columns = (middle, left + GAP, last_x)
        rows = range(min(last_y, top + height // 10), last_y + 1, GAP)
    else:
        columns = (last_x, left + GAP, middle)
        rows = range(last_y, top - 1, -GAP)
    for y in rows:
        for x in columns:
            if not any(_overlap((x, y, *size), other) for other in taken):
                return x, y
    step = 24 * (len(taken) % 8)
    return min(columns[0] + step, last_x), min(rows[0] + step, last_y)


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


# --- what Windows asks --------------------------------------------------------------------------------------------

_CLOSEAPP: Final = 0x1
_LOGOFF: Final = 0x80000000


def end_session_kind(lparam: int) -> Literal["shutdown", "logoff", "closeapp"]:
    """Return what ends, by the bit mask of ``WM_QUERYENDSESSION`` and ``WM_ENDSESSION``; 0 is shutdown or restart."""
    if lparam & _CLOSEAPP:
        return "closeapp"
    return "logoff" if lparam & _LOGOFF else "shutdown"
