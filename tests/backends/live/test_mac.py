"""A Mac in a live run: R10's scenarios with a real process, and what is refused or noticed there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rrsim.backends.live import mac, runner
from rrsim.backends.live.link import CAPABILITIES as LINK
from rrsim.backends.live.pc import NotPossible
from rrsim.machine import observations as seen
from rrsim.machine.adapters import Address
from rrsim.scenario.loader import load_file
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult
from rrsim.server.adapter import BundledServer

PLATFORM = Path(__file__).parents[3] / "scenarios" / "platform"
NOWHERE = Address("localhost", 9, "none.pem")
"""No server: the program only tries to connect."""
PATIENCE_S = 20.0


def bench(folder: Path, scale: float) -> runner.Bench:
    return runner.Bench(
        backend="mac", agent=mac.MacAgent(), server=BundledServer, machine=mac.MacMachine.create,
        capabilities=mac.CAPABILITIES | LINK | {"safe mode"}, resolution_us=200_000, restart_us=1, root=folder,
        scale=scale,
    )  # fmt: skip


def case(file: str, name: str, **expect: Any) -> Scenario:
    """Return one case of a scenario, with other expectations if they are given."""
    found = next(one for one in load_file(PLATFORM / file) if one.id == name)
    return msgspec.structs.replace(found, expect=msgspec.structs.replace(found.expect, **expect))


def run_all(folder: Path, *cases: Scenario) -> list[RunResult]:
    """Run cases at the same time, each with a server of its own: they mostly wait."""

    async def run() -> list[RunResult]:
        folders = [folder / str(number) for number in range(len(cases))]
        return await asyncio.gather(*(
            runner.run_case(one, 1, bench(place, 60), place) for one, place in zip(cases, folders, strict=True)
        ))  # fmt: skip

    return asyncio.run(run())


def test_scenarios_with_a_mac(tmp_path: Path) -> None:
    """They pass unchanged; one that wrongly expects the Mac to come back from a restart fails, with evidence."""
    *good, bad = run_all(
        tmp_path,
        case("mac-goes-on.yaml", "mac-goes-on"),
        case("mac-is-never-restarted.yaml", "mac-is-never-restarted[agent=service, place=tools menu]"),
        case("mac-under-every-profile.yaml", "mac-under-every-profile[profile=setme]"),
        case("mac-goes-on.yaml", "mac-goes-on", verdict="resumed", boots=1),
    )
    for result in good:
        assert result.outcome == "passed", [c for c in result.checks if c.outcome != "passed"] or result.reason
        assert result.stand_ins == (mac.STAND_IN,)
    assert bad.outcome == "failed"
    assert {c.check for c in bad.checks if c.outcome == "failed"} == {"expect verdict", "expect boots"}
    assert list((tmp_path / "3" / "evidence").glob("*agent-mac.log")) != []
    assert list(tmp_path.glob("*/pc-*")) == []


class Mac:
    """A Mac with everything that was seen of it."""

    def __init__(self, machine: mac.MacMachine, saw: list[Any]) -> None:
        self.machine = machine
        self.saw = saw
        self.windows: tuple[Any, ...] = ()


def with_mac(folder: Path, act: Callable[[Mac], Awaitable[None]]) -> None:
    """Make a Mac, let the test act, end it."""

    async def run() -> None:
        saw: list[Any] = []
        machine = await mac.MacMachine.create("pc-1", folder, saw.append)
        one = Mac(machine, saw)
        machine.eyes_saw = lambda windows: setattr(one, "windows", windows)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await machine.power_on()
                await mac.MacAgent().install(machine, "application", NOWHERE, "en")
                await machine.log_on()
                await act(one)
        finally:
            await machine.close()

    asyncio.run(run())
    assert list(folder.iterdir()) == []


def test_its_power_is_not_for_a_run(tmp_path: Path) -> None:
    async def act(one: Mac) -> None:
        machine = one.machine
        for refused in (
            machine.power_cut, machine.crash, machine.shut_down, machine.log_off, machine.show_restart_dialog,
            machine.run_installer, lambda: machine.restart("start menu"), lambda: machine.block_shutdown(True),
            lambda: machine.answer_restarts_with(5), lambda: machine.log_on("somebody"),
        ):
            with pytest.raises(NotPossible):
                await refused()
        await machine.block_shutdown(False)
        await machine.answer_restarts_with(0)
        await machine.restart("probe")
        await machine.reach("welcome")
        await machine.log_on()
        assert [type(what) for what in one.saw] == [seen.LoggedOn, seen.PhaseBegan, seen.PhaseBegan]

    with_mac(tmp_path, act)


def test_what_is_left_behind_is_found(tmp_path: Path) -> None:
    async def act(one: Mac) -> None:
        assert await one.machine.inventory() == ()
        await one.machine.join("123")
        (tmp_path / "pc-1" / "home" / "Library").mkdir()
        (tmp_path / "pc-1" / "home" / "Library" / "ticket").write_text("left", encoding="utf-8")
        assert await one.machine.inventory() == ("file:Library/ticket",)

    with_mac(tmp_path, act)


def test_the_program_can_be_killed_and_started_again(tmp_path: Path) -> None:
    async def act(one: Mac) -> None:
        machine, agent = one.machine, mac.MacAgent()
        with pytest.raises(NotPossible, match="does not"):
            await machine.kill_program(agent.core_process)
        await agent.start_support(machine, "123")
        (first,) = machine.processes()
        await machine.kill_program(agent.core_process)
        assert machine.processes() == {}
        with pytest.raises(NotPossible, match="not there"):
            await machine.click(1, 6)
        await agent.start_support(machine, "123")
        assert list(machine.processes()) != [first]

    with_mac(tmp_path, act)


def test_a_screen_is_not_there_and_the_log_is(tmp_path: Path) -> None:
    async def act(one: Mac) -> None:
        with pytest.raises(NotPossible, match="no picture"):
            one.machine.screenshot()
        await one.machine.join("a-code-that-is-no-secret-but-private")
        await one.machine.close()
        shown = one.machine.log() + one.machine.agent_log()
        assert b"a-code-that-is-no-secret-but-private" not in shown

    with_mac(tmp_path, act)
