"""Reading an answer file critically, before half an hour of Setup finds the mistake.

Microsoft publishes no schema of answer files that could be used here: its own (of Windows System Image Manager) is
generated from the catalogue of one installation medium. What is checked instead is written down below from Microsoft's
reference pages: which components there are and in which passes each is allowed, what must be there, how long commands
may be, how lists are numbered, and that no password stands there in clear.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import Final
from xml.etree import ElementTree as ET

from rrsim.images.windows.answer_file import STATE, UNATTEND

PASSES: Final = (
    "windowsPE", "offlineServicing", "generalize", "specialize", "auditSystem", "auditUser", "oobeSystem",
)
COMPONENTS: Final[dict[str, frozenset[str]]] = {
    "Microsoft-Windows-Deployment": frozenset({
        "generalize", "specialize", "auditSystem", "auditUser", "oobeSystem",
    }),
    "Microsoft-Windows-International-Core": frozenset({"specialize", "oobeSystem"}),
    "Microsoft-Windows-International-Core-WinPE": frozenset({"windowsPE"}),
    "Microsoft-Windows-PnpCustomizationsWinPE": frozenset({"windowsPE"}),
    "Microsoft-Windows-SecureStartup-FilterDriver": frozenset({
        "offlineServicing", "specialize", "auditSystem", "oobeSystem",
    }),
    "Microsoft-Windows-Setup": frozenset({"windowsPE"}),
    "Microsoft-Windows-Shell-Setup": frozenset({
        "offlineServicing", "windowsPE", "generalize", "specialize", "auditSystem", "auditUser", "oobeSystem",
    }),
}  # fmt: skip
"""Components that rrsim's answer files use, with the passes each is allowed in. Others are refused: nobody checked
them."""
NOT_WANTED: Final = ("Microsoft-Windows-LUA-Settings",)
"""Turns User Account Control off, and with it what an agent has to cope with."""
ATTRIBUTES: Final = {
    "processorArchitecture": "amd64", "publicKeyToken": "31bf3856ad364e35", "language": "neutral",
    "versionScope": "nonSxS",
}
REQUIRED: Final = (
    ("windowsPE", "Microsoft-Windows-Setup", "DiskConfiguration/Disk/WillWipeDisk"),
    ("windowsPE", "Microsoft-Windows-Setup", "ImageInstall/OSImage/InstallTo/PartitionID"),
    ("windowsPE", "Microsoft-Windows-Setup", "ImageInstall/OSImage/InstallFrom/MetaData/Value"),
    ("windowsPE", "Microsoft-Windows-Setup", "UserData/AcceptEula"),
    ("windowsPE", "Microsoft-Windows-International-Core-WinPE", "SetupUILanguage/UILanguage"),
    ("specialize", "Microsoft-Windows-Shell-Setup", "ComputerName"),
    ("specialize", "Microsoft-Windows-SecureStartup-FilterDriver", "PreventDeviceEncryption"),
    ("oobeSystem", "Microsoft-Windows-International-Core", "InputLocale"),
    ("oobeSystem", "Microsoft-Windows-Shell-Setup", "OOBE/HideEULAPage"),
    ("oobeSystem", "Microsoft-Windows-Shell-Setup", "UserAccounts/LocalAccounts/LocalAccount/Name"),
    ("oobeSystem", "Microsoft-Windows-Shell-Setup", "AutoLogon/Username"),
    ("oobeSystem", "Microsoft-Windows-Shell-Setup", "FirstLogonCommands/SynchronousCommand/CommandLine"),
)
"""Pass, component, path: without one of these Setup stops and asks, or nothing runs at the end."""
CONTENT: Final[dict[str, frozenset[str]]] = {
    "WillWipeDisk": frozenset({"true", "false"}), "Extend": frozenset({"true", "false"}),
    "AcceptEula": frozenset({"true"}), "Type": frozenset({"EFI", "MSR", "Primary", "Logical", "Extended"}),
    "Format": frozenset({"NTFS", "FAT32"}), "PlainText": frozenset({"false"}),
    "WillShowUI": frozenset({"OnError", "Always", "Never"}), "ProtectYourPC": frozenset({"1", "2", "3"}),
    "PreventDeviceEncryption": frozenset({"true"}), "Enabled": frozenset({"true", "false"}),
    "Group": frozenset({"Administrators", "Users"}), "LogonCount": frozenset({"1"}),
}  # fmt: skip
"""Elements that allow these words only."""
NUMBERS: Final = frozenset({"Order", "PartitionID", "DiskID", "Size"})
LISTS: Final = {
    "CreatePartitions": "CreatePartition", "ModifyPartitions": "ModifyPartition", "LocalAccounts": "LocalAccount",
    "DriverPaths": "PathAndCredentials", "RunSynchronous": "RunSynchronousCommand",
    "FirstLogonCommands": "SynchronousCommand", "DiskConfiguration": "Disk",
}
"""Elements that hold a list, with the name of its entries."""
ORDERED: Final = frozenset({"CreatePartitions", "ModifyPartitions", "RunSynchronous", "FirstLogonCommands"})
LONGEST: Final = {"Path": 259, "CommandLine": 1024, "ComputerName": 15, "Username": 20, "Name": 20}
"""Most characters of a text."""
FEWEST_SECRET: Final = 6


class AnswersWrong(ValueError):
    """An answer file breaks a rule; the message lists every fault with its place."""


def check(written: bytes, secrets: Iterable[str] = ()) -> None:
    """Check an answer file; none of ``secrets`` may be readable in it.

    Raises:
        AnswersWrong: it is not well-formed, or breaks one of the rules of this module.
    """
    faults = list(faults_of(written, tuple(secrets)))
    if faults:
        raise AnswersWrong(f"{len(faults)} faults in the answer file: " + "; ".join(faults))


def faults_of(written: bytes, secrets: tuple[str, ...] = ()) -> Iterator[str]:
    """Find everything that is wrong with an answer file, one sentence each; no secret is ever repeated."""
    if b"<!DOCTYPE" in written or b"<!ENTITY" in written:
        yield "expected plain XML, saw a document type: entities have no place here"
        return
    try:
        root = ET.fromstring(written)  # noqa: S314 -- without a document type there are no entities to expand
    except ET.ParseError as error:
        yield f"expected well-formed XML, saw: {error}"
        return
    if root.tag != f"{{{UNATTEND}}}unattend":
        yield f"expected the root element unattend in namespace {UNATTEND}, saw {root.tag}"
        return
    yield from _namespaces(root)
    yield from _structure(root)
    yield from _required(root)
    for element in root.iter():
        yield from _content(element)
    yield from _partitions(root)
    yield from _passwords(root)
    yield from _secrets(written, root, secrets)


def _namespaces(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        if not element.tag.startswith(f"{{{UNATTEND}}}"):
            yield f"expected every element in namespace {UNATTEND}, saw {element.tag}"
        for attribute in element.attrib:
            if attribute.startswith("{") and not attribute.startswith(f"{{{STATE}}}"):
                yield f"{_tag(element)}: expected attributes of namespace {STATE} only, saw {attribute}"


def _structure(root: ET.Element) -> Iterator[str]:
    seen: set[str] = set()
    for settings in root:
        name = settings.get("pass", "")
        if _tag(settings) != "settings" or name not in PASSES:
            yield f"expected settings of one of the passes {', '.join(PASSES)}, saw {_tag(settings)} {name!r}"
            continue
        if name in seen:
            yield f"expected one settings element a pass, saw two of {name}"
        seen.add(name)
        components: set[str] = set()
        for component in settings:
            yield from _component(component, name, components)


def _component(component: ET.Element, name: str, seen: set[str]) -> Iterator[str]:
    kind = component.get("name", "")
    if _tag(component) != "component":
        yield f"{name}: expected component elements, saw {_tag(component)}"
    elif kind in NOT_WANTED:
        yield f"{name}: {kind} turns User Account Control off; leave it as Windows has it"
    elif kind not in COMPONENTS:
        yield f"{name}: expected one of the known components, saw {kind!r}; add it with the passes Microsoft allows"
    elif name not in COMPONENTS[kind]:
        yield f"{kind} is allowed in {', '.join(sorted(COMPONENTS[kind]))}, saw it in {name}"
    if kind in seen:
        yield f"{name}: expected each component once, saw {kind} twice"
    seen.add(kind)
    for attribute, value in ATTRIBUTES.items():
        if component.get(attribute) != value:
            yield f"{name}/{kind}: expected {attribute}={value!r}, saw {component.get(attribute)!r}"


def _required(root: ET.Element) -> Iterator[str]:
    for name, component, path in REQUIRED:
        steps = "/".join(f"{{{UNATTEND}}}{step}" for step in path.split("/"))
        place = f"./{{{UNATTEND}}}settings[@pass='{name}']/{{{UNATTEND}}}component[@name='{component}']/{steps}"
        if not (root.findtext(place) or "").strip():
            yield f"{name}/{component}: expected {path}, saw none"


def _content(element: ET.Element) -> Iterator[str]:
    tag, text = _tag(element), (element.text or "").strip()
    if len(element) == 0 and not text:
        yield f"{tag}: expected a value, saw an empty element"
    if tag in CONTENT and text not in CONTENT[tag]:
        yield f"{tag}: expected one of {', '.join(sorted(CONTENT[tag]))}, saw {text!r}"
    if tag in NUMBERS and not text.isdecimal():
        yield f"{tag}: expected a whole number, saw {text!r}"
    if tag in LONGEST and len(text) > LONGEST[tag]:
        yield f"{tag}: expected at most {LONGEST[tag]} characters, saw {len(text)}"
    if tag in LISTS:
        for entry in element:
            if _tag(entry) != LISTS[tag] or entry.get(f"{{{STATE}}}action") != "add":
                yield f"{tag}: expected entries {LISTS[tag]} with wcm:action='add', saw {_tag(entry)}"
    if tag in ORDERED:
        orders = [entry.findtext(f"{{{UNATTEND}}}Order") for entry in element]
        if orders != [str(number) for number in range(1, len(orders) + 1)]:
            yield f"{tag}: expected Order 1 to {len(orders)} in a row, saw {orders}"


def _partitions(root: ET.Element) -> Iterator[str]:
    """Firmware needs an EFI partition first, and Windows goes to a partition that is made and takes what is left."""
    kinds = [part.findtext(f"{{{UNATTEND}}}Type") for part in root.iter(f"{{{UNATTEND}}}CreatePartition")]
    if kinds and kinds[:2] != ["EFI", "MSR"]:
        yield f"CreatePartitions: expected EFI and MSR first on a disk for UEFI, saw {kinds}"
    target = root.find(f".//{{{UNATTEND}}}InstallTo/{{{UNATTEND}}}PartitionID")
    number = (target.text or "") if target is not None else ""
    if number.isdecimal() and not (1 <= int(number) <= len(kinds) and kinds[int(number) - 1] == "Primary"):
        yield f"InstallTo: expected the number of a primary partition that is made, saw {number}"


def _passwords(root: ET.Element) -> Iterator[str]:
    """Every password has to decode to something that ends in the name of its setting, or Windows takes it wrongly."""
    for tag in ("Password", "AdministratorPassword"):
        for holder in root.iter(f"{{{UNATTEND}}}{tag}"):
            value = holder.findtext(f"{{{UNATTEND}}}Value") or ""
            try:
                text = base64.b64decode(value, validate=True).decode("utf-16-le")
            except (binascii.Error, UnicodeDecodeError):
                text = ""
            if not text.endswith(tag) or text == tag:
                yield f"{tag}: expected the password with {tag!r} behind it as base64 of UTF-16LE, saw something else"


def _secrets(written: bytes, root: ET.Element, secrets: tuple[str, ...]) -> Iterator[str]:
    whole = written.decode("utf-8", "replace")
    for secret in secrets:
        if len(secret) < FEWEST_SECRET:
            yield "a secret is too short to be looked for"
            continue
        if secret in whole or any(secret in (element.text or "") for element in root.iter()):
            yield "a password stands in the file in clear"


def _tag(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]
