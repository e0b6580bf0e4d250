"""``rrsim coverage``: which requirement is proved by which scenario on which backend, and how well."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rrsim.cli import backends, choose
from rrsim.cli.errors import say
from rrsim.cli.execute import execute, plan
from rrsim.cli.exit_codes import PRODUCT, exit_code
from rrsim.cli.run import issues_file, mark_known, read_issues
from rrsim.report import json_out, terminal
from rrsim.report.matrix import Row, coverage, matrix_text, missing


def coverage_command(
    paths: tuple[str, ...], check: bool, format_: str, cases: bool, seed: int, known_issues: str = "",
) -> int:
    """Run the scenarios and print the matrix.

    With ``check`` every R id needs a passing scenario and no failing one, else exit code 1. Known issues do not count.
    """
    issues = read_issues(issues_file(known_issues))
    runner = backends.runner_for("sim")
    scenarios, problems = choose.load(paths)
    executed = execute(list(plan(scenarios, seed, 1)), runner, keep_history=lambda _: False)
    results, _ = mark_known(executed.results, issues, False)
    rows = coverage(results)
    gone = missing(rows)
    if format_ == "json":
        print(json_out.dumps({"rows": [_row(r) for r in rows], "missing": gone}))
    else:
        print(matrix_text(rows, cases=cases))
    for problem in problems:
        say(terminal.problem_text(problem))
    if gone:
        say("expected: a passing scenario, and no failing one, for every requirement\n"
            f"     saw: {_lacking(rows, gone)}\n     try: rrsim run --covers {gone[0]}")
    code = exit_code((), bad_input=bool(problems), interrupted=executed.interrupted)
    return PRODUCT if check and gone else code


def _lacking(rows: Sequence[Row], gone: Sequence[str]) -> str:
    failing = [row.id for row in rows if row.id in gone and row.state == "failed"]
    without = [i for i in gone if i not in failing]
    parts = [f"no passing one for {', '.join(without)}"] if without else []
    return "; ".join([*parts, *([f"a failing one for {', '.join(failing)}"] if failing else [])])


def _row(row: Row) -> dict[str, object]:
    cells = [{k: v for k, v in msgspec.to_builtins(c).items() if k != "id"} for c in row.cells]
    return {"id": row.id, "state": row.state, "backends": cells}
