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
