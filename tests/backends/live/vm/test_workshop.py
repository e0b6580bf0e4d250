"""Build machines as XML, the places of their state, and copies of a TPM. Without a hypervisor."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from rrsim.backends.live.vm import domain_xml, lease, tpm_state, workshop, workshop_xml
from rrsim.backends.live.vm.accelerator import Acceleration
from rrsim.backends.live.vm.errors import DiskFull, HostLost, HostRefused, HostSlow, LeaseLost, VmMissing
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.workshop import Workshop
from rrsim.images.description import Built, Hardware
from rrsim.images.windows import recipe
from rrsim.images.windows.machine import HostAway, MachineSpec
from tests.backends.live.vm import rig

IMAGES = Path(__file__).parents[4] / "vm_images"
MARK = '<rrsim:lease xmlns:rrsim="https://rrsim.example/ns/lease/1" pid="1"/>'
HOST = workshop_xml.Host(uuid="5ca1ab1e-0000-4000-8000-000000000001", mac="52:54:00:00:00:01", accelerator="tcg")


def spec(**changes: Any) -> MachineSpec:
    """A machine for the first start of Windows Setup."""
    hardware = recipe.read(IMAGES, "windows-11").description.hardware
    whole = MachineSpec(
        name="rrsim-build-windows-11", hardware=hardware, disk=Path("/b/disk.qcow2"), disk_bus="sata",
        nvram=Path("/b/nvram.fd"), tpm=Path("/b/tpm"),
        media=(Path("/m/w.iso"), Path("/b/p.iso"), Path("/m/v & v.iso")), boot_from_media=True,
        serial_log=Path("/b/serial.log"),
    )
    return msgspec.structs.replace(whole, **changes)


def tree(one: MachineSpec, owner: str = "") -> ElementTree.Element:
    host = msgspec.structs.replace(HOST, owner=owner)
    return ElementTree.fromstring(workshop_xml.machine_xml(one, host, MARK))


def drives(root: ElementTree.Element) -> list[tuple[str | None, ...]]:
    """Device, file, name, bus and place in the boot order of each drive."""
    found = []
    for disk in root.iterfind("devices/disk"):
        source, target, boot = disk.find("source"), disk.find("target"), disk.find("boot")
        assert source is not None
        assert target is not None
        order = boot.get("order") if boot is not None else None
        found.append((disk.get("device"), source.get("file"), target.get("dev"), target.get("bus"), order))
    return found


def test_each_medium_has_a_drive_of_its_own_in_order_and_the_first_is_tried_before_the_disk() -> None:
    assert drives(tree(spec())) == [
        ("disk", "/b/disk.qcow2", "sda", "sata", "2"), ("cdrom", "/m/w.iso", "sdb", "sata", "1"),
        ("cdrom", "/b/p.iso", "sdc", "sata", None), ("cdrom", "/m/v & v.iso", "sdd", "sata", None),
    ]  # fmt: skip
    assert drives(tree(spec(media=(), boot_from_media=False, disk_bus="virtio"))) == [
        ("disk", "/b/disk.qcow2", "vda", "virtio", "1")
    ]
    assert tree(spec()).find("os/boot") is None
    with pytest.raises(ValueError, match="at most 5 media, saw 6"):
        tree(spec(media=(Path("/x"),) * 6))
    with pytest.raises(ValueError, match="saw 'ide'"):
        tree(spec(disk_bus="ide"))


def test_windows_is_installed_on_the_devices_that_it_finds_in_a_run() -> None:
    """All but drives, serial log and title is the same, so that Windows meets no new device in a run."""
    description = recipe.read(IMAGES, "windows-11").description
    values = domain_xml.Values(
        name="rrsim-slot-1", uuid=HOST.uuid, accelerator="tcg", disk="/d", console_log="/l", mac=HOST.mac, nvram="/n"
    )
    run = domain_xml.domain_xml(Built(description=description, digest="", made="", files={}), values, MARK)

    def devices(root: ElementTree.Element) -> list[str]:
        parent = root.find("devices")
        assert parent is not None
        return [
            ElementTree.tostring(one, encoding="unicode") for one in parent
            if one.tag != "disk" and one.find("log") is None
        ]

    def parts(root: ElementTree.Element) -> list[str]:
        return [
            ElementTree.tostring(one, encoding="unicode") for one in root
            if one.tag in {"memory", "vcpu", "features", "cpu", "clock", "on_reboot"}
        ]

    built, running = tree(spec()), ElementTree.fromstring(run)
    assert devices(built) == devices(running)
    assert parts(built) == parts(running)
    assert [one.get("name") for one in built.iterfind("os/firmware/feature[@enabled='yes']")] == [
        "secure-boot", "enrolled-keys",
    ]


def test_the_readers_media_keep_their_owner_and_the_machine_runs_as_who_builds() -> None:
    root = tree(spec(), "+1000:+1001")
    for disk in root.iterfind("devices/disk[@device='cdrom']"):
        label = disk.find("source/seclabel")
        assert label is not None
        assert label.attrib == {"model": "dac", "relabel": "no"}
    assert root.findtext("seclabel/label") == "+1000:+1001"
    assert tree(spec()).find("seclabel") is None, "a session's machine runs as its user anyway"


def test_where_the_state_belongs_is_told_by_the_machine_itself() -> None:
    xml = workshop_xml.machine_xml(spec(), HOST, MARK)
    assert workshop_xml.places_of(xml) == workshop_xml.Places("/b/nvram.fd", "/b/tpm")
    assert workshop_xml.running_nvram_of(xml) == f"/b/nvram.fd.{HOST.uuid}"
    plain = workshop_xml.machine_xml(spec(tpm=None), HOST, MARK)
    assert workshop_xml.places_of(plain) == workshop_xml.Places("/b/nvram.fd", "")
    name_only = domain_xml.placeholder_xml("rrsim-build-x", HOST.uuid, MARK)
    assert (workshop_xml.places_of(name_only), workshop_xml.running_nvram_of(name_only)) == (None, "")
    for lacking in (Hardware(memory_mib=64, firmware="uefi"),):
        assert ElementTree.fromstring(
            workshop_xml.machine_xml(spec(hardware=lacking, tpm=None), HOST, MARK)
        ).find("devices/tpm") is None


def test_a_tpms_state_is_copied_whole_for_its_owner_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    uri, kept = "qemu:///session", tmp_path / "kept"
    kept.mkdir()
    tpm_state.put(uri, "u-1", kept)
    assert not tpm_state.folder(uri, "u-1").exists(), "nothing is given: libvirt makes a fresh TPM"
    tpm_state.fetch(uri, "u-1", kept)
    (kept / "tpm2-00.permall").write_bytes(b"seals")
    (kept / ".lock").write_bytes(b"")
    tpm_state.put(uri, "u-1", kept)
    there = tpm_state.folder(uri, "u-1")
    assert there == tmp_path / "config/libvirt/qemu/swtpm/u-1/tpm2"
    assert [path.name for path in there.iterdir()] == ["tpm2-00.permall"]
    assert (there / "tpm2-00.permall").stat().st_mode & 0o777 == 0o600
    (there / "tpm2-00.permall").write_bytes(b"newer")
    tpm_state.fetch(uri, "u-1", kept)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {"tpm2-00.permall": b"newer"}
    assert kept.stat().st_mode & 0o777 == 0o700
    tpm_state.remove(uri, "u-1")
    tpm_state.remove(uri, "u-1")
    assert not there.parent.exists()
    assert tpm_state.folder("qemu:///system", "u-1") == Path("/var/lib/libvirt/swtpm/u-1/tpm2")


def test_a_place_that_is_closed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "tpm2-00.permall").write_bytes(b"seals")
    with pytest.raises(HostRefused, match=r"TPM's state in .*u-1.*as an ordinary user, or qemu:///system as root"):
        tpm_state.put("qemu:///session", "u-1", tmp_path / "kept")


@pytest.mark.parametrize(("uri", "user", "fits"), [
    ("qemu:///system", 0, True), ("qemu:///system", 1000, False), ("qemu:///session", 1000, True),
    ("qemu+ssh://there/system", 0, False), ("test:///default", 0, False),
])  # fmt: skip
def test_only_a_libvirt_of_this_computer_and_user_builds(
    monkeypatch: pytest.MonkeyPatch, uri: str, user: int, *, fits: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)

    async def case() -> None:
        host = Host(uri, None, asyncio.get_running_loop())
        if fits:
            tpm_state.require_own(host)
        else:
            with pytest.raises(VmMissing, match=f"saw {uri.replace('+', '.')} as user {user}"):
                tpm_state.require_own(host)

    asyncio.run(case())


def test_a_workshop_is_called_from_threads() -> None:
    async def case() -> None:
        opened: Any = None
        shop = Workshop(opened, Path("/b"), Acceleration("tcg", "a test"))
        with pytest.raises(RuntimeError, match="from a thread"):
            shop.find("x")

    rig.run(case())


def test_state_is_saved_as_a_whole(tmp_path: Path) -> None:
    one = spec(nvram=tmp_path / "nvram.fd", tpm=None)
    xml = workshop_xml.machine_xml(one, HOST, MARK)
    running = workshop_xml.running_nvram(one, HOST.uuid)
    workshop._save_state(xml, "qemu:///session", HOST.uuid)
    assert not one.nvram.exists(), "a machine that never ran has none"
    running.write_bytes(b"settings")
    workshop._save_state(xml, "qemu:///session", HOST.uuid)
    assert one.nvram.read_bytes() == b"settings"
    workshop._remove_state(xml, "qemu:///session", HOST.uuid)
    assert [path.name for path in tmp_path.iterdir()] == ["nvram.fd"]


class Told:
    """A host that answers each request as told, or refuses it."""

    uri = "qemu:///system"

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def call(self, what: str, function: object, limit_s: float = 30.0) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def machine_on(answer: object, lost: Exception | None = None) -> Any:
    """A machine of the workshop on a host that is told what to say."""
    host: Any = Told(answer)
    async def stop() -> None:
        """Nothing is renewed here."""

    held: Any = SimpleNamespace(name="rrsim-build-x", uuid="u-1", lost=lost, stop=stop)
    return workshop.Machine(Workshop(host, Path("/b"), Acceleration("tcg", "a test")), held)


def test_a_machine_that_is_halted_or_was_cleared_away_says_why() -> None:
    libvirt = pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")

    async def case() -> None:
        for answer, on in (((libvirt.VIR_DOMAIN_RUNNING, 1), True), ((None, 0), False)):
            assert await asyncio.to_thread((await machine_on(answer)).running) is on
        full = await machine_on((libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR))
        with pytest.raises(DiskFull, match="the disk that /b lies on is full"):
            await asyncio.to_thread(full.running)
        with pytest.raises(LeaseLost, match="gone"):
            await asyncio.to_thread((await machine_on((1, 1), LeaseLost("gone"))).running)

    rig.run(case())


def test_a_libvirt_that_does_not_answer_is_a_host_that_is_away() -> None:
    """And no failure of the machine; what libvirt says of the machine itself is one."""
    libvirt = pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
    numbers = {
        libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_OPERATION_TIMEOUT,
    }
    assert numbers == workshop.NO_ANSWER

    async def case() -> None:
        busy = HostRefused("look: Timed out during operation: cannot acquire state change lock", 68)
        for trouble in (HostSlow("look: no answer"), HostLost("look: the connection broke"), busy):
            for asked in ("running", "destroy", "screenshot"):
                one = await machine_on(trouble)
                with pytest.raises(HostAway, match="look: "):
                    await asyncio.to_thread(getattr(one, asked))
        broken = await machine_on(HostRefused("look: internal error: the monitor is gone", 1))
        with pytest.raises(HostRefused, match="the monitor is gone"):
            await asyncio.to_thread(broken.running)

    rig.run(case())


def test_a_call_that_never_ends_is_a_host_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
    monkeypatch.setattr(workshop, "CALL_LIMIT_S", 0.05)

    async def case() -> None:
        one = await machine_on((1, 1))
        one._workshop.host.call = lambda *_: asyncio.Event().wait()
        with pytest.raises(HostAway, match=r"done within 0\.05 s, saw it still at work"):
            await asyncio.to_thread(one.running)

    rig.run(case())


def test_a_connection_that_was_lost_for_good_is_opened_anew_and_the_lease_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On libvirt's mock: the connection is declared lost, libvirt stays away for two calls, then it is back."""
    pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
    refusals = [VmMissing("libvirt does not answer"), HostSlow("open: no answer")]
    real = Host.open

    async def opened(uri: str = "", **more: Any) -> Host:
        if refusals:
            raise refusals.pop(0)
        return await real(uri, **more)

    async def case() -> None:
        first = await real(rig.MOCK)
        shop = Workshop(first, tmp_path, Acceleration("tcg", "a test"))
        held = await lease.claim(first, f"rrsim-build-{os.getpid()}", lease.mine(tmp_path, workshop.PURPOSE))
        assert held is not None
        one = shop._machines[held.name] = workshop.Machine(shop, held)
        await first.call("start", lambda c: c.lookupByUUIDString(held.uuid).create())
        try:
            assert await asyncio.to_thread(one.running)
            first._tell(HostLost("it did not come back"))
            monkeypatch.setattr(Host, "open", opened)
            for says in ("did not come back", "does not answer", "no answer"):
                with pytest.raises(HostAway, match=says):
                    await asyncio.to_thread(one.running)
            assert await asyncio.to_thread(one.running)
            assert shop.host is not first
            assert (one.held.host, one.held.uuid, one.held.lost) == (shop.host, held.uuid, None)
            there = (await lease.holders(shop.host))[held.uuid][1]
            assert there.beat_s == one.held.lease.beat_s
        finally:
            await lease.remove_domain(shop.host, held.uuid)
            await shop.close()

    rig.run(case())


def test_media_that_the_machine_may_not_read_are_explained() -> None:
    async def case() -> None:
        closed = await machine_on(HostRefused("start: Could not open '/root/w.iso': Permission denied", 38))
        with pytest.raises(HostRefused, match=rf"runs as user {os.getuid()}, who has to be able to read the media"):
            await asyncio.to_thread(closed.start)
        other = await machine_on(HostRefused("start: no such machine type", 38))
        with pytest.raises(HostRefused, match=r"machine type$"):
            await asyncio.to_thread(other.start)

    rig.run(case())
