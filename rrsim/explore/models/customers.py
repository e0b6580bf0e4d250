"""Two customers, each with a PC and a session: what happens to one must not disturb the other."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from rrsim.explore.model import Budget, Model
from rrsim.explore.models.common import ENDINGS, LEFT_OUT, RESTARTS, WINDOWS

TWO_CUSTOMERS: Final = Model(
    name="two-customers",
    about="Two customers of one representative in application mode. One of the two is restarted, and one power cut, "
    "crash, death of a process, lost connection or restart from the start menu happens to either.",
    customers=2,
    budget=Budget(asks=1, faults=1, sudden=1, losses=1, foreign=1),
    must_reach=(*RESTARTS, *ENDINGS, *WINDOWS, "foreign boot", "reconnected"),
    left_out=("both restarted at once, prompts, screen sharing and chat", *LEFT_OUT),
)

TWO_CUSTOMERS_DEEP: Final = replace(
    TWO_CUSTOMERS,
    name="two-customers-deep",
    about="Two customers of one representative, two restarts of either or one of each, and one misfortune of either.",
    nightly=True,
    budget=Budget(asks=2, faults=1, sudden=1, losses=1, foreign=1),
    left_out=("prompts, screen sharing and chat", *LEFT_OUT),
)
