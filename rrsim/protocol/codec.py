"""Messages to bytes and back: JSON, bounded in every dimension, with errors that name the path and nothing else.

What arrives is untrusted. An error never repeats the input, because the input may hold a secret (rule 5) or a text
made to deceive whoever reads the log: it names the place in the message, from the schema's own words, and the limit.
Both directions keep the same limits, so nothing is sent that the other side must refuse.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, TypeVar

import msgspec

from rrsim.protocol.messages import (
    SECRET_FIELDS,
    AgentMessage,
    ConsoleMessage,
    Message,
    RepMessage,
    ServerMessage,
)

Kind = Literal["agent", "server", "rep", "console"]
"""Who sends: the agent, the server to the agent, the representative's console, the server to the console."""

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_TEXT_CHARS: Final = 4000
"""Longest chat line."""
MAX_FIELD_CHARS: Final = 256
"""Longest string elsewhere: ids, keys, tickets, reasons."""
MAX_ITEMS: Final = 32
"""Longest list, such as the versions offered."""
MAX_INT: Final = 2**53 - 1
"""Largest number that every JSON reader keeps exact. No field is negative."""
MASK: Final = "***"

_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "agent": msgspec.json.Decoder(AgentMessage),
    "server": msgspec.json.Decoder(ServerMessage),
    "rep": msgspec.json.Decoder(RepMessage),
    "console": msgspec.json.Decoder(ConsoleMessage),
}
_ENCODER: Final = msgspec.json.Encoder()
_PATH: Final = re.compile(r" - at `(\$[.\w\[\]]*)`$")
_SEGMENT: Final = re.compile(r"\.(\w+)|\[(\d{1,3}|\.\.\.)\]")

T = TypeVar("T", bound=msgspec.Struct)


class CodecError(ValueError):
    """Bytes or a message that cannot travel."""


class TooLarge(CodecError):
    """Larger than the limit: the whole message, or one field of it."""


class Malformed(CodecError):
    """Not a message of the expected kind."""


def encode(message: Message) -> bytes:
    """Return the wire form of ``message``.

    Raises:
        TooLarge: a field, or the whole, is over its limit.
        Malformed: a number is negative, or a text cannot be written as UTF-8.
    """
    _check(message, "$")
    try:
        data = _ENCODER.encode(message)
    except UnicodeEncodeError:
        raise Malformed("expected text that can be written as UTF-8 at $; remove unpaired surrogates") from None
    if len(data) > MAX_MESSAGE_BYTES:
        raise _message_too_large(len(data))
    return data


def decode(data: bytes, kind: Kind) -> Message:
    """Return the message in ``data``, which must be one that ``kind`` of sender may send.

    Raises:
        TooLarge: the message, or a field of it, is over its limit.
        Malformed: not JSON, not a known message, unknown or missing fields, wrong types, numbers out of range.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise _message_too_large(len(data))
    try:
        message: Message = _DECODERS[kind].decode(data)
    except msgspec.ValidationError as error:
        where, what = _place_of(error), _complaint_of(error)
        raise Malformed(f"{what} at {where}; send one {kind} message as in the protocol's schema") from None
    except RecursionError:
        raise Malformed(f"nested too deeply at $; send one {kind} message as in the protocol's schema") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Malformed(f"expected JSON in UTF-8 at $, got something else; send one {kind} message") from None
    _check(message, "$")
    return message


def masked(message: T) -> T:
    """Return ``message`` with every secret in it, at any depth, replaced by ``***``; empty ones stay empty.

    Works on any struct: messages, inputs, effects, saved records.
    """
    changes: dict[str, Any] = {}
    for name in message.__struct_fields__:
        value = getattr(message, name)
        hidden = _masked_value(name, value)
        if hidden is not value:
            changes[name] = hidden
    return msgspec.structs.replace(message, **changes) if changes else message


def _masked_value(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return MASK if value and name in SECRET_FIELDS else value
    if isinstance(value, msgspec.Struct):
        return masked(value)
    if isinstance(value, tuple):
        hidden = tuple(_masked_value(name, item) for item in value)
        return value if all(new is old for new, old in zip(hidden, value, strict=True)) else hidden
    return value


def _message_too_large(size_bytes: int) -> TooLarge:
    return TooLarge(
        f"expected at most {MAX_MESSAGE_BYTES} bytes in a message, got {size_bytes} at $; send less at a time"
    )


def _check(value: Any, path: str, limit_chars: int = MAX_FIELD_CHARS) -> None:
    """Hold a message against the limits that its types cannot state."""
    if isinstance(value, str):
        if len(value) > limit_chars:
            raise TooLarge(f"expected at most {limit_chars} characters, got {len(value)} at {path}; shorten it")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            limit = MAX_TEXT_CHARS if name == "text" else MAX_FIELD_CHARS
            _check(getattr(value, name), f"{path}.{name}", limit)
    elif isinstance(value, tuple):
        if len(value) > MAX_ITEMS:
            raise TooLarge(f"expected at most {MAX_ITEMS} items, got {len(value)} at {path}; send fewer")
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]")
    elif isinstance(value, int) and not 0 <= value <= MAX_INT:
        raise Malformed(f"expected a number from 0 to {MAX_INT} at {path}, got one outside")


def _known_names() -> frozenset[str]:
    names = {"type"}
    for union in (AgentMessage, ServerMessage, RepMessage, ConsoleMessage):
        for kind in union.__args__:
            names.update(kind.__struct_fields__)
            for field in msgspec.structs.fields(kind):
                if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                    names.update(field.type.__struct_fields__)
    return frozenset(names)


_KNOWN: Final = _known_names()


def _place_of(error: msgspec.ValidationError) -> str:
    """Take the path out of the decoder's own words, and trust no word in it that the schema does not know."""
    found = _PATH.search(str(error))
    if found is None:
        return "$"
    place = "$"
    for name, index in _SEGMENT.findall(found[1]):
        if name and name not in _KNOWN:
            return place
        place += f".{name}" if name else f"[{index}]"
    return place


def _complaint_of(error: msgspec.ValidationError) -> str:
    """Say what kind of mistake it was without the words that came from the input."""
    text = str(error)
    if text.startswith("Object missing required field"):
        names = re.findall(r"`(\w+)`", text)[:1]
        return f"missing field {names[0]}" if names and names[0] in _KNOWN else "missing field"
    if text.startswith("Object contains unknown field"):
        return "unknown field"
    if text.startswith("Invalid enum value"):
        return "unknown word"
    if text.startswith("Invalid value") and _place_of(error) == "$.type":
        return "unknown message type"
    return "wrong type or value"
