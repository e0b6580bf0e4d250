"""What can be seen of the guest from outside Windows: processes, files, the boot flag, the network."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from rrsim.images.guest import clock
from rrsim.images.guest.settings import Settings

FLAG: Final = Path("Boot") / "bcd.standin"
MOST_FILES: Final = 20_000
LOOKS_AT_A_STRANGER: Final = 3
"""So many looks decide that a process is none of Windows'."""
FLAGS: Final = 6
"""Place in ``/proc/PID/stat`` behind the name (proc(5): field 9)."""
FORKED_NO_PROGRAM: Final = 0x40
"""``PF_FORKNOEXEC`` of the kernel's ``sched.h``."""


class Processes:
    """Windows' processes. One that has ended may stand there until its parent takes note of it: it is not listed."""

    def __init__(self, settings: Settings) -> None:
        """Look at this guest."""
        self._settings = settings
        self._mark = f"WINEPREFIX={settings.prefix}".encode()
        self._mine: dict[int, str] = {}
        self._others: dict[int, int] = {}

    def now(self) -> dict[int, str]:
        """Return process id to command line.

        A new process wears its parent's command line and environment until it has become itself: the first are read
        every time, and the second more than once. Until then it is its parent's copy, and not listed.
        """
        proc = self._settings.proc
        now = {int(name) for name in os.listdir(proc) if name.isdigit()}  # noqa: PTH208 -- looked at often, in a slow machine
        self._mine = {pid: line for pid, line in self._mine.items() if pid in now and not self.ended(pid)}
        self._others = {pid: looks for pid, looks in self._others.items() if pid in now}
        for pid in now:
            looks = self._others.get(pid, 0)
            if looks >= LOOKS_AT_A_STRANGER:
                continue
            try:
                if pid not in self._mine and self._mark not in (proc / f"{pid}/environ").read_bytes().split(b"\0"):
                    self._others[pid] = looks + 1
                    continue
                words = (proc / f"{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended meanwhile, or only just begins
            line = b" ".join(words).decode("utf-8", "replace").strip()
            if line and not line.startswith(("/", "wine", "setarch")):
                self._mine[pid] = line
        return {pid: line for pid, line in self._mine.items() if not self._only_forked(pid)}

    def _only_forked(self, pid: int) -> bool:
        """Whether a process has been forked and has not begun its own program yet: all of it is its parent's."""
        fields = self._stat(pid)
        return len(fields) > FLAGS and bool(int(fields[FLAGS]) & FORKED_NO_PROGRAM)

    def _stat(self, pid: int) -> list[bytes]:
        """Return what stands in ``/proc/PID/stat`` behind the name; nothing if there is no such process."""
        try:
            return (self._settings.proc / f"{pid}/stat").read_bytes().rpartition(b") ")[2].split()
        except OSError:
            return []

    def ended(self, pid: int) -> bool:
        """Whether a process is over, although its number may still be taken."""
        fields = self._stat(pid)
        return not fields or fields[0] in {b"Z", b"X"}

    def all_of_windows(self) -> list[int]:
        """Return every process of Windows, Wine's own and the kernel among them."""
        found = []
        for name in os.listdir(self._settings.proc):  # noqa: PTH208 -- as above
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                mine = self._mark in (self._settings.proc / name / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mine and not self.ended(int(name)):
                found.append(int(name))
        return found

    def kernel(self) -> int | None:
        """Return the process id of Windows' kernel, the wineserver."""
        for pid in self.all_of_windows():
            try:
                name = (self._settings.proc / f"{pid}/exe").readlink().name
            except OSError:
                continue
            if name.startswith(self._settings.kernel_name):
                return pid
        return None


def files(settings: Settings, places: list[str]) -> list[str]:
    """Return the names of all files under folders of drive C:, as an inventory has them.

    Raises:
        ValueError: there are more than an answer can hold.
    """
    found: set[str] = set()
    for place in places:
        for folder, _, names in os.walk(settings.drive_c / place):
            for name in names:
                path = Path(folder, name).relative_to(settings.drive_c).as_posix()
                found.add("boot:safeboot=network" if path == FLAG.as_posix() else f"file:C:/{path}")
        if len(found) > MOST_FILES:
            raise ValueError(f"more than {MOST_FILES} files; ask for fewer places")
    return sorted(found)


def flag(settings: Settings) -> dict[str, Any]:
    """Return whether the boot options ask for a safe boot, and when they last changed (monotonic; 0: never)."""
    path = settings.drive_c / FLAG
    times_us = []
    for one in (path, path.parent):  # clearing removes the file, which its folder remembers
        try:
            times_us.append(one.stat().st_mtime_ns // 1000)
        except OSError:
            continue
    try:
        there = "safeboot=network" in path.read_text(encoding="ascii", errors="replace")
    except OSError:
        there = False
    changed_us = clock.monotonic_us() - (clock.wall_us() - max(times_us)) if times_us else 0
    return {"set": there, "changed_us": changed_us}


def network(names: str = "/sys/class/net") -> dict[str, Any]:
    """Return each network card with whether its cable is in, and its addresses."""
    cards: dict[str, Any] = {}
    top = Path(names)
    for entry in sorted(top.iterdir()) if top.is_dir() else []:
        try:
            carrier = (entry / "carrier").read_text(encoding="ascii").strip() == "1"
        except OSError:  # a card that is down does not say
            carrier = False
        cards[entry.name] = {"carrier": carrier, "addresses": []}
    printed = subprocess.run(
        ["/bin/busybox", "ip", "-o", "-4", "addr", "show"], capture_output=True, text=True, timeout=10, check=False
    ).stdout
    for found in re.finditer(r"^\d+: (\S+)\s+inet (\S+)", printed, re.MULTILINE):
        if found[1] in cards:
            cards[found[1]]["addresses"].append(found[2])
    return {"cards": cards}


def place(settings: Settings, path: str) -> Path:
    """Return where a Windows path on drive C:, or a path of the guest itself, is.

    Raises:
        ValueError: it is neither.
    """
    if path.startswith("/"):
        return Path(path)
    pure = PureWindowsPath(path)
    if pure.drive.upper() != "C:" or ".." in pure.parts:
        raise ValueError(f"{path}: expected a path on drive C:, which is the only one, or one that begins with /")
    return settings.drive_c.joinpath(*pure.parts[1:])
