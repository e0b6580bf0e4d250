"""What the Wine backend does and says where Wine is not, and what it copies where it is."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from rrsim import live_clock
from rrsim.backends.live.wine import WineMachine, WineMissing, local, parts, template
from rrsim.backends.live.wine.pc import WinePc
from rrsim.machine import observations as seen


def test_without_wine_the_error_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WineMissing, match="apt-get install wine64 wine xvfb xdotool gcc-mingw-w64-x86-64 nsis"):
        asyncio.run(WineMachine.create("pc", tmp_path / "machines", lambda _: None))
    assert not (tmp_path / "machines").exists()


def test_a_copy_shares_libraries_and_never_follows_links(tmp_path: Path) -> None:
    source, target = tmp_path / "template", tmp_path / "copy"
    system32 = source / template.SYSTEM32
    system32.mkdir(parents=True)
    (system32 / "a.dll").write_text("library", encoding="ascii")
    (source / template.DRIVE / "users").mkdir()
    (source / template.DRIVE / "users" / "b.dll").write_text("a user's own", encoding="ascii")
    (source / "system.reg").write_text("registry", encoding="ascii")
    (source / "wineserver").write_text("wine-abc", encoding="ascii")
    (source / "dosdevices").mkdir()
    (source / "dosdevices" / "x:").symlink_to("/")
    template.copy(source, target)
    assert (system32 / "a.dll").samefile(target / template.SYSTEM32 / "a.dll")
    for own in ("system.reg", template.DRIVE / "users" / "b.dll"):
        assert (target / own).read_bytes() == (source / own).read_bytes()
        assert not (source / own).samefile(target / own)
    assert (target / "dosdevices" / "x:").is_symlink()
    assert not (target / "wineserver").exists()


def test_a_failed_program_says_its_last_words() -> None:
    with pytest.raises(WineMissing, match="ended with 3: oh no"):
        asyncio.run(parts.call("sh", "-c", "echo oh no; exit 3"))
    with pytest.raises(WineMissing, match="expected to end within"):
        asyncio.run(parts.call("sleep", "60", limit_s=0.05))


def place(folder: Path) -> local.LocalSite:
    """Return a machine's place that has a folder and no more."""
    return local.LocalSite(folder, SimpleNamespace(display=":1"))


def test_the_boot_flag_is_read_from_the_machines_own_file(tmp_path: Path) -> None:
    assert not local.flagged(tmp_path)
    (tmp_path / local.FLAG).parent.mkdir(parents=True)
    (tmp_path / local.FLAG).write_text("safeboot=network\r\n", encoding="ascii")
    assert local.flagged(tmp_path)


def test_the_disk_says_whether_the_boot_flag_went_before_or_after_another_witness(tmp_path: Path) -> None:
    told: list[object] = []
    pc = WinePc("pc", place(tmp_path), told.append)
    assert local.flag_changed_us(pc.site.prefix) == 0, "never"
    flag = pc.site.prefix / local.FLAG
    flag.parent.mkdir(parents=True)
    flag.write_text("safeboot=network", encoding="ascii")
    asyncio.run(pc.look_before(live_clock.monotonic_us()))
    assert told == [seen.HostCall("boot flag set", ok=True)]
    earlier_us = live_clock.monotonic_us() - 5_000_000
    flag.unlink()
    asyncio.run(pc.look_before(earlier_us))
    assert len(told) == 1, "that witness saw its event first"
    asyncio.run(pc.look_before(live_clock.monotonic_us()))
    assert told[1:] == [seen.HostCall("boot flag cleared", ok=True)]


def test_a_process_that_has_ended_is_none_even_if_nobody_took_note_of_its_end(tmp_path: Path) -> None:
    pc = WinePc("pc", place(tmp_path), lambda _: None)
    with subprocess.Popen(["sleep", "60"], env=os.environ | {"WINEPREFIX": str(pc.site.prefix)}) as child:
        try:
            assert pc.processes() == {child.pid: "sleep 60"}
        finally:
            child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is over, and stays in the list of processes
        assert Path(f"/proc/{child.pid}").exists()
        assert pc.processes() == {}


def test_nothing_of_the_hosts_environment_leaks_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_HOST", "x")
    env = template.environment(tmp_path / "prefix", ":7")
    assert "A_SECRET_OF_THE_HOST" not in env
    assert (env["DISPLAY"], env["WINEPREFIX"]) == (":7", str(tmp_path / "prefix"))


def test_every_c_source_is_built_into_something() -> None:
    used = {source for sources in parts.PROGRAMS.values() for source in sources} | {"proxy.c"}
    assert {path.name for path in parts.C_SOURCES.glob("*.c")} == used
