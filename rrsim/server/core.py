"""One support session as a pure state machine: ``step(state, input) -> (state, effects)``.

The rules, and where they stand in full (requirements):

* Queued until a representative has taken the session *and* the customer has joined; then active.
* A restart goes asked, confirmed (R4), agreed by the customer where the account asks (R7), ordered, armed. Until the
  order it is only talk: any No, silence, or server restart leaves the session as it was.
* The resume window opens at the agent's announcement or at any loss of the connection after the order, also before the
  agent has reported *armed*, because that report may be what was lost (rule 1). ``window_opens`` chooses otherwise.
* Only a resume with the ticket, from the same machine and a new boot, closes the window well (rules 5 and 9). The old
  boot closes it only by saying that no restart is under way (rule 11).
* The restart limit ends an order that has not brought the PC down, unless Windows has announced that it is going down:
  then the window decides.
* A loss without an order gives the same process the window's time to reconnect with its live key; then the session is
  lost (rule 3).
* At the end of the window the session is expired, or, where expiry is not final, offline (EX-05). The driver delivers a
  timer before an input of the same instant, so the deadline wins (rule 1, EX-01).
* After expired, ended or lost nothing comes back (I1).
* Prompts do not outlive the server's process, waits for a PC do: they hang on durable timers (NE-12).

The durable part of the state changes through records only (:func:`apply`); a killed server folds ``apply`` over the
journal and then steps :class:`~rrsim.server.vocabulary.Recovered`. Chat texts live in the records alone: whoever drives
the core shows an endpoint the older lines of the transcript when it resumes.

Late and crossing messages from connections that are gone are no errors and change nothing. What only a faulty driver or
a hostile endpoint does raises a :class:`SessionError` and changes nothing either.
"""

from __future__ import annotations

from typing import Final

import msgspec

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import CLAIM_US
from rrsim.protocol.timers import TimerFired
from rrsim.server import _agent, _claims, _rep, _restart, _sharing
from rrsim.server._agent import OutOfTurn
from rrsim.server._state import (
    NO_CONN,
    CorruptJournal,
    Durable,
    Endpoint,
    Restart,
    Screen,
    SessionError,
    SessionState,
    StateName,
    apply,
)
from rrsim.server._turn import ASK_RESTART, ASK_SHARING, CONFIRM, IDLE, LIMIT, REP, SILENCE, WINDOW, Turn
from rrsim.server.vocabulary import (
    AgentGone,
    AgentSaid,
    Claimed,
    Effect,
    Greeted,
    Input,
    Opened,
    Recovered,
    RepGone,
    RepHere,
    RepSaid,
)

__all__ = [
    "CorruptJournal", "Durable", "Endpoint", "NotAConnection", "NotOpened", "OpenedTwice", "OutOfTurn", "Restart",
    "Screen", "SessionError", "SessionState", "StateName", "UnknownTimer", "apply", "initial", "rebuild", "step",
]  # fmt: skip


class NotOpened(SessionError):
    """An input for a session that nobody has requested yet."""


class OpenedTwice(SessionError):
    """A second request for the same session."""


class UnknownTimer(SessionError):
    """A timer that this core never sets."""


class NotAConnection(SessionError):
    """A claim on a number that is no connection, or on the joined endpoint's own."""


def initial() -> SessionState:
    """Return the state before the first input, :class:`~rrsim.server.vocabulary.Opened`."""
    return SessionState()


def rebuild(records: tuple[rec.AnyRecord, ...]) -> SessionState:
    """Return the state that a journal stands for; the next input must be ``Recovered``.

    Raises:
        CorruptJournal: the records are not one session's journal from its start.
    """
    state = initial()
    for record in records:
        state = apply(state, record)
    return state


def step(state: SessionState, event: Input) -> tuple[SessionState, tuple[Effect, ...]]:
    """Take one input; return the new state and the effects, to be carried out in order.

    Raises:
        SessionError: the input is illegal here (the subclasses say how); ``state`` still holds.
    """
    if isinstance(event, Opened):
        if state.durable.life != "new":
            raise OpenedTwice(f"session {state.durable.session!r} is open already; use a new core for a new request")
        turn = Turn(state)
        turn.write(rec.SessionRequested(event.session, event.kind, event.account))
        return turn.state, tuple(turn.effects)
    if state.durable.life == "new":
        raise NotOpened(f"expected Opened first, got {type(event).__name__}; open the session before anything else")
    turn = Turn(state)
    _take(turn, event)
    if turn.state.greeted and not turn.d.restart.window:
        turn.state = msgspec.structs.replace(turn.state, greeted=NO_CONN, overtime=False)
    _show(turn, state)
    return turn.state, tuple(turn.effects)


def _take(turn: Turn, event: Input) -> None:
    if isinstance(event, AgentSaid):
        # A message that was on its way when its connection was replaced or hung up says nothing any more.
        if event.conn == turn.state.conn and event.conn != NO_CONN:
            _agent.said(turn, event)
    elif isinstance(event, Claimed):
        if event.conn in {NO_CONN, turn.state.conn}:
            raise NotAConnection(f"expected a new connection's number from 1, got {event.conn}; number each one")
        _claims.take(turn, event)
        _heard_from(turn, event.conn)
    elif isinstance(event, Greeted):
        _greeted(turn, event)
    elif isinstance(event, AgentGone):
        _heard_from(turn, event.conn)
        if event.conn == turn.state.conn and event.conn != NO_CONN:
            turn.lose_endpoint(event.reason)
    elif isinstance(event, RepSaid):
        _rep.said(turn, event)
    elif isinstance(event, RepHere):
        _rep.here(turn, event)
    elif isinstance(event, RepGone):
        _rep.gone(turn, event)
    elif isinstance(event, TimerFired):
        _fired(turn, event.name)
    elif isinstance(event, Recovered):
        _recovered(turn)
    else:
        raise OpenedTwice("expected Opened only as the first input")


