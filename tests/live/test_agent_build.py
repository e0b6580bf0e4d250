"""The frozen agent for real: built under Wine, and run in a fresh prefix that knows no Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rrsim import __version__
from rrsim.agent.build import ensure_agent
from rrsim.agent.freezing.places import cache_dir, file_sha256
from rrsim.agent.freezing.prefix import fresh_prefix, windows_path
from rrsim.agent.freezing.steps import INSTALL


@pytest.mark.wine
@pytest.mark.timeout(600)
def test_the_frozen_agent_runs_without_python(tmp_path: Path) -> None:
    if shutil.which("wine") is None:
        pytest.skip(f"needs Wine: `{INSTALL}`")
    built = ensure_agent()
    again = ensure_agent()
    assert again.reused
    assert again.path == built.path
    for name, sha256 in built.manifest["files"].items():
        assert file_sha256(built.path / name) == sha256
    copy = tmp_path / "Program Files" / "rragent"
    shutil.copytree(built.path, copy)
    with fresh_prefix(cache_dir(), tmp_path / "log", lambda _line: None) as prefix:
        assert prefix.run("version", [windows_path(copy / "rragent.exe"), "version"], within_s=60).split() == [
            "rragent", __version__,
        ]


@pytest.mark.wine
@pytest.mark.timeout(600)
def test_every_library_of_the_agent_is_windows_own_or_comes_with_it() -> None:
    objdump = shutil.which("x86_64-w64-mingw32-objdump")
    if objdump is None or shutil.which("wine") is None:
        pytest.skip(f"needs Wine and the compiler: `{INSTALL}`")
    built = ensure_agent()
    binaries = [path for path in built.path.rglob("*") if path.suffix in {".exe", ".dll", ".pyd"}]
    carried = {path.name.lower() for path in binaries}
    for binary in binaries:
        text = subprocess.run([objdump, "-p", binary], capture_output=True, text=True, check=True, timeout=60).stdout
        needed = {line.split(":", 1)[1].strip().lower() for line in text.splitlines() if "DLL Name:" in line}
        # What a Windows without any Visual C++ redistributable lacks must be in the folder.
        lost = {name for name in needed if name.startswith(("vcruntime", "msvcp", "python", "pywintypes", "lib"))}
        assert lost <= carried, f"{binary.name} needs {sorted(lost - carried)}"
