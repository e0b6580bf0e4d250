"""PPP as far as a provider's gate has to read it: frames on a serial line, and who negotiated what. Pure.

RFC 1662 framing only (asynchronous, FCS-16), as every modem call uses. A frame that is damaged, too long or not a frame
at all is dropped, as any peer would.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

FLAG: Final = 0x7E
ESCAPE: Final = 0x7D
MOST_FRAME_BYTES: Final = 8 * 1024
"""No honest frame is longer, every byte escaped: 1500 bytes of packet and 8 of frame, doubled, and room."""

LCP: Final = 0xC021
IPCP: Final = 0x8021
IPV6CP: Final = 0x8057
CCP: Final = 0x80FD
IP: Final = 0x0021
PAP: Final = 0xC023
CHAP: Final = 0xC223

REQUEST, ACK, NAK, REJECT, TERMINATE, TERMINATE_ACK, CODE_REJECT, PROTOCOL_REJECT = range(1, 9)
"""Codes of the control protocols (RFC 1661 section 5)."""
ADDRESS_OPTION: Final = 3
"""IPCP: the sender's own address."""

_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_RIGHT: Final = 0x1D0F
"""What the checksum over a frame and its own checksum comes to (RFC 1662's 0xF0B8, mirrored)."""


class Frame(msgspec.Struct, frozen=True):
    """One frame that arrived whole."""

    protocol: int
    body: bytes
    wire: bytes
    """As it was on the line, flags included."""


class Control(msgspec.Struct, frozen=True):
    """A packet of a control protocol (LCP, IPCP …)."""

    code: int
    number: int
    """The identifier that an answer repeats."""
    data: bytes


def _sum(data: bytes) -> int:
    return binascii.crc_hqx(data.translate(_MIRRORED), 0xFFFF)


def framed(protocol: int, body: bytes) -> bytes:
    """Return a packet as a frame; every control character is escaped, which no peer may mind."""
    content = b"\xff\x03" + struct.pack("!H", protocol) + body
    checksum = _sum(content) ^ 0xFFFF
    content += bytes((_MIRRORED[checksum >> 8], _MIRRORED[checksum & 0xFF]))
    escaped = b"".join(
        bytes((ESCAPE, byte ^ 0x20)) if byte < 0x20 or byte in (FLAG, ESCAPE) else bytes((byte,)) for byte in content
    )
    return bytes((FLAG,)) + escaped + bytes((FLAG,))


def packet(code: int, number: int, data: bytes = b"") -> bytes:
    """Return the packet of a control protocol."""
    return struct.pack("!BBH", code, number, 4 + len(data)) + data


def control(frame: Frame) -> Control | None:
    """Read a control packet; None if it is none."""
    if len(frame.body) < 4:
        return None
    code, number, length = struct.unpack_from("!BBH", frame.body)
    if not 4 <= length <= len(frame.body):
        return None
    return Control(code, number, frame.body[4:length])


def options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the options of a Configure packet as (kind, value); ends at the first that is damaged."""
    at = 0
    while at + 2 <= len(data):
        kind, length = data[at], data[at + 1]
        if length < 2 or at + length > len(data):
            return
        yield kind, data[at + 2:at + length]
        at += length


class Deframer:
    """Cuts a stream of bytes into frames, however it was chopped up."""

    def __init__(self) -> None:
        """Begin outside any frame."""
        self._held = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return the frames that are complete with them, in order."""
        *ended, rest = data.split(bytes((FLAG,)))
        found = []
        for piece in ended:
            self._hold(piece)
            if not self._overlong and (frame := _read(bytes(self._held))) is not None:
                found.append(frame)
            self._held.clear()
            self._overlong = False
        self._hold(rest)
        return found

    def _hold(self, piece: bytes) -> None:
        self._held += piece
        if len(self._held) > MOST_FRAME_BYTES:
            self._overlong = True
            self._held.clear()


def _read(raw: bytes) -> Frame | None:
    content = _unescaped(raw)
    if content is None or len(content) < 4 or _sum(content) != _RIGHT:
        return None
    at = 2 if content.startswith(b"\xff\x03") else 0
    short = content[at] & 1 == 1
    end = len(content) - 2
    if end - at < (1 if short else 2):
        return None
    protocol = content[at] if short else content[at] << 8 | content[at + 1]
    flag = bytes((FLAG,))
    return Frame(protocol, content[at + (1 if short else 2):end], flag + raw + flag)


def _unescaped(raw: bytes) -> bytes | None:
    first, *rest = raw.split(bytes((ESCAPE,)))
    if not all(rest):  # an escape with nothing behind it: the frame was given up by its sender
        return None
    return first + b"".join(bytes((piece[0] ^ 0x20,)) + piece[1:] for piece in rest)


class LcpUp(msgspec.Struct, frozen=True):
    """Both ends agreed on the link: the modems hear each other."""


class NetworkUp(msgspec.Struct, frozen=True):
    """Both ends agreed on addresses: packets can pass."""

    address: str
    """The caller's."""


class Terminated(msgspec.Struct, frozen=True):
    """One end asked for the end of the link and the other agreed."""

    by: Literal["caller", "provider"]


Event = LcpUp | NetworkUp | Terminated
Side = Literal["caller", "provider"]


class Watch:
    """Follows the negotiation from outside: what both ends said is enough to know how far they are."""

    def __init__(self) -> None:
        """Begin with nothing agreed."""
        self._acked: set[tuple[int, Side]] = set()
        self._asked: dict[Side, bytes] = {}
        self._ends: Side | None = None
        self._lcp = self._network = self._over = False

    def saw(self, side: Side, frame: Frame) -> Event | None:
        """Take a frame that ``side`` sent; return what it brought about."""
        if frame.protocol not in (LCP, IPCP) or (word := control(frame)) is None:
            return None
        if frame.protocol == LCP and word.code == REQUEST:
            # Negotiation from the start, also in the middle of a call: everything above falls with it.
            self._acked -= {(LCP, _other(side)), (IPCP, "caller"), (IPCP, "provider")}
            self._lcp = self._network = False
        elif frame.protocol == LCP and word.code == TERMINATE:
            self._ends = self._ends or side
        elif frame.protocol == LCP and word.code == TERMINATE_ACK and self._ends not in (None, side):
            return self._finished()
        elif frame.protocol == IPCP and word.code == REQUEST:
            self._asked[side] = word.data
        elif word.code == ACK:
            return self._agreed(side, frame.protocol)
        return None

    def _finished(self) -> Terminated | None:
        assert self._ends is not None, "only called once an end was asked for"
        if self._over:
            return None
        self._over = True
        return Terminated(self._ends)

    def _agreed(self, side: Side, protocol: int) -> LcpUp | NetworkUp | None:
        self._acked.add((protocol, side))
        both = {(protocol, "caller"), (protocol, "provider")} <= self._acked
        if protocol == LCP and both and not self._lcp:
            self._lcp = True
            return LcpUp()
        if protocol == IPCP and both and not self._network:
            self._network = True
            address = dict(options(self._asked.get("caller", b""))).get(ADDRESS_OPTION, b"")
            return NetworkUp(".".join(map(str, address)))
        return None


def _other(side: Side) -> Side:
    return "provider" if side == "caller" else "caller"
