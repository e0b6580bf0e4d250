"""What came of every restart of a run: verdicts, from the server's records and outside witnesses.

The table of verdicts is in the requirements; where it leaves room, this file decides:

* **Ordered restarts** are opened by ``restart asked`` (or by a refusal that comes without one).
* **Foreign restarts** are boots that no recorded intent covers (rule 3), while a session of that customer is live.
  Further boots before the agent is back belong to the same interruption: one foreign restart, not two. Probe boots and
  boots of a customer whose session is over are no restarts of a session.
* **An ordered restart overtaken by a foreign boot** was never executed. It stays a restart of its own, beside the
  foreign one: as the records say if they refuse, cancel or undo it; else *refused* if the session goes on and *lost* if
  it does not, with the reason *another restart came first*. So no boot is counted twice.
* **The window ran out** means *expired* only if nothing else had decided before: a customer who left or cancelled
  (rule 12, R11), an agent that died without a new boot (rule 14), an agent, ticket or record that somebody destroyed
  (BO-09, BO-14, SH-09, SH-10) make it *lost* or *cancelled*, even when the server heard nothing but silence.
* **Undone** (rule 11) is *cancelled* if a person took the restart back at the PC, else *refused*.
* **Losses** are what was there before and is not afterwards, seen until the session's next restart or its end.
  Service mode at the welcome screen is no loss in itself (LO-03).
* A server that says *resumed* although no new boot was seen gives *unknown* here, and I13 fails (rule 9).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.scenario import actions
from rrsim.scenario import witness as w
from rrsim.scenario.history import Entry, Header, History
from rrsim.scenario.model import VerdictName
from rrsim.scenario.restart import Restart
from rrsim.scenario.result import RestartResult
from rrsim.scenario.tracker import HANDLERS as TRACKED
from rrsim.scenario.tracker import Tracker, customer_of_source

__all__ = ["HANDLERS", "NEEDS", "SOURCE_KINDS", "Handler", "Restart", "Verdicts", "kinds_of", "lacking", "restarts"]

_PERSONS: Final = ("customer", "person", "user", "representative")


class Verdicts:
    """The fold over a history that makes the verdicts. Feed it before the tracker sees the same entry."""

    __slots__ = ("_back", "_foreign", "_header", "_named", "_open", "_sources", "pcs", "restarts", "tracker")

    def __init__(self, header: Header, tracker: Tracker) -> None:
        self._header = header
        self.tracker = tracker
        self.pcs: dict[int, w.PcWitness] = {}
        self._sources: dict[str, w.PcWitness] = {}
        self.restarts: list[Restart] = []
        self._open: dict[str, list[Restart]] = {}
        """Session -> its ordered restarts without a verdict; more than one only if a server takes a second request."""
        self._foreign: dict[str, Restart] = {}
        """Session -> its foreign restart without a verdict."""
        self._back: dict[str, list[Restart]] = {}
        """Session -> resumed restarts whose losses still show."""
        self._named: dict[int, int] = {}
        """Customer -> index of the latest :class:`~rrsim.scenario.actions.RepRestarts` that no restart belongs to."""

    def pc(self, customer: int) -> w.PcWitness:
        """Return what was seen of a customer's PC."""
        found = self.pcs.get(customer)
        if found is None:
            found = self.pcs[customer] = w.PcWitness(customer)
        return found

    # --- from the PC --------------------------------------------------------------------------------------------

    def witness(self, source: str) -> w.PcWitness:
        """Return what was seen of the PC that a source (``pc-N``, ``net-N``, ``customer-N``) belongs to."""
        found = self._sources.get(source)
        if found is None:
            found = self._sources[source] = self.pc(customer_of_source(source))
        return found

    def logged_on(self, at: int, t_us: int, source: str, event: seen.LoggedOn) -> None:
        """Somebody is there now: that settles what sharing can be asked for, and who answers."""
        pc = self.witness(source)
        for back in self._of(pc.customer):
            back.signed_in = True
            back.other_user = not event.right
        w.HANDLERS[seen.LoggedOn](pc, at, t_us, event)

    def called(self, at: int, t_us: int, source: str, event: seen.HostCall) -> None:
        """The agent called Windows; whose restart an intent is for is known when it is recorded."""
        pc = self.witness(source)
        w.HANDLERS[seen.HostCall](pc, at, t_us, event)
        if event.verb == "intent saved":
            track = self.tracker.latest.get(pc.customer)
            pc.intent_for = track.session if track is not None else ""

    def _of(self, customer: int) -> list[Restart]:
        track = self.tracker.latest.get(customer)
        return self._back.get(track.session, []) if track is not None else []

    def booted(self, at: int, t_us: int, source: str, event: seen.BootBegan) -> None:
        """A new boot: ordered, foreign, or no restart of a session at all (rule 3)."""
        pc = self.witness(source)
        self._classify(pc, at, t_us, event)
        w.HANDLERS[seen.BootBegan](pc, at, t_us, event)

    def _classify(self, pc: w.PcWitness, at: int, t_us: int, event: seen.BootBegan) -> None:
        track = self.tracker.latest.get(pc.customer)
        if event.cause == "probe" or track is None or not track.live:
            return
        ordered = self.under_way(track.session)
        if pc.intent:
            if ordered is not None and not ordered.booted:
                ordered.booted, ordered.cause = True, event.cause
            return
        if ordered is not None and not ordered.overtaken:
            ordered.overtaken = event.cause
        if track.session in self._foreign:
            return
        self._back.pop(track.session, None)
        foreign = Restart("foreign", track, 0, at, t_us)
        foreign.cause = event.cause
        foreign.elevated = pc.elevated
        self._foreign[track.session] = foreign
        self.restarts.append(foreign)

    def named(self, at: int, _t: int, _source: str, action: actions.RepRestarts) -> None:
        """Remember that the representative is about to ask for a restart, which may have a name."""
        self._named[action.customer] = at

    # --- from the server ----------------------------------------------------------------------------------------

    def ordered(self, record: r.RestartAsked | r.OrderGiven | r.RestartRefused, at: int, t_us: int) -> Restart:
        """Return the open ordered restart a record speaks of, opening it if nothing did."""
        found = self._opened(record)
        if found is None:
            track = self.tracker.track(record.session)
            found = Restart("ordered", track, record.restart, at, t_us)
            found.named_at = self._named.pop(track.customer, -1)
            self._open.setdefault(record.session, []).append(found)
            self.restarts.append(found)
        return found

    def _opened(self, record: Any) -> Restart | None:
        """Return the open ordered restart with the record's number."""
        for restart in self._open.get(record.session, ()):
            if restart.number == record.restart:
                return restart
        return None

    def under_way(self, session: str) -> Restart | None:
        """Return the open ordered restart that was given to the agent last, or else asked last."""
        found = self._open.get(session)
        return max(found, key=lambda restart: (restart.ordered_at, restart.asked_at)) if found else None

    def asked(self, at: int, t_us: int, _source: str, record: r.RestartAsked) -> None:
        """A restart begins its life."""
        self.ordered(record, at, t_us)

    def confirmed(self, _at: int, t_us: int, _source: str, record: r.RestartConfirmed) -> None:
        """The representative's No cancels, silence refuses (R4, rule 6), unless the server records its own reason."""
        restart = self._opened(record)
        if restart is not None and record.answer == "no":
            restart.unless = ("cancelled", t_us, "the representative said no")
        elif restart is not None and record.answer == "silence":
            restart.unless = ("refused", t_us, "silence: the representative did not confirm")

    def given(self, at: int, t_us: int, _source: str, record: r.OrderGiven) -> None:
        """The agent is told: from here on the session's earlier losses are settled."""
        restart = self.ordered(record, at, t_us)
        restart.ordered_at, restart.ordered_us, restart.mode = at, t_us, record.boot_mode
        track = self.tracker.track(record.session)
        restart.shared = track.sharing
        restart.elevated = self.pc(track.customer).elevated
        self._back.pop(record.session, None)

    def armed(self, _at: int, t_us: int, _source: str, record: r.OrderArmed) -> None:
        """Everything for the way back is in place."""
        restart = self._opened(record)
        if restart is not None:
            restart.armed_us = t_us

    def refused(self, at: int, t_us: int, _source: str, record: r.RestartRefused) -> None:
        """The server says that the restart is not done."""
        if not any(x.session == record.session and x.number == record.restart for x in self.restarts):
            self.ordered(record, at, t_us)
        self._settle(record, "refused", t_us, record.reason)

    def cancelled(self, _at: int, t_us: int, _source: str, record: r.RestartCancelled) -> None:
        """The server says that a person stopped the restart."""
        self._settle(record, "cancelled", t_us, f"{record.by}: {record.reason}")

    def undone(self, _at: int, t_us: int, _source: str, record: r.RestartUndone) -> None:
        """The restart did not happen (rule 11)."""
        restart = self._opened(record)
        pc = self.pc(self.tracker.track(record.session).customer)
        person = restart is not None and pc.stopped_at > restart.asked_at and pc.stopped_by.startswith(_PERSONS)
        self._settle(record, "cancelled" if person else "refused", t_us, record.reason)

    def _settle(self, record: Any, verdict: VerdictName, t_us: int, reason: str) -> None:
        restart = self._opened(record)
        if restart is not None:
            self._open[record.session].remove(restart)
            restart.decide(verdict, t_us, reason)

    def joined(self, at: int, _t: int, _source: str, record: r.EndpointJoined) -> None:
        """A new session begins on this PC."""
        self.pc(self.tracker.track(record.session).customer).joined(at)

    def offline(self, at: int, t_us: int, _source: str, record: r.WindowOffline) -> None:
        """The window ran out, but the profile lets a late agent back in (EX-05): expired, until it comes."""
        restart = self._opened(record)
        if restart is not None:
            verdict, reason = self._why_away(restart)
            restart.offline_us, restart.decided_at = t_us, at
            restart.decide(verdict, t_us, reason)

    def resumed(self, at: int, t_us: int, _source: str, record: r.EndpointResumed) -> None:
        """The server took a new boot back into the session."""
        track = self.tracker.track(record.session)
        pc = self.pc(track.customer)
        foreign = self._foreign.pop(record.session, None)
        ordered = self.under_way(record.session)
        if ordered is not None:
            self._open[record.session].remove(ordered)
        if foreign is not None:
            self._came_back(foreign, at, t_us, record, pc)
            if ordered is not None and not ordered.booted:
                ordered.decide("refused", t_us, f"another restart came first: {ordered.overtaken}")
                ordered = None
        if ordered is not None:
            if ordered.booted:
                ordered.verdict = None
                self._came_back(ordered, at, t_us, record, pc)
            else:
                ordered.decide("unknown", t_us, "the server says resumed, but no new boot was seen (rule 9)")
        pc.rejoined()

    def _came_back(self, restart: Restart, at: int, t_us: int, record: r.EndpointResumed, pc: w.PcWitness) -> None:
        restart.decide("resumed", t_us)
        restart.resumed_at = at
        losses = []
        if restart.kind == "ordered" and pc.boot_safe != (restart.mode == "safe"):
            losses.append("wrong boot mode")
        if pc.pending:
            losses.append("work pending")
        if restart.elevated and pc.elevated is False:
            losses.append("not elevated")
        if pc.desktop == "locked":
            losses.append("locked")
        elif pc.desktop == "black":
            losses.append("black screen")
        if record.late:
            losses.append("late")
        restart.fixed_losses = tuple(losses)
        application = self.tracker.track(record.session).mode == "application"
        restart.signed_in = application or pc.right_user is not None
        restart.other_user = pc.right_user is False
        self._back.setdefault(record.session, []).append(restart)

    def sharing(self, _at: int, _t: int, _source: str, record: r.SharingChanged) -> None:
        """Sharing is back, or not."""
        if record.on:
            for back in self._back.get(record.session, ()):
                back.returned = True

    # --- ends of a session --------------------------------------------------------------------------------------

    def over(
        self, at: int, t_us: int, _source: str, record: r.SessionExpired | r.SessionLost | r.SessionEnded
    ) -> None:
        """The session is over: whatever was still open is decided now."""
        self._back.pop(record.session, None)
        foreign = self._foreign.pop(record.session, None)
        if foreign is not None:
            may = self.tracker.track(record.session).account.foreign_resumes
            expired = may and type(record) is r.SessionExpired
            foreign.decided_at = at
            foreign.decide("expired" if expired else "lost", t_us, f"a restart nobody ordered: {foreign.cause}")
        for ordered in self._open.pop(record.session, ()):
            if ordered.verdict is None:
                ordered.decided_at = at
                self._ended(ordered, t_us, record)

    def _ended(
        self, ordered: Restart, t_us: int, record: r.SessionExpired | r.SessionLost | r.SessionEnded
    ) -> None:
        """Decide an ordered restart that was open when its session ended."""
        if ordered.unless is not None:
            ordered.decide(*ordered.unless)
            return
        if isinstance(record, r.SessionEnded) and record.by == "representative":
            ordered.decide("cancelled", t_us, f"the representative ended the session: {record.reason}")
            return
        verdict, reason = self._why_away(ordered)
        if verdict == "expired" and isinstance(record, r.SessionEnded):
            # Whoever ended it: for this restart there is no way back, unless nothing had been requested yet (rule 12).
            requested = self.pc(ordered.customer).requested_at > ordered.asked_at
            verdict = "cancelled" if record.by == "customer" and not requested else "lost"
            reason = f"{record.by}: {record.reason}"
        elif verdict == "expired" and isinstance(record, r.SessionLost):
            verdict, reason = "lost", record.reason
        ordered.decide(verdict, t_us, reason)

    def _why_away(self, restart: Restart) -> tuple[VerdictName, str]:
        """Say why the session did not come back, as outside witnesses saw it; ``expired`` if nothing else did it."""
        pc = self.pc(restart.customer)
        since = restart.asked_at
        if pc.cancel_at > since:
            return "cancelled", "the customer cancelled the reconnect"
        if pc.leave_at > since:
            if since < pc.requested_at < pc.leave_at:
                return "lost", "the customer closed the chat window after the restart was requested"
            return "cancelled", "the customer closed the chat window before the restart was requested"
        if restart.overtaken and not restart.booted:
            return "lost", f"another restart came first: {restart.overtaken}"
        gone_at = max(pc.down_at, pc.ending_at, pc.boot_at)
        if pc.died_at > restart.ordered_at >= 0 and gone_at < restart.ordered_at:
            return "lost", "the agent process died without a new boot"
        if pc.tampered_at > restart.ordered_at >= 0:
            return "lost", f"somebody tampered with the way back: {pc.tampered}"
        return "expired", ""

    # --- the end ------------------------------------------------------------------------------------------------

    def results(
        self, entries: list[Entry], complete: bool, missing: tuple[str, ...] = ()
    ) -> tuple[RestartResult, ...]:
        """Return all restarts in order. ``complete``: the history reaches its end; ``missing``: sources not seen."""
        counts: dict[int, int] = {}
        out = []
        for restart in self.restarts:
            number = counts[restart.customer] = counts.get(restart.customer, 0) + 1
            out.append(restart.result(number, entries, complete, missing))
        return tuple(out)


