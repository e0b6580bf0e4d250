"""The application-mode agent and one restart, with one misfortune of any kind."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Budget, Model
from rrsim.protocol.settings import Account

APPLICATION: Final = Model(
    name="application",
    about="Application mode, one customer, one restart by the representative, one misfortune of any kind at any time. "
    "The customer is asked before the restart and before the screen is shared again.",
    account=Account(ask_before_restart=True, ask_before_sharing=True),
    sharing=True,
    budget=Budget(asks=1, faults=1, sudden=1, losses=1, failures=1, troubles=1, foreign=1, chats=1),
    must_reach=(
        "session expired", "resumed", "refused", "foreign boot", "late agent turned away", "undone", "cancelled",
        "session lost", "session ended", "reconnected", "ordered boot by another cause", "screen shared again",
        "window opened by announcement", "window opened by disconnect",
    ),
    left_out=(
        "two misfortunes in one run, and a second restart ordered by the representative",
        "service mode, safe mode, Mac customers, phone mode, dial-up, other profiles than the default one",
        "a second machine, a stolen ticket, a second endpoint, two customers",
        "a server that is killed, a representative's console that is lost, a transfer",
        "another user at the logon, a wrong password, nobody at all, a locked desktop",
        "updates, sleep, fast startup, programs that block the shutdown, a full disk, security tools",
        "a process that dies between two effects of one step (it may die between any two steps)",
        "an agent that gives up, calls to Windows that never return, messages that arrive twice",
        "every statement about durations: 9:59 and 10:00 are the simulator's affair",
    ),
)  # fmt: skip
