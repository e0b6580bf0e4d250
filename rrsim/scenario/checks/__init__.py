"""The invariants I1-I13, always on, as checks over a history; see :mod:`rrsim.scenario.checks.base`.

:func:`run` is the one pass: checks, verdicts and the tracker hear every event that concerns them, in that order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rrsim.machine import observations as seen
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
from rrsim.scenario.verdicts import HANDLERS as JUDGED
from rrsim.scenario.verdicts import NEEDS, SOURCE_KINDS, lacking

__all__ = ["INVARIANTS", "Check", "Context", "Pass", "run"]

INVARIANTS: Final[tuple[type[Check], ...]] = (
    NothingAfterTheEnd, TicketOnce, OneEndpoint, RestartConsent, SharingConsent, LeavesSafeMode, NoResidue,
    NoMacRestart, VerdictInTime, SafeModeForServices, ForeignIsLost, Transcript, Provenance,
)  # fmt: skip
"""I1 … I13, in order."""

_Listener = tuple[int, Callable[[Any, int, int, str, Any], None]]
_Plan = dict[type[Any], tuple[tuple[_Listener, ...], Callable[[Any, int, int, str, Any], None] | None, bool]]


def plan(checks: tuple[type[Check], ...]) -> _Plan:
    """Return, for each event type that concerns anybody: the checks that hear it, the verdicts' handler, and whether
    the tracker wants it."""
    kinds = {kind for check in checks for kind in check.hears} | set(JUDGED) | set(TRACKED)
    return {
        kind: (
            tuple((i, check.hears[kind]) for i, check in enumerate(checks) if kind in check.hears),
            JUDGED.get(kind),
            kind in TRACKED,
        )
        for kind in kinds
    }


PLAN: Final = plan(INVARIANTS)


class Pass:
    """What one pass over a history brought to light."""

    __slots__ = ("complete", "context", "healed_at", "missing", "results")

    def __init__(self, context: Context) -> None:
        self.context = context
        self.results: tuple[CheckResult, ...] = ()
        self.missing: tuple[str, ...] = ()
        """Witnesses that are missing for verdicts."""
        self.complete = False
        """The run reached its end quietly."""
        self.healed_at = -1


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
    listeners = PLAN if checks is INVARIANTS else plan(checks)
    sources = set()
    tracker, verdicts = context.tracker, context.verdicts
    for at, entry in enumerate(history.entries):
        t_us, source, event, _ = entry
        sources.add(source)
        wanted = listeners.get(type(event))
        if wanted is None:
            continue
        hearing, judged, tracked = wanted
        for index, hear in hearing:
            if broken and index in broken:
                continue
            try:
                hear(alive[index], at, t_us, source, event)
            except Exception as problem:  # noqa: BLE001 - whatever goes wrong in a check must not pass for a result
                broken[index] = f"{type(problem).__name__} at entry {at}: {problem}"
        if judged is not None:
            judged(verdicts, at, t_us, source, event)
        if tracked:
            tracker.feed(entry)
    _find_ends(history, out)
    _finish(history, out, alive, broken, sources)
    return out


def _find_ends(history: History, out: Pass) -> None:
    for entry in reversed(history.entries):
        if type(entry[2]) is seen.RunEnded:
            out.complete = entry[2].quiet
            break
    for at, entry in enumerate(history.entries):
        if type(entry[2]) is seen.Healed:
            out.healed_at = at
            break


def _finish(history: History, out: Pass, alive: list[Check], broken: dict[int, str], sources: set[str]) -> None:
    kinds = {source.rpartition("-")[0] or source for source in sources}
    kinds &= SOURCE_KINDS
    out.context.end_us = history.entries[-1][0] if history.entries else 0
    out.context.complete = out.complete
    out.missing = lacking(NEEDS, kinds, history.header)
    results = []
    for index, check in enumerate(alive):
        missing = lacking(check.needs, kinds, history.header)
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
