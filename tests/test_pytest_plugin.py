"""The pytest plugin in processes of its own: collection, markers, outcomes, JUnit, known issues, xdist, fixture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]

GOOD = """\
rrsim: 1
name: comes-back
covers: [R1, R8, rule 3]
edge cases: [LO-01]
meta: {owner: team}
steps:
  - do: rep restarts
expect: {verdict: resumed}
"""

MATRIX = """\
rrsim: 1
name: three-places
covers: [R3]
matrix:
  place: [chat window, viewer toolbar, tools menu]
steps:
  - do: rep restarts
    from: ${place}
expect: {verdict: resumed}
"""

WRONG = GOOD.replace("comes-back", "wrong-hope").replace("resumed", "expired").replace("R1, R8", "R13")
MISSPELT = GOOD.replace("comes-back", "misspelt").replace("steps:", "stepps:")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with this checkout's ``conftest.py`` and two good scenario files."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    # Other plugins of this environment cost two seconds a process; one test below lets pytest find ours by itself.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "rrsim.pytest_plugin,pytest_timeout,xdist.plugin")
    pytester.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\naddopts = --strict-markers\n")
    _write(pytester, "boot/comes-back.yaml", GOOD)
    _write(pytester, "initiation/three-places.yaml", MATRIX)
    return pytester


def _found_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pytest find its plugins by their entry points."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")


def _write(pytester: pytest.Pytester, name: str, text: str) -> None:
    path = pytester.path / "scenarios" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_collects_cases_by_id_in_a_stable_order(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each case is an item; the header says backend and seed. The plugin is found as an installed one is."""
    _found_by_itself(monkeypatch)
    result = project.runpytest_subprocess("scenarios", "--collect-only", "-q", "--rrsim-seed", "4")
    lines = [x for x in result.outlines if "::" in x]
    assert lines[0] == "scenarios/boot/comes-back.yaml::comes-back"
    assert len(lines) == 4
    assert all(x.startswith("scenarios/initiation/three-places.yaml::three-places[") for x in lines[1:])
    result = project.runpytest_subprocess("scenarios", "--rrsim-seed", "4")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["rrsim: backend sim, seed 4"])


@pytest.mark.parametrize(
    ("marker", "passed"), [("R3", 3), ("R8 and not R3", 1), ("boot", 1), ("LO_01", 1), ("rule_3", 1), ("R6", 0)]
)
def test_markers(project: pytest.Pytester, marker: str, passed: int) -> None:
    """Requirement, area, edge case and rule select cases, also under --strict-markers."""
    result = project.runpytest_subprocess("scenarios", "-m", marker)
    result.assert_outcomes(passed=passed, deselected=4 - passed)


def test_failure_shows_timeline_seed_and_command(project: pytest.Pytester) -> None:
    """A product failure: what failed, the timeline around it, how to repeat it, JUnit failure with properties."""
    _write(project, "boot/wrong-hope.yaml", WRONG)
    result = project.runpytest_subprocess("scenarios", "--junitxml=j.xml", "--rrsim-seed", "3")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines([
        "expect verdict failed*",
        "timeline around it:",
        "seed 3, backend sim",
        "again: rrsim run scenarios/boot/wrong-hope.yaml -k wrong-hope --seed 3",
        "*pytest scenarios/boot/wrong-hope.yaml::wrong-hope --rrsim-seed 3",
        "*scenarios by check and cause*",
        "FAILED  expect verdict*(1)",
    ])
    result.stdout.no_fnmatch_line("*Traceback*")
    root = ET.parse(project.path / "j.xml").getroot()
    case = next(c for c in root.iter("testcase") if c.get("name") == "wrong-hope")
    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert properties["seed"] == "3"
    assert properties["backend"] == "sim"
    assert properties["ids"] == "R13,rule 3"
    assert properties["meta.owner"] == "team"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") not in (None, "rrsim.unknown", "rrsim.environment")


