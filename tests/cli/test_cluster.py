"""``rrsim run --cluster``: results of other machines are results like any other, and none is lost."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rrsim.cli import cluster as clusters
from rrsim.cli.errors import CommandError
from rrsim.explore.cluster.here import Here
from rrsim.explore.cluster.seam import Done
from rrsim.report.bundle import digest_of, encode_scenario
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult
from tests.explore.cluster.cluster_rig import local_cluster

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning:distributed")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cases() -> list[Scenario]:
    return load_paths([str(ROOT / "scenarios" / "initiation")]).scenarios[:7]


def _alone(cases: list[Scenario]) -> list[RunResult]:
    from rrsim.backends.sim.runner import run

    return [run(case, 3) for case in cases]


def _same(found: RunResult, expected: RunResult) -> None:
    assert digest_of(found.history) == digest_of(expected.history)
    bare = {"history": None, "wall_us": 0}
    assert msgspec.structs.replace(found, **bare) == msgspec.structs.replace(expected, **bare)


def test_results_are_those_of_this_process(cases: list[Scenario], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "RUNS_A_TASK", 3)
    engine = clusters.Clustered(Here(), "sim", {})
    seen: list[str] = []
    done = engine.execute([(case, 3) for case in cases], each=lambda result: seen.append(result.scenario.id))
    assert not done.interrupted
    for found, expected in zip(done.results, _alone(cases), strict=True):
        _same(found, expected)
    assert seen == [case.id for case in cases]
    _same(engine.run(cases[0], 3), _alone(cases[:1])[0])


def test_histories_that_nobody_needs_are_let_go(cases: list[Scenario]) -> None:
    engine = clusters.Clustered(Here(), "sim", {})
    done = engine.execute([(case, 1) for case in cases[:2]], keep_history=lambda _: False)
    assert [result.history for result in done.results] == [None, None]


class Losing(Here):
    """Loses every second task."""

    def gather(self, patience_s: float = 0.5) -> list[Done]:
        """Answer, or say that a worker is gone."""
        return [one if one.number % 2 else Done(one.number, error="KilledWorker: gone") for one in super().gather()]


def test_a_lost_task_is_an_error_of_the_harness_for_its_cases_only(
    cases: list[Scenario], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "RUNS_A_TASK", 1)
    done = clusters.Clustered(Losing(), "sim", {}).execute([(case, 1) for case in cases[:4]])
    assert [r.outcome for r in done.results] == ["passed", "error", "passed", "error"]
    assert done.results[1].reason == "cluster: KilledWorker: gone"
    assert done.results[1].scenario == cases[1]


class Stopped(Here):
    """The user loses patience at the second gathering."""

    asked = 0

    def gather(self, patience_s: float = 0.5) -> list[Done]:
        """Answer once."""
        self.asked += 1
        if self.asked == 2:
            raise KeyboardInterrupt
        return super().gather()


def test_a_stop_keeps_what_is_done(cases: list[Scenario], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "RUNS_A_TASK", 2)
    done = clusters.Clustered(Stopped(), "sim", {}).execute([(case, 1) for case in cases])
    assert done.interrupted
    assert len(done.results) == 2


def test_fail_fast_stops_after_the_first_that_fails(cases: list[Scenario]) -> None:
    wrong = msgspec.structs.replace(cases[1], expect=msgspec.structs.replace(cases[1].expect, boots=77))
    runs = [(cases[0], 1), (wrong, 1), *((case, 1) for case in cases[2:])]
    done = clusters.Clustered(Here(), "sim", {}).execute(runs, fail_fast=True)
    assert [r.outcome for r in done.results] == ["passed", "failed"]


def _order(case: Scenario, backend: str, **options: Any) -> bytes:
    return msgspec.msgpack.encode(clusters.Order(backend, options, ((encode_scenario(case), 3),)))


def test_the_child_answers_on_stdout_and_nothing_else_does(cases: list[Scenario]) -> None:
    end, held = os.pipe()
    child = subprocess.run(
        [sys.executable, "-m", "rrsim.cli.cluster_child", str(end)], input=_order(cases[0], "sim"),
        capture_output=True, check=True, timeout=60, cwd=ROOT, pass_fds=(end,),
    )  # fmt: skip
    os.close(end)
    os.close(held)
    (played,) = msgspec.msgpack.decode(child.stdout, type=tuple[clusters.Played, ...])
    _same(clusters.unpack(played, cases[0]), _alone(cases[:1])[0])


def test_a_child_ends_with_the_worker_that_started_it() -> None:
    """The worker is killed: another one plays the case, and this machine is wanted back."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    child = int(worker.stdout.readline())
    there = os.pidfd_open(child)
    assert select.select([there], [], [], 0.5)[0] == [], "it plays"
    worker.kill()
    worker.wait()
    assert select.select([there], [], [], 30)[0] == [there], "it has ended"
    os.close(there)
    worker.stdin.close()
    worker.stdout.close()


WORKER = """
import subprocess, threading
from rrsim.cli import cluster
real = subprocess.Popen
class Telling(real):
    def __init__(self, words, **more):
        # A case without an end: the task comes from the test, which never sends it.
        super().__init__(words, **more | {"stdin": None})
        print(self.pid, flush=True)
    def communicate(self, *_, **__):
        threading.Event().wait()
subprocess.Popen = Telling
cluster.play_runs(cluster.msgspec.msgpack.encode(cluster.Order("moon", {}, ())))
"""


def test_a_child_that_crashes_is_a_result(cases: list[Scenario]) -> None:
    """A backend that does not exist ends the child; the worker that started it lives."""
    answer = msgspec.msgpack.decode(clusters.play_runs(_order(cases[0], "moon")), type=tuple[clusters.Played, ...])
    result = clusters.unpack(answer[0], cases[0])
    assert result.outcome == "error"
    assert "the process that played the case ended with status 1" in result.reason
    assert "moon" in result.reason


def test_machines_take_a_slot_and_the_simulator_does_not(cases: list[Scenario]) -> None:
    taken: list[str] = []

    class Noting(Here):
        def submit(self, work: Any, payload: bytes, slot: str = "") -> int:
            taken.append(slot)
            return super().submit(work, payload, slot)

    clusters.Clustered(Noting(), "moon", {}).execute([(case, 1) for case in cases[:2]])
    clusters.Clustered(Noting(), "sim", {}).execute([(case, 1) for case in cases[:2]])
    assert taken == ["vm", "vm", ""]


def test_the_command_runs_on_a_cluster_and_refuses_one_without_slots(
    rrsim_cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = str(ROOT / "scenarios" / "phone")
    with local_cluster(tmp_path, 1) as local:
        answer = rrsim_cli("run", folder, "--cluster", local.address, "--known-issues", "none")
        assert answer.code == 0, answer.err
        assert f"cluster {local.address}" in answer.err.splitlines()[0]
        with pytest.raises(CommandError, match="a worker with a slot for libvirt"):
            clusters.connect(local.address, "libvirt")
        with pytest.raises(CommandError, match="a backend"):
            clusters.connect(local.address, "moon")
    assert " passed" in answer.out
