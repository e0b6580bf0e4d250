"""The provider's gate: what a caller may reach, and what slirp is spared. Pure.

slirp gives its caller far more than a provider should: a shell on the host (10.0.2.1), its own control port (10.0.2.0)
and every address the host can reach; it cannot be told not to. Therefore nothing passes this gate but

* LCP, and IPCP for addresses;
* IPv4 packets, whole ones, to 10.0.2.2 (the host's loopback): TCP to a port that is allowed at that moment, and pings.

What the gate does besides, because slirp does not:

* A caller's request for another protocol (IPv6, compression, encryption) is rejected in order. slirp ends the call or
  says nothing.
* slirp has no address of its own (it asks for 0.0.0.0) and waits for its caller to name one. The gate names 10.0.2.2.
* slirp's own request for compression goes no further: compressed packets could not be judged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from rrsim.backends.live.dialup import ppp

PROVIDER: Final = b"\x0a\x00\x02\x02"
PROVIDER_ADDRESS: Final = "10.0.2.2"
"""The host, as a caller sees it."""
_NO_ADDRESS: Final = (ppp.ADDRESS_OPTION, b"\0\0\0\0")
_TCP, _ICMP, _ECHO_REQUEST = 6, 1, 8
MOST_REJECTED_BYTES: Final = 256
"""So much of what is rejected is quoted; RFC 1661 asks for no more than fits."""


class Passed(msgspec.Struct, frozen=True):
    """What becomes of some bytes."""

    to_provider: bytes = b""
    to_caller: bytes = b""
    events: tuple[ppp.Event, ...] = ()


class Gate:
    """One call's gate. ``allowed`` is asked for the TCP ports at every packet, so that a server may move."""

    def __init__(self, allowed: Callable[[], Collection[int]]) -> None:
        """Nothing was sent yet."""
        self._allowed = allowed
        self._up, self._down = ppp.Deframer(), ppp.Deframer()
        self._watch = ppp.Watch()
        self._rejects = 0
        self.turned_away = 0
        """How many packets of the caller were for somewhere else."""
        self.last_turned_away = ""
        """What the latest of them was."""

    def from_caller(self, data: bytes) -> Passed:
        """Take what came up the line."""
        return self._pass(self._up.feed(data), "caller")

    def from_provider(self, data: bytes) -> Passed:
        """Take what the provider sends."""
        return self._pass(self._down.feed(data), "provider")

    def _pass(self, frames: list[ppp.Frame], side: ppp.Side) -> Passed:
        up, down = bytearray(), bytearray()
        events = []
        for frame in frames:
            to_provider, to_caller = self._caller_sent(frame) if side == "caller" else self._provider_sent(frame)
            up += to_provider
            down += to_caller
            if (event := self._watch.saw(side, frame)) is not None:
                events.append(event)
        return Passed(bytes(up), bytes(down), tuple(events))

    def _caller_sent(self, frame: ppp.Frame) -> tuple[bytes, bytes]:
        """Return what goes on to the provider and what the caller is answered."""
        match frame.protocol:
            case ppp.LCP | ppp.IPCP:
                return frame.wire, b""
            case ppp.IP:
                why_not = self._why_not(frame.body)
                if not why_not:
                    return frame.wire, b""
                self.turned_away += 1
                self.last_turned_away = why_not
                return b"", b""
            case _:
                quoted = struct.pack("!H", frame.protocol) + frame.body[:MOST_REJECTED_BYTES]
                self._rejects = self._rejects % 255 + 1
                return b"", ppp.framed(ppp.LCP, ppp.packet(ppp.PROTOCOL_REJECT, self._rejects, quoted))

    def _provider_sent(self, frame: ppp.Frame) -> tuple[bytes, bytes]:
        """Return what the provider is answered and what goes on to the caller."""
        match frame.protocol:
            case ppp.LCP | ppp.IP:
                return b"", frame.wire
            case ppp.IPCP:
                word = ppp.control(frame)
                if word is None or word.code != ppp.REQUEST or _NO_ADDRESS not in ppp.options(word.data):
                    return b"", frame.wire
                lent = bytes((ppp.ADDRESS_OPTION, 6)) + PROVIDER
                return ppp.framed(ppp.IPCP, ppp.packet(ppp.NAK, word.number, lent)), b""
            case _:
                return b"", b""

    def _why_not(self, packet: bytes) -> str:
        """Return why a packet may not pass; empty if it may."""
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return "not an IPv4 packet"
        header = (packet[0] & 15) * 4
        fragment = int.from_bytes(packet[6:8]) & 0x3FFF
        protocol, target = packet[9], packet[16:20]
        where = ".".join(map(str, target))
        if header < 20 or len(packet) < header + 4 or fragment:
            return f"a damaged packet or a fragment for {where}"
        if target != PROVIDER:
            return f"protocol {protocol} to {where}"
        if protocol == _ICMP and packet[header] == _ECHO_REQUEST:
            return ""
        port = int.from_bytes(packet[header + 2:header + 4])
        return "" if protocol == _TCP and port in self._allowed() else f"protocol {protocol} to {where} port {port}"
