"""The second product's package as pip leaves it when it is installed: entry points in a ``.dist-info`` on the path.

Nothing is put into the environment that the tests run in.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import pytest

PRODUCT: Final = Path(__file__).parent
KEY: Final = "5ca1ab1e0ddba11feedf00dcafed00d5ca1ab1e0ddba11feedf00dcafed00d12"
"""An enrolment key that is easy to tell apart from everything else."""


def distribution(folder: Path) -> list[str]:
    """Write the metadata into a folder; return the places that have to be on the path."""
    package = tomllib.loads((PRODUCT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{package['name'].replace('-', '_')}-{package['version']}.dist-info"
    info.mkdir(parents=True)
    head = f"Metadata-Version: 2.1\nName: {package['name']}\nVersion: {package['version']}\n"
    (info / "METADATA").write_text(head, encoding="utf-8")
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in package["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")
    return [str(folder), str(PRODUCT)]


def plug_in(folder: Path, patch: pytest.MonkeyPatch) -> str:
    """Install the adapters for one test, and give them a key by reference; return the key."""
    for place in reversed(distribution(folder)):
        patch.syspath_prepend(place)
    patch.setenv("TIDEWAY_KEY", KEY)
    patch.delenv("TIDEWAY_KEY_REFERENCE", raising=False)
    return KEY
