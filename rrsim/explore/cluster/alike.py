"""What a worker runs: two workers are alike if the same seed gives the same bytes on both."""

from __future__ import annotations

import os
import platform
import sys
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

import rrsim


class Build(msgspec.Struct, frozen=True, gc=False):
    """A worker's interpreter and source."""

    rrsim: str
    source: str
    """Digest of the Python files in :data:`DECIDE`: what a commit would say, and true for a changed checkout too."""
    python: str
    hash_seed: str
    """PYTHONHASHSEED as the worker was started; empty: not pinned."""


DECIDE: Final = (
    "agent/*.py", "backends/sim/**/*.py", "explore/cluster/*.py", "explore/shrink/*.py", "explore/swarm/*.py",
    "machine/*.py", "people/*.py", "protocol/*.py", "scenario/**/*.py", "server/*.py",
)  # fmt: skip
"""Everything that decides what a run comes to: cores, models, people, director, checks. Reports and machines do not."""


@lru_cache(maxsize=1)
def source_digest() -> str:
    """Return the digest of this rrsim's own source."""
    root = Path(rrsim.__file__).parent
    digest = blake2b(digest_size=8)
    for path in sorted({path for pattern in DECIDE for path in root.glob(pattern)}):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def this_build() -> Build:
    """Return what runs here."""
    python = ".".join(platform.python_version_tuple()[:2])
    return Build(rrsim.__version__, source_digest(), f"{sys.implementation.name} {python}",
                 os.environ.get("PYTHONHASHSEED", ""))  # fmt: skip


def difference(mine: Build, theirs: Build, pinned: str) -> str:
    """Return in which way another worker cannot be compared with this one; empty: it can."""
    for name in ("rrsim", "source", "python"):
        expected, saw = getattr(mine, name), getattr(theirs, name)
        if expected != saw:
            return f"expected {name} {expected}, saw {saw}"
    if theirs.hash_seed != pinned:
        return f"expected PYTHONHASHSEED={pinned}, saw {theirs.hash_seed or 'none'}"
    return ""
