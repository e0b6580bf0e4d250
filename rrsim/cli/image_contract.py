"""``rrsim image verify`` for images that have rrsim's guest daemon: the machine contract, on machines of that image."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rrsim.cli.errors import environment_error, say

if TYPE_CHECKING:
    from rrsim.images.store import Stored
    from rrsim.images.windows.verify import Report

ROOT: Final = Path(__file__).resolve().parents[2]
SUITE: Final = Path("tests/live/test_contract_vm.py")
"""In the source; it is no part of an installed rrsim."""
ENV_IMAGE: Final = "RRSIM_CONTRACT_IMAGE"
ENV_ACCELERATOR: Final = "RRSIM_CONTRACT_ACCELERATOR"
"""What the suite makes its machines of."""
LIMIT_S: Final = 3 * 3600.0
"""Half an hour where the processor is emulated and the computer is quiet."""


def verify(stored: Stored, uri: str, accelerator: str) -> tuple[Report, Path]:
    """Run the machine contract on machines of an image; return the report and the file that it was kept in.

    Raises:
        CommandError: the suite or pytest is not there, or the suite came to no result.
    """
    from rrsim import live_clock
    from rrsim.images.windows import contract
    from rrsim.images.windows import verify as asking

    _require_suite()
    name = stored.built.description.name
    say(f"the machine contract on the image {name}: about half an hour where the processor is emulated")
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "contract.xml"
        command = [
            sys.executable, "-m", "pytest", str(SUITE), "-v", "-m", "libvirt", "-p", "no:cacheprovider",
            "--junitxml", str(junit),
        ]
        suite = contract.suite(command, junit, LIMIT_S, environment=_environment(name, uri, accelerator), folder=ROOT,
                               say=say)
        try:
            rows = asyncio.run(suite())
        except RuntimeError as error:
            raise environment_error(
                f"results of the machine contract on the image {name}", str(error), "rrsim doctor --for vm"
            ) from error
    report = asking.Report(
        image=name, digest=stored.built.digest, made=live_clock.wall_time().isoformat(timespec="seconds"),
        windows=f"Wine {stored.built.versions.get('wine64', 'version unknown')}", findings=(), contract=rows,
    )
    return report, asking.keep(report, stored.folder)


def _require_suite() -> None:
    if not (ROOT / SUITE).is_file():
        raise environment_error(
            "the machine contract, which comes with rrsim's source", f"no {SUITE} in {ROOT}",
            "the same command in a checkout: make .venv/libvirt.stamp, then .venv/bin/rrsim image verify …",
        )
    needed = {"pytest": "pytest, which runs the machine contract", "libvirt": "libvirt's Python binding"}
    for module, what in needed.items():
        if find_spec(module) is None:
            raise environment_error(what, f"no module {module}", "make .venv/libvirt.stamp")


def _environment(name: str, uri: str, accelerator: str) -> dict[str, str]:
    from rrsim.backends.live.vm.host import ENV_URI

    chosen = {ENV_URI: uri, ENV_ACCELERATOR: accelerator}
    return {**os.environ, ENV_IMAGE: name, **{key: value for key, value in chosen.items() if value}}
