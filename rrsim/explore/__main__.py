"""``python -m rrsim.explore [MODEL]``: search one model, or all of them, and print what was found.

Exit codes: 0 everything was seen and holds; 1 something is broken or never occurred; 2 not everything was seen; 64 no
such model.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from rrsim.explore.models import MODELS, UnknownModel, named
from rrsim.explore.search import Report, run
from rrsim.explore.text import lines

USAGE: Final = 64


def exit_code(reports: Sequence[Report]) -> int:
    """Return 1 if any search failed, else 2 if any is incomplete, else 0."""
    outcomes = {report.outcome for report in reports}
    return 1 if "failed" in outcomes else 2 if "incomplete" in outcomes else 0


def main(arguments: Sequence[str]) -> int:
    """Search the named models, or all, and return the exit code."""
    try:
        models = [named(name) for name in arguments or MODELS]
    except UnknownModel as problem:
        sys.stderr.write(f"{problem.args[0]}\n")
        return USAGE
    reports = []
    for model in models:
        report = run(model)
        reports.append(report)
        sys.stdout.write("\n".join(lines(model, report)) + "\n")
    return exit_code(reports)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
