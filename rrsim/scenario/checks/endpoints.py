"""I1, I2, I3: who may be in a session, and how often."""

from __future__ import annotations

from typing import ClassVar, Final

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.protocol.settings import CLAIM_US
from rrsim.scenario.checks.base import Check, Context, Hears, clock

_WORD: Final = {r.EndpointJoined: "joined", r.EndpointResumed: "resumed", r.EndpointReconnected: "reconnected to"}


class NothingAfterTheEnd(Check):
    """I1: nothing resumes a session that expired, ended or was lost, or one whose window has run out (rule 1), or one
    that the customer left before the restart (R5, rule 12)."""

    __slots__ = ("_window",)
    name: ClassVar[str] = "I1"
    needs: ClassVar[tuple[str, ...]] = ("server",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._window: dict[str, int] = {}
        """Session -> when its open window began."""

    def _opened(self, _at: int, t_us: int, _source: str, record: r.WindowOpened) -> None:
        if record.reason == "continued":
            self._window.setdefault(record.session, t_us)
        else:
            self._window[record.session] = t_us

    def _closed(
        self, _at: int, _t: int, _source: str, record: r.RestartUndone | r.RestartRefused | r.RestartCancelled
    ) -> None:
        self._window.pop(record.session, None)

    def _entered(
        self, at: int, t_us: int, _source: str, record: r.EndpointJoined | r.EndpointResumed | r.EndpointReconnected
    ) -> None:
        track = self.context.tracker.track(record.session)
        what = _WORD[type(record)]
        if track.over is not None:
            self.fail(
                at,
                f"{what} a session that is {track.over}",
                f"expected nobody to get into {record.session} after it was {track.over} at {clock(track.over_us)}; "
                f"seen: an endpoint {what} it at {clock(t_us)}; check how the server refuses late claims",
            )
        opened = self._window.get(record.session)
        if type(record) is r.EndpointJoined or opened is None:
            return
        account = track.account
        late = isinstance(record, r.EndpointResumed) and record.late
        if account.expiry_final and not late:
            limit = opened + account.resume_window_us + (CLAIM_US if account.window_closes == "connected" else 0)
            if t_us >= limit + self.context.slack_us:
                self.fail(
                    at,
                    "resumed after the window",
                    f"expected {record.session} to be expired from {clock(limit)} on (rule 1: the deadline wins); "
                    f"seen: an endpoint {what} it at {clock(t_us)}; check the window's comparison and its clock",
                )
        if not (isinstance(record, r.EndpointReconnected) and record.restarting):
            del self._window[record.session]

    def _resumed(self, at: int, t_us: int, source: str, record: r.EndpointResumed) -> None:
        self._entered(at, t_us, source, record)
        track = self.context.tracker.track(record.session)
        pc = self.context.verdicts.pcs.get(track.customer)
        if pc is not None and pc.boot_at > pc.leave_at > pc.joined_at >= 0:
            self.fail(
                at,
                "resumed although the customer left",
                f"expected no way back into {record.session}: the customer confirmed closing the chat window before "
                f"the boot; seen: resumed at {clock(t_us)}; check that a confirmed close voids the ticket (rule 12)",
            )

    def _revived(
        self, at: int, t_us: int, _source: str, record: r.SessionTaken | r.SessionTransferred | r.OrderGiven
    ) -> None:
        track = self.context.tracker.track(record.session)
        if track.over is not None:
            self.fail(
                at,
                f"{track.over} session goes on",
                f"expected nothing more in {record.session} after it was {track.over} at {clock(track.over_us)}; seen: "
                f"{type(record).__struct_config__.tag!r} recorded at {clock(t_us)}; check what may still touch it",
            )

    hears: ClassVar[Hears] = {
        r.SessionTaken: _revived,
        r.SessionTransferred: _revived,
        r.OrderGiven: _revived,
        r.WindowOpened: _opened,
        r.RestartUndone: _closed,
        r.RestartRefused: _closed,
        r.RestartCancelled: _closed,
        r.EndpointJoined: _entered,
        r.EndpointReconnected: _entered,
        r.EndpointResumed: _resumed,
    }


class TicketOnce(Check):
    """I2: a ticket resumes at most once, only for an order that stands, and only on its own machine; and nobody but its
    owner ever gets to read it (rule 5)."""

    __slots__ = ("_dead", "_given", "_loosened", "_spent")
    name: ClassVar[str] = "I2"
    needs: ClassVar[tuple[str, ...]] = ("server",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._given: set[tuple[str, int]] = set()
        self._spent: dict[tuple[str, int], int] = {}
        self._dead: dict[tuple[str, int], int] = {}
        self._loosened: set[str] = set()

    def _ordered(self, _at: int, _t: int, _source: str, record: r.OrderGiven) -> None:
        self._given.add((record.session, record.restart))

    def _voided(
        self, _at: int, t_us: int, _source: str, record: r.RestartUndone | r.RestartRefused | r.RestartCancelled
    ) -> None:
        self._dead.setdefault((record.session, record.restart), t_us)

    def _resumed(self, at: int, t_us: int, _source: str, record: r.EndpointResumed) -> None:
        key = (record.session, record.restart)
        track = self.context.tracker.track(record.session)
        head = f"restart {record.restart} of {record.session}"
        if track.machine and record.machine != track.machine:
            self.fail(
                at,
                "ticket accepted from another machine",
                f"expected {head} to be resumed by {track.machine} only; seen: {record.machine} at {clock(t_us)}; "
                "check that the ticket is bound to its machine (rule 5)",
            )
        if record.restart == 0:
            return  # a stand-by ticket: each is minted anew and has no number of its own
        if key in self._spent:
            self.fail(
                at,
                "ticket accepted twice",
                f"expected the ticket of {head} to be worthless after {clock(self._spent[key])}; seen: accepted again "
                f"at {clock(t_us)}; check that resuming spends it (SE-01)",
            )
        elif key in self._dead:
            self.fail(
                at,
                "void ticket accepted",
                f"expected the ticket of {head} to be void since {clock(self._dead[key])}, when the restart was taken "
                f"back; seen: accepted at {clock(t_us)}; check that taking a restart back destroys its ticket",
            )
        elif key not in self._given:
            self.fail(
                at,
                "ticket never given",
                f"expected an order before {head} resumes; seen: none, resumed at {clock(t_us)}; "
                "check which restart a ticket is matched with",
            )
        self._spent.setdefault(key, t_us)

    def _tampered(self, _at: int, _t: int, source: str, event: seen.MachineTampered) -> None:
        if any(word in event.what.lower() for word in ("ticket", "record", "readable")):
            self._loosened.add(source)

    def _exposed(self, at: int, t_us: int, source: str, event: seen.SecretSeen) -> None:
        if source in self._loosened:
            return  # somebody else loosened the protection: the scenario says what it expects of that
        self.fail(
            at,
            f"secret exposed: {event.where}",
            f"expected the ticket to be readable by its owner only, never on a command line or in a log; seen: "
            f"{event.where} on {source} at {clock(t_us)}; check where the agent writes it (rule 5)",
        )

    hears: ClassVar[Hears] = {
        seen.MachineTampered: _tampered,
        seen.SecretSeen: _exposed,
        r.OrderGiven: _ordered,
        r.RestartUndone: _voided,
        r.RestartRefused: _voided,
        r.RestartCancelled: _voided,
        r.EndpointResumed: _resumed,
    }


class OneEndpoint(Check):
    """I3: at most one customer endpoint is joined to a session at a time. The same machine may take its own place over
    (a new boot, or a new connection of the same process); nobody else may come beside it."""

    __slots__ = ()
    name: ClassVar[str] = "I3"
    needs: ClassVar[tuple[str, ...]] = ("server",)

    def _joined(self, at: int, t_us: int, _source: str, record: r.EndpointJoined) -> None:
        track = self.context.tracker.track(record.session)
        if track.connected:
            self.fail(
                at,
                "second endpoint joined",
                f"expected {record.session} to keep {track.machine} as its only endpoint; seen: {record.machine} "
                f"joined at {clock(t_us)} beside it; check how a second connection is turned away (RE-05)",
            )

    def _resumed(self, at: int, t_us: int, _source: str, record: r.EndpointResumed) -> None:
        track = self.context.tracker.track(record.session)
        if track.connected and track.machine and record.machine != track.machine:
            self.fail(
                at,
                "second endpoint resumed",
                f"expected {record.session} to keep {track.machine} as its only endpoint; seen: {record.machine} "
                f"resumed at {clock(t_us)} beside it; check what a claim is compared with",
            )

    hears: ClassVar[Hears] = {r.EndpointJoined: _joined, r.EndpointResumed: _resumed}
