"""What a run came to: the result types that every report, the command line and pytest read."""

from __future__ import annotations

from typing import Literal

import msgspec

from rrsim.scenario.history import History
from rrsim.scenario.model import Scenario, VerdictName

Outcome = Literal["passed", "failed", "known", "unknown", "skipped", "error"]
CheckOutcome = Literal["passed", "failed", "unknown"]


class RestartResult(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One restart of one session, and what came of it (requirements, *Verdicts*)."""

    number: int
    """Place among the customer's restarts, from 1."""
    customer: int
    session: str
    kind: Literal["ordered", "foreign"]
    verdict: VerdictName
    name: str = ""
    losses: tuple[str, ...] = ()
    reason: str = ""
    cause: str = ""
    """What brought the PC down, for foreign ones and for information."""
    asked_us: int = 0
    decided_us: int = 0


class CheckResult(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What one check found."""

    check: str
    """``I1`` … ``I13``, or ``expect verdict``, ``expect asked``, ``step 3`` …"""
    outcome: CheckOutcome
    message: str = ""
    """Expected, seen, and what to try; empty when passed."""
    cause: str = ""
    """A short stable word for grouping failures, such as ``ticket accepted twice``."""
    entry: int = -1
    """Index into the history where it shows."""


class RunResult(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One case on one backend with one seed."""

    scenario: Scenario
    backend: str
    seed: int
    outcome: Outcome
    restarts: tuple[RestartResult, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    """Every check that ran; failures and unknowns carry a message."""
    history: History | None = None
    reason: str = ""
    """Why it was skipped, could not run (``error``), or is known."""
    virtual_us: int = 0
    """How long the run lasted on the backend's own clock."""
    wall_us: int = 0
    events: int = 0
    stand_ins: tuple[str, ...] = ()
    """What stood in for a part of the world that a live machine lacks (live backends)."""
    time_scale: float = 1.0
    """How many times shorter the scenario's durations were (live backends)."""
    options: tuple[str, ...] = ()
    """Words of the command line that a repetition needs besides backend and seed."""
    evidence: str = ""
    """Folder with pictures and logs of a run that did not pass, until the bundle is saved; empty: none."""
    left_behind: tuple[str, ...] = ()
    """What of the run could not be taken away, why, and what to do (live backends); it changes no outcome."""

    @property
    def verdict(self) -> str:
        """The verdict of the first restart, or ``none``."""
        return self.restarts[0].verdict if self.restarts else "none"

    @property
    def problems(self) -> tuple[CheckResult, ...]:
        """Checks that failed or could not tell."""
        return tuple(c for c in self.checks if c.outcome != "passed")
