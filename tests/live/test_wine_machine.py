"""The Wine machine itself: power, boots, sign-in, the end of sessions, eyes, hands, residue. No agent takes part."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.wine import MachineFailed, WineMachine, lease, parts, power, reap
from rrsim.backends.live.wine.eyes import pressable
from rrsim.machine import observations as seen
from rrsim.machine.identity import BeforeUnreadable, New, Same, compare, require_readable
from rrsim.machine.inventory import difference, left_behind
from rrsim.wine_start import plainly
from tests.live.wine_bench import LIMIT_S, Bench, Play

pytestmark = [
    pytest.mark.wine,
    pytest.mark.skipif(any(shutil.which(name) is None for name in parts.NEEDED), reason=f"no Wine: {parts.INSTALL}"),
    pytest.mark.timeout(180),
]
RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
RUN_ONCE = RUN + "Once"
SERVICES = r"HKLM\System\CurrentControlSet\Services"


def test_a_boot_goes_through_its_phases_and_signing_in_reaches_the_desktop(play: Play) -> None:
    async def story(b: Bench) -> None:
        assert b.phases() == ["firmware", "loading", "services", "welcome"]
        await b.machine.log_on()
        assert b.phases()[4:] == ["shell", "desktop"]
        assert b.kinds(seen.LoggedOn) == [seen.LoggedOn(user="customer", desktop="visible", right=True)]
        assert await b.machine.run(["cmd", "/c", "exit 1115"]) == (1115, "")
        with pytest.raises(power.NotPossible, match="could not start"):
            await b.machine.run([r"C:\nothing.exe"])

    play(story)


@pytest.mark.skipif(not plainly(), reason="this container lets nobody keep heaps where they are")
def test_no_heap_can_be_in_the_way_of_windows_own_page(play: Play) -> None:
    """Wine's loader ends without a word if its heap covers 0x7ffe0000: it begins right behind the loader."""

    async def story(b: Bench) -> None:
        await b.machine.log_on()
        heaps = await asyncio.to_thread(_heaps_of_loaders, b.machine.site.prefix)
        assert len(heaps) >= 3
        assert max(heaps) < 0x7E000000

    play(story)


def _heaps_of_loaders(prefix: Path) -> list[int]:
    """Return where the heaps begin of processes whose program is Wine's loader."""
    maps = [Path(f"/proc/{one.pid}/maps").read_text(encoding="utf-8") for one in lease.inhabitants(prefix)]
    lines = [line for text in maps if "/wine64\n" in text for line in text.splitlines() if line.endswith("[heap]")]
    return [int(line.partition("-")[0], 16) for line in lines]


@pytest.mark.parametrize(("word", "forced"), [("initiate", True), ("exit", False)])
def test_a_program_restarts_the_machine(play: Play, word: str, forced: bool) -> None:
    async def story(b: Bench) -> None:
        b.give("probe_power.exe")
        await b.machine.log_on()
        before, boot = await b.machine.boot_identity(), b.machine.boot
        require_readable(before)
        assert isinstance(compare(before, await b.machine.boot_identity()), Same)
        b.observed.clear()
        await b.machine.start([r"C:\probe_power.exe", word])
        await b.machine.wait_phase("welcome", not_boot=boot)
        after = await b.machine.boot_identity()
        assert isinstance(compare(before, after), New)
        assert after.host_reason == "guest reset"
        assert b.observed == [
            seen.RestartBegan("other program", "probe_power.exe", forced), seen.PhaseBegan("shutdown asked"),
            seen.SessionEnds("other program"), seen.PhaseBegan("shutting down"),
            seen.WentDown("other program", clean=True), seen.PhaseBegan("firmware"), seen.PhaseBegan("loading"),
            seen.BootBegan(boot=b.machine.boot, safe_mode=False, cause="other program"), seen.PhaseBegan("services"),
            seen.PhaseBegan("welcome"),
        ]

    play(story)


@pytest.mark.parametrize(("asker", "forced"), [("program", False), ("service", True)])
def test_who_forces_other_sessions_forces_the_customers_only_from_outside_it(
    play: Play, asker: str, forced: bool
) -> None:
    """What installers ask for: their own session's programs keep their say. To a service it is another session."""
    async def story(b: Bench) -> None:
        b.give("probe_power.exe")
        await b.machine.log_on()
        boot = b.machine.boot
        if asker == "service":
            await b.cmd(r"sc create probe binPath= C:\probe_power.exe start= demand")
            await b.machine.start(["sc", "start", "probe"])
        else:
            await b.machine.start([r"C:\probe_power.exe", "others"])
        await b.machine.wait_phase("welcome", not_boot=boot)
        assert b.kinds(seen.RestartBegan) == [seen.RestartBegan("other program", "probe_power.exe", forced)]

    play(story)


