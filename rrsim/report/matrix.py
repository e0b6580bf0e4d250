"""The coverage matrix: requirement by scenario by backend, graded modelled, stand-in or real.

The simulator models Windows, so what it proves is *modelled*. On a live backend a run in which a stand-in took part
is *stand-in*, and only a run without one is *real* (requirements, head of the table).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from rrsim.scenario.result import RunResult

Grade = Literal["modelled", "stand-in", "real"]

REQUIREMENTS: Final = tuple(f"R{n}" for n in range(1, 15))
RULES: Final = tuple(f"rule {n}" for n in range(1, 15))
INVARIANTS: Final = tuple(f"I{n}" for n in range(1, 14))


class Cell(msgspec.Struct, frozen=True, gc=False):
    """What one backend has to say about one id."""

    id: str
    backend: str
    grade: Grade
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    open: tuple[str, ...]
    """Cases that were skipped, could not tell, are known, or in which the harness failed."""

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


def grade_of(result: RunResult) -> Grade:
    """Grade what a run is worth as evidence."""
    if result.backend == "sim":
        return "modelled"
    return "stand-in" if result.stand_ins else "real"


def _weakest(grades: Sequence[Grade]) -> Grade:
    order: tuple[Grade, ...] = ("modelled", "stand-in", "real")
    return min(grades, key=order.index)


def coverage(results: Sequence[RunResult], ids: Sequence[str] = ()) -> list[Row]:
    """Build the matrix. Rows are R1 to R14 first, then every rule and invariant that a scenario names.

    Args:
        results: what ran; several seeds of one case count as one case that must always pass.
        ids: rows to show; R1–R14 and all named ids if not given.
    """
    backends = sorted({r.backend for r in results}) or ["sim"]
    named = {i for r in results for i in r.scenario.covers}
    known = (*REQUIREMENTS, *(i for i in (*RULES, *INVARIANTS) if i in named))
    rows = tuple(ids) or (*known, *sorted(named.difference(known)))
    return [Row(i, tuple(_cell(i, b, results) for b in backends)) for i in rows]


def _cell(id_: str, backend: str, results: Sequence[RunResult]) -> Cell:
    mine = [r for r in results if r.backend == backend and id_ in r.scenario.covers]
    failed = {r.scenario.id for r in mine if r.outcome == "failed"}
    open_ = {r.scenario.id for r in mine if r.outcome not in ("passed", "failed")} - failed
    passed = {r.scenario.id for r in mine if r.outcome == "passed"} - failed - open_
    deciding = [grade_of(r) for r in mine if r.scenario.id in passed] or [grade_of(r) for r in mine]
    grade: Grade = _weakest(deciding) if deciding else "modelled"
    return Cell(id_, backend, grade, tuple(sorted(passed)), tuple(sorted(failed)), tuple(sorted(open_)))


def missing(rows: Sequence[Row], ids: Sequence[str] = REQUIREMENTS) -> list[str]:
    """Return the ids without a passing scenario on any backend: what ``coverage --check`` complains about."""
    passed = {row.id for row in rows if row.state == "passed"}
    return [i for i in ids if i not in passed]


def matrix_text(rows: Sequence[Row], *, cases: bool = False) -> str:
    """Write the matrix as text."""
    if not rows:
        return "nothing is covered"
    backends = [c.backend for c in rows[0].cells]
    out = [f"{'id':<9}" + "".join(f"{b:<34}" for b in backends)]
    for row in rows:
        out.append((f"{row.id:<9}" + "".join(f"{_cell_text(c):<34}" for c in row.cells)).rstrip())
        if cases:
            out += [f"    {c.backend}: {s}" for c in row.cells for s in c.passed]
        out += [f"    {c.backend} FAILED: {s}" for c in row.cells for s in c.failed]
    return "\n".join(out)


def _cell_text(cell: Cell) -> str:
    if not (cell.passed or cell.failed or cell.open):
        return "-"
    parts = [f"{len(cell.passed)} passed"] if cell.passed else []
    parts += [f"{len(cell.failed)} failed"] if cell.failed else []
    parts += [f"{len(cell.open)} open"] if cell.open else []
    return f"{cell.grade}: {', '.join(parts)}"