def test_broken_file_is_an_error_of_that_file_only(project: pytest.Pytester) -> None:
    """File, line and the right key; the others run if pytest is told to go on; a taken name is an error too."""
    _write(project, "boot/misspelt.yaml", MISSPELT)
    _write(project, "other/again.yaml", GOOD)
    result = project.runpytest_subprocess("scenarios", "--continue-on-collection-errors")
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines(["*scenarios/boot/misspelt.yaml:*stepps*"])
    result.stdout.fnmatch_lines(["*comes-back*scenarios/boot/comes-back.yaml*"])
    result.stdout.no_fnmatch_line("*Traceback*")


OUTCOMES = """
import msgspec
import rrsim.cli.backends as backends
from rrsim.scenario.result import CheckResult, RunResult

def fake(scenario, seed):
    words = {"comes-back": "unknown", "chat": "error", "viewer": "skipped"}
    word = next((w for part, w in words.items() if part in scenario.id), "passed")
    checks = (CheckResult(check="I5", outcome="unknown", message="no witness of the screen"),)
    if word == "error":
        raise RuntimeError("the world ended")
    return RunResult(scenario=scenario, backend="sim", seed=seed, outcome=word, reason="needs bcdedit",
                     checks=checks if word == "unknown" else ())

backends.runner_for = lambda name: fake
"""


def test_unknown_and_harness_are_errors_not_failures(project: pytest.Pytester) -> None:
    """JUnit: error with type rrsim.unknown or rrsim.environment; a missing capability is a skip with its name."""
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text(encoding="utf-8") + OUTCOMES, encoding="utf-8")
    result = project.runpytest_subprocess("scenarios", "--junitxml=j.xml", "-rs")
    result.assert_outcomes(passed=1, errors=2, skipped=1)
    result.stdout.fnmatch_lines(["*needs bcdedit*"])
    result.stdout.fnmatch_lines(["HARNESS *the world ended*", "COULD NOT TELL  I5*"])
    result.stdout.fnmatch_lines(["I5 unknown", "*no witness of the screen", "again: rrsim run *comes-back*"])
    result.stdout.no_fnmatch_line("*_execution.py*")
    root = ET.parse(project.path / "j.xml").getroot()
    types = {c.get("name"): e.get("type") for c in root.iter("testcase") for e in c.iter("error")}
    assert sorted(types.values()) == sorted(["rrsim.unknown", "rrsim.environment"])
    assert types["comes-back"] == "rrsim.unknown"
    assert not list(root.iter("failure"))


def test_known_issues(project: pytest.Pytester) -> None:
    """A matching failure is expected; an entry that expired, or whose scenarios pass, fails the session."""
    _write(project, "boot/wrong-hope.yaml", WRONG)
    entry = '- {{check: expect verdict, cause: "{}", tracker: T-1, owner: team, expires: {}}}\n'
    found = project.runpytest_subprocess("scenarios", "-k", "wrong")
    line = next(x for x in found.outlines if x.startswith("FAILED  expect verdict"))
    cause = line.split(": ", 1)[1].rsplit("  (", 1)[0] if ": " in line else "expect verdict"
    known = project.path / "known.yaml"
    known.write_text(entry.format(cause, "2999-01-01"), encoding="utf-8")
    result = project.runpytest_subprocess("scenarios", "--rrsim-known-issues", "known.yaml", "-rx")
    result.assert_outcomes(passed=4, xfailed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*known issue T-1*"])
    known.write_text(entry.format(cause, "2001-01-01"), encoding="utf-8")
    result = project.runpytest_subprocess("scenarios", "--rrsim-known-issues", "known.yaml")
    result.assert_outcomes(passed=4, failed=1)
    known.write_text(entry.format("what nobody sees", "2999-01-01"), encoding="utf-8")
    result = project.runpytest_subprocess("scenarios/initiation", "--rrsim-known-issues", "known.yaml")
    result.assert_outcomes(passed=3)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*known issues to put right*", "known.yaml:1:*"])


def test_xdist_runs_the_same_items(project: pytest.Pytester) -> None:
    """Workers agree on order and seed; groups and JUnit types reach the controller."""
    pytest.importorskip("xdist")
    _write(project, "boot/wrong-hope.yaml", WRONG)
    result = project.runpytest_subprocess("scenarios", "-n", "2", "--junitxml=j.xml", "--rrsim-seed", "random")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["FAILED  expect verdict*(1)"])
    root = ET.parse(project.path / "j.xml").getroot()
    assert len({p.get("value") for p in root.iter("property") if p.get("name") == "seed"}) == 1


