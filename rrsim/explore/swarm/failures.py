"""What of a run's judgement is a failure of a swarm, and which of the failures are understood.

The ordinary checks judge a random run like any scenario. Two things are different: a plan may hold steps that never
become possible, which says nothing about the product; and after the faults have stopped, *liveness* is demanded of
every session, which a scenario's author states as an expectation instead.
"""

from __future__ import annotations

from typing import Final

import msgspec

from rrsim.explore.swarm.known import KNOWN
from rrsim.machine import observations as seen
from rrsim.protocol import records
from rrsim.protocol.messages import EndSession
from rrsim.scenario.accounts import account_of
from rrsim.scenario.history import Entry
from rrsim.scenario.ids import INVARIANTS
from rrsim.scenario.result import RunResult

IMPOSSIBLE: Final = "step impossible"
"""Cause of a check about a step that never became possible."""
LIVENESS: Final = "liveness"
HARNESS: Final = "harness"
NOT_BACK: Final = "not back after healing"


class Failure(msgspec.Struct, frozen=True, gc=False, order=True):
    """One reason why a run did not pass; runs with the same ``check``, ``cause`` and ``known`` belong together."""

    check: str
    """``I1`` … ``I13``, ``liveness``, ``harness``, or what could not be told."""
    cause: str
    sure: bool = True
    """False: rrsim could not tell, which is no failure of the product."""
    known: str = ""
    """Where it is explained, such as ``SM-15``; empty: nobody has."""

    @property
    def title(self) -> str:
        """The words above the group."""
        return f"{self.check}: {self.cause}"

    @property
    def invariant(self) -> bool:
        """Whether a scenario can expect it as a broken invariant."""
        return self.check in INVARIANTS


def failures(result: RunResult) -> tuple[Failure, ...]:
    """Return every different reason why a run did not pass, in a stable order; empty: it did."""
    found = set()
    if result.outcome == "error":
        kind, _, message = result.reason.partition(":")
        found.add(Failure(HARNESS, _plain(f"{kind}:{message}")))
    for check in result.checks:
        if check.outcome == "passed" or check.cause == IMPOSSIBLE:
            continue
        name = "verdict" if check.check.startswith("verdict ") else check.check
        found.add(Failure(name, check.cause, sure=check.outcome == "failed"))
    away = not_back(result)
    if away:
        found.add(Failure(LIVENESS, NOT_BACK))
    if not found:
        return ()
    return tuple(sorted(_explained(one, result) for one in found))


def _explained(failure: Failure, result: RunResult) -> Failure:
    for known in KNOWN:
        if (known.check, known.cause) == (failure.check, failure.cause) and known.applies(result):
            return msgspec.structs.replace(failure, known=known.where)
    return failure


def _plain(text: str) -> str:
    """Leave numbers out of an error's text, so that the same error of two runs reads the same."""
    line = text.partition("\n")[0]
    return "".join("#" if c.isdigit() else c for c in line)[:120]


_SLACK_US: Final = 30_000_000
"""As for a verdict (I9)."""
_BACK: Final = frozenset({
    records.EndpointJoined, records.EndpointResumed, records.EndpointReconnected, records.WindowOffline,
})  # fmt: skip


def not_back(result: RunResult) -> tuple[str, ...]:
    """Return the sessions that were neither connected nor over when the harness began to wind down.

    By then every fault had been taken back, and the time was up that a restart may take: each session has to be back,
    or known to be over. A customer who never got into a session is not away from it. A
    server that is told nothing has to notice the silence first: where the run left it no time for that, nothing is
    demanded.
    """
    if result.history is None:
        return ()
    entries = result.history.entries
    account = account_of(result.scenario.given)
    takes_us = account.silence_us + account.resume_window_us + _SLACK_US
    left: list[tuple[int, str]] = []
    for at in range(len(entries) - 1, -1, -1):
        t_us, _, event, cause = entries[at]
        kind = type(event)
        if kind is seen.Healed:
            left = [(end, session) for end, session in left if entries[end][0] - t_us >= takes_us]
            break
        if kind is records.SessionEnded and cause >= 0 and type(entries[cause][2]) is EndSession:
            left.append((at, event.session))
    return tuple(session for at, session in left if _away(entries, at, session))


def _away(entries: list[Entry], before: int, session: str) -> bool:
    for at in range(before - 1, -1, -1):
        event = entries[at][2]
        kind = type(event)
        if kind is records.EndpointLost:
            if event.session == session:
                return True
        elif kind in _BACK and event.session == session:
            return False
    return False
