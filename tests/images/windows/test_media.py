"""What is looked at before a Windows image is built: each wrong file is named, with what is wrong and what to try."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from rrsim.images.windows import iso9660, media, recipe, udf
from rrsim.images.windows import wim as wims
from rrsim.images.windows.media import Inputs, InputWrong
from tests.images.windows.media_rig import BLOCK, PARTITION, openssh_zip, virtio_iso, wim, windows_iso

ROOT = Path(__file__).parents[3] / "vm_images"
CLIENT = wim((1, "Windows 11 Enterprise Evaluation", "EnterpriseEval", 26100, "en-US"))
SERVER = wim(
    (1, "Windows Server 2022 Standard Evaluation", "ServerStandardEval", 20348, "en-US"),
    (2, "Windows Server 2022 Standard Evaluation (Desktop Experience)", "ServerStandardEval", 20348, "en-US"),
)


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    """Good files for windows-11."""
    return Inputs(
        windows=windows_iso(tmp_path / "windows.iso", CLIENT), virtio=virtio_iso(tmp_path / "virtio.iso"),
        openssh=openssh_zip(tmp_path / "ssh.zip"),
    )


def changed(inputs: Inputs, **new: object) -> Inputs:
    fields = {name: getattr(inputs, name) for name in inputs.__struct_fields__}
    return Inputs(**(fields | new))


def test_good_files_are_taken_and_what_was_not_compared_is_said(inputs: Inputs) -> None:
    checked = media.check(inputs, recipe.read(ROOT, "windows-11"))
    assert (checked.edition.edition, checked.edition.index, checked.edition.build) == ("EnterpriseEval", 1, 26100)
    assert checked.label == "CPBA_X64FREV_EN-US_DV5"
    assert checked.sha256["windows"] == hashlib.sha256(inputs.windows.read_bytes()).hexdigest()
    assert [note for note in checked.notes if "windows.iso" in note and "compared with nothing" in note]


def test_the_second_image_of_a_server_medium_is_found(tmp_path: Path, inputs: Inputs) -> None:
    good = changed(inputs, windows=windows_iso(tmp_path / "server.iso", SERVER))
    assert media.check(good, recipe.read(ROOT, "windows-server-2022")).edition.index == 2


@pytest.mark.parametrize(("kind", "form"), [(261, 0), (261, 1), (266, 0), (266, 1)])
def test_every_form_of_a_file_on_the_medium_is_read(tmp_path: Path, kind: int, form: int) -> None:
    path = windows_iso(tmp_path / "windows.iso", CLIENT, kind=kind, form=form)
    with path.open("rb") as source:
        file = udf.Volume(source).open("SOURCES/Install.wim")
        assert file.read(0, file.length) == CLIENT
        assert file.read(BLOCK - 3, 6) == CLIENT[BLOCK - 3 : BLOCK + 3]
        assert file.read(file.length - 2, 99) == CLIENT[-2:]


def test_media_with_an_esd_file_are_read_too(tmp_path: Path, inputs: Inputs) -> None:
    good = changed(inputs, windows=windows_iso(tmp_path / "esd.iso", CLIENT, file="install.esd"))
    assert media.check(good, recipe.read(ROOT, "windows-11")).edition.build == 26100


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: (PARTITION + 7) * BLOCK])


WRONG: dict[str, tuple[str, bytes | None, Callable[[Path], None] | None, str]] = {
    "missing": ("windows-11", None, Path.unlink, r"windows.iso, saw: No such file"),
    "no iso": ("windows-11", None, lambda p: _write(p, b"MZ" * 99999), r"another kind of file"),
    "no udf": ("windows-11", None, lambda p: windows_iso(p, CLIENT, udf=False) and None, r"plain ISO 9660"),
    "no list": ("windows-11", None, lambda p: windows_iso(p, CLIENT, file="o.wim") and None, r"saw no install\.esd"),
    "no wim": ("windows-11", b"MZ" * 4000, None, r"MSWIM"),
    "cut off": ("windows-11", None, _cut, r"saw the end of the file"),
    "other index": ("windows-server-2022", wim((1, "x", "ServerStandardEval", 20348, "en-US")), None, r"as number 2"),
    "other edition": ("windows-11", wim((1, "x", "Professional", 26100, "en-US")), None, r"saw 1: x \(Professional"),
    "other build": ("windows-11", wim((1, "x", "EnterpriseEval", 19045, "en-US")), None, r"build 22000-29999.*19045"),
    "other language": ("windows-11", wim((1, "x", "EnterpriseEval", 26100, "de-DE")), None, r"in en-US.*saw de-DE"),
    "german wanted": ("windows-11-german", None, None, r"in de-DE.*saw en-US"),
    "other processor": (
        "windows-11", wim((1, "x", "EnterpriseEval", 26100, "en-US"), arch="12"), None, r"x64, saw architecture 12",
    ),
    "a list of nothing": ("windows-11", wim(), None, r"saw none"),
}


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_windows_medium_is_named(case: str, inputs: Inputs) -> None:
    name, installs, damage, message = WRONG[case]
    if installs is not None:
        windows_iso(inputs.windows, installs)
    if damage is not None:
        damage(inputs.windows)
    with pytest.raises(InputWrong, match=message) as raised:
        media.check(inputs, recipe.read(ROOT, name))
    assert "windows.iso" in str(raised.value)


def test_an_evaluation_is_told_from_a_licence_of_ones_own(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = recipe.read(ROOT, "windows-11-own-licence")
    windows_iso(inputs.windows, wim((1, "Windows 11 Enterprise", "Enterprise", 26100, "en-US")))
    assert not media.check(inputs, wanted).edition.evaluation
    monkeypatch.setattr(wims.Edition, "evaluation", property(lambda self: True))
    with pytest.raises(InputWrong, match=r"licence = 'own' to fit the medium"):
        media.check(inputs, wanted)


def test_wrong_drivers_and_shells_are_named(tmp_path: Path, inputs: Inputs) -> None:
    wanted = recipe.read(ROOT, "windows-11")
    for bad, message in [
        (changed(inputs, virtio=virtio_iso(tmp_path / "v.iso", ("A.TXT",))), r"-guest-tools\.exe at the root"),
        (changed(inputs, virtio=tmp_path / "none.iso"), r"virtio-win medium at .*none\.iso, saw: No such file"),
        (changed(inputs, virtio=inputs.openssh), r"another kind of file"),
        (changed(inputs, openssh=openssh_zip(tmp_path / "s.zip", ("ssh.exe",))), r"without sshd\.exe and install-sshd"),
        (changed(inputs, openssh=inputs.virtio), r"saw no zip file"),
        (changed(inputs, openssh=tmp_path / "none.zip"), r"OpenSSH for Windows at .*none\.zip"),
        (changed(inputs, phonebook=inputs.virtio), r"a phonebook of Windows"),
        (changed(inputs, phonebook=tmp_path / "none.pbk"), r"dial-up entries at .*none\.pbk"),
    ]:
        with pytest.raises(InputWrong, match=message):
            media.check(bad, wanted)


def test_a_phonebook_is_taken(tmp_path: Path, inputs: Inputs) -> None:
    book = tmp_path / "rasphone.pbk"
    book.write_text("\ufeff[Provider]\r\nMEDIA=serial\r\n", encoding="utf-8")
    checked = media.check(changed(inputs, phonebook=book), recipe.read(ROOT, "windows-11"))
    assert set(checked.sha256) == {"windows", "virtio", "openssh", "phonebook"}


def test_a_checksum_that_is_given_has_to_hold(inputs: Inputs) -> None:
    wanted = recipe.read(ROOT, "windows-11")
    right = hashlib.sha256(inputs.virtio.read_bytes()).hexdigest()
    notes = media.check(changed(inputs, sha256={"virtio": right.upper()}), wanted).notes
    assert not [note for note in notes if "virtio" in note]
    with pytest.raises(InputWrong, match=rf"virtio\.iso: expected sha256 {'0' * 64}, saw {right}"):
        media.check(changed(inputs, sha256={"virtio": "0" * 64}), wanted)
    with pytest.raises(InputWrong, match="saw some for driver"):
        media.check(changed(inputs, sha256={"driver": right}), wanted)


def test_known_media_are_called_by_name(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(media.KNOWN, media.checksum(inputs.windows), "Windows that everybody has")
    assert "windows.iso is Windows that everybody has" in media.check(inputs, recipe.read(ROOT, "windows-11")).notes


@pytest.mark.parametrize("offset", [2, 10])
def test_a_root_folder_without_bounds_is_refused(inputs: Inputs, offset: int) -> None:
    content = bytearray(inputs.virtio.read_bytes())
    struct.pack_into("<I", content, 16 * BLOCK + 156 + offset, 0x7FFFFFFF)
    inputs.virtio.write_bytes(content)
    with pytest.raises(InputWrong):
        media.check(inputs, recipe.read(ROOT, "windows-11"))


def test_a_folder_that_claims_to_be_huge_is_refused(inputs: Inputs) -> None:
    content = bytearray(inputs.windows.read_bytes())
    struct.pack_into("<Q", content, (PARTITION + 3) * BLOCK + 56, 1 << 40)
    inputs.windows.write_bytes(content)
    with inputs.windows.open("rb") as source, pytest.raises(udf.UdfWrong, match="a folder of at most"):
        udf.Volume(source).open("sources/install.wim")


def test_a_list_of_editions_that_claims_to_be_huge_is_refused() -> None:
    header = bytearray(CLIENT)
    header[0x48:0x4F] = (1 << 50).to_bytes(7, "little")
    with pytest.raises(wims.WimWrong, match="a list of editions of at most"):
        wims.editions(lambda at, count: bytes(header)[at : at + count])


def test_a_document_type_in_the_list_is_refused() -> None:
    xml = '<!DOCTYPE a [<!ENTITY b "c">]><WIM/>'.encode("utf-16")
    header = bytearray(208)
    header[:8] = b"MSWIM\0\0\0"
    header[0x48:0x60] = len(xml).to_bytes(7, "little") + b"\x02" + struct.pack("<QQ", 208, len(xml))
    content = bytes(header) + xml
    with pytest.raises(wims.WimWrong, match="document type"):
        wims.editions(lambda at, count: content[at : at + count])


def test_joliet_names_are_preferred(tmp_path: Path) -> None:
    path = virtio_iso(tmp_path / "v.iso", ("VIRTIO_W.EXE",))
    content = bytearray(path.read_bytes())
    joliet = bytearray(content[16 * BLOCK : 17 * BLOCK])
    joliet[0], joliet[88:91] = 2, b"%/E"
    struct.pack_into("<I", joliet, 158, 22)
    content += bytes(2 * BLOCK)
    content[18 * BLOCK : 19 * BLOCK] = content[17 * BLOCK : 18 * BLOCK]
    content[17 * BLOCK : 18 * BLOCK] = joliet
    name = "virtio-win-guest-tools.exe;1".encode("utf-16-be")
    entry = bytearray(33 + len(name) + 1)
    entry[0], entry[32] = len(entry), len(name)
    entry[33 : 33 + len(name)] = name
    content[22 * BLOCK : 23 * BLOCK] = bytes(entry).ljust(BLOCK, b"\0")
    path.write_bytes(content)
    assert iso9660.root_names(path) == ("virtio-win-guest-tools.exe",)
