"""A customer's PC in a Wine guest, with a scripted guest daemon and a pretended hypervisor."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.vm import guest_power
from rrsim.backends.live.vm.errors import DiskFull, LeaseLost, RestartLoop, VmError
from rrsim.backends.live.vm.events import AnyEvent, Gap, Reset, Stopped, Suspended
from rrsim.backends.live.vm.guest_port import GuestPort
from rrsim.backends.live.vm.guest_site import GuestSite, digest_of_tree
from rrsim.backends.live.wine.pc import WindowsPc
from rrsim.backends.live.wine.power import MachineFailed, NotPossible
from rrsim.machine import observations as seen
from rrsim.machine.identity import New, compare

Line = dict[str, Any]


class Guest:
    """A guest daemon at the other end of a port: boots, files, processes."""

    def __init__(self) -> None:
        self.out: asyncio.Queue[bytes] = asyncio.Queue()
        self.boots = 0
        self.n = 0
        self.flag = False
        self.on = False
        self.files: dict[str, bytes] = {}
        self.asked: list[Line] = []
        self.mark = ""
        self.kept: list[Line] = []

    def boot(self) -> None:
        self.boots, self.n, self.on = self.boots + 1, 0, True
        for event in ({"event": "up"}, {"event": "pending work", "pending": False}):
            self.line("signin", event)
        self.line("signin", {"event": "welcome", "safe_mode": self.flag, "error": 0})

    def says(self, message: Line) -> None:
        self.out.put_nowait(json.dumps(message).encode() + b"\n")

    def line(self, key: str, fields: Line) -> None:
        self.n += 1
        message = {"line": key, "text": json.dumps(fields), "n": self.n}
        if self.n == 1:
            self.kept = []
        self.kept.append(message)
        self.says(message)

    # the stream
    async def read(self, _n: int = 0) -> bytes:
        data = await self.out.get()
        if data == b"END":
            raise ConnectionError("switched off")
        return data

    async def drain(self) -> None:
        """Everything is taken at once."""

    async def close(self) -> None:
        self.out.put_nowait(b"END")

    def write(self, data: bytes) -> None:
        request = json.loads(data)
        self.asked.append(request)
        if not self.on:
            return
        if "line" in request and "do" not in request:
            self.obey(request["text"].split("\t"))
            return
        answer = getattr(self, "do_" + request["do"].replace(" ", "_"))(request)
        if "id" in request:
            self.says({"re": request["id"], "at_us": 0, **answer})
        if request["do"] == "hello":
            for message in list(self.kept):
                self.says(message)

    def do_hello(self, _: Line) -> Line:
        return {"boot_id": f"kernel-{self.boots}", "flag_at_boot": self.flag}

    def do_watch_processes(self, _: Line) -> Line:
        return {"now": {"7": "C:\\windows\\explorer.exe"}}

    def do_files(self, _: Line) -> Line:
        return {"names": [f"file:C:/{name}" for name in self.files]}

    def do_read(self, request: Line) -> Line:
        name = request["path"].removeprefix("C:\\").replace("\\", "/")
        if name not in self.files:
            return {"error": "FileNotFoundError"}
        data = self.files[name]
        return {"base64": base64.b64encode(data[request["offset"]:][: request["limit"]]).decode(), "size": len(data)}

    def do_write(self, request: Line) -> Line:
        name = request["path"].removeprefix("C:\\").replace("\\", "/")
        before = self.files.get(name, b"") if request["append"] else b""
        self.files[name] = before + base64.b64decode(request["base64"])
        return {}

    def do_remove(self, request: Line) -> Line:
        del self.files[request["path"].removeprefix("C:\\").replace("\\", "/")]
        return {}

    def do_make_dir(self, _: Line) -> Line:
        return {}

    def do_flag(self, _: Line) -> Line:
        return {"set": self.flag, "changed_us": -5_000_000}

    def obey(self, words: list[str]) -> None:
        if words[0] == "mark":
            self.mark = words[1]
        elif words[0] == "identity":
            self.line("signin", {"reply": words[1], "boot_time_us": 10_000_000 * self.boots, "mark": self.mark})
        elif words[0] == "run":
            self.line("signin", {"reply": words[1], "error": 0, "late": False, "code": 0})


class Hypervisor:
    """A virtual machine's switches."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.hear: Callable[[AnyEvent], None] = lambda _: None
        self.hear_trouble: Callable[[Exception], None] = lambda _: None
        self.connection = ""
        self.resets, self.reset_reason = 1, "power on"
        self.done: list[str] = []

    def on_event(self, hear: Callable[[AnyEvent], None]) -> None:
        self.hear = hear

    def on_trouble(self, hear: Callable[[Exception], None]) -> None:
        self.hear_trouble = hear

    def beneath(self) -> str:
        return self.connection

    def resets_itself(self, *, guest: bool) -> None:
        self.resets, self.reset_reason = self.resets + 1, "guest reset" if guest else "host reset"
        self.hear(Reset(at_us=0, guest=guest, reason=self.reset_reason))
        self.guest.boot()

    async def destroy(self) -> None:
        self.done.append("destroy")
        self.guest.on = False
        self.hear(Stopped(at_us=0, reason="power cut"))

    async def reset(self) -> None:
        self.done.append("reset")
        self.resets_itself(guest=False)

    async def click(self, x: int, y: int) -> None:
        self.done.append(f"click {x} {y}")


