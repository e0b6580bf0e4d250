"""What ``rrsim run --format json`` wrote, read so that one bad run costs only itself. Pure."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from rrsim.nightly.outcomes import Problem, Run
from rrsim.scenario.result import Outcome

FORMAT: Final = 1
MOST_PROBLEMS: Final = 20
OTHERS: Final = ("figures", "bugs", "checks", "comparisons", "rows", "models", "histories", "groups")
"""What is in the reports of other commands of rrsim: they lie beside the results and tell of no runs one by one."""


class _Run(msgspec.Struct):
    """The fields of a run that matter here; others may be there."""

    scenario: str
    backend: str
    outcome: Outcome
    wall_us: int
    seed: int = 0
    case: str = ""


class _Report(msgspec.Struct):
    """A report whose runs are read one by one."""

    format: int
    runs: list[msgspec.Raw]


def read_json(data: bytes, path: str) -> tuple[tuple[Run, ...], tuple[Problem, ...]]:
    """Return the runs of a report, and what could not be used of it. A report of another command has none."""
    try:
        whole = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        listed = bytes(whole.get("runs", b"")).startswith(b"[")  # a swarm's are a number
        if not listed and any(name in whole for name in OTHERS):
            return (), ()
        report = msgspec.json.decode(data, type=_Report)
    except msgspec.MsgspecError as error:
        return (), (Problem(path, _line(data, str(error)), f"expected a report of `rrsim run`, saw: {error}"),)
    if report.format != FORMAT:
        return (), (Problem(path, 1, f"expected format {FORMAT}, saw {report.format}; use the rrsim that wrote it"),)
    runs: list[Run] = []
    problems: list[Problem] = []
    at = 0
    for number, raw in enumerate(report.runs, 1):
        text = bytes(raw)
        at = max(at, data.find(text, at))
        try:
            one = msgspec.json.decode(text, type=_Run)
        except msgspec.MsgspecError as error:
            if len(problems) < MOST_PROBLEMS:
                problems.append(Problem(path, data.count(b"\n", 0, at) + 1, f"run {number} is left out: {error}"))
        else:
            case = f"{one.scenario}[{one.case}]" if one.case else one.scenario
            runs.append(Run(case, one.backend, one.outcome, max(0, one.wall_us) / 1e6, one.seed))
        at += len(text)
    return tuple(runs), tuple(problems)


def _line(data: bytes, message: str) -> int:
    """Return the line that a message about a byte speaks of; the last one if the text ends too early."""
    found = re.search(r"\(byte (\d+)\)", message)
    if found is not None:
        return data.count(b"\n", 0, int(found[1])) + 1
    return data.count(b"\n") + 1 if "truncated" in message else 1
