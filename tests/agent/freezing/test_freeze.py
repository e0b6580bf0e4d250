"""Building without Wine: what is reused, and what is said where something is missing."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
import typer

from rrsim.agent.build import BuildError, ToolMissing, ensure_agent
from rrsim.agent.freezing import freeze, runtime
from rrsim.agent.freezing.pins import read_pins
from rrsim.agent.freezing.prefix import windows_path, wine_environment
from rrsim.cli.agent import agent_app
from rrsim.cli.errors import CommandError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small rrsim with an agent that can be built."""
    agent = tmp_path / "checkout" / "rrsim" / "agent"
    agent.mkdir(parents=True)
    (agent.parent / "__init__.py").touch()
    (agent / "__init__.py").touch()
    (agent / "__main__.py").write_text("print('hello')\n")
    return tmp_path / "checkout"


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer without Wine and compiler."""
    monkeypatch.setenv("PATH", "/nonexistent")


def pretend_built(cache: Path, digest: str) -> Path:
    """Put into the cache what a build leaves there."""
    place = cache / "agent" / digest[:16]
    (place / "rragent").mkdir(parents=True)
    (place / "rragent" / "rragent.exe").touch()
    (place / "manifest.json").write_bytes(msgspec.json.encode({"digest": digest, "size_bytes": 5}))
    return place


@pytest.mark.usefixtures("no_tools")
def test_without_the_tools_the_error_names_the_command_that_installs_them(tmp_path: Path, root: Path) -> None:
    with pytest.raises(ToolMissing) as caught:
        ensure_agent(cache=tmp_path / "cache", root=root)
    assert caught.value.try_ == "`apt-get install wine64 wine xvfb gcc-mingw-w64-x86-64`"


@pytest.mark.usefixtures("no_tools")
def test_the_command_ends_with_70_without_the_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(CommandError) as caught:
        typer.main.get_command(agent_app).main(["build"], standalone_mode=False)
    assert caught.value.code == 70


def test_a_build_of_the_same_sources_is_reused_and_one_of_others_is_not(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = tmp_path / "cache"
    made = runtime.BuiltRuntime(cache / "runtime" / "x", "x" * 64, "3.11.0")
    frozen: list[str] = []

    def make(scratch: Path, programs: list[freeze._Program], *_more: object) -> None:
        folder = scratch / "dist" / "rragent"
        (folder / "_internal").mkdir(parents=True)
        with freeze.ZipFile(folder / "_internal" / "base_library.zip", "w") as archive:
            archive.writestr("os.pyc", "code")
        for program in programs:
            (folder / f"{program.name}.exe").touch()
            frozen.append(program.name)

    monkeypatch.setattr(freeze, "make_runtime", lambda *_arguments: made)
    monkeypatch.setattr(freeze, "_freeze", make)
    first = ensure_agent(cache=cache, root=root)
    again = ensure_agent(cache=cache, root=root)
    assert (first.reused, again.reused, again.path, frozen) == (False, True, first.path, ["rragent"])
    assert again.manifest == first.manifest
    assert set(again.manifest["files"]) == {"rragent.exe", "_internal/base_library.zip"}
    assert again.manifest["packages"]["pywin32"]["version"] == "312"
    assert again.manifest["stand_ins"] == []
    (root / "rrsim" / "agent" / "__main__.py").write_text("print('changed')\n")
    changed = ensure_agent(cache=cache, root=root)
    assert changed.digest != first.digest
    assert frozen == ["rragent", "rragent"]
    assert not list((cache / "scratch").iterdir())


def test_a_program_without_a_module_that_it_imports_is_no_program(tmp_path: Path) -> None:
    folder, log = tmp_path / "rragent", tmp_path / "log"
    folder.mkdir()
    program = freeze._Program("rragent", "x.py", "", [])
    log.write_text("fine\n")
    with pytest.raises(BuildError, match=r"rragent\.exe from PyInstaller"):
        freeze._check(folder, [program], log)
    (folder / "rragent.exe").touch()
    freeze._check(folder, [program], log)
    for line, lost in {
        "ERROR: Hidden import 'win32timezone' not found": "win32timezone",
        "missing module named 'rrsim.agent.windows.pipe' - imported by x": "rrsim.agent.windows.pipe",
        "missing module named win32ts - imported by x": "win32ts",
    }.items():
        log.write_text(f"{line}\n")
        with pytest.raises(BuildError) as caught:
            freeze._check(folder, [program], log)
        assert caught.value.saw == f"not found: {lost}"
    log.write_text("missing module named win32com - imported by pywintypes (optional)\nmissing module named pwd\n")
    freeze._check(folder, [program], log)


def test_the_runtime_is_made_anew_for_another_pin_or_library() -> None:
    pins = read_pins()
    library = runtime.Library(Path("/usr/lib/python3.11"), "3.11.2", "python3.11")
    digest = runtime.runtime_digest(pins, library)
    assert digest == runtime.runtime_digest(pins, library)
    assert digest != runtime.runtime_digest(pins[1:], library)
    assert digest != runtime.runtime_digest(pins, msgspec.structs.replace(library, version="3.11.9"))


def test_programs_under_wine_see_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOME_TOKEN", "canary")
    monkeypatch.setenv("DISPLAY", ":0")
    environment = wine_environment(tmp_path)
    assert not {"SOME_TOKEN", "DISPLAY"} & environment.keys()
    assert environment["HOME"].startswith(str(tmp_path))
    assert environment["PATH"] == os.environ["PATH"]


def test_drive_z_is_the_root_of_this_computer() -> None:
    assert windows_path(Path("/a b/c.txt")) == "Z:\\a b\\c.txt"
