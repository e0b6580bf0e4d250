"""Deliberate bugs of the session server. Where a record's meaning changes, replaying the journal changes with it."""

# ruff: noqa: SLF001 - a bug sits where the product's own decision is taken, and that is private
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from rrsim.agent import core as agent_core
from rrsim.backends.sim.compiled import Parts
from rrsim.broken.agent_bugs import limit_ignored, orders_any_platform, resumes_in_the_same_boot
from rrsim.broken.bug import Bug, Patch, changed_effects, changed_input, patched
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.ticket import derive, matches, seal
from rrsim.protocol.timers import CancelTimer, SetTimer
from rrsim.server import _agent, _claims, _rep, _restart, _sharing, _state, _turn, core
from rrsim.server._state import Durable, SessionState
from rrsim.server._turn import WINDOW, Turn
from rrsim.server.vocabulary import Claimed

SECOND_US: Final = 1_000_000


def _patched(*patches: Patch) -> Callable[[], Parts]:
    return lambda: Parts(server=patched(core.step, *patches))


def _changed(record: type[Any], change: Callable[[Durable, Any], Durable], *patches: Patch) -> Callable[[], Parts]:
    """A record means something else, in the running server and in one rebuilt from its journal."""
    table: Patch = (_state, "_CHANGES", {**_state._CHANGES, record: change})
    return lambda: Parts(server=patched(core.step, table, *patches), server_apply=patched(core.apply, table))


def _effects(change: Callable[[Any, Any, tuple[Any, ...]], tuple[Any, ...]]) -> Callable[[], Parts]:
    return lambda: Parts(server=changed_effects(core.step, change))


def _bug(name: str, about: str, breaks: tuple[str, ...], parts: Callable[[], Parts]) -> Bug:
    return Bug(name=name, about=about, where="server", breaks=breaks, parts=parts)


# --- the resume window ------------------------------------------------------------------------------------------


def _window_longer_by(us: int) -> Callable[[], Parts]:
    def change(_: Any, __: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            msgspec.structs.replace(e, after_us=e.after_us + us) if isinstance(e, SetTimer) and e.name == WINDOW else e
            for e in effects
        )

    return _effects(change)


def _notes_no_loss(turn: Turn, reason: Any) -> None:
    if reason != "disconnect":
        _NOTE(turn, reason)


_NOTE: Final = Turn.note_window


def _orders_and_opens(turn: Turn, fresh: str) -> None:
    _ORDER(turn, fresh)
    turn.open_window("order")


_ORDER: Final = _restart._order


def _any_claim_stops_window(_: Any, event: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*effects, CancelTimer(WINDOW)) if isinstance(event, Claimed) else effects


def _rep_lost_stops_window(turn: Turn) -> None:
    _LOSE_REP(turn)
    turn.cancel(WINDOW)


_LOSE_REP: Final = _rep.lose_rep


def _loss_sets_it_anew(turn: Turn, reason: str, hang_up: bool = False) -> None:
    _LOSE(turn, reason, hang_up)
    turn.set_timer(WINDOW, turn.d.account.resume_window_us)


_LOSE: Final = Turn.lose_endpoint


# --- who may come back ------------------------------------------------------------------------------------------


def _no_end(_: SessionState) -> str:
    return ""


def _only_the_name(life: _state.Life) -> Callable[[Durable, Any], Durable]:
    """The session gets another state, and its ticket and its keys stay good."""
    return lambda d, _: msgspec.structs.replace(d, life=life)


def _spent_is_good(state: SessionState, claimed: Claimed, ticket: str) -> int | None:
    d = state.durable
    if matches(d.spent_seal, ticket, d.session, claimed.machine, d.spent_for):
        return d.spent_for
    return _TICKET_FOR(state, claimed, ticket)


_TICKET_FOR: Final = _claims._ticket_for


def _machine_unasked(state: SessionState, claimed: Claimed, ticket: str) -> int | None:
    return _TICKET_FOR(state, msgspec.structs.replace(claimed, machine=state.durable.endpoint.machine), ticket)


