"""The named draws of the simulated world, and its streams: how long everything takes that a scenario leaves open.

The streams themselves are :mod:`rrsim.scenario.streams`; here is which names there are, and between which bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rrsim import people
from rrsim.backends.sim import dialup, netstate
from rrsim.backends.sim.pc import draws as pc_draws
from rrsim.scenario import streams
from rrsim.scenario.streams import NOTHING, BadDraw, Streams, Table, UnknownDraw, mix, name_id

__all__ = ["BadDraw", "Draws", "Table", "UnknownDraw", "check_fixed", "known_draws", "mix", "name_id"]

WORLD_DRAWS: Final[dict[str, tuple[int, int]]] = {
    # Not a duration: the share of random spread in an agent's retry, in eighths (host.ConnectFailed.jitter).
    "agent retry jitter": (0, 7),
}

_known: dict[str, tuple[int, int]] = {}


def known_draws() -> Mapping[str, tuple[int, int]]:
    """Return every named draw of the simulated world: name to lowest and highest value (microseconds).

    Raises:
        BadDraw: two parts claim one name.
    """
    if not _known:
        merged: dict[str, tuple[int, int]] = {}
        for table in (WORLD_DRAWS, netstate.DRAWS, dialup.DRAWS, people.DRAWS, pc_draws.DRAWS):
            for name, (lo, hi) in table.items():
                if name in merged:
                    raise BadDraw(f"expected every draw to have one owner, saw {name!r} twice; rename one of them")
                if not 0 <= lo <= hi:
                    raise BadDraw(f"draw {name!r}: expected 0 <= lowest <= highest, saw ({lo}, {hi})")
                merged[name] = (lo, hi)
        _known.update(merged)
    return _known


def check_fixed(fixed: Mapping[str, int], table: Table | None = None) -> None:
    """Check durations fixed by hand before a run; see :func:`rrsim.scenario.streams.check_fixed`."""
    streams.check_fixed(fixed, known_draws() if table is None else table)


class Draws(Streams):
    """Streams over the names of :func:`known_draws`, or of another ``table``."""

    __slots__ = ()

    def __init__(
        self, seed: int, fixed: Mapping[str, int] = NOTHING, side: int = 1, table: Table | None = None
    ) -> None:
        """Start with a seed; see :class:`rrsim.scenario.streams.Streams`."""
        super().__init__(seed, fixed, side, known_draws() if table is None else table)
