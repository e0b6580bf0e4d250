"""Wheels: nothing unchecked is used, and unpacking stays where it belongs."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from rrsim.agent.freezing import wheels
from rrsim.agent.freezing.errors import BuildError
from rrsim.agent.freezing.pins import Pin


def a_wheel(path: Path, members: dict[str, str]) -> Path:
    """Write a small wheel."""
    with ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_libraries_are_installed_and_scripts_are_not(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path / "thing.whl", {
        "thing/__init__.py": "a", "thing-1.data/platlib/fast.pyd": "b", "thing-1.data/purelib/thing/slow.py": "c",
        "thing-1.data/scripts/thing.exe": "d", "thing-1.data/data/share/x": "e",
    })
    wheels.install_wheel(wheel, tmp_path / "site")
    found = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*")
             if path.is_file()}
    assert found == {"thing/__init__.py", "fast.pyd", "thing/slow.py"}


@pytest.mark.parametrize("name", ["../outside.py", "/outside.py", "thing-1.data/purelib/../../outside.py"])
def test_a_wheel_cannot_write_outside(name: str, tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path / "thing.whl", {name: "x"})
    with pytest.raises(BuildError, match="stay inside"):
        wheels.install_wheel(wheel, tmp_path / "deep" / "site")
    assert not list(tmp_path.rglob("outside.py"))


def test_single_members_are_taken_and_a_missing_one_is_named(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path / "big.whl", {"libs/a.dll": "a", "libs/b.dll": "b", "other/c": "c"})
    assert wheels.member_names(wheel, "libs") == ["libs/a.dll", "libs/b.dll"]
    wheels.take_members(wheel, {"libs/a.dll": "DLLs/a.dll"}, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "DLLs").iterdir()] == ["a.dll"]
    with pytest.raises(BuildError) as caught:
        wheels.take_members(wheel, {"libs/d.dll": "d.dll"}, tmp_path / "out")
    assert caught.value.expected == "libs/d.dll in big.whl"


def test_a_wheel_in_the_cache_is_used_without_asking_anybody(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    wheel = a_wheel(tmp_path / "wheels" / "thing-1-py3-none-any.whl", {"thing.py": "x"})
    pin = Pin("thing", "1", wheel.name, sha256(wheel.read_bytes()).hexdigest())
    said: list[str] = []
    assert wheels.fetch_wheels((pin,), tmp_path, tmp_path / "log", said.append) == {"thing": wheel}
    assert said == []


def test_a_changed_wheel_in_the_cache_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wheels").mkdir()
    wheel = a_wheel(tmp_path / "wheels" / "thing-1-py3-none-any.whl", {"thing.py": "x"})
    pin = Pin("thing", "1", wheel.name, "0" * 64)
    asked: list[list[str]] = []

    def pip(_what: str, command: list[str], **_more: object) -> str:
        asked.append(command)
        (Path(command[-1]) / pin.file_name).write_bytes(b"another file")
        return ""

    monkeypatch.setattr(wheels, "run_step", pip)
    with pytest.raises(BuildError) as caught:
        wheels.fetch_wheels((pin,), tmp_path, tmp_path / "log", lambda _line: None)
    assert "sha256" in caught.value.expected
    assert "--require-hashes" in asked[0]