def _refuses_no_machine(state: SessionState, claimed: Claimed, claim: msg.Resume, number: int | None) -> str:
    same = msgspec.structs.replace(claimed, machine=state.durable.endpoint.machine)
    return _REFUSED(state, same, claim, number)


_REFUSED: Final = _claims._resume_refused


def _refuses_no_boot(state: SessionState, claimed: Claimed, claim: msg.Resume, number: int | None) -> str:
    reason = _REFUSED(state, claimed, claim, number)
    return "" if reason == "same boot" else reason


def _keys_for_everybody(turn: Turn, claimed: Claimed) -> tuple[str, str, str, str]:
    key, key_seal, _, __ = _KEYS(turn, claimed)
    ticket = derive(claimed.fresh, "stand-by ticket")
    return key, key_seal, ticket, seal(ticket, turn.d.session, claimed.machine, 0)


_KEYS: Final = _claims._keys


def _standby_is_good(state: SessionState, claimed: Claimed, ticket: str) -> int | None:
    d = state.durable
    good = matches(d.endpoint.standby_seal, ticket, d.session, claimed.machine, 0)
    return 0 if good else _TICKET_FOR(state, claimed, ticket)


def _code_good_for_ever(turn: Turn, claimed: Claimed, claim: msg.Join) -> None:
    d = turn.d
    if turn.state.over or not d.endpoint.machine:
        _JOIN(turn, claimed, claim)
        return
    key, key_seal, _, __ = _KEYS(turn, claimed)
    turn.write(rec.EndpointJoined(
        d.session, claimed.machine, claimed.platform, claimed.mode, claim.boot, key_seal, claim.user
    ))  # fmt: skip
    turn.connect(claimed.conn)
    turn.to_agent(msg.Joined(d.session, key, d.account.for_agent()))


_JOIN: Final = _claims._join


def _old_boot_ends_window(turn: Turn, claimed: Claimed, claim: msg.Reconnect) -> None:
    _RECONNECT(turn, claimed, claim)
    turn.cancel(WINDOW)


_RECONNECT: Final = _claims._reconnect


# --- who is asked, and what an answer means ---------------------------------------------------------------------


def _customer_unasked(turn: Turn, rep: str, answer: msg.Answer, fresh: str) -> None:
    if answer != "yes":
        _CONFIRMED(turn, rep, answer, fresh)
        return
    turn.write(rec.RestartConfirmed(turn.d.session, turn.d.restart.number, rep, answer))
    turn.cancel(_turn.CONFIRM)
    _restart._order(turn, fresh)


_CONFIRMED: Final = _restart.confirmed


def _no_means_yes(turn: Turn, rep: str, answer: msg.Answer, fresh: str) -> None:
    _CONFIRMED(turn, rep, "yes" if answer == "no" else answer, fresh)


def _confirms_itself(turn: Turn, rep: str, message: msg.AskRestart) -> None:
    _ASK(turn, rep, message)
    if turn.d.restart.stage == "confirming":
        _CONFIRMED(turn, rep, "yes", f"{turn.d.session}/{turn.d.restarts}/unconfirmed")


_ASK: Final = _restart.ask


def _any_answer_is_yes(*wanted: msg.Answer) -> Callable[..., None]:
    def answered(turn: Turn, answer: msg.Answer, human: bool, fresh: str) -> None:
        fresh = fresh or f"{turn.d.session}/{turn.d.restarts}/unanswered"
        _ANSWERED(turn, "yes" if answer in wanted else answer, human, fresh)

    return answered


_ANSWERED: Final = _restart.answered


def _asks_again_while_one_runs(turn: Turn, rep: str, message: msg.AskRestart) -> None:
    if turn.d.restart.number:
        number = turn.d.restarts + 1
        turn.write(rec.RestartAsked(turn.d.session, number, rep, message.place, message.boot_mode, message.forced))
        turn.to_rep(rep, msg.ConfirmRestart(number, message.place, message.boot_mode))
    else:
        _ASK(turn, rep, message)


