"""What several models share: the consent of a cautious account, misfortunes, and what every search leaves out."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Budget
from rrsim.protocol.settings import Account

CAUTIOUS: Final = Account(ask_before_restart=True, ask_before_sharing=True)
"""The customer is asked before the restart and before the screen is shared again."""

ONE_OF_ANY: Final = Budget(asks=1, faults=1, sudden=1, losses=1, failures=1, troubles=1, foreign=1, chats=1)
"""One restart, and one misfortune of any kind that every PC knows."""

TWO_OF_ANY: Final = Budget(asks=1, faults=2, sudden=2, losses=2, failures=2, troubles=1, foreign=2, chats=1)
"""One restart, and two misfortunes."""

LEFT_OUT: Final = (
    "every statement about durations: 9:59 and 10:00 are the simulator's affair",
    "a process that dies between two effects of one step (it may die between any two steps)",
    "calls to Windows that never return, an agent that gives up, signs of life (a dead connection is always noticed)",
    "a server that is killed, a representative's console that is lost, a transfer, a queued session",
    "another user at the logon, a wrong password, nobody at all, a locked desktop",
    "updates, installers and their dialogs, sleep, fast startup, programs that block the shutdown",
)
"""What no model has."""

ENDINGS: Final = ("session expired", "session lost", "session ended", "late agent turned away")
WINDOWS: Final = ("window opened by announcement", "window opened by disconnect")
RESTARTS: Final = ("resumed", "refused", "cancelled", "undone")
CALAMITIES: Final = ("foreign boot", "reconnected", "ordered boot by another cause")
"""What one misfortune of any kind must lead to."""
