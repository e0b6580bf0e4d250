"""The port: every message numbered and timed, kept for whoever connects later, and bounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rrsim.images.guest import channel
from rrsim.images.guest.channel import port_named
from tests.images.guest.guest_host import Guest


def test_what_happened_before_hello_is_told_after_it_in_order(guest: Guest) -> None:
    """A host that connects late hears the boot from its beginning."""
    guest.daemon.channel.event(event="one")
    guest.daemon.channel.event(event="two")
    answer = guest.ask("hello")
    guest.daemon.channel.event(event="three")
    guest.event("three")
    assert [one.get("event") for one in guest.heard] == [None, "one", "two", "three"]
    assert guest.heard[0] is answer
    assert [one["n"] for one in guest.heard[1:]] == [1, 2, 3]
    times = [one["at_us"] for one in guest.heard[1:]]
    assert times == sorted(times)


def test_nothing_is_told_before_hello(guest: Guest) -> None:
    """Events wait for whoever says hello; only the answer to a question comes before."""
    guest.daemon.channel.event(event="one")
    assert guest.ask("ping")["pong"] is True
    assert [one.get("event") for one in guest.heard] == [None]


def test_a_host_that_was_there_before_is_told_only_what_is_new(guest: Guest) -> None:
    """The events after the last one heard."""
    for name in ("one", "two", "three"):
        guest.daemon.channel.event(event=name)
    guest.ask("hello", after=2)
    guest.event("three")
    assert [one["n"] for one in guest.heard if "event" in one] == [3]


def test_too_many_kept_events_are_counted(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no longer fits is forgotten from the front, and how much that was is said."""
    monkeypatch.setattr(channel, "KEPT_EVENTS", 5)
    for number in range(12):
        guest.daemon.channel.event(event=f"event {number}")
    guest.ask("hello")
    assert guest.event("overflow")["lost"] == 7
    guest.event("event 11")
    assert sum(one.get("event", "").startswith("event ") for one in guest.heard) == 5


def test_a_line_that_is_too_long_is_refused_and_the_next_one_served(guest: Guest) -> None:
    """Bounded, and still alive."""
    guest.send_raw(b'{"id":7,"do":"write","base64":"' + b"A" * (channel.LINE_LIMIT_BYTES + 10))
    guest.until(lambda: any("bytes" in one.get("error", "") for one in guest.heard))
    guest.send_raw(b'"}\n')
    assert guest.ask("ping")["pong"] is True
    assert not any(one.get("re") == 7 for one in guest.heard)


def test_an_answer_that_is_too_long_is_an_error(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is told to ask for less, and never gets a line beyond the limit."""
    monkeypatch.setattr(channel, "LINE_LIMIT_BYTES", 400)
    (guest.prefix / "drive_c" / "big").write_bytes(bytes(900))
    assert "ask for less" in guest.ask("read", path=r"C:\big")["error"]


@pytest.mark.parametrize(("request_", "part"), [
    ({"do": "fly"}, "unknown request 'fly'; known: hello, clock"),
    ({"do": "open"}, "missing"),
    ({"do": "read", "path": r"D:\x"}, "drive C:"),
    ({"do": "read", "path": r"C:\..\..\etc\shadow"}, "drive C:"),
])
def test_a_wrong_request_is_answered_with_what_is_wrong(guest: Guest, request_: dict[str, str], part: str) -> None:
    """And the daemon goes on."""
    assert part in guest.ask(**request_)["error"]
    assert guest.ask("ping")["pong"] is True


def test_a_line_that_is_no_json_is_answered(guest: Guest) -> None:
    """Without a number there is none to answer to."""
    guest.send_raw(b"hello?\n[1]\n")
    guest.until(lambda: len(guest.heard) == 2)
    assert [one["re"] for one in guest.heard] == [None, None]
    assert all("error" in one for one in guest.heard)


def test_hello_drops_what_an_earlier_conversation_left_half_said(guest: Guest) -> None:
    """The second host's first whole line is the answer to its hello."""
    guest.ask("hello")
    guest.daemon.channel.event(event="long", text="x" * 3_000_000)
    guest.daemon.channel.event(event="dropped", text="y" * 3_000_000)
    guest.heard.clear()
    guest.send(id=50, do="hello", after=2)
    raw = b""
    while b'"re":50' not in raw:
        guest.loop.once(10_000)
        try:
            raw += guest._end.recv(1 << 20)
        except BlockingIOError:
            continue
    assert json.loads(raw.splitlines()[-1])["re"] == 50
    assert b"dropped" not in raw


def test_a_port_is_found_by_its_name(tmp_path: Path) -> None:
    """Nothing in the guest makes links with the ports' names."""
    for entry, name in (("vport1p1", "org.qemu.guest_agent.0"), ("vport2p1", "org.rrsim.guest.0")):
        (tmp_path / entry).mkdir()
        (tmp_path / entry / "name").write_text(name + "\n", encoding="ascii")
    assert port_named("org.rrsim.guest.0", tmp_path) == Path("/dev/vport2p1")
    with pytest.raises(FileNotFoundError, match=r"org\.qemu\.guest_agent\.0"):
        port_named("org.example.0", tmp_path)