# --- what is available ------------------------------------------------------------------------------------------


def _never_refused_for(*reasons: str) -> Patch:
    """These reasons are forgotten; the others still count."""

    def why_not(state: SessionState, rep: str, boot_mode: msg.BootMode) -> str:
        reason = _WHY_NOT(state, rep, boot_mode)
        return "" if any(part in reason for part in reasons) else reason

    return _restart, "why_not", why_not


_WHY_NOT: Final = _restart.why_not


def _mac_is_restarted() -> Parts:
    orders: Patch = (agent_core, "_SAID", {**agent_core._SAID, msg.Order: orders_any_platform})
    return Parts(
        server=patched(core.step, _never_refused_for("customers")), agent=patched(agent_core.step, orders)
    )


def _limit_is_ignored() -> Parts:
    table = {**core._ON_TIMER, _turn.LIMIT: lambda _: None}
    return Parts(
        server=patched(core.step, (core, "_ON_TIMER", table)), agent=changed_input(agent_core.step, limit_ignored)
    )


def _same_boot_resumes() -> Parts:
    return Parts(
        server=patched(core.step, (_claims, "_resume_refused", _refuses_no_boot)),
        agent=resumes_in_the_same_boot(),
    )


# --- screen, chat, representative -------------------------------------------------------------------------------


def _shares_unasked(turn: Turn, reason: str) -> None:
    screen = turn.d.screen
    if screen.wanted and not screen.on and turn.d.endpoint.present:
        _sharing.switch(turn, True, reason)


def _offers_nothing_after_a_restart(turn: Turn, reason: str) -> None:
    if reason != "resumed":
        _OFFER(turn, reason)


_OFFER: Final = _sharing.offer


def _always_shares(turn: Turn, reason: str) -> None:
    if reason == "resumed" and not turn.d.screen.wanted:
        _sharing.switch(turn, True, reason)
    else:
        _OFFER(turn, reason)


def _says_nothing_arrived(turn: Turn, claimed: Claimed, key: str, ticket: str, order: int = 0) -> None:
    endpoint = turn.d.endpoint
    turn.state = msgspec.structs.replace(
        turn.state, durable=msgspec.structs.replace(turn.d, endpoint=msgspec.structs.replace(endpoint, line=0))
    )
    _WELCOME(turn, claimed, key, ticket, order)


_WELCOME: Final = _claims._welcome_back


def _writes_every_line(turn: Turn, m: msg.AgentChat) -> None:
    d = turn.d
    turn.write(rec.ChatLine(d.session, d.seq + 1, _agent.CUSTOMER, m.text, m.line))
    turn.to_rep(d.rep, msg.RepSeesChat(d.seq + 1, _agent.CUSTOMER, m.text))


def _numbers_from_one_again(d: Durable, r: rec.EndpointResumed) -> Durable:
    return msgspec.structs.replace(_state._resumed(d, r), seq=0)


def _taking_reopens(d: Durable, r: rec.SessionTaken) -> Durable:
    return msgspec.structs.replace(d, rep=r.rep, rep_lost=False, life="open")


def _takes_what_is_over(turn: Turn, event: Any) -> None:
    if turn.state.over and isinstance(event.message, msg.Take):
        turn.write(rec.SessionTaken(turn.d.session, event.rep))
    else:
        _SAID(turn, event)


_SAID: Final = _rep.said


def _idle_at_any_time(turn: Turn) -> None:
    if turn.d.account.idle_timeout_us:
        turn.finish(rec.SessionEnded(turn.d.session, "server", "idle"), "idle for too long")


def _idle() -> Callable[[], Parts]:
    return _patched((core, "_ON_TIMER", {**core._ON_TIMER, _turn.IDLE: _idle_at_any_time}))


