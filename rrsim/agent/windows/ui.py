"""The agent's windows on the customer's desktop: effects in, inputs out (R5, R7, R9, R11, rule 12).

:class:`DesktopUi` runs a thread with native windows. It shows what the agent core asks for, and reports what the person
does, and what happens to the windows without the person:

* The close button and *End session* mean :class:`~rrsim.agent.host.CloseClicked`; the window stays.
* A ``WM_CLOSE`` that no person caused is Restart Manager's: ``ChatDestroyed(by="restart manager")``. A window that is
  destroyed in any other way: ``ChatDestroyed(by="windows")``. A question closed like that is ``PromptGone``.
* Closing a question is No. At *keep the session open?* it is Yes: only a confirmed close counts (rule 12).
* ``WM_ENDSESSION`` TRUE is ``SessionEnding`` only if Windows goes down: not when the user signs out, and not when
  Restart Manager closes programs (``ENDSESSION_CLOSEAPP``), which is no restart. The thread waits until the agent has
  said goodbye.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from rrsim.agent import host
from rrsim.agent.windows import ui_forms as forms
from rrsim.agent.windows.chat_lines import CUSTOMER, ChatLines
from rrsim.agent.windows.texts import Texts
from rrsim.protocol.messages import Answer

__all__ = ["DesktopUi", "Effect", "NoDesktop", "ask_code"]

Effect = (
    host.OpenChat | host.CloseChat | host.ShowPrompt | host.HidePrompt | host.ShowCancel | host.HideCancel
    | host.ShowChat | host.Tell | host.Capture
)  # fmt: skip
"""The effects that concern the desktop."""

START_TIMEOUT_S: Final = 20.0
CLOSE_TIMEOUT_S: Final = 10.0
MAX_NOTICES: Final = 4
SERVICE: Final = "server"
"""Author of the server's own lines in a transcript."""
LINE_NOT_SENT: Final = "line not sent"


class NoDesktop(RuntimeError):
    """This process cannot show windows."""


class Pane(Protocol):
    """A window, as :mod:`rrsim.agent.windows.ui_glass` makes it."""

    alive: bool

    def close(self) -> None:
        """Close the window, unheard."""

    def front(self) -> None:
        """Bring it to the front."""

    def text(self, number: int) -> str:
        """What a control says."""

    def set_text(self, number: int, text: str) -> None:
        """Let a control say something."""

    def append(self, number: int, text: str) -> None:
        """Add to a transcript."""

    def show(self, number: int, visible: bool) -> None:
        """Show or hide a control."""


class Glass(Protocol):
    """What windows are drawn on; tests bring their own."""

    def open(self, form: forms.Form, on: Callable[[Any, int], None]) -> Any:
        """Open a window and return its :class:`Pane`."""

    def wake(self) -> None:
        """Have the work of other threads done."""

    def run(self) -> None:
        """Serve windows until :meth:`quit`."""

    def quit(self) -> None:
        """End :meth:`run`."""


