"""The journal on disk: an append-only file of JSON lines, from which a killed server comes back with nothing lost.

* A line is on disk before anything that was decided after it leaves the process. Lines that come while one
  ``fdatasync`` is under way share the next one (group commit).
* Lines hold records, which hold seals and no secret, and the deadlines of durable timers.
* A deadline is kept twice: on the clock that counts since the host was booted, with the identity of that boot, and as
  wall time. A restarted server uses the first if the host is still in the same boot, else the second.
* The last line may be torn by the death of the process: it is cut off. A line before it that cannot be read means that
  the file was damaged: :class:`CorruptFile`, with file and line.
* Lines are numbered, so that one that is missing is noticed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from rrsim.live_clock import boot_time_us, monotonic_us, wall_time_us
from rrsim.protocol.records import AnyRecord

FILE: Final = "journal.jsonl"
LOCK: Final = "lock"


class JournalError(RuntimeError):
    """The journal cannot be used."""


class CorruptFile(JournalError):
    """A line before the last one cannot be read, or is missing."""


class InUse(JournalError):
    """Another process has this journal open."""


class _Line(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="line", forbid_unknown_fields=True):
    """Base of what a line can be."""

    n: int = 0
    """Number of the line, from 1."""


class Began(_Line, frozen=True, tag="began"):
    """A server process began to write here."""

    host_boot: str
    """Identity of the host's boot; the monotonic times of the lines that follow count within it."""
    wall_us: int


class SessionMade(_Line, frozen=True, tag="session"):
    """What is known about a session besides its records."""

    session: str
    customer: str


class Recorded(_Line, frozen=True, tag="record"):
    """A record, and the monotonic time at which it was decided."""

    t_us: int
    record: AnyRecord


class TimerKept(_Line, frozen=True, tag="timer"):
    """A durable timer runs; replaces one of the same name."""

    session: str
    name: str
    host_boot: str
    boot_us: int
    """When it is due, as time since the host was booted."""
    wall_us: int
    """The same as wall time, for a host that was booted anew."""


class TimerGone(_Line, frozen=True, tag="timer gone"):
    """A durable timer was cancelled, or fired and everything that followed from it is written."""

    session: str
    name: str


Line = Began | SessionMade | Recorded | TimerKept | TimerGone

_DECODER: Final = msgspec.json.Decoder(Line)
_ENCODER: Final = msgspec.json.Encoder()


class Kept(msgspec.Struct):
    """What the journal keeps of one session."""

    customer: str = ""
    records: list[AnyRecord] = msgspec.field(default_factory=list)
    times_us: list[int] = msgspec.field(default_factory=list)
    """When each record was decided; 0 if that was in another boot of the host."""
    timers: dict[str, TimerKept] = msgspec.field(default_factory=dict)


def host_boot() -> str:
    """Return the identity of the host's present boot, or nothing where the host does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def timer_kept(session: str, name: str, due_us: int, boot: str) -> TimerKept:
    """Return the line that keeps a timer due at monotonic ``due_us``."""
    left_us = due_us - monotonic_us()
    return TimerKept(
        session=session, name=name, host_boot=boot, boot_us=boot_time_us() + left_us, wall_us=wall_time_us() + left_us
    )


def due_again_us(kept: TimerKept, boot: str) -> int:
    """Return when a kept timer is due on this process's monotonic clock; now, if that is past."""
    same = bool(boot) and kept.host_boot == boot
    left_us = kept.boot_us - boot_time_us() if same else kept.wall_us - wall_time_us()
    return monotonic_us() + max(0, left_us)


def read(path: Path) -> tuple[list[Line], int]:
    """Return the lines of a journal file and how many bytes of it are sound: what follows is a torn last line.

    Raises:
        CorruptFile: a line before the last one cannot be read, or is missing.
    """
    if not path.exists():
        return [], 0
    data = path.read_bytes()
    lines: list[Line] = []
    sound_bytes = 0
    pieces = data.split(b"\n")
    for index, piece in enumerate(pieces):
        last = index >= len(pieces) - 2 and not pieces[-1]
        if index == len(pieces) - 1:
            break  # what follows the last newline: nothing, or a torn line
        try:
            line = _DECODER.decode(piece)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if last:
                break
            raise CorruptFile(
                f"expected a journal line at {path}:{index + 1}, saw something else ({type(error).__name__}); "
                "restore the file from a copy, or start with an empty state directory"
            ) from None
        if line.n != index + 1:
            raise CorruptFile(
                f"expected line number {index + 1} at {path}:{index + 1}, saw {line.n}: lines are missing or doubled; "
                "restore the file from a copy, or start with an empty state directory"
            )
        lines.append(line)
        sound_bytes += len(piece) + 1
    return lines, sound_bytes


