"""Playing a night: steps fail, hang, vanish and are stopped, and the night says so and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import msgspec
import pytest

from rrsim.nightly import plan
from rrsim.nightly import run as playing
from rrsim.nightly.plan import CASES, PARTS, Step, night, second_try
from rrsim.nightly.record import Record, StepRecord, code_of, night_code
from rrsim.nightly.run import Player
from rrsim.nightly.summary import summary
from tests.processes import ends


class Bench:
    """A night's folder and its pretend programs."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "2031-01-31"
        self.folder.mkdir()
        self.programs = tmp_path / "programs"
        self.programs.mkdir()
        self.said: list[str] = []

    def player(self, limit_s: float = 3600, grace_s: float = 5) -> Player:
        """A player of this night."""
        return Player(self.folder, self.programs, self.said.append, limit_s=limit_s, grace_s=grace_s)

    def kept(self) -> Record:
        """What the record on disk says."""
        return msgspec.json.decode((self.folder / "night.json").read_bytes(), type=Record)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Nothing played yet."""
    return Bench(tmp_path)


def step(name: str, script: str, limit_s: float = 60, **more: object) -> Step:
    """A step that is a shell script."""
    fields: dict[str, object] = {"part": "wine", "kind": "rrsim", **more}
    return msgspec.convert(
        {"name": name, "command": ["/bin/sh", "-c", script], "limit_s": limit_s, **fields}, type=Step
    )


def codes(record: Record) -> dict[str, tuple[str, int]]:
    """State and code of each step."""
    return {one.name: (one.state, one.code) for one in record.steps}


def test_a_step_that_fails_stops_nothing(bench: Bench) -> None:
    """The night ends with the worst code, by the order of all of rrsim's commands."""
    record = bench.player().play([step("a", "exit 2"), step("b", "exit 70"), step("c", "exit 0")])
    assert codes(record) == {"a": ("ended", 2), "b": ("ended", 70), "c": ("ended", 0)}
    assert record.exit_code == 70
    assert record.ended
    assert bench.kept() == record
    product = bench.player().play([step("a", "exit 70"), step("b", "exit 1")])
    assert product.exit_code == 1
    assert bench.player().play([step("a", "exit 0")]).exit_code == 0


def test_outputs_go_where_they_belong(bench: Bench) -> None:
    """Results to their file, the rest to the step's log; without results everything to the log."""
    bench.player().play([step("a", "echo result; echo word >&2", results="a.json"), step("b", "echo x; echo y >&2")])
    assert (bench.folder / "a.json").read_text() == "result\n"
    assert (bench.folder / "a.log").read_text() == "word\n"
    assert (bench.folder / "b.log").read_text() == "x\ny\n"


def test_a_step_that_hangs_is_asked_to_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may put its things away; its time over is the harness's failure, and the next step is played."""
    monkeypatch.setattr(playing, "LEAST_S", 0.1)
    script = "trap 'echo put away; exit 0' TERM; echo on; while :; do /bin/sleep 0.1; done"
    record = bench.player().play([step("a", script, 1.5, results="a.txt"), step("b", "exit 0")])
    assert codes(record) == {"a": ("timed out", 70), "b": ("ended", 0)}
    assert (bench.folder / "a.txt").read_text() == "on\nput away\n"
    assert record.exit_code == 70


def test_a_step_that_does_not_end_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it started in its own group."""
    monkeypatch.setattr(playing, "LEAST_S", 0.1)
    script = f"trap '' TERM; /bin/sleep 60 & echo $! >{bench.folder}/child; while :; do wait; done"
    record = bench.player(grace_s=0.5).play([step("a", script, 1.5)])
    assert codes(record) == {"a": ("timed out", 70)}
    assert ends(int((bench.folder / "child").read_text()))


def test_a_step_that_a_limit_ends_has_done_its_work(bench: Bench) -> None:
    """What is broken is broken all the same, and only a step that is meant to be stopped may be."""
    record = bench.player().play([step("a", "exit 2", deep=True), step("b", "exit 2"), step("c", "exit 1", deep=True)])
    assert codes(record) == {"a": ("ended", 0), "b": ("ended", 2), "c": ("ended", 1)}


def test_the_night_itself_has_an_end(bench: Bench) -> None:
    """A step for which no time is left is not begun, and counts as the harness's failure."""
    record = bench.player(limit_s=1).play([step("a", "exit 0")])
    assert codes(record) == {"a": ("not run", 70)}
    assert record.exit_code == 70


