"""The guest's clocks, read in one place."""

from __future__ import annotations

import time


def monotonic_us() -> int:
    """Return monotonic time in microseconds since the guest's boot."""
    return time.monotonic_ns() // 1000  # noqa: TID251 -- this module reads the guest's clocks


def wall_us() -> int:
    """Return the time of day as microseconds since 1970."""
    return time.time_ns() // 1000  # noqa: TID251 -- this module reads the guest's clocks


def set_wall_us(wall_us: int) -> None:
    """Set the time of day.

    Raises:
        OSError: not allowed.
    """
    time.clock_settime_ns(time.CLOCK_REALTIME, wall_us * 1000)
