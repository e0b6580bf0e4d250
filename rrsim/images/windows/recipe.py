"""Reading what a Windows image is: ``image.toml`` says what the machine has, ``setup.toml`` how Windows is installed.

``setup.toml`` may name variants: images of their own name that differ in some lines (another language, Windows 10 in
place of 11). Nothing of it depends on a host or on a medium.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from rrsim.images.description import Description

IMAGE: Final = "image.toml"
SETUP: Final = "setup.toml"
SERIAL_PORT: Final = "COM1"
"""Where Windows tells the builder how far it is; the modem, if there is one, has the second port."""
_COMPUTER: Final = re.compile(r"[A-Z][A-Z0-9-]{0,14}")
_ACCOUNT: Final = re.compile(r"[a-z][a-z0-9]{0,19}")
_RESERVED: Final = frozenset({"administrator", "guest", "defaultaccount", "system", "wdagutilityaccount"})


class RecipeWrong(ValueError):
    """A recipe cannot be read, or does not make sense; the message names file and field."""


class Setup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How Windows Setup is answered, and what Windows is told once it runs."""

    product: str
    """What Windows calls itself, for people."""
    family: Literal["client", "server"]
    editions: tuple[str, ...]
    """EditionID values of the medium's own list that this recipe is for."""
    index: int
    """Which image of the medium is installed, counted from 1."""
    builds: tuple[int, int]
    """First and last build number that is this Windows."""
    computer_name: str
    input_locale: str
    """Language and keyboard layout, as ``0407:00000407``."""
    drivers: str
    """Folder of this Windows on the virtio-win medium."""
    time_zone: str = "UTC"
    """Windows' own name of the zone."""
    virtio_disk: bool = False
    """Install to a virtio disk, with the driver from the virtio-win medium; else SATA, which needs none."""
    requirements_check: bool = True
    """Let Setup look for TPM, Secure Boot and memory."""
    fast_startup: bool = False
    connectivity_probe: bool = True
    """Let Windows ask Microsoft's servers whether there is an internet."""
    autostart_delay_s: int = 5
    """Seconds until services with delayed start are started; Windows' own value is 120."""
    product_key: str = ""
    """``env:NAME`` or ``file:PATH``; never the key itself."""
    safe_mode_services: tuple[str, ...] = (
        "WinRM", "sshd", "QEMU-GA", "mpssvc", "VirtioSerial", "netkvm",
    )
    """Services and drivers that are listed for safe mode with networking; what they depend on is added."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One Windows image as its files describe it."""

    description: Description
    setup: Setup
    folder: Path
    """The folder both files are in."""


def names(root: Path) -> dict[str, Path]:
    """Return every Windows image below ``root`` (``vm_images``), variants included, with the folder it is in.

    Raises:
        RecipeWrong: two images have one name, or a file cannot be read.
    """
    found: dict[str, Path] = {}
    for path in sorted(root.glob(f"*/{SETUP}")):
        for name in (path.parent.name, *_variants(_toml(path), path)):
            if name in found:
                raise RecipeWrong(f"{path}: expected a name of its own for each image, saw {name} in {found[name]} too")
            found[name] = path.parent
    return found


def read(root: Path, name: str) -> Recipe:
    """Return the recipe of the Windows image ``name`` below ``root``.

    Raises:
        RecipeWrong: there is none of this name, or it is wrong.
    """
    known = names(root)
    if name not in known:
        raise RecipeWrong(
            f"expected a Windows image below {root}, saw no {name}; there are: {', '.join(known) or 'none'}"
        )
    folder = known[name]
    image, setup = _toml(folder / IMAGE), _toml(folder / SETUP)
    changes = _variants(setup, folder / SETUP).get(name, {})
    setup.pop("variants", None)
    unknown = set(changes) - {"description", "setup"}
    if unknown:
        raise RecipeWrong(f"{folder / SETUP}: variant {name}: expected description and setup, saw {sorted(unknown)}")
    image = _merged(image, {**changes.get("description", {}), "name": name})
    setup = _merged(setup, changes.get("setup", {}))
    try:
        recipe = Recipe(
            description=msgspec.convert(image, Description), setup=msgspec.convert(setup, Setup), folder=folder
        )
    except msgspec.ValidationError as error:
        raise RecipeWrong(f"{folder}: image {name}: {error}; see docs/windows-images.md for the fields") from error
    _check(recipe)
    return recipe


def digest(recipe: Recipe, parts: Mapping[str, str]) -> str:
    """Return a sha256 over the recipe and named parts (input files, scripts), each by its own checksum."""
    whole = {
        "description": msgspec.to_builtins(recipe.description),
        "setup": msgspec.to_builtins(recipe.setup),
        "parts": dict(parts),
    }
    return hashlib.sha256(msgspec.json.encode(whole, order="sorted")).hexdigest()


def _check(recipe: Recipe) -> None:
    """Check what the types cannot say."""
    said, setup = recipe.description, recipe.setup
    place = f"{recipe.folder}: image {said.name}"
    if said.windows != "windows" or said.hardware.firmware != "uefi":
        raise RecipeWrong(f"{place}: expected windows = 'windows' and firmware = 'uefi'; the disk is laid out for UEFI")
    if not _COMPUTER.fullmatch(setup.computer_name):
        raise RecipeWrong(
            f"{place}: expected a computer name of at most 15 capital letters, digits and hyphens, saw "
            f"{setup.computer_name!r}"
        )
    accounts = [account.name for account in said.accounts]
    for account in accounts:
        if not _ACCOUNT.fullmatch(account) or account in _RESERVED or account == setup.computer_name.lower():
            raise RecipeWrong(
                f"{place}: expected account names of at most 20 small letters and digits that Windows does not use "
                f"itself, saw {account!r}"
            )
    if [a.administrator for a in said.accounts].count(True) != 1 or len(set(accounts)) != len(accounts):
        raise RecipeWrong(f"{place}: expected exactly one administrator among different accounts, saw {accounts}")
    if all(account.administrator for account in said.accounts):
        raise RecipeWrong(f"{place}: expected a standard user too: the customer is none of the administrators")
    if said.licence.kind == "evaluation" and not said.licence.days:
        raise RecipeWrong(f"{place}: expected the days of the evaluation licence, saw none")
    needs_key = said.licence.kind == "own"
    if needs_key != bool(setup.product_key):
        raise RecipeWrong(
            f"{place}: expected product_key = 'env:NAME' or 'file:PATH' for a licence of one's own, and only then"
        )
    if not said.hardware.tpm and setup.requirements_check and setup.builds[0] >= 22000 and setup.family == "client":
        raise RecipeWrong(f"{place}: expected requirements_check = false for Windows 11 on a machine without TPM")


def _variants(table: Mapping[str, Any], path: Path) -> dict[str, dict[str, Any]]:
    found = table.get("variants", {})
    if not isinstance(found, dict) or not all(isinstance(changes, dict) for changes in found.values()):
        raise RecipeWrong(f"{path}: expected [variants.NAME.description] and [variants.NAME.setup] tables")
    return found


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeWrong(f"expected a recipe in {path}, saw: {error.strerror}; is this a whole checkout?") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeWrong(f"{path}: {error}") from error


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with changes laid over it, table by table; ``false`` in place of a number takes it away."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        elif value is False and isinstance(merged.get(key), int) and not isinstance(merged.get(key), bool):
            merged.pop(key)
        else:
            merged[key] = value
    return merged