class DesktopUi:
    """The agent's windows, in a thread of their own."""

    def __init__(
        self, language: str, phone_mode: bool, emit: Callable[[host.Input, bool], None],
        log: Callable[[str], None] = lambda _: None, on_session: Callable[[int], None] = lambda _: None,
        glass: Callable[[DesktopUi], Glass] | None = None,
    ) -> None:
        """Make the user interface; nothing is shown before :meth:`start`.

        ``emit(input, wait)`` is called from the thread of the windows; with ``wait`` it returns only when the agent has
        dealt with the input and sent what follows from it. ``on_session`` hears the session changes of Windows
        (``WTS_SESSION_LOCK`` and the like), also in that thread.
        ``glass`` draws the windows; tests bring their own.
        """
        self._emit = emit
        self._log = log
        self._on_session = on_session
        self._make_glass = glass or _native
        self._texts = Texts(language, log)
        self._language = language
        self._phone = phone_mode
        self._work: deque[Callable[[], None]] = deque()
        self._thread = threading.Thread(target=self._run, name="windows", daemon=True)
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._glass: Glass | None = None
        self._chat: Pane | None = None
        self._cancel: Pane | None = None
        self._prompts: dict[host.PromptKind, tuple[int, Pane]] = {}
        self._notices: list[Pane] = []
        self._read = threading.Event()
        self._read.set()
        self._said = ChatLines()
        self._shared = False

    # --- from any thread ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, and return when it can show windows.

        Raises:
            NoDesktop: it cannot.
        """
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise NoDesktop(f"expected windows within {START_TIMEOUT_S:.0f} s, saw none; is there a desktop?")
        if self._failed is not None:
            raise NoDesktop(f"expected windows, saw: {self._failed}; is there a desktop?") from self._failed

    def do(self, effect: Effect) -> None:
        """Carry out an effect; returns at once, effects are carried out in order."""
        self._later(lambda: self._carry_out(effect))

    def settings(self, language: str, phone_mode: bool) -> None:
        """Change the language and the kind of window; what is open already changes with it, except questions."""
        self._later(lambda: self._settings(language, phone_mode))

    def forget(self) -> None:
        """The session is over: its chat lines are not shown in a later one."""
        self._later(self._forget)

    def close(self, read_within_s: float = 0.0) -> None:
        """Close every window, unheard, and end the thread; first give the customer time to read open notices."""
        if not self._thread.is_alive():
            return
        if read_within_s:
            # A notice that was asked for just before counts too.
            drained = threading.Event()
            self._later(drained.set)
            drained.wait(CLOSE_TIMEOUT_S)
            self._read.wait(read_within_s)
        self._later(self._quit)
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_TIMEOUT_S)

    def _later(self, work: Callable[[], None]) -> None:
        self._work.append(work)
        if self._glass is not None:
            try:
                self._glass.wake()
            except Exception as error:  # noqa: BLE001 (pywin32's error type; the windows are gone, and nobody can see anything)
                self._log(f"the windows' thread cannot be woken: {error!r}")

    # --- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._glass = self._make_glass(self)
        except Exception as error:  # noqa: BLE001 (whoever started the thread hears of it)
            self._failed = error
            return
        finally:
            self._ready.set()
        self.work()
        self._glass.run()

    def _quit(self) -> None:
        if self._glass is not None:
            self._glass.quit()

    def work(self) -> None:
        """Do what other threads asked for; called in the thread of the windows."""
        while self._work:
            try:
                self._work.popleft()()
            except Exception as error:  # noqa: BLE001 (one window that fails must not take the others with it)
                self._log(f"a window could not be shown or changed: {error!r}")

    def query_end(self, bits: int) -> None:
        """Windows asks whether the session may end. Always yes: whether it does is heard later."""
        self._emit(host.QueryEndSession(forms.end_session_kind(bits)), False)

    def end(self, ends: bool, bits: int) -> None:
        """The session really ends, or goes on after all."""
        kind = forms.end_session_kind(bits)
        if not ends:
            self._emit(host.EndSessionCancelled("windows"), False)
        elif kind == "shutdown":
            self._emit(host.SessionEnding(), True)
            # Windows may end this process as soon as we return: close what the agent wants closed before that.
            self.work()
        else:
            self._log(f"Windows ends this program, and it is no restart: {kind}")

    def clear(self) -> None:
        """Close every window but notices, unheard: another desktop is the customer's now."""
        self._later(self._clear)

    def session_changed(self, code: int) -> None:
        """The desktop was locked, unlocked, connected or disconnected."""
        self._on_session(code)

    def _clear(self) -> None:
        self._close_chat()
        self._close_cancel()
        while self._prompts:
            self._prompts.popitem()[1][1].close()

    # --- effects ------------------------------------------------------------------------------------------------

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case host.OpenChat():
                self._open_chat()
            case host.CloseChat():
                self._close_chat()
            case host.ShowPrompt(prompt=prompt, kind=kind):
                self._show_prompt(prompt, kind)
            case host.HidePrompt(prompt=prompt):
                for kind in [k for k, (number, _) in self._prompts.items() if number == prompt]:
                    self._prompts.pop(kind)[1].close()
            case host.ShowCancel():
                self._show_cancel()
            case host.HideCancel():
                self._close_cancel()
            case host.ShowChat(author=author, text=text):
                self._heard(author, text)
            case host.Tell(what=what):
                self._tell(what)
            case host.Capture(on=on):
                self._shared = on
                if self._chat is not None:
                    self._chat.show(forms.SHARED, on)

    def _open(self, form: forms.Form, on: Callable[[str, int], None]) -> Pane:
        assert self._glass is not None, "work is done in the thread of the windows only"
        pane: Pane = self._glass.open(form, on)
        return pane

    def _settings(self, language: str, phone_mode: bool) -> None:
        if (language, phone_mode) == (self._language, self._phone):
            return
        self._language, self._phone = language, phone_mode
        self._texts = Texts(language, self._log)
        if self._chat is not None:
            self._chat_anew(self._chat.text(forms.LINE) if not self._chat_is_phone else "")
        if self._cancel is not None:
            self._close_cancel()
            self._show_cancel()

    def _chat_anew(self, typed: str) -> None:
        """Open the chat window once more, with what the customer was typing."""
        self._close_chat()
        self._open_chat()
        if self._chat is not None and not self._chat_is_phone:
            self._chat.set_text(forms.LINE, typed)

    # --- chat ---------------------------------------------------------------------------------------------------

    _chat_is_phone = False

    def _open_chat(self) -> None:
        if self._chat is not None and self._chat.alive:
            self._chat.front()
            return
        self._chat_is_phone = self._phone
        form = forms.session(self._texts, self._shared) if self._phone else forms.chat(self._texts, self._shared)
        self._chat = self._open(form, self._on_chat)
        self._rewrite()

    def _close_chat(self) -> None:
        if self._chat is not None:
            self._chat.close()
        self._chat = None

    def _on_chat(self, event: str, control: int) -> None:
        if event == "closed by person" or (event == "pressed" and control == forms.END_SESSION):
            self._emit(host.CloseClicked(), False)
        elif event == "pressed" and control == forms.SEND and self._chat is not None:
            text = self._chat.text(forms.LINE).strip()
            if text:
                self._chat.set_text(forms.LINE, "")
                self._said.typed(text)
                self._append(CUSTOMER, text)
                self._emit(host.ChatTyped(text), False)
        elif event in ("closed by program", "destroyed"):
            self._chat = None
            self._emit(host.ChatDestroyed("restart manager" if event == "closed by program" else "windows"), False)

    def _heard(self, author: str, text: str) -> None:
        if self._said.heard(author, text):
            self._append(author, text)

    def _append(self, author: str, text: str) -> None:
        if self._chat is not None and not self._chat_is_phone:
            self._chat.append(forms.TRANSCRIPT, self._written(author, text))

    def _written(self, author: str, text: str) -> str:
        who = {CUSTOMER: self._texts["you"], SERVICE: self._texts["service"]}.get(author, author)
        return f"{who}: {text}\n"

    def _rewrite(self) -> None:
        if self._chat is not None and not self._chat_is_phone:
            self._chat.set_text(forms.TRANSCRIPT, "".join(self._written(*line) for line in self._said.lines))

    def _not_sent(self) -> None:
        """Give the customer the last line back, to send it again later."""
        text = self._said.not_sent()
        self._rewrite()
        if text and self._chat is not None and not self._chat_is_phone and not self._chat.text(forms.LINE):
            self._chat.set_text(forms.LINE, text)

    def _forget(self) -> None:
        self._said.forget()
        self._rewrite()

    # --- questions, notices, the way out ------------------------------------------------------------------------

    def _show_prompt(self, prompt: int, kind: host.PromptKind) -> None:
        open_one = self._prompts.get(kind)
        if open_one is not None and open_one[0] == prompt:
            open_one[1].front()
            return
        if open_one is not None:
            self._prompts.pop(kind)
            open_one[1].close()
            self._emit(host.PromptGone(open_one[0]), False)
        form = forms.prompt(self._texts, kind)
        self._prompts[kind] = (prompt, self._open(form, lambda *what: self._on_prompt(prompt, kind, *what)))

    def _on_prompt(self, prompt: int, kind: host.PromptKind, event: str, control: int) -> None:
        if self._prompts.get(kind, (0,))[0] != prompt:
            return
        answers: dict[int, Answer] = {
            forms.YES: "yes", forms.NO: "no", forms.CANCEL: "yes" if kind == "leave" else "no",
        }
        answer = answers.get(forms.CANCEL if event == "closed by person" else control)
        if event in ("closed by program", "destroyed"):
            del self._prompts[kind]
            self._emit(host.PromptGone(prompt), False)
        elif answer is not None:
            self._prompts.pop(kind)[1].close()
            self._emit(host.Answered(prompt, answer), False)

    def _show_cancel(self) -> None:
        if self._cancel is not None and self._cancel.alive:
            self._cancel.front()
            return
        self._cancel = self._open(forms.cancel(self._texts), self._on_cancel)

    def _close_cancel(self) -> None:
        if self._cancel is not None:
            self._cancel.close()
        self._cancel = None

    def _on_cancel(self, event: str, control: int) -> None:
        if event == "pressed" and control == forms.CANCEL_RECONNECT:
            self._close_cancel()
            self._emit(host.CancelClicked(), False)
        elif event in ("closed by program", "destroyed"):
            # The option has to stay until the session has resumed (R11).
            self._cancel = None
            self._later(self._show_cancel)

    def _tell(self, what: str) -> None:
        if what == LINE_NOT_SENT:
            self._not_sent()
        self._notices = [pane for pane in self._notices if pane.alive]
        while len(self._notices) >= MAX_NOTICES:
            self._notices.pop(0).close()
        pane = self._open(forms.notice(self._texts, what), lambda event, _: self._on_notice(event, pane))
        self._notices.append(pane)
        self._read.clear()

    def _on_notice(self, event: str, pane: Pane) -> None:
        if event in ("pressed", "closed by person"):
            pane.close()
        self._notices = [p for p in self._notices if p is not pane]
        if not self._notices:
            self._read.set()


