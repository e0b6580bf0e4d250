"""Which host key an SSH server must have: one that is known, or the one that a build of an image showed first."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Final, Protocol

from rrsim.backends.live.shells.interface import WrongMachine

_BUILD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")


class HostKeys(Protocol):
    """Decides about the key that a server shows before anything is said to it."""

    def wanted_type(self) -> str | None:
        """Return the type of the expected key, such as ``ssh-ed25519``; nothing if any will do."""

    def check(self, kind: str, blob: bytes) -> None:
        """Accept a key, given by its type and its public part.

        Raises:
            WrongMachine: it is not the expected one.
        """


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as OpenSSH writes it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def parse(line: str) -> tuple[str, bytes]:
    """Return type and public part of a key that is written as in a ``.pub`` file.

    Raises:
        ValueError: this is no such line.
    """
    words = line.split()
    try:
        kind, blob = words[0], base64.b64decode(words[1], validate=True)
    except (IndexError, ValueError):
        raise ValueError(f"expected a public key as 'ssh-ed25519 AAAA...', saw {line[:40]!r}") from None
    if blob[4:4 + len(kind)] != kind.encode():
        raise ValueError(f"the public key says that it is {kind!r}, and its content says otherwise; copy it again")
    return kind, blob


class KnownKey:
    """The key is known: the image's builder read it, or the caller did."""

    def __init__(self, line: str) -> None:
        """Take the key as a line of a ``.pub`` file.

        Raises:
            ValueError: this is no such line.
        """
        self._kind, self._blob = parse(line)

    def wanted_type(self) -> str | None:
        """Return the known key's type."""
        return self._kind

    def check(self, kind: str, blob: bytes) -> None:
        """Accept only the known key.

        Raises:
            WrongMachine: it is another.
        """
        if (kind, blob) != (self._kind, self._blob):
            raise WrongMachine(
                f"expected a host with the key {self._kind} {fingerprint(self._blob)}, saw {kind} {fingerprint(blob)}; "
                "another machine answers at this address, or the image was built anew: give the key of this build"
            )


class PinOnFirstUse:
    """The first key that a build of an image shows is kept, and from then on the only one; runs may race for it."""

    def __init__(self, folder: Path, build: str) -> None:
        """Keep the key of ``build``, such as an image's digest, in a file of ``folder``.

        Raises:
            ValueError: the build's name cannot be a file's.
        """
        if not _BUILD.fullmatch(build):
            raise ValueError(f"expected the digest of an image build, saw {build!r}")
        self.path = folder / f"{build}.pub"

    def _kept(self) -> KnownKey | None:
        try:
            return KnownKey(self.path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise WrongMachine(f"{self.path} holds no host key ({error}); remove it if the image is trusted") from None

    def wanted_type(self) -> str | None:
        """Return the kept key's type, if one was kept."""
        kept = self._kept()
        return kept.wanted_type() if kept else None

    def check(self, kind: str, blob: bytes) -> None:
        """Keep the key if it is the first one, else compare.

        Raises:
            WrongMachine: another was kept.
        """
        if self._kept() is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            line = f"{kind} {base64.b64encode(blob).decode('ascii')}\n"
            handle, draft = tempfile.mkstemp(dir=self.path.parent, prefix=".pin-")
            try:
                with os.fdopen(handle, "w", encoding="ascii") as file:
                    file.write(line)
                with contextlib.suppress(FileExistsError):  # another run was first: compare with its
                    os.link(draft, self.path)
            finally:
                Path(draft).unlink()
        kept = self._kept()
        if kept is None:
            raise WrongMachine(f"{self.path} was removed while a host key was being kept in it; try again")
        kept.check(kind, blob)
