"""A Mac customer: the restart is not available, and forcing it is refused (R10, I8)."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Model
from rrsim.explore.models.common import CAUTIOUS, LEFT_OUT, ONE_OF_ANY

MAC: Final = Model(
    name="mac",
    about="A Mac customer, a restart that a representative forces at any time, one misfortune of any kind.",
    account=CAUTIOUS,
    platform="mac",
    sharing=True,
    budget=ONE_OF_ANY,
    must_reach=("refused", "foreign boot", "reconnected", "session lost", "session ended"),
    left_out=("two misfortunes together, a second forced restart", *LEFT_OUT),
)