NEEDS: Final = ("server", "pc", "host call", "boot began")
"""Sources and event tags without which an executed restart cannot be judged."""


Handler = Callable[[Verdicts, int, int, str, Any], None]


def _remembered(handler: Callable[[w.PcWitness, int, int, Any], None]) -> Handler:
    def saw(verdicts: Verdicts, at: int, t_us: int, source: str, event: Any) -> None:
        handler(verdicts.witness(source), at, t_us, event)

    return saw


HANDLERS: Final[dict[type[Any], Handler]] = {
    **{kind: _remembered(handler) for kind, handler in w.HANDLERS.items()},
    seen.BootBegan: Verdicts.booted,
    seen.HostCall: Verdicts.called,
    seen.LoggedOn: Verdicts.logged_on,
    actions.RepRestarts: Verdicts.named,
    r.RestartAsked: Verdicts.asked,
    r.RestartConfirmed: Verdicts.confirmed,
    r.OrderGiven: Verdicts.given,
    r.OrderArmed: Verdicts.armed,
    r.RestartRefused: Verdicts.refused,
    r.RestartCancelled: Verdicts.cancelled,
    r.RestartUndone: Verdicts.undone,
    r.EndpointJoined: Verdicts.joined,
    r.WindowOffline: Verdicts.offline,
    r.EndpointResumed: Verdicts.resumed,
    r.SharingChanged: Verdicts.sharing,
    r.SessionExpired: Verdicts.over,
    r.SessionLost: Verdicts.over,
    r.SessionEnded: Verdicts.over,
}
"""Event type -> method of :class:`Verdicts`."""