def test_the_cause_names_the_agent_and_windows_own_answers_can_be_chosen(play: Play) -> None:
    async def story(b: Bench) -> None:
        b.give("probe_power.exe")
        b.machine.agent_exe_names = frozenset({"Probe_Power.exe"})
        assert (await b.machine.run([r"C:\probe_power.exe", "without privilege"]))[0] == 5
        b.machine.refuse_restarts(1191)
        assert (await b.machine.run([r"C:\probe_power.exe", "initiate"]))[0] == 1191
        b.machine.refuse_restarts(0)
        assert (await b.machine.run([r"C:\probe_power.exe", "abort"]))[0] == 1116
        assert (await b.machine.run([r"C:\probe_power.exe", "grace"]))[0] == 0
        assert (await b.machine.run([r"C:\probe_power.exe", "initiate"]))[0] == 1190
        assert (await b.machine.run([r"C:\probe_power.exe", "abort"]))[0] == 0
        assert b.machine.phase == "welcome"
        assert b.kinds(seen.RestartBegan, seen.RestartStopped) == [
            seen.RestartBegan("agent", "probe_power.exe", forced=True), seen.RestartStopped("agent")
        ]
        boot = b.machine.boot
        await b.machine.start([r"C:\probe_power.exe", "initiate"])
        await b.machine.wait_phase("welcome", not_boot=boot)
        assert b.kinds(seen.WentDown) == [seen.WentDown("agent", clean=True)]

    play(story)


def test_a_service_is_told_of_sessions_and_of_the_end_and_is_waited_for(play: Play) -> None:
    async def story(b: Bench) -> None:
        b.give("probe_service.exe")
        await b.cmd(r"sc create probe binPath= C:\probe_service.exe start= auto")
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        b.machine.on_helper_lines(heard.put_nowait)
        await b.machine.restart()
        async with asyncio.timeout(LIMIT_S):
            while (await heard.get()).get("event") != "service heard":
                pass
        (b.machine.drive_c / "probe.log").unlink()
        await b.machine.log_on()
        await b.machine.log_off()
        await b.machine.log_on()
        boot = b.machine.boot
        await b.machine.use_start_menu()
        await b.machine.wait_phase("welcome", not_boot=boot)
        assert b.read("probe.log").splitlines()[:7] == [
            "control 14 501", "control 14 601", "control 14 501", "control 14 601", "control 15 0", "stopped 0 0",
            "started clean=0 restart=0",
        ]
        assert "stand-in: shutdown and session notices to services (advapi32 proxy)" in b.machine.stand_ins

    play(story)


def test_a_service_that_comes_after_the_sign_in_is_told_of_it_once(play: Play) -> None:
    """On Windows it asks who is there; Wine's list of sessions is empty. Nobody there: nothing is told."""

    async def story(b: Bench) -> None:
        b.give("probe_service.exe")
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        b.machine.on_helper_lines(heard.put_nowait)

        async def wait_for(event: str) -> None:
            async with asyncio.timeout(LIMIT_S):
                while (await heard.get()).get("event") != event:
                    pass

        await b.cmd(r"sc create probe binPath= C:\probe_service.exe start= demand")
        await b.machine.log_on()
        await b.cmd("sc start probe")
        await wait_for("service told late")
        await b.machine.log_off()
        await b.machine.log_on()
        told = [line for line in b.read("probe.log").splitlines() if line.startswith("control 14")]
        assert told == ["control 14 501", "control 14 601", "control 14 501"]

    play(story)


