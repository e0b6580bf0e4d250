"""What is seen of the guest: processes, files, the boot flag; and what is done to it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rrsim import live_clock
from rrsim.images.guest import look, screen
from rrsim.images.guest.settings import Settings
from tests.images.guest.guest_host import Guest

DEVICES = """\
I: Bus=0019 Vendor=0000 Product=0001 Version=0000
N: Name="Power Button"
H: Handlers=kbd event0
B: EV=3

I: Bus=0011 Vendor=0001 Product=0001 Version=ab41
N: Name="AT Translated Set 2 keyboard"
H: Handlers=sysrq kbd leds event1
B: EV=120013

I: Bus=0011 Vendor=0002 Product=0006 Version=0000
N: Name="ImExPS/2 Generic Explorer Mouse"
H: Handlers=mouse0 event2
B: EV=7

I: Bus=0006 Vendor=0627 Product=0003 Version=0002
N: Name="QEMU Virtio Tablet"
H: Handlers=mouse1 event3
B: EV=b
"""


def _program(guest: Guest, name: str, prefix: str = "") -> subprocess.Popen[bytes]:
    """Start a process that looks like a Windows program: its command line is a Windows path."""
    env = {"WINEPREFIX": prefix or str(guest.prefix)}
    return subprocess.Popen([name, "60"], executable="/bin/sleep", env=env)


def test_processes_are_windows_own_by_command_line(up: Guest) -> None:
    """Wine's own, other prefixes' and ended ones are not among them."""
    mine = _program(up, r"C:\agent\rragent.exe")
    others = _program(up, r"C:\agent\rragent.exe", "/elsewhere")
    wines = _program(up, "/usr/lib/wine/wine64")
    try:
        up.until(lambda: up.ask("processes")["now"])
        assert up.ask("processes")["now"] == {str(mine.pid): r"C:\agent\rragent.exe 60"}
        os.kill(mine.pid, 9)
        os.waitid(os.P_PID, mine.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has taken note
        assert up.ask("processes")["now"] == {}
    finally:
        for one in (mine, others, wines):
            one.kill()
            one.wait()


FORKS = """
import os, sys
if "ITSELF" in os.environ:
    print("itself", flush=True)
    sys.stdin.read()
    sys.exit()
hears, says = os.pipe()
if os.fork():
    print("forked", flush=True)
    sys.stdin.readline()
    os.write(says, b".")
    sys.stdin.read()
else:
    os.read(hears, 1)
    os.execve('/proc/self/exe', sys.orig_argv, os.environ | {"ITSELF": "yes"})
"""


def test_a_process_that_has_only_been_forked_is_not_there_yet(tmp_path: Path) -> None:
    """For a moment a service that starts its helper would be seen twice."""
    processes = look.Processes(Settings(prefix=tmp_path))
    with subprocess.Popen(
        ["rragent.exe", "-c", FORKS], executable=sys.executable, env={"WINEPREFIX": str(tmp_path)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as agent:  # fmt: skip
        assert agent.stdin is not None
        assert agent.stdout is not None
        assert agent.stdout.readline() == "forked\n"
        children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text(encoding="ascii").split()
        child = int(children[0])
        assert Path(f"/proc/{child}/cmdline").read_bytes() == Path(f"/proc/{agent.pid}/cmdline").read_bytes()
        assert list(processes.now()) == [agent.pid]
        agent.stdin.write("\n")
        agent.stdin.flush()
        assert agent.stdout.readline() == "itself\n"
        assert Path(f"/proc/{child}/cmdline").read_bytes() == Path(f"/proc/{agent.pid}/cmdline").read_bytes()
        assert sorted(processes.now()) == sorted([agent.pid, child])
        agent.stdin.close()


def test_changes_of_processes_are_told_while_watched(up: Guest) -> None:
    """Once for a change."""
    assert up.ask("watch processes", every_ms=50)["now"] == {}
    mine = _program(up, r"C:\agent\rragent.exe")
    try:
        assert list(up.event("processes")["now"]) == [str(mine.pid)]
        assert up.ask("kill", pids=[mine.pid, 1])["ended"] == [mine.pid]
        mine.wait()
        up.until(lambda: [one["now"] for one in up.heard if one.get("event") == "processes"][-1] == {})
    finally:
        mine.kill()
        mine.wait()


def test_files_have_the_names_of_an_inventory(guest: Guest) -> None:
    """The boot options are one item of it, by what they say."""
    drive = guest.settings.drive_c
    (drive / "users" / "customer").mkdir(parents=True)
    (drive / "users" / "customer" / "a b.txt").touch()
    (drive / "Boot" / "bcd.standin").touch()
    (drive / "windows").mkdir()
    (drive / "windows" / "not.asked.for").touch()
    answer = guest.ask("files", places=["users", "Boot", "absent"])
    assert answer["names"] == ["boot:safeboot=network", "file:C:/users/customer/a b.txt"]


def test_the_boot_flag_is_told_when_it_changes_both_ways(up: Guest) -> None:
    """With the moment at which the disk says that it did."""
    assert up.ask("flag")["set"] is False
    for path in (up.settings.drive_c, up.settings.drive_c / "Boot"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    before_us = live_clock.monotonic_us()
    flag = up.settings.drive_c / "Boot" / "bcd.standin"
    flag.write_text("safeboot=network\n", encoding="ascii")
    seen = up.event("flag")
    assert seen["set"] is True
    assert before_us - 50_000 <= seen["changed_us"] <= seen["at_us"]
    os.utime(flag.parent, (1_000_000_000, 1_000_000_000))
    flag.write_text("safeboot=network\n", encoding="ascii")  # in place: its folder does not notice
    assert up.ask("flag")["changed_us"] >= before_us - 50_000
    os.utime(flag, (1_000_000_000, 1_000_000_000))
    cleared_us = live_clock.monotonic_us()
    flag.unlink()
    assert up.ask("flag")["changed_us"] >= cleared_us - 50_000
    up.until(lambda: [one["set"] for one in up.heard if one.get("event") == "flag"] == [True, False])


def test_files_are_written_read_in_pieces_and_removed(guest: Guest) -> None:
    """By Windows path; appended pieces make one file."""
    guest.ask("make dir", path=r"C:\Program Files\X\Y")
    first, second = base64.b64encode(b"hello ").decode(), base64.b64encode(b"world").decode()
    guest.ask("write", path=r"C:\Program Files\X\f.bin", base64=first, mode=0o755)
    guest.ask("write", path=r"C:\Program Files\X\f.bin", base64=second, append=True, mode=0o755)
    path = guest.settings.drive_c / "Program Files/X/f.bin"
    assert path.read_bytes() == b"hello world"
    assert path.stat().st_mode & 0o777 == 0o755
    answer = guest.ask("read", path=r"C:\Program Files\X\f.bin", offset=6, limit=3)
    assert (base64.b64decode(answer["base64"]), answer["size"]) == (b"wor", 11)
    guest.ask("remove", path=r"C:\Program Files\X")
    assert not path.exists()
    assert "error" not in guest.ask("remove", path=r"C:\Program Files\X")
    assert "FileNotFoundError" in guest.ask("read", path=r"C:\Program Files\X\f.bin")["error"]


def test_an_identity_is_minted(guest: Guest) -> None:
    """Both parts are checked before either is written."""
    assert "32 hexadecimal digits" in guest.ask("mint", machine_id="short", hostname="pc-1")["error"]
    assert "letters, digits" in guest.ask("mint", machine_id="0" * 32, hostname="pc 1")["error"]
    assert not (guest.settings.etc / "machine-id").exists()
    guest.ask("mint", machine_id="0" * 32, hostname="pc-1")
    assert (guest.settings.etc / "machine-id").read_text(encoding="ascii") == "0" * 32 + "\n"
    assert (guest.settings.etc / "hostname").read_text(encoding="ascii") == "pc-1\n"


PPPD = """\
import sys
line = " ".join(sys.argv)
assert "ATDT5551234 CONNECT" in line, line
for said in {says!r}:
    print(said, flush=True)
