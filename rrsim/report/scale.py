"""A time axis for pictures: busy seconds get room, idle minutes are squeezed, and the squeeze is marked.

A restart has three clicks within a second and then ten silent minutes. A straight axis shows one or the other. This
one is straight between neighbouring moments, but a long gap grows only with its logarithm; gaps that were squeezed
are drawn as a break with the true duration written in it.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable
from typing import Final

import msgspec

STRAIGHT_S: Final = 4.0
"""Gaps up to this long keep their proportion."""
LEAST: Final = 0.22
"""Room for any gap at all, in seconds' worth of width: moments milliseconds apart can still be told apart."""
BREAK_S: Final = 20.0
"""Squeezed gaps at least this long are marked as a break."""


class Break(msgspec.Struct, frozen=True, gc=False):
    """A squeezed stretch of the axis."""

    x0: float
    x1: float
    us: int


class Scale(msgspec.Struct, frozen=True):
    """A monotone map from microseconds to the axis; build it with :func:`build`."""

    times: tuple[int, ...]
    xs: tuple[float, ...]

    def x(self, us: int) -> float:
        """Return the place of an instant; instants outside the axis land on its ends."""
        at = bisect.bisect_right(self.times, us)
        if at == 0:
            return self.xs[0]
        if at == len(self.times):
            return self.xs[-1]
        t0, t1 = self.times[at - 1], self.times[at]
        x0, x1 = self.xs[at - 1], self.xs[at]
        return x0 + (x1 - x0) * (us - t0) / (t1 - t0)

    def breaks(self) -> list[Break]:
        """Return the stretches that were squeezed enough to be marked."""
        gaps = zip(self.times, self.times[1:], self.xs, self.xs[1:], strict=False)
        return [Break(x0, x1, t1 - t0) for t0, t1, x0, x1 in gaps if t1 - t0 >= BREAK_S * 1e6]


def _room(gap_us: int) -> float:
    seconds = gap_us / 1e6
    if seconds <= STRAIGHT_S:
        return LEAST + seconds
    return LEAST + STRAIGHT_S * (1 + math.log(seconds / STRAIGHT_S))


def build(moments: Iterable[int], x0: float, x1: float) -> Scale:
    """Lay out the moments between two places. One moment alone stands at the left end."""
    times = sorted(set(moments)) or [0]
    if len(times) == 1:
        return Scale((times[0], times[0] + 1), (x0, x1))
    rooms = [_room(b - a) for a, b in itertools.pairwise(times)]
    total, xs, used = sum(rooms), [x0], 0.0
    for room in rooms:
        used += room
        xs.append(x0 + (x1 - x0) * used / total)
    return Scale(tuple(times), tuple(xs))
