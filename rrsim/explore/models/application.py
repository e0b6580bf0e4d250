"""The application-mode agent and one restart, with one of each misfortune."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Budget, Model
from rrsim.protocol.settings import Account

APPLICATION: Final = Model(
    name="application",
    about="Application mode, one restart, one customer. The customer is asked before the restart.",
    account=Account(ask_before_restart=True),
    budget=Budget(asks=1, sudden=1, losses=1, troubles=1, foreign=1),
    must_reach=(
        "session expired", "resumed", "refused", "foreign boot", "late agent turned away", "undone", "cancelled",
        "session lost", "session ended", "reconnected", "ordered boot by another cause",
        "window opened by announcement", "window opened by disconnect",
    ),
)
