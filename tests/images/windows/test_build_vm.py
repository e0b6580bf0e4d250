"""Building on real machines: a builder that is killed, taken up again, and what then stands in the image.

What plays Windows is a small Linux (``played_medium``): it proves the machine and the builder, and nothing of Windows.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as Picture

from rrsim.backends.live.vm import image as images
from rrsim.backends.live.vm import lease, tpm_state
from rrsim.backends.live.vm.accelerator import Acceleration
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.reap import reap
from rrsim.backends.live.vm.subject import Surroundings, VmSubject
from rrsim.backends.live.vm.workshop import Elsewhere, Workshop
from rrsim.images.description import Built, Hardware
from rrsim.images.windows import disks, marks
from rrsim.images.windows.machine import MachineSpec
from tests.backends.live.vm import rig as vm_rig
from tests.images.windows import played_build
from tests.images.windows.build_rig import ROOT, Rig

# Minutes of emulation: for the night, so that every commit has its time for scenarios.
pytestmark = [pytest.mark.libvirt, pytest.mark.nightly, pytest.mark.timeout(1500)]
pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
SECURE = "0600000001"
"""The firmware's variable SecureBoot: attributes, then 1."""


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder that only this user may enter, as a home folder is: the hypervisor has to get in all the same."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


def killed_at(words: str, *command: str) -> str:
    """Run a program until it prints these words, then end it as a power failure would; return what it printed."""
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None
    said = []
    with child, child.stdout as lines:
        for line in lines:
            said.append(line)
            if words in line:
                child.send_signal(signal.SIGKILL)
                break
    assert said
    assert words in said[-1], "".join(said)
    return "".join(said)


def test_a_killed_builder_is_taken_up_and_the_image_has_what_the_machine_had(private: Path) -> None:
    name = f"played-{os.getpid()}"
    played_build.prepare(private, hold=True)
    medium = private / "played" / "setup.iso"
    before = _owner(medium)
    killed_at("specialize has begun", "-m", "tests.images.windows.played_build", str(private), name)
    said: list[str] = []
    built, used = asyncio.run(played_build.run(private, name, said.append, lambda one: one.press_key("ret")))
    assert "install: the machine still runs: watching it on" in said
    assert [spec.boot_from_media for spec in used.made] == [False], "only settling needed a machine of its own"
    assert _owner(medium) == before, "the reader's medium still belongs to the reader"
    _facts(built)
    folder = next((private / "images").iterdir())
    assert {"disk.qcow2", "nvram.fd", "winrm.pem", "ssh_host_key.pub", "tpm/tpm2-00.permall"} == set(built.files)
    assert "RrsimMark".encode("utf-16-le") in (folder / "nvram.fd").read_bytes()
    _pictures(folder / "pictures")
    asyncio.run(_nothing_left(name, folder))
    asyncio.run(_machines_begin_as_built(folder, int(built.versions["settled-tpm-starts"], 16)))


def _owner(path: Path) -> tuple[int, int, int]:
    seen = path.stat()
    return seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)


def _facts(built: Built) -> None:
    """What the played Windows saw of its machine, in its three starts."""
    said = built.versions
    assert said["setup-from"] == "cd", "a key was pressed at the medium's question"
    assert said["restarted-from"] == "question", "no key was pressed after that"
    assert said["settled-from"] == "(hd0,msdos1)/EFI/BOOT", "the firmware started from the disk"
    drives = ["WINDOWS", "PROVISION", "virtio-win-0.1.285"]
    assert said["setup-drives"].split() == said["restarted-drives"].split() == drives, "each in its own, in order"
    assert said["settled-drives"] == ""
    assert said["setup-answers"] == "<?xml"
    assert said["typed"] == "", "a key reached the running system"
    starts = [int(said[f"{when}-tpm-starts"], 16) for when in ("setup", "restarted", "settled")]
    assert starts[0] < starts[1] < starts[2], "one TPM over all starts and over two machines"
    assert [said[f"{when}-variable"] for when in ("setup", "restarted", "settled")] == ["", "kept", "kept"]
    assert {said[f"{when}-secure-boot"] for when in ("setup", "restarted", "settled")} == {SECURE}
    assert {said[f"{when}-disk"] for when in ("setup", "restarted", "settled")} == {"/dev/sda"}
    assert 3_500_000 < int(said["setup-memory"]) < 4096 * 1024


