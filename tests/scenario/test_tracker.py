"""The sessions' states, folded from server records."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.protocol.settings import Account
from rrsim.scenario.history import Header
from rrsim.scenario.tracker import HANDLERS, Tracker, customer_of_session, customer_of_source

S = "session-1"
REQUESTED = r.SessionRequested(S, "standard", Account())
TAKEN = r.SessionTaken(S, "rep-1")
JOINED = r.EndpointJoined(S, "machine-1", "windows", "service", "boot-1", "seal")
ASKED = r.RestartAsked(S, 1, "rep-1", "chat window", "normal", False)
SECOND = r.RestartAsked(S, 2, "rep-2", "tools menu", "normal", False)
GIVEN = r.OrderGiven(S, 1, "normal", False, "boot-1", "seal")
WINDOW = r.WindowOpened(S, 1, "announcement")
GONE = r.EndpointLost(S, "closed")
BACK = r.EndpointResumed(S, 1, "boot-2", "seal", False, "", "machine-1")
ACTIVE = (REQUESTED, TAKEN, JOINED)
AWAY = (*ACTIVE, ASKED, GIVEN, WINDOW, GONE)


def tracked(*records: Any) -> Tracker:
    tracker = Tracker()
    for number, record in enumerate(records):
        tracker.feed((number, "server", record, -1))
    return tracker


@pytest.mark.parametrize(
    ("records", "state", "open_restart"),
    [
        ((REQUESTED,), "queued", None),
        ((REQUESTED, JOINED), "queued", None),
        (ACTIVE, "active", None),
        ((*ACTIVE, r.SessionRequeued(S, "nobody")), "queued", None),
        ((*ACTIVE, r.SessionRequeued(S, "nobody"), r.SessionTransferred(S, "rep-2")), "active", None),
        ((*ACTIVE, GONE), "interrupted", None),
        ((*ACTIVE, GONE, r.WindowOpened(S, 0, "disconnect")), "interrupted", None),
        ((*ACTIVE, GONE, r.EndpointReconnected(S, "seal")), "active", None),
        ((*ACTIVE, ASKED), "active", 1),
        ((*ACTIVE, ASKED, r.RestartConfirmed(S, 1, "rep-1", "yes")), "active", 1),
        ((*ACTIVE, ASKED, r.RestartConfirmed(S, 1, "rep-1", "no")), "active", None),
        ((*ACTIVE, ASKED, r.RestartRefused(S, 1, "silence")), "active", None),
        ((*ACTIVE, ASKED, r.RestartCancelled(S, 1, "customer", "no")), "active", None),
        ((*ACTIVE, ASKED, GIVEN, r.OrderArmed(S, 1)), "active", 1),
        (AWAY, "rebooting", 1),
        ((*AWAY, SECOND, r.RestartRefused(S, 2, "under way")), "rebooting", 1),
        ((*ACTIVE, ASKED, SECOND, r.RestartRefused(S, 1, "no")), "active", 2),
        ((*ACTIVE, GONE, r.EndpointReconnected(S, "seal", restarting=True)), "active", None),
        ((*AWAY, r.EndpointReconnected(S, "seal", restarting=True)), "rebooting", 1),
        ((*AWAY, r.EndpointReconnected(S, "seal"), r.RestartUndone(S, 1, "blocked")), "active", None),
        ((*AWAY, r.WindowOffline(S, 1)), "offline", None),
        ((*AWAY, r.WindowOffline(S, 1), BACK), "active", None),
        ((*AWAY, BACK), "active", None),
        ((*AWAY, r.SessionExpired(S, 1)), "expired", None),
        ((*AWAY, r.SessionLost(S, "gone")), "lost", None),
        ((*AWAY, r.SessionEnded(S, "representative", "done")), "ended", None),
        ((*AWAY, r.SessionExpired(S, 1), BACK), "expired", None),
        ((*AWAY, r.SessionExpired(S, 1), r.SessionEnded(S, "server", "")), "expired", None),
    ],
)
def test_state_and_open_restart(records: tuple[Any, ...], state: str, open_restart: int | None) -> None:
    track = tracked(*records).sessions[S]
    assert (track.state, track.open_restart) == (state, open_restart)


def test_undecided_and_away() -> None:
    assert not tracked(*ACTIVE).undecided
    assert tracked(*ACTIVE, ASKED).undecided
    assert not tracked(*ACTIVE, ASKED).away
    assert tracked(*AWAY).away
    assert tracked(*ACTIVE, GONE).away
    over = tracked(*AWAY, r.SessionExpired(S, 1))
    assert not over.undecided
    assert not over.away


def test_sharing_ends_with_the_boot_and_comes_back_by_record() -> None:
    on = r.SharingChanged(S, True, "asked for")
    assert tracked(*ACTIVE, on).sessions[S].sharing
    assert not tracked(*ACTIVE, on, BACK).sessions[S].sharing
    assert tracked(*ACTIVE, on, BACK, on).sessions[S].sharing


def test_the_newest_session_of_a_customer() -> None:
    tracker = tracked(*ACTIVE, r.SessionRequested("session-1.2", "standard", Account()))
    assert tracker.latest[1].session == "session-1.2"
    assert [track.session for track in tracker.of_customer(1)] == [S, "session-1.2"]


def test_other_events_change_nothing() -> None:
    tracker = tracked(*ACTIVE)
    tracker.feed((9, "pc-1", seen.BootBegan("boot-2", False, "power"), -1))
    assert tracker.sessions[S].state == "active"
    assert seen.BootBegan not in HANDLERS


@pytest.mark.parametrize(
    ("session", "customer"), [("session-1", 1), ("session-12", 12), ("session-3.2", 3), ("S-77", 0), ("session-", 0)]
)
def test_whose_session_it_is_by_name(session: str, customer: int) -> None:
    assert customer_of_session(session) == customer


def test_whose_session_it_is_by_header() -> None:
    header = Header(scenario="x", backend="staging", seed=1, sessions=(("S-77", 2),))
    tracker = Tracker(header)
    tracker.feed((0, "server", r.SessionRequested("S-77", "standard", Account()), -1))
    assert tracker.latest[2].session == "S-77"


@pytest.mark.parametrize(("source", "customer"), [("pc-1", 1), ("wire-10", 10), ("server", 0), ("rep", 0)])
def test_whose_source_it_is(source: str, customer: int) -> None:
    assert customer_of_source(source) == customer
