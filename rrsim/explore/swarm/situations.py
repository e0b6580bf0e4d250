"""Situations that a big swarm must reach: what a run came to, told from its history and its restarts.

A swarm that never sees the window run out proves nothing about expiry. So every situation is counted, and a report
names those that never occurred.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from rrsim.backends.sim.runner import BACKEND
from rrsim.machine import observations as seen
from rrsim.protocol import records
from rrsim.scenario.accounts import account_of
from rrsim.scenario.history import Entry
from rrsim.scenario.kinds import NET_ACTIONS
from rrsim.scenario.model import Loss, VerdictName
from rrsim.scenario.result import RunResult
from rrsim.scenario.tracker import customer_of_session, customer_of_source
from rrsim.scenario.vocabulary import EVENT_TYPES

_SECOND_US: Final = 1_000_000

_CONDITIONS: Final[dict[str, str]] = {
    "back in the last second of the window": "an agent resumed less than a second before the window ran out",
    "turned away within a second of the end": "an agent came back less than a second after its session had expired",
    "two boots in one window": "a second new boot before the agent was back",
    "expired while the PC was off": "the window ran out and no boot had begun since the PC went down",
    "ended by the representative while away": "the representative ended the session while the PC restarted",
    "the server restarted inside a window": "the session server was killed while a window ran",
    "resumed in safe mode": "an agent resumed from a boot into safe mode",
    "resumed over dial-up": "an agent resumed after the customer had dialled",
    "fault between two effects of the agent": "something happened right before one effect of the agent",
    "a fault while the window ran": "the network was disturbed while a window ran",
    "foreign restart resumed by the profile": "a restart nobody ordered resumed where the account allows it",
    "resumed after the window by the profile": "a late agent resumed where expiry is not final",
    "asleep through a deadline": "a PC woke after its session was over",
    "several sessions restarted": "restarts of more than one customer in one run",
    "three restarts of one session": "one session had three or more restarts",
}
"""Situations beyond single events and verdicts, with what they mean."""

_VERDICTS: Final = tuple(f"verdict {name}" for name in get_args(VerdictName) if name != "unknown")
_LOSSES: Final = tuple(f"loss: {name}" for name in get_args(Loss))
NOT_HERE: Final = frozenset({"secret seen"})
"""Events that no run without a broken agent shows."""
_EVENTS: Final = {
    kind: f"event: {name}" for name, kind in EVENT_TYPES.items() if name not in NOT_HERE
}

MUST_REACH: Final[tuple[str, ...]] = (*_CONDITIONS, *_VERDICTS, *_LOSSES, *sorted(_EVENTS.values()))
"""Everything that must occur in a big run, in the order of the report."""
MEANINGS: Final = _CONDITIONS

_RECORDS: Final = frozenset({
    records.WindowOpened, records.EndpointResumed, records.ClaimRejected, records.SessionExpired,
    records.SessionEnded, records.SessionLost, records.RestartUndone, records.RestartRefused, records.RestartCancelled,
})  # fmt: skip
_MACHINE: Final = frozenset({seen.BootBegan, seen.WentDown, seen.WokeUp})
_FAULTS: Final = frozenset(NET_ACTIONS)


def reached(result: RunResult) -> set[str]:
    """Return the situations of :data:`MUST_REACH` that a run reached."""
    history = result.history
    if history is None or result.backend != BACKEND:
        return set()
    kinds = {type(entry[2]) for entry in history.entries}
    found = {_EVENTS[kind] for kind in kinds if kind in _EVENTS}
    restarts: dict[str, int] = {}
    for restart in result.restarts:
        if restart.verdict != "unknown":
            found.add(f"verdict {restart.verdict}")
        found.update(f"loss: {loss}" for loss in restart.losses)
        restarts[restart.session] = restarts.get(restart.session, 0) + 1
        if restart.kind == "foreign" and restart.verdict in {"resumed", "degraded"}:
            found.add("foreign restart resumed by the profile")
    if len(restarts) > 1:
        found.add("several sessions restarted")
    if restarts and max(restarts.values()) > 2:
        found.add("three restarts of one session")
    if not kinds.isdisjoint(_RECORDS):
        _walk(history.entries, result, found)
    return found


class _Customer:
    """What the walk knows of one customer's side."""

    __slots__ = ("boots", "cancelled_us", "down", "expired_us", "opened_us", "over")

    def __init__(self) -> None:
        self.opened_us = self.expired_us = self.cancelled_us = -1
        self.boots = 0
        self.down = self.over = False


def _walk(entries: list[Entry], result: RunResult, found: set[str]) -> None:
    """Look at the order of events: which of them fell into a window, and how close to its end."""
    given = result.scenario.given
    window_us = account_of(given).resume_window_us
    everybody = [_Customer() for _ in range(given.customers + 1)]
    for t_us, source, event, cause in entries:
        kind = type(event)
        if kind in _RECORDS:
            one = everybody[customer_of_session(event.session)]
            _server(one, t_us, event, window_us, found)
            if kind is records.EndpointResumed and given.pc.network == "dial-up":
                found.add("resumed over dial-up")
        elif kind in _MACHINE:
            _machine(everybody[customer_of_source(source)], event, found)
        elif kind is seen.ServerDown or kind in _FAULTS:
            runs = any(one.opened_us >= 0 for one in everybody)
            found.update({_IN_A_WINDOW[kind is seen.ServerDown]} if runs else ())
        if source == "director" and cause >= 0 and type(entries[cause][2]) is seen.AgentDoes:
            found.add("fault between two effects of the agent")


_IN_A_WINDOW: Final = ("a fault while the window ran", "the server restarted inside a window")


def _server(one: _Customer, t_us: int, event: Any, window_us: int, found: set[str]) -> None:
    kind = type(event)
    if kind is records.WindowOpened:
        if event.reason != "continued" or one.opened_us < 0:
            one.opened_us = t_us
        one.boots = 0
        return
    if kind is records.ClaimRejected:
        if one.expired_us >= 0 and event.what == "resume" and t_us - one.expired_us < _SECOND_US:
            found.add("turned away within a second of the end")
        return
    if kind is records.EndpointResumed:
        if one.opened_us >= 0 and 0 < one.opened_us + window_us - t_us < _SECOND_US:
            found.add("back in the last second of the window")
        if event.late:
            found.add("resumed after the window by the profile")
        if event.safe_mode:
            found.add("resumed in safe mode")
    elif kind is records.SessionExpired:
        one.expired_us = t_us
        if one.down:
            found.add("expired while the PC was off")
    elif kind is records.SessionEnded and event.by == "representative" and (
        one.opened_us >= 0 or one.cancelled_us == t_us
    ):
        found.add("ended by the representative while away")
    elif kind is records.RestartCancelled and one.opened_us >= 0:
        one.cancelled_us = t_us
    one.over = one.over or kind in _ENDS
    one.opened_us = -1


_ENDS: Final = frozenset({records.SessionExpired, records.SessionEnded, records.SessionLost})


def _machine(one: _Customer, event: Any, found: set[str]) -> None:
    kind = type(event)
    one.down = kind is seen.WentDown
    if kind is seen.BootBegan and one.opened_us >= 0:
        one.boots += 1
        if one.boots == 2:
            found.add("two boots in one window")
    elif kind is seen.WokeUp and one.over and event.how == "sleep":
        found.add("asleep through a deadline")
