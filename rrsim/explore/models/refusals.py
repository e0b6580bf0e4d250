"""Windows refuses: a security tool denies what touches one thing of ours, or the disk is full (SE-10, rule 8)."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from rrsim.explore.model import Budget, Model
from rrsim.explore.models.common import ENDINGS, LEFT_OUT, RESTARTS, WINDOWS

REFUSALS: Final = Model(
    name="refusals",
    about="Application mode, one restart. From any moment on the disk is full or a security tool denies what touches "
    "the ticket or the autostart entry; and one power cut, crash, death of a process, lost connection or restart from "
    "the start menu happens. Faults stop before anything is judged.",
    denied=("ticket", "autostart"),
    budget=Budget(asks=1, faults=2, refusals=1, sudden=1, losses=1, foreign=1),
    must_reach=(*RESTARTS, *ENDINGS, *WINDOWS, "foreign boot", "reconnected"),
    left_out=("a tool that denies silently, or removes things", "prompts, screen sharing and chat", *LEFT_OUT),
)

SERVICE_REFUSALS: Final = replace(
    REFUSALS,
    name="service-refusals",
    about="Service mode, one restart into safe mode. From any moment on the disk is full or a security tool denies "
    "what touches the ticket, the SafeBoot key or the boot flag. Faults stop before anything is judged.",
    mode="service",
    boot_modes=("safe",),
    denied=("ticket", "safe boot key", "boot flag"),
    budget=Budget(asks=1, faults=1, refusals=1),
    must_reach=(*RESTARTS, *ENDINGS, *WINDOWS, "foreign boot", "safe mode boot"),
    left_out=(
        "a tool that denies silently, or that removes things",
        "every other misfortune, prompts, screen sharing and chat", *LEFT_OUT,
    ),
)  # fmt: skip

SERVICE_REFUSALS_DEEP: Final = replace(
    SERVICE_REFUSALS,
    name="service-refusals-deep",
    about="Service mode, one restart, normal or into safe mode; refusals as in service-refusals, and one power cut, "
    "crash, death of a process or lost connection.",
    nightly=True,
    boot_modes=("normal", "safe"),
    budget=Budget(asks=1, faults=2, refusals=1, sudden=1, losses=1),
)
