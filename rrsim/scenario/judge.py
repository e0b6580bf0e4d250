"""One judgement over one history: verdicts, invariants and expectations, and what they come to. Pure.

``failed`` if anything failed; else ``unknown`` if anything could not be told (a check, a verdict, or whether the run
reached its end); else ``passed``. *Unknown* never counts as a pass.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rrsim.scenario import actions, checks, expectations
from rrsim.scenario.history import History
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import CheckResult, Outcome, RestartResult, RunResult

Judgement = RunResult
"""A judgement is a run result; only the backend that ran it knows the wall time and its own count of events."""


def judge(scenario: Scenario, history: History) -> Judgement:
    """Judge a history as a run of a scenario."""
    found = checks.run(history, scenario.expect.left_behind or ())
    restarts = found.context.verdicts.results(history.entries, found.complete, found.missing)
    if not found.named:
        restarts = _named(scenario, restarts)
    results = [
        *expectations.invert(found.results, scenario.expect.broken_invariant),
        *expectations.evaluate(scenario.expect, history, found, restarts),
        *(_impossible(history, at) for at in found.impossible),
        *_ends(scenario, found, restarts),
    ]
    header = history.header
    return RunResult(
        scenario=scenario,
        backend=header.backend,
        seed=header.seed,
        outcome=outcome_of(results),
        restarts=restarts,
        checks=tuple(results),
        history=history,
        virtual_us=history.entries[-1][0] if history.entries else 0,
        events=len(history.entries),
        stand_ins=header.stand_ins,
    )


def outcome_of(results: Iterable[CheckResult]) -> Outcome:
    """Return what a run's checks come to."""
    outcomes = {result.outcome for result in results}
    if "failed" in outcomes:
        return "failed"
    return "unknown" if "unknown" in outcomes or not outcomes else "passed"


def _named(scenario: Scenario, restarts: tuple[RestartResult, ...]) -> tuple[RestartResult, ...]:
    """Give restarts the names of their steps, in order: this history does not hold the actions themselves."""
    names: dict[int, list[str]] = {}
    for step in scenario.steps:
        if isinstance(step.action, actions.RepRestarts):
            names.setdefault(step.action.customer, []).append(step.action.name)
    out = []
    for one in restarts:
        waiting = names.get(one.customer, [])
        named = one.kind == "ordered" and waiting
        out.append(msgspec.structs.replace(one, name=waiting.pop(0)) if named else one)
    return tuple(out)


def _impossible(history: History, at: int) -> CheckResult:
    """A step that never became possible. What people could not do while the harness winds down is no step."""
    event = history.entries[at][2]
    return CheckResult(
        check=f"step {event.step.removeprefix('step ')}",
        outcome="failed",
        message=f"expected the step {event.step!r} to be possible; seen: {event.reason}; "
        "try: look at what the step waits for, and whether it can happen in this case",
        cause="step impossible",
        entry=at,
    )


def _ends(scenario: Scenario, found: checks.Pass, restarts: tuple[RestartResult, ...]) -> list[CheckResult]:
    """Whether the run reached its end, and every restart its verdict."""
    out = []
    if not found.complete:
        seen_ = "the history just stops" if found.ended is None else "a time limit ended it"
        message = f"expected the run to end quietly; seen: {seen_}; try: a longer limit, or look for what never rests"
        out.append(CheckResult(check="run ended", outcome="unknown", message=message, cause="run cut short"))
    wanted = {one.verdict for one in scenario.expect.restarts or ()} | {scenario.expect.verdict}
    for one in restarts:
        if one.verdict == "unknown" and "unknown" not in wanted:
            message = f"expected a verdict on restart {one.number} of customer {one.customer}; seen: {one.reason}"
            check = f"verdict {one.number} of customer {one.customer}"
            out.append(CheckResult(check=check, outcome="unknown", message=message, cause="verdict unknown"))
    return out
