"""The people around a support session: the customer, the representative, and strangers.

Each is a pure step function. What they do by themselves follows their habits (``given`` of a scenario); what a
scenario's steps make them do they do as soon as they can, and what they still wait for can be read off their state.
"""

from __future__ import annotations

from typing import Final

DRAWS: Final[dict[str, tuple[int, int]]] = {
    # Reading a short question and clicking: assumption in the range of published reaction times to dialogs.
    "customer reacts": (1_500_000, 8_000_000),
    # From the welcome screen: coming back to the PC and typing a password (assumption; fixed by hand in scenarios).
    "customer logs on": (5_000_000, 40_000_000),
    "customer types again": (3_000_000, 10_000_000),
    # From a usable desktop: finding the dial-up icon (assumption; R12 says by hand).
    "customer dials": (5_000_000, 30_000_000),
    "customer redials": (5_000_000, 20_000_000),
    "customer types secret": (5_000_000, 30_000_000),
    "customer logs in to portal": (10_000_000, 40_000_000),
    "customer starts vpn": (5_000_000, 30_000_000),
    # A representative waits for the question and answers quickly (assumption).
    "rep reacts": (800_000, 4_000_000),
}
"""Named draws of people: name to lowest and highest microseconds. All are assumptions; no source measures them."""
