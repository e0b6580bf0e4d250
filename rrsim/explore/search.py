"""Breadth-first search over a model's composed states: every one of them, each once, with the shortest way to it.

A search says *passed* only if it has seen every state within the bounds, nothing was broken, every situation that must
occur did occur, and from every state something due leads to an end (I9). When a limit is reached, or somebody stops it,
it ends cleanly and says *incomplete*: never a pass. Nothing here is random, and nothing depends on built-in hashes.
"""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.explore.memory import resident_bytes
from rrsim.explore.model import Model
from rrsim.explore.monitor import Broken, Reached
from rrsim.explore.moves import Move
from rrsim.explore.packing import BITS
from rrsim.explore.report import Limits, Outcome, Progress, Report, Violation
from rrsim.explore.stores import Exact, Prints
from rrsim.explore.ways import REFUSES, Cell, Ways
from rrsim.explore.world import World

__all__ = ["Limits", "Outcome", "Progress", "Report", "Search", "Violation", "run"]

Watcher = Callable[[Progress], str]
"""Told how far a search has come; returns why it is to stop, or nothing."""

_CHUNK: Final = 2_048
"""States between two looks at limits, memory and whoever watches."""
_LOOKED_AT: Final = 200_000
"""Most states through which a way to an end is sought from one state that seems to have none."""


