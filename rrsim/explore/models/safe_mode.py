"""The service-mode agent and one restart, normal or into safe mode, without misfortunes."""

from __future__ import annotations

from typing import Final

from rrsim.explore.model import Budget, Model
from rrsim.protocol.settings import Account

SAFE_MODE: Final = Model(
    name="safe mode",
    about="Service mode, one customer, one restart by the representative, normal or into safe mode, no misfortunes.",
    account=Account(),
    mode="service",
    boot_modes=("normal", "safe"),
    budget=Budget(asks=1),
    must_reach=(
        "session expired", "resumed", "refused", "foreign boot", "late agent turned away", "undone", "cancelled",
        "session lost", "session ended", "safe mode boot",
        "window opened by announcement", "window opened by disconnect",
    ),
    left_out=(
        "every misfortune, prompts, screen sharing and chat",
        "a restart out of safe mode into safe mode, a second restart ordered by the representative",
        "a boot flag that the owner set, security tools that block the flag or the key",
        "what the model named application leaves out, but for service mode and safe mode",
    ),
)  # fmt: skip
