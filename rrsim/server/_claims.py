"""Claims: who gets into the session, and who is turned away.

* *Join*: the code is good once. A second endpoint while one is joined is a second connection (RE-05).
* *Resume*: only with the ticket of the standing order (or, in profiles where foreign restarts resume, the stand-by
  ticket), from the same machine, and from a boot that is not the one the order was given to (rules 5 and 9). A claim
  from the same boot spends nothing.
* *Reconnect*: only with the live key, from the same machine and boot. It never resumes a restart: with
  ``restarting`` the window runs on, without it the restart is undone (rules 1 and 11).
* *Cancel*: phone mode only, with the ticket (R11).

A good claim takes the place of a connection the server still believes in: that one is stale, since one machine has one
agent. A claim that is not good disturbs nobody.

The answer to a join or resume may be lost on the way, and code and ticket are spent by then. As long as the endpoint is
away and has said nothing since, the same claim from the same boot of the same machine gets its answer again: the same
joining, recorded as a reconnection with a new key, not a second one.
"""

from __future__ import annotations

from typing import assert_never

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.ticket import derive, matches, seal
from rrsim.server import _sharing
from rrsim.server._state import SessionState
from rrsim.server._turn import LIMIT, WINDOW, Turn
from rrsim.server.vocabulary import Claimed, HangUp, ToAgent

KEY = "live key"
"""What a live key is sealed for, beside session and machine."""
REPLACED = "replaced by a newer connection"


def take(turn: Turn, claimed: Claimed) -> None:
    """Decide one claim."""
    claim = claimed.claim
    if isinstance(claim, msg.Join):
        _join(turn, claimed, claim)
    elif isinstance(claim, msg.Resume):
        _resume(turn, claimed, claim)
    elif isinstance(claim, msg.Reconnect):
        _reconnect(turn, claimed, claim)
    elif isinstance(claim, msg.CancelResume):
        _cancel(turn, claimed, claim)
    else:
        assert_never(claim)


def _over(state: SessionState) -> str:
    return f"session {state.durable.life}" if state.over else ""


def _keys(turn: Turn, claimed: Claimed) -> tuple[str, str, str, str]:
    """Mint a live key and, where foreign restarts resume, a stand-by ticket: ``(key, seal, ticket, seal)``."""
    d = turn.d
    key = derive(claimed.fresh, KEY)
    key_seal = seal(key, d.session, claimed.machine, KEY)
    if not d.account.foreign_resumes:
        return key, key_seal, "", ""
    ticket = derive(claimed.fresh, "stand-by ticket")
    return key, key_seal, ticket, seal(ticket, d.session, claimed.machine, 0)


def _answer_may_be_lost(state: SessionState, claimed: Claimed, boot: str) -> bool:
    e = state.durable.endpoint
    return (
        e.unheard and not state.heard and not e.present and bool(boot)
        and (claimed.machine, boot) == (e.machine, e.boot)
    )  # fmt: skip


# --- join -------------------------------------------------------------------------------------------------------


def _join(turn: Turn, claimed: Claimed, claim: msg.Join) -> None:
    state, d = turn.state, turn.d
    if state.over:
        turn.reject(claimed.conn, claimed.machine, "join", _over(state))
    elif d.endpoint.present:
        turn.reject(claimed.conn, claimed.machine, "second connection", "another endpoint is joined")
    elif d.endpoint.machine and (d.spent_seal or not _answer_may_be_lost(state, claimed, claim.boot)):
        turn.reject(claimed.conn, claimed.machine, "join", "the code is used")
    else:
        again = bool(d.endpoint.machine)
        key, key_seal, ticket, standby_seal = _keys(turn, claimed)
        if again:
            _let_in_again(turn, key_seal, standby_seal)
        else:
            turn.write(rec.EndpointJoined(
                d.session, claimed.machine, claimed.platform, claimed.mode, claim.boot, key_seal,
                claim.user, standby_seal,
            ))  # fmt: skip
        turn.connect(claimed.conn)
        turn.to_agent(msg.Joined(d.session, key, d.account.for_agent()))
        if ticket:
            turn.to_agent(msg.StandBy(ticket))
        turn.busy()


