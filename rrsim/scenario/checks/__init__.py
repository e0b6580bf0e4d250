"""The invariants I1-I13, always on, as checks over a history; see :mod:`rrsim.scenario.checks.base`.

:func:`run` is the one pass: checks, verdicts and the tracker hear every event that concerns them, in that order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rrsim.machine import observations as seen
from rrsim.scenario.actions import RepRestarts
from rrsim.scenario.checks.base import Check, Context
from rrsim.scenario.checks.consent import RestartConsent, SharingConsent
from rrsim.scenario.checks.decisions import ForeignIsLost, VerdictInTime
from rrsim.scenario.checks.endpoints import NothingAfterTheEnd, OneEndpoint, TicketOnce
from rrsim.scenario.checks.machine_state import LeavesSafeMode, NoResidue
from rrsim.scenario.checks.platforms import NoMacRestart, SafeModeForServices
from rrsim.scenario.checks.provenance import Provenance
from rrsim.scenario.checks.transcript import Transcript
from rrsim.scenario.history import History
from rrsim.scenario.result import CheckResult
from rrsim.scenario.tracker import HANDLERS as TRACKED
from rrsim.scenario.tracker import Handler as TrackHandler
from rrsim.scenario.verdicts import HANDLERS as JUDGED
from rrsim.scenario.verdicts import NEEDS, SOURCE_KINDS, kinds_of, lacking
from rrsim.scenario.verdicts import Handler as VerdictHandler

__all__ = ["INVARIANTS", "PLAN", "Check", "Context", "Pass", "plan", "run"]

INVARIANTS: Final[tuple[type[Check], ...]] = (
    NothingAfterTheEnd, TicketOnce, OneEndpoint, RestartConsent, SharingConsent, LeavesSafeMode, NoResidue,
    NoMacRestart, VerdictInTime, SafeModeForServices, ForeignIsLost, Transcript, Provenance,
)  # fmt: skip
"""I1 … I13, in order."""

_Listener = tuple[int, Callable[[Any, int, int, str, Any], None]]
_Wanted = tuple[tuple[_Listener, ...], VerdictHandler | None, TrackHandler | None, bool]

MARKS: Final = frozenset({seen.Healed, seen.RunEnded, seen.StepImpossible, RepRestarts})
"""Events that the judgement looks for besides: their places are noted in passing."""


def plan(checks: tuple[type[Check], ...]) -> dict[type[Any], _Wanted]:
    """Return, for each event type that concerns anybody: the checks that hear it, the handlers of the verdicts and
    of the tracker, and whether its place is noted."""
    kinds = {kind for check in checks for kind in check.hears} | set(JUDGED) | set(TRACKED) | MARKS
    return {
        kind: (
            tuple((i, check.hears[kind]) for i, check in enumerate(checks) if kind in check.hears),
            JUDGED.get(kind),
            TRACKED.get(kind),
            kind in MARKS,
        )
        for kind in kinds
    }


PLAN: Final = plan(INVARIANTS)
_ALL_NEEDS: Final = frozenset(need for check in INVARIANTS for need in check.needs if need in SOURCE_KINDS)


class Pass:
    """What one pass over a history brought to light."""

    __slots__ = ("complete", "context", "ended", "healed_at", "impossible", "missing", "named", "results")

    def __init__(self, context: Context) -> None:
        self.context = context
        self.results: tuple[CheckResult, ...] = ()
        self.missing: tuple[str, ...] = ()
        """Witnesses that are missing for verdicts."""
        self.ended: seen.RunEnded | None = None
        self.complete = False
        """The run reached its end quietly."""
        self.healed_at = -1
        self.impossible: list[int] = []
        """Where the history says that a step was not possible, while the steps went on."""
        self.named = False
        """The history holds the representative's actions, and with them the names of restarts."""

    def mark(self, at: int, event: Any) -> None:
        """Note the place of an event in :data:`MARKS`."""
        kind = type(event)
        if kind is seen.StepImpossible:
            if self.healed_at < 0:
                self.impossible.append(at)
        elif kind is seen.RunEnded:
            self.ended = event
            self.complete = event.quiet
        elif kind is RepRestarts:
            self.named = True
        elif self.healed_at < 0:
            self.healed_at = at


def run(
    history: History,
    allowed_residue: tuple[str, ...] = (),
    checks: tuple[type[Check], ...] = INVARIANTS,
) -> Pass:
    """Feed a history to all checks, to the verdicts and to the tracker, once.

    A check that raises, or lacks a witness it needs, comes back as *unknown*; the others are not disturbed.
    """
    context = Context(history.header, allowed_residue)
    out = Pass(context)
    alive = [check(context) for check in checks]
    broken: dict[int, str] = {}
    wanted_by = (PLAN if checks is INVARIANTS else plan(checks)).get
    tracker, verdicts = context.tracker, context.verdicts
    for at, entry in enumerate(history.entries):
        wanted = wanted_by(type(entry[2]))
        if wanted is None:
            continue
        t_us, source, event, _ = entry
        hearing, judged, tracked, marked = wanted
        for index, hear in hearing:
            if broken and index in broken:
                continue
            try:
                hear(alive[index], at, t_us, source, event)
            except Exception as problem:  # noqa: BLE001 - whatever goes wrong in a check must not pass for a result
                broken[index] = f"{type(problem).__name__} at entry {at}: {problem}"
        if judged is not None:
            judged(verdicts, at, t_us, source, event)
        if tracked is not None:
            tracked(tracker.track(event.session), t_us, event)
        if marked:
            out.mark(at, event)
    _finish(history, out, alive, broken)
    return out


def _finish(history: History, out: Pass, alive: list[Check], broken: dict[int, str]) -> None:
    context = out.context
    context.end_us = history.entries[-1][0] if history.entries else 0
    context.complete = out.complete
    kinds = kinds_of(history.entries)
    everything = not history.header.unobserved and kinds >= _ALL_NEEDS
    if not everything:
        out.missing = lacking(NEEDS, kinds, history.header)
    results = []
    for index, check in enumerate(alive):
        missing = () if everything else lacking(check.needs, kinds, history.header)
        if missing:
            results.append(_unknown(check, "witness missing", f"expected {', '.join(missing)} in the history"))
            continue
        if index not in broken:
            try:
                check.finish()
            except Exception as problem:  # noqa: BLE001 - as above
                broken[index] = f"{type(problem).__name__} at the end: {problem}"
        if index in broken:
            results.append(_unknown(check, "check broken", f"the check itself failed: {broken[index]}"))
        else:
            results.append(check.result())
    out.results = tuple(results)


def _unknown(check: Check, cause: str, message: str) -> CheckResult:
    return CheckResult(check=check.name, outcome="unknown", message=message, cause=cause)
