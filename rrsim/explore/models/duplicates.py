"""Messages that arrive twice: an order that is repeated restarts a PC once (IN-11)."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Budget, Model
from rrsim.explore.models.common import CAUTIOUS, ENDINGS, LEFT_OUT, RESTARTS, WINDOWS

DUPLICATES: Final = Model(
    name="duplicates",
    about="Application mode, one restart, and any two messages inside the session arrive twice in a row. The customer "
    "is asked before the restart and before the screen is shared again.",
    account=CAUTIOUS,
    sharing=True,
    budget=Budget(asks=1, faults=2, duplicates=2),
    must_reach=(*RESTARTS, *ENDINGS, *WINDOWS, "foreign boot", "screen shared again"),
    left_out=(
        "a greeting or a claim that arrives twice: a connection keeps order, and these come once on each",
        "every other misfortune", *LEFT_OUT,
    ),
)  # fmt: skip
