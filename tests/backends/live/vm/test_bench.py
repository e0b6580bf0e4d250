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
from rrsim.images import current, loader, store, wine_guest
from tests.backends.live import runner_rig
from tests.backends.live.vm import rig

pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An image of a few bytes, and adapters that need no build."""
    image = rig.pretend(tmp_path / "image")
    monkeypatch.setattr(store, "stored", lambda name: [store.Stored(image.built, tmp_path / "image")])
    monkeypatch.setattr(current, "recipe_now", lambda name: "")
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


def test_an_image_whose_recipe_is_another_by_now_is_used_and_named(
    image: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs and the command; the recipe is looked at where there is an event loop already."""
    of_old, of_now = (msgspec.structs.replace(image.built, sources=word, digest=word * 64) for word in ("a", "b"))
    builds = [store.Stored(of_old, tmp_path / "image")]
    monkeypatch.undo()
    monkeypatch.setattr(adapters, "load", lambda group, name: SimpleNamespace(prepare=_prepared))
    monkeypatch.setattr(store, "stored", lambda name: builds)
    monkeypatch.setattr(loader, "load", lambda name: image.built.description)
    monkeypatch.setattr(loader, "folder_of", lambda name: Path("vm_images", name))
    monkeypatch.setattr(wine_guest, "sources", lambda described, folder: asyncio.run(_word()))
    said: list[str] = []
    made(tmp_path, said)
    (line,) = [one for one in said if "image" in one]
    assert line == (
        "the image wine-guest (aaaaaaaaaaaa) is used as it was built on 2026-01-01; since then another: the files of "
        "vm_images/pretend, the builder, or the Windows parts that are laid into it; build it anew: rrsim image build "
        "wine-guest"
    )
    builds.append(store.Stored(of_now, tmp_path / "image"))
    said.clear()
    assert made(tmp_path, said).bench.versions[1] == f"image wine-guest, {'b' * 64}", "the one of the recipe as it is"
    assert not [one for one in said if "image" in one]


async def _word() -> str:
    return "b"


@pytest.mark.parametrize("recipe", ["", "a"])
def test_nothing_is_said_of_an_image_as_its_recipe_has_it_or_where_that_cannot_be_told(
    image: Any, recipe: str
) -> None:
    assert current.changed(msgspec.structs.replace(image.built, sources="a"), recipe) == ""


def test_a_recipe_that_cannot_be_read_fails_no_run() -> None:
    assert current.recipe_now("no-such-image") == ""


def test_what_differs_is_named_as_closely_as_it_is_known(image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    described = msgspec.structs.replace(image.built.description, title="Another")
    monkeypatch.setattr(loader, "load", lambda name: described)
    monkeypatch.setattr(loader, "folder_of", lambda name: Path("vm_images", name))
    assert current.changed(image.built, "b") == "its description (vm_images/pretend/image.toml)"
    monkeypatch.undo()
    assert current.changed(image.built, "b") == "its recipe", "there is no such folder any more"


def _capable(one: runner.Bench) -> runner.Bench:
    """The same bench with adapters that know everything, for what is skipped for another reason."""
    return msgspec.structs.replace(one, agent=runner_rig.bench(_prepared).agent, server=runner_rig.Server, scale=1.0)
