"""Windows on the customer's desktop: the agent's chat, prompts and notices, and the dialogs of Windows and installers.

One window of a kind is open at a time. A window opened on a locked desktop exists, but is shown (and can be pressed)
only when the desktop is unlocked (LO-10). Every press that reaches a window is recorded (I4, I5, I13).
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec.structs import replace

from rrsim.agent import host
from rrsim.backends.sim.pc.state import NotPossible, Open, PcState
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen
from rrsim.machine.observations import Window

GoneBy = Literal["agent", "customer", "representative", "windows", "restart manager", "crash", "time-out"]
Person = Literal["customer", "representative"]

PROMPTS: Final[dict[host.PromptKind, Window]] = {
    "restart": "restart prompt", "sharing": "sharing prompt", "leave": "leave prompt",
}
AGENT_WINDOWS: Final = ("chat", "restart prompt", "sharing prompt", "leave prompt", "cancel option", "notice")
BUTTONS: Final[dict[Window, tuple[str, ...]]] = {
    "chat": ("close",),
    "restart prompt": ("yes", "no"),
    "sharing prompt": ("yes", "no"),
    "leave prompt": ("yes", "no"),
    "cancel option": ("cancel",),
    "notice": ("ok",),
    "windows restart dialog": ("restart", "later"),
    "installer restart dialog": ("restart", "later"),
    "block screen": ("cancel", "restart anyway"),
    "dial prompt": ("dial",),
}
"""Which buttons a window has. Windows that are not listed take no press."""


def can_show(state: PcState) -> bool:
    """Whether somebody at the PC would see a window: signed in, shell through, not locked."""
    session = state.session
    return session.ready and session.user != "" and session.desktop in ("visible", "black")


def find(state: PcState, window: Window) -> Open | None:
    """Return the open window of this kind, or nothing."""
    return next((w for w in state.screen.windows if w.window == window), None)


def _keep(t: Turn, shown: tuple[Open, ...]) -> None:
    ordered = tuple(sorted(shown, key=lambda w: w.window))
    t.set(screen=replace(t.state.screen, windows=ordered))


def show(t: Turn, window: Window, prompt: int = 0, text: str = "") -> None:
    """Open a window, replacing one of the same kind; seen only if the desktop can be seen."""
    _keep(t, (*(w for w in t.state.screen.windows if w.window != window), Open(window, prompt, text)))
    if can_show(t.state) or window in ("bitlocker", "bios password"):
        t.saw(seen.WindowShown(window, text))


def hide(t: Turn, window: Window, by: GoneBy) -> None:
    """Close a window; nothing if it is not open."""
    if find(t.state, window) is not None:
        _keep(t, tuple(w for w in t.state.screen.windows if w.window != window))
        t.saw(seen.WindowGone(window, by))


def close_agents(t: Turn, by: GoneBy, *, keep_notice: bool, tell: bool = False) -> None:
    """Close every window of the agent; with ``tell``, each prompt among them counts as gone unanswered."""
    for window in t.state.screen.windows:
        if window.window in AGENT_WINDOWS and not (keep_notice and window.window == "notice"):
            hide(t, window.window, by)
            if tell and window.prompt:
                t.tell(host.PromptGone(window.prompt))


def close_all(t: Turn, by: GoneBy) -> None:
    """Close everything: the desktop is gone."""
    for window in t.state.screen.windows:
        hide(t, window.window, by)


def reveal(t: Turn) -> None:
    """The desktop was unlocked: what waited behind the lock is seen now."""
    for window in t.state.screen.windows:
        t.saw(seen.WindowShown(window.window, window.text))


def capture(t: Turn, *, on: bool) -> None:
    """Start or stop capturing the screen (I5)."""
    screen = t.state.screen
    if screen.captured != on or screen.waits_for_helper:
        t.set(screen=replace(screen, captured=on, waits_for_helper=False))
    if screen.captured != on:
        t.saw(seen.ScreenSeen(on))


def capture_waits(t: Turn) -> None:
    """Nobody captures the desktop until the next helper is there: the last one died."""
    wanted = t.state.screen.captured
    capture(t, on=False)
    t.set(screen=replace(t.state.screen, waits_for_helper=wanted))


def capture_goes_on(t: Turn) -> None:
    """The next helper is there."""
    if t.state.screen.waits_for_helper:
        capture(t, on=True)


def asked(t: Turn, what: object, *, has_hands: bool) -> None:
    """Carry out what the agent asked its user interface for.

    ``has_hands``: whether the agent can show windows now. Without (service mode and no helper) a prompt is answered
    with :class:`~rrsim.agent.host.PromptGone`; the rest is not shown.
    """
    match what:
        case host.Capture(on=True) if not (has_hands or t.state.screen.captured) and can_show(t.state):
            t.set(screen=replace(t.state.screen, waits_for_helper=True))
        case host.Capture(on=on):
            capture(t, on=on)
        case host.CloseChat():
            hide(t, "chat", "agent")
        case host.HideCancel():
            hide(t, "cancel option", "agent")
        case host.HidePrompt(prompt=prompt):
            for window in t.state.screen.windows:
                if window.prompt == prompt and window.window in PROMPTS.values():
                    hide(t, window.window, "agent")
        case host.ShowPrompt(prompt=prompt, kind=kind):
            _show_prompt(t, prompt, PROMPTS[kind], has_hands=has_hands)
        case host.OpenChat() if has_hands and find(t.state, "chat") is None:
            show(t, "chat")
        case host.ShowCancel() if has_hands and find(t.state, "cancel option") is None:
            show(t, "cancel option")
        case host.Tell(what=text) if has_hands:
            show(t, "notice", text=text)
        case _:
            # A chat line only changes what is written inside the chat window; nobody outside can tell.
            pass


def _show_prompt(t: Turn, prompt: int, window: Window, *, has_hands: bool) -> None:
    if not has_hands:
        t.tell(host.PromptGone(prompt))
        return
    older = find(t.state, window)
    if older is not None and older.prompt != prompt:
        hide(t, window, "agent")
        t.tell(host.PromptGone(older.prompt))
    if older is None or older.prompt != prompt:
        show(t, window, prompt)


def check_press(state: PcState, who: Person, window: Window, button: str) -> Open:
    """Return the window that is to be pressed.

    Raises:
        NotPossible: it is not open, cannot be seen or reached, or has no such button.
    """
    there = find(state, window)
    if there is None:
        shown = ", ".join(w.window for w in state.screen.windows) or "none"
        raise NotPossible(f"press {button!r} in the {window}: it is not shown; open windows: {shown}")
    if button not in BUTTONS.get(window, ()):
        known = ", ".join(BUTTONS.get(window, ())) or "none"
        raise NotPossible(f"press {button!r} in the {window}: its buttons are: {known}")
    if state.power.phase not in ("desktop", "shutdown asked") or not can_show(state):
        raise NotPossible(
            f"press {button!r} in the {window}: nobody can reach it (phase {state.power.phase}, desktop "
            f"{state.session.desktop}); sign in or unlock first"
        )
    if who == "representative" and not state.screen.captured:
        raise NotPossible(f"press {button!r} in the {window} by remote control: the screen is not being shared")
    return there


def destroyed(t: Turn, by: Literal["windows", "restart manager", "crash"]) -> None:
    """The chat window vanishes without the customer (rule 12).

    Raises:
        NotPossible: the chat window is not open.
    """
    if find(t.state, "chat") is None:
        raise NotPossible("destroy the chat window: it is not open; wait until the agent has joined")
    hide(t, "chat", by)
    t.tell(host.ChatDestroyed(by))


def typed(t: Turn, text: str) -> None:
    """The customer types a line into the chat window.

    Raises:
        NotPossible: the chat window is not open, or nobody can see it.
    """
    if find(t.state, "chat") is None or not can_show(t.state):
        raise NotPossible("type a chat line: the chat window is not shown")
    t.tell(host.ChatTyped(text))
