"""The stable JSON interface of ``rrsim run``, ``broken`` and ``bench`` (``docs/cli.md`` documents every field)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from rrsim import __version__
from rrsim.report.grouping import counts, stand_ins
from rrsim.report.matrix import grades_of
from rrsim.scenario.result import RunResult

FORMAT: Final = 1
"""Raised only when a field changes its meaning or goes away; new fields do not raise it."""


def run_object(result: RunResult) -> dict[str, Any]:
    """Return one run as plain data."""
    s = result.scenario
    return {
        "scenario": s.name,
        "case": s.case,
        "backend": result.backend,
        "seed": result.seed,
        "outcome": result.outcome,
        "verdict": result.verdict,
        "restarts": [msgspec.to_builtins(r) for r in result.restarts],
        "ids": list(s.covers),
        "edge_cases": list(s.edge_cases),
        "checks": [msgspec.to_builtins(c) for c in result.problems],
        "events": result.events,
        "virtual_us": result.virtual_us,
        "wall_us": result.wall_us,
        "path": s.path,
        "line": s.line,
        "meta": dict(s.meta),
        "reason": result.reason,
        "stand_ins": list(result.stand_ins),
        "left_behind": list(result.left_behind),
        "grades": grades_of(result),
        "time_scale": result.time_scale,
    }


def problem_object(problem: Any) -> dict[str, Any]:
    """Return a problem of a scenario file as plain data."""
    data = msgspec.to_builtins(problem) if isinstance(problem, msgspec.Struct) else {"message": str(problem)}
    return dict(data) if isinstance(data, dict) else {"message": str(problem)}


def run_report(
    results: Sequence[RunResult],
    problems: Sequence[Any],
    *,
    exit_code: int,
    interrupted: bool = False,
    stale_issues: Sequence[Any] = (),
) -> dict[str, Any]:
    """Return what ``rrsim run --format json`` prints."""
    summary: dict[str, Any] = {"total": len(results)}
    summary.update(counts(results).items())
    summary["problems"] = len(problems)
    summary["stale_known_issues"] = len(stale_issues)
    summary["virtual_us"] = sum(r.virtual_us for r in results)
    summary["wall_us"] = sum(r.wall_us for r in results)
    summary["stand_ins"] = list(stand_ins(results))
    summary["interrupted"] = interrupted
    summary["exit_code"] = exit_code
    return {
        "format": FORMAT,
        "rrsim": __version__,
        "runs": [run_object(r) for r in results],
        "problems": [problem_object(p) for p in problems],
        "stale_known_issues": [problem_object(p) for p in stale_issues],
        "summary": summary,
    }


def dumps(data: Any) -> str:
    """Write plain data as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(data), indent=1).decode()
