"""Passwords of an image's accounts: taken by reference or minted, and kept in one file that only its owner can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from rrsim.backends.live import credentials
from rrsim.images.windows.recipe import Recipe

BUILT_IN: Final = "Administrator"
"""Servers have this account too, and ask for its password."""
FILE: Final = "passwords.json"
LEADING: Final = "Rr0"
"""Puts capital and small letters and a digit into each password, as Windows asks for."""
DRAWN: Final = 20
"""Characters that are drawn: hexadecimal digits, which lie on the same keys of most layouts."""


class PasswordsUnsafe(RuntimeError):
    """The file with the passwords is missing, broken, or can be read by others."""


def names(recipe: Recipe) -> tuple[str, ...]:
    """Return every account that needs a password."""
    described = tuple(account.name for account in recipe.description.accounts)
    return (*described, BUILT_IN) if recipe.setup.family == "server" else described


def mint(recipe: Recipe, fresh: Callable[[], str]) -> dict[str, str]:
    """Return the password of each account by its name; ``fresh`` gives 64 random hexadecimal digits.

    Raises:
        AdapterError: a reference has nothing behind it.
    """
    references = {account.name: account.password for account in recipe.description.accounts}
    return {
        name: credentials.resolve(references[name]) if references.get(name) else LEADING + fresh()[:DRAWN]
        for name in names(recipe)
    }


def keep(folder: Path, passwords: dict[str, str]) -> Path:
    """Write the passwords into ``folder`` so that only the owner can read them; return the file."""
    path = folder / FILE
    write_private(path, msgspec.json.format(msgspec.json.encode(passwords, order="sorted")) + b"\n")
    return path


def write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else could read at any moment; one of the same name is replaced as a whole."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load(folder: Path) -> dict[str, str]:
    """Return the passwords kept in ``folder``.

    Raises:
        PasswordsUnsafe: the file is missing or broken, or others may read it.
    """
    path = folder / FILE
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError as error:
        raise PasswordsUnsafe(
            f"expected the accounts' passwords in {path}, saw: {error.strerror}; build the image again"
        ) from error
    if mode & 0o077:
        raise PasswordsUnsafe(f"expected {path} to be its owner's only, saw mode {mode:o}; try: chmod 600 '{path}'")
    try:
        return msgspec.json.decode(content, type=dict[str, str])
    except msgspec.DecodeError as error:
        raise PasswordsUnsafe(f"expected names and passwords in {path}, saw no such JSON; build again") from error
