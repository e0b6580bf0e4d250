"""``rrsim list``, ``show`` and ``schema``."""

from __future__ import annotations

import shlex
import sys
from typing import Final

from rrsim.cli import backends, choose
from rrsim.cli.errors import CommandError, say
from rrsim.cli.exit_codes import exit_code
from rrsim.report import json_out, terminal
from rrsim.report.phrases import plural

MOST_CASES: Final = 12
"""How many other cases of a scenario ``show`` names."""


def list_cases(paths: tuple[str, ...], keyword: str, covers: str, format_: str) -> int:
    """Print the cases, as a table or as JSON; files that cannot be used are named and give exit code 64."""
    scenarios, problems = choose.load(paths)
    chosen = choose.matching(scenarios, keyword, covers)
    if format_ == "json":
        cases = [
            {
                "scenario": s.name, "case": s.case, "area": s.area, "ids": list(s.covers),
                "edge_cases": list(s.edge_cases), "path": s.path, "line": s.line, "about": s.about,
                "meta": dict(s.meta),
            }
            for s in chosen
        ]
        print(json_out.dumps({"cases": cases, "problems": [json_out.problem_object(p) for p in problems]}))
    else:
        width = min(max((len(s.id) for s in chosen), default=0), 64)
        for s in chosen:
            print(f"{s.area:<12} {s.id:<{width}}  {', '.join((*s.covers, *s.edge_cases))}")
        print(f"{plural(len(chosen), 'case')} in {plural(len({s.name for s in chosen}), 'scenario')}")
        for problem in problems:
            say(terminal.problem_text(problem))
    return exit_code((), bad_input=bool(problems))


def show(name: str, case: str, root: str, seed: int, profile: str, everything: bool) -> int:
    """Run one case and print its timeline with the verdicts at the end.

    ``name`` may be a file, which then is the only place to look.
    """
    import os

    scenarios, problems = choose.load((name,) if os.path.isfile(name) else (root,))
    if not scenarios and problems:
        raise CommandError("a scenario that can be used", terminal.problem_text(problems[0]), "rrsim list")
    scenario = backends.with_profile(choose.find_one(scenarios, name, case), profile)
    result = backends.run_safely(backends.runner_for("sim"), scenario, seed)
    cases = [s for s in scenarios if s.name == scenario.name]
    if len(cases) > 1 and not case:
        others = [f"  --case {shlex.quote(s.case)}" for s in cases if s.case != scenario.case]
        more = [f"  and {len(others) - MOST_CASES} more, which rrsim list names"] if len(others) > MOST_CASES else []
        say("\n".join([f"{len(cases)} cases; this is {scenario.case!r}; the others:", *others[:MOST_CASES], *more]))
    print(terminal.show(result, everything=everything, paint=terminal.Paint(sys.stdout.isatty())))
    return exit_code([result.outcome])


def schema() -> int:
    """Print the JSON Schema of scenario files."""
    from rrsim.scenario.schema import json_schema

    print(json_out.dumps(json_schema()))
    return 0
