"""The service's end of the named pipe: helpers on people's desktops as one desk, and codes from ``rragent join``.

The service owns the one core, the ticket and the connection; a helper only shows windows and says what happened to them
(``docs/design.md``). Rules:

* Both sides check each other: a pipe is believed if the system, an administrator or the same user owns it, a client if
  its program lies in the service's own folder. Other computers are refused (:mod:`rrsim.agent.windows.pipe_io`).
* One helper per Windows session; a second one is told to quit. If several sessions have one, the customer sits where
  the desktop is visible, and of those where one was reported last. The others stay, without windows.
* What a helper that starts later must know (chat lines, sharing) is told by the service; the core puts its questions
  again by itself when it hears ``HelperReady``. Nobody to show a question to is ``PromptGone``.
* A sign-out ends a desktop, not the service: what Windows says about it is kept from the core, which would otherwise
  believe that the PC goes down (rule 14: a helper loses nothing).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Final, Protocol

from rrsim.agent import host
from rrsim.agent.windows import pipe_words as words
from rrsim.agent.windows.chat_lines import ChatLines
from rrsim.agent.windows.pipe_words import TO_HELPER, TO_SERVICE, BadWord, Unpacker, pack
from rrsim.agent.windows.ui import LINE_NOT_SENT, Effect

FIRST_WORD_TIMEOUT_S: Final = 10.0
SEND_CODE_TIMEOUT_S: Final = 10.0


class PipeError(RuntimeError):
    """The pipe cannot be made, or the other side cannot be believed."""


class PipeBusy(PipeError):
    """Another process has this pipe: the agent runs already."""


class NotThere(PipeError):
    """Nobody listens on this pipe."""


class Channel(Protocol):
    """One connection, as :mod:`rrsim.agent.windows.pipe_io` makes it."""

    def start(self, heard: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        """Begin to read; ``gone`` is called once, when the other side is gone or the channel was closed."""

    def send(self, data: bytes) -> None:
        """Queue bytes; returns at once."""

    def close(self) -> None:
        """Hang up when everything queued was sent."""


class Listener(Protocol):
    """Takes connections."""

    def close(self) -> None:
        """Take no more."""


def service_pipe() -> str:
    """Return the name of the service's pipe."""
    return r"\\.\pipe\rragent"


def application_pipe() -> str:
    """Return the name of the pipe of this user's own agent, in application mode."""
    if sys.platform == "win32":
        from rrsim.agent.windows import pipe_io

        return rf"\\.\pipe\rragent-{pipe_io.own_sid()}"
    raise NotThere("named pipes exist on Windows only")


def _listen(name: str, desktops: bool, on: Callable[[Channel], None], log: Callable[[str], None]) -> Listener:
    if sys.platform == "win32":
        from rrsim.agent.windows import pipe_io

        return pipe_io.Listener(name, on, log, desktops=desktops)
    raise NotThere("named pipes exist on Windows only")


