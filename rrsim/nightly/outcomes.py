"""What one night knows of one run, and what a case came to in a night. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from rrsim.scenario.result import Outcome

Status = Literal["passed", "failed", "error", "unknown", "known", "skipped", "flaky", "absent"]
MARKS: Final[dict[Status, str]] = {
    "passed": ".", "failed": "F", "error": "E", "unknown": "?", "known": "k", "skipped": "s", "flaky": "~",
    "absent": " ",
}
"""One sign for what a case came to in a night."""
BAD: Final[frozenset[str]] = frozenset({"failed", "error", "unknown"})
"""Outcomes that fail a night: not knowing is never a pass."""
_ORDER: Final[tuple[Outcome, ...]] = ("failed", "error", "unknown", "known", "passed", "skipped")
SIMULATOR: Final = "sim"
TESTS: Final = "tests"
"""What stands in the place of a backend for the results of other tools."""


class Run(msgspec.Struct, frozen=True):
    """One run of one case."""

    case: str
    backend: str
    outcome: Outcome
    seconds: float | None = None
    """How long it took; nothing if that is not known."""
    seed: int = 0


class Problem(msgspec.Struct, frozen=True):
    """A result file, or a part of one, that cannot be used."""

    path: str
    line: int
    """Where in the file, from 1; 0 if it is about the whole file."""
    message: str

    def __str__(self) -> str:
        """Return it as it is printed."""
        return f"{self.path}:{self.line}: {self.message}"


class Night(msgspec.Struct, frozen=True):
    """One kept night."""

    name: str
    """Name of its folder: a date, with a number if there were several on it."""
    runs: tuple[Run, ...]
    exit_code: int | None = None
    """What the night came to; nothing if it never ended, or was not kept by rrsim."""
    problems: tuple[Problem, ...] = ()


def status_of(runs: Iterable[Run]) -> Status:
    """Return what one case on one backend came to in one night.

    It was flaky if it passed and did not pass under the same circumstances: on the simulator that is the same seed, on
    real machines, where a seed decides little, any two runs of the night. A second try that passes changes nothing but
    the word.
    """
    groups: dict[int, set[str]] = {}
    seen: set[str] = set()
    for run in runs:
        groups.setdefault(run.seed if run.backend == SIMULATOR else 0, set()).add(run.outcome)
        seen.add(run.outcome)
    if any("passed" in group and group & BAD for group in groups.values()):
        return "flaky"
    return next((outcome for outcome in _ORDER if outcome in seen), "absent")
