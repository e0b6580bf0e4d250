"""The answers for Windows Setup (``autounattend.xml``), written from an image's recipe.

User Account Control stays as Windows has it, and groups are named as Setup understands them in every language. Setup
deletes nothing of this file by itself: the set-up scripts remove Windows' copies, the builder removes its own.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from rrsim.images.description import Account
from rrsim.images.windows import marks
from rrsim.images.windows.accounts import BUILT_IN
from rrsim.images.windows.recipe import Recipe

UNATTEND: Final = "urn:schemas-microsoft-com:unattend"
STATE: Final = "http://schemas.microsoft.com/WMIConfig/2002/State"
FILE: Final = "autounattend.xml"
START_SCRIPT: Final = "rrsim-provision.ps1"
DRIVER_LETTERS: Final = "DEFGHI"
"""Drive letters that the virtio-win medium may have while Setup runs."""
EFI_MIB: Final = 100
RESERVED_MIB: Final = 16
WINDOWS_PARTITION: Final = 3
LAB_CHECKS: Final = ("BypassTPMCheck", "BypassSecureBootCheck", "BypassRAMCheck")
GROUPS: Final = {True: "Administrators", False: "Users"}
"""By administrator or not. Setup takes these words as identifiers and finds the group in any language."""

ET.register_namespace("", UNATTEND)
ET.register_namespace("wcm", STATE)


def encoded(password: str, setting: str) -> str:
    """Return a password as answer files hold it: base64 of UTF-16LE, with the name of the setting behind it.

    This hides it from a glance and from nobody else: the file itself must be kept from others.
    """
    return base64.b64encode((password + setting).encode("utf-16-le")).decode("ascii")


def build(recipe: Recipe, passwords: Mapping[str, str], product_key: str = "") -> bytes:
    """Return the answer file of an image; ``passwords`` holds one for each name of ``accounts.names``.

    Raises:
        KeyError: an account has no password.
    """
    root = ET.Element(_name("unattend"))
    _windows_pe(_settings(root, "windowsPE"), recipe, product_key)
    _specialize(_settings(root, "specialize"), recipe)
    _oobe(_settings(root, "oobeSystem"), recipe, passwords)
    ET.indent(root, "  ")
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def first_logon_command() -> str:
    """Return the command that looks for the set-up script on every drive, and runs the first one found."""
    look = (
        "foreach ($drive in [IO.DriveInfo]::GetDrives()) { "
        f"$script = $drive.Name + '{START_SCRIPT}'; "
        "if ($drive.IsReady -and [IO.File]::Exists($script)) { & $script; exit $LASTEXITCODE } }; "
        f"cmd /c 'echo {marks.SIGN} failed first-logon the PROVISION volume is on no drive>COM1'"
    )
    return f'powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -Command "{look}"'


# --- passes -----------------------------------------------------------------------------------------------------------


def _windows_pe(settings: ET.Element, recipe: Recipe, product_key: str) -> None:
    said, setup = recipe.description, recipe.setup
    language = _component(settings, "Microsoft-Windows-International-Core-WinPE")
    _values(ET.SubElement(language, _name("SetupUILanguage")), {"UILanguage": said.locale})
    _values(language, _languages(recipe))
    if setup.virtio_disk:
        paths = ET.SubElement(_component(settings, "Microsoft-Windows-PnpCustomizationsWinPE"), _name("DriverPaths"))
        folders = [
            rf"{letter}:\{driver}\{setup.drivers}\amd64"
            for letter in DRIVER_LETTERS
            for driver in ("viostor", "vioscsi")
        ]
        for number, folder in enumerate(folders, 1):
            one = _added(paths, "PathAndCredentials")
            one.set(f"{{{STATE}}}keyValue", str(number))
            _values(one, {"Path": folder})
    install = _component(settings, "Microsoft-Windows-Setup")
    commands = [marks.command("phase", "windowspe")]
    if not setup.requirements_check:
        commands += [rf"reg add HKLM\SYSTEM\Setup\LabConfig /v {check} /t REG_DWORD /d 1 /f" for check in LAB_CHECKS]
    _disk(install)
    image = ET.SubElement(ET.SubElement(install, _name("ImageInstall")), _name("OSImage"))
    metadata = _added(ET.SubElement(image, _name("InstallFrom")), "MetaData")
    _values(metadata, {"Key": "/IMAGE/INDEX", "Value": str(setup.index)})
    _values(
        ET.SubElement(image, _name("InstallTo")), {"DiskID": "0", "PartitionID": str(WINDOWS_PARTITION)}
    )
    user = ET.SubElement(install, _name("UserData"))
    key = ET.SubElement(user, _name("ProductKey"))
    _values(key, ({"Key": product_key} if product_key else {}) | {"WillShowUI": "OnError"})
    _values(user, {"AcceptEula": "true", "FullName": "rrsim", "Organization": "rrsim"})
    _run_synchronous(install, commands)


def _disk(install: ET.Element) -> None:
    """Lay out the disk for UEFI: firmware partition, Microsoft's reserved one, and Windows on all that is left."""
    disk = _added(ET.SubElement(install, _name("DiskConfiguration")), "Disk")
    _values(disk, {"DiskID": "0", "WillWipeDisk": "true"})
    make = ET.SubElement(disk, _name("CreatePartitions"))
    sizes = ({"Type": "EFI", "Size": str(EFI_MIB)}, {"Type": "MSR", "Size": str(RESERVED_MIB)})
    for order, kind in enumerate((*sizes, {"Type": "Primary", "Extend": "true"}), 1):
        _values(_added(make, "CreatePartition"), {"Order": str(order)} | kind)
    change = ET.SubElement(disk, _name("ModifyPartitions"))
    formats: tuple[dict[str, str], ...] = (
        {"Format": "FAT32", "Label": "System"}, {}, {"Format": "NTFS", "Label": "Windows", "Letter": "C"},
    )  # fmt: skip
    for order, kind in enumerate(formats, 1):
        _values(_added(change, "ModifyPartition"), {"Order": str(order), "PartitionID": str(order)} | kind)


