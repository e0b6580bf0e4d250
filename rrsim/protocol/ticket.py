"""Tickets and keys: how secrets are made from fresh strings, sealed for the journal, and compared (rule 5).

The session server never keeps a secret. It hands the secret out once and keeps its *seal*: a keyed digest of what
the secret is good for (session, machine, restart number). A secret that is offered with another session, machine or
number gives another seal and is worthless there (SE-02). That a ticket is used once, and dies with its window, is
decided by the session's state: :mod:`rrsim.server.core` forgets the seal.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

_LENGTH_BYTES = 4


class NoFresh(ValueError):
    """An input that needs a secret came without a fresh string."""


def derive(fresh: str, purpose: str) -> str:
    """Return the secret that ``fresh`` stands for in this ``purpose``.

    ``fresh`` is minted outside the cores, random on a real server, and never repeated. Two purposes give two secrets
    that say nothing about each other.

    Raises:
        NoFresh: ``fresh`` is empty; a secret from it could be guessed.
    """
    if not fresh:
        raise NoFresh("expected a fresh string to derive a secret from, got an empty one; mint one for this input")
    return hmac.digest(fresh.encode(), _fields(("rrsim secret", purpose)), sha256).hex()


def seal(secret: str, *binding: str | int) -> str:
    """Return the seal of ``secret`` for exactly these ``binding`` fields, as 64 hexadecimal digits.

    Every field goes in with its length, so that no two different bindings read the same.
    """
    return hmac.digest(secret.encode(), _fields(("rrsim seal", *map(str, binding))), sha256).hex()


def matches(expected: str, secret: str, *binding: str | int) -> bool:
    """Say whether ``secret`` with this ``binding`` has the seal ``expected``, in time that does not depend on it.

    An empty ``expected`` stands for "no such secret is good any more" and matches nothing.
    """
    return hmac.compare_digest(expected.encode(), seal(secret, *binding).encode())


def _fields(fields: tuple[str, ...]) -> bytes:
    coded = [field.encode() for field in fields]
    return b"".join(len(field).to_bytes(_LENGTH_BYTES, "big") + field for field in coded)
