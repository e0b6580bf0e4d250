"""The daemon: every request of the host, and what the host is told without asking."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rrsim.images.guest import clock, doing, look
from rrsim.images.guest.channel import Channel, Message
from rrsim.images.guest.loop import Loop, Timer
from rrsim.images.guest.session import SIGN_IN, Session
from rrsim.images.guest.settings import Settings

FLAG_EVERY_US: Final = 50_000
FASTEST_LOOK_US: Final = 50_000
PROTOCOL: Final = 1


class Daemon:
    """Serves one port. Requests are methods named ``do_…``; each returns the answer's fields."""

    def __init__(self, loop: Loop, settings: Settings, descriptor: int, size: tuple[int, int]) -> None:
        """Hold a daemon whose session has not begun."""
        self._loop, self._settings = loop, settings
        self.channel = Channel(loop, descriptor, self.handle)
        self.session = Session(loop, settings, self.channel.event, size)
        self._modem = doing.Modem(loop, settings, self.channel.event)
        self._flag: bool | None = None
        self._flag_at_boot = False
        self._watching: Timer | None = None
        self._last_seen: dict[int, str] = {}
        self._verbs: dict[str, Callable[..., Message]] = {
            name.removeprefix("do_").replace("_", " "): getattr(self, name) for name in dir(self)
            if name.startswith("do_")
        }

    def begin(self) -> None:
        """Start Windows, and watch its boot flag."""
        self.channel.announce(event="announce", boot_id=_boot_id(self._settings), protocol=PROTOCOL)
        self.channel.event(event="daemon up", boot_id=_boot_id(self._settings), protocol=PROTOCOL)
        self._look_at_flag()
        self._flag_at_boot = bool(self._flag)
        self._loop.every(FLAG_EVERY_US, self._look_at_flag)
        self.session.begin()

    def handle(self, request: Message) -> Message | None:
        """Obey one request and return its answer; a line for a helper has none.

        Raises:
            ValueError: the request is not known, or its fields are wrong.
        """
        if "line" in request and "do" not in request:
            try:
                self.session.say(str(request["line"]), str(request["text"]))
            except (ValueError, RuntimeError) as error:
                self.channel.event(event="line not taken", line=str(request["line"]), error=str(error))
            return None
        verb = request.get("do")
        if verb == "hello":
            self.channel.greet(request.get("id"), self._hello(), int(request.get("after", 0)))
            return None
        if verb not in self._verbs:
            raise ValueError(f"unknown request {verb!r}; known: hello, {', '.join(sorted(self._verbs))}")
        fields = {name: value for name, value in request.items() if name not in {"do", "id"}}
        return self._verbs[str(verb)](**fields)

    # --- requests ---

    def _hello(self) -> Message:
        stat = (self._settings.proc / "stat").read_text(encoding="ascii")
        btime = next((int(line.split()[1]) for line in stat.splitlines() if line.startswith("btime ")), 0)
        uptime = (self._settings.proc / "uptime").read_text(encoding="ascii").split()[0]
        return {
            "protocol": PROTOCOL, "boot_id": _boot_id(self._settings), "uptime_s": float(uptime), "btime_s": btime,
            "wall_us": clock.wall_us(), "versions": self._settings.versions, "lines": sorted(self.session.lines),
            "flag_at_boot": self._flag_at_boot, "signin": SIGN_IN in self.session.lines,
            "going_down": self.session.going_down,
        }

    def do_ping(self) -> Message:
        """Say that the daemon is alive."""
        return {"pong": True}

    def do_open(self, line: str, program: str, args: tuple[str, ...] = (), last_word: str = "") -> Message:
        """Start a helper and carry its lines."""
        return self.session.open(line, program, [str(one) for one in args], last_word)

    def do_close(self, line: str) -> Message:
        """End a helper."""
        return self.session.close(line)

    def do_processes(self) -> Message:
        """List Windows' processes."""
        return {"now": self.session.processes.now()}

    def do_watch_processes(self, every_ms: int = 200) -> Message:
        """Tell Windows' processes whenever they change; 0: no longer."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if every_ms:
            self._watching = self._loop.every(max(FASTEST_LOOK_US, every_ms * 1000), self._look_at_processes)
        self._last_seen = self.session.processes.now()
        return {"now": self._last_seen}

    def do_kill(self, pids: list[int]) -> Message:
        """End processes of Windows as a crash would; which of them were there is the answer."""
        there = set(self.session.processes.all_of_windows())
        ended = [pid for pid in pids if pid in there]
        for pid in ended:
            os.kill(pid, signal.SIGKILL)
        return {"ended": ended}

    def do_files(self, places: list[str]) -> Message:
        """List files of drive C: by the names that an inventory has."""
        return {"names": look.files(self._settings, places)}

    def do_flag(self) -> Message:
        """Say whether the next boot is a safe one, and since when."""
        return look.flag(self._settings)

    def do_read(self, path: str, limit: int = doing.READ_LIMIT_BYTES, offset: int = 0) -> Message:
        """Read a file, or a piece of it."""
        return doing.read(self._settings, path, offset, limit)

    def do_write(self, path: str, base64: str, mode: int = 0o644, append: bool = False) -> Message:
        """Write a file, or add to it."""
        doing.write(self._settings, path, base64, mode, append=append)
        return {}

    def do_make_dir(self, path: str) -> Message:
        """Make a folder."""
        doing.make_dir(self._settings, path)
        return {}

    def do_remove(self, path: str) -> Message:
        """Remove a file or a folder."""
        doing.remove(self._settings, path)
        return {}

    def do_clock(self, wall_us: int) -> Message:
        """Set the time of day."""
        clock.set_wall_us(wall_us)
        return {"wall_us": clock.wall_us()}

    def do_entropy(self, base64: str) -> Message:
        """Stir in chance."""
        doing.entropy(_decoded(base64))
        return {}

    def do_mint(self, machine_id: str, hostname: str) -> Message:
        """Take on an identity."""
        doing.mint(self._settings, machine_id, hostname)
        return {}

    def do_sync(self) -> Message:
        """Have everything that was written on the disk before answering."""
        os.sync()
        return {}

    def do_network(self) -> Message:
        """List network cards."""
        return look.network()

    def do_link_up(self) -> Message:
        """Set the network card up again."""
        doing.link_up(self._settings)
        return look.network()

    def do_dial(self, number: str, user: str = "") -> Message:
        """Dial."""
        return self._modem.dial(number, user)

    def do_hang_up(self) -> Message:
        """Hang up."""
        return self._modem.hang_up()

    # --- what is told unasked ---

    def _look_at_flag(self) -> None:
        now = look.flag(self._settings)
        if now["set"] != self._flag and not (self._flag is None and not now["set"]):
            self.channel.event(event="flag", **now)
        self._flag = now["set"]

    def _look_at_processes(self) -> None:
        now = self.session.processes.now()
        if now != self._last_seen:
            self._last_seen = now
            self.channel.event(event="processes", now=now)


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _boot_id(settings: Settings) -> str:
    return Path(settings.proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
