"""Events, keys, headers of saved images, pictures, definitions: everything about machines that needs none."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image as Picture

from rrsim.backends.live.vm import domain_xml, events, keep, keyboard, lease, reap, save_image, screen, slots
from rrsim.backends.live.vm import image as images
from rrsim.backends.live.vm.errors import ImageCorrupt, ImageMissing, ReadyStateBad
from rrsim.backends.live.vm.host import HostInfo
from tests.backends.live.vm.rig import pretend

MARK = lease.to_mark(lease.mine(None))


def values(**changes: object) -> domain_xml.Values:
    given: dict[str, object] = {
        "name": "rrsim-slot-1", "uuid": "5b1f9b3c-0d3b-4b52-8f0a-5a6f2f0c8e11", "accelerator": "tcg",
        "disk": "/p/run-disk.qcow2", "console_log": "/p/run-console.log", "mac": "52:54:00:00:00:01",
    }
    return domain_xml.Values(**{**given, **changes})  # type: ignore[arg-type]  # -- a test's short hand


def definition(tmp_path: Path, hardware: dict[str, object] | None = None, **changes: object) -> ElementTree.Element:
    image = pretend(tmp_path / "image", **(hardware or {}))
    return ElementTree.fromstring(domain_xml.domain_xml(image.built, values(**changes), MARK))


# --- events ---

def test_three_resets_of_a_bios_are_one_restart_and_a_second_restart_is_another() -> None:
    bursts = events.Bursts()
    assert [bursts.is_new(at) for at in (0, 40_000, 90_000, 6_000_000, 6_050_000)] == [True, False, False, True, False]


def test_a_machine_that_resets_without_end_does_not_stay_one_burst_for_ever() -> None:
    bursts = events.Bursts()
    assert sum(bursts.is_new(at) for at in range(0, 10_000_000, 500_000)) == 4


def test_after_a_power_cut_the_next_reset_counts_at_once() -> None:
    bursts = events.Bursts()
    assert bursts.is_new(0)
    bursts.forget()
    assert bursts.is_new(1)


def test_events_are_told_in_words() -> None:
    assert events.text(events.Reset(0, guest=True, reason=events.reason_of("guest-reset"))) == "reset (guest reset)"
    assert events.text(events.GuestAgent(0, connected=False)) == "guest agent disconnected"
    assert events.text(events.Stopped(0, "power cut")) == "stopped (power cut)"


# --- keys ---

def test_each_layout_types_its_own_characters() -> None:
    assert keyboard.strokes("aZ") == (("a", ()), ("z", ("shift",)))
    assert keyboard.strokes("zY", "de") == (("y", ()), ("z", ("shift",)))
    assert keyboard.strokes("@ß{|\\", "de") == (
        ("q", ("alt_r",)), ("minus", ()), ("7", ("alt_r",)), ("less", ("alt_r",)), ("minus", ("alt_r",)),
    )
    assert keyboard.strokes("ÄÖÜ", "de") == (
        ("apostrophe", ("shift",)), ("semicolon", ("shift",)), ("bracket_left", ("shift",)),
    )
    assert keyboard.strokes("\"'#", "gb") == (("2", ("shift",)), ("apostrophe", ()), ("backslash", ()))
    assert keyboard.strokes("a b\n") == (("a", ()), ("spc", ()), ("b", ()), ("ret", ()))


def test_every_printable_ascii_character_can_be_typed_on_every_layout_but_the_dead_keys() -> None:
    dead = {"us": set(), "gb": set(), "de": {"^", "`"}}
    for layout in keyboard.layouts():
        for code in range(32, 127):
            if chr(code) in dead[layout]:
                with pytest.raises(keyboard.KeyUnknown):
                    keyboard.strokes(chr(code), layout)
            else:
                assert len(keyboard.strokes(chr(code), layout)) == 1


def test_an_error_about_a_text_does_not_repeat_it() -> None:
    with pytest.raises(keyboard.KeyUnknown, match=r"character 7 of 7 .*'us'") as caught:
        keyboard.strokes("secretß", "us")
    assert "secret" not in str(caught.value)
    with pytest.raises(keyboard.KeyUnknown, match="no keyboard layout 'fr'; there are: de, gb, us"):
        keyboard.strokes("a", "fr")


# --- saved memory images ---

def saved(xml: str, cookie: str = "<cookie/>", room: int = 300, version: int = 2, magic: bytes = b"") -> bytes:
    data = xml.encode() + b"\0" + (cookie.encode() + b"\0" if cookie else b"")
    at = len(xml.encode()) + 1 if cookie else 0
    length = len(data) + room
    head = struct.pack("<16sIIIII14I", magic or save_image.MAGIC, version, length, 1, 0, at, *([0] * 14))
    return head + data.ljust(length, b"\0") + b"QEVM stream"


def test_the_header_is_rewritten_and_the_stream_stays_where_it_was() -> None:
    file = saved("<domain><name>a</name></domain>")
    new = save_image.rewrite(file, lambda xml: xml.replace("<name>a<", "<name>longer<"))
    header = save_image.parse(new)
    assert header.stream_at == len(new) == save_image.parse(file).stream_at
    assert new[save_image.HEADER_BYTES:].startswith(b"<domain><name>longer</name></domain>\0<cookie/>\0")
    assert new[save_image.HEADER_BYTES + header.cookie_at:].startswith(b"<cookie/>\0")
    assert header.running == 1


@pytest.mark.parametrize(("file", "says"), [
    (b"short", "5 bytes"),
    (saved("<domain/>", magic=b"LibvirtQemudPart"), "begins with b'LibvirtQemudPart'"),
    (saved("<domain/>", version=3), "version 3"),
    (saved("<domain/>")[:-200], "bytes of description, saw"),
])
def test_what_is_no_whole_saved_image_is_refused(file: bytes, says: str) -> None:
    with pytest.raises(ReadyStateBad, match=says):
        save_image.rewrite(file, lambda xml: xml)


def test_a_description_that_no_longer_fits_is_refused() -> None:
    with pytest.raises(ReadyStateBad, match="grew to"):
        save_image.rewrite(saved("<domain/>", room=5), lambda xml: xml + " " * 100)


def test_a_saved_machine_becomes_another_one(tmp_path: Path) -> None:
    image = pretend(tmp_path / "image", firmware="uefi")
    xml = domain_xml.domain_xml(image.built, values(nvram="/p/old-nvram"), MARK)
    disk = "<source file='/p/run-disk.qcow2' index='1'/><backingStore type='file'><source file='/p/b'/></backingStore>"
    xml = xml.replace('<source file="/p/run-disk.qcow2" />', disk)
    other = lease.to_mark(lease.mine(Path("/other/run")))
    root = ElementTree.fromstring(save_image.as_machine(
        xml, name="rrsim-slot-2", uuid="u2", mark=other, disk="/p/two", console_log="/p/log2", nvram="/p/nvram2",
    ))
    text = ElementTree.tostring(root, encoding="unicode")
    assert (root.findtext("name"), root.findtext("uuid")) == ("rrsim-slot-2", "u2")
    assert [source.attrib for source in root.iterfind("devices/disk/source")] == [{"file": "/p/two"}]
    assert root.findtext("os/nvram") == "/p/nvram2"
    assert "/other/run" in text
    for old in ("rrsim-slot-1", "/p/run-disk", "/p/run-console", "/p/old-nvram", "backingStore"):
        assert old not in text


# --- pictures ---

@pytest.mark.parametrize("kind", ["PPM", "PNG"])
def test_a_picture_becomes_png_whatever_the_hypervisor_gives(kind: str) -> None:
    out = io.BytesIO()
    Picture.new("RGB", (720, 400), (1, 2, 3)).save(out, kind)
    png = screen.png(out.getvalue())
    assert screen.size(out.getvalue()) == screen.size(png) == (720, 400)
    with Picture.open(io.BytesIO(png)) as opened:
        assert (opened.format, opened.getpixel((5, 5))) == ("PNG", (1, 2, 3))


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a picture"):
        screen.png(b"<html>")


# --- definitions ---

def test_a_machine_reaches_the_host_and_nothing_else_listens(tmp_path: Path) -> None:
    root = definition(tmp_path)
    assert [card.get("type") for card in root.iterfind("devices/interface")] == ["user"]
    assert [(g.get("type"), g.get("port"), [x.get("type") for x in g]) for g in root.iterfind("devices/graphics")] == [
        ("vnc", None, ["socket"]),
    ]
    assert [target.get("name") for target in root.iterfind("devices/channel/target")] == [
        "org.rrsim.guest.0", "org.qemu.guest_agent.0",
    ]


def test_hyper_v_is_never_offered_under_emulation(tmp_path: Path) -> None:
    assert definition(tmp_path, accelerator="tcg", hyperv=True).find("features/hyperv") is None
    assert definition(tmp_path, accelerator="kvm", hyperv=True).find("features/hyperv") is not None
    assert definition(tmp_path, accelerator="kvm").find("features/hyperv") is None


def test_the_processor_goes_by_the_accelerator(tmp_path: Path) -> None:
    assert definition(tmp_path, accelerator="tcg").findtext("cpu/model") == "Nehalem"
    kvm = definition(tmp_path, accelerator="kvm")
    assert (kvm.get("type"), kvm.find("cpu").attrib["mode"]) == ("kvm", "host-passthrough")  # type: ignore[union-attr]  # -- it is there, or the test fails


def test_uefi_needs_a_file_for_its_variables(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nvram"):
        definition(tmp_path, {"firmware": "uefi"})
    root = definition(tmp_path, {"firmware": "uefi", "secure_boot": True, "tpm": True}, nvram="/p/n")
    assert root.findtext("os/nvram") == "/p/n"
    assert {f.get("name"): f.get("enabled") for f in root.iterfind("os/firmware/feature")} == {
        "secure-boot": "yes", "enrolled-keys": "yes",
    }
    assert root.find("devices/tpm") is not None


def test_a_modem_is_a_second_serial_line_and_only_where_the_image_has_one(tmp_path: Path) -> None:
    assert len(definition(tmp_path).findall("devices/serial")) == 2
    assert len(definition(tmp_path, {"modem": False}).findall("devices/serial")) == 1


def test_a_cable_is_pulled_from_the_named_card_only(tmp_path: Path) -> None:
    xml = ElementTree.tostring(definition(tmp_path, management_mac="52:54:00:00:00:02"), encoding="unicode")
    pulled = ElementTree.fromstring(domain_xml.link_xml(xml, domain_xml.NETWORK_CARD, up=False))
    assert pulled.find("mac").attrib == {"address": "52:54:00:00:00:01"}  # type: ignore[union-attr]  # -- it is there, or the test fails
    assert [link.get("state") for link in pulled.findall("link")] == ["down"]
    again = domain_xml.link_xml(xml.replace("</interface>", "<link state='down'/></interface>"), "ua-net-main", up=True)
    assert [link.get("state") for link in ElementTree.fromstring(again).findall("link")] == ["up"]
    with pytest.raises(ValueError, match="no network card 'ua-other'"):
        domain_xml.link_xml(xml, "ua-other", up=False)


def test_a_lease_survives_its_way_through_the_metadata() -> None:
    one = lease.mine(Path("/run/with <odd> & \"signs\""), lease_s=77)
    assert lease.from_mark(lease.to_mark(one)) == one
    kept = type(one)(**{**{f: getattr(one, f) for f in one.__struct_fields__}, "kept": True})
    assert lease.from_mark(lease.to_mark(kept)) == kept
    assert lease.from_mark("<lease a='b'/>") is None
    assert lease.from_mark("not xml") is None


# --- images, slots, keeping ---

def test_an_image_that_is_not_there_or_not_whole_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ImageMissing, match="rrsim image build nothing"):
        images.load(tmp_path / "nothing")
    image = pretend(tmp_path / "one")
    (image.folder / "vmlinuz").unlink()
    with pytest.raises(ImageMissing, match="lacks vmlinuz"):
        images.load(image.folder)
    (image.folder / "manifest.json").write_text("{")
    with pytest.raises(ImageCorrupt, match="expected the manifest"):
        images.load(image.folder)


def test_slots_go_by_processors_and_memory_unless_somebody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(slots.ENV_SLOTS, raising=False)
    info = HostInfo(
        uri="", name="h", libvirt="9.0.0", hypervisor="7.2.0", processors=8, memory_mib=16_000, processor="",
        kind="QEMU",
    )
    assert slots.count(info, 1024) == 8
    assert slots.count(info, 3000) == 4
    assert slots.count(info, 64_000) == 1
    assert slots.count(info, 1024, wanted=3) == 3
    monkeypatch.setenv(slots.ENV_SLOTS, "5")
    assert slots.count(info, 1024) == 5


def test_machines_are_kept_as_asked() -> None:
    kept = [(keep.chosen(word), failed) for word in ("never", "failed", "always") for failed in (False, True)]
    assert [keep.wanted(word, failed=failed) for word, failed in kept] == [False, False, False, True, True, True]
    with pytest.raises(ValueError, match="never, failed, always, saw 'no'"):
        keep.chosen("no")


UUID = "5b1f9b3c-0d3b-4b52-8f0a-5a6f2f0c8e11"


@pytest.mark.parametrize(("name", "locks", "orphan"), [
    (f"run-{UUID}-disk.qcow2", {}, True),
    (f"run-{UUID}-disk.qcow2", {UUID: "rrsim-slot-1"}, False),
    ("ready-aa11-0f0f0f0f-disk.qcow2", {}, True),
    ("ready-aa11-0f0f0f0f-disk.qcow2", {"other": "rrsim-lock-make-aa11"}, False),
    ("ready-aa11-0f0f0f0f-disk.qcow2", {"other": "rrsim-lock-make-bb22"}, True),
    ("ready-aa11-ffffffff-memory", {}, False),
    ("base-77aa-disk.qcow2", {}, True),
    ("base-77aa-disk.qcow2", {"other": "rrsim-lock-base-77aa-disk.qcow2"}, False),
    ("base-77aa-disk.qcow2", {UUID: "rrsim-slot-1"}, False),
    ("base-88bb-disk.qcow2", {}, False),
    ("somebody-elses.qcow2", {}, False),
    ("run-of-somebody-else", {}, False),
])
def test_only_what_is_rrsims_and_nobodys_is_an_orphan(name: str, locks: dict[str, str], orphan: bool) -> None:
    names = (name, "ready-aa11-ffffffff-record", "base-88bb-disk.qcow2.ok-17.5")
    assert (name in reap._orphans(names, locks, names)) is orphan
