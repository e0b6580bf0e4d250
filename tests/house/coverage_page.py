"""The page docs/coverage.md: its table is made from the scenario files, its reasons are written by hand.

Run ``python -m tests.house.coverage_page`` in the checkout to write the table anew.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from rrsim.scenario.ids import EDGE_CASES
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Scenario

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "coverage.md"
MARK = "<!-- made by tests/house/coverage_page.py; do not edit below -->\n"
"""Everything after this line is made, everything before it is written."""


def scenarios() -> tuple[Scenario, ...]:
    """Every case of every file under ``scenarios/``."""
    report = load_paths([str(ROOT / "scenarios")])
    assert not report.problems, "\n".join(map(str, report.problems))
    return tuple(report.scenarios)


def reasons(page: str) -> dict[str, str]:
    """Read the hand-written table: edge case -> why there is no scenario for it, or not for all of it."""
    written = page.split(MARK, maxsplit=1)[0]
    rows = re.findall(r"^\| ([A-Z]{2}-\d\d) \| (.+?) \|$", written, re.MULTILINE)
    return dict(rows)


def table(cases: tuple[Scenario, ...], why_not: dict[str, str]) -> str:
    """Make the table: edge case, the files that cite it with their number of cases, and the verdicts they expect."""
    lines = ["| edge case | scenario files (cases) | expected |", "| --- | --- | --- |"]
    for edge_case in EDGE_CASES:
        citing = [case for case in cases if edge_case in case.edge_cases]
        counts = Counter(_relative(case.path) for case in citing)
        files = "; ".join(
            f"[{Path(path).parent.name}/{Path(path).stem}](../{path}) ({count})"
            for path, count in sorted(counts.items())
        )
        expected = ", ".join(sorted({_expected(case) for case in citing}))
        absent = "see above" if edge_case in why_not else "**missing**"
        lines.append(f"| {edge_case} | {files or absent} | {expected} |")
    return "\n".join(lines) + "\n"


def _relative(path: str) -> str:
    return Path(path).resolve().relative_to(ROOT).as_posix()


def _expected(case: Scenario) -> str:
    expect = case.expect
    if expect.verdict is not None:
        return expect.verdict
    if expect.restarts:
        return " then ".join(restart.verdict for restart in expect.restarts)
    return f"session {expect.session}" if expect.session else "no restart"


def made() -> str:
    """The whole page as it should be."""
    page = PAGE.read_text(encoding="utf-8")
    return page.split(MARK, maxsplit=1)[0] + MARK + "\n" + table(scenarios(), reasons(page))


if __name__ == "__main__":
    PAGE.write_text(made(), encoding="utf-8")
