"""What the hypervisor tells about a machine, as typed events, and how the reset bursts of a BIOS become one.

SeaBIOS resets the machine two or three times within a tenth of a second for one reset, UEFI once. The first event of a
burst says who asked: a reset from outside begins with ``guest: false`` and goes on with ``guest: true``.
"""

from __future__ import annotations

from typing import Final

import msgspec

BURST_US: Final = 1_000_000
"""Resets closer together than this belong to one restart."""
BURST_MAX_US: Final = 3_000_000
"""A burst never lasts longer than this: a machine that resets without end is seen as such."""

REASONS: Final = {
    "guest-reset": "guest reset", "host-qmp-system-reset": "host reset", "guest-shutdown": "guest shutdown",
    "host-qmp-quit": "power cut", "host-signal": "power cut", "guest-panic": "guest panic",
    "subsystem-reset": "guest reset",
}
"""QEMU's reasons in the words of :class:`rrsim.machine.identity.BootIdentity`."""


class Event(msgspec.Struct, frozen=True, tag=True):
    """Base of the events of a machine."""

    at_us: int
    """Monotonic time at which the event arrived, in microseconds."""


class Started(Event, frozen=True, tag=True):
    """The machine was switched on, or restored from a kept state (``reason`` is ``restored``)."""

    reason: str = "power on"


class Reset(Event, frozen=True, tag=True):
    """The machine was reset: by its guest (a restart), or from outside."""

    guest: bool
    reason: str


class Shutdown(Event, frozen=True, tag=True):
    """The guest switched itself off, or was asked to."""

    reason: str


class Stopped(Event, frozen=True, tag=True):
    """The machine no longer runs."""

    reason: str


class Crashed(Event, frozen=True, tag=True):
    """The hypervisor or the guest crashed."""

    reason: str


class Suspended(Event, frozen=True, tag=True):
    """The machine was halted; ``reason`` ``disk full`` or ``disk error`` when its disk did it."""

    reason: str


class Resumed(Event, frozen=True, tag=True):
    """The machine goes on."""


class GuestAgent(Event, frozen=True, tag=True):
    """The QEMU guest agent opened or closed its port."""

    connected: bool


class Gap(Event, frozen=True, tag=True):
    """The connection to the host broke and came back: what happened in between was not seen."""


AnyEvent = Started | Reset | Shutdown | Stopped | Crashed | Suspended | Resumed | GuestAgent | Gap


class Bursts:
    """Finds the first reset of each burst."""

    def __init__(self) -> None:
        """Have seen none."""
        self._first_us = self._last_us = -BURST_MAX_US

    def is_new(self, at_us: int) -> bool:
        """Whether a reset at this monotonic time begins a new burst."""
        new = at_us - self._last_us >= BURST_US or at_us - self._first_us >= BURST_MAX_US
        if new:
            self._first_us = at_us
        self._last_us = at_us
        return new

    def forget(self) -> None:
        """Let the next reset count, whenever it comes: the machine was switched off in between."""
        self._first_us = self._last_us = -BURST_MAX_US


def reason_of(qemu: str) -> str:
    """Return QEMU's reason in our words; one we do not know stays as it is."""
    return REASONS.get(qemu, qemu)


def text(event: AnyEvent) -> str:
    """Return an event in a few words, for errors and logs."""
    match event:
        case Reset(reason=reason):
            return f"reset ({reason})"
        case GuestAgent(connected=connected):
            return f"guest agent {'connected' if connected else 'disconnected'}"
        case Resumed():
            return "resumed"
        case Gap():
            return "connection to the host broke and came back"
        case _:
            return f"{type(event).__name__.lower()} ({event.reason})"