def test_a_program_that_is_not_there(bench: Bench) -> None:
    record = bench.player().play([Step(name="a", part="wine", kind="rrsim", command=("/no/such",), limit_s=60),
                                  step("b", "exit 0")])
    assert codes(record) == {"a": ("ended", 70), "b": ("ended", 0)}
    assert "cannot be started" in record.steps[0].note


def test_a_night_that_is_stopped(bench: Bench) -> None:
    """The step is ended, the others are not begun, the record says why, and the code is never 0."""
    pid = os.getpid()
    timer = threading.Timer(1.0, os.kill, (pid, signal.SIGTERM))
    timer.start()
    record = bench.player().play([step("a", "exec /bin/sleep 60"), step("b", "exit 0")])
    timer.join()
    assert codes(record) == {"a": ("stopped", 70), "b": ("not run", 70)}
    assert "SIGTERM" in record.steps[0].note
    assert record.exit_code == 70
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_night_that_is_stopped_while_all_is_well(bench: Bench) -> None:
    """Its last step ended with 0, and yet nobody let the night come to its end."""
    record = bench.player().play([step("a", "kill -TERM $PPID; exit 0")])
    assert codes(record)["a"] in (("ended", 0), ("stopped", 70))
    assert record.exit_code == 70


def test_a_night_that_was_killed_can_be_told(bench: Bench) -> None:
    """While a step is played the record on disk has no end and no code."""
    record = f"{bench.folder}/night.json"
    bench.player().play([step("a", f"cp {record} {bench.folder}/then.json")])
    then = msgspec.json.decode((bench.folder / "then.json").read_bytes(), type=Record)
    assert (then.exit_code, then.ended, then.steps[0].state) == (None, "", "running")


def report(*runs: tuple[str, str]) -> str:
    """A report of runs: case and outcome."""
    return json.dumps({"format": 1, "runs": [
        {"scenario": case, "backend": "wine", "outcome": outcome, "wall_us": 1} for case, outcome in runs
    ]})


def flaky(bench: Bench, first: str, code: int = 1) -> Step:
    """A step that reports so and ends so, and whose second try passes."""
    again = ("/bin/sh", "-c", f"cat \"$0\" >{bench.folder}/asked; exit 0", CASES)
    return step("a", f"echo '{first}'; exit {code}", results="a.json", again=again)


def test_a_second_try_never_hides_a_failure(bench: Bench) -> None:
    """What failed is played once more, and the night has failed all the same."""
    first = report(("late", "failed"), ("early", "passed"), ("odd", "unknown"), ("late", "passed"))
    record = bench.player().play([flaky(bench, first)])
    assert codes(record) == {"a": ("ended", 1), "a-again": ("ended", 0)}
    assert [one.counts for one in record.steps] == [True, False]
    assert record.exit_code == 1
    assert (bench.folder / "asked").read_text() == "late\nodd\n"


def test_there_is_no_second_try_without_need(bench: Bench) -> None:
    """Not if all passed, if nothing that ran failed, if too much failed for a flake, or without results."""
    for first, code in (
        (report(("late", "passed")), 0),
        (report(("late", "skipped"), ("x", "known")), 70),
        (report(*[(f"case {n}", "failed") for n in range(20)]), 1),
        ("nonsense", 70),
    ):
        assert list(codes(bench.player().play([flaky(bench, first, code)]))) == ["a"]


def test_a_second_try_that_fails_changes_nothing(bench: Bench) -> None:
    """Neither for better nor for worse."""
    one = flaky(bench, report(("late", "unknown")), 2)
    again = ("/bin/sh", "-c", "exit 1", CASES)
    record = bench.player().play([msgspec.structs.replace(one, again=again)])
    assert codes(record) == {"a": ("ended", 2), "a-again": ("ended", 1)}
    assert record.exit_code == 2


