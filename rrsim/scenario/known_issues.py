"""Known issues: failures that are understood, tracked and owned, and that do not fail a run until they expire.

The file is a list::

    - check: I7                      # the check that fails
      cause: autostart entry left    # its cause, as the report groups it
      scenario: safe mode *          # optional: ids of cases, with * and ?
      tracker: PROJ-123
      owner: support team
      expires: 2031-01-31            # the last day on which the entry counts

An entry that has expired, or that no longer matches anything although its scenarios ran, fails the run: a list that
nobody has to clean grows until it hides things.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import msgspec

from rrsim.scenario.assemble import convert
from rrsim.scenario.errors import Place, ScenarioError, ScenarioProblem, Trouble, TroubleFound, shown
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import CheckResult, RunResult
from rrsim.scenario.words import Words
from rrsim.scenario.yaml_nodes import Document, parse_document, read_document


class _Entry(Words, frozen=True, kw_only=True):
    """An entry as it is written."""

    check: str
    cause: str
    scenario: str = ""
    tracker: str
    owner: str
    expires: str


class KnownIssue(msgspec.Struct, frozen=True, kw_only=True):
    """One known issue."""

    check: str
    cause: str
    scenario: str = ""
    """Pattern of case ids with ``*`` and ``?``; empty: every scenario. Brackets stand for themselves."""
    tracker: str
    owner: str
    expires: date
    """The last day on which it counts."""
    path: str = ""
    line: int = 0

    def concerns(self, scenario_id: str) -> bool:
        """Whether a case is one of those that the entry speaks of."""
        if not self.scenario:
            return True
        pattern = re.escape(self.scenario).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(pattern, scenario_id, re.DOTALL) is not None

    def explains(self, check: CheckResult) -> bool:
        """Whether a failed check is this issue."""
        return check.outcome == "failed" and check.check == self.check and check.cause == self.cause


def load(path: str | os.PathLike[str]) -> tuple[KnownIssue, ...]:
    """Read a list of known issues.

    Raises:
        ScenarioError: with every problem of the file.
    """
    return _issues(read_document(os.fspath(path)))


def load_text(text: str, path: str = "<text>") -> tuple[KnownIssue, ...]:
    """Read a list of known issues from text.

    Raises:
        ScenarioError: with every problem of the text.
    """
    return _issues(parse_document(path, text))


def _issues(document: Document) -> tuple[KnownIssue, ...]:
    data = document.data
    if not isinstance(data, list):
        trouble = Trouble((), f"expected a list of known issues, saw {shown(data)}", "- {check: …, cause: …, …}")
        raise ScenarioError([document.problem(trouble)])
    issues: list[KnownIssue] = []
    troubles: list[Trouble] = []
    seen: dict[tuple[str, str, str], int] = {}
    for index, item in enumerate(data):
        at: Place = (index,)
        try:
            issue = _issue(item, at, document)
        except TroubleFound as error:
            troubles += error.troubles
            continue
        key = (issue.check, issue.cause, issue.scenario)
        if key in seen:
            troubles.append(
                Trouble(at, f"expected every issue once, saw that of entry {seen[key] + 1} again", "remove one")
            )
        seen[key] = index
        issues.append(issue)
    if troubles:
        raise ScenarioError([document.problem(t) for t in troubles])
    return tuple(issues)


def _issue(item: Any, at: Place, document: Document) -> KnownIssue:
    entry: _Entry = convert(_Entry, item, at)
    troubles = [
        Trouble((*at, key), f"expected text for '{key}', saw none", "a few words")
        for key in ("check", "cause", "tracker", "owner")
        if not getattr(entry, key).strip()
    ]
    expires = _date(entry.expires)
    if expires is None:
        message = f"expected a date such as 2031-01-31, saw {shown(entry.expires)}"
        troubles.append(Trouble((*at, "expires"), message, "year-month-day"))
    if troubles or expires is None:
        raise TroubleFound(troubles)
    return KnownIssue(
        check=entry.check,
        cause=entry.cause,
        scenario=entry.scenario,
        tracker=entry.tracker,
        owner=entry.owner,
        expires=expires,
        path=document.path,
        line=document.position(at)[0],
    )


def _date(text: str) -> date | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:  # such as 2031-02-30
        return None


def apply(
    results: Sequence[RunResult], issues: Iterable[KnownIssue], today: date, *, complete: bool = True
) -> tuple[tuple[RunResult, ...], tuple[ScenarioProblem, ...]]:
    """Mark known failures, and say which entries have had their time.

    A failed run becomes ``known`` only if every failed check is explained by an issue that has not expired; if checks
    that could not tell remain, it becomes ``unknown``, because not knowing is never a pass.

    Args:
        results: what ran.
        issues: the known issues.
        today: the date to compare expiry with.
        complete: False if only a part of the scenarios was run; then entries for every scenario are not judged for
            having matched nothing.
    """
    all_issues = tuple(issues)
    valid = [issue for issue in all_issues if today <= issue.expires]
    matched: set[int] = set()
    marked = tuple(_mark(result, valid, matched) for result in results)
    problems = [_expired(issue, today) for issue in all_issues if today > issue.expires]
    for issue in valid:
        if id(issue) in matched or (not issue.scenario and not complete):
            continue
        if any(issue.concerns(r.scenario.id) and r.outcome not in ("skipped", "error") for r in results):
            problems.append(_passes(issue))
    return marked, tuple(problems)


def _mark(result: RunResult, issues: Sequence[KnownIssue], matched: set[int]) -> RunResult:
    if result.outcome != "failed":
        return result
    here = [issue for issue in issues if issue.concerns(result.scenario.id)]
    reasons: list[str] = []
    explained = True
    for check in result.checks:
        if check.outcome != "failed":
            continue
        fitting = [issue for issue in here if issue.explains(check)]
        matched.update(id(issue) for issue in fitting)
        explained = explained and bool(fitting)
        reasons += [
            f"known issue {i.tracker} ({i.owner}, until {i.expires.isoformat()}): {i.check}: {i.cause}"
            for i in fitting[:1]
        ]
    if not reasons or not explained:
        return result
    undecided = any(check.outcome == "unknown" for check in result.checks)
    reason = "; ".join(dict.fromkeys(reasons))
    return msgspec.structs.replace(result, outcome="unknown" if undecided else "known", reason=reason)


def _name(issue: KnownIssue) -> str:
    return f"{issue.check}: {issue.cause}" + (f" in {issue.scenario}" if issue.scenario else "")


def _expired(issue: KnownIssue, today: date) -> ScenarioProblem:
    return ScenarioProblem(
        issue.path,
        issue.line,
        _name(issue),
        f"expected a known issue that still counts, saw one that expired on {issue.expires.isoformat()} "
        f"(today is {today.isoformat()})",
        f"fix {issue.tracker}, or ask {issue.owner} for a new date",
    )


def _passes(issue: KnownIssue) -> ScenarioProblem:
    return ScenarioProblem(
        issue.path,
        issue.line,
        _name(issue),
        "expected this failure, saw its scenarios pass without it",
        f"close {issue.tracker} and remove the entry",
    )


def stale(
    ran: Iterable[Sequence[Any]], issues: Iterable[KnownIssue], today: date, *, complete: bool
) -> tuple[ScenarioProblem, ...]:
    """Return the entries that have expired or whose scenarios pass, for runs of which only this much is known.

    Args:
        ran: id of the case, its outcome, and each check that did not pass with outcome and cause.
        issues: the list.
        today: today's date.
        complete: as for :func:`apply`.
    """
    results = []
    for id_, outcome, checks in ran:
        name, bracket, case = id_.partition("[")
        scenario = Scenario(name=name, case=case.removesuffix("]") if bracket else "")
        found = tuple(CheckResult(check=check, outcome=o, cause=cause) for check, o, cause in checks)
        results.append(RunResult(scenario=scenario, backend="", seed=0, outcome=outcome, checks=found))
    return apply(results, issues, today, complete=complete)[1]
