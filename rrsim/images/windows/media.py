"""The files a Windows image is made from: each is looked at before anything starts, by what it is and by its checksum.

The Windows medium is read, not believed by its name: its list of editions says which Windows, which language and
whether it is an evaluation. Checksums of media that were published are known by name; others are noted, with the advice
to compare them with the publisher's page.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Final

import msgspec

from rrsim.images.windows import iso9660, udf, wim
from rrsim.images.windows.recipe import Recipe

INSTALL_FILES: Final = ("sources/install.wim", "sources/install.esd")
GUEST_TOOLS: Final = "virtio-win-guest-tools.exe"
SSH_FILES: Final = ("sshd.exe", "install-sshd.ps1")
MOST_PHONEBOOK_BYTES: Final = 64 * 1024
KNOWN: Final = {
    "67cec5865eaa037a72ddc633a717a10a2bed50778862267223ddb9c60ef5da68":
        "Windows 11 Enterprise LTSC Evaluation 26100.1742, English",
    "3e4fa6d8507b554856fc9ca6079cc402df11a8b79344871669f0251535255325":
        "Windows Server 2022 Evaluation 20348.587, English",
    "7b052573ba7894c9924e3e87ba732ccd354d18cb75a883efa9b900ea125bfd51":
        "Windows Server 2025 Evaluation 26100.32230, English",
    "ec8144a107014740ec3ce16ec51710398fc390fca5344931c1506e7cc2e181f3": "Win32-OpenSSH 9.2.2.0p1-Beta, 64 bit",
}  # fmt: skip
"""sha256 of published files, as the projects that use them list it."""


class InputWrong(ValueError):
    """An input file is missing, of another kind, or not the one it should be; the message says what to try."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What the person building an image gives."""

    windows: Path
    """Installation medium of Windows, an ISO file."""
    virtio: Path
    """The virtio-win medium, an ISO file."""
    openssh: Path
    """Win32-OpenSSH for 64 bit, a zip file."""
    phonebook: Path | None = None
    """Dial-up entries for Windows, as ``rasphone.pbk``."""
    sha256: dict[str, str] = {}
    """Checksums that must hold, by ``windows``, ``virtio``, ``openssh``, ``phonebook``."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about the input files."""

    sha256: dict[str, str]
    """By the same words as :attr:`Inputs.sha256`."""
    edition: wim.Edition
    """What the recipe installs from the medium."""
    label: str
    """The medium's volume label. It names language and kind, but proves nothing."""
    notes: tuple[str, ...] = ()
    """What the person should know: which checksums were compared with nothing."""


def check(inputs: Inputs, recipe: Recipe) -> Checked:
    """Look at every input file.

    Raises:
        InputWrong: the first one that is not what it should be.
    """
    edition, label = windows_medium(inputs.windows, recipe)
    _virtio(inputs.virtio)
    _openssh(inputs.openssh)
    files = {"windows": inputs.windows, "virtio": inputs.virtio, "openssh": inputs.openssh}
    if inputs.phonebook is not None:
        _phonebook(inputs.phonebook)
        files["phonebook"] = inputs.phonebook
    unknown = set(inputs.sha256) - set(files)
    if unknown:
        raise InputWrong(f"expected checksums for {', '.join(files)}, saw some for {', '.join(sorted(unknown))}")
    sums: dict[str, str] = {}
    notes: list[str] = []
    for kind, path in files.items():
        seen = sums[kind] = checksum(path)
        expected = inputs.sha256.get(kind, "").lower()
        if expected and seen != expected:
            raise InputWrong(f"{path}: expected sha256 {expected}, saw {seen}; fetch the file again")
        if seen in KNOWN:
            notes.append(f"{path.name} is {KNOWN[seen]}")
        elif not expected and kind != "phonebook":
            notes.append(f"{path.name}: sha256 {seen} was compared with nothing; compare it with the publisher's page")
    return Checked(sha256=sums, edition=edition, label=label, notes=tuple(notes))


