"""Freezing the agent: PyInstaller under Wine makes one folder that runs on Windows without Python.

The folder holds ``rragent.exe``, a program of the windowed subsystem, so that no console flashes up at the customer;
with it, on demand only, ``rragent-broken.exe``, which carries the deliberate bugs.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile, ZipInfo

import msgspec

from rrsim import __version__, live_clock
from rrsim.agent.freezing import sources
from rrsim.agent.freezing.errors import BuildError, Progress
from rrsim.agent.freezing.pins import read_pins
from rrsim.agent.freezing.places import (
    cache_dir,
    digest_of,
    file_sha256,
    forget_oldest,
    left_behind,
    only_builder,
    put_in_place,
    scratch_dir,
)
from rrsim.agent.freezing.prefix import end_prefix, fresh_prefix, windows_path
from rrsim.agent.freezing.runtime import BuiltRuntime, make_runtime

SPEC: Final = Path(__file__).with_name("rragent.spec")
FREEZE_S: Final = 420.0
"""Time for PyInstaller, in seconds; about 20 on an idle machine."""

KEPT_BUILDS: Final = 12
"""So many builds stay in the cache; the one used longest ago goes first."""

FOLDER: Final = "rragent"
PROGRAM: Final = "rragent.exe"
BROKEN_PROGRAM: Final = "rragent-broken.exe"

_IDLE_HOOKS: Final = ("pyi_rth_inspect", "pyi_rth_pkgutil", "pyi_rth_multiprocessing", "pyi_rth_setuptools",
                      "pyi_rth_pkgres")
_EXCLUDES: Final = (
    "tkinter", "test", "unittest", "doctest", "pdb", "pydoc", "distutils", "setuptools", "pkg_resources", "pip",
    "lib2to3", "idlelib", "turtle", "curses", "multiprocessing", "xmlrpc", "sqlite3", "PyInstaller", "altgraph",
    "pefile", "pythonwin", "win32com", "win32comext", "adodbapi", "isapi", "win32ui", "dde", "Pythonwin",
    "_pyinstaller_hooks_contrib", "yaml", "typer", "click", "rich", "jinja2", "pytest", "_pytest", "py",
)
_WINDOWS_MODULES: Final = ("win32timezone", "servicemanager")
"""pywin32's services import these by themselves, where PyInstaller cannot see it."""


class BuiltAgent(msgspec.Struct, frozen=True):
    """A frozen agent in the cache.

    ``path`` is the folder to copy to the PC, ``digest`` stands for all it was made of, ``manifest`` is what
    ``manifest.json`` beside the folder holds: versions, checksums, time of the build.
    """

    path: Path
    digest: str
    manifest: dict[str, Any]
    reused: bool = False

    @property
    def program(self) -> Path:
        """The agent's program."""
        return self.path / PROGRAM

    @property
    def broken_program(self) -> Path:
        """The program with the deliberate bugs; it exists only if it was asked for."""
        return self.path / BROKEN_PROGRAM


class _Program(msgspec.Struct, frozen=True):
    """One .exe to be made."""

    name: str
    script: str
    description: str
    modules: list[str]


def _silent(line: str) -> None:
    """Take a progress line and say nothing."""


