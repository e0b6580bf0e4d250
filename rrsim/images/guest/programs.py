"""Programs that the daemon starts, and lines spoken with some of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from typing import Final

from rrsim.images.guest.loop import Loop

LINE_LIMIT_BYTES: Final = 3_000_000
UNTAKEN_BYTES: Final = 1_000_000


class Helper:
    """A program with lines on its standard streams. ``hear`` gets each line, ``over`` the exit code, once."""

    def __init__(
        self, loop: Loop, command: Sequence[str], env: dict[str, str], user: int | None,
        hear: Callable[[str], None], over: Callable[[int], None],
    ) -> None:
        """Start it, as this user if one is given.

        Raises:
            OSError: it cannot be started.
        """
        self._loop, self._hear, self._over = loop, hear, over
        self._in, self._out = b"", b""
        self._process = subprocess.Popen(
            list(command), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True, user=user, group=user, extra_groups=None if user is None else [], cwd="/",
        )
        assert self._process.stdin is not None, "started with pipes"
        assert self._process.stdout is not None, "started with pipes"
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._ended = False
        self.pid = self._process.pid
        loop.watch(self._from, self._read)
        loop.when_ended(self.pid, self._end)

    def say(self, text: str) -> None:
        """Send it one line.

        Raises:
            RuntimeError: it is gone, or takes no more.
        """
        if self._ended:
            raise RuntimeError("the program has ended")
        if len(self._out) > UNTAKEN_BYTES:
            raise RuntimeError(f"the program has not read {len(self._out)} bytes said to it before")
        self._out += text.replace("\n", " ").encode() + b"\n"
        self._write()

    def _write(self) -> None:
        try:
            done = os.write(self._to, self._out)
        except BlockingIOError:
            done = 0
        except OSError:
            self._out = b""
            self._loop.forget(self._to)
            return
        self._out = self._out[done:]
        self._loop.watch(self._to, None, self._write if self._out else None)

    def _read(self) -> None:
        try:
            data = os.read(self._from, 262_144)
        except BlockingIOError:
            return
        if not data:
            self._loop.forget(self._from)
            return
        *lines, self._in = (self._in + data).split(b"\n")
        for line in lines:
            self._hear(line.decode("utf-8", "replace").rstrip("\r"))
        if len(self._in) > LINE_LIMIT_BYTES:
            self.kill()

    def _end(self) -> None:
        code = self._process.wait()
        with contextlib.suppress(OSError):  # its last words
            while data := os.read(self._from, 262_144):
                self._in += data
        *lines, self._in = self._in.split(b"\n")
        self._ended = True
        for one in (self._from, self._to):
            self._loop.forget(one)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        for line in lines:
            self._hear(line.decode("utf-8", "replace").rstrip("\r"))
        self._over(code)

    def kill(self) -> None:
        """End it at once."""
        if not self._ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def start_quietly(command: Sequence[str], env: dict[str, str], user: int | None) -> subprocess.Popen[bytes]:
    """Start a program with its output thrown away: processes it leaves would keep a pipe open for ever."""
    return subprocess.Popen(
        list(command), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, user=user, group=user, extra_groups=None if user is None else [], cwd="/",
    )
