"""list, show, schema, coverage, replay, judge, new, and how fast and lightly things start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rrsim import __version__
from rrsim.cli import app as cli_app


def test_list(misspelt: Path, rrsim_cli: Any) -> None:
    """Cases with what they cover; a bad file is named and gives 64."""
    answer = rrsim_cli("list")
    assert answer.code == 64
    assert "comes-back" in answer.out
    assert "4 cases in 2 scenarios" in answer.out
    assert "misspelt.yaml:4" in answer.err
    data = json.loads(rrsim_cli("list", "--format", "json", "--covers", "R3").out)
    assert {c["scenario"] for c in data["cases"]} == {"three-places"}
    assert {p["path"] for p in data["problems"]} == {"scenarios/area/misspelt.yaml"}


def test_show(scenarios: Path, rrsim_cli: Any) -> None:
    """Times are relative, lanes are a column, and the verdict is at the end."""
    answer = rrsim_cli("show", "comes-back", "-v")
    assert answer.code == 0
    assert "  0:01.000  rep        rep restarts" in answer.out
    assert "resume window of restart 1: opened" in answer.out
    assert answer.out.index("RESUMED in the same session") < answer.out.index("restart 1, ordered")
    assert answer.out.rstrip().endswith("rrsim run scenarios/area/comes-back.yaml -k comes-back --seed 1")


def test_show_by_file_case_and_typo(scenarios: Path, rrsim_cli: Any) -> None:
    """A file is a name too; a case is chosen by its text; a typo gets a suggestion."""
    answer = rrsim_cli("show", "scenarios/area/three-places.yaml", "--case", "tools")
    assert answer.out.startswith("three-places[")
    assert "tools menu" in answer.out.splitlines()[0]
    answer = rrsim_cli("show", "come-back")
    assert answer.code == 64
    assert "comes-back" in answer.err


def test_show_of_a_failure_exits_1(wrong: Path, rrsim_cli: Any) -> None:
    """The exit code is the run's."""
    answer = rrsim_cli("show", "wrong-hope")
    assert answer.code == 1
    assert "expect verdict failed" in answer.out


def test_show_names_the_other_cases(scenarios: Path, rrsim_cli: Any) -> None:
    """One a line, ready to be copied."""
    answer = rrsim_cli("show", "three-places")
    assert answer.err.splitlines() == [
        "3 cases; this is 'place=chat window'; the others:",
        "  --case 'place=viewer toolbar'", "  --case 'place=tools menu'",
    ]


def test_show_says_whose_restart_it_was(scenarios: Path, rrsim_cli: Any) -> None:
    """With several customers a number alone says nothing."""
    two = (scenarios / "comes-back.yaml").read_text(encoding="utf-8").replace("steps:", "given: {customers: 2}\nsteps:")
    (scenarios / "two.yaml").write_text(two.replace("comes-back", "two"), encoding="utf-8")
    answer = rrsim_cli("show", "two")
    assert "resume window of restart 1 of session-1: opened" in answer.out
    assert "restart 1 of customer 1, ordered" in answer.out


def test_judge_sees_a_step_that_was_not_possible(scenarios: Path, rrsim_cli: Any) -> None:
    """What the run failed for is in the saved history and fails there too."""
    text = (scenarios / "comes-back.yaml").read_text(encoding="utf-8").replace("comes-back", "never")
    text = text.replace("expect:", "  - {do: customer answers, prompt: restart prompt, answer: yes}\nexpect:")
    (scenarios / "never.yaml").write_text(text, encoding="utf-8")
    assert "step customer answers: step impossible" in rrsim_cli("run", "-k", "never").out
    answer = rrsim_cli("judge", "out/failures/never-seed1", "--format", "json")
    assert answer.code == 1
    assert [c["cause"] for c in json.loads(answer.out)["run"]["checks"]] == ["step impossible"]


def test_schema(rrsim_cli: Any) -> None:
    """JSON Schema on stdout."""
    data = json.loads(rrsim_cli("schema").out)
    assert "steps" in json.dumps(data)


def test_coverage(wrong: Path, rrsim_cli: Any) -> None:
    """Graded modelled on the simulator; ``--check`` names the ids without a passing scenario."""
    answer = rrsim_cli("coverage", "--format", "json")
    data = json.loads(answer.out)
    rows = {r["id"]: r for r in data["rows"]}
    assert answer.code == 0
    assert rows["R1"]["state"] == "passed"
    assert rows["R1"]["backends"][0]["grade"] == "modelled"
    assert rows["R13"]["state"] == "failed"
    assert "R13" in data["missing"]
    assert "R1" not in data["missing"]
    answer = rrsim_cli("coverage", "--check")
    assert answer.code == 1
    assert "no passing one for R2," in answer.err
    assert "a failing one for R13" in answer.err


def test_coverage_knows_the_known_issues(wrong: Path, rrsim_cli: Any) -> None:
    """A failure that the list explains is open, as in ``run``: it proves nothing and breaks nothing."""
    Path("known-issues.yaml").write_text(
        "- {check: expect verdict, cause: resumed instead of expired, tracker: T-1, owner: us, expires: 2999-01-01}\n",
        encoding="utf-8",
    )
    rows = {r["id"]: r for r in json.loads(rrsim_cli("coverage", "--format", "json").out)["rows"]}
    assert rows["R13"]["backends"][0]["failed"] == []
    assert rows["R13"]["backends"][0]["open"] == ["wrong-hope"]
    answer = rrsim_cli("coverage", "--known-issues", "none", "--format", "json")
    assert {r["id"]: r["state"] for r in json.loads(answer.out)["rows"]}["R13"] == "failed"


