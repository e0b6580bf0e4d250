"""Which state every session of a run is in, folded from the server's records.

The director asks while the run goes on (is a restart undecided, is somebody still away?), verdicts and checks ask
afterwards. Most history entries are no server record: for those :meth:`Tracker.feed` is one dict lookup.

The state is derived from four facts of a session -- taken, joined, connected, window open -- so that no order of
records can lead to a state nobody thought of. Once a session is over it stays over (I1 says what must not follow).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from rrsim.protocol import records as r
from rrsim.protocol.messages import AgentMode, Platform
from rrsim.protocol.settings import Account
from rrsim.scenario.history import Entry, Header
from rrsim.scenario.model import SessionEnd

_SESSION: Final = re.compile(r"session-(\d+)(?:\.\d+)?")
_SOURCE: Final = re.compile(r"[a-z]+-(\d+)")


@lru_cache(maxsize=4096)
def customer_of_source(source: str) -> int:
    """Return N for sources such as ``pc-N`` or ``wire-N``; 0 for sources that belong to no customer."""
    match = _SOURCE.fullmatch(source)
    return int(match.group(1)) if match else 0


@lru_cache(maxsize=4096)
def customer_of_session(session: str, mapping: tuple[tuple[str, int], ...] = ()) -> int:
    """Return the customer whose session this is; 0 if neither the mapping nor the name says.

    ``mapping`` is :attr:`rrsim.scenario.history.Header.sessions`. Without an entry there, ``session-N`` and
    ``session-N.k`` (the k-th session of that customer) belong to customer N.
    """
    for name, customer in mapping:
        if name == session:
            return customer
    match = _SESSION.fullmatch(session)
    return int(match.group(1)) if match else 0


class SessionTrack:
    """What the server's records say about one session so far."""

    __slots__ = (
        "account", "connected", "customer", "joined", "machine", "mode", "offline", "open_restarts", "order",
        "over", "over_us", "platform", "restarts", "session", "sharing", "taken", "window",
    )

    def __init__(self, session: str, customer: int) -> None:
        self.session = session
        self.customer = customer
        self.account = Account()
        self.taken = False
        self.joined = False
        self.connected = False
        self.window = False
        """The resume window of the open restart runs."""
        self.offline = False
        """The window ran out under a profile whose expiry is not final (EX-05)."""
        self.over: SessionEnd | None = None
        self.over_us = -1
        self.sharing = False
        self.platform: Platform = "windows"
        self.mode: AgentMode = "application"
        self.machine = ""
        self.restarts = 0
        """Highest restart number that was asked."""
        self.open_restarts: tuple[int, ...] = ()
        """The restarts without a verdict; more than one only if a server takes a second request meanwhile."""
        self.order: r.OrderGiven | None = None
        """The latest order."""

    @property
    def state(self) -> SessionEnd:
        """The state in the words of a scenario's ``expect: session``."""
        if self.over is not None:
            return self.over
        if self.offline:
            return "offline"
        if self.window:
            return "rebooting"
        if self.joined and not self.connected:
            return "interrupted"
        return "active" if self.taken else "queued"

    @property
    def open_restart(self) -> int | None:
        """The restart that has no verdict yet, if any: the one asked first."""
        return self.open_restarts[0] if self.open_restarts else None

    @property
    def live(self) -> bool:
        """The customer's machine joined and the session is not over."""
        return self.joined and self.over is None

    def __repr__(self) -> str:
        return f"SessionTrack({self.session!r}, state={self.state!r}, open_restart={self.open_restart!r})"


class Tracker:
    """All sessions of one run."""

    __slots__ = ("_mapping", "latest", "sessions")

    def __init__(self, header: Header | None = None) -> None:
        self._mapping = header.sessions if header is not None else ()
        self.sessions: dict[str, SessionTrack] = {}
        self.latest: dict[int, SessionTrack] = {}
        """The newest session of each customer."""

    def feed(self, entry: Entry) -> None:
        """Take one history entry into account; entries that are no server record change nothing."""
        handler = HANDLERS.get(type(entry[2]))
        if handler is not None:
            handler(self.track(entry[2].session), entry[0], entry[2])

    def track(self, session: str) -> SessionTrack:
        """Return the track of a session, new if this is the first that is heard of it."""
        track = self.sessions.get(session)
        if track is None:
            track = SessionTrack(session, customer_of_session(session, self._mapping))
            self.sessions[session] = track
            self.latest[track.customer] = track
        return track

    def of_customer(self, customer: int) -> tuple[SessionTrack, ...]:
        """Return all sessions of a customer, oldest first."""
        return tuple(track for track in self.sessions.values() if track.customer == customer)

    @property
    def settled(self) -> bool:
        """Neither :attr:`undecided` nor :attr:`away`. Asked after almost every record, so it builds no state names."""
        for t in self.sessions.values():
            if t.over is not None:
                continue
            if t.open_restarts:
                return False
            if not t.offline and (t.window or (t.joined and not t.connected)):
                return False
        return True

    @property
    def undecided(self) -> bool:
        """Whether some restart has no verdict yet and its session is not over."""
        return any(t.open_restarts and t.over is None for t in self.sessions.values())

    @property
    def away(self) -> bool:
        """Whether some session is rebooting or interrupted."""
        return any(t.state in ("rebooting", "interrupted") for t in self.sessions.values())