class Rig:
    """A PC with everything around it."""

    def __init__(self, folder: Path, laid_in: dict[str, str] | None = None) -> None:
        self.guest, self.observed, self.ended = Guest(), [], 0
        self.vm = Hypervisor(self.guest)
        self.site = GuestSite(self.vm, folder, self.come_up, laid_in or {}, self.end)  # type: ignore[arg-type] -- as much of a machine as the tests use
        self.pc = WindowsPc("pc-1", self.site, self.observed.append)
        self.pc._told_display = True

    observed: list[Any]

    async def come_up(self) -> GuestPort:
        self.guest.out = asyncio.Queue()
        self.guest.boot()
        return GuestPort(self.guest, beneath=self.vm.beneath)

    async def end(self) -> None:
        self.ended += 1

    def phases(self) -> list[str]:
        return [one.phase for one in self.observed if isinstance(one, seen.PhaseBegan)]


def played(folder: Path, play: Callable[[Rig], Coroutine[Any, Any, None]], **more: Any) -> Rig:
    """Play a test on a loop of its own; the machine is closed in the end."""
    async def bounded() -> Rig:
        async with asyncio.timeout(30):
            rig = Rig(folder, **more)
            try:
                await play(rig)
            finally:
                await rig.pc.close()
            return rig
    return asyncio.run(bounded())


