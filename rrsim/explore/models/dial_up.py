"""Dial-up: the internet is a telephone call, which the customer makes by hand after the restart (R12)."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Model
from rrsim.explore.models.common import CALAMITIES, ENDINGS, LEFT_OUT, ONE_OF_ANY, RESTARTS, WINDOWS

DIAL_UP: Final = Model(
    name="dial-up",
    about="Dial-up in application mode, one restart, one misfortune of any kind; a lost carrier takes the place of a "
    "lost connection, and somebody has to dial again.",
    dial_up=True,
    budget=ONE_OF_ANY,
    must_reach=(*RESTARTS, *ENDINGS, *CALAMITIES, *WINDOWS),
    left_out=(
        "a line that is engaged or dead, a customer who never dials (the window may end before they do)",
        "two misfortunes together, a second restart", *LEFT_OUT,
    ),
)  # fmt: skip
