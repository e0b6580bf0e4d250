"""``rrsim run``: outputs, filters, exit codes, bad input, interruption."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rrsim.cli import backends
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import CheckResult, RunResult

RUN_FIELDS = {
    "scenario", "case", "backend", "seed", "outcome", "verdict", "restarts", "ids", "edge_cases", "checks", "events",
    "virtual_us", "wall_us", "path", "line", "meta", "reason", "stand_ins", "left_behind", "grades",
    "time_scale",
}


def test_seed_first_totals_and_success(scenarios: Path, rrsim_cli: Any) -> None:
    """A run that passes: seed and options on stderr, totals on stdout, exit code 0, no bundle."""
    answer = rrsim_cli("run")
    assert answer.code == 0
    assert answer.err.startswith("rrsim ")
    assert "backend sim · seed 1" in answer.err.splitlines()[0]
    assert "4 passed" in answer.out
    assert not Path("out").exists()


def test_json_is_the_documented_interface(scenarios: Path, rrsim_cli: Any) -> None:
    """stdout is JSON and nothing else; the fields are those of docs/cli.md."""
    answer = rrsim_cli("run", "scenarios", "--format", "json", "--seed", "7")
    data = json.loads(answer.out)
    assert set(data) == {"format", "rrsim", "runs", "problems", "stale_known_issues", "summary"}
    assert [r["scenario"] for r in data["runs"]] == ["comes-back", *["three-places"] * 3]
    first = data["runs"][0]
    assert set(first) == RUN_FIELDS
    assert first["outcome"] == "passed"
    assert first["verdict"] == "resumed"
    assert first["seed"] == 7
    assert first["ids"] == ["R1", "R8"]
    assert first["meta"] == {"owner": "team"}
    assert first["restarts"][0]["kind"] == "ordered"
    assert first["events"] > 0
    assert first["virtual_us"] > 0
    assert data["summary"]["passed"] == 4
    assert data["summary"]["exit_code"] == 0


def test_documented_fields_are_all_there() -> None:
    """docs/cli.md names every field of a run."""
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert [f for f in RUN_FIELDS if f"`{f}`" not in text] == []


def test_product_failure(wrong: Path, rrsim_cli: Any) -> None:
    """Exit code 1, the cause, a bundle, and the command that repeats it comes last."""
    answer = rrsim_cli("run")
    assert answer.code == 1
    assert "NEW FAILURE  expect verdict" in answer.out
    assert "4 passed, 1 failed" in answer.out
    again = answer.out.rstrip().split("\n\n")[-1]
    assert "rrsim run scenarios/area/wrong-hope.yaml -k wrong-hope --seed 1" in again
    assert [p.name for p in Path("out/failures").iterdir()] == ["wrong-hope-seed1"]


def test_bad_file_loses_nothing_else(misspelt: Path, rrsim_cli: Any) -> None:
    """A misspelt key: file, line and the right key; the others ran; exit code 64."""
    answer = rrsim_cli("run")
    assert answer.code == 64
    assert "misspelt.yaml:4" in answer.out
    assert "steps" in answer.out
    assert "4 passed" in answer.out


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["run", "nowhere"], 64, ["nowhere", "does not exist"]),
        (["run", "-k", "no such case"], 64, ["no such case", "rrsim list"]),
        (["run", "--covers", "R99"], 64, ["R99"]),
        (["run", "--seed", "many"], 64, ["many", "--seed 1"]),
        (["run", "--repeat", "0"], 64, ["--help"]),
        (["run", "--format", "xml"], 64, ["xml", "json"]),
        (["run", "--no-such-option"], 64, ["--no-such-option", "rrsim run --help"]),
        (["run", "--profile", "nobody"], 64, ["nobody", "gotoassist-corporate"]),
        (["run", "--time-scale", "10"], 64, ["10"]),
        (["run", "--agent", "acme"], 64, ["acme", "--backend wine"]),
        (["run", "--cases", "nowhere.txt"], 64, ["nowhere.txt", "rrsim list"]),
        (["run", "--backend", "abacus"], 64, ["abacus", "sim"]),
        (["run", "--backend", "libvirt", "--uri", "qemu+unix:///none?socket=/nowhere"], 70, ["libvirt", "doctor"]),
        (["run", "--backend", "libvirt", "--keep-vm", "perhaps"], 64, ["never, failed, always", "perhaps"]),
        (["run", "--backend", "libvirt", "--accelerator", "magic"], 64, ["kvm or tcg", "magic"]),
        (["run", "--image", "wine-guest"], 64, ["--image", "--backend sim"]),
        (["run", "--known-issues", "none.yaml"], 64, ["none.yaml"]),
        (["frobnicate"], 64, ["frobnicate"]),
        ([], 64, ["Usage"]),
    ],
)
def test_bad_usage(scenarios: Path, rrsim_cli: Any, argv: list[str], code: int, words: list[str]) -> None:
    """Named errors on stderr that say what to try; never a traceback."""
    answer = rrsim_cli(*argv)
    assert answer.code == code
    assert [w for w in words if w not in answer.err] == []
    assert "Traceback" not in answer.err
    assert answer.out == ""


def test_filters_and_repeat(scenarios: Path, rrsim_cli: Any) -> None:
    """``-k`` takes a part of the id, ``--covers`` an id, ``--repeat`` further seeds."""
    data = json.loads(rrsim_cli("run", "-k", "viewer", "--repeat", "3", "--format", "json").out)
    assert [(r["case"], r["seed"]) for r in data["runs"]] == [(data["runs"][0]["case"], s) for s in (1, 2, 3)]
    data = json.loads(rrsim_cli("run", "--covers", "r8", "--format", "json").out)
    assert [r["scenario"] for r in data["runs"]] == ["comes-back"]


def test_exact_id_beats_part_of_one(scenarios: Path, rrsim_cli: Any) -> None:
    """The reproduce line names one case, even if others contain its name."""
    more = (scenarios / "comes-back.yaml").read_text().replace("comes-back", "comes-back-too")
    (scenarios / "comes-back-too.yaml").write_text(more)
    data = json.loads(rrsim_cli("run", "-k", "comes-back", "--format", "json").out)
    assert [r["scenario"] for r in data["runs"]] == ["comes-back"]


def test_random_seed_is_printed(scenarios: Path, rrsim_cli: Any) -> None:
    """``--seed random`` can be repeated from what was printed."""
    answer = rrsim_cli("run", "-k", "comes-back", "--seed", "random", "--format", "json")
    seed = json.loads(answer.out)["runs"][0]["seed"]
    assert f"seed {seed}" in answer.err.splitlines()[0]


def test_reports_are_written(wrong: Path, rrsim_cli: Any) -> None:
    """JUnit and HTML go where asked, also into folders that are not there yet."""
    rrsim_cli("run", "--junit", "out/a/j.xml", "--html", "out/b/r.html")
    suites = ET.parse("out/a/j.xml").getroot()
    assert suites.get("tests") == "5"
    assert suites.get("failures") == "1"
    assert "wrong-hope" in Path("out/b/r.html").read_text()


def test_verbose_names_every_run(scenarios: Path, rrsim_cli: Any) -> None:
    """``-v`` prints one line a run on stderr."""
    answer = rrsim_cli("run", "-v")
    assert sum(line.startswith("passed") for line in answer.err.splitlines()) == 4


def _known(tmp: Path, check: str, cause: str, expires: str) -> None:
    (tmp / "known.yaml").write_text(
        f'- {{check: "{check}", cause: "{cause}", tracker: T-1, owner: team, expires: {expires}}}\n'
    )


def test_known_issue_does_not_fail(wrong: Path, tmp_path: Path, rrsim_cli: Any) -> None:
    """A matching entry makes the run pass; an expired one, or one that passes, fails it."""
    problem = json.loads(rrsim_cli("run", "-k", "wrong-hope", "--format", "json").out)["runs"][0]["checks"][0]
    _known(tmp_path, problem["check"], problem["cause"], "2999-01-01")
    answer = rrsim_cli("run", "--known-issues", "known.yaml", "--format", "json")
    data = json.loads(answer.out)
    assert answer.code == 0
    assert data["summary"]["known"] == 1
    assert "T-1" in next(r for r in data["runs"] if r["outcome"] == "known")["reason"]
    _known(tmp_path, problem["check"], problem["cause"], "2001-01-01")
    assert rrsim_cli("run", "--known-issues", "known.yaml").code == 1
    _known(tmp_path, "I7", "a cause that nobody sees", "2999-01-01")
    (wrong / "wrong-hope.yaml").unlink()
    answer = rrsim_cli("run", "--known-issues", "known.yaml")
    assert answer.code == 1
    assert "KNOWN ISSUES TO PUT RIGHT" in answer.out


def test_malformed_known_issues(scenarios: Path, tmp_path: Path, rrsim_cli: Any) -> None:
    """A list that cannot be read is bad usage, with its place."""
    (tmp_path / "known.yaml").write_text("- {check: I7}\n")
    answer = rrsim_cli("run", "--known-issues", "known.yaml")
    assert answer.code == 64
    assert "known.yaml:1" in answer.err


# --- with a runner of our own -----------------------------------------------------------------------------------------


class Fake:
    """A runner that does what the test says, run by run."""

    def __init__(self, *what: str) -> None:
        self.what = list(what)

    def __call__(self, scenario: Scenario, seed: int) -> RunResult:
        """Return, or raise, the next one."""
        word = self.what.pop(0)
        if word == "stop":
            raise KeyboardInterrupt
        if word == "crash":
            raise ZeroDivisionError("the model divided by zero")
        checks = (CheckResult(check="I1", outcome="unknown", message="no source"),) if word == "unknown" else ()
        if word == "failed":
            checks = (CheckResult(check="I2", outcome="failed", message="twice", cause="ticket accepted twice"),)
        return RunResult(scenario=scenario, backend="sim", seed=seed, outcome=msgspec.convert(word, Any), checks=checks)


def _use(monkeypatch: pytest.MonkeyPatch, *what: str) -> None:
    monkeypatch.setattr(backends, "runner_for", lambda name: Fake(*what))


def test_could_not_tell(scenarios: Path, rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown is no pass: exit code 2."""
    _use(monkeypatch, "passed", "unknown", "passed", "skipped")
    answer = rrsim_cli("run")
    assert answer.code == 2
    assert "COULD NOT TELL" in answer.out


