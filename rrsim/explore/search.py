"""Breadth-first search over a model's composed states: every one of them, each once, with the shortest way to it.

A search says *passed* only if it has seen every state within the bounds, nothing was broken, and every situation that
must occur did occur. When a limit on states or memory is reached it stops cleanly and says *incomplete*. Nothing here
is random, and nothing depends on hashes: states are compared, not fingerprinted.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any, Final, Literal

import msgspec

from rrsim.agent.core import AgentError
from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.explore.model import Model
from rrsim.explore.monitor import Broken, Reached
from rrsim.explore.moves import Move
from rrsim.explore.world import State, World
from rrsim.server.core import SessionError

Outcome = Literal["passed", "failed", "incomplete"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Where a search stops although it is not done."""

    states: int = 2_000_000
    memory_bytes: int = 2_000_000_000
    """Of the search's own tables, as :func:`sys.getsizeof` counts them."""
    violations: int = 5
    """Different violations that are followed to a trace before the search stops."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One broken invariant, and the shortest way to it."""

    invariant: str
    message: str
    depth: int
    """Moves from the start."""
    trace: tuple[str, ...]
    """Each move, and indented under it what followed at the same instant."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a search has covered and found."""

    model: str
    complete: bool
    """Every state within the bounds was seen. Beyond a violation nothing is explored."""
    why_not: str = ""
    """Why it is not complete."""
    states: int
    transitions: int
    depth: int
    """The longest of the shortest ways to a state, in moves."""
    ends: int
    """States after which nothing can happen any more."""
    violations: tuple[Violation, ...] = ()
    reached: dict[str, int]
    """How many transitions led into each situation."""
    never: tuple[str, ...] = ()
    """Situations that must occur and did not."""
    parts: dict[str, int]
    """Distinct states of each part."""
    bytes_per_state: int
    """Of the search's own tables."""

    @property
    def outcome(self) -> Outcome:
        """A violation fails a search however far it came; what never occurred fails only a complete one."""
        if self.violations or (self.complete and self.never):
            return "failed"
        return "passed" if self.complete else "incomplete"


_LOOK_EVERY: Final = 1_024
"""States between two looks at the memory."""


class _Search:
    """What a running search knows."""

    __slots__ = (
        "broken", "ends", "levels", "limits", "parents", "reached", "seen", "states", "transitions", "ways", "world",
    )  # fmt: skip

    def __init__(self, world: World, limits: Limits) -> None:
        self.world = world
        self.limits = limits
        self.seen: dict[State, None] = {world.start: None}
        self.states: list[State] = [world.start]
        self.parents = array("q", [-1])
        self.ways = array("h", [-1])
        """Which of its parent's moves led to a state first."""
        self.levels = array("l", [0])
        self.transitions = 0
        self.ends = 0
        self.reached: dict[str, int] = {}
        self.broken: dict[tuple[str, str], Violation] = {}

    def memory_bytes(self) -> int:
        """Size of the tables: the numbers in a state are shared with the parts' tables and cost nothing more."""
        own = (self.seen, self.states, self.parents, self.ways, self.levels)
        return sum(map(sys.getsizeof, own)) + len(self.states) * sys.getsizeof(self.world.start)

    def why_stop(self, at: int) -> str:
        """Return which limit is reached, or nothing."""
        if len(self.states) > self.limits.states:
            return f"more than {self.limits.states} states; raise the limit or narrow the bounds"
        if at % _LOOK_EVERY == 0 and self.memory_bytes() > self.limits.memory_bytes:
            return f"more than {self.limits.memory_bytes} bytes of memory; raise the limit or narrow the bounds"
        if len(self.broken) >= self.limits.violations:
            return f"{len(self.broken)} violations were found; mend them first"
        return ""

    def expand(self, at: int) -> None:
        """Try every move from one state."""
        world, state = self.world, self.states[at]
        due = world.due(state)
        wrong = [] if due else world.wrong_when_quiet(state)
        if wrong:
            self.note(at, None, wrong)
            return
        moves = due + world.more(state, quiet=not due)
        self.ends += not moves
        for way, move in enumerate(moves):
            self.transitions += 1
            try:
                after, said = world.fire(state, move)
            except (AgentError, SessionError) as error:
                self.note(at, move, [Broken("legal input", f"{type(error).__name__}: {error}")])
                continue
            if said and self.hear(at, move, said):
                continue
            if after not in self.seen:
                self.seen[after] = None
                self.states.append(after)
                self.parents.append(at)
                self.ways.append(way)
                self.levels.append(self.levels[at] + 1)

    def hear(self, at: int, move: Move, said: list[Any]) -> bool:
        """Take what the monitor said about a move; return whether it broke something."""
        wrong = []
        for what in said:
            if isinstance(what, Reached):
                self.reached[what.what] = self.reached.get(what.what, 0) + 1
            else:
                wrong.append(what)
        if wrong:
            self.note(at, move, wrong)
        return bool(wrong)

    def note(self, at: int, move: Move | None, wrong: list[Broken]) -> None:
        """Keep the first, and so the shortest, way to each violation."""
        for broken in wrong:
            key = (broken.invariant, broken.message)
            if broken.invariant in self.world.model.invariants and key not in self.broken:
                self.broken[key] = Violation(
                    invariant=broken.invariant, message=broken.message, depth=self.levels[at] + (move is not None),
                    trace=tuple(self.trace(at, move)),
                )  # fmt: skip

    def trace(self, at: int, last: Move | None) -> list[str]:
        """Walk the parent links back to the start, and the moves forward again, writing down what happens."""
        ways = []
        while at:
            ways.append(self.ways[at])
            at = self.parents[at]
        state = self.world.start
        lines: list[str] = []
        for way in reversed(ways):
            state, _ = self.world.fire(state, self.world.moves(state)[way], lines)
        if last is not None:
            try:
                self.world.fire(state, last, lines)
            except (AgentError, SessionError) as error:
                lines.append(f"    {type(error).__name__}: {error}")
        return lines


def run(model: Model, steps: Parts = REAL, limits: Limits | None = None) -> Report:
    """Search a model breadth first and say what was covered and found.

    ``steps`` replaces single parts, so that deliberate bugs can be searched for.

    Raises:
        ModelError: the model checks nothing or explores nothing.
        QueueFull: more messages were on their way than the model allows.
    """
    search = _Search(World(model, steps), limits or Limits())
    at, why_not = 0, ""
    while at < len(search.states) and not why_not:
        search.expand(at)
        at += 1
        why_not = search.why_stop(at)
    complete = at == len(search.states)
    return Report(
        model=model.name,
        complete=complete,
        why_not="" if complete else why_not,
        states=len(search.states),
        transitions=search.transitions,
        depth=max(search.levels),
        ends=search.ends,
        violations=tuple(search.broken.values()),
        reached=dict(sorted(search.reached.items())),
        never=tuple(name for name in model.must_reach if name not in search.reached),
        parts=search.world.sizes(),
        bytes_per_state=search.memory_bytes() // len(search.states),
    )
