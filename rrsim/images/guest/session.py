"""The Windows session of one boot: the screen, Windows' kernel, the sign-in helper, and going down again.

A restart of Windows is a restart of the whole machine, and the daemon does it by itself, whether or not a host listens.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable
from typing import Any, Final

from rrsim.images.guest import clock, look, screen
from rrsim.images.guest.channel import Message
from rrsim.images.guest.loop import Loop, Timer
from rrsim.images.guest.programs import Helper, start_quietly
from rrsim.images.guest.settings import POWER_OFF, RESTART, Settings

LAST_WORD_US: Final = 3_000_000
"""How long a helper may take for its last look before Windows' kernel ends."""
KERNEL_STARTS_US: Final = 10_000_000
KERNEL_ENDS_US: Final = 15_000_000
AGAIN_US: Final = 20_000
SHELLS_LATEST_US: Final = 60_000_000
SIGN_IN: Final = "signin"
SIGN_IN_PROGRAM: Final = r"C:\windows\system32\rrwinlogon.exe"
MOST_LINES: Final = 16


class Session:
    """Everything of Windows in this boot. ``tell`` sends an event to the host."""

    def __init__(self, loop: Loop, settings: Settings, tell: Callable[..., None], size: tuple[int, int]) -> None:
        """Hold a session that has not begun."""
        self._loop, self._settings, self._tell, self._size = loop, settings, tell, size
        self.processes = look.Processes(settings)
        self.lines: dict[str, Helper] = {}
        self._last_words: dict[str, str] = {}
        self._awaited: set[str] = set()
        self._down: Timer | None = None
        self.going_down = False
        self._shells_started = False
        self._kernel = 0

    # --- coming up ---

    def begin(self) -> None:
        """Start the screen; the rest follows as each part is ready."""
        settings = self._settings
        if not settings.screen:
            self._start_kernel()
            return
        listing = settings.devices.read_text(encoding="utf-8", errors="replace")
        settings.screen_config.write_text(screen.config(listing, self._size, settings.keyboard), encoding="utf-8")
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        self._screen = self._start_screen(writing)
        os.close(writing)
        self._loop.watch(reading, lambda: self._screen_up(reading))
        self._start_kernel_program()  # meanwhile

    def _start_screen(self, writing: int) -> int:
        import subprocess

        process = subprocess.Popen(
            [*self._settings.screen, "-displayfd", str(writing)], pass_fds=(writing,), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )

        def over() -> None:
            self._tell(event="screen ended", code=process.wait())

        self._loop.when_ended(process.pid, over)
        return process.pid

    def _screen_up(self, reading: int) -> None:
        data = os.read(reading, 64)
        if data and not data.endswith(b"\n"):
            return
        self._loop.forget(reading)
        os.close(reading)
        if not data:
            self._tell(event="screen failed", log=_tail(self._settings.screen_config.with_name("xorg.log")))
            return
        self._tell(event="screen up")
        self._start_kernel()

    def _start_kernel_program(self) -> None:
        if self._kernel:
            return
        self._kernel = -1
        process = start_quietly(self._settings.kernel, self._settings.environment(), self._settings.user_id)

        until_us = clock.monotonic_us() + KERNEL_STARTS_US
        self._loop.when_ended(process.pid, lambda: self._kernel_started(process.wait(), until_us))

    def _kernel_started(self, code: int, until_us: int) -> None:
        """Find the kernel that a program has left running; it may not have become itself yet."""
        found = self.processes.kernel()
        if found is None and code == 0 and clock.monotonic_us() < until_us:
            self._loop.after(AGAIN_US, lambda: self._kernel_started(code, until_us))
            return
        if found is None:
            self._tell(event="kernel failed", code=code)
            return
        self._kernel = found
        self._tell(event="kernel up", pid=found)
        self._loop.when_ended(found, self._kernel_ended)
        self._sign_in_if_ready()

    def _start_kernel(self) -> None:
        self._screen_is_up = True
        self._start_kernel_program()
        self._sign_in_if_ready()

    _screen_is_up = False

    def _sign_in_if_ready(self) -> None:
        if self._screen_is_up and self._kernel > 0 and SIGN_IN not in self.lines:
            self.open(SIGN_IN, SIGN_IN_PROGRAM, [])
            self._loop.after(SHELLS_LATEST_US, self._start_shells)

    def _start_shells(self) -> None:
        """Start the ways in that Windows does not need, once it no longer waits for the processor."""
        if self._settings.shells and not self._shells_started:
            self._shells_started = True
            process = start_quietly(self._settings.shells, {"PATH": "/usr/sbin:/usr/bin"}, None)
            self._loop.when_ended(process.pid, lambda: self._tell(event="shells up", code=process.wait()))

    def _kernel_ended(self) -> None:
        self._kernel = 0
        if not self.going_down:
            self._tell(event="kernel ended")

    # --- lines ---

    def open(self, line: str, program: str, args: list[str], last_word: str = "") -> Message:
        """Start a helper whose lines are carried under this name.

        ``last_word`` is said to it before Windows' kernel ends, and its answer is waited for: ``look LAST``.

        Raises:
            ValueError: there is such a line, or there are too many.
        """
        if line in self.lines:
            raise ValueError(f"there is a line {line!r}; close it first")
        if len(self.lines) >= MOST_LINES:
            raise ValueError(f"{MOST_LINES} lines are open; close one")

        def over(code: int) -> None:
            if self.lines.get(line) is helper:
                del self.lines[line]
                self._last_words.pop(line, None)
            self._awaited.discard(line)
            self._tell(event="line ended", line=line, code=code)
            self._go_on_down()

        helper = Helper(
            self._loop, [*self._settings.wine, program, *args], self._settings.environment(), self._settings.user_id,
            lambda text: self._heard(line, text), over,
        )
        self.lines[line] = helper
        if last_word:
            self._last_words[line] = last_word
        return {"pid": helper.pid}

    def close(self, line: str) -> Message:
        """End a helper; ``line ended`` follows."""
        self._line(line).kill()
        return {}

    def say(self, line: str, text: str) -> None:
        """Say one line to a helper."""
        self._line(line).say(text)

    def _line(self, line: str) -> Helper:
        if line not in self.lines:
            raise ValueError(f"there is no line {line!r}; open: {', '.join(self.lines) or 'none'}")
        return self.lines[line]

    def _heard(self, line: str, text: str) -> None:
        self._tell(line=line, text=text)
        if line in self._awaited and _answers(text, self._last_words.get(line, "")):
            self._awaited.discard(line)
            self._go_on_down()
        if line == SIGN_IN:
            fields = _fields(text)
            if fields.get("event") == "welcome":
                self._start_shells()
            elif fields.get("event") == "down":
                self.go_down(restart=bool(fields.get("restart")))

    # --- going down ---

    def go_down(self, *, restart: bool) -> None:
        """End the session cleanly and have the machine restarted or switched off."""
        if self.going_down:
            return
        self.going_down = True
        self._code = RESTART if restart else POWER_OFF
        self._tell(event="going down", restart=restart)
        for line, word in list(self._last_words.items()):
            with contextlib.suppress(RuntimeError):
                self.lines[line].say(word)
                self._awaited.add(line)
        self._down = self._loop.after(LAST_WORD_US, self._end_kernel)
        self._go_on_down()

    def _go_on_down(self) -> None:
        if self._down is not None and self._down.on and not self._awaited:
            self._down.cancel()
            self._end_kernel()

    def _end_kernel(self) -> None:
        """End Windows' kernel, which writes the registry to the disk, and then what is left of Windows."""
        self._down = None
        kernel = self.processes.kernel()
        until_us = clock.monotonic_us() + KERNEL_ENDS_US
        if kernel is not None:
            os.kill(kernel, signal.SIGTERM)
        self._loop.after(0, lambda: self._clear(kernel, until_us))

    def _clear(self, kernel: int | None, until_us: int) -> None:
        late = clock.monotonic_us() > until_us
        if kernel is not None and not self.processes.ended(kernel) and not late:
            self._loop.after(AGAIN_US, lambda: self._clear(kernel, until_us))
            return
        left = self.processes.all_of_windows()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if left and not late:
            self._loop.after(AGAIN_US, lambda: self._clear(kernel, until_us))
            return
        self._tell(event="down", restart=self._code == RESTART, clean=not late)
        self._loop.stop(self._code)


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _answers(text: str, word: str) -> bool:
    """Whether a line is the answer to a last word, whose second field numbers it."""
    number = word.split("\t")[1] if "\t" in word else ""
    fields = _fields(text)
    return str(fields.get("reply", fields.get("look", ""))) == number


def _tail(path: Any, most: int = 1500) -> str:
    try:
        return str(path.read_text(encoding="utf-8", errors="replace"))[-most:]
    except OSError:
        return ""
