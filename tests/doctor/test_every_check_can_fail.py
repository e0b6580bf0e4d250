"""Every check of the catalogue is shown a computer on which it must not say ok, in each way a program can fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rrsim.backends.live.wine.parts import COMPILER
from rrsim.doctor import basics, boot, dialup, kept, machines, power, programs, screens, wine
from rrsim.doctor.catalogue import CHECKS
from rrsim.doctor.finding import GROUPS, PURPOSES, Seen
from rrsim.doctor.trial import Place
from tests.doctor.conftest import FAIL, GARBAGE, HANG, World

Look = Callable[[Place], Seen]

WRONG: dict[str, Callable[[World, Path], Seen]] = {
    "python": lambda w, _: basics.python(w.place, (3, 10, 4)),
    "packages": lambda w, _: basics.modules({"json": "json", "no_such_module": "no-such"}, ""),
    "simulator": lambda w, _: basics.simulator(w.place, basics.SCENARIO.replace("resumed", "expired")),
    "live packages": lambda w, _: basics.modules({"no_such_module": "no-such"}, "live"),
    "loopback": lambda w, _: basics.loopback(w.place, "203.0.113.7"),
    "state folder": lambda w, tmp: basics.folder(tmp, "XDG_STATE_HOME", 10**12),
    "cache folder": lambda w, tmp: basics.folder(Path("/proc/rrsim"), "XDG_CACHE_HOME", 1),
    "leftovers": lambda w, tmp: kept.leftovers(w.place, _dead_run(tmp)),
    "wine": lambda w, _: wine.wine(w.has("wine", "echo wine-5.0").place),
    "wineserver": lambda w, _: wine.wineserver(w.has("wineserver", '[ "$1" != -k ]').place),
    "compiler": lambda w, _: wine.compiler(w.has(COMPILER, "exit 0").place),
    "windows program": lambda w, _: wine.windows_program(w.has("wine", "echo hello").place),
    "nsis": lambda w, _: wine.installer_compiler(w.has("makensis", "echo v2.46").place),
    "agents": lambda w, tmp: kept.agents(w.place, tmp / "none"),
    "xvfb": lambda w, _: screens.virtual_screen(w.has("Xvfb", "exit 1").place),
    "xdotool": lambda w, _: screens.hands(w.place),
    "memory": lambda w, _: power.look(w.place, power.Memory(8000, 700), 4),
    "remote packages": lambda w, _: basics.modules({"no_such_module": "no-such"}, "vm"),
    "qemu": lambda w, _: machines.emulator(w.has(boot.EMULATOR, "echo QEMU emulator version 5.2.0").place),
    "emulation": lambda w, _: boot.emulation(w.has(boot.EMULATOR, "exit 0").place),
    "kvm": lambda w, tmp: boot.virtualisation(w.place, _cpu(tmp, "vmx"), tmp / "no-kvm"),
    "qemu-img": lambda w, _: machines.image_tool(w.has("qemu-img", "exit 0").place),
    "libvirt binding": lambda w, _: machines.judge_binding({"binding": "9.0.0", "library": "10.1.0"}, "", w.place),
    "libvirt": lambda w, _: machines.judge_libvirt({"library": "9.0.0", "error": "no", "code": 38}, "", w.place),
    "machines left over": lambda w, _: machines.judge_left_over(
        {"host": {"domains": ["rrsim-slot-1: over"], "volumes": [], "left": [], "images": []}}, "", w.place
    ),
    "unpacking": lambda w, _: machines.unpacking(w.has("apt-get", "exit 0").place),
    "mke2fs": lambda w, _: machines.make_disk(w.has("mke2fs", "exit 0").has("debugfs", "echo nothing").place),
    "images": lambda w, tmp: kept.built_images(w.place, tmp / "none"),
    "slirp": lambda w, _: dialup.provider(w.has("slirp-fullbolt", "echo 'cannot speak PPP'").place),
    "ssh": lambda w, _: dialup.ssh(w.has("ssh", "echo OpenSSH_7.4p1 >&2").place),
    "windows tools": lambda w, _: machines.windows_tools(w.place),
    "chromium": lambda w, _: screens.browser(w.has("chromium", "echo Chromium 120.0.1").place),
}


def _cpu(tmp: Path, flags: str) -> Path:
    path = tmp / "cpuinfo"
    path.write_text(f"flags\t\t: fpu {flags} sse\n")
    return path


def _dead_run(tmp: Path) -> Path:
    (tmp / "runs" / "20310131-010203-000001-999999999-1").mkdir(parents=True)
    return tmp / "runs"


def test_every_check_is_shown_something_wrong() -> None:
    """A check without an entry in the table above is one that nobody has seen fail."""
    assert set(WRONG) == {check.name for check in CHECKS}


@pytest.mark.parametrize("name", WRONG)
def test_a_check_can_fail(name: str, world: World, tmp_path: Path) -> None:
    """It does not say ok, says what it saw, and what to do about it."""
    seen = WRONG[name](world.hasty(), tmp_path)
    assert seen.state != "ok"
    assert seen.what
    assert seen.fix or seen.state == "skipped"


PROGRAMS: list[tuple[Look, str, tuple[str, ...]]] = [
    (wine.wine, "wine", wine.WINE),
    (wine.wineserver, "wineserver", wine.WINE),
    (wine.compiler, COMPILER, wine.MINGW),
    (wine.installer_compiler, "makensis", wine.NSIS),
    (screens.virtual_screen, "Xvfb", screens.XVFB),
    (screens.hands, "xdotool", wine.XDOTOOL),
    (screens.browser, "chromium", screens.CHROMIUM),
    (machines.emulator, boot.EMULATOR, boot.PACKAGES),
    (machines.image_tool, "qemu-img", machines.IMAGE_TOOL),
    (machines.make_disk, "mke2fs", ("e2fsprogs",)),
    (machines.unpacking, "apt-get", ("apt",)),
    (dialup.provider, "slirp-fullbolt", dialup.SLIRP),
    (dialup.ssh, "ssh", ("openssh-client",)),
]


@pytest.mark.parametrize(("look", "program", "packages"), PROGRAMS, ids=[name for _, name, _ in PROGRAMS])
def test_an_absent_program_is_missing(look: Look, program: str, packages: tuple[str, ...], world: World) -> None:
    """It is named with the package that brings it."""
    seen = look(world.place)
    assert seen.state == "missing"
    assert program in seen.what
    assert seen.packages == packages
    assert seen.fix == f"sudo apt-get install -y {' '.join(packages)}"


WORDLESS = ("wineserver", "apt-get")
"""What these print does not matter; what they do is looked at in tests of their own."""
TROUBLES = [
    pytest.param(look, program, script, id=f"{program} {how}")
    for look, program, _ in PROGRAMS
    for how, script in (("hangs", HANG), ("exit 1", FAIL), ("garbage", GARBAGE))
    if not (script == GARBAGE and program in WORDLESS)
]


@pytest.mark.parametrize(("look", "program", "script"), TROUBLES)
def test_a_program_that_does_not_do_its_work_is_broken(look: Look, program: str, script: str, world: World) -> None:
    """Whether it hangs, fails or talks nonsense: it is there, so no package is missing."""
    world.has("debugfs", GARBAGE)  # the companion of one of them
    seen = look(world.hasty().has(program, script).place)
    assert seen.state == "broken", seen
    assert seen.packages == ()
    assert seen.fix


OLD: list[tuple[Look, str, str]] = [
    (wine.wine, "wine", "wine-7.22 (Debian)"),
    (wine.installer_compiler, "makensis", "v2.51"),
    (machines.emulator, boot.EMULATOR, "QEMU emulator version 6.1.1"),
    (dialup.ssh, "ssh", "OpenSSH_7.9p1 Debian"),
    (screens.browser, "chromium", "Chromium 90.0.4430.212"),
]


@pytest.mark.parametrize(("look", "program", "answer"), OLD, ids=[name for _, name, _ in OLD])
def test_an_old_program_is_old(look: Look, program: str, answer: str, world: World) -> None:
    seen = look(world.has(program, f"echo '{answer}'").place)
    assert seen.state == "old"
    assert "later" in seen.what


def test_a_program_can_be_too_new(world: World) -> None:
    """Where a part leans on what a later version changed."""
    seen = programs.version(world.has("tool", "echo 9.1").place, "tool", (), r"(\d+)\.(\d+)", ("p",), newest=(9, 0))
    assert seen.state == "old"
    assert "before 9.0" in seen.what


NEW: list[tuple[Look, str, str]] = [
    (wine.wine, "wine", "wine-8.0 (Debian 8.0~repack-4)"),
    (wine.installer_compiler, "makensis", "v3.08-3+deb12u1"),
    (machines.emulator, boot.EMULATOR, "QEMU emulator version 7.2.22 (Debian 1:7.2)"),
    (dialup.ssh, "ssh", "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.9"),
]


@pytest.mark.parametrize(("look", "program", "answer"), NEW, ids=[name for _, name, _ in NEW])
def test_a_program_of_our_time_is_ok(look: Look, program: str, answer: str, world: World) -> None:
    assert look(world.has(program, f"echo '{answer}'").place).state == "ok"


def test_the_catalogue_is_in_order() -> None:
    """What a check comes after stands before it, serves the same purposes, and names are not used twice."""
    seen: dict[str, set[str]] = {}
    for check in CHECKS:
        assert check.name not in seen
        assert set(check.purposes) <= set(PURPOSES)
        assert check.purposes
        assert check.group in ("", *GROUPS)
        for name in check.after:
            assert set(check.purposes) <= seen[name], f"{check.name} is made where {name} is not"
        seen[check.name] = set(check.purposes)
