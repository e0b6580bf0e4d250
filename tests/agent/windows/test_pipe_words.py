"""What travels between service and helper, and what is refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrsim.agent import host
from rrsim.agent.windows import pipe_words as words
from rrsim.agent.windows.pipe_words import TO_HELPER, TO_SERVICE, BadWord, Unpacker, pack

TO_THE_HELPER = (
    words.Do(host.OpenChat()), words.Do(host.CloseChat()), words.Do(host.ShowPrompt(3, "leave")),
    words.Do(host.HidePrompt(3)), words.Do(host.ShowCancel()), words.Do(host.HideCancel()),
    words.Do(host.ShowChat("rep", "Grüße\n€")), words.Do(host.Tell("expired")), words.Do(host.Capture(True)),
    words.Settings("de", True), words.Clear(), words.Forget(), words.Heard(9), words.Quit("enough"), words.Taken(),
)
TO_THE_SERVICE = (
    words.Here("locked", "anna", 2), words.Start("4711"), words.Said(1, host.Answered(3, "yes")),
    words.Said(2, host.PromptGone(3)), words.Said(3, host.ChatTyped("äöü")), words.Said(4, host.CloseClicked()),
    words.Said(5, host.ChatDestroyed("windows")), words.Said(6, host.CancelClicked()),
    words.Said(7, host.QueryEndSession("logoff")), words.Said(8, host.SessionEnding(), True),
    words.Said(9, host.EndSessionCancelled("windows")),
)


@pytest.mark.parametrize(("every", "decoder"), [(TO_THE_HELPER, TO_HELPER), (TO_THE_SERVICE, TO_SERVICE)])
@given(data=st.data())
def test_words_arrive_whole_however_they_are_cut(every, decoder, data):
    stream = b"".join(map(pack, every))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    unpacker, found = Unpacker(decoder), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += unpacker.feed(stream[begin:end])
    assert tuple(found) == every


def frame(body):
    return len(body).to_bytes(4, "little") + body


@pytest.mark.parametrize("data", [
    b"\0\0\0\0", b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n", frame(b"not json"), frame(b"\xff\xfe"), frame(b"{}"),
    frame(b'{"type":"Exec","command":"x"}'), frame(b'{"type":"Start","code":"1","more":2}'),
    frame(b'{"type":"Said","number":1,"what":{"type":"Started"}}'),
    frame(b'{"type":"Said","number":1,"what":{"type":"Received","message":{"type":"welcome","version":1}}}'),
    frame(b'{"type":"Said","number":1,"what":{"type":"CustomerStarts","code":"1"}}'),
    frame(b'{"type":"Said","number":1,"what":{"type":"HelperReady","desktop":"visible","user":"x"}}'),
])
def test_anything_else_is_refused(data):
    with pytest.raises(BadWord, match="expected"):
        Unpacker(TO_SERVICE).feed(data)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waited_for(data):
    try:
        assert Unpacker(TO_SERVICE).feed(data) == []
    except BadWord:
        return


def test_a_word_that_is_too_long_is_not_sent():
    with pytest.raises(BadWord, match="65536"):
        pack(words.Start("x" * 70_000))


def test_a_helper_has_no_word_for_a_secret():
    schema = msgspec.json.schema(words.ToService)
    assert not {"ticket", "live_key", "fresh"} & set(str(schema).replace("'", " ").split())
