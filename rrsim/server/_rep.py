"""What representatives say, and their consoles coming and going (rule 13, RE-02, RE-03)."""

from __future__ import annotations

from typing import Final

import msgspec

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.server import _restart, _sharing
from rrsim.server._state import SessionState
from rrsim.server._turn import REP, Turn
from rrsim.server.vocabulary import RepGone, RepHere, RepSaid

SERVER: Final = "server"
"""The author of the server's own chat lines."""


def view(state: SessionState, reason: str = "") -> msg.SessionView:
    """Return what the console shows about the session: its state and which controls exist."""
    # A restart under way does not hide the control: a double click is answered, not opened twice (IN-11).
    live = not state.over
    return msg.SessionView(
        state=state.name,
        restart_offered=live and not state.durable.restart.window and _restart.offered(state),
        safe_mode_offered=live and not state.durable.restart.window and _restart.safe_mode_offered(state),
        sharing=state.durable.screen.on,
        reason=reason,
    )


def here(turn: Turn, event: RepHere) -> None:
    """A console is connected: the session's own representative is back, or somebody looks at the queue."""
    d = turn.d
    turn.state = msgspec.structs.replace(turn.state, consoles=tuple(sorted({*turn.state.consoles, event.rep})))
    if not turn.state.over and event.rep == d.rep and d.rep_lost:
        turn.write(rec.RepBack(d.session, event.rep))
        turn.cancel(REP)
    if d.rep in {"", event.rep}:
        turn.to_rep(event.rep, view(turn.state))
        _show_restart(turn, event.rep)


def _show_restart(turn: Turn, rep: str) -> None:
    restart = turn.d.restart
    if not restart.number:
        return
    if restart.stage != "confirming":
        turn.to_rep(rep, msg.RestartView(restart.number, _restart.phase(turn.state)))
    elif restart.rep == rep:
        turn.to_rep(rep, msg.ConfirmRestart(restart.number, restart.place, restart.boot_mode))


def gone(turn: Turn, event: RepGone) -> None:
    """A console is gone: the session waits for its representative, and a resume window runs on."""
    d = turn.d
    turn.state = msgspec.structs.replace(
        turn.state, consoles=tuple(c for c in turn.state.consoles if c != event.rep)
    )
    if not turn.state.over and event.rep == d.rep and not d.rep_lost:
        lose_rep(turn)


def lose_rep(turn: Turn) -> None:
    """Start waiting for the lost console."""
    turn.set_timer(REP, turn.d.account.rep_grace_us)
    turn.write(rec.RepLost(turn.d.session, turn.d.rep))


def requeue(turn: Turn) -> None:
    """Nobody came back in time: the session waits in the queue, and the customer is told (RE-02)."""
    d = turn.d
    turn.write(rec.SessionRequeued(d.session, "the representative did not come back"))
    text = "The representative's connection was lost. You are waiting for another representative."
    turn.write(rec.ChatLine(d.session, d.seq + 1, SERVER, text))
    turn.to_agent(msg.ServerChat(d.seq + 1, SERVER, text))


def said(turn: Turn, event: RepSaid) -> None:
    """Take one message of a representative. Whoever does not have the session can only take it, or look."""
    m, rep, d = event.message, event.rep, turn.d
    if turn.state.over:
        turn.to_rep(rep, view(turn.state, f"the session is {d.life}"))
    elif isinstance(m, msg.AskRestart):
        turn.busy()
        _restart.ask(turn, rep, m)
    elif isinstance(m, msg.Confirm):
        if d.restart.stage == "confirming" and (m.order, rep) == (d.restart.number, d.restart.rep):
            turn.busy()
            _restart.confirmed(turn, rep, m.answer, event.fresh)
    elif isinstance(m, msg.Take) and not d.rep:
        turn.write(rec.SessionTaken(d.session, rep))
        turn.cancel(REP)
        turn.busy()
    elif rep == d.rep or (isinstance(m, msg.EndSession) and not d.rep):
        turn.busy()
        _of_the_owner(turn, rep, m)
    else:
        turn.to_rep(rep, view(turn.state, "another representative has the session" if d.rep else "take it first"))


def _of_the_owner(
    turn: Turn, rep: str, m: msg.Take | msg.RepChat | msg.EndSession | msg.Transfer | msg.RequestSharing
) -> None:
    d = turn.d
    if isinstance(m, msg.Take):
        turn.to_rep(rep, view(turn.state))
    elif isinstance(m, msg.RepChat):
        turn.write(rec.ChatLine(d.session, d.seq + 1, rep, m.text))
        turn.to_agent(msg.ServerChat(d.seq + 1, rep, m.text))
    elif isinstance(m, msg.EndSession):
        if d.restart.number:
            record = rec.RestartCancelled(d.session, d.restart.number, "representative", "session ended")
            turn.close_restart(record, "cancelled")
        turn.finish(rec.SessionEnded(d.session, "representative", "ended by the representative"), "session ended")
        if not d.rep:
            turn.to_rep(rep, view(turn.state, turn.reason))
    elif isinstance(m, msg.Transfer):
        if m.to not in {"", rep}:
            turn.write(rec.SessionTransferred(d.session, m.to))
            turn.cancel(REP)
            turn.to_rep(rep, view(turn.state, f"transferred to {m.to}"))
            _show_restart(turn, m.to)
    else:
        _request_sharing(turn, rep, m)


def _request_sharing(turn: Turn, rep: str, m: msg.RequestSharing) -> None:
    d = turn.d
    if not m.on:
        turn.void_sharing_ask()
        if d.screen.on or d.screen.wanted:
            _sharing.switch(turn, False, "stopped by the representative")
    elif not d.endpoint.present or d.restart.window:
        turn.to_rep(rep, view(turn.state, "the customer is not connected"))
    elif not d.screen.consent_due:
        if not d.screen.on:
            _sharing.switch(turn, True, "started by the representative")
    elif not _sharing.ask(turn):
        turn.to_rep(rep, view(turn.state, "nobody can be asked now"))
