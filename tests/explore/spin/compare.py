"""The same bounds for both: what the search finds, what SPIN finds, and whether it is the same.

``python -m tests.explore.spin.compare [NAME …]`` compares every configuration, or those named, the large ones too.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from msgspec.structs import replace

from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.explore.model import Budget, Model
from rrsim.explore.models import MODELS
from rrsim.explore.moves import Move
from rrsim.explore.ways import Ways
from rrsim.explore.world import World
from rrsim.protocol.settings import Account
from tests.explore.spin.oracle import Verifier
from tests.explore.spin.projection import details, name, project


class Configuration(NamedTuple):
    """One set of bounds, in the words of both."""

    model: Model
    bounds: dict[str, int]


def _plain(account: Account | None = None, faults: int = 0, **kinds: int) -> Model:
    """Return application mode with one restart, and nothing beside that the oracle does not know."""
    return replace(
        MODELS["application"], account=account or Account(), sharing=False, must_reach=(),
        budget=Budget(asks=1, faults=faults, **kinds),
    )  # fmt: skip


_ASKED_FIRST: Final = Account(ask_before_restart=True)
_INTO_SAFE_MODE: Final = replace(MODELS["safe-mode"], boot_modes=("safe",), must_reach=())
CONFIGURATIONS: Final[dict[str, Configuration]] = {
    "one restart": Configuration(_plain(), {}),
    "the customer is asked": Configuration(_plain(_ASKED_FIRST), {"ASKED_FIRST": 1}),
    "a Mac": Configuration(replace(_plain(), platform="mac"), {"MAC": 1}),
    "safe mode forced": Configuration(replace(_plain(), boot_modes=("safe",)), {"NORMAL": 0, "SAFE": 1}),
    "one lost connection": Configuration(_plain(faults=1, losses=1), {"FAULTS": 1, "LOSSES": 1}),
    "start menu": Configuration(_plain(faults=1, foreign=1), {"FAULTS": 1, "FOREIGN": 1}),
    "power cut, crash, death": Configuration(_plain(faults=1, sudden=1), {"FAULTS": 1, "CUTS": 1}),
    "a cancelled reconnect": Configuration(
        _plain(Account(phone_mode=True), faults=1, cancels=1), {"FAULTS": 1, "CANCELS": 1}
    ),
    "`safe-mode`": Configuration(MODELS["safe-mode"], {"SERVICE": 1, "SAFE": 1}),
    "one of all these": Configuration(
        _plain(_ASKED_FIRST, faults=1, losses=1, failures=1, foreign=1, sudden=1),
        {"FAULTS": 1, "LOSSES": 1, "FAILURES": 1, "FOREIGN": 1, "CUTS": 1, "ASKED_FIRST": 1},
    ),
}
"""Compared at every commit."""
LARGE: Final[dict[str, Configuration]] = {
    "safe mode, start menu": Configuration(
        replace(_INTO_SAFE_MODE, budget=Budget(asks=1, faults=1, foreign=1)),
        {"SERVICE": 1, "SAFE": 1, "NORMAL": 0, "FAULTS": 1, "FOREIGN": 1},
    ),
    "safe mode, one lost connection": Configuration(
        replace(_INTO_SAFE_MODE, budget=Budget(asks=1, faults=1, losses=1)),
        {"SERVICE": 1, "SAFE": 1, "NORMAL": 0, "FAULTS": 1, "LOSSES": 1},
    ),
    "two lost connections": Configuration(
        _plain(faults=2, losses=2), {"FAULTS": 2, "LINKS": 5, "LOSSES": 1}
    ),
}
"""Compared by hand: they take half a minute."""


class Ours(NamedTuple):
    """What the search finds: its counts, and its graph in the oracle's words."""

    states: int
    transitions: int
    rows: set[tuple[str, str, str]]
    uneven: list[str]
    """States in the oracle's words that stand for states of the search between which the same moves do not lead to the
    same: then the words would hide something that decides what happens next."""
    explained: dict[str, int]
    """By name of a detail: how many more states there are once it is told apart, after those before it."""

    @property
    def words(self) -> set[str]:
        """All states in the oracle's words."""
        return {state for before, _, after in self.rows for state in (before, after)}


def search(model: Model, steps: Parts = REAL) -> Ours:
    """Go through a model that holds, state by state.

    Raises:
        NoWord: it does something for which the oracle has no word.
    """
    world = World(model, steps)
    ways = Ways(world)
    known = {world.start: project(world, world.start)}
    line, found = [world.start], list[tuple[int, Move, int]]()
    ways_on: dict[str, set[frozenset[tuple[str, str]]]] = {}
    for state in line:
        at = len(found)
        for cell in ways.all(state):
            after = ways.follow(state, cell)
            assert after is not None, "the model must hold"
            found.append((state, cell[-1], after))
            if after not in known:
                known[after] = project(world, after)
                line.append(after)
        on = frozenset((name(move), known[after]) for _, move, after in found[at:])
        ways_on.setdefault(known[state], set()).add(on)
    uneven = sorted(word for word, ons in ways_on.items() if len(ons) > 1)
    assert len({(before, name(move)) for before, move, _ in found}) == len(found), "expected one name for each move"
    rows = {(known[before], name(move), known[after]) for before, move, after in found}
    return Ours(len(line), len(found), rows, uneven, _explained(world, known))


def _explained(world: World, known: dict[int, str]) -> dict[str, int]:
    apart, found = len(set(known.values())), {}
    every = [details(world, state) for state in known]
    told: list[tuple[object, ...]] = [(word,) for word in known.values()]
    for detail in every[0]:
        numbers: dict[tuple[object, ...], int] = {}
        told = [
            (numbers.setdefault((*before, one[detail]), len(numbers)),) for before, one in zip(told, every, strict=True)
        ]
        apart, found[detail] = len(numbers), len(numbers) - apart
    return found


def row(title: str, ours: Ours, states: int, transitions: int) -> str:
    """Return a line of the table in docs/exploration.md."""
    mine = f"{ours.states:,} / {ours.transitions:,}"
    return f"| {title} | {mine} | {len(ours.words):,} / {len(ours.rows):,} | {states:,} / {transitions:,} |"


def main(names: list[str]) -> None:
    """Compare, and print the rows of the table."""
    every = CONFIGURATIONS | LARGE
    for title in names or every:
        ours = search(every[title].model)
        with tempfile.TemporaryDirectory() as folder:
            verifier = Verifier(Path(folder), every[title].bounds | {"TABLE": 1})
            answer = verifier.run()
            same = set(verifier.table()) == ours.rows
        left = ours.states - len(ours.words) - sum(ours.explained.values())
        sys.stdout.write(
            f"{row(title, ours, answer.states, answer.transitions)} {'the same' if same else 'DIFFERENT'}\n"
            f"    {len(ours.uneven)} uneven, {left} states unexplained; told apart by: {_told(ours.explained)}\n"
        )


def _told(explained: dict[str, int]) -> str:
    return "; ".join(f"{detail} {count:,}" for detail, count in explained.items() if count)


if __name__ == "__main__":
    main(sys.argv[1:])
