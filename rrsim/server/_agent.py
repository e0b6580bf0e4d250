"""What the joined endpoint says, and what the server makes of it."""

from __future__ import annotations

from typing import Final

import msgspec

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.server import _claims, _restart, _sharing
from rrsim.server._state import SessionError
from rrsim.server._turn import LIMIT, SILENCE, Turn
from rrsim.server.vocabulary import AgentSaid

CUSTOMER: Final = "customer"
"""The author of the customer's chat lines."""


class OutOfTurn(SessionError):
    """A greeting or a claim on a connection that is in the session already."""


def said(turn: Turn, event: AgentSaid) -> None:
    """Take one message of the joined endpoint.

    Raises:
        OutOfTurn: a greeting or a claim; the shell should hang up.
    """
    m = event.message
    if isinstance(m, msg.Hello | msg.Join | msg.Resume | msg.Reconnect):
        raise OutOfTurn(f"expected a message of a joined endpoint, got {type(m).__name__}; hang up on it")
    turn.set_timer(SILENCE, turn.d.account.silence_us)
    if not turn.state.heard:
        turn.state = msgspec.structs.replace(turn.state, heard=True)
    if isinstance(m, msg.Heartbeat):
        turn.to_agent(msg.HeartbeatReply())
    elif isinstance(m, msg.AgentChat):
        _chat(turn, m)
    elif isinstance(m, msg.ConsentAnswer):
        _consent(turn, m, event.fresh)
    elif isinstance(m, msg.HelperState):
        _helper(turn, m)
    elif isinstance(m, msg.Leave):
        _leave(turn, m)
    elif isinstance(m, msg.CancelResume):
        # It crossed our Resumed on the wire: the customer wants out, and the agent has cleaned up already (R11).
        if turn.d.account.phone_mode:
            _claims.customer_cancels(turn)
    elif turn.state.ordered and m.order == turn.d.restart.number:
        _of_the_order(turn, m)
    elif isinstance(m, msg.Armed | msg.Restarting):
        turn.to_agent(msg.Withdraw(m.order, "no order stands"))


def _chat(turn: Turn, m: msg.AgentChat) -> None:
    d = turn.d
    if m.line <= d.endpoint.line:
        return
    turn.write(rec.ChatLine(d.session, d.seq + 1, CUSTOMER, m.text, m.line))
    turn.to_rep(d.rep, msg.RepSeesChat(d.seq + 1, CUSTOMER, m.text))
    turn.busy()


def _consent(turn: Turn, m: msg.ConsentAnswer, fresh: str) -> None:
    d = turn.d
    if not m.ask or m.ask not in {d.restart_ask, d.sharing_ask}:
        return
    turn.busy()
    if m.ask == d.restart_ask:
        _restart.answered(turn, m.answer, m.human, fresh)
    else:
        _sharing.answered(turn, m.answer, m.human)


def _helper(turn: Turn, m: msg.HelperState) -> None:
    e = turn.d.endpoint
    if (m.desktop, m.user or e.person) != (e.desktop, e.person):
        turn.write(rec.HelperSeen(turn.d.session, m.desktop, m.user))
        if m.user and e.person and m.user != e.person:
            _sharing.another_person(turn)
    if not turn.d.restart.window:
        _sharing.offer(turn, "somebody is there")


def _leave(turn: Turn, m: msg.Leave) -> None:
    """The customer left on purpose (R5, rule 12). Before the PC goes down the restart is cancelled with it; after
    that it happens and nobody comes back, which is for the verdict to say."""
    d = turn.d
    if d.restart.number and not d.restart.window and d.restart.stage != "armed":
        reason = "the customer left"
        turn.close_restart(rec.RestartCancelled(d.session, d.restart.number, "customer", reason), "cancelled")
    turn.finish(rec.SessionEnded(d.session, "customer", m.reason), "the customer left")


def _of_the_order(turn: Turn, m: msg.Armed | msg.ArmFailed | msg.Restarting | msg.NotRestarting) -> None:
    """The order's own messages, for the standing order only."""
    d = turn.d
    number = d.restart.number
    if isinstance(m, msg.Armed):
        if d.restart.stage == "arming":
            turn.set_timer(LIMIT, d.account.restart_limit_us)
            turn.write(rec.OrderArmed(d.session, number))
            turn.restart_view(number, "armed")
    elif isinstance(m, msg.ArmFailed):
        turn.close_restart(rec.RestartRefused(d.session, number, f"{m.step}: {m.reason}"), "refused")
        _sharing.offer(turn, "the restart was refused")
    elif isinstance(m, msg.Restarting):
        if d.account.window_opens != "disconnect":
            turn.open_window("announcement")
        if turn.d.restart.window:
            # Windows is past the point of no return: only the agent's own word, or the window, ends this now.
            turn.cancel(LIMIT)
    else:
        turn.close_restart(rec.RestartUndone(d.session, number, m.reason), "refused")
        _sharing.offer(turn, "the restart was undone")
