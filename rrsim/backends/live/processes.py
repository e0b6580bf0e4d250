"""Signals to processes of ours that asyncio waits for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal


def send(process: asyncio.subprocess.Process, how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal; nothing if the process has ended.

    A process's own ``kill`` asks first whether it has ended, and takes its exit status away from the thread that waits
    for it if so: asyncio then reports a made-up 255 and complains of an unknown child (CPython 3.11,
    ``subprocess.Popen.send_signal``).
    """
    if process.returncode is None:
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            # Looks without taking the status; without one to take, the number may be somebody else's by now.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            os.kill(process.pid, how)
