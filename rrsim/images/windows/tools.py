"""Programs of the host that the builder runs: found first, bounded, and their own words kept when they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

WORDS: Final = 500
"""How much of what a failed program said is repeated, in characters."""
PACKAGES: Final = {"xorriso": "xorriso", "qemu-img": "qemu-utils"}


class ToolFailed(RuntimeError):
    """A program is missing, took too long, or failed."""


def run(program: str, arguments: list[str], limit_s: float, environment: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it wrote; ``environment`` is laid over the host's.

    Raises:
        ToolFailed: there is none, it took longer than ``limit_s`` seconds, or it ended with anything but 0.
    """
    place = shutil.which(program)
    if place is None:
        raise ToolFailed(f"expected the program {program}, saw none; try: sudo apt-get install {PACKAGES[program]}")
    try:
        done = subprocess.run(
            [place, *arguments], env={**os.environ, **(environment or {})}, capture_output=True, text=True,
            errors="replace", check=False, timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(f"expected {program} to be done within {limit_s:g} s, saw it still at work") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-WORDS:]
        raise ToolFailed(f"expected {program} to succeed, saw it end with {done.returncode}: {said}; is there space?")
    return done.stdout