def checksum(path: Path) -> str:
    """Return the sha256 of a file.

    Raises:
        InputWrong: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputWrong(f"expected a file to read at {path}, saw: {error.strerror}") from error


def windows_medium(path: Path, recipe: Recipe) -> tuple[wim.Edition, str]:
    """Return the edition that the recipe installs from this medium, and the medium's label.

    Raises:
        InputWrong: it is no Windows medium, or not the one that the recipe is for.
    """
    label = _iso_label(path, "the installation medium of Windows")
    if not udf.is_udf(path):
        raise InputWrong(
            f"{path}: expected a medium of Windows, which is a UDF volume, saw plain ISO 9660 labelled {label!r}; did "
            " virtio-win's medium or another system's get into its place?"
        )
    offered = _editions(path)
    setup, said = recipe.setup, recipe.description
    listed = "; ".join(str(one) for one in offered) or "none"
    chosen = next((one for one in offered if one.index == setup.index), None)
    wants = f"edition {' or '.join(setup.editions)} as number {setup.index}, build {setup.builds[0]}-{setup.builds[1]}"
    if chosen is None or chosen.edition not in setup.editions or not (
        setup.builds[0] <= chosen.build <= setup.builds[1]
    ):
        raise InputWrong(
            f"{path}: expected {wants}, for {said.name} ({setup.product}), saw {listed}; take the image that fits the "
            f"medium, or set index, editions and builds in {recipe.folder / 'setup.toml'}"
        )
    if chosen.architecture != wim.AMD64:
        raise InputWrong(f"{path}: expected Windows for x64, saw architecture {chosen.architecture}")
    if said.locale not in chosen.languages:
        raise InputWrong(
            f"{path}: expected a medium in {said.locale}, for {said.name}, saw {', '.join(chosen.languages)}; take a "
            "medium in that language, or the image of the medium's language"
        )
    if chosen.evaluation != (said.licence.kind == "evaluation"):
        raise InputWrong(
            f"{path}: expected licence = {said.licence.kind!r} to fit the medium, saw edition {chosen.edition}, which "
            f"is {'an' if chosen.evaluation else 'no'} evaluation; take the image or the medium of the other kind"
        )
    return chosen, label


def _editions(path: Path) -> tuple[wim.Edition, ...]:
    try:
        with path.open("rb") as source:
            volume = udf.Volume(source)
            try:
                found = volume.open(INSTALL_FILES[0])
            except udf.UdfWrong:
                found = volume.open(INSTALL_FILES[1])
            return wim.editions(found.read)
    except (udf.UdfWrong, wim.WimWrong) as error:
        raise InputWrong(
            f"{path}: expected Windows' own list of editions in {' or '.join(INSTALL_FILES)}: {error}; fetch the "
            "medium again and compare its checksum"
        ) from error


def _iso_label(path: Path, what: str) -> str:
    """Return the volume label of an ISO 9660 file; media that are UDF have this too."""
    try:
        return iso9660.label(path)
    except OSError as error:
        raise InputWrong(f"expected {what} at {path}, saw: {error.strerror}; give its place") from error
    except iso9660.IsoWrong as error:
        raise InputWrong(f"{path}: expected {what}: {error}") from error


def _virtio(path: Path) -> None:
    label = _iso_label(path, "the virtio-win medium")
    try:
        names = iso9660.root_names(path)
    except (iso9660.IsoWrong, OSError) as error:
        raise InputWrong(f"{path}: expected a list of the files on the virtio-win medium: {error}") from error
    if GUEST_TOOLS not in names:
        raise InputWrong(
            f"{path}: expected {GUEST_TOOLS} at the root of the virtio-win medium, saw a medium labelled {label!r} "
            "without it; take a current virtio-win ISO"
        )


def _openssh(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as packed:
            names = {Path(name).name.lower() for name in packed.namelist()}
    except OSError as error:
        raise InputWrong(f"expected OpenSSH for Windows at {path}, saw: {error.strerror}; give its place") from error
    except zipfile.BadZipFile as error:
        raise InputWrong(f"{path}: expected OpenSSH-Win64.zip, saw no zip file; fetch it again") from error
    missing = [name for name in SSH_FILES if name not in names]
    if missing:
        raise InputWrong(
            f"{path}: expected OpenSSH-Win64.zip with {' and '.join(SSH_FILES)}, saw a zip without "
            f"{' and '.join(missing)}; take it from the releases of PowerShell/Win32-OpenSSH"
        )


def _phonebook(path: Path) -> None:
    try:
        size = path.stat().st_size
        text = path.read_bytes()[:MOST_PHONEBOOK_BYTES].decode("utf-8", "replace")
    except OSError as error:
        raise InputWrong(f"expected dial-up entries at {path}, saw: {error.strerror}; give its place") from error
    if size > MOST_PHONEBOOK_BYTES or not text.lstrip("\ufeff \r\n").startswith("["):
        raise InputWrong(f"{path}: expected a phonebook of Windows, which begins with [NAME], saw another kind of file")