# --- resume -----------------------------------------------------------------------------------------------------


def _resume(turn: Turn, claimed: Claimed, claim: msg.Resume) -> None:
    state, d = turn.state, turn.d
    number = _ticket_for(state, claimed, claim.ticket)
    if number is None and not state.over and _spent(state, claimed, claim.ticket):
        if _answer_may_be_lost(state, claimed, claim.boot):
            _resume_again(turn, claimed)
        else:
            turn.reject(claimed.conn, claimed.machine, "resume", "ticket already used")
        return
    reason = _resume_refused(state, claimed, claim, number)
    if reason or number is None:
        turn.reject(claimed.conn, claimed.machine, "resume", reason)
        return
    _clear_the_way(turn, number)
    key, key_seal, ticket, standby_seal = _keys(turn, claimed)
    late = turn.d.offline
    turn.write(rec.EndpointResumed(
        d.session, number, claim.boot, key_seal, claim.safe_mode, claim.user, claimed.machine, late, claim.desktop,
        standby_seal,
    ))  # fmt: skip
    turn.cancel(WINDOW, LIMIT)
    _welcome_back(turn, claimed, key, ticket)
    turn.restart_view(number, "resumed", "late" if late else "")
    turn.busy()
    _sharing.offer(turn, "resumed")


def _ticket_for(state: SessionState, claimed: Claimed, ticket: str) -> int | None:
    """Return the number of the order that ``ticket`` is good for, 0 for a stand-by ticket, None for none."""
    d = state.durable
    if state.ordered and matches(d.restart.ticket_seal, ticket, d.session, claimed.machine, d.restart.number):
        return d.restart.number
    if d.account.foreign_resumes and matches(d.endpoint.standby_seal, ticket, d.session, claimed.machine, 0):
        return 0
    return None


def _spent(state: SessionState, claimed: Claimed, ticket: str) -> bool:
    d = state.durable
    return matches(d.spent_seal, ticket, d.session, claimed.machine, d.spent_for)


def _resume_refused(state: SessionState, claimed: Claimed, claim: msg.Resume, number: int | None) -> str:
    """Return why this claim is no resumption, or nothing."""
    d = state.durable
    if state.over:
        return _over(state)
    if not d.endpoint.machine:
        return "nobody has joined this session"
    if claimed.machine != d.endpoint.machine:
        return "another machine"
    if number is None:
        return "ticket does not match" if state.ordered or d.account.foreign_resumes else "no order stands"
    if not claim.boot:
        return "no boot mark"
    if claim.boot in {d.endpoint.boot, d.restart.boot}:
        return "same boot"
    return ""


def _clear_the_way(turn: Turn, number: int) -> None:
    """End what belonged to the boot that is gone: its connection, its prompts, a restart that this is not."""
    d = turn.d
    if d.endpoint.present:
        turn.lose_endpoint(REPLACED, hang_up=True)
    if d.restart.number and number != d.restart.number:
        kind = rec.RestartUndone if turn.state.ordered else rec.RestartRefused
        turn.close_restart(kind(d.session, d.restart.number, "another restart came first"), "refused")
    turn.void_sharing_ask()


def _resume_again(turn: Turn, claimed: Claimed) -> None:
    """The answer to this very claim was lost: give it again, with a new key."""
    key, key_seal, ticket, standby_seal = _keys(turn, claimed)
    _let_in_again(turn, key_seal, standby_seal)
    _welcome_back(turn, claimed, key, ticket)
    ask = turn.d.sharing_ask
    if ask:
        turn.to_agent(msg.Ask(ask, "sharing", turn.d.account.prompt_timeout_us))
    else:
        _sharing.offer(turn, "resumed")


