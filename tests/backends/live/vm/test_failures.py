"""What happens when a runner is killed, a disk is full, a file is damaged, two want the same, or libvirtd restarts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rrsim.backends.live.vm import base, events, host, keep, lease, pool, reap, slots
from rrsim.backends.live.vm.errors import DiskFull, HostLost, ImageCorrupt
from tests.backends.live.vm import rig
from tests.backends.live.vm.rig import run

pytestmark = [pytest.mark.libvirt, pytest.mark.timeout(400)]
pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
ROOT = Path(__file__).parents[4]

RUNNER = """
import asyncio, sys
from rrsim.backends.live.vm import image, ready, slots
from rrsim.backends.live.vm.vm import Vm
from tests.backends.live.vm import rig, tiny

phase = sys.argv[1]

async def at(name, *words):
    if name == phase:
        print(*words, flush=True)
        await asyncio.Event().wait()

async def main():
    async with rig.host() as (host, pool):
        slot = await slots.acquire(host, memory_mib=160, wanted=rig.SLOTS)
        await at("slot", slot.uuid)
        vm = await Vm.create(host, pool, slot, image.load(tiny.build(rig.cache())))
        await at("created", slot.uuid)
        await vm.start()
        await at("running", slot.uuid)
        if phase == "saving":
            key = "cafe" + slot.uuid[:8]
            async with ready.only_maker(host, key):
                await pool.create(f"ready-{key}-{slot.uuid[:8]}-disk.qcow2", 4096)
                await at("saving", slot.uuid, key)

asyncio.run(main())
"""


@pytest.mark.parametrize("phase", ["slot", "created", "running", "saving"])
def test_a_runner_killed_in_any_phase_leaves_nothing_after_reap_and_others_go_on(phase: str) -> None:
    async def case() -> None:
        async with rig.host() as (opened, disks):
            live = await slots.acquire(opened, memory_mib=160, wanted=rig.SLOTS)
            await disks.create(f"run-{live.uuid}-mine", 0)
            try:
                with rig.process(RUNNER, phase) as runner:
                    assert runner.stdout is not None
                    words = (await asyncio.to_thread(runner.stdout.readline)).split()
                    before = await reap.reap(opened, disks, only_list=True)
                    assert not [name for name in before.volumes if any(word in name for word in words)]
                    runner.send_signal(signal.SIGKILL)
                    await asyncio.to_thread(runner.wait)
                listed = await reap.reap(opened, disks, only_list=True)
                assert words[0] in await lease.holders(opened), "listing changes nothing"
                gone = await reap.reap(opened, disks)
                assert len(gone.domains) >= (2 if phase == "saving" else 1)
                names = [{line.partition(":")[0] for line in found.domains} for found in (listed, gone)]
                assert names[0] <= names[1]
                assert not gone.failed
                for word in words:
                    assert not [name for name in await disks.names() if word in name]
                    assert word not in await lease.holders(opened)
                assert live.uuid in await lease.holders(opened)
                assert f"run-{live.uuid}-mine" in await disks.names()
            finally:
                await live.release()
                await disks.delete(f"run-{live.uuid}-mine")

    run(case(), 200)


RACER = """
import asyncio, sys
from pathlib import Path
from rrsim.backends.live.vm import lease
from rrsim.backends.live.vm.host import Host

