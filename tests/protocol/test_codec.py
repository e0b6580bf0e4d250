"""The codec: round trips, limits, hostile bytes, and errors that give nothing away (issue 2, point 2; rule 5)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.agent.host import Saved
from rrsim.protocol import codec
from rrsim.protocol import messages as msg
from rrsim.protocol.codec import Malformed, TooLarge, decode, encode, masked
from rrsim.server.vocabulary import Claimed, ToAgent

UNIONS: dict[codec.Kind, Any] = {
    "agent": msg.AgentMessage,
    "server": msg.ServerMessage,
    "rep": msg.RepMessage,
    "console": msg.ConsoleMessage,
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NUMBER = st.integers(0, codec.MAX_INT)


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Values of one field type of the messages."""
    if kind is str:
        return TEXT
    if kind is int:
        return NUMBER
    if kind is bool:
        return st.booleans()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return struct_of(kind)
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.LiteralType):
        return st.sampled_from(info.values)
    assert isinstance(info, msgspec.inspect.VarTupleType), kind
    return st.lists(NUMBER, max_size=codec.MAX_ITEMS).map(tuple)


def struct_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Any value of one struct."""
    return st.builds(kind, **{field.name: of_type(field.type) for field in msgspec.structs.fields(kind)})


ANY_MESSAGE = st.one_of(
    [st.tuples(st.just(kind), struct_of(one)) for kind, union in UNIONS.items() for one in union.__args__]
)


@given(ANY_MESSAGE)
@settings(max_examples=300, deadline=None)
def test_what_is_sent_arrives(pair: tuple[codec.Kind, msg.Message]) -> None:
    kind, message = pair
    assert decode(encode(message), kind) == message


def complaint(data: bytes, kind: codec.Kind) -> str:
    """What the codec says about ``data``; ``$`` for a good message. Any other error is the codec's own fault."""
    try:
        decode(data, kind)
    except codec.CodecError as error:
        return str(error)
    return "$"


@given(st.binary(max_size=300), st.sampled_from(list(UNIONS)))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_a_message_or_a_named_error(data: bytes, kind: codec.Kind) -> None:
    assert "$" in complaint(data, kind)


@given(ANY_MESSAGE, st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_messages_give_a_message_or_a_named_error(
    pair: tuple[codec.Kind, msg.Message], data: st.DataObject
) -> None:
    kind, message = pair
    good = encode(message)
    at = data.draw(st.integers(0, len(good)))
    bad = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 3)) :]
    assert "$" in complaint(bad, kind)


CANARY = "canary0123456789"


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        (b"", "agent", "expected JSON"),
        (b"\xff\xfe", "agent", "expected JSON"),
        (b"[]", "agent", "wrong type or value at $"),
        (b'{"type":"%s"}' % CANARY.encode(), "agent", "unknown message type at $.type"),
        (b'{"type":"join"}', "agent", "missing field code at $"),
        (b'{"type":"join","code":7}', "agent", "wrong type or value at $.code"),
        (b'{"type":"join","code":"a","%s":1}' % CANARY.encode(), "agent", "unknown field at $"),
        (b'{"type":"join","code":"a","x - at `$.%s":1}' % CANARY.encode(), "agent", "unknown field at $;"),
        (b'{"type":"hello","versions":[1,"%s"]}' % CANARY.encode(), "agent", "at $.versions[1]"),
        (
            b'{"type":"hello","versions":[1],"platform":"%s","mode":"service","machine":"m"}' % CANARY.encode(),
            "agent",
            "unknown word at $.platform",
        ),
        (
            b'{"type":"joined","session":"s","live_key":"k","settings":{"phone_mode":3}}',
            "server",
            "wrong type or value at $.settings.phone_mode",
        ),
        (b'{"type":"armed","order":-1}', "agent", "at $.order"),
        (b'{"type":"armed","order":9007199254740992}', "agent", "at $.order"),
        (b'{"type":"take"}', "agent", "unknown message type"),
        (b'{"a":' + b"[" * 30_000, "agent", "nested too deeply"),
        (b'{"type":"join","code":"\\ud800"}', "agent", "expected JSON"),
    ],
)
def test_hostile_bytes_are_malformed_and_never_repeated(data: bytes, kind: codec.Kind, says: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(data, kind)
    assert says in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (msg.AgentChat(1, "x" * (codec.MAX_TEXT_CHARS + 1)), "$.text"),
        (msg.Join(code="x" * (codec.MAX_FIELD_CHARS + 1)), "$.code"),
        (msg.Hello(tuple(range(codec.MAX_ITEMS + 1)), "windows", "service", "m"), "$.versions"),
        (msg.Joined("s", "k", msg.AgentSettings(language="x" * (codec.MAX_FIELD_CHARS + 1))), "$.settings.language"),
    ],
)
def test_fields_over_their_limit_are_refused_on_both_sides(message: msg.Message, path: str) -> None:
    kind: codec.Kind = "server" if isinstance(message, msg.Joined) else "agent"
    with pytest.raises(TooLarge, match=r"at " + path.replace("$", r"\$").replace(".", r"\.")):
        encode(message)
    with pytest.raises(TooLarge):
        decode(msgspec.json.encode(message), kind)


def test_the_longest_chat_line_travels() -> None:
    message = msg.AgentChat(1, "\N{GRINNING FACE}" * codec.MAX_TEXT_CHARS)
    assert decode(encode(message), "agent") == message


def test_a_message_over_the_limit_is_refused_unread() -> None:
    padded = b'{"type":"heartbeat"}' + b" " * codec.MAX_MESSAGE_BYTES
    with pytest.raises(TooLarge, match="bytes"):
        decode(padded, "agent")
    assert decode(padded[: codec.MAX_MESSAGE_BYTES], "agent") == msg.Heartbeat()


def test_text_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(Malformed, match="UTF-8"):
        encode(msg.AgentChat(1, "\ud800"))


def test_masked_hides_secrets_at_any_depth_and_nothing_else() -> None:
    resume = msg.Resume("s", "SECRET", "boot-2", False, True, "u", "visible")
    shown = masked(Claimed(3, "m", "windows", "service", resume, "SECRET"))
    assert "SECRET" not in repr(shown)
    assert shown == Claimed(3, "m", "windows", "service", msgspec.structs.replace(resume, ticket="***"), "***")
    assert "SECRET" not in repr(masked(ToAgent(1, msg.Order(1, "normal", False, "SECRET"))))
    saved = Saved("s", "m", 1, "", "boot-1", "normal", True, False, msg.AgentSettings())
    assert masked(saved) is saved, "an empty ticket is no secret: the reader may know that there is none"
