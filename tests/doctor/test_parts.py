"""The checks one by one: what each makes of worlds that are right, and of those that are wrong in their own way."""

from __future__ import annotations

import datetime
import os
import shlex
import struct
import subprocess
from pathlib import Path

import msgspec
import pytest

from rrsim.backends.live.wine import lease
from rrsim.backends.live.wine.parts import COMPILER
from rrsim.doctor import ask_libvirt, basics, boot, dialup, kept, machines, power, screens, wine
from rrsim.images.description import Built, Description, Hardware, Licence
from tests.doctor.conftest import HANG, World

TODAY = datetime.date(2031, 3, 10)
GUEST = Path(boot.__file__).with_name("boot_sector.S")

# --- the guest of one sector -----------------------------------------------------------------------------------

SPEAKS = """\
import sys
log = next(word for word in sys.argv if word.startswith('file:') and 'spoken' in word)[5:]
open(log, 'wb').write({words!r})
sys.exit({code})
"""


@pytest.mark.parametrize(
    ("words", "code", "state"),
    [(b"rrsim\n", 33, "ok"), (b"rrsim\n", 0, "broken"), (b"rrsim\n", 1, "broken"), (b"r", 33, "broken"),
     (b"", 33, "broken")],
)
def test_emulation_needs_every_word_and_the_right_end(words: bytes, code: int, state: str, world: World) -> None:
    """A guest that stops in real mode has said one letter only."""
    world.has_python(boot.EMULATOR, SPEAKS.format(words=words, code=code))
    assert boot.emulation(world.place).state == state


def test_words_of_an_earlier_boot_prove_nothing(world: World) -> None:
    world.has_python(boot.EMULATOR, SPEAKS.format(words=b"rrsim\n", code=33))
    assert boot.emulation(world.place).state == "ok"
    world.has(boot.EMULATOR, "exit 33")
    assert boot.emulation(world.place).state == "broken"


def test_the_sector_is_what_its_source_says(tmp_path: Path) -> None:
    """It is kept assembled; the source is assembled again and compared."""
    assert len(boot.SECTOR) == 512
    try:
        subprocess.run(["as", "--64", "-o", tmp_path / "s.o", GUEST], check=True, timeout=60)
        link = ["ld", "-m", "elf_x86_64", "-Ttext", "0x7c00", "--oformat", "binary"]
        subprocess.run([*link, "-o", tmp_path / "s", tmp_path / "s.o"], check=True, timeout=60)
    except FileNotFoundError as error:
        pytest.skip(f"expected an assembler, saw no program {error.filename}: apt-get install -y binutils")
    assert (tmp_path / "s").read_bytes() == boot.SECTOR


def _cpu(tmp_path: Path, flags: str) -> Path:
    path = tmp_path / "cpuinfo"
    path.write_text(f"flags\t\t: fpu {flags} sse\n")
    return path


def test_kvm_is_not_tried_where_the_processor_cannot(world: World, tmp_path: Path) -> None:
    """A device that is there all the same proves nothing, and is not touched."""
    world.has_python(boot.EMULATOR, SPEAKS.format(words=b"rrsim\n", code=33))
    device = tmp_path / "kvm"
    device.write_bytes(b"")
    seen = boot.virtualisation(world.place, _cpu(tmp_path, "xvmx svmx"), device)
    assert seen.state == "skipped"
    assert "proves nothing" in seen.what