def test_windows_are_asked_and_told_and_a_no_holds_the_restart_up(play: Play) -> None:
    async def story(b: Bench) -> None:
        b.give("probe_window.exe")
        await b.machine.log_on()
        await b.machine.start([r"C:\probe_window.exe", "no"])
        await b.shown("probe_window.exe")
        came: set[str] = set()
        b.machine.on_windows = lambda shown, gone: came.update(one.exe for one in shown)
        b.observed.clear()
        for button in ("Cancel", "Restart anyway"):
            boot = b.machine.boot
            await b.machine.use_start_menu()
            screen = await b.shown("rrwinlogon.exe")
            assert screen.cls == "rrsim block screen"
            assert b.kinds(seen.RestartBlocked)[-1:] == [seen.RestartBlocked("probe_window.exe")]
            await b.machine.click(screen.hwnd, button)
            if button == "Cancel":
                await b.machine.wait_phase("desktop")
                assert b.kinds(seen.RestartBlocked, seen.RestartStopped)[1:] == [seen.RestartStopped("customer")]
                await b.window(lambda one: one.exe == "rrwinlogon.exe", gone=True)
            else:
                await b.machine.wait_phase("welcome", not_boot=boot)
        assert came == {"rrwinlogon.exe"}, "whatever else comes may take the press"
        assert b.read("window.log").splitlines() == [
            "query w=0 l=00000000", "end w=0 l=00000000", "query w=0 l=00000000", "end w=1 l=00000000",
        ]

    play(story)


def test_a_forced_restart_and_a_log_off_say_so_to_windows(play: Play) -> None:
    async def story(b: Bench) -> None:
        b.give("probe_window.exe")
        await b.machine.log_on()
        await b.machine.start([r"C:\probe_window.exe", "yes"])
        await b.shown("probe_window.exe")
        await b.machine.log_off()
        await b.machine.log_on()
        await b.machine.start([r"C:\probe_window.exe", "no"])
        await b.shown("probe_window.exe")
        await b.machine.restart(force=True)
        assert b.read("window.log").splitlines() == [
            "query w=0 l=80000000", "end w=1 l=80000000", "query w=0 l=40000000", "end w=1 l=40000000",
        ]

    play(story)


def test_eyes_see_and_hands_press_type_and_close(play: Play) -> None:
    async def story(b: Bench) -> None:
        b.give("probe_window.exe")
        await b.machine.log_on()
        await b.machine.start([r"C:\probe_window.exe", "yes"])
        window = await b.shown("probe_window.exe")
        assert (window.title, window.cls, pressable(window, "press me").id) == ("Probe", "probe window", 7)
        await b.machine.click(window.hwnd, 7)
        await b.machine.click(window.hwnd, 8)
        await b.machine.type_text("hello")
        await b.window(lambda one: one.exe == "probe_window.exe" and pressable(one, 8).text == "hello")
        assert b.machine.screenshot().startswith(b"\x89PNG")
        await b.machine.click(window.hwnd, "close")
        await b.window(lambda one: one.exe == "probe_window.exe", gone=True)
        assert b.read("window.log").splitlines() == ["pressed w=7 l=00000000", "destroyed w=0 l=00000000"]

    play(story)


def test_windows_own_dialog_restarts_on_yes_and_does_nothing_on_no(play: Play) -> None:
    async def story(b: Bench) -> None:
        await b.machine.log_on()
        boot = b.machine.boot
        await b.machine.show_restart_dialog()
        await b.machine.click((await b.shown("restart-dialog.exe")).hwnd, "No")
        await b.window(lambda one: one.exe == "restart-dialog.exe", gone=True)
        assert not b.kinds(seen.RestartBegan)
        await b.machine.show_restart_dialog()
        await b.machine.click((await b.shown("restart-dialog.exe")).hwnd, "Yes")
        await b.machine.wait_phase("welcome", not_boot=boot)
        assert b.kinds(seen.WentDown) == [seen.WentDown("windows dialog", clean=True)]

    play(story)


def test_an_installer_leaves_work_and_its_restart_does_it(play: Play) -> None:
    async def story(b: Bench) -> None:
        await b.machine.log_on()
        before = await b.machine.inventory()
        boot = b.machine.boot
        await b.machine.run_installer()
        page = await b.window(lambda one: one.exe == "installer.exe" and any(
            control.text == "Reboot now" and control.visible for control in one.controls))
        assert page is not None
        assert b.kinds(seen.PendingWork) == [seen.PendingWork(pending=True)]
        left = left_behind(before, await b.machine.inventory())
        assert "registry:HKLM/SYSTEM/CurrentControlSet/Control/Session Manager/PendingFileRenameOperations" in left
        old = b.machine.drive_c / "Program Files" / "Example Printer Driver" / "old-driver.txt"
        assert old.exists()
        await b.machine.click(page.hwnd, "Reboot now")
        await b.machine.click(page.hwnd, "Finish")
        await b.machine.wait_phase("welcome", not_boot=boot)
        assert b.kinds(seen.RestartBegan) == [seen.RestartBegan("installer", "installer.exe", forced=False)]
        assert b.kinds(seen.WentDown) == [seen.WentDown("installer", clean=True)]
        assert b.kinds(seen.PendingWork) == [seen.PendingWork(pending=True), seen.PendingWork(pending=False)]
        assert not old.exists()

    play(story)


