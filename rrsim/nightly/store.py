"""The folder of the nights on disk: making one for tonight, weighing the old ones, taking some away."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rrsim.nightly.keep import Held, Removal
from rrsim.nightly.read import night_folders
from rrsim.nightly.record import RECORD

BUNDLES: Final = "failures"
EXPLAINING: Final = frozenset({".html", ".log"})
LATEST: Final = "latest"
MOST_A_DAY: Final = 99


def new_night(root: Path, date: str) -> Path:
    """Make the folder of a night, and let ``latest`` lead to it.

    Args:
        date: such as 2031-01-31; a second night of a date gets a number.

    Raises:
        OSError: it cannot be made, or the date has had :data:`MOST_A_DAY` nights.
    """
    root.mkdir(parents=True, exist_ok=True)
    for number in range(1, MOST_A_DAY + 1):
        folder = root / (date if number == 1 else f"{date}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            _point(root / LATEST, folder.name)
            return folder
    raise FileExistsError(f"{root}: {MOST_A_DAY} nights of {date} are there already")


def _point(link: Path, to: str) -> None:
    new = link.with_name(f"{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(to)
    new.replace(link)


def held(root: Path) -> list[Held]:
    """Weigh the kept nights, oldest first. A folder without the record of a night is not ours to take away."""
    return [_weighed(folder) for folder in night_folders(root) if (folder / RECORD).is_file()]


def _weighed(folder: Path) -> Held:
    results = bundles = 0
    for top, _, names in os.walk(folder):
        below = Path(top).relative_to(folder).parts
        for name in names:
            path = Path(top, name)
            with contextlib.suppress(OSError):
                size = path.lstat().st_size
                if below[:1] == (BUNDLES,) or (not below and path.suffix in EXPLAINING):
                    bundles += size
                else:
                    results += size
    return Held(folder.name, results, bundles)


def remove(root: Path, what: Iterable[Removal]) -> None:
    """Take nights, or their bundles, away. What cannot be removed stays, and is weighed again the next night."""
    for one in what:
        folder = root / one.name
        if one.what == "night":
            shutil.rmtree(folder, ignore_errors=True)
            continue
        shutil.rmtree(folder / BUNDLES, ignore_errors=True)
        for path in folder.iterdir():
            if path.suffix in EXPLAINING:
                path.unlink(missing_ok=True)
