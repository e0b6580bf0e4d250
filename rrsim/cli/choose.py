"""Which scenarios a command works on: load paths, filter, and find one by name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from typing import Any

from rrsim.cli.errors import CommandError
from rrsim.scenario.model import Scenario

DEFAULT_ROOT = "scenarios"


def load(paths: Sequence[str]) -> tuple[list[Scenario], list[Any]]:
    """Load scenario files and folders; returns the cases and the problems of files that could not be used.

    Raises:
        CommandError: a path is not there.
    """
    wanted = list(paths) or [DEFAULT_ROOT]
    for path in wanted:
        if not os.path.exists(path):
            raise CommandError(
                "a scenario file or a folder of them", f"{path!r}, which does not exist",
                "another path, a checkout of rrsim, or a first file of your own: rrsim new my-case",
            )
    from rrsim.scenario.loader import load_paths

    report = load_paths(wanted)
    problems = list(report.problems)
    usable = []
    for scenario in report.scenarios:
        trouble = wrong_duration(scenario) if scenario.given.durations else None
        if trouble is None:
            usable.append(scenario)
        else:
            problems.append(trouble)
    return usable, problems


def wrong_duration(scenario: Scenario) -> Any:
    """Return the problem with the durations a scenario fixes by hand, or None: each must be a draw of the simulator."""
    from rrsim.backends.sim.draws import BadDraw, UnknownDraw, check_fixed
    from rrsim.scenario.errors import ScenarioProblem

    try:
        check_fixed(scenario.given.durations)
    except (BadDraw, UnknownDraw) as error:
        return ScenarioProblem(
            scenario.path, scenario.line, "given.durations", str(error), "docs/scenarios.md lists the names"
        )
    return None


def matching(scenarios: Sequence[Scenario], substring: str = "", covers: str = "") -> list[Scenario]:
    """Keep the cases that cover the id (a requirement or an edge case) and whose id is, or else contains, the text."""
    text, wanted = substring.casefold(), covers.casefold()
    exact = [s for s in scenarios if substring and s.id == substring]
    if exact:
        scenarios, text = exact, ""
    return [
        s
        for s in scenarios
        if text in s.id.casefold()
        and (not wanted or wanted in (i.casefold() for i in (*s.covers, *s.edge_cases)))
    ]


def listed(scenarios: Sequence[Scenario], path: str, among: Sequence[Scenario]) -> list[Scenario]:
    """Keep the cases whose ids stand in a file, one a line; empty lines and those that begin with ``#`` are remarks.

    Args:
        scenarios: what to choose from.
        path: the file.
        among: all cases there are: an id that is none of them is a mistake in the file.

    Raises:
        CommandError: the file cannot be read, or names cases that are not there.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError("--cases with a file of case ids, one a line", str(error), "rrsim list") from error
    wanted = {line for line in lines if line and not line.startswith("#")}
    strange = sorted(wanted - {s.id for s in among})
    if strange:
        near = difflib.get_close_matches(strange[0], [s.id for s in among], n=1, cutoff=0.4)
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        raise CommandError(
            f"ids of cases in {path}", f"{', '.join(map(repr, strange[:3]))}{more}, which no scenario here has",
            near[0] if near else "rrsim list",
        )
    return [s for s in scenarios if s.id in wanted]


def find_one(scenarios: Sequence[Scenario], name: str, case: str = "") -> Scenario:
    """Find one case by id, name, file or part of its name.

    Raises:
        CommandError: nothing fits, or several do; the message names candidates.
    """
    path = os.path.normpath(name)
    exact = [s for s in scenarios if name in (s.id, s.name) or (s.path and os.path.normpath(s.path) == path)]
    found = exact or [s for s in scenarios if name.casefold() in s.id.casefold()]
    if case:
        found = [s for s in found if s.case == case] or [s for s in found if case.casefold() in s.case.casefold()]
    if not found:
        near = difflib.get_close_matches(name, [s.id for s in scenarios], n=3, cutoff=0.4)
        hint = ", ".join(near) if near else "rrsim list"
        raise CommandError("the name of a scenario", f"{name!r}" + (f" case {case!r}" if case else ""), hint)
    if len(found) > 1 and len({s.name for s in found}) > 1:
        some = ", ".join(s.id for s in found[:5])
        raise CommandError("exactly one scenario", f"{name!r} fits {len(found)}: {some}", "its full name")
    return found[0]
