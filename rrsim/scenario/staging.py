"""What every stage decides alike, simulated or real: a session is as *given*, a PC has come to rest. Pure."""

from __future__ import annotations

from typing import Final

from rrsim.machine import observations as seen
from rrsim.protocol.settings import Account
from rrsim.scenario import director
from rrsim.scenario.model import Given
from rrsim.scenario.tracker import SessionTrack

STABLE: Final = frozenset({"off", "bios password", "bitlocker", "welcome", "desktop", "asleep"})
"""Phases in which a PC may stay for good: in every other one it is on its way somewhere."""


class NotPrepared(RuntimeError):
    """The session never came into the state that ``given`` describes."""


def as_given(given: Given, track: SessionTrack | None) -> bool:
    """Say whether a session is in the state that ``given`` describes; ``track`` is None before anything is known."""
    if track is None or not track.joined:
        return False
    if given.session != "active" or not given.rep.takes_session:
        return True
    shares = given.rep.shares_screen and given.kind == "standard"
    return track.taken and (track.sharing or not shares)


def begin(account: Account, decided: bool) -> director.Begin:
    """Return what the director is told when the steps begin under this account."""
    limit_us = account.restart_limit_us + account.resume_window_us
    gives_up_us = account.give_up_us or account.silence_us + account.resume_window_us
    return director.Begin(limit_us, decided, gives_up_us)


def given_up(wish: str) -> seen.StepImpossible:
    """Return what the history says of something a person waited for in vain: *what: what was missing for it*."""
    step, _, missing = wish.partition(": ")
    return seen.StepImpossible(step, f"{missing or 'it never became possible'}, until the steps were over")
