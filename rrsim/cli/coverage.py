"""``rrsim coverage``: which requirement is proved by which scenario on which backend, and how well."""

from __future__ import annotations

import msgspec

from rrsim.cli import backends, choose
from rrsim.cli.errors import say
from rrsim.cli.execute import execute, plan
from rrsim.cli.exit_codes import PRODUCT, exit_code
from rrsim.report import json_out, terminal
from rrsim.report.matrix import Row, coverage, matrix_text, missing


def coverage_command(paths: tuple[str, ...], check: bool, format_: str, cases: bool, seed: int) -> int:
    """Run the scenarios, print the matrix; with ``check`` every R id needs a passing scenario, else exit code 1."""
    runner = backends.runner_for("sim")
    scenarios, problems = choose.load(paths)
    executed = execute(list(plan(scenarios, seed, 1)), runner, keep_history=lambda _: False)
    rows = coverage(executed.results)
    gone = missing(rows)
    if format_ == "json":
        print(json_out.dumps({"rows": [_row(r) for r in rows], "missing": gone}))
    else:
        print(matrix_text(rows, cases=cases))
    for problem in problems:
        say(terminal.problem_text(problem))
    if gone:
        say(f"expected: a passing scenario for every requirement\n     saw: none for {', '.join(gone)}\n"
            "     try: rrsim run --covers " + gone[0])
    code = exit_code((), bad_input=bool(problems), interrupted=executed.interrupted)
    return PRODUCT if check and gone else code


def _row(row: Row) -> dict[str, object]:
    cells = [{k: v for k, v in msgspec.to_builtins(c).items() if k != "id"} for c in row.cells]
    return {"id": row.id, "state": row.state, "backends": cells}