def _show(turn: Turn, before: SessionState) -> None:
    """Tell the session's representative, or those who watch the queue, if what their console shows has changed."""
    after = turn.state
    if after is before:
        return
    shown = _rep.view(after)
    if shown != _rep.view(before) or after.durable.rep != before.durable.rep:
        for rep in (after.durable.rep,) if after.durable.rep else after.consoles:
            turn.to_rep(rep, msgspec.structs.replace(shown, reason=turn.reason))


# --- timers -----------------------------------------------------------------------------------------------------


def _fired(turn: Turn, name: str) -> None:
    handler = _ON_TIMER.get(name)
    if handler is None:
        raise UnknownTimer(f"expected one of {', '.join(_ON_TIMER)}, got another timer; deliver only timers set here")
    if not turn.state.over:
        handler(turn)


def _greeted(turn: Turn, event: Greeted) -> None:
    """The customer's PC is connected again: where that closes the window, its claim may come a little later."""
    d = turn.d
    if d.account.window_closes == "connected" and d.restart.window and event.machine == d.endpoint.machine:
        turn.state = msgspec.structs.replace(turn.state, greeted=event.conn)


def _heard_from(turn: Turn, conn: int) -> None:
    """The connection that said hello has made its claim, or is gone: nothing more is awaited of it."""
    if conn == turn.state.greeted:
        turn.state = msgspec.structs.replace(turn.state, greeted=NO_CONN)


def _window_over(turn: Turn) -> None:
    d = turn.d
    running = d.restart.window
    if running and turn.state.greeted and not turn.state.overtime:
        # Once and for a bounded time: a hello proves nothing, so it must not keep a session open.
        turn.state = msgspec.structs.replace(turn.state, overtime=True)
        turn.set_timer(WINDOW, CLAIM_US)
        return
    if not running and (d.endpoint.present or not d.endpoint.machine or d.offline):
        return
    number = d.restart.number if running else 0
    if not d.account.expiry_final:
        turn.write(rec.WindowOffline(d.session, number))
    elif running:
        turn.finish(rec.SessionExpired(d.session, number), "session expired")
        turn.restart_view(number, "expired")
    else:
        _close_open_restart(turn, "the customer is gone")
        turn.finish(rec.SessionLost(d.session, "no way back"), "session lost")


def _close_open_restart(turn: Turn, reason: str) -> None:
    d = turn.d
    if d.restart.number:
        turn.close_restart(rec.RestartRefused(d.session, d.restart.number, reason), "refused")


def _limit_over(turn: Turn) -> None:
    """Rule 11: the old boot still answers when the limit is over. If it does not, the window is running anyway."""
    d = turn.d
    if not (turn.state.ordered and d.endpoint.present):
        return
    reason = "restart limit" if d.restart.stage == "armed" else "not armed in time"
    turn.to_agent(msg.Withdraw(d.restart.number, reason))
    turn.close_restart(rec.RestartUndone(d.session, d.restart.number, reason), "refused")
    _sharing.offer(turn, "the restart was undone")


def _confirm_over(turn: Turn) -> None:
    if turn.d.restart.stage == "confirming":
        _restart.confirmed(turn, turn.d.restart.rep, "silence", "")


def _ask_restart_over(turn: Turn) -> None:
    if turn.d.restart_ask:
        _restart.answered(turn, "silence", False, "")


def _ask_sharing_over(turn: Turn) -> None:
    if turn.d.sharing_ask:
        _sharing.answered(turn, "silence", False)


def _silence_over(turn: Turn) -> None:
    if turn.d.endpoint.present:
        turn.lose_endpoint("silence", hang_up=True)


def _idle_over(turn: Turn) -> None:
    """EX-07: a session is not idle while its PC is away or about to restart."""
    d = turn.d
    if d.restart.number or (d.endpoint.machine and not d.endpoint.present):
        turn.busy()
    elif d.account.idle_timeout_us:
        turn.finish(rec.SessionEnded(d.session, "server", "idle"), "idle for too long")


def _rep_over(turn: Turn) -> None:
    if turn.d.rep_lost:
        _rep.requeue(turn)


_ON_TIMER: Final = {
    WINDOW: _window_over,
    LIMIT: _limit_over,
    CONFIRM: _confirm_over,
    ASK_RESTART: _ask_restart_over,
    ASK_SHARING: _ask_sharing_over,
    SILENCE: _silence_over,
    IDLE: _idle_over,
    REP: _rep_over,
}


# --- after a crash ----------------------------------------------------------------------------------------------


def _recovered(turn: Turn) -> None:
    """The process died: every connection and console is gone, and with them what was only being talked about."""
    if turn.state.over:
        return
    reason = "the session server was restarted"
    turn.state = SessionState(turn.d)
    if not turn.state.ordered:
        _close_open_restart(turn, reason)
    turn.void_sharing_ask()
    if turn.d.endpoint.present:
        turn.lose_endpoint(reason)
    elif turn.state.ordered and not turn.d.offline:
        turn.open_window("disconnect")
    if turn.d.rep and not turn.d.rep_lost:
        _rep.lose_rep(turn)
    turn.busy()