def ensure_agent(with_broken: bool = False, progress: Progress = _silent, *, cache: Path | None = None,
                 root: Path = sources.PACKAGE_ROOT) -> BuiltAgent:
    """Return the frozen agent of the sources as they are now; built if the cache lacks it.

    Args:
        with_broken: also make ``rragent-broken.exe``.
        progress: hears one line for each step that takes time.
        cache: where to build and keep it, by default rrsim's cache folder.
        root: the folder that holds ``rrsim/``.

    Raises:
        ToolMissing: Wine, the compiler or a Python 3.11 are not installed.
        BuildError: a step failed or took too long.
    """
    with _building(cache, progress) as (where, log):
        programs = _programs(with_broken, root)
        files = sources.snapshot({name for program in programs for name in program.modules}, root)
        runtime = make_runtime(where, log, progress)
        digest = digest_of([sources.snapshot_digest(files), runtime.digest, SPEC.read_bytes(), _recipe(),
                            *(program.name for program in programs)])
        place = where / "agent" / digest[:16]
        known = _reuse(place, digest)
        if known is not None:
            return known
        progress("freezing the agent with PyInstaller under Wine")
        with scratch_dir(where, "agent") as scratch:
            _freeze(scratch, programs, files, runtime, where, log, progress)
            _check(scratch / "dist" / FOLDER, programs, log)
            _forget_times(scratch / "dist" / FOLDER / "_internal" / "base_library.zip")
            result = scratch / "result"
            result.mkdir()
            (scratch / "dist" / FOLDER).rename(result / FOLDER)
            manifest = _manifest(result / FOLDER, digest, runtime, files)
            (result / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            shutil.copyfile(log, result / "build.log")
            put_in_place(result, place)
        forget_oldest(place.parent, KEPT_BUILDS)
        return BuiltAgent(place / FOLDER, digest, manifest)


def ensure_runtime(progress: Progress = _silent, *, cache: Path | None = None) -> BuiltRuntime:
    """Return the CPython for Windows that the agent is frozen with; assembled if the cache lacks it.

    Raises:
        ToolMissing: the compiler or a Python 3.11 are not installed.
        BuildError: a step failed or took too long.
    """
    with _building(cache, progress) as (where, log):
        return make_runtime(where, log, progress)


@contextmanager
def _building(cache: Path | None, progress: Progress) -> Iterator[tuple[Path, Path]]:
    """Be the only builder, with an empty log, after what killed builders left has been removed."""
    where = cache or cache_dir()
    with only_builder(where, progress):
        log = where / "logs" / "agent-build.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text("", encoding="utf-8")
        for path in left_behind(where):
            if (path / "prefix").is_dir():
                end_prefix(path / "prefix", log)
            shutil.rmtree(path, ignore_errors=True)
        yield where, log


def _programs(with_broken: bool, root: Path) -> list[_Program]:
    modules = sources.agent_modules(root)
    entries = [("rragent", sources.ENTRY, "Reboot and Reconnect agent", modules)]
    if with_broken:
        more = modules | sources.closure([sources.BROKEN_ENTRY], root)
        entries.append(("rragent-broken", sources.BROKEN_ENTRY, "Reboot and Reconnect agent with planted bugs", more))
    return [_Program(name, entry.replace(".", "/") + ".py", description, sorted(names))
            for name, entry, description, names in entries]


def _recipe() -> str:
    """Return what this module itself decides about the result."""
    return "\n".join(("1", *_IDLE_HOOKS, *_EXCLUDES, *_WINDOWS_MODULES, __version__))


def _reuse(place: Path, digest: str) -> BuiltAgent | None:
    """Return the build in the cache and note that it was used, or nothing."""
    manifest = place / "manifest.json"
    if not manifest.is_file() or not (place / FOLDER / PROGRAM).is_file():
        return None
    known = msgspec.json.decode(manifest.read_bytes())
    if known.get("digest") != digest:
        return None
    os.utime(place)
    return BuiltAgent(place / FOLDER, digest, known, reused=True)


def _freeze(scratch: Path, programs: list[_Program], files: dict[str, bytes], runtime: BuiltRuntime, cache: Path,
            log: Path, progress: Progress) -> None:
    source, work, config = scratch / "source", scratch / "work", scratch / "config"
    for folder in (source, work, config):
        folder.mkdir()
    sources.write_snapshot(files, source)
    shutil.copyfile(SPEC, scratch / SPEC.name)
    order = {
        "name": FOLDER, "version": __version__, "sources": windows_path(source), "work": windows_path(work),
        "programs": [msgspec.structs.asdict(program) for program in programs],
        "modules": sorted({name for program in programs for name in program.modules if not name.endswith("__main__")}),
        "windows_modules": list(_WINDOWS_MODULES), "excludes": list(_EXCLUDES), "idle_hooks": list(_IDLE_HOOKS),
        "data": [name for name in files if not name.endswith(".py")],
    }
    (scratch / "order.json").write_bytes(msgspec.json.encode(order))
    with fresh_prefix(cache, log, progress) as prefix:
        prefix.run(
            "PyInstaller",
            [str(runtime.path / "python.exe"), "-E", "-s", "-B", "-m", "PyInstaller", "--noconfirm",
             "--log-level", "INFO", "--distpath", windows_path(scratch / "dist"), "--workpath", windows_path(work),
             windows_path(scratch / SPEC.name)],
            within_s=FREEZE_S, cwd=scratch,
            # The same sources give the same program: no order of hashing, no time of the build in it.
            env={"PYINSTALLER_CONFIG_DIR": windows_path(config), "PYTHONHASHSEED": "1",
                 "SOURCE_DATE_EPOCH": "315532800"},
        )
    for warnings in sorted(work.rglob("warn-*.txt")):
        with log.open("ab") as out:
            out.write(warnings.read_bytes())


def _check(folder: Path, programs: list[_Program], log: Path) -> None:
    """Raise unless everything asked for is there, and nothing that rrsim imports was missing."""
    for program in programs:
        if not (folder / f"{program.name}.exe").is_file():
            raise BuildError(f"{program.name}.exe from PyInstaller", "it ended well without it", f"the log: {log}")
    text = log.read_text(encoding="utf-8", errors="replace")
    lost = re.findall(r"Hidden import '([^']+)' not found", text)
    lost += re.findall(r"missing module named '?(rrsim[\w.]*|msgspec|websockets|win32(?!com)\w+|pywintypes)\b", text)
    if lost:
        raise BuildError("every module that the agent imports in the program",
                         f"not found: {', '.join(sorted(set(lost)))}", f"the import, or windows.lock; the log: {log}")


def _forget_times(archive: Path) -> None:
    """Write an archive anew without the times of its members, which are those of the build."""
    with ZipFile(archive) as old:
        members = sorted((name, old.read(name)) for name in old.namelist())
    with ZipFile(archive, "w") as new:
        for name, data in members:
            new.writestr(ZipInfo(name), data)


def _manifest(folder: Path, digest: str, runtime: BuiltRuntime, files: dict[str, bytes]) -> dict[str, Any]:
    made = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "rrsim": __version__,
        "digest": digest,
        "built_at": live_clock.wall_time().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "stand_ins": [],
        "runtime": {"digest": runtime.digest, "standard_library": runtime.library_version},
        "packages": {pin.name: {"version": pin.version, "file": pin.file_name, "sha256": pin.sha256}
                     for pin in read_pins()},
        "sources_sha256": sources.snapshot_digest(files),
        "sources": sorted(files),
        "size_bytes": sum(path.stat().st_size for path in made),
        "files": {path.relative_to(folder).as_posix(): file_sha256(path) for path in made},
    }
