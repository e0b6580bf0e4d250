"""One judgement over one history: verdicts, invariants and expectations, and what they come to. Pure.

``failed`` if anything failed; else ``unknown`` if anything could not be told (a check, a verdict, or whether the run
reached its end); else ``passed``. *Unknown* never counts as a pass.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rrsim.machine import observations as seen
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
    restarts = _named(scenario, history, restarts)
    results = [
        *expectations.invert(found.results, scenario.expect.broken_invariant),
        *expectations.evaluate(scenario.expect, history, found, restarts),
        *_steps(history),
        *_ends(history, scenario, restarts),
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


def _named(
    scenario: Scenario, history: History, restarts: tuple[RestartResult, ...]
) -> tuple[RestartResult, ...]:
    """Give restarts the names of their steps where the history does not hold the actions themselves."""
    if any(type(entry[2]) is actions.RepRestarts for entry in history.entries):
        return restarts
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


def _steps(history: History) -> list[CheckResult]:
    """Steps that never became possible. What the people could not do while the harness winds down is no step."""
    healed_at = next((at for at, entry in enumerate(history.entries) if type(entry[2]) is seen.Healed), None)
    return [
        CheckResult(
            check=f"step {event.step.removeprefix('step ')}",
            outcome="failed",
            message=f"expected the step {event.step!r} to be possible; seen: {event.reason}; "
            "try: what the step waits for, and whether it can happen in this case",
            cause="step impossible",
            entry=at,
        )
        for at, (_, _, event, _) in enumerate(history.entries[:healed_at])
        if type(event) is seen.StepImpossible
    ]


def _ends(history: History, scenario: Scenario, restarts: tuple[RestartResult, ...]) -> list[CheckResult]:
    """Whether the run reached its end, and every restart its verdict."""
    out = []
    end = next((e[2] for e in reversed(history.entries) if type(e[2]) is seen.RunEnded), None)
    if end is None or not end.quiet:
        seen_ = "the history just stops" if end is None else "a time limit ended it"
        message = f"expected the run to end quietly; seen: {seen_}; try: a longer limit, or look for what never rests"
        out.append(CheckResult(check="run ended", outcome="unknown", message=message, cause="run cut short"))
    wanted = {one.verdict for one in scenario.expect.restarts or ()} | {scenario.expect.verdict}
    for one in restarts:
        if one.verdict == "unknown" and "unknown" not in wanted:
            message = f"expected a verdict on restart {one.number} of customer {one.customer}; seen: {one.reason}"
            check = f"verdict {one.number} of customer {one.customer}"
            out.append(CheckResult(check=check, outcome="unknown", message=message, cause="verdict unknown"))
    return out