def test_autostart_follows_windows_rules(play: Play) -> None:
    async def story(b: Bench) -> None:
        m = b.machine
        add = "reg add {0} /v {1} /d \"cmd /c echo ran>>C:\\ran-{2}.log\" /f"
        entries = [
            (rf"HKCU\{RUN_ONCE}", "plain", "user-once"), (rf"HKCU\{RUN_ONCE}", "*forced", "forced"),
            (rf"HKLM\{RUN_ONCE}", "plain", "machine-once"), (rf"HKCU\{RUN}", "every", "user-every"),
            (rf"HKLM\{RUN}", "every", "machine-every"),
        ]
        batch = m.drive_c / "set.bat"
        batch.write_text("\r\n".join("@" + add.format(*entry) for entry in entries) + "\r\n", encoding="ascii")
        await m.run([r"C:\set.bat"])
        await b.cmd("bcdedit /set {current} safeboot network")
        await m.restart()
        await m.log_on()
        assert sorted(path.name for path in m.drive_c.glob("ran-*")) == ["ran-forced.log"]
        await b.cmd("bcdedit /deletevalue {current} safeboot")
        await m.restart()
        heard: list[dict[str, Any]] = []
        m.on_helper_lines(heard.append)
        await m.log_on()
        assert [line["from"] for line in heard if line["event"] == "autostart"] == [
            "HKLM RunOnce", "HKLM Run", "HKCU Run", "HKCU RunOnce",
        ]
        await m.log_off()
        await m.log_on()
        assert [line["from"] for line in heard if line["event"] == "autostart"][4:] == ["HKLM Run", "HKCU Run"]
        assert [b.read(f"ran-{name}.log") for name in ("machine-once", "user-once", "forced")] == ["ran\n"] * 3
        names = await m.inventory()
        assert not [name for name in names if "/RunOnce/" in name], "each was deleted when it ran"
        assert len([name for name in names if name.endswith("/Run/every")]) == 2

    play(story)


def test_a_restart_alone_leaves_nothing_behind(play: Play) -> None:
    async def story(b: Bench) -> None:
        await b.machine.log_on()
        before = await b.machine.inventory()
        assert any(name.startswith("registry:HKLM/SYSTEM/CurrentControlSet/Services/") for name in before)
        (b.machine.drive_c / "ProgramData" / "left.txt").touch()
        await b.machine.restart()
        await b.machine.log_on()
        assert difference(before, await b.machine.inventory()) == ("file:C:/ProgramData/left.txt",)

    play(story)


def test_a_run_once_entry_with_an_exclamation_mark_survives_a_power_cut_while_it_runs(play: Play) -> None:
    async def story(b: Bench) -> None:
        m = b.machine
        key = rf"HKCU\{RUN_ONCE}"
        await m.run(["reg", "add", key, "/v", "!stays", "/d", r"cmd /c ping -n 60 127.0.0.1", "/f"])
        await m.run(["reg", "add", key, "/v", "goes", "/d", r"cmd /c echo x>C:\went.txt", "/f"])
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        m.on_helper_lines(heard.put_nowait)
        signing_in = asyncio.create_task(m.log_on())
        async with asyncio.timeout(LIMIT_S):
            while (await heard.get()).get("name") != "!stays":
                pass
        await m.power_cut()
        await signing_in
        await m.power_on()
        assert "!stays" in (await m.run(["reg", "query", key]))[1]

    play(story)


