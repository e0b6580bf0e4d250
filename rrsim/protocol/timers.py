"""Timers as effects and inputs: cores have no clock, they ask for a timer and hear that it fired.

Both cores share these three structs; whoever drives a core turns them into real or virtual time.
"""

from __future__ import annotations

import msgspec


class SetTimer(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag="set timer"):
    """Call :class:`TimerFired` with this name in ``after_us`` microseconds; replaces one of the same name.

    ``durable`` timers survive a crash of the process: the driver keeps the deadline beside the journal.
    """

    name: str
    after_us: int
    durable: bool = False


class CancelTimer(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag="cancel timer"):
    """Forget the timer of this name; harmless if there is none."""

    name: str


class TimerFired(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag="timer fired"):
    """The time asked for with :class:`SetTimer` has passed."""

    name: str