async def main():
    host = await Host.open()
    print("there", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    got = []
    for number in range(int(sys.argv[2])):
        held = await lease.claim(host, f"rrsim-race-{sys.argv[1]}-{number}", lease.mine(None))
        if held is not None:
            got.append(held)
    print(*[held.name for held in got], flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for held in got:
        await held.release()

asyncio.run(main())
"""


def test_of_two_runners_that_want_the_same_exactly_one_gets_it() -> None:
    names, word = 30, lease.fresh_uuid()[:8]
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, word, str(names)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) for _ in range(2)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "there\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        got = [set(racer.stdout.readline().split()) for racer in racers if racer.stdout is not None]
        assert not got[0] & got[1]
        assert len(got[0]) + len(got[1]) == names
        for racer in racers:
            racer.communicate("end\n", timeout=60)
            assert racer.returncode == 0
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def test_a_kept_machine_outlives_its_runner_and_reap_until_it_is_asked_for() -> None:
    async def case() -> None:
        async with rig.host() as (opened, disks):
            guest = await rig.off(opened, disks)
            said = await keep.keep_machine(guest.vm)
            assert f"virsh -c {opened.uri} console {guest.vm.name}" in said
            left = (await reap.reap(opened, disks)).left
            assert [line for line in left if line.startswith(f"{guest.vm.name}: kept")]
            would = await reap.reap(opened, disks, kept=True, only_list=True)
            assert [line for line in would.domains if line.startswith(f"{guest.vm.name}: kept")]
            await guest.vm.slot.renew(-lease.SKEW_S - 1, kept=True)  # its time is over
            gone = await reap.reap(opened, disks)
            assert [line for line in gone.domains if line.startswith(f"{guest.vm.name}: kept")]
            assert await rig.ours(opened, disks, guest.vm.uuid) == []

    run(case(), 120)


def test_a_damaged_file_is_refused_here_and_on_the_host(tmp_path: Path) -> None:
    async def case() -> None:
        async with rig.host() as (_, disks):
            image = rig.pretend(tmp_path / "image")
            files = {}
            try:
                files = await base.provide(disks, image)
                assert await base.provide(disks, image) == files, "found again"
                volume = files["vmlinuz"].name
                await disks.write(volume, b"X", 3)
                with pytest.raises(ImageCorrupt, match=r"expected .*vmlinuz on .* to have the checksum"):
                    await base.provide(disks, image)
                for name in await disks.names():
                    if name.startswith(volume):
                        await disks.delete(name)
                (image.folder / "vmlinuz").write_bytes(b"other content")
                with pytest.raises(ImageCorrupt, match="changed or damaged after it was built"):
                    await base.provide(disks, image)
                assert await disks.look_at(volume) is None
            finally:
                for name in await disks.names():
                    if any(name.startswith(provided.name) for provided in files.values()):
                        await disks.delete(name)

    run(case(), 60)


def test_an_upload_that_was_killed_is_done_again(tmp_path: Path) -> None:
    async def case() -> None:
        async with rig.host() as (opened, disks):
            image = rig.pretend(tmp_path / "image")
            volume = f"base-{image.built.files['vmlinuz'][:16]}-vmlinuz"
            files = {}
            try:
                await disks.create(volume, 100)
                await disks.write(volume, b"half")
                assert volume in (await reap.reap(opened, disks, only_list=True)).volumes
                files = await base.provide(disks, image)
                assert await disks.checksum(volume) == image.built.files["vmlinuz"]
            finally:
                for name in await disks.names():
                    if any(name.startswith(provided.name) for provided in files.values()):
                        await disks.delete(name)

    run(case(), 60)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds 100 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m,mode=0711", "tmpfs", str(folder)], check=False
    ).returncode:
        pytest.skip("needs root to mount a small folder")
    for above in folder.parents:
        if str(above).startswith(str(tmp_path.parents[1])):
            above.chmod(0o711)  # QEMU runs as another user
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_named_before_and_while_a_machine_runs(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"rrsim-test-{lease.fresh_uuid()[:8]}"
    trouble: list[Exception] = []

    async def case() -> None:
        opened = await host.Host.open()
        disks = await pool.Pool.open(opened, name=name, folder=str(small))
        try:
            with pytest.raises(DiskFull, match=rf"expected 1024 MiB of room in {small} .*, saw [0-9]{{2,3}};"):
                await disks.require_room()
            monkeypatch.setattr(pool.Pool.require_room, "__defaults__", (1,))
            async with rig.guest(opened, disks) as guest:
                await disks.create("filler", 80 << 20)
                await disks.write("filler", os.urandom(60 << 20))
                guest.say("fill")
                guest.vm.on_trouble = trouble.append
                with pytest.raises(DiskFull, match=r"the disk of the host .* is full, and the machine was halted"):
                    await guest.vm.guard(guest.hear(), "the disk written", 120)
                assert [type(one) for one in trouble] == [DiskFull], "a run hears of it, whatever it waits for"
                assert await guest.vm.screenshot(), "it can still be looked at"
        finally:
            await opened.call("end the pool", lambda c: _end_pool(c, name))
            await opened.close()

    run(case(), 300)


def _end_pool(connection: object, name: str) -> None:
    found = connection.storagePoolLookupByName(name)  # type: ignore[attr-defined]  # -- libvirt has no types
    found.destroy()
    found.undefine()


@contextlib.asynccontextmanager
async def own_libvirtd(folder: Path) -> AsyncIterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A libvirtd of its own, as another user, that may be killed; its address and its processes, the newest last."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        await _start_libvirtd(folder, running)
        yield f"qemu:///session?socket={folder}/run/libvirt/libvirt-sock", running
    finally:
        for one in running:
            one.kill()
            one.wait()
        _end_processes_of(folder)


def _end_processes_of(folder: Path) -> None:
    """What libvirtd started for itself (virtlogd) is found by the folder in its environment."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"HOME={folder}\0".encode() in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)


async def _start_libvirtd(folder: Path, running: list[subprocess.Popen[bytes]]) -> None:
    sock = folder / "run" / "libvirt" / "libvirt-sock"
    sock.unlink(missing_ok=True)
    environment = {
        "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / "run"), "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"), "XDG_DATA_HOME": str(folder / "data"),
        "PATH": "/usr/sbin:/usr/bin:/bin",
    }
    command = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "libvirtd"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running.append(await asyncio.to_thread(subprocess.Popen, command, env=environment, **quiet))
    await rig.until(sock.exists, 30)


@pytest.fixture
def for_nobody(tmp_path: Path) -> Iterator[Path]:
    """A folder of the user nobody's, with a short path: names of sockets may not be long."""
    if os.geteuid() != 0 or shutil.which("libvirtd") is None:
        pytest.skip("needs root to start libvirtd as another user")
    folder = Path("/tmp") / f"rr-{lease.fresh_uuid()[:8]}"
    (folder / "run").mkdir(parents=True)
    for one in (folder, folder / "run"):
        shutil.chown(one, "nobody", "nogroup")
    yield folder
    shutil.rmtree(folder)


def test_a_machine_outlives_a_restart_of_libvirtd_and_its_events_are_heard_again(for_nobody: Path) -> None:
    async def case() -> None:
        async with own_libvirtd(for_nobody) as (uri, running):
            opened = await host.Host.open(uri)
            disks = await pool.Pool.open(opened, folder=str(for_nobody / "disks"))
            async with rig.guest(opened, disks) as guest:
                running[-1].kill()
                running[-1].wait()
                await _start_libvirtd(for_nobody, running)
                await rig.until(lambda: guest.vm.gaps == 1, 30)
                assert any(isinstance(event, events.Gap) for event in guest.seen)
                assert await guest.vm.domain("ask", lambda d: d.isActive())
                await guest.line.close()
                await guest.attach()
                assert await guest.ask("still there") == "echo still there"
                before = guest.vm.resets
                guest.say("reboot")
                await guest.up()
                assert (guest.vm.resets, guest.vm.reset_reason) == (before + 1, "guest reset")
            await opened.close()

    run(case(), 300)


def test_a_libvirtd_that_stays_away_is_named_in_bounded_time(
    for_nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "AGAIN_LIMIT_S", 1.0)

    async def case() -> None:
        async with own_libvirtd(for_nobody) as (uri, running):
            opened = await host.Host.open(uri)
            held = await lease.claim(opened, "rrsim-slot-1", lease.mine(None))
            assert held is not None
            told: list[HostLost | None] = []
            opened.on_again(told.append)
            running[-1].kill()
            running[-1].wait()
            await rig.until(lambda: bool(told), 30)
            assert "did not come back within 1 s" in str(told[0])
            with pytest.raises(HostLost, match="rrsim reap"):
                await opened.call("ask", lambda c: c.getHostname())
            await held.stop()
            await opened.close()

    run(case(), 60)


def test_libvirt_accepts_every_definition(tmp_path: Path) -> None:
    """Defined with validation against libvirt's schema, then removed; never started."""
    import libvirt

    from rrsim.backends.live.vm import domain_xml

    variants = (
        {}, {"modem": False}, {"clock": "localtime", "network_card": "e1000e"},
        {"firmware": "uefi"}, {"firmware": "uefi", "secure_boot": True, "tpm": True},
    )

    async def case() -> None:
        async with rig.host() as (opened, _):
            for number, hardware in enumerate(variants):
                built = rig.pretend(tmp_path / str(number), **hardware).built
                values = domain_xml.Values(
                    name=f"rrsim-schema-{number}", uuid=lease.fresh_uuid(), accelerator="tcg", disk="/none/disk",
                    console_log="/none/log", mac="52:54:00:00:00:01", management_mac="52:54:00:00:00:02",
                    nvram="/none/nvram",
                )
                xml = domain_xml.domain_xml(built, values, lease.to_mark(lease.mine(None)))
                await opened.call("define", lambda c, xml=xml: c.defineXMLFlags(
                    xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE
                ))
                assert values.uuid in await lease.holders(opened)
                assert await lease.remove_domain(opened, values.uuid)

    run(case(), 60)
