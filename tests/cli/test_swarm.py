"""``rrsim swarm``, ``rrsim shrink`` and ``rrsim bench --swarm`` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rrsim.cli import bench_swarm, swarm
from rrsim.cli.errors import CommandError
from rrsim.cli.shrink import backends_of
from rrsim.explore.swarm import plan as plans
from rrsim.explore.swarm.campaign import BIG_RUN, Report
from rrsim.explore.swarm.draw import draw_plan
from rrsim.explore.swarm.failures import Failure
from rrsim.explore.swarm.run import Group
from rrsim.scenario import loader
from rrsim.scenario.model import Expect

HANGS = """\
rrsim: 1
name: hangs
given: {agent: service, pc: {safe mode hangs: true, network: wifi}}
steps:
  - {do: rep chats}
  - {do: rep restarts, mode: safe}
  - {do: wait, delay: 7s}
expect: {boots: 1}
"""


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_seeds_are_played_and_told(rrsim_cli: Any) -> None:
    answer = rrsim_cli("swarm", "--seeds", "0..63", "--jobs", "1")
    assert answer.code == 0, answer.out
    assert "seeds 0..63" in answer.err.splitlines()[0]
    assert "64 runs (seeds 0..63)" in answer.out
    assert "not reached (only" in answer.out
    assert not Path("out").exists()


def test_json_is_one_object(rrsim_cli: Any) -> None:
    answer = rrsim_cli("swarm", "--seeds", "0..31", "--jobs", "1", "--format", "json")
    data = json.loads(answer.out)
    assert (data["format"], data["runs"], data["first"], data["last"]) == (1, 32, 0, 31)
    assert sum(data["outcomes"].values()) == 32
    assert data["exit_code"] == answer.code == 0
    assert len(data["digest"]) == 32


def test_time_ends_an_endless_swarm(rrsim_cli: Any) -> None:
    answer = rrsim_cli("swarm", "--seeds", "0..", "--time", "10ms", "--jobs", "1", "--format", "json")
    data = json.loads(answer.out)
    assert data["runs"] > 0
    assert not data["interrupted"]


@pytest.mark.parametrize("seeds", ["5..1", "x", "-1..3", "1..x", "..5", "1...3", f"0..{2**63}", ""])
def test_seeds_that_are_none(seeds: str) -> None:
    with pytest.raises(CommandError, match="FROM first"):
        swarm.parse_seeds(seeds)


@pytest.mark.parametrize(
    ("text", "seeds"), [("7", (7, 7)), ("0..9", (0, 9)), ("5..", (5, None)), ("3..3", (3, 3))]
)
def test_seeds_that_are_some(text: str, seeds: tuple[int, int | None]) -> None:
    assert swarm.parse_seeds(text) == seeds


@pytest.mark.parametrize("argv", [
    ("--seeds", "9..1"), ("--time", "soon"), ("--time", "0s"), ("--time", "5"), ("--format", "xml"),
])  # fmt: skip
def test_bad_options_are_usage_errors(rrsim_cli: Any, argv: tuple[str, ...]) -> None:
    assert rrsim_cli("swarm", *argv).code == 64


def test_a_cluster_that_is_not_there_is_the_environments_fault(rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rrsim.explore.cluster import on_dask

    monkeypatch.setattr(on_dask, "CONNECT_S", 0.3)
    answer = rrsim_cli("swarm", "--seeds", "0..9", "--cluster", "tcp://127.0.0.1:1")
    assert answer.code == 70
    assert "expected: a cluster that can be used" in answer.err


@pytest.mark.parametrize("argv", [("--explain", "77"), ("--seeds", "77..77", "-v")])
def test_a_seeds_plan_is_explained(rrsim_cli: Any, argv: tuple[str, ...]) -> None:
    answer = rrsim_cli("swarm", *argv)
    text = answer.out.partition("\n\n")[0]
    assert text.startswith("# seed 77; kinds of misfortune: ")
    (case,) = loader.load_text(text.replace("expect: {}", "expect: {boots: 0}"))
    assert case.steps == draw_plan(77).steps
    assert ("boot" in answer.out.partition("# passed")[2]) == ("-v" in argv)


def _report(*failures: Failure, **changes: Any) -> Report:
    groups = [Group(one, 1, [5]) for one in failures]
    return Report(**{"first": 0, "last": 9, "done": 10, "groups": groups} | changes)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (_report(), 0),
        (_report(Failure("I7", "x", known="SM-15")), 0),
        (_report(Failure("I7", "x")), 1),
        (_report(Failure("verdict", "x", sure=False)), 2),
        (_report(Failure("harness", "ValueError")), 70),
        (_report(interrupted=True), 70),
        (_report(lost=["seeds 0..9: gone"]), 70),
        (_report(apart=[3]), 70),
        (_report(Failure("I7", "x"), interrupted=True), 1),
        (_report(done=BIG_RUN), 1),
    ],
)
def test_exit_codes(report: Report, code: int) -> None:
    assert swarm.exit_code(report) == code


def test_a_failure_is_kept_with_plan_scenario_and_timeline(rrsim_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing explained, what is understood is news: two runs of this world hang in safe mode."""
    monkeypatch.setattr("rrsim.explore.swarm.failures.KNOWN", ())
    answer = rrsim_cli("swarm", "--seeds", "2176..2191", "--jobs", "1")
    assert answer.code == 1
    assert "FAILED  I6: left in safe mode" in answer.out
    folder = Path("out/swarm/i6-left-in-safe-mode")
    plan = plans.decode((folder / "plan.json").read_bytes())
    assert (plan.check, plan.cause) == ("I6", "left in safe mode")
    assert 2176 <= plan.seed <= 2191
    (case,) = loader.load_file(folder / "scenario.yaml")
    assert case.expect == Expect(broken_invariant="I6")
    assert rrsim_cli("run", str(folder / "scenario.yaml"), "--known-issues", "none").code == 0
    assert "I6: left in safe mode" in (folder / "failure.txt").read_text(encoding="utf-8")


