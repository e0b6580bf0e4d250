"""Phone mode: the customer may cancel the reconnect (R11)."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from rrsim.explore.model import Model
from rrsim.explore.models.common import CALAMITIES, ENDINGS, LEFT_OUT, ONE_OF_ANY, RESTARTS, WINDOWS
from rrsim.protocol.settings import Account

PHONE: Final = Model(
    name="phone-mode",
    about="Phone mode in application mode, one restart, one misfortune of any kind or the customer's cancelling.",
    account=Account(phone_mode=True),
    budget=replace(ONE_OF_ANY, cancels=1),
    must_reach=(*RESTARTS, *ENDINGS, *CALAMITIES, *WINDOWS, "reconnect cancelled"),
    left_out=("a misfortune and a cancelled reconnect together, a second restart", *LEFT_OUT),
)

PHONE_DEEP: Final = replace(
    PHONE,
    name="phone-mode-deep",
    about="Phone mode in service mode, one restart, and two of: misfortunes of any kind, the customer's cancelling.",
    nightly=True,
    mode="service",
    budget=replace(ONE_OF_ANY, faults=2, cancels=1),
    left_out=("three misfortunes together, a second restart", *LEFT_OUT),
)
