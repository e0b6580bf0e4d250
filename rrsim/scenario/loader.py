"""Loading scenario files: one bad file says what is wrong with it and loses nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from rrsim.scenario.assemble import Assembler, check_version
from rrsim.scenario.errors import Place, ScenarioError, ScenarioProblem, TroubleFound
from rrsim.scenario.matrix import Case, changed_by_case, expand
from rrsim.scenario.model import Scenario
from rrsim.scenario.yaml_nodes import SLOW_PARSER, Document, parse_document, read_document

__all__ = ["LoadReport", "ScenarioError", "ScenarioProblem", "load_file", "load_paths", "load_text"]

SCENARIO_FOLDER: Final = "scenarios"
NOT_SCENARIOS: Final = frozenset({"known-issues.yaml"})
"""Files beside scenarios that are none."""

_MAX_PROBLEMS: Final = 50
"""Problems shown for one file; a file with more has one cause, and the rest is noise."""


class LoadReport(msgspec.Struct, frozen=True):
    """What came of loading files and folders."""

    scenarios: tuple[Scenario, ...]
    """Every case of every good file, in the order of the files."""
    problems: tuple[ScenarioProblem, ...]
    """Everything that is wrong; any problem means exit code 64."""
    notes: tuple[str, ...] = ()
    """Worth saying, but no mistake."""


def load_file(path: str | os.PathLike[str]) -> list[Scenario]:
    """Load one scenario file and return its cases (one without a matrix).

    Raises:
        ScenarioError: with every problem of the file.
    """
    return _cases(read_document(os.fspath(path)))


def load_text(text: str, path: str = "<text>") -> list[Scenario]:
    """Load a scenario from text; ``path`` stands in messages and decides the area.

    Raises:
        ScenarioError: with every problem of the text.
    """
    return _cases(parse_document(path, text))


def load_paths(paths: Iterable[str | os.PathLike[str]]) -> LoadReport:
    """Load files, and folders with all ``*.yaml`` files below them in sorted order.

    Never raises for what is in the files: each problem is reported, and the other files are loaded.
    """
    scenarios: list[Scenario] = []
    problems: list[ScenarioProblem] = []
    names: dict[str, Scenario] = {}
    seen: set[str] = set()
    for path in _files(paths, problems):
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            cases = load_file(path)
        except ScenarioError as error:
            problems += error.problems
            continue
        first = names.setdefault(cases[0].name, cases[0])
        if first.path != path:
            problems.append(
                ScenarioProblem(
                    path,
                    cases[0].line,
                    "name",
                    f"expected a name of its own, saw {first.name!r}, which is the name of "
                    f"{first.path}:{first.line} too",
                    "rename one of the two; this one was not loaded",
                )
            )
            continue
        scenarios += cases
    return LoadReport(tuple(scenarios), tuple(problems), (SLOW_PARSER,) if SLOW_PARSER else ())


def _files(paths: Iterable[str | os.PathLike[str]], problems: list[ScenarioProblem]) -> Iterator[str]:
    for given in paths:
        path = os.fspath(given)
        if not Path(path).is_dir():
            yield path
            continue
        found = False
        for file in _walk(path, problems):
            found = True
            yield file
        if not found:
            problems.append(
                ScenarioProblem(
                    path,
                    0,
                    "",
                    "expected scenario files (*.yaml), saw none in this folder",
                    "check the folder, or make one with 'rrsim new'",
                )
            )


def _walk(top: str, problems: list[ScenarioProblem]) -> Iterator[str]:
    def refused(error: OSError) -> None:
        problems.append(
            ScenarioProblem(
                str(error.filename),
                0,
                "",
                f"expected a readable folder, saw: {error.strerror}",
                "check its permissions",
            )
        )

    for folder, folders, files in os.walk(top, onerror=refused):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if file.startswith(".") or file in NOT_SCENARIOS:
                continue
            if file.endswith(".yml"):  # silently not running a scenario would be worse than a message
                problems.append(
                    ScenarioProblem(
                        str(Path(folder) / file),
                        0,
                        "",
                        "expected scenario files to end with .yaml, saw .yml",
                        "rename the file",
                    )
                )
            if file.endswith(".yaml"):
                yield str(Path(folder) / file)


def _cases(document: Document) -> list[Scenario]:
    troubles = check_version(document.data)
    if troubles:
        raise ScenarioError([document.problem(t) for t in troubles])
    try:
        cases = expand(document.data)
    except TroubleFound as error:
        raise ScenarioError([document.problem(t) for t in error.troubles]) from None
    area = area_of(document.path)
    assembler = Assembler()
    scenarios: list[Scenario] = []
    problems: dict[tuple[Place, str], ScenarioProblem] = {}
    for case in cases:
        line = document.position(case.at or ("name",), key=True)[0]
        try:
            scenarios.append(assembler.scenario(case.data, case=case.name, area=area, path=document.path, line=line))
        except TroubleFound as error:
            _keep(problems, error, document, case)
        if len(problems) >= _MAX_PROBLEMS:
            break
    if problems:
        raise ScenarioError(list(problems.values())[:_MAX_PROBLEMS])
    return scenarios


def _keep(
    problems: dict[tuple[Place, str], ScenarioProblem], error: TroubleFound, document: Document, case: Case
) -> None:
    """Report what is wrong in many cases only once, for the first of them."""
    for trouble in error.troubles:
        if (trouble.at, trouble.message) in problems:
            continue
        problem = document.problem(trouble, case.name)
        if "cases" in document.data and changed_by_case(document.data, case.data, trouble.at):
            line, column = document.position(case.at)
            problem = msgspec.structs.replace(problem, line=line, column=column)
        problems[trouble.at, trouble.message] = problem


def area_of(path: str) -> str:
    """Return the folder below ``scenarios/`` that a file is in, else the name of its folder."""
    folders = list(Path(path).absolute().parent.parts)
    if SCENARIO_FOLDER in folders:
        below = folders[len(folders) - folders[::-1].index(SCENARIO_FOLDER) :]
        return below[0] if below else ""
    return folders[-1]