def _let_in_again(turn: Turn, key_seal: str, standby_seal: str) -> None:
    """Whoever did not hear that it was let in heard of no order either: one that stands is undone."""
    d = turn.d
    turn.write(rec.EndpointReconnected(d.session, key_seal, standby_seal=standby_seal))
    if turn.state.ordered:
        turn.close_restart(rec.RestartUndone(d.session, d.restart.number, "the agent never heard of it"), "refused")
    turn.cancel(WINDOW)


def _welcome_back(turn: Turn, claimed: Claimed, key: str, ticket: str, order: int = 0) -> None:
    d = turn.d
    turn.connect(claimed.conn)
    turn.to_agent(msg.Resumed(d.session, key, d.account.for_agent(), d.endpoint.line, order))
    if ticket:
        turn.to_agent(msg.StandBy(ticket))


# --- reconnect --------------------------------------------------------------------------------------------------


def _reconnect(turn: Turn, claimed: Claimed, claim: msg.Reconnect) -> None:
    reason = _reconnect_refused(turn.state, claimed, claim)
    if reason:
        turn.reject(claimed.conn, claimed.machine, "reconnect", reason)
        return
    if turn.d.endpoint.present:
        turn.lose_endpoint(REPLACED, hang_up=True)
    d, ordered = turn.d, turn.state.ordered
    if ordered and claim.restarting and not d.restart.window:
        # Back from offline (EX-05): the window has passed, so the limit bounds the order again (I9).
        turn.set_timer(LIMIT, d.account.restart_limit_us)
    turn.write(rec.EndpointReconnected(d.session, d.endpoint.key_seal, claim.restarting))
    if ordered and not claim.restarting:
        reason = "the old boot is back and no restart is under way"
        turn.close_restart(rec.RestartUndone(d.session, d.restart.number, reason), "refused")
        ordered = False
    elif not ordered:
        turn.cancel(WINDOW)
    _welcome_back(turn, claimed, claim.live_key, "", d.restart.number if ordered else 0)
    if claim.restarting and not ordered:
        turn.to_agent(msg.Withdraw(d.restarts, "no order stands"))
    if not ordered:
        _sharing.offer(turn, "reconnected")


def _reconnect_refused(state: SessionState, claimed: Claimed, claim: msg.Reconnect) -> str:
    e = state.durable.endpoint
    if state.over:
        return _over(state)
    if claimed.machine != e.machine:
        return "another machine"
    if not matches(e.key_seal, claim.live_key, state.durable.session, e.machine, KEY):
        return "live key does not match"
    if claim.boot != e.boot:
        return "another boot"
    return ""


# --- cancel -----------------------------------------------------------------------------------------------------


def _cancel(turn: Turn, claimed: Claimed, claim: msg.CancelResume) -> None:
    reason = _cancel_refused(turn.state, claimed, claim)
    if reason:
        turn.reject(claimed.conn, claimed.machine, "cancel", reason)
        return
    customer_cancels(turn)
    turn.effects += (ToAgent(claimed.conn, msg.SessionOver("reconnect cancelled")), HangUp(claimed.conn))


def _cancel_refused(state: SessionState, claimed: Claimed, claim: msg.CancelResume) -> str:
    d = state.durable
    if state.over:
        return _over(state)
    if not d.account.phone_mode:
        return "only in phone mode"
    if _ticket_for(state, claimed, claim.ticket) is not None:
        return ""
    unheard = d.endpoint.unheard and not state.heard
    return "" if unheard and _spent(state, claimed, claim.ticket) else "ticket does not match"


def customer_cancels(turn: Turn) -> None:
    """The customer does not want to come back: the ticket dies with the session (R11)."""
    d = turn.d
    if d.restart.number:
        turn.close_restart(
            rec.RestartCancelled(d.session, d.restart.number, "customer", "reconnect cancelled"), "cancelled"
        )
    turn.finish(rec.SessionEnded(d.session, "customer", "reconnect cancelled"), "reconnect cancelled")