@pytest.mark.parametrize("flag", ["vmx", "svm"])
def test_kvm_is_proved_by_a_guest(flag: str, world: World, tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.write_bytes(b"")
    world.has_python(boot.EMULATOR, SPEAKS.format(words=b"rrsim\n", code=33))
    assert boot.virtualisation(world.place, _cpu(tmp_path, flag), device).state == "ok"
    world.has(boot.EMULATOR, "echo 'KVM internal error' >&2; exit 1")
    seen = boot.virtualisation(world.place, _cpu(tmp_path, flag), device)
    assert seen.state == "broken"
    assert "KVM internal error" in seen.what


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may open everything")
def test_kvm_without_access_names_the_group(world: World, tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.write_bytes(b"")
    device.chmod(0)
    assert "usermod -aG kvm" in boot.virtualisation(world.place, _cpu(tmp_path, "vmx"), device).fix


# --- screens and the browser -----------------------------------------------------------------------------------

SCREEN = """\
import os, struct, sys, signal
words = sys.argv
width, height = map(int, words[words.index('-screen') + 2].split('x')[:2])
folder = words[words.index('-fbdir') + 1]
head = struct.pack('>25I', 100, {version}, 2, 24, {width}, height, 0, 0, 0, 0, 0, 32, width * 4, *[0] * 12)
open(folder + '/Xvfb_screen0', 'wb').write((head + bytes(width * height * 4))[:{size}])
os.write(int(words[words.index('-displayfd') + 1]), b'42\\n')
signal.sigwait([signal.SIGTERM])
"""


@pytest.mark.parametrize(
    ("version", "width", "size", "state"),
    [(7, "width", 10**9, "ok"), (6, "width", 10**9, "broken"), (7, "width + 1", 10**9, "broken"),
     (7, "width", 500, "broken"), (7, "width", 10, "broken")],
)
def test_a_screen_has_to_have_a_whole_picture(version: int, width: str, size: int, state: str, world: World) -> None:
    """The right format, the size that was asked for, and every line of it."""
    world.has_python("Xvfb", SCREEN.format(version=version, width=width, size=size))
    assert screens.virtual_screen(world.place).state == state


def test_the_size_of_a_picture() -> None:
    """Line bytes count, not the width."""
    head = struct.pack(">25I", 100, 7, 2, 24, 4, 2, 0, 0, 0, 0, 0, 32, 16, *[0] * 12)
    assert screens.picture_size(head + bytes(32)) == (4, 2)
    assert screens.picture_size(head + bytes(31)) is None
    assert screens.picture_size(b"") is None


@pytest.mark.parametrize(("at", "state"), [("x:31 y:17 screen:0", "ok"), ("x:0 y:0 screen:0", "broken")])
def test_the_pointer_has_to_arrive(at: str, state: str, world: World) -> None:
    world.has_python("Xvfb", SCREEN.format(version=7, width="width", size=10**9))
    world.has("xdotool", f"[ \"$DISPLAY\" = :42 ] && echo '{at} window:1'")
    assert screens.hands(world.place).state == state


PAGE = 'case "$*" in *--version*) echo Chromium 120.0.1;; *) echo "<p>{}</p>";; esac'


@pytest.mark.parametrize(("heard", "state"), [("rrsim", "ok"), ("", "broken")])
def test_the_browser_has_to_run_the_script(heard: str, state: str, world: World) -> None:
    """Printing the page as it came is not enough: its script makes the word."""
    assert screens.browser(world.has("chromium", PAGE.format(heard)).place).state == state
    assert "rrsim" not in screens.PAGE


# --- Wine ------------------------------------------------------------------------------------------------------

MAKES = 'while [ $# -gt 1 ]; do [ "$1" = -o ] && printf "{}" >"$2"; shift; done'


@pytest.mark.parametrize(
    ("made", "format_", "state"),
    [("MZ program", "file format pei-x86-64", "ok"), ("ELF program", "file format pei-x86-64", "broken"),
     ("MZ program", "file format pei-i386", "broken")],
)
def test_the_compiler_has_to_make_a_windows_program(made: str, format_: str, state: str, world: World) -> None:
    world.has(COMPILER, MAKES.format(made)).has(wine.OBJDUMP, f"echo '{format_}'")
    assert wine.compiler(world.place).state == state


def test_the_compiler_needs_its_companion(world: World) -> None:
    seen = wine.compiler(world.has(COMPILER, MAKES.format("MZ")).place)
    assert (seen.state, seen.packages) == ("missing", ("binutils-mingw-w64-x86-64",))


@pytest.mark.parametrize(
    ("script", "state"), [(f"echo {wine.WORDS}", "ok"), (f"echo {wine.WORDS}; exit 1", "broken"), ("echo hi", "broken")]
)
def test_wine_has_to_run_the_program(script: str, state: str, world: World) -> None:
    """Its words and its end; and the prefix is put away whatever came of it."""
    world.has("wine", script).has("wineserver", 'echo "$1 $WINEPREFIX" >>"$HOME/ended"')
    assert wine.windows_program(world.place).state == state
    ended = (Path(world.place.environment["HOME"]) / "ended").read_text().split()
    assert ended == ["-k", f"{world.place.scratch}/prefix", "-w", f"{world.place.scratch}/prefix"]


def test_the_wine_that_hangs_is_put_away(world: World) -> None:
    world.hasty().has("wine", HANG).has("wineserver", 'echo "$1" >>"$HOME/ended"')
    seen = wine.windows_program(world.place)
    assert seen.state == "broken"
    assert "did not end" in seen.what
    assert (Path(world.place.environment["HOME"]) / "ended").read_text().split() == ["-k", "-w"]


# --- virtual machines ------------------------------------------------------------------------------------------

WELL = {
    "binding": "9.0.0", "library": "9.0.0", "daemon": "9.0.0", "driver": "QEMU", "hypervisor": "7.2.22",
    "architectures": {"x86_64": ["qemu", "kvm"]},
}


@pytest.mark.parametrize(
    ("told", "state", "word"),
    [
        (WELL, "ok", "x86_64 by kvm and qemu"),
        ({**WELL, "second_answer_s": 0.02}, "ok", "x86_64 by kvm and qemu"),
        ({**WELL, "second_answer_s": 4.0}, "broken", "took 4.0 s the second time too"),
        ({**WELL, "daemon": "7.10.0"}, "old", "8.0 or later"),
        ({**WELL, "driver": "Test"}, "broken", "runs no QEMU"),
        ({**WELL, "architectures": {"i686": ["qemu"]}}, "broken", "x86_64"),
        ({"binding": "9.0.0", "library": "9.0.0", "error": "no connection", "code": 38}, "broken", "no connection"),
        ({"error": "No module named 'libvirt'", "code": 0}, "skipped", "needs libvirt binding"),
        ({}, "broken", "the story"),
    ],
)
def test_libvirt_is_judged(told: dict[str, object], state: str, word: str, world: World) -> None:
    seen = machines.judge_libvirt(told, "the story", world.place)
    assert seen.state == state
    assert word in seen.what


def test_libvirt_that_is_not_installed_is_missing(world: World) -> None:
    """Only this computer's own libvirt can be installed here."""
    world.place = msgspec.structs.replace(world.place, uri="qemu:///system")
    told = {"library": "9.0.0", "error": "Failed to connect socket", "code": 38}
    assert machines.judge_libvirt(told, "", world.place).packages == machines.LIBVIRT
    unasked = {"error": "No module named 'libvirt'", "code": 0}
    assert machines.judge_libvirt(unasked, "", world.place).packages == machines.LIBVIRT
    world.has("libvirtd", "exit 0")
    assert machines.judge_libvirt(told, "", world.place).state == "broken"
    world.place = msgspec.structs.replace(world.place, uri="qemu+ssh://host/system")
    assert machines.judge_libvirt(told, "", world.place).packages == ()


def test_an_address_in_a_command_can_be_pasted(world: World) -> None:
    uri = "qemu+ssh://host/system?keyfile=/a key&sshauth=privkey"
    world.place = msgspec.structs.replace(world.place, uri=uri)
    told = {"library": "9.0.0", "error": "End of file while reading data", "code": 38}
    assert shlex.split(machines.judge_libvirt(told, "", world.place).fix)[-3:] == ["-c", uri, "version"]


def test_a_libvirt_that_forgets_is_told_how_to_open_the_device(world: World) -> None:
    """The device is that of the host."""
    forgetful = {**WELL, "second_answer_s": 4.0}
    for uri, where in (("qemu:///system", ""), ("qemu+ssh://host/system", "on that host: ")):
        world.place = msgspec.structs.replace(world.place, uri=uri, root=True)
        fix = machines.judge_libvirt(forgetful, "", world.place).fix
        assert fix == where + "chgrp kvm /dev/kvm && chmod 0660 /dev/kvm"


def test_only_the_second_answer_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first may take long: libvirt starts QEMU for it, once."""
    clock_us = 0

    took_us = [9_000_000, 20_000]

    class Connection:
        def getDomainCapabilities(self, _binary: None, _arch: str) -> str:  # noqa: N802 - libvirt's name
            nonlocal clock_us
            clock_us += took_us.pop(0)
            return "<domainCapabilities/>"

    monkeypatch.setattr(ask_libvirt, "monotonic_us", lambda: clock_us)
    assert ask_libvirt.second_answer_s(Connection()) == 0.02


def test_libvirt_that_refuses_the_user_names_the_group(world: World) -> None:
    world.place = msgspec.structs.replace(world.place, uri="qemu:///system")
    world.has("libvirtd", "exit 0")
    for error, code in (("authentication failed", 45), ("socket: Permission denied", 38)):
        told = {"library": "9.0.0", "error": error, "code": code}
        assert "usermod -aG libvirt" in machines.judge_libvirt(told, "", world.place).fix


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (WELL, "ok"),
        ({**WELL, "binding": "9.0.3"}, "ok"),
        ({**WELL, "binding": "8.10.0"}, "old"),
        ({"error": "No module named 'libvirt'", "code": 0}, "missing"),
        ({"error": "libvirt.so.0: cannot open shared object file", "code": 0}, "broken"),
        ({}, "broken"),
    ],
)
def test_the_binding_is_judged(told: dict[str, object], state: str, world: World) -> None:
    """It has to be of the library's own version; the last number is the binding's affair."""
    assert machines.judge_binding(told, "the story", world.place).state == state


def test_the_binding_is_not_blamed_for_a_host_that_hangs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked of a driver that is part of libvirt's library."""
    answer = '{"binding": "9.0.0", "library": "9.0.0"}'
    script = f"case \"$3\" in test:///default) echo '{answer}';; *) exit 1;; esac"
    monkeypatch.setattr("sys.executable", str(world.has("python", script).bin / "python"))
    world.place = msgspec.structs.replace(world.place, uri="qemu:///system")
    assert machines.binding(world.place).state == "ok"
    assert machines.ask(world.place)[0] == {}


def test_only_what_the_binding_still_needs_is_installed(world: World, tmp_path: Path) -> None:
    """A compiler that is there is not asked for again."""
    assert machines.lacking_for_binding(world.place, str(tmp_path)) == machines.BINDING_PACKAGES
    world.has("gcc", "exit 0").has("pkg-config", "exit 1")
    (tmp_path / "Python.h").write_text("")
    assert machines.lacking_for_binding(world.place, str(tmp_path)) == ("libvirt-dev",)
    world.has("pkg-config", '[ "$*" = "--exists libvirt" ]')
    assert machines.lacking_for_binding(world.place, str(tmp_path)) == ()


def test_capabilities_are_read() -> None:
    text = """<capabilities><guest><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch></guest>
    <guest><arch name='aarch64'><domain type='qemu'/></arch></guest></capabilities>"""
    assert ask_libvirt.emulated(text) == {"x86_64": ["qemu", "kvm"], "aarch64": ["qemu"]}
    assert ask_libvirt.version_text(9_000_000) == "9.0.0"
    assert ask_libvirt.version_text(10_012_003) == "10.12.3"


def test_an_asker_that_talks_nonsense_is_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(world.has("python", "echo '[1, 2]'").bin / "python"))
    assert machines.ask(world.place)[0] == {}
    world.has("python", "echo nonsense")
    assert machines.ask(world.place)[0] == {}
    world.has("python", HANG)
    told, tried = machines.ask(world.hasty().place)
    assert (told, tried.how) == ({}, "hung")


def test_windows_tools_come_with_their_packages(world: World) -> None:
    for name in ("xorriso", "swtpm_setup"):
        world.has(name, "exit 0")
    seen = machines.windows_tools(world.place)
    assert seen.state == "missing"
    assert "swtpm" in seen.packages
    assert "xorriso" not in seen.packages


# --- dial-up ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "state"),
    [("echo 'SLiRP Ready ...'; exec /bin/sleep 30", "ok"), ("echo '[talking SLIP]'", "broken"), ("exit 1", "broken")],
)
def test_the_provider_has_to_be_ready(script: str, state: str, world: World) -> None:
    assert dialup.provider(world.has("slirp-fullbolt", script).place).state == state


