"""The PROVISION medium: answer file, set-up scripts and what they install, as one ISO file. No mounting, no root.

The same files give the same bytes. Since the answer file holds passwords, the medium is written so that nobody else can
read it, and removed when the image is built.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim.backends.live.dialup import phonebook as dialling
from rrsim.images.windows import answer_file, tools
from rrsim.images.windows.recipe import Recipe

VOLUME: Final = "PROVISION"
SCRIPTS: Final = Path(__file__).parent / "provision"
OPENSSH: Final = "openssh.zip"
PHONEBOOK: Final = "rasphone.pbk"
SETTINGS: Final = "settings.json"
MADE_AT_S: Final = 1_577_836_800
"""Every file on the medium is of this moment (2020-01-01): dates would make each medium another one."""
LIMIT_S: Final = 120.0


class MediumFailed(RuntimeError):
    """The medium could not be written; the message has the program's own words."""


def scripts() -> tuple[Path, ...]:
    """Return the set-up scripts, in the order of their names."""
    return tuple(sorted(SCRIPTS.glob("*.ps1")))


def settings(recipe: Recipe, openssh_sha256: str) -> bytes:
    """Return what the set-up scripts have to know, as JSON. There is nothing secret in it."""
    setup, accounts = recipe.setup, recipe.description.accounts
    said: dict[str, Any] = {
        "administrator": next(account.name for account in accounts if account.administrator),
        "users": [account.name for account in accounts if not account.administrator],
        "time_zone": setup.time_zone,
        "fast_startup": setup.fast_startup,
        "connectivity_probe": setup.connectivity_probe,
        "autostart_delay_s": setup.autostart_delay_s,
        "safe_mode_services": setup.safe_mode_services,
        "openssh_sha256": openssh_sha256,
    }
    return msgspec.json.format(msgspec.json.encode(said)) + b"\n"


def phonebook(given: Path | None, *, modem: bool) -> bytes | None:
    """Return the dial-up entries that Windows gets for all its users, as a file of its own kind.

    They are the reader's own, else one entry that dials with the modem; without a modem there are none.

    Raises:
        MediumFailed: the reader's file cannot be read.
    """
    if given is None:
        return dialling.entry().encode("ascii") if modem else None
    try:
        return given.read_bytes()
    except OSError as error:
        raise MediumFailed(f"expected to read dial-up entries from {given}, saw: {error}; where is it?") from error


def write(
    target: Path, answers: bytes, said: bytes, openssh: Path, book: bytes | None, scratch: Path
) -> None:
    """Write the medium to ``target``; ``scratch`` is a folder that is made for it and removed.

    ``book``: what :func:`phonebook` returned.

    Raises:
        MediumFailed: there is no space, or a file cannot be read.
        ToolFailed: xorriso is missing or failed.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700, parents=True)
    beside = target.with_name(f".{target.name}.new")
    try:
        (scratch / answer_file.FILE).write_bytes(answers)
        (scratch / SETTINGS).write_bytes(said)
        for script in scripts():
            (scratch / script.name).write_bytes(_with_windows_lines(script.read_bytes()))
        shutil.copyfile(openssh, scratch / OPENSSH)
        if book is not None:
            (scratch / PHONEBOOK).write_bytes(book)
        for path in (*scratch.iterdir(), scratch):
            os.utime(path, (MADE_AT_S, MADE_AT_S))
        beside.unlink(missing_ok=True)
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _run_xorriso(beside, scratch)
        beside.replace(target)
    except OSError as error:
        raise MediumFailed(f"expected to write {target}, saw: {error}; is there space left?") from error
    finally:
        beside.unlink(missing_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)


def _run_xorriso(target: Path, folder: Path) -> None:
    arguments = [
        "-no_rc", "-as", "mkisofs", "-quiet", "-V", VOLUME, "-J", "-joliet-long", "-R", "-uid", "0", "-gid", "0", "-o",
        str(target), str(folder),
    ]  # fmt: skip
    environment = {"SOURCE_DATE_EPOCH": str(MADE_AT_S), "TZ": "UTC", "LC_ALL": "C"}
    tools.run("xorriso", arguments, LIMIT_S, environment)


def _with_windows_lines(script: bytes) -> bytes:
    return script.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
