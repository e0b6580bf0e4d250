"""The agent as a service, with normal restarts."""

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

SERVICE: Final = Model(
    name="service",
    about="Service mode, one restart by the representative, one misfortune of any kind at any time, the death of the "
    "desktop helper among them. The customer is asked before the restart and before the screen is shared again.",
    account=CAUTIOUS,
    mode="service",
    sharing=True,
    budget=ONE_OF_ANY,
    must_reach=(*RESTARTS, *ENDINGS, *CALAMITIES, *WINDOWS, "screen shared again"),
    left_out=("safe mode, two misfortunes together, a second restart", *LEFT_OUT),
)

SERVICE_SECOND: Final = Model(
    name="service-second-restart",
    about="Service mode, two restarts by the representative, each normal or into safe mode: into it, out of it, and "
    "from safe mode into safe mode.",
    mode="service",
    boot_modes=("normal", "safe"),
    budget=Budget(asks=2),
    must_reach=(*RESTARTS, *ENDINGS, *WINDOWS, "foreign boot", "safe mode boot"),
    left_out=("every misfortune, prompts, screen sharing and chat", *LEFT_OUT),
)

SERVICE_DEEP: Final = replace(
    SERVICE,
    name="service-deep",
    about="Service mode, two restarts by the representative, two misfortunes of any kind at any time.",
    nightly=True,
    budget=replace(TWO_OF_ANY, asks=2),
    left_out=("safe mode, three misfortunes together, a third restart", *LEFT_OUT),
)