def test_programs_come_from_the_environment_that_plays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """rrsim's own folder comes first on PATH, and options of a make above do not reach one below."""
    monkeypatch.setenv("MAKEFLAGS", "n")
    (bench.programs / "rrsim").write_text("#!/bin/sh\necho \"$MAKEFLAGS,$RRSIM_BROKEN\"\n")
    (bench.programs / "rrsim").chmod(0o755)
    bench.player().play([step("a", "rrsim", environment={"RRSIM_BROKEN": "all"})])
    assert (bench.folder / "a.log").read_text() == ",all\n"


ROOT = Path(__file__).resolve().parents[2]
MADE_BY_HAND = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
MADE = "make[1]: *** [Makefile:51: nightly-vm] Error {}\n"


@pytest.mark.parametrize(
    ("kind", "own", "log", "code"),
    [
        ("rrsim", 0, "", 0), ("rrsim", 1, "", 1), ("rrsim", 2, "", 2), ("rrsim", 64, "", 64), ("rrsim", 70, "", 70),
        ("rrsim", -9, "", 70), ("rrsim", 139, "", 70),
        ("pytest", 0, "", 0), ("pytest", 1, "", 1), ("pytest", 2, "", 70), ("pytest", 5, "", 70),
        ("pytest", -11, "", 70),
        ("make", 0, MADE.format(1), 0), ("make", 2, MADE.format(1), 1), ("make", 2, MADE.format(70), 70),
        ("make", 2, MADE.format(2), 2), ("make", 2, MADE.format(1) + "later\n" + MADE.format(70), 70),
        ("make", 2, "make: *** No rule to make target 'nightly-vm'.  Stop.\n", 70), ("make", 2, "", 70),
        ("make", 2, "it said: make: *** [Makefile:1: x] Error 1\n", 70), ("make", 2, MADE.format(139), 70),
    ],
)
def test_what_an_end_means(kind: str, own: int, log: str, code: int) -> None:
    """make hides what its recipe ended with; its log does not."""
    assert code_of(kind, own, log) == code  # type: ignore[arg-type]  # one of the three


def test_a_night_without_a_step_is_no_success() -> None:
    assert night_code(()) == 70
    second = StepRecord(name="a", part="wine", command=(), state="ended", limit_s=1, counts=False, code=0)
    assert night_code((second,)) == 70


def test_the_plan() -> None:
    """Every part has its steps, every name is used once, every report goes into the night's folder."""
    steps = night(PARTS, "OUT", first_seed=5000, seeds=7, jobs=3)
    names = [one.name for one in steps]
    assert len(set(names)) == len(names)
    assert {one.part for one in steps} == set(PARTS)
    assert all(one.limit_s > 0 for one in steps)
    simulator = next(one for one in steps if one.name == "simulator").command
    assert simulator[:7] == ("rrsim", "run", "scenarios/", "--seed", "5000", "--repeat", "7")
    for one in steps:
        if one.command[:2] == ("rrsim", "run"):
            words = " ".join(one.command)
            for wanted in (f"--junit OUT/{one.name}.xml", f"--html OUT/{one.name}.html", "--format json",
                           f"--bundle-dir OUT/failures/{one.name}"):
                assert wanted in words
            assert one.results == f"{one.name}.json"
            assert (f"--histories OUT/histories/{one.name}" in words) == (one.part != "simulator")
    assert {one.part for one in night(["vm"], "OUT", first_seed=1)} == {"vm"}
    assert [one.name for one in steps if one.deep] == ["search-deep"]
    (swarm,) = (one.command for one in steps if one.name == "swarm")
    assert swarm[:4] == ("rrsim", "swarm", "--seeds", "50000000..")


