"""The real clocks and the real chance, for everything that runs outside virtual time.

Live shells (session server, agent, machines) read time and draw secrets here and nowhere else; pure modules get both
with their inputs. Monotonic time and wall time are different things with different names.
"""

from __future__ import annotations

import secrets
import sys
import time
from datetime import UTC, datetime

__all__ = ["boot_time_us", "draw_eighth", "fresh_secret", "monotonic_us", "wall_time", "wall_time_us"]


def monotonic_us() -> int:
    """Return monotonic time in microseconds; comparable between processes of one boot of the host."""
    return time.monotonic_ns() // 1000


def boot_time_us() -> int:
    """Return time since the host was booted, suspend included, in microseconds (what a kept deadline is measured
    in)."""
    now_ns = time.monotonic_ns()
    if sys.platform == "linux":
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return now_ns // 1000


def wall_time() -> datetime:
    """Return the time of day in UTC. Never use it to measure how long something took."""
    return datetime.now(UTC)


def wall_time_us() -> int:
    """Return the time of day as microseconds since 1970."""
    return time.time_ns() // 1000


def fresh_secret() -> str:
    """Return 32 random bytes as hexadecimal digits: a ``fresh`` string for a core, or a password for a run."""
    return secrets.token_hex(32)


def draw_eighth() -> int:
    """Return a number from 0 to 7: the spread of an agent's retries."""
    return secrets.randbelow(8)