def _pictures(folder: Path) -> None:
    pictures = sorted(folder.glob("*.png"))
    assert "001-phase-windowspe.png" in {path.name for path in pictures}
    for path in pictures:
        with Picture.open(io.BytesIO(path.read_bytes())) as picture:
            assert picture.format == "PNG"
            assert picture.width >= 640
    with Picture.open(pictures[-1]) as last:
        assert len(last.convert("RGB").getcolors(1 << 24) or ()) > 1, "something is on the screen"


async def _nothing_left(name: str, folder: Path) -> None:
    host = await Host.open()
    try:
        assert not [held for held, _ in (await lease.holders(host)).values() if held == f"rrsim-build-{name}"]
    finally:
        await host.close()
    assert not (folder / "work").exists(), "no settings of a running machine, no medium with passwords"


class _Nobody:
    """No way into the machine, and nobody who sits at it."""

    ports = ()

    def ways(self, *_: object) -> dict[str, object]:
        return {}


async def _machines_begin_as_built(folder: Path, starts: int) -> None:
    """Two machines of the image one after the other: each has the settings and the TPM that were built."""
    host = await Host.open()
    try:
        pool = await Pool.open(host)
        subject = VmSubject(Surroundings(
            host=host, pool=pool, image=images.load(folder), acceleration=Acceleration("tcg", "a test"),
            kvm_offered=False, entrances=_Nobody(), person=_Nobody(), folder=folder, say=print,  # type: ignore[arg-type]  # -- nobody comes in, on purpose
        ))
        for _ in range(2):
            await subject.anew()
            assert await subject.screenshot()
            await vm_rig.until(lambda: not subject.vm.running, 400)
            said = marks.facts(marks.read((await subject.vm.console()).encode()))
            assert (int(said["settled-tpm-starts"], 16), said["settled-variable"]) == (starts + 1, "kept")
            kept = tpm_state.home(host.uri) / subject.vm.uuid
            assert kept.is_dir()
            await subject.close()
            assert not kept.exists()
    finally:
        await host.close()


def spec_in(folder: Path, name: str) -> MachineSpec:
    """A small machine without a medium: its firmware finds nothing to start."""
    folder.mkdir(parents=True, exist_ok=True)
    disks.create(folder / "disk.qcow2", 1)
    (folder / "tpm").mkdir(exist_ok=True)
    hardware = Hardware(memory_mib=256, disk_gib=1, firmware="uefi", tpm=True, network_card="e1000e")
    return MachineSpec(
        name=name, hardware=hardware, disk=folder / "disk.qcow2", disk_bus="virtio", nvram=folder / "nvram.fd",
        tpm=folder / "tpm", media=(), boot_from_media=False, serial_log=folder / "serial.log",
    )


def _state_is_in(folder: Path) -> None:
    assert (folder / "nvram.fd").stat().st_size > 100_000
    assert (folder / "tpm" / "tpm2-00.permall").is_file()
    assert {path.name for path in folder.iterdir()} == {"disk.qcow2", "nvram.fd", "serial.log", "tpm"}


