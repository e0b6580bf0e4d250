"""What the agent's shell needs of the outside: hands, a desk, and where the server is. Light to import, for start-up
counts."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from rrsim.agent import host


class HostError(RuntimeError):
    """A request to the operating system was not carried out; the text is the reason the server is told (rule 8)."""


class Hands(Protocol):
    """Carries out requests to the operating system; called in threads of its own."""

    def carry_out(self, what: host.HostRequest) -> str:
        """Do it, and return what was read, for requests that read.

        Raises:
            HostError: it was not done.
        """


class Desk(Protocol):
    """Shows windows to the person at the PC: the process's own, or a desktop helper's."""

    def do(self, effect: Any) -> None:
        """Carry out one of the effects that concern windows and the screen; thread safe, returns at once."""

    def forget(self) -> None:
        """A session is over and the process stays: its chat lines belong to nobody any more."""

    def settings(self, language: str, phone_mode: bool) -> None:
        """The account's language and kind of window for the customer."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where the session server is, and whom to believe that it is the one."""

    url: str
    """``wss://host:port/agent``; nothing but ``wss`` is accepted."""
    ca_file: str = ""
    """File with the certificate authority to trust instead of the system's; empty: the system's."""


class NotSecure(ValueError):
    """The configured address would not be encrypted and verified."""
