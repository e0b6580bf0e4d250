"""Which old nights go: by number, then by size, the bundles of failures before the results. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec


class Held(msgspec.Struct, frozen=True):
    """One kept night and what it weighs."""

    name: str
    results_bytes: int
    bundles_bytes: int
    """Of that part which only explains: bundles of failures, pages, logs."""


class Removal(msgspec.Struct, frozen=True):
    """What is to go."""

    name: str
    what: Literal["night", "bundles"]


def removals(nights: Sequence[Held], keep: int, most_bytes: int) -> tuple[Removal, ...]:
    """Return what has to go so that at most so many nights and so many bytes are left. The newest night stays whole.

    Args:
        nights: oldest first.
        keep: how many nights stay, at least 1.
        most_bytes: what they may weigh together.
    """
    old, left = list(nights[:-max(1, keep)]), list(nights[-max(1, keep):])
    gone = [Removal(night.name, "night") for night in old]
    weight = sum(night.results_bytes + night.bundles_bytes for night in left)
    for night in left[:-1]:
        if weight > most_bytes and night.bundles_bytes:
            gone.append(Removal(night.name, "bundles"))
            weight -= night.bundles_bytes
    for night in left[:-1]:
        if weight > most_bytes:
            gone = [one for one in gone if one.name != night.name] + [Removal(night.name, "night")]
            weight -= night.results_bytes
    return tuple(gone)