def test_a_silent_provider_is_given_up(world: World) -> None:
    seen = dialup.provider(world.hasty().has("slirp-fullbolt", HANG).place)
    assert seen.state == "broken"
    assert "it waits" in seen.what


# --- folders, memory -------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_yet_is_looked_for_above(tmp_path: Path) -> None:
    """Nothing is made, and nothing stays."""
    assert basics.folder(tmp_path / "a" / "b", "XDG_STATE_HOME", 1).state == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_said() -> None:
    seen = basics.folder(Path("/proc/self/rrsim"), "XDG_STATE_HOME", 1)
    assert seen.state == "broken"
    assert "set XDG_STATE_HOME" in seen.fix


@pytest.mark.parametrize(
    ("total", "cores", "machine", "count"),
    [(24000, 2, 768, 2), (4000, 8, 1000, 3), (4000, 8, 1001, 2), (100, 4, 1000, 1)],
)
def test_slots_follow_memory_and_processors(total: int, cores: int, machine: int, count: int) -> None:
    assert power.slots(total, cores, machine) == count


def test_memory_says_what_fits_now(world: World) -> None:
    assert power.look(world.place, power.Memory(16000, 12000), 4).state == "ok"
    tight = power.look(world.place, power.Memory(16000, 2400), 4)
    assert tight.state == "ok"
    assert "--jobs 2" in tight.what
    assert power.look(world.place, power.Memory(16000, 1100), 4).state == "broken"


