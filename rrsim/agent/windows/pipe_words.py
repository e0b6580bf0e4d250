"""What travels on the named pipe between the service, the helpers on people's desktops, and ``rragent join``.

A word is JSON behind its length, at most :data:`MAX_WORD_BYTES`; anything else is :class:`BadWord`, and its sender is
hung up on. A helper can say only what happens on a desktop (:data:`HelperInput`): it has no ticket, no key and no
connection.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import msgspec

from rrsim.agent import host
from rrsim.agent.windows.ui import Effect
from rrsim.protocol.messages import Desktop

MAX_WORD_BYTES: Final = 64 * 1024
MAX_CODE_CHARS: Final = 256
_LENGTH_BYTES: Final = 4

Kind = TypeVar("Kind")


class BadWord(ValueError):
    """Something came that is no word of this pipe."""


HelperInput = (
    host.Answered | host.PromptGone | host.ChatTyped | host.CloseClicked | host.ChatDestroyed | host.CancelClicked
    | host.QueryEndSession | host.SessionEnding | host.EndSessionCancelled
)  # fmt: skip
"""What a helper may say to the core: what happens on a desktop, and nothing else."""


class _Word(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Base of everything on the pipe."""


class Do(_Word, frozen=True):
    """Service to helper: carry out an effect."""

    effect: Effect


class Settings(_Word, frozen=True):
    """Service to helper: language and kind of window."""

    language: str
    phone_mode: bool


class Clear(_Word, frozen=True):
    """Service to helper: close your windows, the customer sits at another desktop."""


class Forget(_Word, frozen=True):
    """Service to helper: the session is over, drop its chat lines."""


class Heard(_Word, frozen=True):
    """Service to helper: the input of this number was dealt with, and the server was told."""

    number: int


class Quit(_Word, frozen=True):
    """Service to helper: end."""

    reason: str


class Taken(_Word, frozen=True):
    """Service to ``rragent join``: the code is being used."""


class Here(_Word, frozen=True):
    """Helper to service: I show windows on this desktop. Sent again when the desktop is locked or unlocked."""

    desktop: Desktop
    user: str
    session: int
    """Number of the Windows session."""


class Said(_Word, frozen=True):
    """Helper to service: an input for the core. With ``wait`` the helper waits for :class:`Heard`."""

    number: int
    what: HelperInput
    wait: bool = False


class Start(_Word, frozen=True):
    """``rragent join`` to service: the customer typed this code."""

    code: str


ToHelper = Do | Settings | Clear | Forget | Heard | Quit | Taken
ToService = Here | Said | Start

_ENCODER: Final = msgspec.json.Encoder()
TO_HELPER: Final[msgspec.json.Decoder[ToHelper]] = msgspec.json.Decoder(ToHelper)
TO_SERVICE: Final[msgspec.json.Decoder[ToService]] = msgspec.json.Decoder(ToService)


def pack(word: ToHelper | ToService) -> bytes:
    """Return a word as it travels.

    Raises:
        BadWord: it is too long.
    """
    data = _ENCODER.encode(word)
    if len(data) > MAX_WORD_BYTES:
        raise BadWord(f"expected at most {MAX_WORD_BYTES} bytes in a word, got {len(data)}; say less at a time")
    return len(data).to_bytes(_LENGTH_BYTES, "little") + data


class Unpacker(Generic[Kind]):
    """Cuts what comes off a pipe into words."""

    def __init__(self, decoder: msgspec.json.Decoder[Kind]) -> None:
        """Expect the words that ``decoder`` knows."""
        self._decoder = decoder
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Kind]:
        """Take bytes, and return the words that are complete.

        Raises:
            BadWord: these are no words of this pipe.
        """
        self._data += data
        found = []
        while len(self._data) >= _LENGTH_BYTES:
            size_bytes = int.from_bytes(self._data[:_LENGTH_BYTES], "little")
            if not 0 < size_bytes <= MAX_WORD_BYTES:
                raise BadWord(f"expected a word of at most {MAX_WORD_BYTES} bytes, got one of {size_bytes}")
            if len(self._data) < _LENGTH_BYTES + size_bytes:
                break
            body = bytes(self._data[_LENGTH_BYTES : _LENGTH_BYTES + size_bytes])
            del self._data[: _LENGTH_BYTES + size_bytes]
            try:
                found.append(self._decoder.decode(body))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BadWord(f"expected a word of this pipe, got: {error}") from None
        return found
