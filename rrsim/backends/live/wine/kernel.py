"""The kernel of one machine: its wineserver. Ending it ends the boot, and only a new one is a new boot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from rrsim.backends.live.wine import lease, parts

END_LIMIT_S = 15

class KernelStays(Exception):
    """Processes of a machine did not end when they were killed."""


def running(prefix: Path) -> lease.Process | None:
    """Return the wineserver of a prefix: the inhabitant that is one."""
    for one in lease.inhabitants(prefix):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{one.pid}/exe").readlink().name.startswith("wineserver"):
                return one
    return None


async def start(prefix: Path, env: dict[str, str]) -> lease.Process:
    """Start a kernel that stays until it is ended, and return it.

    Raises:
        WineMissing: it did not start.
    """
    await parts.call_quietly("wineserver", "-p", env=env, limit_s=30)
    server = running(prefix)
    if server is None:
        raise parts.WineMissing(f"wineserver: expected one to run for {prefix}, none does; try: wineserver -f -d")
    return server


async def lost(server: lease.Process) -> None:
    """Return when a kernel is gone, whoever ended it."""
    await _gone(server, None)


async def end(prefix: Path) -> None:
    """End the kernel and everything that runs in the prefix. The registry is written to disk first.

    Raises:
        KernelStays: something does not end.
    """
    server = running(prefix)
    if server is not None:
        os.kill(server.pid, signal.SIGTERM)
        await _gone(server)
    while rest := lease.inhabitants(prefix):
        for one in rest:
            lease.end(one)
            await _gone(one)


async def _gone(which: lease.Process, limit_s: float | None = END_LIMIT_S) -> None:
    """Wait until a process is gone."""
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(which.pid)
    except ProcessLookupError:
        return
    over = asyncio.Event()
    loop.add_reader(handle, over.set)
    try:
        if lease.alive(which):
            async with asyncio.timeout(limit_s):
                await over.wait()
    except TimeoutError:
        raise KernelStays(
            f"process {which.pid} was told to end {limit_s} s ago and still runs; look at it with ps"
        ) from None
    finally:
        loop.remove_reader(handle)
        os.close(handle)
