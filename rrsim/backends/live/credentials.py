"""Credentials of the products under test: taken by reference only, and masked in everything that is kept.

A reference is ``env:NAME`` or ``file:PATH``; a credential itself is never an option, so it is on no command line. What
an adapter resolved it names in ``secrets()``; histories, results and evidence pass through :class:`Mask` before they
are written. :func:`forms` lists the spellings that are masked, and that :func:`find` looks for afterwards.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from rrsim.machine.adapters import AdapterError

MASK: Final = "***"
FEWEST_CHARS: Final = 8
"""A shorter secret would be found, and masked, in the middle of ordinary words."""
_REFERENCE: Final = re.compile(r"(env|file):(.+)", re.DOTALL)


def resolve(reference: str) -> str:
    """Return the credential that a reference names; spaces and line ends around it are no part of it.

    Raises:
        AdapterError: this is no reference, or there is nothing behind it. The message never repeats what was given.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise AdapterError(
            "expected a credential as env:NAME or file:PATH, saw something else (not shown: it may be the credential "
            "itself); put it into a variable or a file, and give its name"
        )
    kind, name = match.groups()
    if kind == "env":
        found = os.environ.get(name)
        if found is None:
            raise AdapterError(f"expected the variable {name} to hold a credential, saw that it is not set; export it")
    else:
        try:
            found = Path(name).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AdapterError(f"expected the file {name} to hold a credential, saw {type(error).__name__}") from None
    found = found.strip()
    if len(found) < FEWEST_CHARS:
        raise AdapterError(
            f"expected the credential behind {reference} to have {FEWEST_CHARS} characters or more, saw {len(found)}; "
            "a shorter one cannot be masked"
        )
    return found


def forms(secret: str) -> dict[str, bytes]:
    """Return the spellings in which a secret could show, by name.

    Base64 is listed for each of the three places at which a secret can begin inside of something longer; its first and
    last characters, which depend on the neighbours, are left out.
    """
    plain = secret.encode()
    wide = secret.encode("utf-16-le")
    found = {
        "plain": plain, "UTF-16LE": wide, "UTF-16BE": secret.encode("utf-16-be"),
        "URL": quote(secret, safe="").encode(), "JSON": msgspec.json.encode(secret)[1:-1],
        "hex": plain.hex().encode(), "HEX": plain.hex().upper().encode(),
        "upper case": secret.upper().encode(), "lower case": secret.lower().encode(),
        "repr": repr(secret)[1:-1].encode(),
    }  # fmt: skip
    inner = {"base64": plain, "base64 of UTF-16LE": wide}
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", secret):
        found["bytes"] = bytes.fromhex(secret)
        inner["base64 of the bytes"] = bytes.fromhex(secret)
    for name, data in inner.items():
        for before in range(3):
            padded = base64.b64encode(b"\0" * before + data + b"\0" * 2)
            first = (before * 8 + 5) // 6
            core = padded[first : (before + len(data)) * 8 // 6]
            found[f"{name}, {before}"] = core
            found[f"{name}, {before}, URL"] = core.replace(b"+", b"-").replace(b"/", b"_")
    return found


class Mask:
    """Replaces secrets, in every form, by three stars."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Without secrets it changes nothing."""
        every = {form for secret in secrets for form in forms(secret).values()}
        longest_first = sorted(every, key=lambda form: (-len(form), form))
        self._any = re.compile(b"|".join(map(re.escape, longest_first))) if every else None

    def data(self, data: bytes) -> bytes:
        """Return bytes without secrets."""
        return self._any.sub(MASK.encode(), data) if self._any else data

    def text(self, text: str) -> str:
        """Return text without secrets."""
        raw = text.encode("utf-8", "surrogatepass")
        return self.data(raw).decode("utf-8", "surrogatepass") if self._any else text

    def value(self, value: Any) -> Any:
        """Return a struct, container or text without secrets; what holds none is returned as it is."""
        if self._any is None:
            return value
        if isinstance(value, str):
            masked = self.text(value)
            return value if masked == value else masked
        if isinstance(value, bytes):
            return self.data(value)
        if isinstance(value, msgspec.Struct):
            changes = {}
            for name in value.__struct_fields__:
                before = getattr(value, name)
                after = self.value(before)
                if after is not before:
                    changes[name] = after
            return msgspec.structs.replace(value, **changes) if changes else value
        if isinstance(value, tuple | list):
            items = [self.value(item) for item in value]
            same = all(a is b for a, b in zip(items, value, strict=True))
            return value if same else type(value)(items)
        if isinstance(value, dict):
            return {self.value(key): self.value(item) for key, item in value.items()}
        return value


def find(folder: Path, secret: str) -> tuple[str, ...]:
    """Return where a secret lies in a folder: *file: form*, for names and contents of all files below it.

    It sees bytes as they are: nothing that is compressed, encrypted or drawn in a picture.
    """
    looked_for = forms(secret)
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes() if path.is_file() else b""
        for form, data in looked_for.items():
            if data in content:
                found.append(f"{name}: {form}")
            if data in os.fsencode(name):
                found.append(f"{name}: {form}, in its name")
    return tuple(found)