def _specialize(settings: ET.Element, recipe: Recipe) -> None:
    setup = recipe.setup
    shell = _component(settings, "Microsoft-Windows-Shell-Setup")
    _values(shell, {"ComputerName": setup.computer_name, "TimeZone": setup.time_zone})
    encryption = _component(settings, "Microsoft-Windows-SecureStartup-FilterDriver")
    _values(encryption, {"PreventDeviceEncryption": "true"})
    oobe = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\OOBE"
    _run_synchronous(
        _component(settings, "Microsoft-Windows-Deployment"),
        [marks.command("phase", "specialize"), rf"reg add {oobe} /v BypassNRO /t REG_DWORD /d 1 /f"],
    )


def _oobe(settings: ET.Element, recipe: Recipe, passwords: Mapping[str, str]) -> None:
    said = recipe.description
    _values(_component(settings, "Microsoft-Windows-International-Core"), _languages(recipe))
    shell = _component(settings, "Microsoft-Windows-Shell-Setup")
    hide = ("EULAPage", "LocalAccountScreen", "OEMRegistrationScreen", "OnlineAccountScreens", "WirelessSetupInOOBE")
    _values(
        ET.SubElement(shell, _name("OOBE")), {f"Hide{page}": "true" for page in hide} | {"ProtectYourPC": "3"}
    )
    _values(shell, {"TimeZone": recipe.setup.time_zone})
    users = ET.SubElement(shell, _name("UserAccounts"))
    if recipe.setup.family == "server":
        # A server asks for the built-in administrator's password before anybody can sign in.
        holder = ET.SubElement(users, _name("AdministratorPassword"))
        _values(holder, {
            "Value": encoded(passwords[BUILT_IN], "AdministratorPassword"), "PlainText": "false",
        })  # fmt: skip
    accounts = ET.SubElement(users, _name("LocalAccounts"))
    for account in said.accounts:
        _account(accounts, account, passwords[account.name])
    administrator = next(account for account in said.accounts if account.administrator)
    logon = ET.SubElement(shell, _name("AutoLogon"))
    _password(logon, passwords[administrator.name])
    _values(logon, {"Enabled": "true", "LogonCount": "1", "Username": administrator.name})
    first = ET.SubElement(shell, _name("FirstLogonCommands"))
    for order, line in enumerate((marks.command("phase", "first-logon"), first_logon_command()), 1):
        _values(_added(first, "SynchronousCommand"), {"Order": str(order), "CommandLine": line})


def _account(accounts: ET.Element, account: Account, password: str) -> None:
    one = _added(accounts, "LocalAccount")
    _password(one, password)
    _values(one, {"DisplayName": account.name, "Group": GROUPS[account.administrator], "Name": account.name})


# --- elements ---------------------------------------------------------------------------------------------------------


def _name(tag: str) -> str:
    return f"{{{UNATTEND}}}{tag}"


def _settings(root: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(root, _name("settings"), {"pass": name})


def _component(settings: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(settings, _name("component"), {
        "name": name, "processorArchitecture": "amd64", "publicKeyToken": "31bf3856ad364e35", "language": "neutral",
        "versionScope": "nonSxS",
    })  # fmt: skip


def _added(parent: ET.Element, tag: str) -> ET.Element:
    """Append an entry of a list: Setup tells entries from settings by this attribute."""
    return ET.SubElement(parent, _name(tag), {f"{{{STATE}}}action": "add"})


def _values(parent: ET.Element, values: Mapping[str, str]) -> None:
    for tag, text in values.items():
        ET.SubElement(parent, _name(tag)).text = text


def _languages(recipe: Recipe) -> dict[str, str]:
    locale = recipe.description.locale
    return {
        "InputLocale": recipe.setup.input_locale, "SystemLocale": locale, "UILanguage": locale, "UserLocale": locale,
    }


def _password(parent: ET.Element, password: str) -> None:
    holder = ET.SubElement(parent, _name("Password"))
    _values(holder, {"Value": encoded(password, "Password"), "PlainText": "false"})


def _run_synchronous(parent: ET.Element, commands: Sequence[str]) -> None:
    several = ET.SubElement(parent, _name("RunSynchronous"))
    for order, line in enumerate(commands, 1):
        _values(_added(several, "RunSynchronousCommand"), {"Order": str(order), "Path": line})
