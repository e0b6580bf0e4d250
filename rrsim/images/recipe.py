"""What an image is made from, as one word: the same word, the same image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from rrsim.images.description import Description
from rrsim.images.packages import Package

BUILDER_VERSION: Final = "1"
HERE: Final = Path(__file__).parent
BUILDER_SOURCES: Final = ("disk.py", "initramfs.py", "packages.py", "tree.py", "wine_guest.py")


def digest_of(parts: Iterable[str | bytes]) -> str:
    """Return the sha256 over parts, each with its length, so that no two lists of parts look the same."""
    digest = sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def sources(described: Description, folder: Path, prefix: str) -> str:
    """Return a word for everything of the recipe that is on this computer: all but the packages.

    ``folder`` is the image's own, ``prefix`` names the prepared prefix. A README or a test may change without a word.
    """
    parts: list[str | bytes] = [BUILDER_VERSION, msgspec.json.encode(described, order="sorted"), prefix]
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".md", ".pyc"}]
    builder = [HERE / name for name in BUILDER_SOURCES] + list((HERE / "guest").glob("*.py"))
    for path, top in [*((one, folder) for one in sorted(files)), *((one, HERE) for one in sorted(builder))]:
        parts += [path.relative_to(top).as_posix(), path.read_bytes()]
    return digest_of(parts)


def digest(source_word: str, packages: Sequence[Package]) -> str:
    """Return the whole recipe's word."""
    parts = [source_word]
    for one in sorted(packages):
        parts += [one.name, one.version, one.sha256]
    return digest_of(parts)
