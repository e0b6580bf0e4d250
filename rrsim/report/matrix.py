"""The coverage matrix: requirement by scenario by backend, graded modelled, stand-in or real.

The simulator models Windows, so what it proves is *modelled*. On a live backend an id is *real* if at least one case
passed in which the real thing decided what the id is about, and *stand-in* if a stand-in decided it in all of them
(:mod:`rrsim.scenario.grading`). Only *real* counts as done on a real backend (requirements, head of the table).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from rrsim.scenario.grading import Grade, grade
from rrsim.scenario.result import Outcome, RunResult

REQUIREMENTS: Final = tuple(f"R{n}" for n in range(1, 15))
RULES: Final = tuple(f"rule {n}" for n in range(1, 15))
INVARIANTS: Final = tuple(f"I{n}" for n in range(1, 14))


class Proof(msgspec.Struct, frozen=True, gc=False):
    """What one run has to say about the ids it covers."""

    case: str
    backend: str
    outcome: Outcome
    grades: Mapping[str, Grade]
    """Every id that the case covers, with what the run is worth for it."""


class Cell(msgspec.Struct, frozen=True, gc=False):
    """What one backend has to say about one id."""

    id: str
    backend: str
    grade: Grade
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    open: tuple[str, ...]
    """Cases that were skipped, could not tell, are known, or in which the harness failed."""
    stand_in: tuple[str, ...] = ()
    """Those of ``passed`` in which a stand-in decided what the id is about."""

    @property
    def done(self) -> bool:
        """At least one case passed and none failed."""
        return bool(self.passed) and not self.failed


class Row(msgspec.Struct, frozen=True, gc=False):
    """One id on every backend that ran."""

    id: str
    cells: tuple[Cell, ...]

    @property
    def state(self) -> Literal["passed", "failed", "unknown", "none"]:
        """``unknown``: cases name the id but none could decide; ``none``: no case names it."""
        if any(c.failed for c in self.cells):
            return "failed"
        if any(c.passed for c in self.cells):
            return "passed"
        return "unknown" if any(c.open for c in self.cells) else "none"


def grades_of(result: RunResult) -> dict[str, Grade]:
    """Return what a run is worth as evidence, for each id that its case covers."""
    service = result.scenario.given.agent == "service"
    return {i: grade(i, result.backend, result.stand_ins, service=service) for i in result.scenario.covers}


def proof_of(result: RunResult) -> Proof:
    """Return what a run has to say."""
    return Proof(result.scenario.id, result.backend, result.outcome, grades_of(result))


def read_proofs(report: Any) -> list[Proof]:
    """Read the runs of a report that ``rrsim run --format json`` printed.

    Raises:
        ValueError: it is no such report, or one of a version without grades.
    """
    try:
        return [
            msgspec.convert(
                {
                    "case": f"{run['scenario']}[{run['case']}]" if run["case"] else run["scenario"],
                    "backend": run["backend"], "outcome": run["outcome"], "grades": run["grades"],
                },
                Proof,
            )
            for run in report["runs"]
        ]
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"expected what `rrsim run --format json` of this version prints; saw {what}") from error


def coverage(results: Sequence[RunResult], ids: Sequence[str] = ()) -> list[Row]:
    """Build the matrix of what ran; see :func:`coverage_of`."""
    return coverage_of([proof_of(r) for r in results], ids)


def coverage_of(proofs: Sequence[Proof], ids: Sequence[str] = ()) -> list[Row]:
    """Build the matrix. Rows are R1 to R14 first, then every rule and invariant that a scenario names.

    Args:
        proofs: what ran; several seeds of one case count as one case that must always pass.
        ids: rows to show; R1-R14 and all named ids if not given.
    """
    backends = sorted({p.backend for p in proofs}) or ["sim"]
    named = {i for p in proofs for i in p.grades}
    known = (*REQUIREMENTS, *(i for i in (*RULES, *INVARIANTS) if i in named))
    rows = tuple(ids) or (*known, *sorted(named.difference(known)))
    return [Row(i, tuple(_cell(i, b, proofs) for b in backends)) for i in rows]


def _cell(id_: str, backend: str, proofs: Sequence[Proof]) -> Cell:
    mine = [p for p in proofs if p.backend == backend and id_ in p.grades]
    failed = {p.case for p in mine if p.outcome == "failed"}
    open_ = {p.case for p in mine if p.outcome not in ("passed", "failed")} - failed
    passed = {p.case for p in mine if p.outcome == "passed"} - failed - open_
    deciding = [p for p in mine if p.case in passed] or mine
    order: tuple[Grade, ...] = ("modelled", "stand-in", "real")
    best = max((p.grades[id_] for p in deciding), key=order.index, default="modelled" if backend == "sim" else "real")
    helped = {p.case for p in mine if p.case in passed and p.grades[id_] == "stand-in"}
    return Cell(id_, backend, best, tuple(sorted(passed)), tuple(sorted(failed)), tuple(sorted(open_)),
                tuple(sorted(helped)))


def missing(rows: Sequence[Row], ids: Sequence[str] = REQUIREMENTS) -> list[str]:
    """Return the ids without a passing scenario on any backend: what ``coverage --check`` complains about."""
    passed = {row.id for row in rows if row.state == "passed"}
    return [i for i in ids if i not in passed]


def matrix_text(rows: Sequence[Row], *, cases: bool = False) -> str:
    """Write the matrix as text."""
    if not rows:
        return "nothing is covered"
    backends = [c.backend for c in rows[0].cells]
    width = max(34, *(len(_cell_text(c)) + 2 for row in rows for c in row.cells))
    out = [(f"{'id':<9}" + "".join(f"{b:<{width}}" for b in backends)).rstrip()]
    for row in rows:
        out.append((f"{row.id:<9}" + "".join(f"{_cell_text(c):<{width}}" for c in row.cells)).rstrip())
        if cases:
            out += [
                f"    {c.backend}: {s}{'  (stand-in)' if s in c.stand_in else ''}" for c in row.cells for s in c.passed
            ]
        out += [f"    {c.backend} FAILED: {s}" for c in row.cells for s in c.failed]
    return "\n".join(out)


def _cell_text(cell: Cell) -> str:
    """Return what one backend has to say about an id, in a few words."""
    if not (cell.passed or cell.failed or cell.open):
        return "-"
    parts = [f"{len(cell.passed)} passed"] if cell.passed else []
    if cell.stand_in and cell.grade == "real":
        parts[0] += f" ({len(cell.stand_in)} by stand-in)"
    parts += [f"{len(cell.failed)} failed"] if cell.failed else []
    parts += [f"{len(cell.open)} open"] if cell.open else []
    return f"{cell.grade + ': ' if cell.passed or cell.failed else ''}{', '.join(parts)}"