def _native(ui: DesktopUi) -> Glass:
    if sys.platform == "win32":
        from rrsim.agent.windows import ui_glass

        return ui_glass.Glass(ui._log, ui)  # noqa: SLF001 (the factory belongs to the class)
    raise NoDesktop("native windows exist on Windows only")


def ask_code(language: str, log: Callable[[str], None] = lambda _: None) -> str | None:
    """Ask the customer for the code of a session; None if they changed their mind. Blocks until they are done.

    Raises:
        NoDesktop: this is not Windows.
    """
    if sys.platform == "win32":
        from rrsim.agent.windows import ui_glass

        return put_question(ui_glass.Glass(log), Texts(language, log))
    raise NoDesktop("native windows exist on Windows only")


def put_question(glass: Glass, texts: Texts) -> str | None:
    """Show the window for a code on ``glass``, and serve it until the customer is done with it."""
    found: list[str] = []

    def on(event: str, control: int) -> None:
        if event == "pressed" and control == forms.OK:
            text = pane.text(forms.LINE).strip()
            if not text:
                return
            found.append(text)
        if event != "pressed" or control in (forms.OK, forms.CANCEL):
            glass.quit()

    pane: Pane = glass.open(forms.code(texts), on)
    glass.run()
    return found[0] if found else None
