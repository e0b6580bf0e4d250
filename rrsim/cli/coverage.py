"""``rrsim coverage``: which requirement is proved by which scenario on which backend, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from rrsim.cli import choose, engine
from rrsim.cli.errors import CommandError, say
from rrsim.cli.execute import plan
from rrsim.cli.exit_codes import PRODUCT, exit_code
from rrsim.cli.run import issues_file, mark_known, read_issues
from rrsim.report import json_out, terminal
from rrsim.report.matrix import Proof, Row, coverage_of, matrix_text, missing, proof_of, read_proofs


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    paths: tuple[str, ...] = ()
    backend: str = ""
    """Empty: the simulator, or whatever the results are of."""
    results: tuple[str, ...] = ()
    """Files that ``rrsim run --format json`` printed; without one the scenarios are run."""
    time_scale: float = 0.0
    check: bool = False
    format: str = "text"
    cases: bool = False
    seed: int = 1
    known_issues: str = ""


def coverage_command(wanted: Wanted) -> int:
    """Print the matrix of what was run before, or of what is run now.

    With ``check`` every R id needs a passing scenario and no failing one, else exit code 1. Known issues do not count.

    Raises:
        CommandError: a file of results cannot be used, or the backend is not there.
    """
    if wanted.results:
        problems: Sequence[object] = ()
        interrupted, proofs = False, [p for path in wanted.results for p in _read(path)]
        if wanted.backend:
            proofs = [p for p in proofs if p.backend == wanted.backend]
    else:
        proofs, problems, interrupted = _run(wanted)
    rows = coverage_of(proofs)
    gone = missing(rows)
    if wanted.format == "json":
        print(json_out.dumps({"rows": [_row(r) for r in rows], "missing": gone}))
    else:
        print(matrix_text(rows, cases=wanted.cases))
    for problem in problems:
        say(terminal.problem_text(problem))
    if gone:
        say("expected: a passing scenario, and no failing one, for every requirement\n"
            f"     saw: {_lacking(rows, gone)}\n     try: rrsim run --covers {gone[0]}")
    code = exit_code((), bad_input=bool(problems), interrupted=interrupted)
    return PRODUCT if wanted.check and gone else code


def _run(wanted: Wanted) -> tuple[list[Proof], Sequence[object], bool]:
    """Run the scenarios; return what they prove, the files that could not be used, and whether the user stopped it."""
    issues = read_issues(issues_file(wanted.known_issues))
    scenarios, problems = choose.load(wanted.paths)
    with engine.opened(wanted.backend or "sim", time_scale=wanted.time_scale) as opened:
        executed = opened.execute(list(plan(scenarios, wanted.seed, 1)), keep_history=lambda _: False)
    results, _ = mark_known(executed.results, issues, False)
    return [proof_of(r) for r in results], problems, executed.interrupted


def _read(path: str) -> list[Proof]:
    try:
        return read_proofs(msgspec.json.decode(Path(path).read_bytes()))
    except (OSError, ValueError) as error:
        raise CommandError(
            "--results with a file that rrsim run wrote", f"{path}: {error}", "rrsim run --format json > FILE"
        ) from error


def _lacking(rows: Sequence[Row], gone: Sequence[str]) -> str:
    failing = [row.id for row in rows if row.id in gone and row.state == "failed"]
    without = [i for i in gone if i not in failing]
    parts = [f"no passing one for {', '.join(without)}"] if without else []
    return "; ".join([*parts, *([f"a failing one for {', '.join(failing)}"] if failing else [])])


def _row(row: Row) -> dict[str, object]:
    cells = [{k: v for k, v in msgspec.to_builtins(c).items() if k != "id"} for c in row.cells]
    return {"id": row.id, "state": row.state, "backends": cells}
