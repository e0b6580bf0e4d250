"""The answers for Windows Setup, and the critical reading of them: every rule is shown a file that breaks it."""

from __future__ import annotations

import base64
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rrsim.images.windows import accounts, answer_check, answer_file, recipe
from rrsim.images.windows.answer_check import AnswersWrong, faults_of

ROOT = Path(__file__).parents[3] / "vm_images"
NS = {"u": answer_file.UNATTEND, "wcm": answer_file.STATE}


def passwords(one: recipe.Recipe) -> dict[str, str]:
    return {name: f"Secret0{number}word" for number, name in enumerate(accounts.names(one))}


def written(name: str = "windows-11", key: str = "") -> bytes:
    one = recipe.read(ROOT, name)
    return answer_file.build(one, passwords(one), key)


@pytest.mark.parametrize("name", tuple(recipe.names(ROOT)))
def test_every_image_s_answers_pass_the_rules(name: str) -> None:
    one = recipe.read(ROOT, name)
    answer_check.check(written(name), passwords(one).values())


def test_the_disk_is_laid_out_for_uefi_and_windows_takes_the_rest() -> None:
    root = ET.fromstring(written())
    parts = [
        {child.tag.partition("}")[2]: child.text for child in part}
        for part in root.iterfind(".//u:CreatePartition", NS)
    ]
    assert parts == [
        {"Order": "1", "Type": "EFI", "Size": "100"}, {"Order": "2", "Type": "MSR", "Size": "16"},
        {"Order": "3", "Type": "Primary", "Extend": "true"},
    ]
    assert root.findtext(".//u:InstallTo/u:PartitionID", namespaces=NS) == "3"


def test_passwords_are_encoded_with_the_name_of_their_setting() -> None:
    assert answer_file.encoded("vagrant", "Password") == "dgBhAGcAcgBhAG4AdABQAGEAcwBzAHcAbwByAGQA"
    root = ET.fromstring(written("windows-server-2022"))
    value = root.findtext(".//u:AdministratorPassword/u:Value", namespaces=NS) or ""
    assert base64.b64decode(value).decode("utf-16-le") == "Secret02wordAdministratorPassword"
    assert ET.fromstring(written()).find(".//u:AdministratorPassword", NS) is None


def test_setup_is_told_to_look_away_only_where_the_recipe_says_so() -> None:
    assert b"BypassTPMCheck" not in written()
    assert b"BypassTPMCheck" in written("windows-11-no-tpm")


def test_the_administrator_signs_in_once_and_looks_for_the_set_up_script() -> None:
    root = ET.fromstring(written())
    assert root.findtext(".//u:AutoLogon/u:LogonCount", namespaces=NS) == "1"
    assert root.findtext(".//u:AutoLogon/u:Username", namespaces=NS) == "rradmin"
    commands = [one.text or "" for one in root.iterfind(".//u:FirstLogonCommands//u:CommandLine", NS)]
    assert "GetDrives" in commands[-1]
    assert answer_file.START_SCRIPT in commands[-1]


def test_user_account_control_is_left_alone_and_encryption_prevented() -> None:
    for name in recipe.names(ROOT):
        assert b"EnableLUA" not in written(name)
        assert ET.fromstring(written(name)).findtext(".//u:PreventDeviceEncryption", namespaces=NS) == "true"


def test_a_german_image_speaks_german_in_every_pass() -> None:
    root = ET.fromstring(written("windows-11-german"))
    assert {one.text for one in root.iterfind(".//u:UILanguage", NS)} == {"de-DE"}
    assert {one.text for one in root.iterfind(".//u:InputLocale", NS)} == {"0407:00000407"}
    assert {one.text for one in root.iterfind(".//u:Group", NS)} == {"Administrators", "Users"}


def test_a_product_key_stands_where_setup_looks_for_it() -> None:
    root = ET.fromstring(written("windows-11-own-licence", "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"))
    assert root.findtext(".//u:UserData/u:ProductKey/u:Key", namespaces=NS) == "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"
    assert ET.fromstring(written()).find(".//u:ProductKey/u:Key", NS) is None


def test_a_virtio_disk_gets_its_drivers(tmp_path: Path) -> None:
    for file in (ROOT / "windows-11").iterdir():
        (tmp_path / "windows-11").mkdir(exist_ok=True)
        (tmp_path / "windows-11" / file.name).write_text(
            file.read_text().replace('drivers = "w11"', 'drivers = "w11"\nvirtio_disk = true')
        )
    one = recipe.read(tmp_path, "windows-11")
    answers = answer_file.build(one, passwords(one))
    answer_check.check(answers)
    assert rb"E:\viostor\w11\amd64" in answers
    assert b"DriverPaths" not in written()


