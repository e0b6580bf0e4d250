"""A guest's daemon on this computer: the host's end of its port, and programs that behave as Windows' do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rrsim import live_clock
from rrsim.images.guest.daemon import Daemon
from rrsim.images.guest.loop import Loop
from rrsim.images.guest.settings import Settings

FAKE_WINE = '''\
import json, os, select, sys

def say(**fields):
    print(json.dumps(fields), flush=True)

name = sys.argv[1].rpartition("\\\\")[2]
if name == "rrwinlogon.exe":
    say(event="up")
    say(event="welcome", safe_mode=False, error=0)
for line in sys.stdin:
    verb, _, rest = line.rstrip("\\n").partition("\\t")
    if verb == "begin":
        say(event="down", restart=rest.startswith("restart"))
    elif verb == "look":
        with open(os.path.join(os.environ["WINEPREFIX"], "looked"), "a") as file:
            file.write(rest + "\\n")
        if "slow" in sys.argv:
            select.select([], [], [], 0.4)
        if "deaf" not in sys.argv:
            say(reply=rest)
    elif verb == "fail":
        sys.exit(3)
    elif verb == "environment":
        say(environment=dict(os.environ))
    else:
        say(heard=line.rstrip("\\n"))
'''


class _Loop(Loop):
    """A loop that goes on when it is told to stop, and remembers what it was told."""

    code: int | None = None

    def stop(self, code: int) -> None:
        """Remember it."""
        self.code = code


class Guest:
    """A daemon that is driven one round at a time, and whom it speaks with."""

    def __init__(self, folder: Path) -> None:
        """Make a prefix and programs below a folder; Windows does not run yet."""
        self.prefix = folder / "prefix"
        (self.prefix / "drive_c" / "Boot").mkdir(parents=True)
        wine = folder / "wine.py"
        wine.write_text(FAKE_WINE, encoding="ascii")
        kernel = folder / "wineserver-fake"
        shutil.copy2(shutil.which("sleep") or "/bin/sleep", kernel)
        self.settings = Settings(
            prefix=self.prefix, home=folder, user_id=None, wine=(sys.executable, str(wine)), screen=(), shells=(),
            kernel=("/bin/sh", "-c", f"{kernel} 60 >/dev/null 2>&1 &"), etc=folder,
        )
        self.loop = _Loop()
        self._guest_end, self._end = socket.socketpair()
        self._guest_end.setblocking(False)
        self._end.setblocking(False)
        self.daemon = Daemon(self.loop, self.settings, self._guest_end.fileno(), (640, 480))
        self.heard: list[dict[str, Any]] = []
        self._in = b""
        self._number = 0

    @property
    def code(self) -> int | None:
        """What the guest's init would be told; none while the daemon goes on."""
        return self.loop.code

    def send(self, **request: Any) -> None:
        """Send one request."""
        self.send_raw(json.dumps(request).encode() + b"\n")

    def send_raw(self, data: bytes) -> None:
        """Send bytes, with the daemon reading meanwhile."""
        while data:
            try:
                data = data[self._end.send(data):]
            except BlockingIOError:
                self._turn()

    def _turn(self) -> None:
        self.loop.once(20_000)
        self.listen()

    def listen(self) -> None:
        """Take up what the daemon has said."""
        try:
            while data := self._end.recv(1 << 20):
                self._in += data
        except BlockingIOError:
            pass
        *lines, self._in = self._in.split(b"\n")
        self.heard += [json.loads(line) for line in lines if line.strip()]

    def until(self, arrived: Callable[[], Any], limit_s: float = 20) -> Any:
        """Let the daemon work until something is so, and return it."""
        end_us = live_clock.monotonic_us() + int(limit_s * 1e6)
        while not (seen := arrived()):
            assert live_clock.monotonic_us() < end_us, f"not in time; heard {self.heard[-5:]}"
            self._turn()
        return seen

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer."""
        self._number += 1
        number = self._number
        self.send(id=number, do=do, **fields)
        answer: dict[str, Any] = self.until(lambda: next((one for one in self.heard if one.get("re") == number), None))
        return answer

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event and return it."""
        found: dict[str, Any] = self.until(
            lambda: next((one for one in self.heard if one.get("event") == name), None)
        )
        return found

    def line(self, line: str, part: str) -> dict[str, Any]:
        """Wait for a line of a helper that contains a text, and return its fields."""
        found = self.until(lambda: next(
            (one for one in self.heard if one.get("line") == line and part in one.get("text", "")), None
        ))
        fields: dict[str, Any] = json.loads(found["text"])
        return fields

    def close(self) -> None:
        """End everything that was started."""
        session = self.daemon.session
        while session.lines:
            for helper in list(session.lines.values()):
                helper.kill()
            self.loop.once(20_000)
        for pid in self.daemon.session.processes.all_of_windows():
            os.kill(pid, 9)
        self._end.close()
        self._guest_end.close()
