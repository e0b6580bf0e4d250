"""``rrsim compare``: the same cases on two backends, and every difference between what their witnesses saw.

How long Windows takes to go down and to boot is the machine's own affair, and can decide what comes first: whether the
server misses the agent before it is back, for one. Where the model and a machine differ, the model is asked once more,
with the durations that were seen on the machine: what it says then is what is held against the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from rrsim.cli import choose, engine
from rrsim.cli.errors import CommandError, say
from rrsim.cli.exit_codes import HARNESS, OK, PRODUCT, UNKNOWN, worst
from rrsim.report import compare as comparing
from rrsim.report import json_out
from rrsim.scenario import observed
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult
from rrsim.scenario.scaling import PC_DRAWS

MACHINES: Final = (PC_DRAWS, "net ")
"""Draws of the machine. What people do and when is the scenario's, on both sides."""
CODES: Final = {"equal": OK, "different": PRODUCT, "empty": UNKNOWN}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare, and where."""

    scenarios: tuple[str, ...]
    """Names, files or parts of names; each stands for one case."""
    case: str = ""
    cases: str = ""
    """A file with ids of cases, one a line: these too."""
    root: str = "scenarios"
    backends: str = "sim,wine"
    time_scale: float = 0.0
    seed: int = 1
    jobs: int = 0
    format: str = "text"


def compare(options: Options) -> int:
    """Run the cases on both backends and print what came of each comparison.

    Returns 0 if all agree, 1 if something differs that has no explanation, 2 if a comparison compared nothing, 70 if a
    run failed in the harness.

    Raises:
        CommandError: a case or a backend cannot be used.
    """
    names = tuple(name.strip() for name in options.backends.split(","))
    if len(names) != 2 or not all(names):
        raise CommandError("two backends with a comma between them", repr(options.backends), "--backends sim,wine")
    cases = _cases(options)
    left = {result.scenario.id: result for result in _run(names[0], cases, options)}
    if len(left) < len(cases):
        say("stopped by the user: nothing is compared")
        return HARNESS
    found: list[tuple[int, dict[str, Any]]] = []

    def each(result: RunResult) -> None:
        found.append(_compared(left[result.scenario.id], result, names, options))

    done = _run(names[1], cases, options, each)
    code = worst([code for code, _ in found] + ([HARNESS] if len(done) < len(cases) else []))
    objects = [one for _, one in found]
    if options.format == "json":
        print(json_out.dumps({"comparisons": objects, "exit_code": code}))
    elif len(cases) > 1:
        print(_total(objects))
    return code


def _compared(
    one: RunResult, other: RunResult, names: tuple[str, ...], options: Options
) -> tuple[int, dict[str, Any]]:
    """Compare two runs and print what came of it; return the exit code and plain data."""
    trouble = _trouble(one) or _trouble(other)
    if trouble:
        if options.format == "text":
            print(f"{one.scenario.id}: not run: {trouble}", flush=True)
        code = HARNESS if "error" in (one.outcome, other.outcome) else UNKNOWN
        what = {"scenario": one.scenario.id, "backends": list(names), "outcome": "not run", "reason": trouble}
        return code, what
    found = comparing.compare(one, other)
    if found.outcome == "different":
        found = _with_the_machines_durations(one, other, found, options.seed)
    if options.format == "text":
        print(comparing.text(found), flush=True)
    return CODES[found.outcome], comparing.plain(found)


def _with_the_machines_durations(
    one: RunResult, other: RunResult, found: comparing.Comparison, seed: int
) -> comparing.Comparison:
    """Ask the model again with the durations of the machine; return the comparison with fewer open differences."""
    simulated = [result.backend == "sim" for result in (one, other)]
    live = other if simulated[0] else one
    if simulated[0] == simulated[1] or live.history is None:
        return found
    if live.scenario.given.customers > 1:
        return found  # each machine has durations of its own, and the model takes one set for all
    durations = tuple(
        one for one in observed.durations(live.history, live.time_scale) if one.draw.startswith(MACHINES)
    )
    with engine.opened("sim") as opened:
        again = opened.run(observed.as_observed(live.scenario, durations), seed)
    if _trouble(again):
        say(f"{live.scenario.id}: asked with the machine's durations, the model did not play it: {_trouble(again)}")
        return found
    again = msgspec.structs.replace(again, scenario=live.scenario)
    better = comparing.compare(again, other) if simulated[0] else comparing.compare(one, again)
    if len(better.unexplained) >= len(found.unexplained):
        return found
    return msgspec.structs.replace(better, durations=durations, differed_before=len(found.unexplained))


def _cases(options: Options) -> list[Scenario]:
    scenarios, problems = choose.load((options.root,))
    for problem in problems:
        say(str(problem))
    if not options.scenarios and not options.cases:
        raise CommandError("the name of a scenario, or --cases FILE", "neither", "rrsim compare same-user")
    chosen = [choose.find_one(scenarios, name, options.case) for name in options.scenarios]
    if options.cases:
        chosen += choose.listed(scenarios, options.cases, among=scenarios)
    return list({case.id: case for case in chosen}.values())


def _run(
    backend: str, cases: Sequence[Scenario], options: Options, each: Callable[[RunResult], None] | None = None
) -> list[RunResult]:
    scale = options.time_scale if backend != "sim" else 0.0
    with engine.opened(backend, time_scale=scale) as opened:
        return opened.execute([(case, options.seed) for case in cases], each=each, jobs=options.jobs).results


def _trouble(result: RunResult) -> str:
    if result.history is not None and result.outcome not in ("error", "skipped"):
        return ""
    return f"on {result.backend}, {result.outcome}: {result.reason or 'no history'}"


def _total(objects: Sequence[dict[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for one in objects:
        counts[str(one["outcome"])] = counts.get(str(one["outcome"]), 0) + 1
    return f"{len(objects)} comparisons: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
