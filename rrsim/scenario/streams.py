"""Named, seeded streams of numbers: every duration that a run leaves open is a pure function of (seed, side, name,
count).

Value number *k* of the stream called ``name`` depends on nothing else: asking one stream more or less often never
disturbs another one, so a plan can be edited and shrunk without changing the rest of the run. Streams start at their
first draw; creating a :class:`Streams` does no work per known name.

The generator is counter-based: a Weyl sequence per stream through SplitMix64's mixing function. Names become 64-bit
numbers by blake2b, never by ``hash()``, so runs are the same in every process.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Final

Table = Mapping[str, tuple[int, int]]
"""Name of a draw to its lowest and highest value, in microseconds."""

_MASK: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = 0xBF58476D1CE4E5B9
_MIX_2: Final = 0x94D049BB133111EB
_SIDE: Final = 0xD1342543DE82EF95

_IDS: dict[str, int] = {}
NOTHING: Final[Mapping[str, int]] = MappingProxyType({})
"""No duration is fixed by hand."""


class UnknownDraw(ValueError):
    """There is no draw of this name."""


class BadDraw(ValueError):
    """A draw's range, or a value fixed by hand, is not a possible duration."""


def check_fixed(fixed: Mapping[str, int], table: Table) -> None:
    """Check durations fixed by hand before a run.

    Raises:
        UnknownDraw: no draw has that name; the message lists close ones.
        BadDraw: a negative value.
    """
    for name, value in fixed.items():
        if name not in table:
            raise UnknownDraw(unknown(name, table))
        if value < 0:
            raise BadDraw(f"draw {name!r}: expected a duration of 0 or more, saw {value}; remove the sign")


def unknown(name: str, table: Table) -> str:
    """Return the message for a name that no draw has."""
    close = difflib.get_close_matches(name, table, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(map(repr, close))}?" if close else "docs/scenarios.md lists the names"
    return f"expected the name of a draw, saw {name!r}; {hint}"


def mix(value: int) -> int:
    """Return SplitMix64's mix of a number: 64 bits that look independent of those of its neighbours."""
    value &= _MASK
    value = (value ^ (value >> 30)) * _MIX_1 & _MASK
    value = (value ^ (value >> 27)) * _MIX_2 & _MASK
    return value ^ (value >> 31)


def name_id(name: str) -> int:
    """Return the stable 64-bit number of a stream's name."""
    found = _IDS.get(name)
    if found is None:
        found = _IDS[name] = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    return found


class Streams:
    """The streams of one customer in one run. Values are whole numbers, uniform between lowest and highest, both
    included; what is fixed by hand is always that value."""

    __slots__ = ("_fixed", "_seed", "_side", "_streams", "_table")

    def __init__(
        self, seed: int, fixed: Mapping[str, int] = NOTHING, side: int = 1, table: Table = MappingProxyType({})
    ) -> None:
        """Start with a seed. ``side`` is the customer's number: each has its own streams; ``table`` lists the names."""
        self._seed = seed
        self._side = side
        self._fixed = fixed
        self._table = table
        self._streams: dict[str, list[int]] = {}

    def draw(self, name: str) -> int:
        """Return the next value of a stream.

        Raises:
            UnknownDraw: no draw has that name; the message lists close ones.
        """
        stream = self._streams.get(name)
        if stream is None:
            stream = self._open(name)
        span = stream[2]
        if span == 1:
            return stream[1]
        stream[0] = z = stream[0] + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        z = (z ^ z >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        return stream[1] + ((z ^ z >> 31) * span >> 64)

    def _open(self, name: str) -> list[int]:
        value = self._fixed.get(name)
        if value is not None:
            lo = hi = int(value)
        else:
            bounds = self._table.get(name)
            if bounds is None:
                raise UnknownDraw(unknown(name, self._table))
            lo, hi = bounds
        start = mix(mix(self._seed + self._side * _SIDE) ^ name_id(name))
        stream = self._streams[name] = [start, lo, hi - lo + 1]
        return stream
