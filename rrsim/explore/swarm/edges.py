"""Times worth drawing: both sides of every deadline, and everything in between by orders of magnitude."""

from __future__ import annotations

from typing import Final

from rrsim.explore.swarm.chance import Chance
from rrsim.protocol.settings import Account
from rrsim.scenario.words import Duration

MS_US: Final = 1_000
SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US

BESIDE_US: Final = (-MINUTE_US, -SECOND_US, -MS_US, -1, 0, 1, MS_US, SECOND_US, MINUTE_US)
"""How far from a deadline: rule 1's half-open window is decided between -1 and 0."""


def beside(chance: Chance, name: str, deadline_us: int) -> Duration:
    """Return a time next to a deadline, before, at, or after it."""
    return Duration(max(1, deadline_us + chance.pick(name, BESIDE_US)))


def deadline(chance: Chance, name: str, account: Account) -> int:
    """Return one of the deadlines an account has."""
    return chance.pick(name, (
        account.resume_window_us, account.resume_window_us, account.resume_window_us, account.restart_limit_us,
        account.prompt_timeout_us, account.rep_grace_us, account.silence_us, account.heartbeat_us,
    ))  # fmt: skip


def outage(chance: Chance, name: str, account: Account) -> Duration:
    """Return how long something is away: short, anything, or next to a deadline."""
    match chance.below(name, 4):
        case 0:
            return Duration(chance.spread(name, SECOND_US, 30 * SECOND_US))
        case 1:
            return beside(chance, name, deadline(chance, name, account))
        case _:
            return Duration(chance.spread(name, SECOND_US, 20 * MINUTE_US))


def delay(chance: Chance, name: str) -> Duration:
    """Return a delay: none, or anything from a millisecond to eight minutes."""
    if chance.one_in(name, 3):
        return Duration(0)
    return Duration(chance.spread(name, MS_US, 8 * MINUTE_US))
