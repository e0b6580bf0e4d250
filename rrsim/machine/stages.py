"""Being *ready* after a restart: a chain of named stages, each with a wait and an error text of its own.

A port that answers is not readiness (rule 9): a new boot must be proved first, and Windows may still be configuring
updates behind an open port (BO-03). The stages are waited for in this order, and none is skipped.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import takewhile
from typing import Final, Literal

import msgspec

Stage = Literal["new boot", "transport answers", "servicing finished", "logon reached", "agent up"]

ORDER: Final[tuple[Stage, ...]] = (
    "new boot", "transport answers", "servicing finished", "logon reached", "agent up",
)
"""The stages in the order they are waited for."""

ABOUT: Final[dict[Stage, str]] = {
    "new boot": "two witnesses say that a new kernel runs; look at the host's reset events and at the console picture",
    "transport answers": "a remote shell opened since the new boot; look at the network and at delayed services",
    "servicing finished": "no update is being configured; look at the console picture for 'working on updates'",
    "logon reached": "the welcome screen or a desktop is up; look for a start-up secret or recovery on the console",
    "agent up": "an agent process runs in the new boot; look at autostart values, the service and who is signed in",
}
"""What each stage means, and where to look when it does not come."""


class StageOutOfOrder(ValueError):
    """A stage was reported before an earlier one: a witness is missing, or the machine is not what it seems."""


class StageNotReached(ValueError):
    """A stage did not come in time."""


class Progress(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """How far a machine has come back. ``last_seen`` is kept for the error text."""

    reached: tuple[Stage, ...] = ()
    last_seen: str = "nothing"

    @property
    def waiting_for(self) -> Stage | None:
        """The next stage, or nothing if the machine is ready."""
        return ORDER[len(self.reached)] if len(self.reached) < len(ORDER) else None

    @property
    def ready(self) -> bool:
        """Whether every stage was reached."""
        return self.waiting_for is None


def progress_of(reached: Collection[Stage]) -> Progress:
    """Return how far a machine has come that has reached these stages: what follows a gap does not count yet."""
    return Progress(tuple(takewhile(lambda stage: stage in reached, ORDER)))


def reach(progress: Progress, stage: Stage, seen: str = "") -> Progress:
    """Return the progress after ``stage`` was witnessed; a stage reached before changes nothing.

    Raises:
        StageOutOfOrder: an earlier stage has not been reached.
    """
    if stage in progress.reached:
        return progress
    if stage != progress.waiting_for:
        raise StageOutOfOrder(
            f"{stage!r} was reported while {progress.waiting_for!r} is still awaited; last seen: {progress.last_seen}; "
            f"{ABOUT[progress.waiting_for] if progress.waiting_for else ''}"
        )
    return Progress((*progress.reached, stage), seen or stage)


def note(progress: Progress, seen: str) -> Progress:
    """Return the progress with what was last seen while waiting, such as the answer of a poll."""
    return Progress(progress.reached, seen)


def not_reached(progress: Progress, waited_us: int) -> StageNotReached:
    """Return the error for a stage that did not come: what was awaited, how long, what was last seen, where to look."""
    stage = progress.waiting_for
    if stage is None:
        return StageNotReached("every stage was reached; nothing is awaited")
    done = ", ".join(progress.reached) or "none"
    return StageNotReached(
        f"waited {waited_us / 1_000_000:.1f} s for {stage!r}; reached: {done}; last seen: {progress.last_seen}; "
        f"{ABOUT[stage]}"
    )
