"""One customer's Windows PC on Wine: a prefix of its own, a screen of its own, and a supervisor that holds the power.

What Wine lacks is provided by stand-ins, small C programs under ``c/``; each run lists those that took part.
"""

from rrsim.backends.live.wine.eyes import ControlCovered, ControlMissing
from rrsim.backends.live.wine.lease import reap
from rrsim.backends.live.wine.machine import WineMachine
from rrsim.backends.live.wine.parts import WineMissing
from rrsim.backends.live.wine.power import MachineFailed

__all__ = [
    "ControlCovered", "ControlMissing", "MachineFailed", "WineMachine", "WineMissing", "reap",
]