def test_replay_and_judge(wrong: Path, rrsim_cli: Any) -> None:
    """A saved failure recurs with an identical history, and its history alone gives the same judgement."""
    rrsim_cli("run", "-k", "wrong-hope", "--seed", "5")
    bundle = "out/failures/wrong-hope-seed5"
    answer = rrsim_cli("replay", bundle)
    assert answer.code == 1
    assert "it recurs: failed, identical history" in answer.out
    answer = rrsim_cli("judge", bundle, "--format", "json")
    assert answer.code == 1
    run = json.loads(answer.out)["run"]
    assert (run["outcome"], run["seed"]) == ("failed", 5)
    fixed = (wrong / "wrong-hope.yaml").read_text().replace("expired", "resumed")
    (wrong / "wrong-hope.yaml").write_text(fixed)
    answer = rrsim_cli("judge", f"{bundle}/history.jsonl", "--scenario", str(wrong / "wrong-hope.yaml"))
    assert answer.code == 0


def test_replay_of_what_no_longer_happens(wrong: Path, rrsim_cli: Any) -> None:
    """A failure that is gone is said to be gone, and the exit code is that of the new run."""
    rrsim_cli("run", "-k", "wrong-hope")
    file = Path("out/failures/wrong-hope-seed1/scenario.json")
    file.write_text(file.read_text().replace('"expired"', '"resumed"'))
    answer = rrsim_cli("replay", str(file.parent), "--format", "json")
    data = json.loads(answer.out)
    assert answer.code == 0
    assert (data["recurs"], data["same_history"], data["saved_outcome"]) == (False, True, "failed")


@pytest.mark.parametrize("damage", ["none", "missing", "cut", "other"])
def test_replay_of_a_damaged_bundle(wrong: Path, rrsim_cli: Any, damage: str) -> None:
    """A bundle that cannot be used is bad usage, with the reason."""
    rrsim_cli("run", "-k", "wrong-hope")
    folder = Path("out/failures/wrong-hope-seed1")
    if damage == "none":
        folder = Path("nowhere")
    elif damage == "missing":
        (folder / "scenario.json").unlink()
    elif damage == "cut":
        (folder / "result.json").write_text('{"format": 1, "run"')
    else:
        (folder / "result.json").write_text('{"format": 99, "run": {}, "digest": ""}')
    answer = rrsim_cli("replay", str(folder))
    assert answer.code == 64
    assert "expected:" in answer.err
    assert "Traceback" not in answer.err


def test_judge_of_no_history(tmp_path: Path, rrsim_cli: Any) -> None:
    """Something else than a history is bad usage."""
    (tmp_path / "h.jsonl").write_text("hello\n")
    assert rrsim_cli("judge", str(tmp_path / "h.jsonl")).code == 64
    assert rrsim_cli("judge", str(tmp_path / "none.jsonl")).code == 64


def test_new_writes_a_scenario_that_runs(scenarios: Path, rrsim_cli: Any) -> None:
    """What ``new`` writes loads and passes; it never overwrites."""
    answer = rrsim_cli("new", "my-case", "--area", "fresh")
    assert answer.code == 0
    assert answer.out.strip() == "scenarios/fresh/my-case.yaml"
    assert rrsim_cli("run", "scenarios/fresh").code == 0
    assert rrsim_cli("new", "my-case", "--area", "fresh").code == 64
    assert rrsim_cli("new", "../evil").code == 64
    assert rrsim_cli("new", "x", "--area", "../evil").code == 64


@pytest.mark.parametrize("error", [RuntimeError, ValueError, AssertionError])
def test_an_error_inside_rrsim_is_not_the_products(
    error: type[Exception], rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would end with 1, which says that the product failed."""
    def fails(*_: Any, **__: Any) -> None:
        raise error("a fault of ours")

    monkeypatch.setattr("rrsim.cli.choose.load", fails)
    answer = rrsim_cli("list")
    assert answer.code == 70
    assert f"saw: {error.__name__}: a fault of ours" in answer.err
    assert "Traceback" in answer.err


def test_version_and_help(rrsim_cli: Any) -> None:
    """Both are successes, and help names every command."""
    assert rrsim_cli("--version").out == f"rrsim {__version__}\n"
    answer = rrsim_cli("--help")
    assert answer.code == 0
    names = [c.name for c in cli_app.app.registered_commands]
    assert names == [
        "run", "list", "show", "compare", "schema", "coverage", "replay", "reap", "judge", "new", "broken", "bench",
        "doctor", "nights", "swarm", "shrink", "search", "conform", "serve",
    ]
    assert [n for n in names if n not in answer.out] == []


def _modules(code: str, cwd: Path) -> set[str]:
    """Run Python code in a process of its own and return the top modules it imported."""
    program = f"import sys\n{code}\nprint('|' + ' '.join(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=cwd, timeout=60,
        env={"PYTHONPATH": str(root), "PATH": ""},
    )
    return set(done.stdout.rpartition("|")[2].split())


def test_version_imports_nothing_heavy(tmp_path: Path) -> None:
    """``rrsim --version`` is asked by scripts: no typer, no msgspec, no scenario."""
    loaded = _modules("from rrsim.cli.main import run\nrun(['--version'])", tmp_path)
    assert loaded.isdisjoint({"typer", "rich", "msgspec", "yaml", "rrsim.scenario.model"})


def test_run_imports_only_what_it_uses(scenarios: Path, tmp_path: Path) -> None:
    """Start-up is part of speed: no event loop, no templates, no XML, no HTML unless asked."""
    loaded = _modules("from rrsim.cli.main import run\nassert run(['run']) == 0", tmp_path)
    assert "rrsim.backends.sim.runner" in loaded
    assert loaded.isdisjoint({"asyncio", "jinja2", "rich", "xml", "rrsim.report.html", "rrsim.broken", "pytest"})