def kinds_of(entries: list[Entry]) -> set[str]:
    """Return the kinds of sources that a history has: ``pc`` for ``pc-1``."""
    return {source.partition("-")[0] for source in {entry[1] for entry in entries}}


def lacking(needs: tuple[str, ...], kinds: set[str], header: Header) -> tuple[str, ...]:
    """Return which needs are not met, given the kinds of sources that are there."""
    return tuple(
        need for need in needs if need in header.unobserved or (need in SOURCE_KINDS and need not in kinds)
    )


SOURCE_KINDS: Final = frozenset({"server", "console", "wire", "pc", "net", "customer", "rep", "agent", "director"})


def restarts(history: History) -> tuple[RestartResult, ...]:
    """Return every restart of a history with its verdict, in the order they began."""
    tracker = Tracker(history.header)
    verdicts = Verdicts(history.header, tracker)
    complete = False
    entry: Entry
    for at, entry in enumerate(history.entries):
        kind = type(entry[2])
        handler = HANDLERS.get(kind)
        if handler is not None:
            handler(verdicts, at, entry[0], entry[1], entry[2])
        if kind in TRACKED:
            tracker.feed(entry)
        elif kind is seen.RunEnded:
            complete = True
    return verdicts.results(history.entries, complete, lacking(NEEDS, kinds_of(history.entries), history.header))
