"""The agent as a service, and restarts into safe mode with networking."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from rrsim.explore.model import Budget, Model
from rrsim.explore.models.common import ENDINGS, LEFT_OUT, RESTARTS, WINDOWS

_REACHED: Final = (*RESTARTS, *ENDINGS, *WINDOWS, "foreign boot", "safe mode boot")

SAFE_MODE: Final = Model(
    name="safe-mode",
    about="Service mode, one restart by the representative, normal or into safe mode, no misfortunes.",
    mode="service",
    boot_modes=("normal", "safe"),
    budget=Budget(asks=1),
    must_reach=_REACHED,
    left_out=(
        "every misfortune, prompts, screen sharing and chat", "a second restart ordered by the representative",
        "a boot flag that the owner set", *LEFT_OUT,
    ),
)  # fmt: skip

SAFE_MODE_CUT_SHORT: Final = replace(
    SAFE_MODE,
    name="safe-mode-cut-short",
    about="Service mode, one restart into safe mode, and one power cut, crash, death of a process, lost connection or "
    "restart from the start menu at any time.",
    boot_modes=("safe",),
    budget=Budget(asks=1, faults=1, sudden=1, losses=1, foreign=1),
    must_reach=(*_REACHED, "reconnected", "ordered boot by another cause"),
    left_out=(
        "two misfortunes together, prompts, screen sharing and chat", "a second restart ordered by the representative",
        "a boot flag that the owner set", *LEFT_OUT,
    ),
)  # fmt: skip

SAFE_MODE_DEEP: Final = replace(
    SAFE_MODE_CUT_SHORT,
    name="safe-mode-deep",
    about="Service mode, two restarts by the representative, normal or into safe mode, and two misfortunes.",
    nightly=True,
    boot_modes=("normal", "safe"),
    budget=Budget(asks=2, faults=2, sudden=2, losses=2, failures=1, troubles=1, foreign=2),
    left_out=(
        "three misfortunes together, prompts, screen sharing and chat", "a third restart ordered by the representative",
        "a boot flag that the owner set", *LEFT_OUT,
    ),
)  # fmt: skip
