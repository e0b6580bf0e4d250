"""Result files of nights: ours, other tools', and broken ones, of which the rest is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rrsim.nightly.outcomes import Run
from rrsim.nightly.read import night_folders, read_night, read_nights
from rrsim.nightly.read_json import read_json
from rrsim.nightly.read_junit import read_junit
from rrsim.report import json_out
from rrsim.report.junit import junit
from rrsim.scenario.loader import load_text
from rrsim.scenario.result import CheckResult, RunResult

ROOT = Path(__file__).resolve().parents[2]
CASE = """\
rrsim: 1
name: late
covers: [R13]
matrix:
  place: [chat window, tools menu]
steps: [{do: rep restarts, from: "${place}"}]
expect: {verdict: resumed}
"""


def results() -> list[RunResult]:
    """One run of each outcome."""
    cases = load_text(CASE)
    failed = CheckResult(check="I7", outcome="failed", cause="left behind")
    unsure = CheckResult(check="I7", outcome="unknown", cause="not seen")
    return [
        RunResult(scenario=cases[0], backend="wine", seed=1, outcome="passed", wall_us=1_500_000),
        RunResult(scenario=cases[0], backend="wine", seed=2, outcome="failed", wall_us=10, checks=(failed,)),
        RunResult(scenario=cases[1], backend="wine", seed=1, outcome="unknown", wall_us=10, checks=(unsure,)),
        RunResult(scenario=cases[1], backend="sim", seed=1, outcome="error", wall_us=10, reason="broke"),
        RunResult(scenario=cases[1], backend="sim", seed=2, outcome="known", wall_us=10, reason="known"),
        RunResult(scenario=cases[1], backend="sim", seed=3, outcome="skipped", wall_us=10, reason="needs x"),
    ]


def expected() -> set[tuple[str, str, int, str]]:
    return {(r.scenario.id, r.backend, r.seed, r.outcome) for r in results()}


def found(runs: tuple[Run, ...]) -> set[tuple[str, str, int, str]]:
    return {(run.case, run.backend, run.seed, run.outcome) for run in runs}


def test_what_rrsim_writes_can_be_read() -> None:
    """JSON and JUnit of the same runs say the same."""
    ours = json_out.dumps(json_out.run_report(results(), (), exit_code=1)).encode()
    runs, problems = read_json(ours, "a.json")
    assert (found(runs), problems) == (expected(), ())
    assert runs[0].seconds == 1.5
    again, problems = read_junit(junit(results()).encode(), "a.xml")
    assert (found(again), problems) == (expected(), ())
    assert {run.seconds for run in runs} == {run.seconds for run in again}


def test_reports_of_other_commands_are_no_problem() -> None:
    for name in ("figures", "bugs", "checks"):
        assert read_json(json.dumps({name: []}).encode(), "x.json") == ((), ())


@pytest.mark.parametrize("words", [
    ("conform", str(ROOT / "tests" / "product" / "recorded.jsonl"), "--format", "json"),
    ("swarm", "--seeds", "1..1", "--format", "json"),
    ("search", "mac", "--max-states", "1", "--json", "found.json"),
], ids=lambda words: words[0])
def test_what_the_other_steps_of_a_night_write_is_no_problem(words: tuple[str, ...], tmp_path: Path) -> None:
    """The commands themselves are asked: one whose report became another one must not fail every night from then on."""
    done = subprocess.run(
        [sys.executable, "-m", "rrsim", *words], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, check=False, timeout=120,
    )
    kept = tmp_path / "found.json"
    told = kept.read_bytes() if kept.is_file() else done.stdout
    assert told.startswith(b"{"), done.stderr
    assert read_json(told, "a.json") == ((), ())


@pytest.mark.parametrize(
    ("data", "line", "word"),
    [
        (b'{"format": 1,\n"runs": [\n{"scen', 3, "truncated"),
        (b'{"format": 1,\n"runs": [\n}', 3, "malformed"),
        (b"[1, 2]", 1, "object"),
        (b'{"format": 1}', 1, "runs"),
        (b'{"format": 2, "runs": []}', 1, "format 1"),
        (b"", 1, "truncated"),
        (b"\xff\xfe", 1, "malformed"),
    ],
)
def test_json_that_cannot_be_read_is_named(data: bytes, line: int, word: str) -> None:
    runs, (problem,) = read_json(data, "some/a.json")
    assert runs == ()
    assert str(problem).startswith(f"some/a.json:{line}: ")
    assert word in problem.message


def _report(*runs: dict[str, Any]) -> bytes:
    return json.dumps({"format": 1, "runs": runs}, indent=1).encode()


GOOD = {"scenario": "late", "backend": "sim", "outcome": "passed", "wall_us": 5}


def test_a_bad_run_costs_only_itself() -> None:
    """It is named by number and line; the others count."""
    data = _report(GOOD, {**GOOD, "outcome": "brilliant"}, {**GOOD, "case": "x"}, {"scenario": "late"})
    runs, problems = read_json(data, "a.json")
    assert [run.case for run in runs] == ["late", "late[x]"]
    lines = data.decode().splitlines()
    assert [problem.line for problem in problems] == [10, 23]
    assert lines[9] == lines[22] == "  {"
    assert "run 2 is left out" in problems[0].message


def test_equal_runs_have_their_own_lines() -> None:
    """The second of two equal bad runs is not mistaken for the first."""
    bad = {**GOOD, "outcome": "brilliant"}
    _, problems = read_json(_report(bad, GOOD, bad), "a.json")
    assert problems[0].line < problems[1].line


PYTEST = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="tests.live.test_x" name="test_a[1]" time="2.5"/>
<testcase classname="tests.live.test_x" name="test_b" time="0.1"><failure message="no">text</failure></testcase>
<testcase classname="tests.live.test_x" name="test_c" time="0"><error message="no">text</error></testcase>
<testcase classname="tests.live.test_x" name="test_d" time="0"><skipped type="pytest.skip" message="no"/></testcase>
<testcase classname="tests.live.test_x" name="test_e" time="0"><skipped type="pytest.xfail" message="no"/></testcase>
<testcase classname="tests.live.test_x" name="test_f" time="0"><system-out>failure</system-out></testcase>
</testsuite></testsuites>
"""


