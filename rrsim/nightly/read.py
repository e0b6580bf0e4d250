"""The folders of kept nights, read from disk: what cannot be used is named, the rest counts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from rrsim.nightly.history import night_key
from rrsim.nightly.outcomes import Night, Problem, Run
from rrsim.nightly.read_json import read_json
from rrsim.nightly.read_junit import read_junit
from rrsim.nightly.record import RECORD, Record

NIGHT: Final = re.compile(r"\d{4}-\d{2}-\d{2}(-\d+)?")
"""How the folder of a night is named."""
MOST_BYTES: Final = 256 * 2**20
"""A larger file is no report of ours."""


def night_folders(root: Path) -> list[Path]:
    """Return the folders of nights, oldest first. Links, and folders of other names, are none.

    Raises:
        OSError: the folder cannot be read.
    """
    found = [path for path in root.iterdir() if NIGHT.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
    return sorted(found, key=lambda path: night_key(path.name))


def read_night(folder: Path) -> Night:
    """Read one night: every report in its folder, but not what lies in folders below.

    Where a run wrote both JSON and JUnit under one name, the JSON counts; the JUnit only if that cannot be used.
    """
    runs: list[Run] = []
    problems: list[Problem] = []
    told: set[str] = set()
    try:
        names = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        return Night(folder.name, (), None, (Problem(str(folder), 0, f"cannot be read: {error.strerror}"),))
    for path in names:
        if path.suffix == ".json" and path.name != RECORD:
            found, bad = _read(path)
            runs += found
            problems += bad
            if found:
                told.add(path.stem)
    for path in names:
        if path.suffix == ".xml" and path.stem not in told:
            found, bad = _read(path)
            runs += found
            problems += bad
    code, bad = _exit_code(folder / RECORD)
    return Night(folder.name, tuple(runs), code, (*problems, *bad))


def _read(path: Path) -> tuple[tuple[Run, ...], tuple[Problem, ...]]:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            return (), (Problem(str(path), 0, f"expected at most {MOST_BYTES} bytes, saw {size}"),)
        data = path.read_bytes()
    except OSError as error:
        return (), (Problem(str(path), 0, f"cannot be read: {error.strerror}"),)
    return (read_json if path.suffix == ".json" else read_junit)(data, str(path))


def _exit_code(path: Path) -> tuple[int | None, tuple[Problem, ...]]:
    if not path.is_file():
        return None, ()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record).exit_code, ()
    except (OSError, msgspec.MsgspecError) as error:
        return None, (Problem(str(path), 1, f"expected the record of a night, saw: {error}"),)


def read_nights(root: Path, last: int = 0) -> tuple[Night, ...]:
    """Read the kept nights, oldest first.

    Args:
        last: only so many of the newest; 0: all.

    Raises:
        OSError: the folder cannot be read.
    """
    folders = night_folders(root)
    return tuple(read_night(folder) for folder in (folders[-last:] if last else folders))
