"""CPython 3.11 for Windows, assembled on this computer: libraries from pinned wheels, the standard library from here.

Layout: ``python.exe``, ``python311.dll`` and Microsoft's runtime at the top, extension modules with their DLLs in
``DLLs/``, pure Python in ``Lib/``, pinned packages in ``Lib/site-packages/``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Final

import msgspec

from rrsim.agent.freezing import wheels
from rrsim.agent.freezing.errors import BuildError, Progress, ToolMissing
from rrsim.agent.freezing.pins import Pin, pin_of, read_pins
from rrsim.agent.freezing.places import digest_of, forget_oldest, put_in_place, scratch_dir
from rrsim.agent.freezing.steps import find_tool, run_step

PYTHON_C: Final = Path(__file__).with_name("python.c")
COMPILER: Final = "x86_64-w64-mingw32-gcc"
COMPILE_S: Final = 120.0
KEPT_RUNTIMES: Final = 3

_TOP_LEVEL: Final = {"python311.dll"}
_NOT_NEEDED: Final = {"_tkinter.pyd", "tcl86t.dll", "tk86t.dll", "winsound.pyd", "_msi.pyd", "VCRUNTIME140.dll"}
_LEFT_OUT: Final = (
    "test", "tests", "idlelib", "lib2to3", "turtledemo", "tkinter", "ensurepip", "site-packages", "dist-packages",
    "lib-dynload", "config-*", "__pycache__", "pydoc_data", "_sysconfigdata_*", "*.so",
)
_RECIPE: Final = "1"
"""Changed when the assembly itself changes, so that runtimes made otherwise are not reused."""


class Library(msgspec.Struct, frozen=True):
    """A pure Python standard library of CPython 3.11, and the interpreter that it belongs to."""

    path: Path
    version: str
    python: str


class BuiltRuntime(msgspec.Struct, frozen=True):
    """A CPython for Windows in the cache."""

    path: Path
    digest: str
    library_version: str


def find_library(log: Path) -> Library:
    """Find the standard library of a CPython 3.11: the one that runs this, or ``python3.11`` on PATH.

    Raises:
        ToolMissing: there is none.
    """
    if sysconfig.get_python_version() == "3.11":
        return Library(Path(sysconfig.get_path("stdlib")), sys.version.split()[0], sys.executable)
    found = shutil.which("python3.11")
    if found is None:
        raise ToolMissing("a CPython 3.11, whose standard library goes into the Windows agent",
                          f"Python {sys.version.split()[0]} runs this, and no python3.11 is on PATH",
                          "`apt-get install python3.11`, or running rrsim with Python 3.11")
    ask = "import json,sys,sysconfig;print(json.dumps([sysconfig.get_path('stdlib'),sys.version.split()[0]]))"
    answer = run_step("python3.11: where is the standard library", [found, "-I", "-c", ask], log=log, within_s=30.0)
    path, version = json.loads(answer.splitlines()[-1])
    return Library(Path(path), version, found)


def runtime_digest(pins: tuple[Pin, ...], library: Library) -> str:
    """Return what a runtime is made of as one sha256: its cache key."""
    return digest_of([_RECIPE, *(pin.requirement for pin in pins), PYTHON_C.read_bytes(), library.version])


def make_runtime(cache: Path, log: Path, progress: Progress) -> BuiltRuntime:
    """Return the runtime of this version of rrsim; made if the cache lacks it. The caller is the only builder.

    Raises:
        ToolMissing: compiler or Python 3.11 are not installed.
        BuildError: a step failed.
    """
    pins = read_pins()
    library = find_library(log)
    digest = runtime_digest(pins, library)
    place = cache / "runtime" / digest[:16]
    built = BuiltRuntime(place, digest, library.version)
    if (place / "python.exe").is_file():
        os.utime(place)
        return built
    compiler = find_tool(COMPILER)
    fetched = wheels.fetch_wheels(pins, cache, log, progress)
    progress(f"assembling CPython for Windows (standard library {library.version})")
    with scratch_dir(cache, "runtime") as scratch:
        root = scratch / "python"
        _copy_library(library, root / "Lib")
        _take_binaries(fetched, root)
        for pin in pins:
            if pin.name not in {"panda3d", "msvc-runtime"}:
                wheels.install_wheel(fetched[pin.name], root / "Lib" / "site-packages")
        run_step("compiling python.exe", [compiler, "-municode", "-O2", "-s", "-Wl,--no-insert-timestamp",
                                          "-o", str(root / "python.exe"), str(PYTHON_C)],
                 log=log, within_s=COMPILE_S)
        run_step("compiling the standard library",
                 [library.python, "-I", "-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash",
                  "-x", r"site-packages.(win32com|pythonwin|adodbapi|isapi)", str(root / "Lib")],
                 log=log, within_s=COMPILE_S)
        put_in_place(root, place)
    forget_oldest(place.parent, KEPT_RUNTIMES)
    return built


def _copy_library(library: Library, target: Path) -> None:
    if not (library.path / "os.py").is_file():
        raise BuildError("a standard library with os.py", f"{library.path} lacks it",
                         "a Python 3.11 that has its standard library as files")
    shutil.copytree(library.path, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))


def _take_binaries(fetched: dict[str, Path], root: Path) -> None:
    """Unpack interpreter, extension modules and DLLs; Windows has the ``api-ms-*`` DLLs itself, and Wine its own."""
    names = [name for name in wheels.member_names(fetched["panda3d"], "deploy_libs")
             if not name.startswith("deploy_libs/api-ms-") and name.split("/")[1] not in _NOT_NEEDED]
    wheels.take_members(
        fetched["panda3d"],
        {name: base if (base := name.split("/")[1]) in _TOP_LEVEL else f"DLLs/{base}" for name in names}, root,
    )
    version = pin_of(read_pins(), "msvc-runtime").version
    folder = f"msvc_runtime-{version}.data/data/Scripts"
    # Wine would lend its own DLLs of these names; a customer's Windows may have none, and pywin32 needs both.
    wheels.take_members(fetched["msvc-runtime"], {f"{folder}/vcruntime140.dll": "VCRUNTIME140.dll",
                                                  f"{folder}/vcruntime140_1.dll": "VCRUNTIME140_1.dll"}, root)