def test_harness_crash_is_no_verdict(scenarios: Path, rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in one run is that run's error; the others ran; exit code 70."""
    _use(monkeypatch, "passed", "crash", "passed", "passed")
    answer = rrsim_cli("run", "--format", "json")
    data = json.loads(answer.out)
    assert answer.code == 70
    assert [r["outcome"] for r in data["runs"]] == ["passed", "error", "passed", "passed"]
    assert "ZeroDivisionError: the model divided by zero" in data["runs"][1]["reason"]


def test_fail_fast(scenarios: Path, rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs after the first failure."""
    _use(monkeypatch, "passed", "failed")
    answer = rrsim_cli("run", "--fail-fast", "--format", "json")
    assert answer.code == 1
    assert len(json.loads(answer.out)["runs"]) == 2


def test_interrupted_keeps_what_ran(scenarios: Path, rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C: the summary of what ran, and exit code 70."""
    _use(monkeypatch, "passed", "passed", "stop")
    answer = rrsim_cli("run")
    assert answer.code == 70
    assert "2 passed" in answer.out
    assert "stopped by the user after 2 of 4 runs" in answer.out
    _use(monkeypatch, "failed", "stop")
    assert rrsim_cli("run").code == 1


def test_a_report_that_cannot_be_written_does_not_cost_the_summary(wrong: Path, rrsim_cli: Any) -> None:
    """The summary and the JSON come all the same; the exit code says 70, or 1 if the product failed too."""
    (wrong / "taken").mkdir()
    answer = rrsim_cli("run", "-k", "comes-back", "--junit", str(wrong / "taken"))
    assert answer.code == 70
    assert "1 passed  (1 run," in answer.out
    assert "expected: files that can be read and written" in answer.err
    answer = rrsim_cli("run", "--html", str(wrong / "taken"), "--format", "json")
    assert answer.code == json.loads(answer.out)["summary"]["exit_code"] == 1
