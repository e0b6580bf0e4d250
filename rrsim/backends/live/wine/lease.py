"""Leases: what a machine holds on the host, written down so that a killed run leaves nothing for ever.

A lease is a file in the machine's folder. Its owner is a process with its start time, since numbers are used again.
Whoever finds a lease without its owner ends what it names, by number and start time, and removes the folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Final

import msgspec

NAME: Final = "lease.json"


class Process(msgspec.Struct, frozen=True):
    """One process of the host, told apart from a later one with the same number."""

    pid: int
    started: int
    """When it started, in clock ticks since the host's boot."""


class Lease(msgspec.Struct, frozen=True):
    """What one machine holds."""

    owner: Process
    prefix: str
    screen: Process | None = None
    server: Process | None = None


def process(pid: int) -> Process | None:
    """Return a running process with its start time; nothing if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else Process(pid, int(rest[18]))


def alive(which: Process | None) -> bool:
    """Whether this very process still runs."""
    return which is not None and process(which.pid) == which


def write(folder: Path, lease: Lease) -> None:
    """Write a lease so that a reader sees the old one or the new one."""
    new = folder / (NAME + ".new")
    new.write_bytes(msgspec.json.encode(lease))
    new.replace(folder / NAME)


def read(folder: Path) -> Lease | None:
    """Return a folder's lease; nothing if it has none that can be read."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Lease)
    except (OSError, msgspec.MsgspecError):
        return None


def end(which: Process | None) -> None:
    """End one process at once, if it is still that one."""
    if which is not None and alive(which):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(which.pid, signal.SIGKILL)


def inhabitants(prefix: Path) -> tuple[Process, ...]:
    """Return the processes that live in a prefix, by their own environment."""
    mark = b"\0WINEPREFIX=" + os.fsencode(prefix) + b"\0"
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in b"\0" + (entry / "environ").read_bytes():
                found.append(process(int(entry.name)))
        except OSError:
            continue
    return tuple(one for one in found if one is not None)


def forget_kernel(prefix: Path) -> None:
    """Remove what the kernel of a prefix keeps outside of it: the folder with its socket.

    Wine has it under ``/tmp/.wine-UID``; Debian's has it under ``/run/user``, or in a temporary folder whose name is
    kept in the prefix.
    """
    try:
        stat = prefix.stat()
    except OSError:
        return
    name = f"server-{stat.st_dev:x}-{stat.st_ino:x}"
    user = os.getuid()
    for home in (f"/tmp/.wine-{user}", f"/run/user/{user}/wine"):  # noqa: S108 -- Wine's own places
        shutil.rmtree(Path(home, name), ignore_errors=True)
    with contextlib.suppress(OSError):
        own = (prefix / "wineserver").read_text(encoding="ascii").strip("\0\n ")
        if own.startswith("wine-") and "/" not in own:
            shutil.rmtree(Path(tempfile.gettempdir()) / own, ignore_errors=True)


def clear(folder: Path, lease: Lease | None) -> None:
    """End everything a machine holds and remove its folder."""
    prefix = Path(lease.prefix) if lease else folder / "prefix"
    if lease:
        end(lease.server)
    for one in inhabitants(prefix):
        end(one)
    if lease:
        end(lease.screen)
    forget_kernel(prefix)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)  # a process that was just ended may have made a last file


def reap(root: Path) -> tuple[str, ...]:
    """Clear away every machine whose owner is gone, and return their names. Machines in use are left alone."""
    gone = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        lease = read(folder)
        if not folder.is_dir() or (lease is not None and alive(lease.owner)):
            continue
        if lease is None and not (folder / "prefix").exists():
            continue  # not a machine's folder, or one that is being made by somebody else
        clear(folder, lease)
        gone.append(folder.name)
    return tuple(gone)