PYTHON_TEST = """
import pytest
from rrsim.pytest_plugin import ScenarioFailed
from rrsim.scenario.loader import load_text

TEXT = "rrsim: 1\\nname: mine\\ncovers: [R1]\\nsteps: [{do: rep restarts}]\\nexpect: {verdict: VERDICT}\\n"

def test_good(rrsim):
    (case,) = load_text(TEXT.replace("VERDICT", "resumed"))
    assert rrsim.check(rrsim.run(case, seed=7)).seed == 7

def test_run_does_not_judge(rrsim):
    (case,) = load_text(TEXT.replace("VERDICT", "expired"))
    result = rrsim.run(case)
    assert result.outcome == "failed"
    with pytest.raises(ScenarioFailed):
        rrsim.check(result)

def test_short(rrsim_run):
    (case,) = load_text(TEXT.replace("VERDICT", "expired"))
    rrsim_run(case)
"""


def test_scenarios_in_python(project: pytest.Pytester) -> None:
    """The fixture runs a scenario built in Python; a failure shows the timeline and the seed."""
    project.makepyfile(PYTHON_TEST)
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "--rrsim-seed", "9")
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(["timeline around it:", "seed 9, backend sim", "again: pytest *::test_short *"])
    result.stdout.no_fnmatch_line("*rrsim run*")  # the scenario is in no file that rrsim could run


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--rrsim-backend", "wine"), "*xdotool*not found*apt-get install*"),
        (("--rrsim-backend", "libvirt"), "*libvirt*"),
        (("--rrsim-backend", "abacus"), "*abacus*"),
        (("--rrsim-seed", "many"), "*many*"),
        (("--rrsim-profile", "nobody"), "*gotoassist-corporate*"),
        (("--rrsim-time-scale", "5"), "*--time-scale 1*"),
        (("--rrsim-image", "mine"), "*--image with --backend libvirt*"),
        (("--rrsim-slots", "two"), "*a number of machines*two*"),
        (("--rrsim-keep-vm", "sometimes"), "*never, failed, always*sometimes*"),
        (("--rrsim-known-issues", "none.yaml"), "*none.yaml*"),
    ],
)
def test_bad_options(
    project: pytest.Pytester, options: tuple[str, str], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Usage errors before anything runs."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("RRSIM_LIBVIRT_URI", "qemu+unix:///none?socket=/nowhere")
    result = project.runpytest_subprocess("scenarios", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([word])


def test_default_timeout(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """With pytest-timeout and no time-out set, a case that hangs is stopped; a set time-out wins."""
    _found_by_itself(monkeypatch)
    pytest.importorskip("pytest_timeout")
    conftest = project.path / "conftest.py"
    conftest.write_text(
        conftest.read_text(encoding="utf-8")
        + "\ndef pytest_collection_modifyitems(items):\n"
        "    for item in items:\n        print('LIMIT', [m.args for m in item.iter_markers('timeout')])\n",
        encoding="utf-8",
    )
    result = project.runpytest_subprocess("scenarios", "--collect-only", "-s")
    assert "LIMIT [(60,)]" in "".join(result.outlines)
    result = project.runpytest_subprocess("scenarios", "--collect-only", "-s", "--timeout", "5")
    assert "LIMIT []" in "".join(result.outlines)


def test_other_yaml_is_left_alone(project: pytest.Pytester) -> None:
    """Only files with a line that starts with ``rrsim:`` are scenarios, wherever they are."""
    (project.path / "other.yaml").write_text("name: not one\n", encoding="utf-8")
    (project.path / "one.yaml").write_text(GOOD.replace("comes-back", "elsewhere"), encoding="utf-8")
    result = project.runpytest_subprocess("--collect-only", "-q")
    assert [x for x in result.outlines if x.startswith("o")] == ["one.yaml::elsewhere"]


PRETENDED = """

import contextlib
import os
import time

import msgspec
from rrsim.cli import engine


class Pretended(engine.Simulated):
    def __init__(self, waits):
        super().__init__()
        self.waits = waits

    def run(self, scenario, seed):
        self.waits(True)
        time.sleep(float(os.environ.get("WAITS_S", 0)))
        self.waits(False)
        time.sleep(float(os.environ.get("PLAYS_S", 0)))
        return msgspec.structs.replace(super().run(scenario, seed), left_behind=("the machine pc-1: rrsim reap",))


@contextlib.contextmanager
def opened(backend, *, vm, waits, **options):
    print("CHOSEN", backend, sorted(vm.items()))
    yield Pretended(waits)


engine.opened = opened
"""
"""A conftest's live backend: it waits for its machines, plays, and leaves one behind."""


@pytest.fixture
def pretended(project: pytest.Pytester) -> pytest.Pytester:
    """The project with such a backend."""
    project.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8") + PRETENDED)
    return project


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_what_is_left_behind_is_named_once_and_changes_no_outcome(
    pretended: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    result = pretended.runpytest_subprocess("scenarios/boot", "--rrsim-backend", "wine", *workers)
    result.assert_outcomes(passed=1)
    lines = [line for line in result.outlines if "pc-1" in line]
    assert lines == ["scenarios/boot/comes-back.yaml::comes-back: the machine pc-1: rrsim reap"]
    result.stdout.fnmatch_lines(["*left behind, which changes no outcome*"])


def test_choices_for_virtual_machines(pretended: pytest.Pytester) -> None:
    """The same as those of the command line, and none of them unless it is chosen."""
    backend = ("scenarios/boot", "-s", "--rrsim-backend", "libvirt")
    result = pretended.runpytest_subprocess(
        *backend, "--rrsim-image", "mine", "--rrsim-uri", "test:///default", "--rrsim-accelerator", "tcg",
        "--rrsim-slots", "3", "--rrsim-keep-vm", "failed", "--rrsim-cold",
    )
    chosen = {"accelerator": "tcg", "cold": True, "image": "mine", "keep": "failed", "slots": 3, "uri": "test:///default"}
    assert [line for line in result.outlines if line.endswith(f"CHOSEN libvirt {sorted(chosen.items())}")] != []
    pretended.runpytest_subprocess(*backend).stdout.fnmatch_lines(["CHOSEN libvirt []*"])


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_waiting_for_machines_counts_against_no_time_out(
    pretended: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Neither for a case nor for a test that plays one; the limit holds for what follows."""
    pytest.importorskip("pytest_timeout")
    monkeypatch.setenv("WAITS_S", "1.5")
    pretended.makepyfile(PYTHON_TEST.replace("rrsim_run(case)", "rrsim.run(case)").replace("rrsim_run", "rrsim"))
    words = ("--rrsim-backend", "libvirt", "--timeout", "1", "--timeout-method", method, "-p", "no:cacheprovider")
    pretended.runpytest_subprocess("scenarios/boot", *words).assert_outcomes(passed=1)
    result = pretended.runpytest_subprocess("-k", "test_short", *words)
    result.assert_outcomes(passed=1, deselected=6)
    monkeypatch.setenv("PLAYS_S", "3")
    result = pretended.runpytest_subprocess("scenarios/boot", *words)
    assert result.ret != 0
    assert "Timeout" in "".join([*result.outlines, *result.errlines])
