"""What a search is told, says on its way, and has to show in the end."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

Outcome = Literal["passed", "failed", "incomplete"]

GIGABYTE: Final = 1_000_000_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Where a search stops although it is not done."""

    states: int = 20_000_000
    memory_bytes: int = 4 * GIGABYTE
    """Resident memory of the whole process."""
    violations: int = 5
    """Different violations that are followed to a trace before the search stops."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a search has come."""

    states: int
    transitions: int
    depth: int
    """Moves from the start to the states that are being expanded."""
    frontier: int
    """States that were met and not expanded yet."""
    memory_bytes: int


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One broken invariant, and the shortest way to it."""

    invariant: str
    message: str
    depth: int
    """Moves from the start."""
    trace: tuple[str, ...]
    """Each move, and indented under it what followed at the same instant."""
    way: tuple[Any, ...] = ()
    """The moves themselves (:class:`rrsim.explore.moves.Move`): a scenario can be made of them."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a search has covered and found."""

    model: str
    kept: Literal["exact", "fingerprints"] = "exact"
    """Whole states, or 64 bits of each."""
    complete: bool
    """Every state within the bounds was seen. Beyond a violation nothing is explored."""
    settled: bool = False
    """From every state something due leads to an end (I9). Known only of a complete search without violations."""
    why_not: str = ""
    """Why it is not complete."""
    states: int
    expanded: int = 0
    """States whose ways out were tried; the others were only met."""
    transitions: int
    depth: int
    """The longest of the shortest ways to a state, in moves."""
    whole_depth: int = 0
    """Moves from the start within which every state was expanded."""
    ends: int
    """States after which nothing can happen any more."""
    violations: tuple[Violation, ...] = ()
    reached: dict[str, int]
    """How many transitions led into each situation."""
    never: tuple[str, ...] = ()
    """Situations that must occur and did not."""
    parts: dict[str, int]
    """Distinct states of each part."""
    learned: int = 0
    """Moves that were worked out; all other transitions were remembered."""
    bytes_per_state: int
    """Of the search's own tables, frontier included."""
    grown_bytes: int = 0
    """By how much the process has grown during the search, everything included. Differs from run to run."""

    @property
    def outcome(self) -> Outcome:
        """A violation fails a search however far it came; what never occurred fails only a complete one."""
        if self.violations or (self.complete and self.never):
            return "failed"
        return "passed" if self.complete else "incomplete"
