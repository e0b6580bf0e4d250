"""The way of one restart from the representative's click to the order (R1-R4, R7, R10, rules 6 and 8).

asked -> confirming -> (asking the customer) -> arming -> armed -> the resume window. Every AskRestart that finds no
other restart under way opens the next number, also when it is refused at once; a double click opens none (IN-11).
"""

from __future__ import annotations

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.ticket import derive, seal
from rrsim.server._sharing import GUARD_US
from rrsim.server._state import SessionState
from rrsim.server._turn import ASK_RESTART, CONFIRM, LIMIT, WINDOW, Turn


def offered(state: SessionState) -> bool:
    """Whether the console has the restart control at all (R1, R10, IN-04, IN-05)."""
    return not why_not(state, state.durable.rep, "normal")


def safe_mode_offered(state: SessionState) -> bool:
    """Whether it offers safe mode too (R2)."""
    return not why_not(state, state.durable.rep, "safe")


def why_not(state: SessionState, rep: str, boot_mode: msg.BootMode) -> str:
    """Return why ``rep`` cannot have this restart now, or nothing."""
    d = state.durable
    e = d.endpoint
    waiting = state.name == "queued"
    if d.kind != "standard":
        return "not a standard session"
    if waiting and not d.account.queued_restart:
        return "the session is queued"
    if rep != d.rep and not (waiting and not d.rep):
        return "another representative has the session" if d.rep else "the session is queued"
    if not d.account.restart_allowed:
        return "switched off for this account"
    if e.machine and e.platform != "windows":
        return f"not available for {e.platform} customers"
    if boot_mode == "safe" and e.mode != "service":
        return "safe mode needs the agent as a service"
    if not e.present:
        return "the customer is not connected"
    if not e.boot:
        return "the customer's boot mark is unknown"
    if d.account.needs_viewer and not d.screen.on:
        return "the screen is not shared"
    return ""


def ask(turn: Turn, rep: str, message: msg.AskRestart) -> None:
    """The representative used a restart control, or a script forces the request (R3)."""
    d = turn.d
    if d.restart.number:
        turn.to_rep(rep, msg.RestartView(d.restart.number, phase(turn.state), "a restart is already under way"))
        return
    number = d.restarts + 1
    reason = why_not(turn.state, rep, message.boot_mode)
    if not reason:
        turn.set_timer(CONFIRM, d.account.prompt_timeout_us)
    turn.write(rec.RestartAsked(d.session, number, rep, message.place, message.boot_mode, message.forced))
    if reason:
        turn.write(rec.RestartRefused(d.session, number, reason))
        turn.to_rep(rep, msg.RestartView(number, "refused", reason))
    else:
        turn.to_rep(rep, msg.ConfirmRestart(number, message.place, message.boot_mode))


def phase(state: SessionState) -> str:
    """Return how the console names the stage of the restart under way."""
    restart = state.durable.restart
    if restart.window:
        return "rebooting"
    return {"asking": "asking customer"}.get(restart.stage, restart.stage)


def confirmed(turn: Turn, rep: str, answer: msg.Answer, fresh: str) -> None:
    """Take the representative's answer: only Yes goes on (R4)."""
    d = turn.d
    number = d.restart.number
    turn.write(rec.RestartConfirmed(d.session, number, rep, answer))
    turn.cancel(CONFIRM)
    if answer == "no":
        turn.close_restart(rec.RestartCancelled(d.session, number, "representative", "not confirmed"), "cancelled")
    elif answer == "silence":
        turn.close_restart(rec.RestartRefused(d.session, number, "no answer from the representative"), "refused")
    elif not d.endpoint.present:
        turn.close_restart(rec.RestartRefused(d.session, number, "the customer is not connected"), "refused")
    elif d.account.ask_before_restart:
        timeout_us, ask_number = d.account.prompt_timeout_us, d.asks + 1
        turn.set_timer(ASK_RESTART, timeout_us + GUARD_US)
        turn.write(rec.CustomerAsked(d.session, ask_number, "restart", number))
        turn.to_agent(msg.Ask(ask_number, "restart", timeout_us))
        turn.restart_view(number, "asking customer")
    else:
        _order(turn, fresh)


def answered(turn: Turn, answer: msg.Answer, human: bool, fresh: str) -> None:
    """Take the customer's answer: only Yes goes on; silence is No unless the profile accepts it (R7, rule 6, CO-04)."""
    d = turn.d
    number = d.restart.number
    if answer == "silence" and d.account.auto_accept_silence and fresh:
        answer, human = "yes", False
    turn.write(rec.CustomerAnswered(d.session, d.restart_ask, "restart", number, answer, human))
    turn.cancel(ASK_RESTART)
    if answer == "no":
        turn.close_restart(rec.RestartCancelled(d.session, number, "customer", "declined"), "cancelled")
        if d.account.decline_ends_session:
            turn.finish(rec.SessionEnded(d.session, "customer", "declined the restart"), "declined the restart")
    elif answer == "silence":
        turn.close_restart(rec.RestartRefused(d.session, number, "silence"), "refused")
    else:
        _order(turn, fresh)


def _order(turn: Turn, fresh: str) -> None:
    d = turn.d
    restart = d.restart
    ticket = derive(fresh, "ticket")
    ticket_seal = seal(ticket, d.session, d.endpoint.machine, restart.number)
    at_once = d.account.window_opens == "order"
    # Guards the arming too: an agent that never reports armed must not keep the order for ever (I9).
    turn.set_timer(LIMIT, d.account.restart_limit_us)
    if at_once:
        turn.set_timer(WINDOW, d.account.resume_window_us)
    turn.write(rec.OrderGiven(
        d.session, restart.number, restart.boot_mode, restart.forced, d.endpoint.boot, ticket_seal
    ))  # fmt: skip
    turn.to_agent(msg.Order(restart.number, restart.boot_mode, restart.forced, ticket))
    turn.restart_view(restart.number, "arming")
    if at_once:
        turn.note_window("order")
