"""PPP frames, who negotiated what, and what the provider's gate lets through."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.backends.live.dialup import ppp
from rrsim.backends.live.dialup.gate import Gate

HOST = bytes([10, 0, 2, 2])


def test_a_frame_of_somebody_elses() -> None:
    # What slirp 1.0.17 sent first, as it was on the line: another hand's framing and checksum.
    wire = bytes.fromhex("7eff7d23c0217d217d217d207d327d217d247d25dc7d257d263d7d397d225b7d277d227d287d226f6e7e")
    (frame,) = ppp.Deframer().feed(wire)
    assert frame.protocol == ppp.LCP
    word = ppp.control(frame)
    assert word is not None
    assert (word.code, word.number) == (ppp.REQUEST, 1)
    found = dict(ppp.options(word.data))
    assert found == {1: b"\x05\xdc", 5: bytes.fromhex("3d19025b"), 7: b"", 8: b""}
    assert ppp.framed(frame.protocol, frame.body) == wire


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(1, 30), max_size=40), st.sampled_from([0x21, 0xC021, 0x8057]))
def test_frames_survive_however_they_are_chopped(body: bytes, cuts: list[int], protocol: int) -> None:
    wire = ppp.framed(protocol, body) * 2
    assert not set(wire) & set(range(0x20))  # nothing that a line could take for flow control
    reader, found = ppp.Deframer(), []
    for cut in [*cuts, len(wire)]:
        found += reader.feed(wire[:cut])
        wire = wire[cut:]
    assert [(frame.protocol, frame.body) for frame in found] == [(protocol, body)] * 2
    assert ppp.Deframer().feed(found[0].wire)[0].body == body


@settings(deadline=None)
@given(st.binary(max_size=2_000))
def test_noise_is_no_frame(noise: bytes) -> None:
    for frame in ppp.Deframer().feed(noise.replace(b"\x7e", b"") + b"\x7e"):
        assert ppp._sum(frame.body) >= 0  # a right sum by chance: what was read is at least whole
    damaged = bytearray(ppp.framed(ppp.IP, b"packet"))
    damaged[6] ^= 1
    assert ppp.Deframer().feed(bytes(damaged)) == []


def test_frames_without_end_are_dropped_and_cost_nothing() -> None:
    reader = ppp.Deframer()
    for _ in range(100):
        assert reader.feed(b"x" * 10_000) == []
        assert len(reader._held) <= ppp.MOST_FRAME_BYTES
    assert reader.feed(b"\x7e") == []
    assert len(reader.feed(ppp.framed(ppp.IP, b"after"))) == 1


def test_short_forms_of_a_frame() -> None:
    content = b"\x21packet"
    checksum = ppp._sum(content) ^ 0xFFFF
    wire = b"\x7e" + content + bytes((ppp._MIRRORED[checksum >> 8], ppp._MIRRORED[checksum & 0xFF])) + b"\x7e"
    assert [(one.protocol, one.body) for one in ppp.Deframer().feed(wire)] == [(ppp.IP, b"packet")]


@pytest.mark.parametrize("damaged", [b"", b"\x01", b"\x01\x01\x00", b"\x01\x01\x00\x03", b"\x01\x01\x00\x09abc"])
def test_control_packets_that_are_none(damaged: bytes) -> None:
    assert ppp.control(ppp.Frame(ppp.LCP, damaged, b"")) is None


def test_options_end_where_they_are_damaged() -> None:
    assert list(ppp.options(b"\x03\x06\x0a\x00\x02\x02\x02\x01")) == [(3, HOST)]
    assert list(ppp.options(b"\x03\x09\x0a")) == []


# --- negotiation ------------------------------------------------------------------------------------------------


def lcp(code: int, number: int = 1, data: bytes = b"") -> bytes:
    return ppp.framed(ppp.LCP, ppp.packet(code, number, data))


def ipcp(code: int, address: bytes, number: int = 1) -> bytes:
    return ppp.framed(ppp.IPCP, ppp.packet(code, number, b"\x03\x06" + address))


def negotiated() -> Gate:
    gate = Gate(lambda: {8080})
    assert gate.from_caller(lcp(ppp.REQUEST)).events == ()
    assert gate.from_provider(lcp(ppp.REQUEST)).events == ()
    assert gate.from_provider(lcp(ppp.ACK)).events == ()
    assert gate.from_caller(lcp(ppp.ACK)).events == (ppp.LcpUp(),)
    assert gate.from_caller(ipcp(ppp.REQUEST, bytes([10, 0, 2, 15]))).events == ()
    assert gate.from_provider(ipcp(ppp.ACK, bytes([10, 0, 2, 15]))).events == ()
    assert gate.from_provider(ipcp(ppp.REQUEST, HOST)).events == ()
    assert gate.from_caller(ipcp(ppp.ACK, HOST)).events == (ppp.NetworkUp("10.0.2.15"),)
    return gate


def test_it_follows_the_negotiation() -> None:
    gate = negotiated()
    assert gate.from_caller(ipcp(ppp.ACK, HOST)).events == ()  # told once
    gate.from_caller(lcp(ppp.REQUEST, 2))  # from the start
    gate.from_provider(lcp(ppp.REQUEST, 2))
    gate.from_provider(lcp(ppp.ACK, 2))
    assert gate.from_caller(lcp(ppp.ACK, 2)).events == (ppp.LcpUp(),)


@pytest.mark.parametrize("by", ["caller", "provider"])
def test_it_hears_the_end(by: str) -> None:
    gate = negotiated()
    mine, other = (gate.from_caller, gate.from_provider) if by == "caller" else (gate.from_provider, gate.from_caller)
    assert mine(lcp(ppp.TERMINATE)).events == ()
    assert mine(lcp(ppp.TERMINATE_ACK)).events == ()  # nobody acknowledges himself
    assert [event.by for event in other(lcp(ppp.TERMINATE_ACK)).events if isinstance(event, ppp.Terminated)] == [by]
    assert other(lcp(ppp.TERMINATE_ACK)).events == ()


def test_an_acknowledgement_nobody_asked_for_is_no_end() -> None:
    assert negotiated().from_provider(lcp(ppp.TERMINATE_ACK)).events == ()


def test_slirp_is_given_an_address() -> None:
    gate = Gate(lambda: ())
    passed = gate.from_provider(ipcp(ppp.REQUEST, bytes(4), number=7))
    assert passed.to_caller == b""
    (answer,) = ppp.Deframer().feed(passed.to_provider)
    assert (answer.protocol, ppp.control(answer)) == (ppp.IPCP, ppp.Control(ppp.NAK, 7, b"\x03\x06" + HOST))
    wire = ipcp(ppp.REQUEST, HOST, number=8)
    assert gate.from_provider(wire).to_caller == wire
    wire = ipcp(ppp.REQUEST, bytes(4))
    assert gate.from_caller(wire).to_provider == wire  # a caller without an address is the provider's affair


@pytest.mark.parametrize("protocol", [ppp.IPV6CP, ppp.CCP, 0x002D, 0x002F, 0x00FD, 0x0057, ppp.PAP, 0x8281])
def test_other_protocols_are_rejected_in_order_and_go_nowhere(protocol: int) -> None:
    gate = Gate(lambda: {80})
    passed = gate.from_caller(ppp.framed(protocol, b"\x01\x01\x00\x04"))
    assert passed.to_provider == b""
    (answer,) = ppp.Deframer().feed(passed.to_caller)
    word = ppp.control(answer)
    assert word is not None
    assert (answer.protocol, word.code) == (ppp.LCP, ppp.PROTOCOL_REJECT)
    assert word.data == struct.pack("!H", protocol) + b"\x01\x01\x00\x04"
    assert gate.from_provider(ppp.framed(protocol, b"\x01\x01\x00\x04")) == type(passed)()


# --- packets ------------------------------------------------------------------------------------------------------


def packet(target: bytes = HOST, *, protocol: int = 6, port: int = 8080, fragment: int = 0, first: int = 0x45) -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s", first, 0, 40, 1, fragment, 64, protocol, 0, bytes([10, 0, 2, 15]), target
    )
    return head + b"\0" * ((first & 15) * 4 - 20) + struct.pack("!HH", 40_000, port) + b"\0" * 16


def test_a_packet_for_the_server_passes_as_it_is() -> None:
    gate = Gate(lambda: {8080})
    wire = ppp.framed(ppp.IP, packet())
    assert gate.from_caller(wire).to_provider == wire
    wire = ppp.framed(ppp.IP, packet(first=0x46))  # with an option
    assert gate.from_caller(wire).to_provider == wire
    wire = ppp.framed(ppp.IP, packet(protocol=1, port=0).replace(b"\x9c\x40\0\0", b"\x08\x00\0\0"))
    assert gate.from_caller(wire).to_provider == wire
    assert gate.turned_away == 0


@pytest.mark.parametrize(("body", "why"), [
    (packet(bytes([10, 0, 2, 1]), port=23), "protocol 6 to 10.0.2.1"),
    (packet(bytes([10, 0, 2, 0]), port=23), "protocol 6 to 10.0.2.0"),
    (packet(bytes([127, 0, 0, 1])), "protocol 6 to 127.0.0.1"),
    (packet(bytes([192, 0, 2, 1])), "protocol 6 to 192.0.2.1"),
    (packet(port=22), "protocol 6 to 10.0.2.2 port 22"),
    (packet(protocol=17), "protocol 17 to 10.0.2.2 port 8080"),
    (packet(protocol=1), "protocol 1 to 10.0.2.2 port 8080"),
    (packet(fragment=1), "a damaged packet or a fragment for 10.0.2.2"),
    (packet(fragment=0x2000), "a damaged packet or a fragment for 10.0.2.2"),
    (packet(first=0x44), "a damaged packet or a fragment for 10.0.2.2"),
    (packet(first=0x65), "not an IPv4 packet"),
    (packet()[:21], "a damaged packet or a fragment for 10.0.2.2"),
    (b"", "not an IPv4 packet"),
])
def test_everything_else_is_turned_away(body: bytes, why: str) -> None:
    gate = Gate(lambda: {8080})
    assert gate.from_caller(ppp.framed(ppp.IP, body)).to_provider == b""
    assert (gate.turned_away, gate.last_turned_away) == (1, why)


def test_the_ports_are_asked_at_every_packet() -> None:
    ports = {1}
    gate = Gate(lambda: ports)
    wire = ppp.framed(ppp.IP, packet())
    assert gate.from_caller(wire).to_provider == b""
    ports.add(8080)
    assert gate.from_caller(wire).to_provider == wire


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda body: ppp.framed(0x21, body)))))
def test_whatever_a_caller_sends_only_frames_for_the_server_pass(pieces: list[bytes]) -> None:
    gate = Gate(lambda: {8080})
    out = b"".join(gate.from_caller(piece).to_provider for piece in pieces)
    for frame in ppp.Deframer().feed(out):
        if frame.protocol == ppp.IP:
            assert frame.body[16:20] == HOST
        else:
            assert frame.protocol in (ppp.LCP, ppp.IPCP)
    assert b"00000" not in out or b"\x7e" in out  # no bare text, such as the five zeros that end slirp