def test_a_container_has_less_than_its_host(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n")
    assert power.memory(meminfo, tmp_path / "none") == power.Memory(8192, 4096)
    (tmp_path / "memory.max").write_text(f"{2 * 2**30}\n")
    (tmp_path / "memory.current").write_text(f"{2**30}\n")
    assert power.memory(meminfo, tmp_path) == power.Memory(2048, 1024)
    (tmp_path / "memory.max").write_text("max\n")
    assert power.memory(meminfo, tmp_path) == power.Memory(8192, 4096)
    meminfo.write_text("MemTotal: 8388608 kB\n")
    with pytest.raises(ValueError, match="does not say"):
        power.memory(meminfo, tmp_path)


def test_the_smallest_machine_counts(tmp_path: Path) -> None:
    """A recipe that cannot be read is somebody else's affair."""
    assert power.machine_mib(tmp_path) == power.USUAL_MACHINE_MIB
    for name, size in (("a", 4096), ("b", 768)):
        (tmp_path / name).mkdir()
        text = f'name = "{name}"\ntitle = "T"\nwindows = "wine"\nshells = []\n[hardware]\nmemory_mib = {size}\n'
        (tmp_path / name / "image.toml").write_text(text)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "image.toml").write_text("nonsense")
    assert power.machine_mib(tmp_path) == 768


