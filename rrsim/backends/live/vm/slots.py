"""Slots: how many machines a host carries, and waiting for one that is free."""

from __future__ import annotations

import os
from contextvars import ContextVar
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
NEEDED: Final[ContextVar[int]] = ContextVar("slots needed", default=1)
"""How many slots whoever waits for one needs together with those it has: see :mod:`rrsim.backends.live.vm.turns`."""
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
        NoFreeSlot: none became free, or machines that are kept for longer than we would wait leave too few.
    """
    slots = count(host.info, memory_mib, wanted)
    began_us = said_us = live_clock.monotonic_us()
    while True:
        for number in range(1, slots + 1):
            held = await lease.patiently(lease.claim(host, f"{lease.PREFIX}slot-{number}", lease.mine(folder)))
            if held is not None:
                held.of_slots = slots
                return held
        now_us = live_clock.monotonic_us()
        if now_us - began_us > wait_s * 1e6:
            raise NoFreeSlot(
                f"waited {wait_s:g} s for one of {slots} slots on {host.info.name}; {await _who(host)}; more slots: "
                f"{ENV_SLOTS}; what dead runs left: rrsim reap"
            )
        if said_us == began_us or now_us - said_us > SAY_EVERY_US:
            said_us = now_us
            await require_hope(host, slots, wait_s)
            if progress is not None:
                progress(f"waiting for one of {slots} slots on {host.info.name}; {await _who(host)}")
        await pause(POLL_US)


async def kept(host: Host, slots: int) -> dict[str, lease.Lease]:
    """Return which of the host's first ``slots`` slots have a machine that is kept to be looked at."""
    names = {f"{lease.PREFIX}slot-{number}" for number in range(1, slots + 1)}
    found = (await lease.holders(host)).values()
    return {
        name: one for name, one in sorted(found, key=lambda pair: pair[0])
        if name in names and one.kept and not one.ended
    }


async def require_hope(host: Host, slots: int, wait_s: float = WAIT_S) -> None:
    """Check that as many slots as are needed can become free within ``wait_s`` seconds.

    Raises:
        NoFreeSlot: they cannot: machines that are kept to be looked at hold them.
    """
    looked_at = await kept(host, slots)
    until_s = live_clock.wall_time_us() / 1e6 + wait_s
    for_long = [name for name, one in looked_at.items() if one.expires_s > until_s]
    needed = NEEDED.get()
    if for_long and slots - len(for_long) < needed:
        raise NoFreeSlot(
            f"expected {needed} of {slots} slots on {host.info.name} to become free, saw machines that are kept to be "
            f"looked at in {', '.join(for_long)}; remove them: rrsim reap --kept; or more slots: --slots or {ENV_SLOTS}"
        )


async def _who(host: Host) -> str:
    found = sorted((await lease.holders(host)).values(), key=lambda pair: pair[0])
    return "held: " + ("; ".join(f"{name} ({one.text()})" for name, one in found) or "by domains that are not rrsim's")
