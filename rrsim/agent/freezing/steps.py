"""Running the tools of the build: each with a deadline, no input, its output in a log, and an end to all it started."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from rrsim import live_clock
from rrsim.agent.freezing.errors import BuildError, ToolMissing

INSTALL: Final = "apt-get install wine64 wine xvfb gcc-mingw-w64-x86-64"
"""The command that installs everything that the build needs beyond Python, on Debian and Ubuntu."""

_TAIL_LINES: Final = 8
_DEATH_S: Final = 30.0


def find_tool(name: str) -> str:
    """Return the path of a program.

    Raises:
        ToolMissing: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise ToolMissing(f"{name}, which building the Windows agent needs", "no such program on PATH", f"`{INSTALL}`")
    return found


def run_step(
    what: str, command: Sequence[str], *, log: Path, within_s: float, env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program to its end and return what it printed, which is appended to ``log`` too.

    Output goes through a pipe, as Python for Windows cannot start under Wine with a plain file as output. The pipe is
    read until the program ends and not until the pipe does: processes that Wine leaves in the background keep it open.

    Raises:
        BuildError: it failed, or took longer than ``within_s`` seconds; its process group has then been ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        out.write(f"\n== {what}\n".encode())
        out.flush()
        begin = out.tell()
        read_end, write_end = os.pipe()
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=write_end, stderr=write_end, env=env,
                                       cwd=cwd, start_new_session=True)
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        try:
            in_time = _copy_until_end(process.pid, read_end, out, within_s)
        finally:
            os.close(read_end)
            _end(process)
    if not in_time:
        raise BuildError(f"{what}: an end within {within_s:g} s", _tail(log, begin),
                         f"again on a less busy machine; everything it printed is in {log}")
    if process.returncode != 0:
        raise BuildError(f"{what}: exit code 0", f"exit code {process.returncode}; {_tail(log, begin)}",
                         f"the whole log: {log}")
    return _printed(log, begin)


def _copy_until_end(pid: int, read_end: int, out: BinaryIO, within_s: float) -> bool:
    """Copy what comes through the pipe until the process has ended; return whether it did in time."""
    os.set_blocking(read_end, False)
    deadline_us = live_clock.monotonic_us() + round(within_s * 1e6)
    ended = os.pidfd_open(pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            selector.register(read_end, selectors.EVENT_READ)
            while (left_us := deadline_us - live_clock.monotonic_us()) > 0:
                ready = {key.fd for key, _ in selector.select(left_us / 1e6)}
                if read_end in ready and not _drain(read_end, out):
                    selector.unregister(read_end)
                if ended in ready:
                    _drain(read_end, out)
                    return True
    finally:
        os.close(ended)
    return False


def _drain(read_end: int, out: BinaryIO) -> bool:
    """Copy what is in the pipe now; return whether more can come."""
    try:
        while data := os.read(read_end, 1 << 16):
            out.write(data)
            out.flush()
    except BlockingIOError:
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process with its group if it still runs, and collect its exit code."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_DEATH_S)


def _printed(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode("utf-8", "replace")


def _tail(log: Path, begin: int) -> str:
    lines = [line.strip() for line in _printed(log, begin).splitlines() if line.strip()]
    return "it printed last: " + (" / ".join(lines[-_TAIL_LINES:]) or "nothing")
