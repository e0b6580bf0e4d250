"""``rrsim image``: what it lists and shows, and what it says when there is nothing."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rrsim.cli import image_contract
from rrsim.cli.errors import CommandError
from rrsim.cli.image import image_app
from rrsim.cli.main import run
from rrsim.images import loader, store
from rrsim.images.description import Built
from rrsim.images.windows import contract, verify
from rrsim.images.windows.verify import ContractRow


def _call(*words: str) -> None:
    image_app(args=list(words), prog_name="rrsim image", standalone_mode=False)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def folder() -> Path:
    """Return the folder of a built image."""
    place = store.place("wine-guest", "a" * 64)
    place.mkdir(parents=True)
    (place / "disk.qcow2").write_bytes(b"disk")
    built = Built(description=loader.load("wine-guest"), digest="a" * 64, made="2026-01-01T00:00:00Z",
                  files={"disk.qcow2": sha256(b"disk").hexdigest()}, versions={"wine64": "8.0"})
    (place / store.MANIFEST).write_bytes(msgspec.json.encode(built))
    return place


def test_an_image_that_is_not_built_names_the_command_that_builds_it(capsys: pytest.CaptureFixture[str]) -> None:
    """In the list and as an error."""
    _call("list")
    assert "not built: rrsim image build wine-guest" in capsys.readouterr().out
    with pytest.raises(CommandError) as caught:
        _call("show", "wine-guest")
    assert caught.value.try_ == "rrsim image build wine-guest"
    assert caught.value.code == 70


def test_a_built_image_is_listed_shown_checked_and_removed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As text and as JSON."""
    _call("list", "--format", "json")
    row = next(one for one in json.loads(capsys.readouterr().out) if one["name"] == "wine-guest")
    assert row["built"][0]["folder"] == str(folder)
    _call("show", "wine-guest", "--check")
    shown = capsys.readouterr().out
    assert str(folder) in shown
    assert "wine64 8.0" in shown
    (folder / "disk.qcow2").write_bytes(b"desk")
    with pytest.raises(CommandError, match="has been changed"):
        _call("show", "wine-guest", "--check")
    _call("rm", "wine-guest", "--digest", "aa")
    assert not folder.exists()


def test_an_unknown_image_is_an_error_that_lists_the_known() -> None:
    """The name is checked before anything else."""
    with pytest.raises(CommandError, match="wine-guest"):
        _call("build", "win-guest")


@pytest.mark.parametrize(("outcome", "code"), [("passed", 0), ("skipped", 0), ("failed", 70), ("error", 70)])
def test_an_image_with_wine_is_held_to_the_machine_contract(
    outcome: str, code: int, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the environment the suite hears of which image its machines are to be, and on which host."""
    asked: list[Any] = []

    def suite(command: list[str], junit: Path, limit_s: float, **more: Any) -> verify.Contract:
        asked.append((command, more["environment"], more["folder"]))

        async def results() -> tuple[ContractRow, ...]:
            return ContractRow("test_a", "passed"), ContractRow("test_b", outcome, "why")

        return results

    monkeypatch.setattr(contract, "suite", suite)
    monkeypatch.setattr(image_contract, "find_spec", lambda _: True)  # also where there is no binding
    assert run(["image", "verify", "wine-guest", "--uri", "qemu:///other", "--accelerator", "tcg"]) == code
    ((command, environment, place),) = asked
    assert command[1:4] == ["-m", "pytest", "tests/live/test_contract_vm.py"]
    assert (place / command[3]).is_file()
    wanted = {"RRSIM_CONTRACT_IMAGE": "wine-guest", "RRSIM_LIBVIRT_URI": "qemu:///other",
              "RRSIM_CONTRACT_ACCELERATOR": "tcg"}
    assert wanted.items() <= environment.items()
    told = capsys.readouterr()
    assert f"{outcome.upper():<15} test_b: why" in told.out
    assert "the machine contract: " in told.out
    assert msgspec.json.decode((folder / verify.FILE).read_bytes())["contract"][1]["outcome"] == outcome


@pytest.mark.usefixtures("folder")
def test_without_the_source_there_is_no_contract(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(image_contract, "ROOT", tmp_path)
    assert run(["image", "verify", "wine-guest"]) == 70
    assert "comes with rrsim's source" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("lacks", ["pytest", "libvirt"])
def test_a_contract_that_could_only_be_skipped_is_not_begun(
    lacks: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_contract, "find_spec", lambda name: None if name == lacks else True)
    assert run(["image", "verify", "wine-guest"]) == 70
    assert f"saw: no module {lacks}" in capsys.readouterr().err
