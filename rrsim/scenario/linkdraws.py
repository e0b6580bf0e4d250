"""How long the way from a customer's PC to the session server takes for everything, modelled or relayed. Pure.

The simulator's network and the live link draw from these tables by the same names, so that a duration which a scenario
fixes by hand means the same in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LINE_RATE_BPS: Final = 33_600
"""Bits per second towards the server: the upstream rate of a V.90 modem (V.34)."""
LINE_RATE_DOWN_BPS: Final = 56_000
"""Bits per second towards the PC: the nominal downstream rate of a V.90 modem."""
TYPICAL_MESSAGE_BYTES: Final = 300
"""A protocol message with TLS and PPP framing, for the time it occupies the line."""
LINE_US: Final = TYPICAL_MESSAGE_BYTES * 8 * 1_000_000 // LINE_RATE_BPS

DIAL_DRAWS: Final[dict[str, tuple[int, int]]] = {
    # V.90 from off-hook to PPP takes 25-30 s (windows.md section 6); the three parts below add up to exactly that.
    "dial call": (7_000_000, 8_500_000),
    "dial training": (15_500_000, 17_500_000),
    "dial ppp": (2_500_000, 4_000_000),
    # Assumption: tone dialling plus some beats of the busy tone.
    "dial busy": (6_000_000, 10_000_000),
    # Assumption: a modem waits 2-5 s for the dial tone before it says NO DIALTONE.
    "dial no tone": (2_000_000, 5_000_000),
}
"""Named draws of a call: name to lowest and highest microseconds."""

NET_DRAWS: Final[dict[str, tuple[int, int]]] = {
    # One way to a server in the same country. Assumptions in the range of public access-network figures.
    "net latency lan": (8_000, 40_000),
    "net latency wifi": (12_000, 60_000),
    "net latency vpn": (20_000, 90_000),
    # Modem buffering of 100-180 ms plus the time a message occupies the line at LINE_RATE_BPS.
    "net latency dial-up": (100_000 + LINE_US, 180_000 + LINE_US),
    # TCP and TLS handshake: 3-4 round trips and two certificates (assumption; the latter cost 1 s at 33.6 kbit/s).
    "net connect": (80_000, 600_000),
    "net connect dial-up": (1_500_000, 3_000_000),
    # A refusal is one round trip; Windows retries it twice, half a second apart.
    "net refused": (50_000, 1_500_000),
    # Windows asks its name servers for about 10-12 s before it gives up (assumption for a dead name server).
    "net dns fails": (2_000_000, 12_000_000),
    # A SYN that nobody answers: Windows gives up after about 21 s; the agent's own limit is 20 s.
    "net timeout": (20_000_000, 20_000_000),
    # DHCP on a wired card: link negotiation and the four messages (assumption; NE-01 asks for more than zero).
    "net dhcp": (1_000_000, 5_000_000),
    # Wi-Fi: scan, association, keys, DHCP (assumption; NE-02 fixes other values by hand).
    "net wifi": (4_000_000, 15_000_000),
    # From the user's sign-in to the tunnel until it carries traffic (assumption).
    "net vpn tunnel": (2_000_000, 8_000_000),
    # Windows reports a lost medium at once, the socket fails a little later (assumption).
    "net notice": (500_000, 4_000_000),
    # FIN or reset on its way; above every latency, so that it overtakes no message.
    "net close": (100_000, 300_000),
    "net close dial-up": (300_000, 600_000),
    "net reset": (100_000, 1_000_000),
    "net reset dial-up": (300_000, 1_500_000),
    # Windows Time corrects a wrong clock after the network is there (assumption; NE-14).
    "net time sync": (5_000_000, 60_000_000),
    # A stall of unstated length.
    "net stall": (20_000_000, 20_000_000),
    # An outage of unstated length never ends by itself: this only serves a cable with a time to return.
    "net outage": (60_000_000, 60_000_000),
}
"""Named draws of the network: name to lowest and highest microseconds."""

DRAWS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({**NET_DRAWS, **DIAL_DRAWS})
"""Everything a live link draws."""
