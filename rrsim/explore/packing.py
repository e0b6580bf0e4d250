"""A composed state as one whole number: twenty bits for each part, in a fixed order.

One number in place of a tuple makes a state small, its comparison exact, and a step an addition: what a move changes in
one part is a difference, whatever the other parts are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

CLIENT, SESSION, NET, WATCH = range(4)
"""The parts of one customer's side, in this order: the PC with the agent on it, the session core, the network between
them, and the monitor. After all sides comes one more part, the bounds."""

ROLES: Final = 4
BITS: Final = 20
FIELD: Final = (1 << BITS) - 1
"""The largest number of a part's state."""


def pack(numbers: Sequence[int]) -> int:
    """Return one number for all parts' numbers, none of which is larger than :data:`FIELD`."""
    packed = 0
    for number in reversed(numbers):
        packed = packed << BITS | number
    return packed


def unpack(state: int, fields: int) -> list[int]:
    """Return the parts' numbers of a composed state."""
    return [state >> BITS * index & FIELD for index in range(fields)]
