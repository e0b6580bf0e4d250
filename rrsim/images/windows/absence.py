"""A host that does not answer for a while: waiting for it, because its machine may be hours into an installation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from rrsim.images.windows.machine import HostAway, Time

T = TypeVar("T")
LIMIT_US: Final = 10 * 60_000_000
"""How long a host may stay away: libvirt is restarted, or upgraded, well within it."""
ASK_EVERY_US: Final = 500_000


async def ask(call: Callable[[], T], time: Time, say: Callable[[str], None]) -> tuple[T, int]:
    """Ask a host in a thread, and again for as long as it does not answer.

    ``call`` is something that can be asked twice.

    Returns:
        The answer, and for how long the host was away, in microseconds.

    Raises:
        HostAway: it was away for longer than :data:`LIMIT_US`.
    """
    since_us = time.monotonic_us()
    away = False
    while True:
        try:
            answer = await asyncio.to_thread(call)
        except HostAway as error:
            if time.monotonic_us() - since_us > LIMIT_US:
                raise HostAway(
                    f"expected the host of the machine to answer again within {LIMIT_US // 60_000_000} minutes, saw: "
                    f"{error}; the machine was left as it was: once the host answers, build again, which takes it up"
                ) from error
            if not away:
                say(f"the host does not answer, the machine is left alone: {error}")
            away = True
            await time.pause(ASK_EVERY_US)
            continue
        if away:
            say("the host answers again")
        return answer, time.monotonic_us() - since_us if away else 0
