"""The bench of virtual machines, made on libvirt's mock driver."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from rrsim.backends.live import adapters, runner
from rrsim.backends.live.vm import bench, lease
from rrsim.backends.live.vm.host import Host
from rrsim.images import store
from tests.backends.live import runner_rig
from tests.backends.live.vm import rig

pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An image of a few bytes, and adapters that need no build."""
    image = rig.pretend(tmp_path / "image")
    monkeypatch.setattr(store, "find", lambda name: SimpleNamespace(folder=tmp_path / "image", built=image.built))
    monkeypatch.setattr(adapters, "load", lambda group, name: SimpleNamespace(prepare=_prepared))
    return image


async def _prepared(progress: Any) -> str:
    return "a build"


def made(root: Path, said: list[str] | None = None, **options: Any) -> bench.VmBench:
    """A bench, whose host has been let go."""
    async def make() -> bench.VmBench:
        chosen = bench.VmOptions(uri=rig.MOCK, accelerator="tcg", cold=True, **options)
        one = await bench.make_bench(root, chosen, progress=[].append if said is None else said.append)
        await one.close()
        return one

    return rig.run(make())


def test_a_case_with_more_customers_than_slots_is_skipped(image: Any, tmp_path: Path) -> None:
    """It would wait for a slot that it holds itself."""
    of_two = _capable(made(tmp_path, slots=2).bench)
    assert runner.skipped(runner_rig.case(2), of_two) == ""
    assert runner.skipped(runner_rig.case(3), of_two) == (
        "needs 3 machines at once: this host carries 2, more with --slots N or RRSIM_VM_SLOTS=N"
    )
    assert made(tmp_path, slots=12).bench.most_machines == 12


def test_cases_take_their_machines_in_turns_on_the_host(image: Any, tmp_path: Path) -> None:
    async def case() -> None:
        host = await Host.open(rig.MOCK)
        chosen = bench.VmOptions(uri=rig.MOCK, accelerator="tcg", cold=True, slots=2)
        one = await bench.make_bench(tmp_path, chosen)
        async with one.bench.turn(2):
            assert [name for name, _ in (await lease.holders(host)).values()] == ["rrsim-lock-turn"]
        assert await lease.holders(host) == {}
        await asyncio.gather(one.close(), host.close())

    rig.run(case())


def _capable(one: runner.Bench) -> runner.Bench:
    """The same bench with adapters that know everything, for what is skipped for another reason."""
    return msgspec.structs.replace(one, agent=runner_rig.bench(_prepared).agent, server=runner_rig.Server, scale=1.0)