class _Caller:
    """Somebody on the pipe who has not said yet who they are, or a helper."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.unpacker = Unpacker(TO_SERVICE)
        self.here: words.Here | None = None
        self.since = 0
        """Order in which helpers last said where they are."""
        self.logoff = False
        """Windows last asked this helper about a sign-out."""
        self.patience = threading.Timer(FIRST_WORD_TIMEOUT_S, channel.close)
        self.patience.daemon = True

    def send(self, word: words.ToHelper) -> None:
        self.channel.send(pack(word))

    def hang_up(self) -> None:
        self.patience.cancel()
        self.channel.close()

    def rank(self) -> tuple[bool, int]:
        """How much speaks for this helper being the one in front of the customer."""
        return self.here is not None and self.here.desktop == "visible", self.since


class ServiceDesk:
    """The customer's desktop as the service sees it: what :class:`rrsim.agent.windows.ui.DesktopUi` is to a program."""

    def __init__(
        self, name: str, language: str, said: Callable[[host.Input, bool], None], code_typed: Callable[[str], None],
        helper_gone: Callable[[int], None] = lambda _: None, log: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Make the desk; nobody can connect before :meth:`start`.

        ``said(input, wait)`` takes inputs for the core, ``HelperReady`` and ``HelperGone`` among them; without ``wait``
        it returns at once. ``code_typed`` takes a code from ``rragent join``. ``helper_gone`` hears the number of a
        Windows session whose helper is gone. All are called from the desk's own threads.
        """
        self._name = name
        self._language, self._phone = language, False
        self._said = said
        self._code_typed = code_typed
        self._helper_gone = helper_gone
        self._log = log
        self._lock = threading.RLock()
        self._helpers: list[_Caller] = []
        self._seat: _Caller | None = None
        self._count = 0
        self._lines = ChatLines()
        self._shared = False
        self._listener: Listener | None = None

    def start(self) -> None:
        """Take connections from now on.

        Raises:
            PipeBusy: another process has the pipe.
        """
        self._listener = _listen(self._name, True, self.connected, self._log)

    def close(self) -> None:
        """Tell every helper to quit, and take no more."""
        if self._listener is not None:
            self._listener.close()
        with self._lock:
            helpers, self._helpers, self._seat = self._helpers, [], None
        for helper in helpers:
            helper.send(words.Quit("the service ends"))
            helper.channel.close()

    def serves(self, session: int) -> bool:
        """Whether this Windows session has a helper."""
        with self._lock:
            return any(helper.here is not None and helper.here.session == session for helper in self._helpers)

    # --- what the core asks for -----------------------------------------------------------------------------------

    def do(self, effect: Effect) -> None:
        """Carry out an effect on the customer's desktop; returns at once."""
        with self._lock:
            if isinstance(effect, host.ShowChat) and not self._lines.heard(effect.author, effect.text):
                return
            if isinstance(effect, host.Capture):
                self._shared = effect.on
            if isinstance(effect, host.Tell) and effect.what == LINE_NOT_SENT:
                self._lines.not_sent()
            if self._seat is not None:
                self._seat.send(words.Do(effect))
            elif isinstance(effect, host.ShowPrompt):
                self._said(host.PromptGone(effect.prompt), False)

    def settings(self, language: str, phone_mode: bool) -> None:
        """Change the language and the kind of window."""
        with self._lock:
            self._language, self._phone = language, phone_mode
            if self._seat is not None:
                self._seat.send(words.Settings(language, phone_mode))

    def forget(self) -> None:
        """The session is over: its chat lines are not shown in a later one."""
        with self._lock:
            self._lines.forget()
            if self._seat is not None:
                self._seat.send(words.Forget())

    # --- who calls ------------------------------------------------------------------------------------------------

    def connected(self, channel: Channel) -> None:
        """Somebody has connected."""
        caller = _Caller(channel)
        caller.patience.start()
        channel.start(lambda data: self._heard(caller, data), lambda: self._gone(caller))

    def _heard(self, caller: _Caller, data: bytes) -> None:
        try:
            for word in caller.unpacker.feed(data):
                caller.patience.cancel()
                self._word(caller, word)
        except BadWord as error:
            self._log(f"somebody on the pipe is hung up on: {error}")
            caller.hang_up()

    def _word(self, caller: _Caller, word: words.ToService) -> None:
        match word:
            case words.Here():
                self._here(caller, word)
            case words.Said():
                self._input(caller, word)
            case words.Start(code=code):
                _take_code(caller, code, self._code_typed)

    def _here(self, caller: _Caller, here: words.Here) -> None:
        with self._lock:
            if caller not in self._helpers:
                if self.serves(here.session):
                    caller.send(words.Quit("this session has a helper already"))
                    caller.hang_up()
                    return
                self._helpers.append(caller)
            self._count += 1
            changed = caller.here != here
            caller.here, caller.since = here, self._count
            self._choose_seat(again=caller if changed else None)

    def _choose_seat(self, again: _Caller | None = None) -> None:
        """Give the customer's seat to the helper that can be seen, or was there last; ``again`` has news of itself."""
        best = max(self._helpers, key=_Caller.rank, default=None)
        old, self._seat = self._seat, best
        if old is not best and old is not None:
            if old in self._helpers:
                old.send(words.Clear())
            self._said(host.HelperGone(), False)
        if best is None or best.here is None:
            return
        if old is not best:
            best.send(words.Settings(self._language, self._phone))
            best.send(words.Forget())
            for author, text in self._lines.lines:
                best.send(words.Do(host.ShowChat(author, text)))
            best.send(words.Do(host.Capture(self._shared)))
        if old is not best or again is best:
            self._said(host.HelperReady(best.here.desktop, best.here.user), False)

    def _input(self, caller: _Caller, word: words.Said) -> None:
        what = word.what
        with self._lock:
            listened_to = caller is self._seat
            if isinstance(what, host.QueryEndSession):
                caller.logoff = what.kind == "logoff"
            if caller.logoff and isinstance(what, host.QueryEndSession | host.SessionEnding | host.EndSessionCancelled):
                listened_to = False
            if listened_to and isinstance(what, host.ChatTyped):
                self._lines.typed(what.text)
            if listened_to and not word.wait:
                self._said(what, False)
        if listened_to and word.wait:
            self._said(what, True)
        if word.wait:
            caller.send(words.Heard(word.number))

    def _gone(self, caller: _Caller) -> None:
        caller.patience.cancel()
        with self._lock:
            if caller not in self._helpers:
                return
            self._helpers.remove(caller)
            self._choose_seat()
        if caller.here is not None:
            self._helper_gone(caller.here.session)


# --- codes --------------------------------------------------------------------------------------------------------


def _take_code(caller: _Caller, code: str, code_typed: Callable[[str], None]) -> None:
    if not 0 < len(code) <= words.MAX_CODE_CHARS:
        raise BadWord(f"expected a code of 1 to {words.MAX_CODE_CHARS} characters, got {len(code)}")
    code_typed(code)
    caller.send(words.Taken())
    caller.hang_up()


def serve_codes(name: str, code_typed: Callable[[str], None], log: Callable[[str], None] = lambda _: None) -> Listener:
    """Take codes from ``rragent join`` until closed.

    Raises:
        PipeBusy: another process of this user does so already.
    """

    def connected(channel: Channel) -> None:
        caller = _Caller(channel)
        caller.patience.start()
        channel.start(lambda data: heard(caller, data), caller.patience.cancel)

    def heard(caller: _Caller, data: bytes) -> None:
        try:
            for word in caller.unpacker.feed(data):
                caller.patience.cancel()
                if not isinstance(word, words.Start):
                    raise BadWord("expected a code, got a helper's word")
                _take_code(caller, word.code, code_typed)
        except BadWord as error:
            log(f"somebody on the pipe is hung up on: {error}")
            caller.hang_up()

    return _listen(name, False, connected, log)


def connect(name: str) -> Channel:
    """Connect to a pipe.

    Raises:
        NotThere: nobody listens.
        PipeError: whoever listens cannot be believed.
    """
    if sys.platform == "win32":
        from rrsim.agent.windows import pipe_io

        return pipe_io.connect(name)
    raise NotThere("named pipes exist on Windows only")


def send_code(name: str, code: str, opened: Callable[[str], Channel] = connect) -> bool:
    """Bring a code to the agent behind a pipe, and say whether it took it. The code appears in no log."""
    unpacker = Unpacker(TO_HELPER)
    done = threading.Event()
    taken: list[words.ToHelper] = []

    def heard(data: bytes) -> None:
        try:
            taken.extend(unpacker.feed(data))
        except BadWord:
            done.set()
        if taken:
            done.set()

    try:
        channel = opened(name)
    except PipeError:
        return False
    channel.start(heard, done.set)
    channel.send(pack(words.Start(code)))
    done.wait(SEND_CODE_TIMEOUT_S)
    channel.close()
    return any(isinstance(word, words.Taken) for word in taken)
