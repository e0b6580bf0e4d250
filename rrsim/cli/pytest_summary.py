"""What pytest says of scenarios at the end of a session: failures by check and cause, stale issues, leavings.

Part of the pytest plugin, which registers a :class:`Reporter` for each session.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

UNKNOWN: Final = "rrsim.unknown"
ENVIRONMENT: Final = "rrsim.environment"

RAN: Final = "rrsim_ran"
"""Attribute of a report: case, outcome before known issues, checks that did not pass. Travels from xdist workers."""
TOLD: Final = "rrsim_told"
"""Attribute of a report: what kind of trouble, which check, which cause."""


class Reporter:
    """Collects failures by check and cause, and sets the type of JUnit errors. One a session."""

    def __init__(self, config: pytest.Config, issues: Any) -> None:
        """``issues``: the list of known issues, as loaded; None: there is none."""
        self._config, self._issues = config, issues
        self.groups: dict[tuple[str, str, str], list[str]] = {}
        self.ran: list[list[Any]] = []
        self.stale: tuple[Any, ...] = ()
        self.left: dict[str, None] = {}
        """What could not be taken away, each named once though several reports of an item carry it."""

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the session if a known issue has expired, or if its scenarios ran and passed."""
        if self._issues is None or hasattr(self._config, "workerinput") or not self.ran:
            return
        from rrsim.cli.clock import today
        from rrsim.scenario import known_issues

        self.stale = known_issues.stale(self.ran, self._issues, today(), complete=_whole(self._config))
        if self.stale and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure; runs after pytest's own JUnit writer, whose entry gets the right type."""
        from rrsim.report.junit import LEFT_BEHIND  # only now: it is not part of what every pytest starts with

        self.left.update({f"{report.nodeid}: {text}": None for name, text in report.user_properties
                          if name == LEFT_BEHIND})
        ran = getattr(report, RAN, None)
        if ran is not None:
            self.ran.append(ran)
        told = getattr(report, TOLD, None)
        if told is None:
            return
        kind, check_name, cause = told
        self.groups.setdefault((kind, check_name, cause), []).append(report.nodeid)
        _set_junit_type(self._config, report, kind or cause or check_name)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print failures grouped by check and cause: the product's first, then the rest; large groups first."""
        if self.stale:
            terminalreporter.section("known issues to put right")
            for problem in self.stale:
                terminalreporter.write_line(str(problem))
        if self.left:
            terminalreporter.section("left behind, which changes no outcome")
            for line in self.left:
                terminalreporter.write_line(line)
        if not self.groups:
            return
        terminalreporter.section("scenarios by check and cause")
        for (kind, check_name, cause), nodes in sorted(self.groups.items(), key=_rank):
            label = {"": "FAILED", UNKNOWN: "COULD NOT TELL", ENVIRONMENT: "HARNESS"}[kind]
            title = f"{check_name}: {cause}" if cause not in ("", check_name) else check_name
            terminalreporter.write_line(f"{label}  {title}  ({len(nodes)})")
            for node in nodes[:5]:
                terminalreporter.write_line(f"    {node}")
            if len(nodes) > 5:
                terminalreporter.write_line(f"    and {len(nodes) - 5} more")


def _whole(config: pytest.Config) -> bool:
    """Tell whether everything under the given folders ran, so that an issue without a pattern must have matched."""
    picked = any(getattr(config.option, name, None) for name in ("keyword", "markexpr", "lf", "maxfail"))
    return not picked and all(Path(a).is_dir() for a in config.args)


def _rank(item: tuple[tuple[str, str, str], list[str]]) -> tuple[int, int, str]:
    (kind, check_name, _), nodes = item
    return ("", ENVIRONMENT, UNKNOWN).index(kind), -len(nodes), check_name


def _set_junit_type(config: pytest.Config, report: pytest.TestReport, kind: str) -> None:
    """Give the entry that pytest's JUnit writer just made a type; pytest offers no public way for that."""
    try:
        from _pytest.junitxml import xml_key
    except ImportError:
        return
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    for node in reversed(xml.node_reporter(report).nodes):
        if node.tag in ("failure", "error"):
            node.set("type", kind)
            return
