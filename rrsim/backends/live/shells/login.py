"""Who signs in: a name with a password or a private key, which no text of an error or a log may show."""

from __future__ import annotations

import msgspec


class Login(msgspec.Struct, frozen=True):
    """An account of the machine. Its secrets were resolved by the caller; ``repr`` hides them."""

    user: str
    password: str = ""
    private_key: str = ""
    """Text of a private key file, as OpenSSH or PEM writes it. SSH only; tried before the password."""

    def __repr__(self) -> str:
        has = [name for name in ("password", "private_key") if getattr(self, name)]
        return f"Login(user={self.user!r}, with {' and '.join(has) or 'no secret'})"
