"""Choices from a seed: named streams that begin at their first use, so that one more question disturbs no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from rrsim.scenario.streams import mix, name_id

_MASK: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15
_SPACE: Final = "swarm choice "
"""Before every name: the simulator's own draws take the same seed and must not run in step with these."""

T = TypeVar("T")


class Chance:
    """The choices of one seed. Number *k* of the stream called ``name`` depends on nothing but seed, name and *k*."""

    __slots__ = ("_seed", "_streams")

    def __init__(self, seed: int) -> None:
        self._seed = mix(seed)
        self._streams: dict[str, int] = {}

    def bits(self, name: str) -> int:
        """Return the next 64 bits of a stream."""
        state = self._streams.get(name)
        if state is None:
            state = mix(self._seed ^ name_id(_SPACE + name))
        self._streams[name] = state = (state + _GAMMA) & _MASK
        return mix(state)

    def below(self, name: str, count: int) -> int:
        """Return a whole number from 0 to ``count`` - 1."""
        return self.bits(name) * count >> 64

    def one_in(self, name: str, count: int) -> bool:
        """Say yes once in so many times."""
        return self.bits(name) * count >> 64 == 0

    def pick(self, name: str, options: Sequence[T]) -> T:
        """Return one of the options, each as likely as the others."""
        return options[self.bits(name) * len(options) >> 64]

    def some(self, name: str, options: Sequence[T], count: int) -> list[T]:
        """Return so many different options (all, if there are fewer), in the order they were drawn."""
        left = list(options)
        return [left.pop(self.below(name, len(left))) for _ in range(min(count, len(left)))]

    def spread(self, name: str, least: int, most: int) -> int:
        """Return a whole number between two positive bounds, every order of magnitude as likely as the others.

        Only whole numbers are used: logarithms differ in the last place from one C library to the next.
        """
        top = most // max(least, 1)
        doublings = self.below(name, max(top.bit_length(), 1))
        low = least << doublings
        return min(most, low + self.below(name, max(low, 1)))