if {stays!r}:
    import signal
    signal.pause()
sys.exit({code})
"""


@pytest.mark.parametrize(("says", "code", "state", "detail"), [
    (("Script /usr/sbin/chat finished (pid 9), status = 0x4",), 8, "failed", "BUSY"),
    (("Script /usr/sbin/chat finished (pid 9), status = 0x5",), 8, "failed", "NO CARRIER"),
    (("Script /usr/sbin/chat finished (pid 9), status = 0x6",), 8, "failed", "NO DIALTONE"),
    (("Script /usr/sbin/chat finished (pid 9), status = 0x3",), 8, "failed", "NO ANSWER"),
    (("local  IP address 10.0.2.15", "Modem hangup"), 16, "ended", "Modem hangup"),
    ((), 127, "failed", "pppd ended with 127"),
])
def test_a_call_ends_with_what_the_modem_said(
    guest: Guest, says: tuple[str, ...], code: int, state: str, detail: str
) -> None:
    """Whatever ends it, the host hears how."""
    _dialler(guest, says, code)
    guest.ask("hello")
    guest.ask("dial", number="5551234")
    last = guest.until(lambda: next((one for one in guest.heard if one.get("state") == state), None))
    assert last["detail"] == detail


def _dialler(guest: Guest, says: tuple[str, ...], code: int, *, stays: bool = False) -> None:
    import sys

    script = guest.settings.home / "pppd.py"
    script.write_text(PPPD.format(says=says, code=code, stays=stays), encoding="ascii")
    object.__setattr__(guest.settings, "dialler", (sys.executable, str(script)))


def test_a_call_goes_on_until_it_is_hung_up(guest: Guest) -> None:
    """One at a time."""
    _dialler(guest, ("local  IP address 10.0.2.15",), 5, stays=True)
    guest.ask("hello")
    assert "no call" in guest.ask("hang up")["error"]
    assert "expected digits" in guest.ask("dial", number="5; reboot")["error"]
    guest.ask("dial", number="5551234")
    connected = guest.until(lambda: next((one for one in guest.heard if one.get("state") == "connected"), None))
    assert connected["detail"] == "10.0.2.15"
    assert "going on" in guest.ask("dial", number="5551234")["error"]
    guest.ask("hang up")
    guest.until(lambda: any(one.get("state") == "ended" for one in guest.heard))


def test_the_screen_is_told_its_devices_by_their_kind() -> None:
    """A power button is no keyboard; every pointer is used, so that either kind of hand works."""
    assert screen.inputs(DEVICES) == (["event1"], ["event2", "event3"])
    config = screen.config(DEVICES, (1024, 768), "de")
    assert 'Option "Device" "/dev/input/event1"\n    Option "XkbRules" "evdev"\n    Option "XkbLayout" "de"' in config
    assert 'Modes "1024x768"' in config
    assert config.count("InputDevice \"pointer") == 2
