"""What the runner does around a run: which cases it skips, when limits begin, and what it says of what is left."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live import runner, stage
from rrsim.scenario.result import RunResult
from tests.backends.live import runner_rig as rig


def run(bench: runner.Bench, folder: Path, customers: int = 1) -> RunResult:
    """Run a case, with a limit."""
    return asyncio.run(asyncio.wait_for(runner.run_case(rig.case(customers), 1, bench, folder), 20))


async def machine(name: str, folder: Path, observe: Any) -> rig.Machine:
    return rig.Machine(name)


def test_a_case_with_more_customers_than_the_host_carries_says_how_to_have_it_carry_more() -> None:
    bench = rig.bench(machine, most_machines=2, more_machines="more with --slots N")
    assert runner.skipped(rig.case(2), bench) == ""
    assert runner.skipped(rig.case(3), bench) == "needs 3 machines at once: this host carries 2, more with --slots N"
    assert runner.skipped(rig.case(5), rig.bench(machine)) == "needs 5 machines at once: this host carries 4"


def test_what_a_case_waits_for_its_machines_counts_against_no_limit_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither that of the whole run nor that of the session, which is only there when the machines are."""
    monkeypatch.setattr(runner, "LONGEST_RUN_S", 0.2)
    monkeypatch.setattr(stage, "PREPARE_LIMIT_US", 100_000)
    over: list[str] = []
    monkeypatch.setattr(stage.Stage, "_not_prepared", lambda world: over.append("too late"))

    async def late(name: str, folder: Path, observe: Any) -> rig.Machine:
        await asyncio.sleep(0.4)
        return rig.Machine(name)

    assert run(rig.bench(late), tmp_path).reason == f"RuntimeError: {rig.BROKEN}"
    assert over == []


def test_all_machines_of_a_case_are_there_before_the_first_is_used(tmp_path: Path) -> None:
    made: list[str] = []

    async def make(name: str, folder: Path, observe: Any) -> rig.Machine:
        made.append(name)
        return rig.Machine(name)

    assert run(rig.bench(make), tmp_path, customers=3).outcome == "error"
    assert made == ["pc-1", "pc-2", "pc-3"]
