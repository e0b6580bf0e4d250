"""Several processes give the same results as one, in the same order, and lose nothing but a dead worker's own slice."""

from __future__ import annotations

import os
import signal

import msgspec
import pytest

from rrsim.backends.sim.reference import APPLICATION, REFERENCES
from rrsim.backends.sim.runner import run
from rrsim.cli import workers
from rrsim.cli.execute import execute
from rrsim.scenario.history_io import digest
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult

RUNS = [(scenario, seed) for seed in range(4) for scenario in REFERENCES]


def _told(results: list[RunResult]) -> list[tuple[str, int, str, str, str]]:
    return [
        (r.scenario.id, r.seed, r.outcome, r.verdict, digest(r.history) if r.history is not None else "")
        for r in results
    ]


@pytest.mark.parametrize("jobs", [2, 3, 12])
def test_several_processes_give_what_one_gives(jobs: int) -> None:
    seen: list[str] = []
    one = execute(RUNS, run)
    several = execute(RUNS, run, jobs=jobs, each=lambda r: seen.append(r.scenario.id))
    assert _told(several.results) == _told(one.results)
    assert seen == [scenario.id for scenario, _ in RUNS]


def test_histories_are_let_go_in_every_process() -> None:
    done = execute(RUNS, run, jobs=3, keep_history=lambda _: False)
    assert {r.history for r in done.results} == {None}


def test_the_limit_of_kept_histories_holds_over_all_processes() -> None:
    left = 2

    def keep(_: RunResult) -> bool:
        nonlocal left
        left -= 1
        return left >= 0

    done = execute(RUNS, run, jobs=3, keep_history=keep)
    assert [r.history is not None for r in done.results] == [True, True] + [False] * 10


def test_a_dead_worker_loses_only_its_own_runs() -> None:
    parent = os.getpid()

    def fatal(scenario: Scenario, seed: int) -> RunResult:
        if os.getpid() != parent and seed == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(scenario, seed)

    done = execute(RUNS, fatal, jobs=2)
    outcomes = [r.outcome for r in done.results]
    assert outcomes[:6] == ["passed"] * 6
    assert outcomes[-3:] == ["error"] * 3
    assert "worker process ended" in done.results[-1].reason
    assert [r.scenario.id for r in done.results] == [scenario.id for scenario, _ in RUNS]


def test_ctrl_c_keeps_what_is_done_and_stops_the_workers() -> None:
    def stops(scenario: Scenario, seed: int) -> RunResult:
        if seed == 1:
            raise KeyboardInterrupt
        return run(scenario, seed)

    done = execute(RUNS, stops, jobs=2)
    assert done.interrupted
    assert len(done.results) < len(RUNS)
    assert {r.outcome for r in done.results} == {"passed"}


def test_fail_fast_uses_one_process() -> None:
    wrong = msgspec.structs.replace(APPLICATION, expect=msgspec.structs.replace(APPLICATION.expect, verdict="lost"))
    done = execute([(wrong, 1), *RUNS], run, jobs=3, fail_fast=True)
    assert [r.outcome for r in done.results] == ["failed"]


@pytest.mark.parametrize(("runs", "wanted", "expected"), [(10, 0, 1), (10, 4, 4), (2, 4, 2), (0, 3, 1)])
def test_how_many(runs: int, wanted: int, expected: int) -> None:
    assert workers.how_many(runs, wanted) == expected


def test_slices_keep_the_order_and_differ_by_one_at_most() -> None:
    parts = workers.slices(RUNS, 5)
    assert [run for part in parts for run in part] == RUNS
    assert {len(part) for part in parts} == {2, 3}
