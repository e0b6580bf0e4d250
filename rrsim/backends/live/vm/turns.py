"""Turns: one case at a time takes its machines on a host, over all runs and processes, until it has all of them.

Two cases of two customers each on two slots could each hold one and wait for the other's. With turns no circle is left:
a slot is held either by somebody who has all the machines he needs, and ends without waiting for a slot or a turn, or
by the one whose turn it is, who waits for slots only. Cases of one machine take turns too: otherwise they would take
every slot that becomes free from under a case that needs several. What takes a single slot without a turn (a ready
state, a proof of KVM, a contract) waits for nothing else while it holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm import lease, slots
from rrsim.backends.live.vm.errors import VmError
from rrsim.backends.live.vm.host import Host, Progress

WHAT: Final = "turn"
"""What the lock is on."""
LOCK: Final = f"{lease.PREFIX}lock-{WHAT}"
"""The lock's name on the host."""
SAY_AFTER_US: Final = 5_000_000
"""A turn usually comes within a second or two: nothing to speak of."""


@contextlib.asynccontextmanager
async def turn(
    host: Host, machines: int, carried: int, progress: Progress | None = None, wait_s: float = slots.WAIT_S
) -> AsyncIterator[None]:
    """Be the only one on the host who takes machines for a case; to be left when it has them all.

    Args:
        host: where.
        machines: how many the case needs.
        carried: how many slots the host has.
        progress: hears who has the turn while we wait for it.
        wait_s: how long to wait for it.

    Raises:
        NoFreeSlot: the turn did not come, or the slots would not become free in time because kept machines hold them.
    """
    async with contextlib.AsyncExitStack() as ours:
        telling = asyncio.create_task(_tell(host, progress)) if progress is not None else None
        try:
            await ours.enter_async_context(lease.lock(host, WHAT, wait_s=wait_s))
        finally:
            if telling is not None:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
        before = slots.NEEDED.set(machines)
        try:
            await slots.require_hope(host, carried)
            yield
        finally:
            slots.NEEDED.reset(before)


async def _tell(host: Host, progress: Progress) -> None:
    """Say who has the turn, again and again."""
    wait_us = SAY_AFTER_US
    while True:
        await pause(wait_us)
        wait_us = slots.SAY_EVERY_US
        with contextlib.suppress(VmError):  # who waits for the turn hears of it as well, and ends
            who = [one.text() for name, one in (await lease.holders(host)).values() if name == LOCK]
            progress(
                f"waiting for our turn to take machines on {host.info.name}; it is another case's: "
                f"{'; '.join(who) or 'just given back'}"
            )