def test_safe_mode_starts_only_listed_services_and_says_so_everywhere(play: Play) -> None:
    async def story(b: Bench) -> None:
        m = b.machine
        b.give("probe_service.exe")
        await b.cmd(r"sc create probe binPath= C:\probe_service.exe start= auto")
        assert (await m.run(["bcdedit", "/deletevalue", "{current}", "safeboot"]))[0] == 1
        await b.cmd("bcdedit /set {current} safeboot network")
        assert "safeboot                Network" in await b.cmd("bcdedit /enum {current}")
        assert "boot:safeboot=network" in await m.inventory()
        await m.restart()
        began = seen.BootBegan(boot=m.boot, safe_mode=True, cause="probe")
        assert b.observed[-3:-1] == [began, seen.PhaseBegan("services")]
        assert b.read("probe.log") == ""
        await b.cmd(r"reg add HKLM\System\CurrentControlSet\Control\SafeBoot\Network\probe /ve /d Service /f")
        await m.restart()
        await m.log_on()
        assert (await b.cmd("echo %SAFEBOOT_OPTION%")).strip() == "NETWORK"
        assert "0x2" in await b.cmd(r"reg query HKLM\System\CurrentControlSet\Control\SafeBoot\Option /v OptionValue")
        assert b.read("probe.log").startswith("started clean=2")
        await b.cmd("bcdedit /deletevalue {current} safeboot")
        await m.restart()
        assert (await m.run(["reg", "query", r"HKLM\System\CurrentControlSet\Control\SafeBoot\Option"]))[0] == 1
        assert "0x2" in await b.cmd(rf"reg query {SERVICES}\probe /v Start")

    play(story)


def test_a_power_cut_tells_nobody_and_the_machine_stays_off(play: Play) -> None:
    async def story(b: Bench) -> None:
        m = b.machine
        b.give("probe_window.exe")
        await m.log_on()
        await m.start([r"C:\probe_window.exe", "yes"])
        await b.shown("probe_window.exe")
        before = await m.boot_identity()
        await m.power_cut()
        assert b.observed[-2:] == [seen.WentDown("power", clean=False), seen.PhaseBegan("off")]
        assert b.read("window.log") == ""
        assert await m.windows() == ()
        with pytest.raises(BeforeUnreadable):
            require_readable(await m.boot_identity())
        with pytest.raises(power.NotPossible, match="not up"):
            await m.run(["cmd"])
        await m.power_on()
        assert isinstance(compare(before, await m.boot_identity()), New)

    play(story)


def test_a_crash_and_a_reset_start_again_and_a_shutdown_does_not(play: Play) -> None:
    async def story(b: Bench) -> None:
        m = b.machine
        for act, reason in ((m.crash, "guest reset"), (m.reset, "host reset")):
            boot, before = m.boot, await m.boot_identity()
            await act()
            await m.wait_phase("welcome", not_boot=boot)
            after = await m.boot_identity()
            assert isinstance(compare(before, after), New)
            assert after.host_reason == reason
        b.observed.clear()
        await m.log_on()
        await m.use_start_menu("off")
        await m.wait_phase("off")
        assert b.kinds(seen.RestartBegan) == [], "a shutdown is no restart"
        assert b.observed[-2:] == [seen.WentDown("start menu", clean=True), seen.PhaseBegan("off")]

    play(story)


def test_a_machine_that_goes_down_unasked_is_an_error_with_a_name(play: Play) -> None:
    async def story(b: Bench) -> None:
        server = b.machine._power.server
        lease.end(server)
        with pytest.raises(MachineFailed, match="nobody asked for it"):
            await b.machine.wait_phase("off", limit_s=LIMIT_S)
        with pytest.raises(MachineFailed):
            await b.machine.run(["cmd"])

    play(story)


def test_two_machines_live_side_by_side(tmp_path: Path, programs: Path) -> None:
    async def story() -> None:
        root = tmp_path / "machines"
        one = await WineMachine.create("one", root, lambda _: None)
        two = await WineMachine.create("two", root, lambda _: None)
        try:
            await asyncio.gather(one.power_on(), two.power_on())
            await asyncio.gather(one.log_on(), two.log_on())
            boot = two.boot
            await one.power_off()
            assert (one.phase, two.phase, two.boot) == ("off", "desktop", boot)
            with pytest.raises(power.NotPossible, match="in use"):
                await WineMachine.create("two", root, lambda _: None)
        finally:
            await asyncio.gather(one.close(), two.close())

    asyncio.run(story())


def test_what_a_killed_run_leaves_is_reaped(tmp_path: Path) -> None:
    root = tmp_path / "machines"
    program = f"""
import asyncio, os, signal
from pathlib import Path
from rrsim.backends.live.wine import WineMachine
async def main():
    m = await WineMachine.create("pc", Path({str(root)!r}), lambda _: None)
    await m.power_on()
    await m.log_on()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=150)
    left = lease.read(root / "pc")
    assert left is not None
    assert lease.alive(left.screen)
    assert lease.alive(left.server)
    assert reap(root) == ("pc",)
    assert not lease.alive(left.screen)
    assert lease.inhabitants(Path(left.prefix)) == ()
    assert list(root.iterdir()) == []
    assert reap(root) == ()
