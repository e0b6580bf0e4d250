"""JUnit XML of rrsim and of other tools, read so that one bad place costs only itself. Pure.

rrsim's own cases carry their backend and seed as properties; cases without them are some other tool's, named by class
and name. Maven's elements for repetitions, ``flakyFailure`` and ``rerunFailure``, count as what they are: a run that
failed besides.
"""

from __future__ import annotations

import math
import xml.parsers.expat
from typing import Final

from rrsim.nightly.outcomes import TESTS, Problem, Run
from rrsim.scenario.result import Outcome

BEFORE: Final = frozenset({"flakyFailure", "flakyError", "rerunFailure", "rerunError"})
MOST_PROBLEMS: Final = 20


class _Refused(Exception):
    """The document holds what no report needs."""


class _Reader:
    """Takes the elements as the parser meets them."""

    def __init__(self, path: str) -> None:
        self.runs: list[Run] = []
        self.problems: list[Problem] = []
        self._path = path
        self._parser = xml.parsers.expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._depth = 0
        self._case: dict[str, str] | None = None
        self._line = 0
        self._outcome: Outcome = "passed"
        self._before = 0
        self._properties: dict[str, str] = {}

    def read(self, data: bytes) -> None:
        """Read a whole document; what came before a broken place is kept."""
        try:
            self._parser.Parse(data, True)
        except xml.parsers.expat.ExpatError as error:
            said = xml.parsers.expat.errors.messages.get(error.code, str(error.code))
            kept = f"; the {len(self.runs)} cases before it are kept" if self.runs else ""
            self._problem(error.lineno, f"expected well-formed XML, saw: {said}{kept}", always=True)
        except _Refused as refused:
            self._problem(self._parser.CurrentLineNumber, str(refused), always=True)

    def _problem(self, line: int, message: str, always: bool = False) -> None:
        if always or len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(self._path, line, message))

    def _doctype(self, *_: object) -> None:
        raise _Refused("expected a JUnit report, saw a document type of its own, which none needs")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag not in ("testsuites", "testsuite"):
            raise _Refused(f"expected a JUnit report with <testsuites> or <testsuite> at its root, saw <{tag}>")
        if tag == "testcase":
            self._case, self._line = attributes, self._parser.CurrentLineNumber
            self._outcome, self._before, self._properties = "passed", 0, {}
        elif self._case is None:
            return
        elif tag == "property":
            self._properties[attributes.get("name", "")] = attributes.get("value", "")
        elif tag == "failure":
            self._outcome = "failed"
        elif tag == "error" and self._outcome != "failed":
            self._outcome = "unknown" if attributes.get("type") == "rrsim.unknown" else "error"
        elif tag == "skipped" and self._outcome == "passed":
            known = attributes.get("type") in ("rrsim.known", "pytest.xfail")
            self._outcome = "known" if known else "skipped"
        elif tag in BEFORE:
            self._before += 1

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "testcase" and self._case is not None:
            self._take(self._case)
            self._case = None

    def _take(self, case: dict[str, str]) -> None:
        name = case.get("name", "")
        if not name:
            self._problem(self._line, "expected a test case with a name, saw none; it is left out")
            return
        backend = self._properties.get("backend", "")
        id_ = name if backend else "::".join(part for part in (case.get("classname", ""), name) if part)
        seed = self._properties.get("seed", "0")
        number = int(seed) if seed.isdecimal() else 0
        self.runs += [Run(id_, backend or TESTS, "failed", None, number)] * self._before
        self.runs.append(Run(id_, backend or TESTS, self._outcome, self._seconds(case), number))

    def _seconds(self, case: dict[str, str]) -> float | None:
        text = case.get("time")
        if text is None:
            return None
        try:
            seconds = float(text.replace(",", ""))  # some tools group thousands
        except ValueError:
            seconds = math.nan
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
        self._problem(self._line, f"expected a time in seconds, saw {text!r}; the case counts without one")
        return None


def read_junit(data: bytes, path: str) -> tuple[tuple[Run, ...], tuple[Problem, ...]]:
    """Return the runs of a JUnit document, and what could not be used of it."""
    reader = _Reader(path)
    reader.read(data)
    return tuple(reader.runs), tuple(reader.problems)
