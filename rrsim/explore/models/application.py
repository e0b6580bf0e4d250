"""The agent in application mode."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from rrsim.explore.model import Budget, Model
from rrsim.explore.models.common import (
    CALAMITIES,
    CAUTIOUS,
    ENDINGS,
    LEFT_OUT,
    ONE_OF_ANY,
    RESTARTS,
    TWO_OF_ANY,
    WINDOWS,
)

APPLICATION: Final = Model(
    name="application",
    about="Application mode, one restart by the representative, one misfortune of any kind at any time. The customer "
    "is asked before the restart and before the screen is shared again.",
    account=CAUTIOUS,
    sharing=True,
    budget=ONE_OF_ANY,
    must_reach=(*RESTARTS, *ENDINGS, *CALAMITIES, *WINDOWS, "screen shared again"),
    left_out=("two misfortunes together, a second restart ordered by the representative", *LEFT_OUT),
)

SECOND_RESTART: Final = Model(
    name="second-restart",
    about="Application mode, two restarts by the representative, safe mode forced among them, and one connection that "
    "is lost at any time.",
    boot_modes=("normal", "safe"),
    budget=Budget(asks=2, faults=1, losses=1),
    must_reach=(*RESTARTS, *ENDINGS, *WINDOWS, "reconnected"),
    left_out=("every other misfortune, prompts, screen sharing and chat", *LEFT_OUT),
)

TWO_MISFORTUNES: Final = replace(
    APPLICATION,
    name="application-deep",
    about="Application mode, two restarts by the representative, two misfortunes of any kind at any time.",
    nightly=True,
    budget=replace(TWO_OF_ANY, asks=2),
    left_out=("three misfortunes together, a third restart ordered by the representative", *LEFT_OUT),
)
