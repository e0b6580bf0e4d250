"""Fetching the pinned wheels for Windows with pip, and unpacking what is needed of them."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path, PurePosixPath
from typing import Final
from zipfile import ZipFile

from rrsim.agent.freezing.errors import BuildError, Progress
from rrsim.agent.freezing.pins import Pin
from rrsim.agent.freezing.places import file_sha256, scratch_dir
from rrsim.agent.freezing.steps import run_step

DOWNLOAD_S: Final = 600.0
"""Time for fetching all wheels, in seconds: 77 MB over a slow line."""

_FOR_WINDOWS: Final = (
    "--no-deps", "--only-binary=:all:", "--platform", "win_amd64", "--python-version", "3.11",
    "--implementation", "cp", "--require-hashes", "--disable-pip-version-check", "--no-input",
)
_DATA: Final = re.compile(r"[^/]+\.data/(purelib|platlib|[^/]+)/(.+)")


def fetch_wheels(pins: tuple[Pin, ...], cache: Path, log: Path, progress: Progress) -> dict[str, Path]:
    """Return where each pinned wheel is, by package name; those not in the cache yet are downloaded and checked.

    Raises:
        BuildError: pip could not fetch one, or a file does not have the hash that the lock file names.
    """
    folder = cache / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [pin for pin in pins if not _is_good(folder / pin.file_name, pin)]
    if missing:
        progress(f"fetching {len(missing)} wheels for Windows: {', '.join(pin.name for pin in missing)}")
        with scratch_dir(cache, "wheels") as scratch:
            (scratch / "wanted.txt").write_text("".join(f"{pin.requirement}\n" for pin in missing), encoding="utf-8")
            run_step("pip download", [sys.executable, "-m", "pip", "download", *_FOR_WINDOWS,
                                      "-r", str(scratch / "wanted.txt"), "-d", str(scratch)],
                     log=log, within_s=DOWNLOAD_S)
            for pin in missing:
                if not _is_good(scratch / pin.file_name, pin):
                    raise BuildError(f"{pin.file_name} with the sha256 in the lock file", "another file or none",
                                     f"comparing the lock file with what pip fetched; its output is in {log}")
                (scratch / pin.file_name).replace(folder / pin.file_name)
    return {pin.name: folder / pin.file_name for pin in pins}


def _is_good(path: Path, pin: Pin) -> bool:
    return path.is_file() and file_sha256(path) == pin.sha256


def take_members(wheel: Path, members: dict[str, str], into: Path) -> None:
    """Unpack single members of a wheel: name in the wheel to name under ``into``.

    Raises:
        BuildError: the wheel lacks one of them.
    """
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for member, name in members.items():
            if member not in names:
                raise BuildError(f"{member} in {wheel.name}", "no such member", "the version in the lock file")
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)


def member_names(wheel: Path, folder: str) -> list[str]:
    """Return the names of a wheel's members under one of its folders."""
    with ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if name.startswith(f"{folder}/") and not name.endswith("/"))


def install_wheel(wheel: Path, site_packages: Path) -> None:
    """Install a wheel for a computer that is not this one: unpack its libraries. Its scripts are left out.

    Raises:
        BuildError: a member would land outside of ``site_packages``.
    """
    with ZipFile(wheel) as archive:
        for member in archive.namelist():
            data = _DATA.fullmatch(member)
            if member.endswith("/") or (data is not None and data[1] not in {"purelib", "platlib"}):
                continue
            name = PurePosixPath(data[2] if data is not None else member)
            if name.is_absolute() or ".." in name.parts:
                raise BuildError(f"names inside {wheel.name} that stay inside", member, "another version of it")
            target = site_packages / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