# --- what each record means -------------------------------------------------------------------------------------


def _requested(track: SessionTrack, _t: int, record: r.SessionRequested) -> None:
    track.account = record.account


def _taken(track: SessionTrack, _t: int, _record: r.Record) -> None:
    track.taken = True


def _requeued(track: SessionTrack, _t: int, _record: r.SessionRequeued) -> None:
    track.taken = False


def _joined(track: SessionTrack, _t: int, record: r.EndpointJoined) -> None:
    track.joined = track.connected = True
    track.platform, track.mode, track.machine = record.platform, record.mode, record.machine


def _endpoint_lost(track: SessionTrack, _t: int, _record: r.EndpointLost) -> None:
    track.connected = False


def _reconnected(track: SessionTrack, _t: int, record: r.EndpointReconnected) -> None:
    track.connected = True
    # Contact from the old boot ends a window only by stating that no restart is under way (rule 1).
    track.window = track.window and record.restarting


def _asked(track: SessionTrack, _t: int, record: r.RestartAsked) -> None:
    track.restarts = max(track.restarts, record.restart)
    _open(track, record.restart)


def _confirmed(track: SessionTrack, _t: int, record: r.RestartConfirmed) -> None:
    if record.answer != "yes":
        _close(track, record.restart)


def _given(track: SessionTrack, _t: int, record: r.OrderGiven) -> None:
    track.restarts = max(track.restarts, record.restart)
    _open(track, record.restart)
    track.order = record


def _window(track: SessionTrack, _t: int, record: r.WindowOpened) -> None:
    # A window without an open restart is that of a network loss: the session is interrupted, not rebooting (rule 3).
    track.window = record.restart in track.open_restarts


def _offline(track: SessionTrack, _t: int, record: r.WindowOffline) -> None:
    track.offline = True
    _close(track, record.restart)


def _resumed(track: SessionTrack, _t: int, record: r.EndpointResumed) -> None:
    track.connected = True
    track.window = track.offline = False
    track.sharing = False  # a new boot shows nothing until the server says so again (R9)
    _close(track, record.restart)


def _not_done(track: SessionTrack, _t: int, record: r.RestartRefused | r.RestartCancelled | r.RestartUndone) -> None:
    _close(track, record.restart)
    track.window = track.window and bool(track.open_restarts)


def _sharing(track: SessionTrack, _t: int, record: r.SharingChanged) -> None:
    track.sharing = record.on


def _expired(track: SessionTrack, t_us: int, _record: r.SessionExpired) -> None:
    _over(track, t_us, "expired")


def _lost(track: SessionTrack, t_us: int, _record: r.SessionLost) -> None:
    _over(track, t_us, "lost")


def _ended(track: SessionTrack, t_us: int, _record: r.SessionEnded) -> None:
    _over(track, t_us, "ended")


def _over(track: SessionTrack, t_us: int, how: SessionEnd) -> None:
    if track.over is None:
        track.over, track.over_us = how, t_us
    track.open_restarts = ()
    track.connected = track.window = track.offline = False


def _close(track: SessionTrack, restart: int) -> None:
    track.open_restarts = tuple(number for number in track.open_restarts if number != restart)


def _open(track: SessionTrack, restart: int) -> None:
    if restart not in track.open_restarts:
        track.open_restarts += (restart,)


Handler = Callable[[SessionTrack, int, Any], None]

HANDLERS: Final[dict[type[Any], Handler]] = {
    r.SessionRequested: _requested,
    r.SessionTaken: _taken,
    r.SessionTransferred: _taken,
    r.SessionRequeued: _requeued,
    r.EndpointJoined: _joined,
    r.EndpointLost: _endpoint_lost,
    r.EndpointReconnected: _reconnected,
    r.RestartAsked: _asked,
    r.RestartConfirmed: _confirmed,
    r.OrderGiven: _given,
    r.WindowOpened: _window,
    r.WindowOffline: _offline,
    r.EndpointResumed: _resumed,
    r.RestartRefused: _not_done,
    r.RestartCancelled: _not_done,
    r.RestartUndone: _not_done,
    r.SharingChanged: _sharing,
    r.SessionExpired: _expired,
    r.SessionLost: _lost,
    r.SessionEnded: _ended,
}
"""Record type -> what it changes. A record that is not listed changes no state."""
