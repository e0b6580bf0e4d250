"""The command line's only look at real time and real randomness; nothing of it reaches a simulated run."""

from __future__ import annotations

import datetime
import secrets
import time


def today() -> datetime.date:
    """Return today's date, for the expiry of known issues."""
    return datetime.datetime.now().astimezone().date()


def now_text() -> str:
    """Return the wall time for report headings, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def elapsed_s() -> float:
    """Return monotonic seconds, for progress and durations."""
    return time.perf_counter()


def random_seed() -> int:
    """Draw a seed for ``--seed random``; it is printed so that the run can be repeated."""
    return secrets.randbelow(2**31)