START_AND_STAY = """
import asyncio, sys
from pathlib import Path
from rrsim.backends.live.vm.workshop import Workshop
from tests.images.windows.test_build_vm import spec_in

async def main():
    workshop = await Workshop.open(Path(sys.argv[1]), forced="tcg")
    vm = await asyncio.to_thread(workshop.make, spec_in(Path(sys.argv[1]), sys.argv[2]))
    await asyncio.to_thread(vm.start)
    print("it is on", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_what_a_killed_builder_left_is_found_by_its_own_build_only_and_cleared_away_by_reap(private: Path) -> None:
    name = f"rrsim-build-reaped-{os.getpid()}"
    here, other = private / "here", private / "other"
    killed_at("it is on", "-c", START_AND_STAY, str(here), name)

    async def case() -> None:
        mine, others = await Workshop.open(here, forced="tcg"), await Workshop.open(other, forced="tcg")
        try:
            assert await asyncio.to_thread(others.find, name) is None, "it is another build's"
            found = await asyncio.to_thread(mine.find, name)
            assert found is not None
            assert await asyncio.to_thread(found.running)
            assert (await asyncio.to_thread(found.screenshot)).startswith(b"\x89PNG")
            with pytest.raises(Elsewhere, match=f"in use, by process {os.getpid()}"):
                await asyncio.to_thread(others.make, spec_in(other, name))
            assert [line for line in (await reap(mine.host, only_list=True)).left if line.startswith(name)]
            await asyncio.to_thread(found.destroy)
            _state_is_in(here)
            assert await asyncio.to_thread(mine.find, name) is None
        finally:
            await mine.close()
            await others.close()

    asyncio.run(case())
    for path in (here / "nvram.fd", here / "tpm" / "tpm2-00.permall"):
        path.unlink()
    killed_at("it is on", "-c", START_AND_STAY, str(here), name)

    async def went_off() -> None:
        """It switched itself off while nobody watched."""
        mine = await Workshop.open(here, forced="tcg")
        try:
            await mine.host.call("switch off", lambda c: c.lookupByName(name).destroy())
            assert await asyncio.to_thread(mine.find, name) is None
            _state_is_in(here)
            assert name not in [held for held, _ in (await lease.holders(mine.host)).values()]
        finally:
            await mine.close()

    asyncio.run(went_off())
    killed_at("it is on", "-c", START_AND_STAY, str(here), name)

    async def cleared() -> None:
        host = await Host.open()
        try:
            reaped = await reap(host)
            assert [line for line in reaped.domains if line.startswith(name)]
            assert name not in [held for held, _ in (await lease.holders(host)).values()]
        finally:
            await host.close()
        assert (here / "nvram.fd").is_file(), "what was saved of an earlier machine is the build's"
        assert not [path for path in here.iterdir() if path.name.startswith("nvram.fd.")]

    asyncio.run(cleared())


def test_the_command_may_be_stopped_and_goes_on_with_the_machine_that_it_left(private: Path) -> None:
    """The whole command, with media that Windows Setup would not start from: it waits for the first phase."""
    image = f"stopped-{os.getpid()}"
    described = private / "vm_images" / image
    shutil.copytree(ROOT / "windows-11", described)
    text = (described / "image.toml").read_text(encoding="utf-8")
    (described / "image.toml").write_text(text.replace('name = "windows-11"', f'name = "{image}"'), encoding="utf-8")
    setup = (described / "setup.toml").read_text(encoding="utf-8")
    (described / "setup.toml").write_text(setup.partition("# A variant")[0], encoding="utf-8")
    Rig(private)
    command = [
        sys.executable, "-c", ASKED_TO_STOP, "image", "build", image, "--iso", str(private / "windows.iso"), "--virtio",
        str(private / "virtio.iso"), "--openssh", str(private / "ssh.zip"), "--accelerator", "tcg",
    ]  # fmt: skip
    env = os.environ | {"RRSIM_IMAGES": str(described.parent), "XDG_STATE_HOME": str(private / "state")}
    try:
        first = _stopped_at("install …", command, env)
        assert "expected: the build of" in first
        assert "rrsim reap to end the machine" in first
        assert asyncio.run(_on(f"rrsim-build-{image}"))
        assert "mint: done before" in (again := _stopped_at("watching it on", command, env))
        assert "install: the machine still runs: watching it on" in again
    finally:
        asyncio.run(_cleared())
    assert not asyncio.run(_on(f"rrsim-build-{image}"))
    assert "make machine …" in _stopped_at("install …", command, env), "half an installation is begun anew"
    asyncio.run(_cleared())


ASKED_TO_STOP = """
import signal, sys
from rrsim.cli.main import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs tests in the background ignores it
main(sys.argv[1:])
"""


def _stopped_at(words: str, command: list[str], env: dict[str, str]) -> str:
    """Run a command until it says these words and its machine is on; press Ctrl-C; return all it said."""
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=env)
    assert child.stderr is not None
    said = []
    with child, child.stderr as lines:
        for line in lines:
            said.append(line)
            if words in line:
                asyncio.run(_until_on(f"rrsim-build-{command[5]}"))
                child.send_signal(signal.SIGINT)
    assert child.returncode == 70, "".join(said)
    return "".join(said)


async def _until_on(name: str) -> None:
    await vm_rig.until(lambda: _on(name), 60)


async def _on(name: str) -> bool:
    host = await Host.open()
    try:
        return await host.call("look", lambda c: name in [one.name() for one in c.listAllDomains() if one.isActive()])
    finally:
        await host.close()


async def _cleared() -> None:
    host = await Host.open()
    try:
        await reap(host)
    finally:
        await host.close()