# --- what is kept ----------------------------------------------------------------------------------------------


def image(home: Path, **changes: str) -> kept.Kept:
    """Build an image of nothing."""
    described = Description(
        name="wine-guest", title="T", windows="wine", hardware=Hardware(memory_mib=768), licence=Licence(), shells=()
    )
    fields = {"digest": "d" * 64, "sources": "s" * 64, "made": "2031-03-01T10:00:00Z", "expires": ""} | changes
    folder = home / "wine-guest" / str(fields["digest"])[:16]
    folder.mkdir(parents=True)
    built = Built(description=described, files={"disk.qcow2": "0" * 64}, **fields)  # type: ignore[arg-type]  # texts all
    (folder / "manifest.json").write_bytes(msgspec.json.encode(built))
    (folder / "disk.qcow2").write_bytes(b"")
    return kept.Kept(folder, built)


@pytest.mark.parametrize(
    ("changes", "recipe", "state", "word"),
    [
        ({}, "", "ok", "9 days old"),
        ({}, "s" * 64, "ok", "of the recipe as it is"),
        ({}, "t" * 64, "old", "recipe has changed"),
        ({"expires": "2031-03-09"}, "", "old", "licence ended"),
        ({"expires": "2031-03-10"}, "", "ok", "ends in 0 days: soon"),
        ({"expires": "2031-06-10"}, "", "ok", "ends in 92 days"),
        ({"expires": "soon"}, "", "broken", "expected a date"),
        ({"made": "lately"}, "", "broken", "made: expected a date"),
    ],
)
def test_an_image_is_judged(changes: dict[str, str], recipe: str, state: str, word: str, tmp_path: Path) -> None:
    found = kept.judge(image(tmp_path, **changes), TODAY, recipe)
    assert found[0] == state
    assert word in found[1]


