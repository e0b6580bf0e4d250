"""Boot identity: the proof that a machine booted anew, from several witnesses that are compared (rule 9).

Rules, learnt from harnesses that probed ports or trusted one time stamp:

1. Identity is read *before* the restart. If it cannot be read, that is an error and the run refuses to start.
2. A witness that cannot be read afterwards abstains; none is ever guessed.
3. Two witnesses must agree, at least one of them inside the machine. Witnesses that disagree are an outcome of their
   own that lists all of them.
4. Readiness is another question (:mod:`rrsim.machine.stages`).

Which witness is weak where: the mark (a volatile registry key) and the kernel's boot time stay the same over fast
startup, and rightly so; the boot time moves when the wall clock is corrected, hence its tolerance; the host sees a
power-on and cannot tell fast startup from a boot, so that host reason abstains; the agent's counter stands still while
its service is not started anew.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Vote = Literal["new", "same", "silent"]

WITNESSES_NEEDED: Final = 2
UNDECIDED_REASONS: Final = ("power on",)
"""Host reasons that fast startup, wake-up and a cold boot have in common."""


class BeforeUnreadable(ValueError):
    """The identity before the restart has too few readable witnesses: the run must not start."""


class TooFewWitnesses(ValueError):
    """Too few witnesses could be read afterwards: wait and read again, or report ``unknown``."""


class _Word(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Base of the values in this file."""


class BootIdentity(_Word, frozen=True):
    """What the witnesses say about the running boot. ``None``: this witness could not be read."""

    mark: str | None = None
    """Random value in a volatile key, written once a boot; or the kernel's own boot id."""
    boot_time_us: int | None = None
    """When the kernel started, by its own clock, in microseconds since an epoch that both readings share."""
    tolerance_us: int = 1_000_000
    """How far two readings of the same boot time may lie apart (drift on virtual machines, time synchronisation)."""
    host_resets: int | None = None
    """How often the host has seen this machine reset or switched on."""
    host_reason: str = ""
    """Why the host saw the last one: ``guest reset``, ``host reset``, ``power on`` …"""
    agent_boots: int | None = None
    """The agent's own counter of service starts in new boots. Never enough by itself."""


class Same(_Word, frozen=True):
    """The same boot is still running: a restart is pending, blocked or cancelled, or it was fast startup."""

    witnesses: tuple[str, ...]


class New(_Word, frozen=True):
    """A new boot is running."""

    witnesses: tuple[str, ...]


class Disagree(_Word, frozen=True):
    """The witnesses contradict each other: nothing may be concluded."""

    new: tuple[str, ...]
    same: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"witnesses disagree about a new boot: {', '.join(self.new)} say new, {', '.join(self.same)} say same; "
            "look at the event log (12, 41, 1074) and at the host's reset reason"
        )


def compare(before: BootIdentity, after: BootIdentity) -> Same | New | Disagree:
    """Return whether ``after`` was read in a new boot.

    Raises:
        BeforeUnreadable: ``before`` lacks a second witness, or one inside the machine.
        TooFewWitnesses: fewer than two witnesses, or none inside the machine, could be read both times.
    """
    require_readable(before)
    votes = {
        "mark": _differs(before.mark, after.mark),
        "kernel boot time": _boot_time(before, after),
        "host": _host(before, after),
        "agent counter": _counter(before.agent_boots, after.agent_boots),
    }
    new = tuple(name for name, vote in votes.items() if vote == "new")
    same = tuple(name for name, vote in votes.items() if vote == "same")
    if new and same:
        return Disagree(new, same)
    spoke = new or same
    if len(spoke) < WITNESSES_NEEDED or not _inside(spoke):
        raise TooFewWitnesses(
            f"two witnesses are needed, one of them the mark or the kernel boot time; only "
            f"{', '.join(spoke) or 'none'} could be compared; wait for the machine to answer and read again"
        )
    return New(new) if new else Same(same)


def require_readable(before: BootIdentity) -> None:
    """Check that ``before`` can prove anything later; call it before the restart.

    Raises:
        BeforeUnreadable: it cannot; the message names what was read.
    """
    read = tuple(
        name
        for name, value in (
            ("mark", before.mark), ("kernel boot time", before.boot_time_us), ("host", before.host_resets),
            ("agent counter", before.agent_boots),
        )
        if value is not None
    )
    if len(read) < WITNESSES_NEEDED or not _inside(read):
        raise BeforeUnreadable(
            f"the boot identity before the restart needs two witnesses, one of them the mark or the kernel boot time; "
            f"read: {', '.join(read) or 'none'}; repair the remote shell or the host's event source, then start again"
        )


def _inside(names: tuple[str, ...]) -> bool:
    """Whether a witness inside the machine, other than the agent itself, is among them (the accused is no witness)."""
    return "mark" in names or "kernel boot time" in names


def _differs(before: str | None, after: str | None) -> Vote:
    if before is None or after is None:
        return "silent"
    return "same" if before == after else "new"


def _boot_time(before: BootIdentity, after: BootIdentity) -> Vote:
    if before.boot_time_us is None or after.boot_time_us is None:
        return "silent"
    apart = abs(after.boot_time_us - before.boot_time_us)
    return "same" if apart <= max(before.tolerance_us, after.tolerance_us) else "new"


def _host(before: BootIdentity, after: BootIdentity) -> Vote:
    if before.host_resets is None or after.host_resets is None:
        return "silent"
    if after.host_resets == before.host_resets:
        return "same"
    return "silent" if after.host_reason in UNDECIDED_REASONS else "new"


def _counter(before: int | None, after: int | None) -> Vote:
    """A counter that went back was reset or lost: it says nothing."""
    if before is None or after is None or after < before:
        return "silent"
    return "same" if after == before else "new"
