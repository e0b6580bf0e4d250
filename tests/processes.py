"""Whether processes of others still run."""

from __future__ import annotations

from pathlib import Path

from rrsim.live_clock import monotonic_us


def ends(pid: int, within_s: float = 10) -> bool:
    """Say whether a process is over within so many seconds: one that was killed takes its time on a busy computer."""
    until_us = monotonic_us() + within_s * 1e6
    while _runs(pid):
        if monotonic_us() > until_us:
            return False
    return True


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
