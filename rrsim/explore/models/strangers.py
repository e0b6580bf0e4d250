"""A second machine: with a copy of the saved ticket, or with the session's code (SE-01, SE-02, RE-05, rule 5)."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Budget, Model
from rrsim.explore.models.common import CALAMITIES, ENDINGS, LEFT_OUT, RESTARTS, WINDOWS

SECOND_MACHINE: Final = Model(
    name="second-machine",
    about="Application mode, one restart. A second machine copies the saved ticket and presents it at any later time, "
    "as itself or under the PC's name, or joins with the session's code; and one power cut, crash, death of a process "
    "or lost connection happens.",
    budget=Budget(asks=1, faults=2, strangers=1, sudden=1, losses=1),
    must_reach=(*RESTARTS, *ENDINGS, *CALAMITIES, *WINDOWS, "second machine turned away"),
    left_out=(
        "a machine that pretends to be the customer's PC after a new boot of its own: it has all that the PC has",
        "a second machine whose conversation takes time: its claim and the answer are one moment",
        "a copied live key", *LEFT_OUT,
    ),
)  # fmt: skip