def test_other_tools_junit_is_read() -> None:
    """They know no backend, and name cases by class and name."""
    runs, problems = read_junit(PYTEST.encode(), "x.xml")
    assert problems == ()
    assert [run.outcome for run in runs] == ["passed", "failed", "error", "skipped", "known", "passed"]
    assert (runs[0].case, runs[0].backend, runs[0].seconds) == ("tests.live.test_x::test_a[1]", "tests", 2.5)


def test_repetitions_inside_a_case_count() -> None:
    """Maven writes a case that failed and then passed as passed, with the failure inside."""
    text = """<testsuite><testcase classname="C" name="n" time="1"><flakyFailure message="no"/></testcase>
    <testcase classname="C" name="m" time="1"><failure/><rerunFailure/></testcase></testsuite>"""
    runs, _ = read_junit(text.encode(), "x.xml")
    assert [(run.case, run.outcome) for run in runs] == [
        ("C::n", "failed"), ("C::n", "passed"), ("C::m", "failed"), ("C::m", "failed"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "word", "kept"),
    [
        (PYTEST[: PYTEST.index('name="test_c"')], 5, "the 2 cases before", 2),
        ("<testsuite>\n<testcase name='a'/>\n</testsuites>", 3, "mismatched", 1),
        ("", 1, "no element", 0),
        ("<html>\n</html>", 1, "<html>", 0),
        ('<!DOCTYPE x [<!ENTITY a "b">]>\n<testsuite/>', 1, "document type", 0),
        ("<testsuite>\n<testcase classname='C'/>\n<testcase name='b'/></testsuite>", 2, "with a name", 1),
        ("<testsuite>\n<testcase name='a' time='soon'/></testsuite>", 2, "'soon'", 1),
        ("<testsuite>\n<testcase name='a' time='-1'/></testsuite>", 2, "'-1'", 1),
        ("<testsuite>\n<testcase name='a' time='NaN'/></testsuite>", 2, "'NaN'", 1),
        ("<testsuite>\n<testcase name='a' time='Infinity'/></testsuite>", 2, "'Infinity'", 1),
    ],
)
def test_junit_that_is_broken_is_named_and_the_rest_kept(text: str, line: int, word: str, kept: int) -> None:
    runs, (problem,) = read_junit(text.encode(), "some/x.xml")
    assert str(problem).startswith(f"some/x.xml:{line}: "), problem
    assert word in problem.message
    assert len(runs) == kept


def test_thousands_in_a_time_are_read() -> None:
    runs, problems = read_junit(b"<testsuite><testcase name='a' time='1,234.5'/></testsuite>", "x.xml")
    assert (runs[0].seconds, problems) == (1234.5, ())


def test_many_bad_places_are_not_all_told() -> None:
    """A file of another kind must not fill the screen."""
    text = "<testsuite>" + "<testcase name='a' time='x'/>" * 500 + "</testsuite>"
    runs, problems = read_junit(text.encode(), "x.xml")
    assert (len(runs), len(problems)) == (500, 20)


def test_a_folder_of_a_night(tmp_path: Path) -> None:
    """JSON wins over JUnit of the same name; what lies deeper, and the record, is no result."""
    folder = tmp_path / "2031-01-31"
    (folder / "failures" / "late").mkdir(parents=True)
    (folder / "a.json").write_bytes(_report(GOOD))
    (folder / "a.xml").write_text("<testsuite><testcase name='late'/></testsuite>")
    (folder / "b.xml").write_text("<testsuite><testcase name='other'/></testsuite>")
    (folder / "broken.json").write_text('{"bugs": []}')
    (folder / "failures" / "late" / "result.json").write_bytes(_report(GOOD))
    (folder / "night.json").write_text('{"night": "2031-01-31", "began": "x", "exit_code": 70}')
    night = read_night(folder)
    assert [run.case for run in night.runs] == ["late", "other"]
    assert (night.exit_code, night.problems) == (70, ())


def test_junit_stands_in_for_json_that_cannot_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "2031-01-31"
    folder.mkdir()
    (folder / "a.json").write_text("{")
    (folder / "a.xml").write_text("<testsuite><testcase name='late'/></testsuite>")
    night = read_night(folder)
    assert [run.case for run in night.runs] == ["late"]
    assert night.problems[0].path.endswith("a.json")


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "2031-01-31"
    folder.mkdir()
    (folder / "night.json").write_text("{}")
    night = read_night(folder)
    assert night.exit_code is None
    assert "night.json" in night.problems[0].path


def test_only_folders_named_by_dates_are_nights(tmp_path: Path) -> None:
    for name in ("2031-01-02", "2031-01-01-2", "2031-01-01", "other", "2031-01-01-x"):
        (tmp_path / name).mkdir()
    (tmp_path / "latest").symlink_to("2031-01-02")
    (tmp_path / "2031-01-03").symlink_to("2031-01-02")
    (tmp_path / "2031-01-04").write_text("")
    assert [path.name for path in night_folders(tmp_path)] == ["2031-01-01", "2031-01-01-2", "2031-01-02"]
    assert [night.name for night in read_nights(tmp_path, last=1)] == ["2031-01-02"]