def test_in_virtual_machines_nothing_waits_for_anything_to_pass(bench: Bench) -> None:
    """The real ten minutes, what the model says of them, and the tests are steps of their own, each with its code."""
    steps = night(["vm"], str(bench.folder), first_seed=1, jobs=3)
    ways = {one.command[:2] for one in steps}
    assert {("rrsim", "run"), ("rrsim", "conform"), ("rrsim", "image"), ("pytest", "tests")} <= ways
    assert all(one.counts for one in steps)
    for name in ("make", "rrsim", "pytest"):
        codes_of = 'case "$1" in run) exit 2;; conform) exit 1;; tests) exit 1;; esac; exit 70'
        (bench.programs / name).write_text(f"#!/bin/sh\necho $0 $* >>{bench.folder}/played\n{codes_of}\n")
        (bench.programs / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{bench.programs}:{os.environ['PATH']}")
        record = bench.player().play(steps)
    assert {name: code for name, (_, code) in codes(record).items()} == {
        "vm-binding": 70, "vm-doctor": 70, "vm-image": 70, "vm": 2, "vm-conform": 1, "vm-compare": 70,
        "vm-speed": 70, "vm-tests": 1, "vm-reap": 70,
    }
    assert record.exit_code == 1
    page = summary(record, ())
    assert all(f"| {one.name} | ended | {one.code} |" in page for one in record.steps)
    assert len((bench.folder / "played").read_text().splitlines()) == len(steps)


def test_the_scenarios_in_virtual_machines_have_the_real_ten_minutes() -> None:
    """And what they leave is held against the model."""
    (run,) = (one for one in night(["vm"], "OUT", first_seed=1, jobs=3) if one.name == "vm")
    words = " ".join(run.command)
    assert "--backend libvirt --time-scale 1 --jobs 3 --cases scenarios/vm-nightly.txt" in words
    (conform,) = (one for one in night(["vm"], "OUT", first_seed=1) if one.name == "vm-conform")
    assert conform.command[2] == run.command[run.command.index("--histories") + 1]


def test_the_compared_case_is_one_that_both_kinds_of_machines_play() -> None:
    """At every commit, so that a night finds differences and no news."""
    name, case = plan.COMPARED
    for cases in ("wine-ci.txt", "vm-ci.txt"):
        assert f"{name}[{case}]" in (ROOT / "scenarios" / cases).read_text(encoding="utf-8").splitlines()
    (compare,) = (one for one in night(["vm"], "OUT", first_seed=1) if one.name == "vm-compare")
    assert compare.command[2:5] == (name, "--case", case)


def test_by_hand_the_same_steps_are_played_as_in_a_night() -> None:
    """Make would stop at the first line that fails."""
    done = subprocess.run(["make", "-n", "nightly-vm", "JOBS=3"], cwd=ROOT, env=MADE_BY_HAND, capture_output=True,
                          text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [".ci/nightly vm --jobs 3"]


def test_what_real_machines_showed_is_held_against_the_model() -> None:
    """After every step that leaves histories, in the folder where they are."""
    steps = night(["wine"], "OUT", first_seed=1)
    leave = [at for at, one in enumerate(steps) if "--histories" in one.command]
    [conform] = [at for at, one in enumerate(steps) if one.command[:2] == ("rrsim", "conform")]
    assert len(leave) == 2
    assert conform > max(leave)
    assert steps[conform].command[2] == "OUT/histories"
    assert steps[conform].counts


def test_known_issues_are_honoured() -> None:
    """No step says otherwise: `rrsim run` uses the list of the checkout by itself."""
    for one in night(PARTS, "OUT", first_seed=1):
        assert "--known-issues" not in one.command


def test_a_second_try_plays_the_listed_cases_only() -> None:
    """Its reports have names of their own, and it decides nothing."""
    first = next(one for one in night(["wine"], "OUT", first_seed=1) if one.name == "wine-ci")
    second = second_try(first, "list.txt")
    assert (second.name, second.results, second.counts) == ("wine-ci-again", "wine-ci-again.json", False)
    words = " ".join(second.command)
    assert "--cases list.txt" in words
    assert "--junit OUT/wine-ci-again.xml" in words
    assert "wine-ci.txt" not in words
    assert CASES not in words
