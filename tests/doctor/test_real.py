"""The same checks on this very computer: what is installed works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rrsim.cli import doctor
from rrsim.cli.errors import CommandError
from rrsim.doctor import basics, boot, dialup, machines, screens, wine
from rrsim.doctor.trial import Place

ROOT = Path(__file__).resolve().parents[2]


def test_the_simulator_works_here(real_place: Place) -> None:
    for look in (basics.python, basics.core_packages, basics.simulator, basics.loopback):
        seen = look(real_place)
        assert seen.state == "ok", seen


@pytest.mark.wine
def test_wine_works_here(real_place: Place) -> None:
    for look in (wine.wine, wine.wineserver, wine.compiler, wine.windows_program, wine.installer_compiler,
                 screens.virtual_screen, screens.hands):
        seen = look(real_place)
        assert seen.state == "ok", seen


@pytest.mark.libvirt
def test_machines_work_here(real_place: Place) -> None:
    for look in (machines.emulator, boot.emulation, machines.image_tool, machines.make_disk, machines.unpacking,
                 dialup.provider, machines.binding):
        seen = look(real_place)
        assert seen.state == "ok", seen
    assert boot.virtualisation(real_place).state in ("ok", "skipped")


@pytest.mark.libvirt
def test_a_libvirt_that_answers_is_heard(tmp_path: Path) -> None:
    """libvirt's own mock driver answers everywhere, and is no QEMU."""
    place = Place(environment=dict(os.environ), scratch=tmp_path, uri="test:///default")
    told, _ = machines.ask(place)
    assert told["driver"] == "TEST"
    assert "error" not in told
    assert machines.libvirt(place).state == "broken"


@pytest.mark.browser
def test_the_browser_works_here(real_place: Place) -> None:
    seen = screens.browser(real_place)
    assert seen.state == "ok", seen


def test_the_command_for_the_simulator(capsys: pytest.CaptureFixture[str]) -> None:
    """It needs nothing but Python."""
    assert doctor.doctor("sim", "text") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "the simulator: yes"


def test_the_command_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.doctor("sim", "json") == 0
    data = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in data["checks"]] == ["python", "packages", "simulator"]
    assert data["exit_code"] == 0


def test_a_purpose_nobody_knows() -> None:
    with pytest.raises(CommandError) as caught:
        doctor.doctor("mac", "text")
    assert caught.value.code == 64


def test_a_computer_with_nothing_on_it(tmp_path: Path) -> None:
    """No program on PATH, a home that cannot be written to: every answer comes, and the code is 70.

    The administrator's programs are out of reach too, and pip's packages are those of this environment.
    """
    nowhere = "/proc/nowhere"
    environment = {
        "PATH": nowhere, "HOME": nowhere, "XDG_STATE_HOME": f"{nowhere}/s", "XDG_CACHE_HOME": f"{nowhere}/c",
        "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT), "RRSIM_LIBVIRT_URI": "qemu+unix:///system?socket=/proc/none",
    }
    code = ("import sys;"
            "from rrsim.cli.doctor import doctor; sys.exit(doctor('all', 'json'))")
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=110, check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 70, done.stderr
    data = json.loads(done.stdout)
    states = {one["name"]: one["state"] for one in data["checks"]}
    assert states["simulator"] == "ok"
    for name in ("wine", "wineserver", "compiler", "nsis", "xvfb", "qemu", "slirp", "chromium", "qemu-img"):
        assert states[name] == "missing", name
    for name in ("state folder", "cache folder", "libvirt"):
        assert states[name] in ("broken", "missing", "skipped"), name
    assert states["windows program"] == "skipped"
    assert data["served"]["sim"] == []
    assert data["install"].split()[-1] == "chromium"
    assert list(tmp_path.iterdir()) == []