def sort_out(lines: Iterable[Line], boot: str) -> dict[str, Kept]:
    """Return what the lines say about each session, in order of their first record."""
    sessions: dict[str, Kept] = {}
    same_boot = False
    for line in lines:
        if isinstance(line, Recorded):
            kept = sessions.setdefault(line.record.session, Kept())
            kept.records.append(line.record)
            kept.times_us.append(line.t_us if same_boot else 0)
        elif isinstance(line, TimerKept):
            sessions.setdefault(line.session, Kept()).timers[line.name] = line
        elif isinstance(line, TimerGone):
            sessions.setdefault(line.session, Kept()).timers.pop(line.name, None)
        elif isinstance(line, SessionMade):
            sessions.setdefault(line.session, Kept()).customer = line.customer
        else:
            same_boot = bool(boot) and line.host_boot == boot
    return {name: kept for name, kept in sessions.items() if kept.records}


def _sync_folder(folder: Path) -> None:
    """Make sure that a file made in the folder is there after a power cut too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Journal:
    """The open journal of one server process; lines go in from the event loop's thread only."""

    def __init__(self, folder: Path) -> None:
        """Open the journal in ``folder``, cut off a torn last line, and read what it keeps.

        Raises:
            InUse: another process has it open.
            CorruptFile: see :func:`read`.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / FILE
        self.boot = host_boot()
        self._lock = (folder / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise InUse(
                f"expected a journal that nobody else uses, saw {folder} locked by another process; "
                "stop that server or choose another state directory"
            ) from None
        try:
            lines, sound_bytes = read(self.path)
        except JournalError:
            self._lock.close()
            raise
        self.kept = sort_out(lines, self.boot)
        self.written = len(lines)
        """Number of the last line that was put in."""
        self.durable = len(lines)
        """Number of the last line that is on disk."""
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, sound_bytes)
        _sync_folder(folder)
        self._waiting: list[bytes] = []
        self._flush_due = self._busy = self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self.on_durable: Callable[[], None] = lambda: None
        """Called in the event loop when more lines are on disk."""
        self.on_broken: Callable[[OSError], None] = lambda _: None
        """Called in the event loop when the disk takes no more: the server must stop, for nothing may leave it now."""
        self.append(Began(host_boot=self.boot, wall_us=wall_time_us()))

    def append(self, line: Line) -> None:
        """Put a line in; it is on disk when :attr:`durable` has reached the present :attr:`written`."""
        self.written += 1
        self._waiting.append(_ENCODER.encode(msgspec.structs.replace(line, n=self.written)) + b"\n")
        if not self._flush_due and not self._busy:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self._busy or self._closed or not self._waiting:
            return
        data, self._waiting = b"".join(self._waiting), []
        self._busy = True
        loop = asyncio.get_running_loop()
        upto = self.written
        loop.run_in_executor(self._thread, self._write, data).add_done_callback(
            lambda done: self._flushed(upto, done.exception())
        )

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view):]
        os.fdatasync(self._file)

    def _flushed(self, upto: int, error: BaseException | None) -> None:
        self._busy = False
        if error is not None:
            self._closed = True
            self.on_broken(error if isinstance(error, OSError) else OSError(str(error)))
            return
        self.durable = upto
        self.on_durable()
        if self._waiting:
            self._flush()

    def close(self) -> None:
        """Write what is waiting and close; blocks until it is on disk. For the end of the process only."""
        self._thread.shutdown(wait=True)
        if not self._closed and self._waiting:
            self._write(b"".join(self._waiting))
            self.durable = self.written
        self._closed = True
        os.close(self._file)
        self._lock.close()
