"""Slots: how many machines a host carries, and waiting for one that is free."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from rrsim import live_clock
from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm import lease
from rrsim.backends.live.vm.errors import NoFreeSlot
from rrsim.backends.live.vm.host import Host, HostInfo, Progress

ENV_SLOTS: Final = "RRSIM_VM_SLOTS"
MEMORY_SHARE: Final = 0.75
"""Share of the host's memory that machines may have."""
WAIT_S: Final = 3600.0
SAY_EVERY_US: Final = 60_000_000
POLL_US: Final = 500_000


def count(info: HostInfo, memory_mib: int, wanted: int = 0) -> int:
    """Return how many machines of this size a host carries: as many as wanted (option, else ``$RRSIM_VM_SLOTS``), else
    one a processor as far as the memory goes, and at least one."""
    asked = wanted or int(os.environ.get(ENV_SLOTS, "0") or 0)
    if asked > 0:
        return asked
    return max(1, min(info.processors, int(info.memory_mib * MEMORY_SHARE) // memory_mib))


async def acquire(
    host: Host, *, memory_mib: int, folder: Path | None = None, wanted: int = 0, wait_s: float = WAIT_S,
    progress: Progress | None = None,
) -> lease.Held:
    """Take a free slot; wait for one.

    Args:
        host: where.
        memory_mib: what the machine needs.
        folder: the run folder, for the lease.
        wanted: how many slots the host is to have; 0: see :func:`count`.
        wait_s: how long to wait.
        progress: hears who holds the slots while we wait.

    Raises:
        NoFreeSlot: none became free.
    """
    slots = count(host.info, memory_mib, wanted)
    began_us = said_us = live_clock.monotonic_us()
    while True:
        for number in range(1, slots + 1):
            held = await lease.claim(host, f"{lease.PREFIX}slot-{number}", lease.mine(folder))
            if held is not None:
                return held
        now_us = live_clock.monotonic_us()
        if now_us - began_us > wait_s * 1e6:
            raise NoFreeSlot(
                f"waited {wait_s:g} s for one of {slots} slots on {host.info.name}; {await _who(host)}; more slots: "
                f"{ENV_SLOTS}; what dead runs left: rrsim reap"
            )
        if progress is not None and (said_us == began_us or now_us - said_us > SAY_EVERY_US):
            said_us = now_us
            progress(f"waiting for one of {slots} slots on {host.info.name}; {await _who(host)}")
        await pause(POLL_US)


async def _who(host: Host) -> str:
    found = sorted((await lease.holders(host)).values(), key=lambda pair: pair[0])
    return "held: " + ("; ".join(f"{name} ({one.text()})" for name, one in found) or "by domains that are not rrsim's")
