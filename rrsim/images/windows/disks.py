"""Disk images, through ``qemu-img``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rrsim.images.windows import tools

CREATE_LIMIT_S: Final = 60.0
COMPACT_LIMIT_S: Final = 3600.0


def create(path: Path, size_gib: int) -> None:
    """Make an empty disk image of this size; one of the same name is replaced.

    Raises:
        ToolFailed: it cannot be made.
    """
    path.unlink(missing_ok=True)
    tools.run("qemu-img", ["create", "-q", "-f", "qcow2", str(path), f"{size_gib}G"], CREATE_LIMIT_S)


def compact(source: Path, target: Path) -> None:
    """Copy a disk image without what was deleted on it, checked; ``target`` is there as a whole or not at all.

    Raises:
        ToolFailed: the source is damaged, or there is no space.
    """
    beside = target.with_name(f".{target.name}.new")
    # A file that was cut off reads as zeros where it ends: only a check finds that out.
    tools.run("qemu-img", ["check", "-q", "-f", "qcow2", str(source)], COMPACT_LIMIT_S)
    try:
        arguments = ["convert", "-q", "-f", "qcow2", "-O", "qcow2", "-c", str(source), str(beside)]
        tools.run("qemu-img", arguments, COMPACT_LIMIT_S)
        tools.run("qemu-img", ["check", "-q", "-f", "qcow2", str(beside)], COMPACT_LIMIT_S)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