def text(old: str, new: str, name: str = "windows-11") -> bytes:
    before = written(name).decode()
    assert old in before, old
    return before.replace(old, new).encode()


ENCODED = answer_file.encoded("Secret00word", "Password")
INTO = "<DiskID>0</DiskID>\n            <PartitionID>"
DEPLOYMENT = 'name="Microsoft-Windows-Deployment"'
SHELL = 'name="Microsoft-Windows-Shell-Setup"'
BROKEN: dict[str, tuple[bytes, str]] = {
    "not xml": (written()[:-30], "well-formed"),
    "an entity": (b"<!DOCTYPE a>" + written(), "document type"),
    "no namespace": (text(f'xmlns="{answer_file.UNATTEND}"', 'xmlns="urn:x"'), "root element unattend"),
    "element of elsewhere": (text("<ComputerName>", '<ComputerName xmlns="urn:x">'), "every element in namespace"),
    "attribute of elsewhere": (text("<Disk ", '<Disk xmlns:x="urn:x" x:a="1" '), "attributes of namespace"),
    "unknown pass": (text('pass="specialize"', 'pass="specialise"'), "saw settings 'specialise'"),
    "a pass twice": (text('pass="specialize"', 'pass="oobeSystem"'), "saw two of oobeSystem"),
    "unknown component": (text(DEPLOYMENT, 'name="Microsoft-Windows-Deploy"'), "known components"),
    "uac off": (text(DEPLOYMENT, 'name="Microsoft-Windows-LUA-Settings"'), "User Account Control"),
    "wrong pass": (text(DEPLOYMENT, 'name="Microsoft-Windows-Setup"'), "allowed in windowsPE, saw it in spec"),
    "a component twice": (text('name="Microsoft-Windows-International-Core"', SHELL), "Shell-Setup twice"),
    "other processor": (text('Architecture="amd64"', 'Architecture="x86"'), "processorArchitecture='amd64'"),
    "no computer name": (text("<ComputerName>RRSIM-W11</ComputerName>", ""), "expected ComputerName, saw none"),
    "no eula": (text("<AcceptEula>true</AcceptEula>", ""), "expected UserData/AcceptEula"),
    "empty element": (text("<Label>System</Label>", "<Label />"), "Label: expected a value"),
    "unknown type": (text("<Type>MSR</Type>", "<Type>Reserved</Type>"), "Type: expected one of"),
    "password in clear": (text("<PlainText>false", "<PlainText>true"), "PlainText: expected one of false"),
    "signs in for ever": (text("<LogonCount>1<", "<LogonCount>65432<"), "LogonCount: expected one of 1"),
    "translated group": (text("<Group>Users<", "<Group>Benutzer<"), "Group: expected one of"),
    "no number": (text("<Size>100</Size>", "<Size>much</Size>"), "Size: expected a whole number"),
    "long command": (text("reg add HKLM", "reg add HKLM" + "x" * 259), "Path: expected at most 259"),
    "long first command": (text("foreach ($drive", "x" * 1000 + "foreach ($drive"), "Line: expected at most 1024"),
    "long name": (text("RRSIM-W11<", "RRSIM-WINDOWS-11X<"), "ComputerName: expected at most 15"),
    "an entry without action": (text('<Disk wcm:action="add">', "<Disk>"), "DiskConfiguration: expected entries"),
    "orders": (text("<Order>2</Order>", "<Order>7</Order>"), "Order 1 to 3 in a row"),
    "no firmware partition": (text("<Type>EFI</Type>", "<Type>Primary</Type>"), "EFI and MSR first"),
    "into the firmware's": (text(f"{INTO}3", f"{INTO}1"), "primary partition that is made"),
    "password without its setting": (
        text(ENCODED, answer_file.encoded("Secret00word", "Pass")), "Password: expected",
    ),
    "password that is none": (text(ENCODED, "Secret00word"), "Password: expected"),
    "a secret elsewhere": (text("<DisplayName>rradmin", "<DisplayName>Secret00word"), "in clear"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_every_rule_can_fail(case: str) -> None:
    answers, message = BROKEN[case]
    found = list(faults_of(answers, ("Secret00word",)))
    assert any(message in fault for fault in found), found
    assert not any("Secret00word" in fault for fault in found)
    with pytest.raises(AnswersWrong, match="faults in the answer file"):
        answer_check.check(answers, ("Secret00word",))


def test_a_secret_too_short_to_find_is_a_fault() -> None:
    assert list(faults_of(written(), ("abc",))) == ["a secret is too short to be looked for"]
