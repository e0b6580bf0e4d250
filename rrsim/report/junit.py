"""JUnit XML: a suite for each area, properties on every case, failures of the product apart from everything else.

``<failure>`` is the product; ``<error type="rrsim.unknown">`` could not tell; ``<error type="rrsim.environment">``
is the harness; known issues and skipped cases are ``<skipped>`` with the reason. Within a suite new failures come
first, grouped by check and cause.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any, Final

from rrsim.report.grouping import grouped, main_problem
from rrsim.report.reproduce import command_for
from rrsim.report.terminal import around_text, check_text
from rrsim.scenario.result import RunResult

_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

UNKNOWN: Final = "rrsim.unknown"
ENVIRONMENT: Final = "rrsim.environment"
LEFT_BEHIND: Final = "left_behind"
"""Name of a property: something of a live run that could not be taken away."""


def clean(text: str) -> str:
    """Replace characters that XML 1.0 cannot hold."""
    return _ILLEGAL.sub("\ufffd", text)


def properties_of(result: RunResult) -> list[tuple[str, str]]:
    """Return what goes with a case: seed, backend, ids, edge cases, verdicts, and the scenario's own meta."""
    s = result.scenario
    pairs = [("seed", str(result.seed)), ("backend", result.backend), ("ids", ",".join(s.covers))]
    pairs += [("edge_cases", ",".join(s.edge_cases)), ("verdicts", ",".join(r.verdict for r in result.restarts))]
    pairs += [("stand_ins", "; ".join(result.stand_ins))] if result.stand_ins else []
    pairs += [(LEFT_BEHIND, one) for one in result.left_behind]
    pairs += [("time_scale", f"{result.time_scale:g}")] if result.time_scale != 1 else []
    return pairs + [(f"meta.{key}", value) for key, value in s.meta.items()]


def failure_text(result: RunResult, profile: str = "", again: bool = True) -> str:
    """Return what went wrong in one run: the checks, the timeline around the violation, the seed, the command.

    ``again`` is False for a scenario that is in no file: then no ``rrsim run`` can repeat it.
    """
    parts = [check_text(c) for c in result.problems] or [result.reason or result.outcome]
    timeline = around_text(result)
    if timeline:
        parts.append("timeline around it:\n" + timeline)
    parts.append(f"seed {result.seed}, backend {result.backend}")
    if again:
        parts.append(f"again: {command_for(result, profile)}")
    return "\n\n".join(parts)


def _case(suite: ET.Element, result: RunResult) -> None:
    s = result.scenario
    case = ET.SubElement(
        suite, "testcase", classname=clean(s.area or "scenarios"), name=clean(s.id), time=f"{result.wall_us / 1e6:.6f}"
    )
    if s.path:
        case.set("file", s.path)
        case.set("line", str(s.line))
    holder = ET.SubElement(case, "properties")
    for name, value in properties_of(result):
        ET.SubElement(holder, "property", name=clean(name), value=clean(value))
    _outcome(case, result)


def _outcome(case: ET.Element, result: RunResult) -> None:
    if result.outcome == "passed":
        return
    problem = main_problem(result)
    message = f"{problem.check}: {problem.cause}" if problem else result.reason.partition("\n")[0]
    if result.outcome in ("known", "skipped"):
        ET.SubElement(case, "skipped", message=clean(result.reason or message), type=f"rrsim.{result.outcome}")
        return
    if result.outcome == "failed":
        kind, tag = (problem.cause or problem.check) if problem else "failed", "failure"
    else:
        kind, tag = UNKNOWN if result.outcome == "unknown" else ENVIRONMENT, "error"
    ET.SubElement(case, tag, message=clean(message), type=clean(kind)).text = clean(failure_text(result))


def _ordered(results: Sequence[RunResult]) -> list[RunResult]:
    groups = grouped(results)
    place = {id(r): n for n, r in enumerate(r for g in groups if g.new for r in g.results)}
    return sorted(results, key=lambda r: place.get(id(r), len(place)))


def junit(results: Sequence[RunResult], problems: Sequence[Any] = ()) -> str:
    """Return the JUnit document. Files that could not be used are errors in a suite of their own."""
    root = ET.Element("testsuites", name="rrsim")
    areas: dict[str, list[RunResult]] = {}
    for result in results:
        areas.setdefault(result.scenario.area or "scenarios", []).append(result)
    for area, own in sorted(areas.items()):
        suite = ET.SubElement(root, "testsuite", {"name": clean(area), **_numbers(own)})
        for result in _ordered(own):
            _case(suite, result)
    if problems:
        count = str(len(problems))
        suite = ET.SubElement(root, "testsuite", name="bad input", tests=count, errors=count, failures="0", skipped="0")
        for problem in problems:
            case = ET.SubElement(suite, "testcase", classname="bad input", name=clean(str(problem).partition("\n")[0]))
            ET.SubElement(case, "error", type="rrsim.input", message="not usable").text = clean(str(problem))
    root.set("tests", str(len(results) + len(problems)))
    root.set("failures", str(sum(r.outcome == "failed" for r in results)))
    root.set("errors", str(sum(r.outcome in ("unknown", "error") for r in results) + len(problems)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _numbers(results: Sequence[RunResult]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(r.outcome == "failed" for r in results)),
        "errors": str(sum(r.outcome in ("unknown", "error") for r in results)),
        "skipped": str(sum(r.outcome in ("known", "skipped") for r in results)),
        "time": f"{sum(r.wall_us for r in results) / 1e6:.6f}",
    }