def test_images_are_found_with_what_is_wrong_with_them(tmp_path: Path, world: World) -> None:
    """One that can be used is enough; the damaged one is named all the same."""
    image(tmp_path)
    broken = image(tmp_path, digest="e" * 64)
    (broken.folder / "disk.qcow2").unlink()
    assert kept.built_images(world.place, tmp_path).state == "ok"
    first, second = kept.find_images(tmp_path)
    assert (first.trouble, second.trouble[-10:]) == ("", "disk.qcow2")
    (first.folder / "manifest.json").write_text("{")
    seen = kept.built_images(world.place, tmp_path)
    assert seen.state == "broken"
    assert "manifest.json" in seen.what


def test_an_image_whose_licence_ended_is_not_usable(tmp_path: Path, world: World) -> None:
    image(tmp_path, expires="2001-01-01")
    assert kept.built_images(world.place, tmp_path).state == "broken"


def test_agents_are_counted(tmp_path: Path, world: World) -> None:
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc" / "manifest.json").write_text("{}")
    assert kept.agents(world.place, tmp_path).state == "ok"
    (tmp_path / "abc" / "manifest.json").write_text("{")
    seen = kept.agents(world.place, tmp_path)
    assert (seen.state, seen.fix) == ("broken", f"rm -r {tmp_path}/abc")


def test_runs_that_go_on_are_no_leftovers(tmp_path: Path, world: World) -> None:
    me = lease.process(os.getpid())
    assert me is not None
    (tmp_path / f"20310131-010203-000001-{me.pid}-{me.started}").mkdir()
    assert kept.leftovers(world.place, tmp_path).state == "ok"
    (tmp_path / f"20310131-010203-000001-{me.pid}-{me.started + 1}").mkdir()
    seen = kept.leftovers(world.place, tmp_path)
    assert (seen.state, seen.fix) == ("old", "rrsim reap")
    assert "1 live runs are going on" in seen.what


@pytest.mark.parametrize(
    ("told", "state", "words"),
    [
        ({"domains": [], "volumes": [], "left": ["rrsim-slot-1: in use"], "images": ["base-1", "base-2"]}, "ok",
         "nothing left over; 1 machine in use or kept; 2 files kept for later runs"),
        ({"domains": [], "volumes": ["run-1-disk.qcow2"], "left": [], "images": []}, "old",
         "1 thing of dead runs, the first: run-1-disk.qcow2"),
        (None, "broken", "rrsim reap --list: no connection"),
    ],
)  # fmt: skip
def test_what_dead_runs_left_on_the_host_of_machines_is_told(
    told: dict[str, object] | None, state: str, words: str, world: World
) -> None:
    answer = {"host": told, "host_not_looked_at": "no connection"}
    seen = machines.judge_left_over(answer, "", world.place)
    assert seen.state == state
    assert words in seen.what
    if state == "old":
        assert seen.fix == "rrsim reap --uri test:///default"
