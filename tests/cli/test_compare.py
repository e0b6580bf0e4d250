"""``rrsim compare``: its exit codes, what it prints, and that nothing compared is no success."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rrsim.backends.sim.runner import run
from rrsim.broken.agent_bugs import BUGS
from rrsim.broken.on_wine import PLAN
from rrsim.cli import engine
from rrsim.cli.app import invoke
from rrsim.cli.execute import Executed
from rrsim.scenario.history import History
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult
from rrsim.scenario.words import Duration
from tests.report.wrong_models import WRONG

CASE = "same-user"
REAL_OPENED = engine.opened


class Pretend:
    """A real machine that is played by the simulator."""

    def __init__(self, change: Any) -> None:
        self._change = change

    def execute(self, runs: Sequence[tuple[Scenario, int]], *, each: Any, **_: Any) -> Executed:
        results = [msgspec.structs.replace(self._change(case, seed), backend="wine") for case, seed in runs]
        for result in results:
            each(result)
        return Executed(results)


@pytest.fixture
def wine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the other side of a comparison: a function of case and seed."""

    def be(change: Any) -> None:
        @contextmanager
        def opened(backend: str = "sim", **options: Any) -> Iterator[Any]:
            if backend == "wine":
                yield Pretend(change)
            else:
                with REAL_OPENED(backend, **options) as real:
                    yield real

        monkeypatch.setattr(engine, "opened", opened)

    return be


def test_the_same_on_both_sides(wine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    wine(run)
    assert invoke(["compare", CASE, "rep-says-no"]) == 0
    out = capsys.readouterr().out
    assert "same-user: sim and wine: equal" in out
    assert "events agree: server 14" in out
    assert "not compared:" in out
    assert out.splitlines()[-1] == "2 comparisons: 2 equal"


def test_a_list_of_cases(wine: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wine(run)
    listed = tmp_path / "cases.txt"
    listed.write_text("# two\ncustomer-agrees[agent=service]\n\nrep-says-no\n")
    assert invoke(["compare", "--cases", str(listed)]) == 0
    out = capsys.readouterr().out
    assert "customer-agrees[agent=service]: sim and wine: equal" in out
    assert "rep-says-no: sim and wine: equal" in out
    assert out.splitlines()[-1] == "2 comparisons: 2 equal"
    listed.write_text("no such case\n")
    assert invoke(["compare", "--cases", str(listed)]) == 64


def test_nothing_named_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare"]) == 64
    assert "the name of a scenario, or --cases FILE" in capsys.readouterr().err


def test_a_bug_on_one_side_is_exit_code_1_and_shown_side_by_side(wine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    parts = next(bug.parts for bug in BUGS if bug.name == "ticket left behind")()
    wine(lambda case, seed: run(case, seed, parts))
    assert invoke(["compare", CASE]) == 1
    out = capsys.readouterr().out
    assert "DIFFERENT: residue, customer 1" in out
    assert "left behind: nothing" in out
    assert "left behind: file:ticket" in out


def test_json_holds_the_same(wine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    parts = next(bug.parts for bug in BUGS if bug.name == "ticket left behind")()
    wine(lambda case, seed: run(case, seed, parts))
    assert invoke(["compare", CASE, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == 1
    (one,) = found["comparisons"]
    assert (one["scenario"], one["backends"], one["outcome"]) == (CASE, ["sim", "wine"], "different")
    residue = next(row for row in one["differences"] if row["witness"] == "residue")
    assert (residue["sim"], residue["wine"]) == (["left behind: nothing"], ["left behind: file:ticket"])
    assert one["compared"]["endpoint resumed"] == 1
    assert all(row["reason"] for row in one["not_compared"])


def _blind(case: Scenario, seed: int) -> RunResult:
    result = run(case, seed)
    assert result.history is not None
    return msgspec.structs.replace(result, history=History(result.history.header, []))


@pytest.mark.parametrize(("change", "code", "said"), [
    (lambda c, s: RunResult(scenario=c, backend="wine", seed=s, outcome="skipped", reason="needs sleep"), 2,
     "not run: on wine, skipped: needs sleep"),
    (lambda c, s: RunResult(scenario=c, backend="wine", seed=s, outcome="error", reason="lost"), 70,
     "not run: on wine, error: lost"),
    (_blind, 1, "DIFFERENT: server"),
])  # fmt: skip
def test_what_could_not_be_compared_is_no_success(
    change: Any, code: int, said: str, wine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    wine(change)
    assert invoke(["compare", CASE]) == code
    assert said in capsys.readouterr().out


SLOW = {"pc loading": 40_000_000, "pc services": 30_000_000, "pc shell": 60_000_000}


def slowly(case: Scenario, seed: int, parts: Any = None) -> RunResult:
    """A machine that takes its time: its power is cut while it goes down, and the server misses the agent first."""
    slow = {name: Duration(us) for name, us in SLOW.items()}
    given = msgspec.structs.replace(case.given, durations={**case.given.durations, **slow})
    result = run(msgspec.structs.replace(case, given=given), seed, *([parts] if parts is not None else []))
    return msgspec.structs.replace(result, scenario=case)


QUICK = {name: us // 40 for name, us in SLOW.items()}


def test_a_machine_of_another_speed_is_compared_with_the_model_at_its_speed(
    wine: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a quick machine the agent is back before the server misses it; the model says so too when it is as quick."""
    monkeypatch.setitem(globals(), "SLOW", QUICK)
    case = "power-cut-while-going-down"
    wine(slowly)
    assert invoke(["compare", case, "--case", "agent=application", "--format", "json"]) == 0
    one = json.loads(capsys.readouterr().out)["comparisons"][0]
    assert one["outcome"] == "equal"
    assert one["differed_before"] > 0
    assert one["durations"]["pc shell"] + one["durations"]["pc autostart"] > 0
    assert invoke(["compare", case, "--case", "agent=application"]) == 0
    assert "differences with the model's own durations; with the machine's: " in capsys.readouterr().out


@pytest.mark.parametrize(("name", "case"), PLAN, ids=[name for name, _ in PLAN])
def test_a_broken_agent_shows_though_the_model_is_asked_again(name: str, case: str, wine: Any) -> None:
    parts = next(bug.parts for bug in BUGS if bug.name == name)()
    wine(lambda one, seed: slowly(one, seed, parts))
    scenario, _, matrix = case.partition("[")
    assert invoke(["compare", scenario, "--case", matrix.rstrip("]")]) == 1


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_shows_though_the_model_is_asked_again(name: str, wine: Any) -> None:
    case, parts = WRONG[name]
    wine(lambda one, seed: run(one, seed, parts))
    scenario, _, matrix = case.partition("[")
    assert invoke(["compare", scenario, "--case", matrix.rstrip("]")]) == 1


@pytest.mark.parametrize(("words", "said"), [
    (["--backends", "sim"], "two backends with a comma between them"),
    (["--backends", "sim,moon"], "a backend: sim, wine"),
    (["--case", "no such case"], "the name of a scenario"),
])  # fmt: skip
def test_bad_usage(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", CASE, *words]) == 64
    assert said in capsys.readouterr().err
