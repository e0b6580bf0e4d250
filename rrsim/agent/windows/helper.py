"""``rragent helper``: shows the service's windows on the desktop of the person at the PC.

It has no core, no ticket and no connection to the session server. What the service asks for is shown, what happens to
the windows is reported, and when the pipe breaks the helper ends: a new one is shown again what matters (rule 14).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Final

from rrsim.agent import host
from rrsim.agent.windows import pipe
from rrsim.agent.windows import pipe_words as words
from rrsim.agent.windows.pipe_words import TO_HELPER, BadWord, Unpacker, pack
from rrsim.agent.windows.ui import DesktopUi, NoDesktop
from rrsim.protocol.messages import Desktop

FIRST_RETRY_S: Final = 0.1
MOST_RETRY_S: Final = 2.0
CONNECT_TRIES: Final = 30
"""Tries to reach the service, about 50 s: it may still be starting."""
GOODBYE_TIMEOUT_S: Final = 4.0
"""How long Windows is held up while the service says goodbye; Windows itself waits 5 s."""

_CONNECTED: Final = frozenset({1, 3})
_DISCONNECTED: Final = frozenset({2, 4})
_LOCKED: Final = 7
_UNLOCKED: Final = 8
"""Session changes of Windows: ``WTS_CONSOLE_CONNECT``, ``WTS_REMOTE_CONNECT`` and so on."""

UiMaker = Callable[[Callable[[host.Input, bool], None], Callable[[int], None]], DesktopUi]


class Helper:
    """One helper: a channel to the service on one side, windows on the other."""

    def __init__(
        self, channel: pipe.Channel, make_ui: UiMaker, where: Callable[[], words.Here], log: Callable[[str], None],
    ) -> None:
        """Make a helper on a channel. ``where`` says which desktop this is, and whether it can be seen."""
        self._channel = channel
        self._where = where
        self._log = log
        self._ui = make_ui(self._emit, self._session_changed)
        self._unpacker = Unpacker(TO_HELPER)
        self._number = 0
        self._heard: dict[int, threading.Event] = {}
        self._over = threading.Event()
        self._here: words.Here | None = None

    def run(self) -> None:
        """Serve until the service says quit or the pipe breaks.

        Raises:
            NoDesktop: no windows can be shown here.
        """
        self._ui.start()
        self._channel.start(self._read, self._gone)
        self._say_where(self._where())
        self._over.wait()
        self._channel.close()
        self._ui.close()

    # --- from the service -----------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        try:
            for word in self._unpacker.feed(data):
                self._obey(word)
        except BadWord as error:
            self._log(f"the service says what this helper does not know: {error}; is it another version?")
            self._gone()

    def _obey(self, word: words.ToHelper) -> None:
        match word:
            case words.Do(effect=effect):
                self._ui.do(effect)
            case words.Settings(language=language, phone_mode=phone_mode):
                self._ui.settings(language, phone_mode)
            case words.Clear():
                self._ui.clear()
            case words.Forget():
                self._ui.forget()
            case words.Heard(number=number):
                waiting = self._heard.pop(number, None)
                if waiting is not None:
                    waiting.set()
            case words.Quit(reason=reason):
                self._log(f"the helper ends: {reason}")
                self._over.set()
            case words.Taken():
                self._log("the service answered to a code that this helper never sent")

    def _gone(self) -> None:
        self._over.set()
        for waiting in list(self._heard.values()):
            waiting.set()

    # --- from the desktop, in the thread of the windows -----------------------------------------------------------

    def _emit(self, event: host.Input, wait: bool) -> None:
        if not isinstance(event, words.HelperInput):
            self._log(f"{type(event).__name__} is nothing that a helper can say")
            return
        self._number += 1
        said = words.Said(self._number, event, wait)
        answered = threading.Event()
        if wait:
            self._heard[said.number] = answered
        self._channel.send(pack(said))
        if wait and not self._over.is_set() and not answered.wait(GOODBYE_TIMEOUT_S):
            self._log("Windows goes on although the service did not answer in time")

    def _session_changed(self, code: int) -> None:
        here = self._where()
        desktop: Desktop = here.desktop
        if code == _LOCKED or code in _DISCONNECTED:
            desktop = "locked"
        elif code == _UNLOCKED:
            desktop = "visible"
        elif code not in _CONNECTED:
            return
        self._say_where(words.Here(desktop, here.user, here.session))

    def _say_where(self, here: words.Here) -> None:
        if here != self._here:
            self._here = here
            self._channel.send(pack(here))


def connect(
    name: str, log: Callable[[str], None], opened: Callable[[str], pipe.Channel] = pipe.connect,
    pause: Callable[[float], object] | None = None,
) -> pipe.Channel | None:
    """Connect to the service, trying again while it is not there; None if it does not come."""
    wait = pause or threading.Event().wait
    delay_s = FIRST_RETRY_S
    seen = ""
    for _ in range(CONNECT_TRIES):
        try:
            return opened(name)
        except pipe.PipeError as error:
            seen = str(error)
        wait(delay_s)
        delay_s = min(delay_s * 2, MOST_RETRY_S)
    log(f"expected the service on {name}, saw: {seen}; is it running? Try: rragent status")
    return None


def main() -> int:
    """Be the helper of this desktop; return 0 when the service ended it, 1 if there was no service or no desktop.

    Raises:
        NoDesktop: this is not Windows.
    """
    if sys.platform == "win32":
        from rrsim.agent.windows import desktop, paths
        from rrsim.agent.windows.log import Log

        log = Log(paths.data_folder("application"), "rragent-helper")
        channel = connect(pipe.service_pipe(), log)
        if channel is None:
            return 1
        try:
            Helper(channel, lambda emit, changed: DesktopUi("en", False, emit, log, changed), desktop.where, log).run()
        except NoDesktop as error:
            log(str(error))
            return 1
        return 0
    raise NoDesktop("a desktop helper runs on Windows only")