BUGS: Final = (
    _bug(
        "window one second too long",
        "The resume window lasts 601 s: an agent that is back at 10:00.5 resumes.",
        ("R13", "rule 1", "I1", "EX-01"),
        _window_longer_by(SECOND_US),
    ),
    _bug(
        "window one second too short",
        "The resume window lasts 599 s: an agent that is back at 9:59.5 is turned away.",
        ("R13", "rule 1", "EX-01"),
        _window_longer_by(-SECOND_US),
    ),
    _bug(
        "window never opened on disconnect",
        "Only the agent's announcement opens the window; a PC that vanishes without it has none.",
        ("rule 1", "R13", "SH-09", "EX-02"),
        _patched((Turn, "note_window", _notes_no_loss)),
    ),
    _bug(
        "window opened at the order",
        "The window runs from the order on, while the old Windows still answers.",
        ("rule 1", "EX-02"),
        _patched((_restart, "_order", _orders_and_opens)),
    ),
    _bug(
        "window closed by connecting only",
        "Any claim stops the window, also one that is turned away: the session waits for ever.",
        ("rule 1", "rule 9", "I9", "SE-02"),
        _effects(_any_claim_stops_window),
    ),
    _bug(
        "contact from the old boot ends the window",
        "The old boot reconnects while it goes down, and the window stops: back is taken for resumed.",
        ("rule 9", "rule 1", "I9", "SH-03"),
        _patched((_claims, "_reconnect", _old_boot_ends_window)),
    ),
    _bug(
        "loss of the connection starts the window anew",
        "The window was open since the announcement; when the connection goes it begins from the start.",
        ("rule 1", "rule 2", "EX-01", "EX-02", "EX-08"),
        _patched((Turn, "lose_endpoint", _loss_sets_it_anew)),
    ),
    _bug(
        "rep lost stops the window",
        "The representative's console is lost, and the window stops with it.",
        ("rule 13", "RE-02", "I9"),
        _patched((_rep, "lose_rep", _rep_lost_stops_window)),
    ),
    _bug(
        "late agent resumed after expiry",
        "An expired session takes its agent back, because its ticket was never voided.",
        ("R13", "I1", "EX-04", "SE-05"),
        _changed(rec.SessionExpired, _only_the_name("expired"), (_claims, "_over", _no_end)),
    ),
    _bug(
        "ticket accepted after the session ended",
        "The representative ends the session while the PC restarts, and the agent still resumes it.",
        ("rule 13", "I1", "SE-05"),
        _changed(rec.SessionEnded, _only_the_name("ended"), (_claims, "_over", _no_end)),
    ),
    _bug(
        "expired session reopened by the rep",
        "Taking an expired session opens it again.",
        ("R13", "I1"),
        _changed(rec.SessionTaken, _taking_reopens, (_rep, "said", _takes_what_is_over)),
    ),
    _bug(
        "ticket accepted twice",
        "A ticket that has resumed stays good.",
        ("I2", "rule 5", "SE-01"),
        _patched((_claims, "_ticket_for", _spent_is_good)),
    ),
    _bug(
        "ticket accepted from another machine",
        "A copied ticket resumes the session on somebody else's machine.",
        ("I2", "rule 5", "SE-02"),
        _patched((_claims, "_ticket_for", _machine_unasked), (_claims, "_resume_refused", _refuses_no_machine)),
    ),
    _bug(
        "resume from the old boot accepted",
        "A claim from the Windows that was told to restart counts as a resumption.",
        ("rule 9", "I13", "SE-01"),
        _patched((_claims, "_resume_refused", _refuses_no_boot)),
    ),
    _bug(
        "agent started again in the same boot resumes",
        "The agent dies and is started again without a new boot; its ticket is taken as if the PC had restarted.",
        ("rule 14", "rule 9", "I13"),
        _same_boot_resumes,
    ),
    _bug(
        "foreign restart resumed by the server",
        "Every account gets stand-by tickets, so a restart that nobody ordered comes back.",
        ("R6", "rule 3", "I11", "IN-01", "IN-03"),
        _patched((_claims, "_keys", _keys_for_everybody), (_claims, "_ticket_for", _standby_is_good)),
    ),
    _bug(
        "second endpoint accepted",
        "The code of a session lets a second endpoint in while the first one is there.",
        ("I3", "RE-05"),
        _patched((_claims, "_join", _code_good_for_ever)),
    ),
    _bug(
        "customer not asked",
        "The account asks for the customer's consent and the restart is ordered without it.",
        ("R7", "I4", "CO-01", "CO-02"),
        _patched((_restart, "confirmed", _customer_unasked)),
    ),
    _bug(
        "customer's No taken as Yes",
        "The customer declines the restart and the PC restarts.",
        ("R7", "I4", "CO-02"),
        _patched((_restart, "answered", _any_answer_is_yes("no"))),
    ),
    _bug(
        "silence taken as yes",
        "Nobody answers the restart prompt and the PC restarts, in an account that does not allow that.",
        ("R7", "rule 6", "I4", "CO-03"),
        _patched((_restart, "answered", _any_answer_is_yes("silence"))),
    ),
    _bug(
        "representative not asked",
        "Pressing the restart control is enough: the confirmation answers itself.",
        ("R4", "I4"),
        _patched((_restart, "ask", _confirms_itself)),
    ),
    _bug(
        "the representative's No taken as Yes",
        "The representative declines the confirmation and the PC restarts.",
        ("R4", "I4"),
        _patched((_restart, "confirmed", _no_means_yes)),
    ),
    _bug(
        "double click restarts twice",
        "A second press while a restart is under way opens another restart.",
        ("IN-11", "R4"),
        _patched((_restart, "ask", _asks_again_while_one_runs)),
    ),
    _bug(
        "Mac restarted",
        "Server and agent forget to look at the platform: a Mac customer's computer restarts.",
        ("R10", "I8", "PL-01"),
        _mac_is_restarted,
    ),
    _bug(
        "safe mode offered in application mode",
        "The console offers safe mode although the agent is no service, and the server orders it.",
        ("R2", "I10", "SM-02"),
        _patched(_never_refused_for("safe mode")),
    ),
    _bug(
        "queued session restarted",
        "A session that waits in the queue can be restarted.",
        ("R1", "IN-06"),
        _patched(_never_refused_for("queued")),
    ),
    _bug(
        "other kinds of session restarted",
        "Unattended sessions and meetings have the feature too.",
        ("R1",),
        _patched(_never_refused_for("not a standard")),
    ),
    _bug(
        "feature switch ignored",
        "The account has switched the feature off and it is offered all the same.",
        ("IN-04",),
        _patched(_never_refused_for("switched off")),
    ),
    _bug(
        "restart limit ignored",
        "A restart that never comes keeps its order for ever, on both sides.",
        ("rule 11", "rule 1", "I9", "SH-01"),
        _limit_is_ignored,
    ),
    _bug(
        "sharing without consent after the restart",
        "Screen sharing returns by itself although the account asks for consent.",
        ("R9", "I5", "CO-05", "CO-06"),
        _patched((_sharing, "offer", _shares_unasked)),
    ),
    _bug(
        "sharing not returned",
        "Screen sharing that ran before the restart does not come back.",
        ("R9", "CO-05"),
        _patched((_sharing, "offer", _offers_nothing_after_a_restart)),
    ),
    _bug(
        "sharing started though it did not run",
        "The screen is shared after the restart although nobody shared it before.",
        ("R9",),
        _patched((_sharing, "offer", _always_shares)),
    ),
    _bug(
        "chat line doubled",
        "The server has forgotten which lines it has, and writes what is sent again a second time.",
        ("I12", "NE-08", "LO-16"),
        _patched((_claims, "_welcome_back", _says_nothing_arrived), (_agent, "_chat", _writes_every_line)),
    ),
    _bug(
        "transcript begins anew after the restart",
        "The numbering of the transcript starts from one again: the earlier lines are overwritten.",
        ("I12", "R1", "RE-01"),
        _changed(rec.EndpointResumed, _numbers_from_one_again),
    ),
    _bug(
        "idle time-out fires while rebooting",
        "A session is ended as idle although its PC is away for a restart.",
        ("EX-07",),
        _idle(),
    ),
)
