"""Where live runs keep their things on this computer, and how what a killed run left behind is cleared away.

Every command that runs live has one folder under ``runs_home()``; its name carries the owner, a process with its start
time, since numbers are used again. Every process that a run starts inherits the folder's path in its environment, or
lives in a Wine prefix below the folder: whoever finds a folder without its owner ends exactly these, then removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from rrsim.backends.live import evidence
from rrsim.backends.live.wine import lease
from rrsim.live_clock import wall_time

MARK: Final = "RRSIM_RUN"
"""Environment variable that names the folder of the run a process belongs to."""
SWEEPS: Final = 20
"""How often the processes of a dead run are looked for: one that is just being ended may have started another."""


class RunsNotKept(RuntimeError):
    """The folder for live runs cannot be used; the message says which and what to try."""


class Reaped(msgspec.Struct, frozen=True):
    """What was cleared away."""

    runs: tuple[str, ...] = ()
    """Names of run folders whose owner is gone."""
    machines: tuple[str, ...] = ()
    """Their machines, as ``run/case/machine``."""
    processes: int = 0
    """How many processes still ran for them, those inside machines not counted."""


def state_home() -> Path:
    """Return the folder of everything rrsim keeps between commands."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "rrsim"


def runs_home() -> Path:
    """Return the folder of the live runs that are going on."""
    return state_home() / "runs"


def begin_run() -> Path:
    """Make the folder of a command's live runs, and mark what this process starts from now on as belonging to it.

    Raises:
        RunsNotKept: it cannot be made.
    """
    owner = lease.process(os.getpid())
    assert owner is not None, "this process runs"
    folder = runs_home() / f"{wall_time():%Y%m%d-%H%M%S-%f}-{owner.pid}-{owner.started}"
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise RunsNotKept(
            f"expected a folder for live runs under {runs_home()}, saw: {error}; set XDG_STATE_HOME to a folder that "
            "can be written to"
        ) from error
    os.environ[MARK] = str(folder)
    return folder


def end_run(folder: Path) -> None:
    """Remove the folder of this process's live runs with everything that is left in it."""
    if os.environ.get(MARK) == str(folder):
        del os.environ[MARK]
    _clear(folder)


def clear_case(folder: Path, *, keep_evidence: bool) -> None:
    """End whatever is left of one case and remove its folder, except its evidence if that is to be kept."""
    for machine in _folders(folder):
        if lease.read(machine) is not None:
            lease.clear(machine, lease.read(machine))
    if not keep_evidence:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in _entries(folder):
        if entry.name == evidence.FOLDER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def reap(home: Path | None = None) -> Reaped:
    """Clear away every run whose owner is gone, and say what that was. Runs in use are left alone."""
    runs: list[str] = []
    machines: list[str] = []
    processes = 0
    for folder in _folders(home or runs_home()):
        owner = owner_of(folder)
        if owner is None or lease.alive(owner):
            continue
        machines += [f"{folder.name}/{m.parent.name}/{m.name}" for m in _machines(folder)]
        processes += _clear(folder)
        runs.append(folder.name)
    return Reaped(tuple(runs), tuple(machines), processes)


def owner_of(folder: Path) -> lease.Process | None:
    """Return whose run folder this is; nothing if it is none."""
    *_, pid, started = ("", *folder.name.split("-"))
    return lease.Process(int(pid), int(started)) if pid.isdigit() and started.isdigit() else None


def marked(folder: Path) -> Iterator[lease.Process]:
    """Find the processes that carry this run's mark, but not this process itself."""
    mark = b"\0" + f"{MARK}={folder}".encode() + b"\0"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in b"\0" + (entry / "environ").read_bytes():
                found = lease.process(int(entry.name))
                if found is not None:
                    yield found


def _clear(folder: Path) -> int:
    """End the processes of a run, then remove its machines and its folder; return how many processes there were."""
    ended: set[lease.Process] = set()
    for _ in range(SWEEPS):
        left = set(marked(folder)) - ended
        for one in left:
            lease.end(one)
        if not left:
            break
        ended |= left
    for machine in _machines(folder):
        lease.clear(machine, lease.read(machine))
    shutil.rmtree(folder, ignore_errors=True)
    return len(ended)


def _machines(run: Path) -> list[Path]:
    return [m for case in _folders(run) for m in _folders(case) if lease.read(m) is not None]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir() and not entry.is_symlink()]