def test_a_scenario_is_shrunk_to_a_file_that_runs(rrsim_cli: Any) -> None:
    Path("hangs.yaml").write_text(HANGS, encoding="utf-8")
    answer = rrsim_cli("shrink", "hangs.yaml", "--out", "deep/down/small.yaml")
    assert answer.code == 0, answer.err
    assert "3 steps became 1" in answer.out
    assert "sim: yes" in answer.out
    assert "wine: no, needs safe mode faults" in answer.out
    (case,) = loader.load_file("deep/down/small.yaml")
    assert len(case.steps) == 1
    assert case.given.pc.network == "lan"
    assert rrsim_cli("run", "deep/down/small.yaml").code == 0


def test_a_plan_file_is_shrunk_for_the_reason_it_was_kept_for(rrsim_cli: Any) -> None:
    (case,) = loader.load_text(HANGS)
    plan = plans.Plan(seed=1, given=case.given, steps=case.steps, check="I6", cause="left in safe mode")
    Path("plan.json").write_bytes(plans.encode(plan))
    assert rrsim_cli("shrink", "plan.json").code == 0
    assert Path("out/shrunk/i6-left-in-safe-mode.yaml").is_file()


def test_a_bundle_is_shrunk(rrsim_cli: Any) -> None:
    Path("mine.yaml").write_text(HANGS.replace("boots: 1", "verdict: resumed").replace("safe mode hangs: true, ", ""),
                                 encoding="utf-8")
    Path("bad.yaml").write_text(HANGS.replace("boots: 1", "boots: 7").replace("name: hangs", "name: bad"),
                                encoding="utf-8")
    assert rrsim_cli("run", "bad.yaml").code == 1
    answer = rrsim_cli("shrink", "out/failures/bad-seed1", "--check", "expect boots")
    assert answer.code == 0, answer.err
    (case,) = loader.load_file("out/shrunk/expect-boots-expect-boots.yaml") if Path(
        "out/shrunk/expect-boots-expect-boots.yaml").is_file() else loader.load_file(next(Path("out/shrunk").iterdir()))
    assert case.expect.boots == 7
    assert case.steps == ()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nothing-here", "a seed, a plan (JSON), a bundle or a scenario"),
        (str(2**70), "a seed from 0 to 2^63-1"),
        ("3", "something that fails on the simulator"),
        ("broken.json", "a plan that this version can use"),
        (".", "a bundle of rrsim run, or a folder of rrsim swarm"),
        ("two.yaml", "a scenario of one case"),
        ("no.yaml", "a scenario file that can be used"),
    ],
)
def test_what_cannot_be_shrunk_is_named(rrsim_cli: Any, what: str, words: str) -> None:
    Path("broken.json").write_bytes(plans.encode(draw_plan(7))[:-50])
    Path("no.yaml").write_text("rrsim: 1\n", encoding="utf-8")
    Path("two.yaml").write_text(HANGS.replace("network: wifi", 'network: "${n}"') + "matrix: {n: [lan, wifi]}\n",
                                encoding="utf-8")
    answer = rrsim_cli("shrink", what)
    assert answer.code == 64
    assert words in answer.err


def test_backends_say_what_they_lack() -> None:
    (case,) = loader.load_text(HANGS.replace("safe mode hangs: true, ", "").replace("network: wifi", "network: lan"))
    found = backends_of(case)
    assert found["sim"] == "yes"
    assert set(found) == {"sim", "wine", "libvirt"}
    assert found["wine"] == "yes"


def test_the_figures_of_a_swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are measured, and each says what it is held against; floors are for quiet machines."""
    monkeypatch.setattr(bench_swarm, "WORLDS_A_ROUND", 2)
    monkeypatch.setattr(bench_swarm, "RUNS_A_ROUND", 32)
    figures = {figure.name: figure for figure in bench_swarm.measure(memory_runs=200, rounds=1)}
    assert figures["swarm against the plain simulator"].floor == 0.8
    assert figures["swarm: one process"].value > 0
    assert figures["shrink a plan of 30 entries"].floor == 0.2
    assert 0.5 < figures["peak memory after 200 runs against 100"].value < 2
