"""A caller's end of PPP, as little as slirp needs to bring a link up and carry one TCP connection attempt."""

from __future__ import annotations

import asyncio
import struct

from rrsim.backends.live.dialup import ppp
from rrsim.backends.live.dialup.line import ByteStream

PATIENCE_S = 15.0
HERE, HOST = bytes([10, 0, 2, 15]), bytes([10, 0, 2, 2])


class Peer:
    """It agrees to whatever the provider asks and wants only an address itself."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.heard: list[tuple[int, int, bytes]] = []
        """Protocol, code (0 for packets) and data of every frame."""
        self._reader = ppp.Deframer()

    def send(self, protocol: int, body: bytes) -> None:
        """Send one packet."""
        self.stream.write(ppp.framed(protocol, body))

    async def hears(self, protocol: int, code: int) -> bytes:
        """Wait for a packet of this kind; return its data. What the provider asks for is agreed to meanwhile."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := [packet for packet in self.heard if packet[:2] == (protocol, code)]):
                data = await self.stream.read(2_000)
                assert data, f"the line ended; heard so far: {self.heard}"
                for frame in self._reader.feed(data):
                    self._take(frame)
        self.heard.remove(found[0])
        return found[0][2]

    def _take(self, frame: ppp.Frame) -> None:
        word = ppp.control(frame) if frame.protocol in (ppp.LCP, ppp.IPCP) else None
        self.heard.append((frame.protocol, word.code if word else 0, word.data if word else frame.body))
        if word is not None and word.code == ppp.REQUEST:
            self.send(frame.protocol, ppp.packet(ppp.ACK, word.number, word.data))

    async def negotiate(self) -> None:
        """Bring the link up."""
        self.send(ppp.LCP, ppp.packet(ppp.REQUEST, 1))
        await self.hears(ppp.LCP, ppp.ACK)
        self.send(ppp.IPCP, ppp.packet(ppp.REQUEST, 1, b"\x03\x06" + HERE))
        await self.hears(ppp.IPCP, ppp.ACK)
        await self.hears(ppp.IPCP, ppp.REQUEST)

    def opens(self, target: bytes, port: int) -> None:
        """Send the first packet of a TCP connection (SYN)."""
        segment = struct.pack("!HHIIBBHHH", 40_000, port, 1, 0, 0x50, 2, 8_192, 0, 0)
        pseudo = HERE + target + struct.pack("!BBH", 0, 6, len(segment))
        segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 1, 0, 64, 6, 0, HERE, target)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        self.send(ppp.IP, head + segment)


def checksum(data: bytes) -> int:
    """The internet's checksum."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
