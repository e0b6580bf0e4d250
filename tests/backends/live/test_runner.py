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


def test_a_machine_that_is_lost_while_others_are_waited_for_ends_the_waiting(tmp_path: Path) -> None:
    """It would go on for an hour, with the turn to take machines on the host."""
    given_up: list[str] = []

    class Lost(rig.Machine):
        """One whose disk fills up as soon as somebody wants to hear of it."""

        def when_failed(self, hear: Any) -> None:
            asyncio.get_running_loop().call_soon(hear, RuntimeError("DiskFull: no room"))

    async def make(name: str, folder: Path, observe: Any) -> rig.Machine:
        if name == "pc-1":
            return Lost(name)
        try:
            await asyncio.Event().wait()
        finally:
            given_up.append(name)
        return rig.Machine(name)

    result = run(rig.bench(make), tmp_path, customers=2)
    assert (result.outcome, result.reason) == ("error", "RuntimeError: DiskFull: no room")
    assert given_up == ["pc-2"]


def test_a_limit_that_is_over_says_what_it_was_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LONGEST_WAIT_S", 0.1)

    async def never(name: str, folder: Path, observe: Any) -> rig.Machine:
        await asyncio.Event().wait()
        return rig.Machine(name)

    assert "and those within 0.1 s, saw it still going on" in run(rig.bench(never), tmp_path).reason


def test_a_shorter_limit_within_is_not_taken_for_that_of_the_run(tmp_path: Path) -> None:
    """A machine that was slow to sign in would look like a run of an hour."""
    async def slow(name: str, folder: Path, observe: Any) -> rig.Machine:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
        return rig.Machine(name)

    assert run(rig.bench(slow), tmp_path).reason == "TimeoutError: "


def test_what_cannot_be_taken_away_is_named_and_the_rest_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine by the name it has on the host, with the command; the outcome is as it would be without."""
    ended: list[str] = []
    monkeypatch.setattr(runner, "STRIKE_LIMIT_S", 0.05)

    async def make(name: str, folder: Path, observe: Any) -> rig.Machine:
        return rig.Machine(name, resists if name == "pc-1" else hangs if name == "pc-2" else goes)

    async def resists() -> None:
        raise OSError("the host is read-only")

    async def hangs() -> None:
        await asyncio.Event().wait()

    async def goes() -> None:
        ended.append("pc-3")

    async def server_resists() -> None:
        ended.append("server")
        raise TimeoutError

    def server() -> rig.Server:
        one = rig.Server()
        one.ends = server_resists
        return one

    bench = rig.bench(make, called=lambda one: f"{one.name} (slot of {one.name})", server=server)
    result = run(bench, tmp_path, customers=3)
    reap = "once this command has ended, see to what is left of it: rrsim reap"
    assert result.left_behind == (
        "the machine pc-1 (slot of pc-1): expected it to be gone within 0.05 s, saw: OSError: the host is read-only; "
        + reap,
        f"the machine pc-2 (slot of pc-2): expected it to be gone within 0.05 s, saw: it took longer; {reap}",
        "the session server: expected it to be gone within 0.05 s, saw: TimeoutError: ; it ends with this command",
    )
    assert ended == ["pc-3", "server"]
    assert (result.outcome, result.reason) == ("error", f"RuntimeError: {rig.BROKEN}")


def test_what_is_left_behind_goes_with_what_is_raised(tmp_path: Path) -> None:
    """A failure of the harness itself, or Ctrl-C, must not hide it."""
    async def make(name: str, folder: Path, observe: Any) -> rig.Machine:
        return rig.Machine(name, resists)

    async def resists() -> None:
        raise OSError("the host is read-only")

    async def after_failure(machines: list[Any], result: RunResult) -> None:
        raise RuntimeError("nobody is there to look")

    with pytest.raises(RuntimeError, match="nobody is there") as raised:
        run(rig.bench(make, after_failure=after_failure), tmp_path)
    assert ["the machine pc-1" in note for note in raised.value.__notes__] == [True]