class Search:
    """A search of one model, from its start or from where an earlier one stopped."""

    def __init__(self, model: Model, steps: Parts = REAL, *, fingerprints: bool = False) -> None:
        """Set the scene; nothing is explored yet.

        Raises:
            ModelError: the model checks nothing or explores nothing.
        """
        self.world = World(model, steps)
        self.ways = Ways(self.world)
        start = self.world.start
        self.store: Exact | Prints = Prints(start, self.world.fields * BITS) if fingerprints else Exact(start)
        self.layers = [0]
        """Number of the first state at each distance from the start."""
        self.layer_end = 1
        """Number after the last state at the distance that is being expanded."""
        self.transitions = 0
        self.ends = 0
        self.reached: dict[str, int] = {}
        self.broken: dict[tuple[str, str], Violation] = {}
        self.why_not = ""
        self.settled = False
        """From every state something due leads to an end: known only of a complete search."""

    # --- going on -----------------------------------------------------------------------------------------------

    def go(self, limits: Limits | None = None, watcher: Watcher | None = None) -> Report:
        """Explore until everything is seen, a limit is reached, or the watcher says stop; return what came of it."""
        limits = limits or Limits()
        store, collects = self.store, gc.isenabled()
        before_bytes = resident_bytes()
        # Nothing in a search is garbage before its end, and a collector that looks at it costs time and finds nothing.
        gc.disable()
        try:
            self.why_not = self._why_stop(limits, watcher)
            while store.at < len(store) and not self.why_not:
                store.expand(self, min(store.at + _CHUNK, self.layer_end))
                if store.at == self.layer_end < len(store):
                    self.layers.append(self.layer_end)
                    self.layer_end = len(store)
                self.why_not = self._why_stop(limits, watcher)
            grown_bytes = resident_bytes() - before_bytes
            report = self.report(grown_bytes)
            if report.complete and not self.broken:
                self.settle()
                report = self.report(grown_bytes, report.bytes_per_state)
        finally:
            if collects:
                gc.enable()
        return report

    def _why_stop(self, limits: Limits, watcher: Watcher | None) -> str:
        """Return which limit is reached, or what the watcher says."""
        if len(self.store) > limits.states:
            return f"more than {limits.states} states; raise the limit or narrow the bounds"
        resident = resident_bytes()
        if resident + self.store.soon_bytes() > limits.memory_bytes:
            return f"more than {limits.memory_bytes} bytes of memory; raise the limit or narrow the bounds"
        if len(self.broken) >= limits.violations:
            return f"{len(self.broken)} violations were found; mend them first"
        return watcher(self.progress(resident)) if watcher else ""

    def progress(self, memory_bytes: int) -> Progress:
        """Return how far the search has come."""
        return Progress(
            states=len(self.store), transitions=self.transitions, depth=len(self.layers) - 1,
            frontier=len(self.store) - self.store.at, memory_bytes=memory_bytes,
        )

    # --- one state ----------------------------------------------------------------------------------------------

    def quiet(self, at: int, state: int) -> tuple[Cell, ...]:
        """Judge a state in which nothing is due, and return the ways out of it; none if it is wrong or an end."""
        wrong = self.world.wrong_when_quiet(state)
        if wrong:
            self.note(at, None, wrong)
            return ()
        cells = self.ways.when_quiet(state)
        self.ends += not cells
        return cells

    def loud(self, at: int, move: Move, on_watch: Any, number: int) -> int | None:
        """Return what the monitor makes of a move about which it says something, and count what is reached; None: the
        move breaks something."""
        difference, said = self.ways.said(on_watch, number)
        wrong = []
        for what in said:
            if isinstance(what, Reached):
                self.reached[what.what] = self.reached.get(what.what, 0) + 1
            else:
                wrong.append(what)
        if wrong:
            self.note(at, move, wrong)
            return None
        return difference

    def note(self, at: int, move: Move | None, wrong: list[Broken]) -> None:
        """Keep the first, and so the shortest, way to each violation."""
        for broken in wrong:
            key = (broken.invariant, broken.message)
            if broken.invariant in self.world.model.invariants and key not in self.broken:
                way = (*self.path(at)[0], *(() if move is None else (move,)))
                self.broken[key] = Violation(
                    invariant=broken.invariant, message=broken.message, depth=self.depth(at) + (move is not None),
                    trace=tuple(self.trace(way)), way=way,
                )

    def depth(self, number: int) -> int:
        """Return how many moves the state with this number is from the start."""
        return bisect_right(self.layers, number) - 1

    # --- ways back ----------------------------------------------------------------------------------------------

    def path(self, number: int) -> tuple[list[Move], int]:
        """Return the moves that first led to a state, and the state."""
        store, wanted = self.store, []
        while number:
            wanted.append(store.identity(number))
            number = store.parents[number]
        state, path = self.world.start, []
        for identity in reversed(wanted):
            for cell in self.ways.all(state):
                after = self.ways.follow(state, cell)
                if after is not None and store.identify(after) == identity:
                    path.append(cell[-1])
                    state = after
                    break
            else:
                raise AssertionError("expected a way from a state's parent to it; the steps are not pure functions")
        return path, state

    def trace(self, way: Sequence[Move]) -> list[str]:
        """Go a way again, and write down what happens."""
        state, lines = self.world.start, list[str]()
        for move in way:
            try:
                state, _ = self.world.fire(state, move, lines)
            except REFUSES as error:  # only the last move of a way is one that a core refuses
                lines.append(f"    {type(error).__name__}: {error}")
        return lines

    # --- liveness -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Judge liveness (I9) on the explored graph, once everything is seen and nothing is broken.

        Every end was judged when it was met. What is left are behaviours that never come to one: from each state some
        sequence of due events has to lead to an end. Every due event happens in the end, so a cycle that can be left
        is left, and one that cannot keeps a restart undecided for ever.
        """
        if "I9" not in self.world.model.invariants:
            return
        for number in self.store.stuck(self):
            _, state = self.path(number)
            if not self._comes_to_an_end(state):
                what = "expected every due event to lead on to an end; seen: a cycle without a way out"
                self.note(number, None, [Broken("I9", what)])
                return
        self.settled = True

    def _comes_to_an_end(self, state: int) -> bool:
        """Whether some sequence of due events leads from here to a state in which nothing is due."""
        met, line = {state}, [state]
        for now in line:
            cells = self.ways.due(now)
            if not cells:
                return True
            for cell in cells:
                after = self.ways.follow(now, cell)
                if after is not None and after not in met:
                    met.add(after)
                    line.append(after)
            if len(met) > _LOOKED_AT:
                break
        return False

    # --- what came of it ----------------------------------------------------------------------------------------

    def report(self, grown_bytes: int = 0, bytes_per_state: int = 0) -> Report:
        """Return what the search has covered and found so far."""
        store, count = self.store, len(self.store)
        complete = store.at == count
        return Report(
            model=self.world.model.name,
            kept=store.name,
            complete=complete,
            settled=self.settled,
            why_not="" if complete else self.why_not,
            states=count,
            expanded=store.at,
            transitions=self.transitions,
            depth=self.depth(count - 1) if count <= self.layer_end else len(self.layers),
            whole_depth=len(self.layers) - 1 if complete else len(self.layers) - 2,
            ends=self.ends,
            violations=tuple(self.broken.values()),
            reached=dict(sorted(self.reached.items())),
            never=tuple(name for name in self.world.model.must_reach if name not in self.reached),
            parts=self.world.sizes(),
            learned=self.ways.learned,
            bytes_per_state=bytes_per_state or store.size_bytes() // count,
            grown_bytes=grown_bytes,
        )


def run(
    model: Model, steps: Parts = REAL, limits: Limits | None = None, watcher: Watcher | None = None, *,
    fingerprints: bool = False,
) -> Report:
    """Search a model breadth first and say what was covered and found.

    ``steps`` replaces single parts, so that deliberate bugs can be searched for.

    Raises:
        ModelError: the model checks nothing or explores nothing.
        QueueFull: more messages were on their way than the model allows.
        TooManyStates: a part has more states than can be numbered.
    """
    return Search(model, steps, fingerprints=fingerprints).go(limits, watcher)
