"""I12: the chat transcript is one, in order, without gaps and repeats, across restarts and losses of connection."""

from __future__ import annotations

from typing import ClassVar

from rrsim.protocol import records as r
from rrsim.protocol.messages import AgentChat, RepSeesChat, ServerChat
from rrsim.scenario.checks.base import Check, Context, Hears, clock
from rrsim.scenario.tracker import customer_of_source


class Transcript(Check):
    """I12: after resumption the transcript is the one from before, plus what came since, in order.

    * The server's own numbering has no gap and no repeat, over the whole life of the session.
    * What the customer typed is there once and in order: the agent's line numbers count per process from 1.
    * What travelled to the server from the customer is in the transcript with the text that travelled.
    * What is shown to the customer and the representative is the line of that number, in rising order.
    """

    __slots__ = ("_line", "_sent", "_seq", "_shown", "_texts")
    name: ClassVar[str] = "I12"
    needs: ClassVar[tuple[str, ...]] = ("server", "wire")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._seq: dict[str, int] = {}
        self._line: dict[str, int] = {}
        self._texts: dict[tuple[str, int], tuple[str, str]] = {}
        self._sent: dict[tuple[str, int], tuple[int, str]] = {}
        """(session, line) -> (history index, text) of lines on their way into the transcript."""
        self._shown: dict[int, int] = {}

    def _written(self, at: int, t_us: int, _source: str, record: r.ChatLine) -> None:
        session = record.session
        due = self._seq.get(session, 0) + 1
        if record.seq != due:
            self.fail(
                at,
                "transcript numbering broken",
                f"expected line {due} of {session} next; seen: line {record.seq} at {clock(t_us)}; "
                "check that the numbering survives restarts of PC and server",
            )
        self._seq[session] = max(record.seq, due - 1)
        self._texts[session, record.seq] = (record.author, record.text)
        if record.line:
            self._typed(at, t_us, record)

    def _typed(self, at: int, t_us: int, record: r.ChatLine) -> None:
        last = self._line.get(record.session, 0)
        if record.line != last + 1:
            cause = "customer's line repeated" if record.line <= last else "customer's line missing"
            self.fail(
                at,
                cause,
                f"expected the customer's line {last + 1} in {record.session} next; seen: line {record.line} at "
                f"{clock(t_us)}; check what is sent again after a loss of connection",
            )
        self._line[record.session] = max(last, record.line)
        sent = self._sent.pop((record.session, record.line), None)
        if sent is not None and sent[1] != record.text:
            self.fail(
                at,
                "line changed on its way",
                f"expected {sent[1]!r} in the transcript of {record.session}; seen: {record.text!r} at {clock(t_us)}",
            )

    def _new_process(self, _at: int, _t: int, _source: str, record: r.EndpointJoined | r.EndpointResumed) -> None:
        self._lost_lines(record.session)
        self._line.pop(record.session, None)
        self._shown.pop(self.context.tracker.track(record.session).customer, None)

    def _same_process(self, _at: int, _t: int, _source: str, record: r.EndpointReconnected) -> None:
        self._shown.pop(self.context.tracker.track(record.session).customer, None)

    def _travelled(self, at: int, _t: int, source: str, message: AgentChat) -> None:
        track = self.context.session_at(source)
        if track is None or track.over is not None or not track.connected:
            return
        if message.line > self._line.get(track.session, 0):
            self._sent.setdefault((track.session, message.line), (at, message.text))

    def _to_customer(self, at: int, t_us: int, source: str, message: ServerChat) -> None:
        customer = customer_of_source(source)
        track = self.context.session_at(source)
        if track is None:
            return
        self._compare(at, t_us, track.session, source, message)
        if message.seq <= self._shown.get(customer, 0):
            self.fail(
                at,
                "shown out of order",
                f"expected lines in rising order on {source}; seen: line {message.seq} after line "
                f"{self._shown[customer]} at {clock(t_us)}; check in which order lines are sent again",
            )
        self._shown[customer] = message.seq

    def _to_rep(self, at: int, t_us: int, source: str, message: RepSeesChat) -> None:
        if len(self.context.tracker.sessions) == 1:  # a console message names no session
            self._compare(at, t_us, next(iter(self.context.tracker.sessions)), source, message)

    def _compare(self, at: int, t_us: int, session: str, source: str, message: ServerChat | RepSeesChat) -> None:
        told = (message.author, message.text)
        known = self._texts.get((session, message.seq))
        if known != told:
            is_there = "no such line" if known is None else f"{known[0]}: {known[1]!r}"
            self.fail(
                at,
                "shown line is not in the transcript",
                f"expected line {message.seq} of {session} as the transcript has it ({is_there}); seen on {source}: "
                f"{told[0]}: {told[1]!r} at {clock(t_us)}; check which session the line was taken from",
            )

    def finish(self) -> None:
        """Whatever reached the server must have been written."""
        for session in sorted({session for session, _ in self._sent}):
            self._lost_lines(session)

    def _lost_lines(self, session: str) -> None:
        """Nothing more can be written of what the session's present process sent."""
        for key in [key for key in self._sent if key[0] == session]:
            at, text = self._sent.pop(key)
            self.fail(
                at,
                "line lost at the server",
                f"expected the customer's line {key[1]} ({text!r}) in the transcript of {session}; seen: it reached "
                "the server and was never written; check how lines are counted",
            )

    hears: ClassVar[Hears] = {
        r.ChatLine: _written,
        r.EndpointJoined: _new_process,
        r.EndpointResumed: _new_process,
        r.EndpointReconnected: _same_process,
        AgentChat: _travelled,
        ServerChat: _to_customer,
        RepSeesChat: _to_rep,
    }