def test_a_restart_is_a_new_boot_by_three_witnesses(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        assert rig.site.processes() == {7: "C:\\windows\\explorer.exe"}
        before = await rig.pc.boot_identity()
        rig.guest.line("signin", {"event": "shutting down"})
        rig.guest.line("signin", {"event": "down", "restart": True, "exe": "x", "api": "power button"})
        rig.guest.says({"event": "line ended", "line": "signin", "code": 0})  # the guest ends its helpers by itself
        await asyncio.sleep(0.01)
        boot = rig.pc.boot
        rig.vm.resets_itself(guest=True)
        await rig.pc.wait_phase("welcome", not_boot=boot)
        after = await rig.pc.boot_identity()
        found = compare(before, after)
        assert isinstance(found, New)
        assert set(found.witnesses) == {"mark", "kernel boot time", "host"}
        assert after.host_reason == "guest reset"
    rig = played(tmp_path, play)
    once = ["firmware", "loading", "services", "welcome"]
    assert rig.phases() == [*once, "shutting down", *once]
    assert (rig.vm.done, rig.ended) == (["destroy"], 1)


def test_a_reset_that_nobody_asked_for_is_no_restart(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.vm.resets_itself(guest=True)
        with pytest.raises(MachineFailed, match="nobody asked for it"):
            await rig.pc.wait_phase("off")
    played(tmp_path, play)


@pytest.mark.parametrize("trouble", [DiskFull("no room"), LeaseLost("somebody took it"), RestartLoop("seven")])
def test_trouble_of_the_host_is_the_machines_and_is_named(trouble: VmError, tmp_path: Path) -> None:
    """A machine that was halted would only be silent, and the server would take that for the product's."""
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        heard: list[Exception] = []
        rig.pc.when_failed(heard.append)
        rig.vm.hear_trouble(trouble)
        with pytest.raises(MachineFailed, match=f"{type(trouble).__name__}: {trouble}; last heard of the guest"):
            await rig.pc.wait_phase("off")
        assert len(heard) == 1
    played(tmp_path, play)


def test_a_machine_that_somebody_halts_is_no_silent_product(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.vm.hear(Suspended(at_us=0, reason="asked"))
        with pytest.raises(MachineFailed, match="somebody halted the virtual machine"):
            await rig.pc.wait_phase("off")
    played(tmp_path, play)


def test_a_line_that_stays_silent_after_the_connection_broke_is_lost_too(tmp_path: Path) -> None:
    """A libvirt far away does not say that the streams of its old connection have ended."""
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.vm.connection = "the connection to libvirt broke and came back"
        rig.vm.hear(Gap(at_us=0))
        with pytest.raises(MachineFailed, match=r"HostLost: the connection .* took the line .*: it is silent; last"):
            await rig.pc.wait_phase("off")
    played(tmp_path, play)


@pytest.mark.parametrize("told", ["by the state", "by the event"])
def test_a_connection_that_broke_is_the_cause_of_a_lost_line(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_power, "CAUSE_LIMIT_S", 0.1 if told == "by the state" else 60.0)

    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.guest.out.put_nowait(b"END")
        rig.vm.connection = "the connection to libvirt broke and came back"
        await asyncio.sleep(0.05)
        if told == "by the event":
            rig.vm.hear(Gap(at_us=0))
        with pytest.raises(MachineFailed, match=r"HostLost: the connection .* took the line .*: switched off; last"):
            await rig.pc.wait_phase("off")
    played(tmp_path, play)


def test_a_helper_that_ends_unasked_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_power, "CAUSE_LIMIT_S", 0.1)

    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.guest.says({"event": "line ended", "line": "signin", "code": 1})
        with pytest.raises(MachineFailed, match="neither guest nor hypervisor says why: the helper ended"):
            await rig.pc.wait_phase("off")
    played(tmp_path, play)


def test_a_machine_that_goes_down_takes_its_lines_along_and_is_the_cause(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.guest.out.put_nowait(b"END")
        await asyncio.sleep(0.01)
        rig.vm.hear(Stopped(at_us=0, reason="power cut"))
        with pytest.raises(MachineFailed, match=r"nobody asked for it: stopped \(power cut\)"):
            await rig.pc.wait_phase("off")
    played(tmp_path, play)


def test_a_machine_that_stays_up_after_windows_went_down_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_power, "DOWN_LIMIT_S", 0.2)

    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.guest.line("signin", {"event": "down", "restart": True, "exe": "x", "api": "power button"})
        with pytest.raises(MachineFailed, match="did not report a reset"):
            await rig.pc.wait_phase("off", limit_s=5)
    played(tmp_path, play)


def test_the_same_kernel_is_no_new_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_power, "BOOT_LIMIT_S", 1.0)

    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.guest.line("signin", {"event": "down", "restart": True, "exe": "x", "api": "power button"})
        await asyncio.sleep(0.01)
        rig.vm.hear(Reset(at_us=0, guest=True, reason="guest reset"))  # and the guest goes on as if nothing had been
        with pytest.raises(MachineFailed, match="expected a new boot of the guest"):
            await rig.pc.wait_phase("welcome", not_boot=rig.pc.boot, limit_s=5)
    played(tmp_path, play)


def test_a_power_cut_and_a_reset_button(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        await rig.pc.power_cut()
        assert rig.pc.phase == "off"
        with pytest.raises(NotPossible, match="off"):
            await rig.site.files()
        await rig.pc.power_on()
        boot = rig.pc.boot
        await rig.pc.reset()
        await rig.pc.wait_phase("welcome", not_boot=boot)
    rig = played(tmp_path, play)
    assert rig.vm.done == ["destroy", "reset", "destroy"]
    assert [one.clean for one in rig.observed if isinstance(one, seen.WentDown)] == [False, False]


def test_a_power_cut_in_the_moment_in_which_windows_is_down_is_a_power_cut(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        async def windows_is_down() -> None:
            rig.guest.line("signin", {"event": "down", "restart": True, "exe": "x", "api": "power button"})
            await asyncio.sleep(0.05)

        await rig.pc.power_on()
        rig.pc._power.before_down = windows_is_down
        await rig.pc.power_cut()
        await asyncio.sleep(0.05)
        assert (rig.pc.phase, rig.pc.failed) == ("off", None)
        await rig.pc.power_on()
    rig = played(tmp_path, play)
    assert [one.clean for one in rig.observed if isinstance(one, seen.WentDown)] == [False]


def test_a_folder_that_lies_there_already_is_not_copied_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    (program / "sub").mkdir(parents=True)
    (program / "sub" / "big.bin").write_bytes(b"x" * 1_200_000)
    home = r"C:\Program Files\thing"

    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        await rig.pc.copy_in(program, home, {"settings.ini": b"one"})
        assert rig.guest.files["Program Files/thing/settings.ini"] == b"one"
        modes = {one["path"]: one["mode"] for one in rig.guest.asked if one.get("do") == "write"}
        assert modes[home + r"\settings.ini"] == 0o600
    fresh = played(tmp_path, play)
    assert fresh.guest.files["Program Files/thing/sub/big.bin"] == b"x" * 1_200_000
    known = played(tmp_path, play, laid_in={home: digest_of_tree(program)})
    assert "Program Files/thing/sub/big.bin" not in known.guest.files
    (program / "sub" / "big.bin").write_bytes(b"y")
    changed = played(tmp_path, play, laid_in={home: known.site._laid_in[home]})
    assert changed.guest.files["Program Files/thing/sub/big.bin"] == b"y"


def test_logs_are_fetched_and_stay_in_their_folder(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.guest.files = {
            "ProgramData/rragent/rragent.log": b"words", "ProgramData/../../../evil.log": b"evil",
            "ProgramData/other.dll": b"no log", "windows/system.log": b"not a program's",
        }
        await rig.pc.fetch()
    played(tmp_path / "here", play)
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {"here/drive_c/ProgramData/rragent/rragent.log"}


def test_take_reads_and_removes(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.guest.files = {"Setup/a.ini": b"key"}
        assert await rig.pc.take(r"C:\Setup\a.ini") == b"key"
        assert rig.guest.files == {}
        assert await rig.pc.take(r"C:\Setup\a.ini") == b""
        with pytest.raises(NotPossible, match="drive C:"):
            await rig.pc.take(r"D:\a.ini")
    played(tmp_path, play)


def test_the_guests_time_of_a_changed_flag_is_the_hosts(tmp_path: Path) -> None:
    async def play(rig: Rig) -> None:
        await rig.pc.power_on()
        rig.guest.flag = True
        ago_us = asyncio.get_running_loop().time() * 1e6 - await rig.site.look_at_flag()
        assert rig.site.flag()
        assert 4_900_000 < ago_us < 6_500_000
    played(tmp_path, play)
