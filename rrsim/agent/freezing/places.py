"""Where builds are kept: the cache folder, folders that appear at once or not at all, one builder at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from rrsim.agent.freezing.errors import BuildError, Progress

OTHER_BUILDER_S: Final = 900.0
"""How long a second builder waits for the first, in seconds: longer than a whole build may take."""

_SCRATCH: Final = "scratch"


def cache_dir() -> Path:
    """Return the folder that rrsim caches in: ``$XDG_CACHE_HOME/rrsim``, by default ``~/.cache/rrsim``."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".cache"
    return base / "rrsim"


def digest_of(parts: Iterable[str | bytes]) -> str:
    """Return the sha256 over parts, each with its length, so that no two lists of parts look the same."""
    digest = sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        digest = sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def only_builder(cache: Path, progress: Progress, wait_s: float = OTHER_BUILDER_S) -> Iterator[None]:
    """Be the only builder in this cache; what earlier builders left behind when they were killed is removed.

    Raises:
        BuildError: another process went on building for longer than ``wait_s`` seconds.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "build.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for the builder with process id {_holder(lock.name)}")
            _lock_within(lock.fileno(), lock.name, wait_s)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)


def _lock_within(descriptor: int, name: str, wait_s: float) -> None:
    """Take the lock in a thread, as the system's own wait has no deadline; one that comes too late is given back."""
    taken, given_up = threading.Event(), threading.Event()
    own = os.dup(descriptor)

    def take() -> None:
        fcntl.flock(own, fcntl.LOCK_EX)
        taken.set()
        if given_up.is_set():
            fcntl.flock(own, fcntl.LOCK_UN)
        os.close(own)

    threading.Thread(target=take, name="waits-for-builder", daemon=True).start()
    if not taken.wait(wait_s):
        given_up.set()
        raise BuildError(f"the other builder to be ready within {wait_s:g} s", f"process {_holder(name)} still builds",
                         "again later, or ending that process if it hangs")


def _holder(name: str) -> str:
    return Path(name).read_text(encoding="utf-8").strip() or "unknown"


@contextmanager
def scratch_dir(cache: Path, purpose: str) -> Iterator[Path]:
    """Give a new empty folder on the file system of the cache, and remove it with all it holds afterwards.

    It is held by a lock until then, so that nobody takes it for one that a killed process left.
    """
    parent = cache / _SCRATCH
    with only_maker(parent):
        path = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=parent))
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def left_behind(cache: Path) -> list[Path]:
    """Return the scratch folders that nobody holds: their owners were killed."""
    parent = cache / _SCRATCH
    if not parent.is_dir():
        return []
    with only_maker(parent):
        return sorted(path for path in parent.iterdir() if path.is_dir() and not _held(path))


def _held(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def only_maker(folder: Path) -> Iterator[None]:
    """Be the only one who makes something in a folder: nobody sees it before it is finished, or held."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def forget_oldest(folder: Path, kept: int) -> None:
    """Remove folders under ``folder`` but for the ``kept`` ones that were used last."""
    there = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in there[:-kept]:
        shutil.rmtree(old, ignore_errors=True)


def put_in_place(made: Path, place: Path) -> None:
    """Move a finished folder to its place in one step; an unfinished one of that name is replaced."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        shutil.rmtree(place)
    made.rename(place)
