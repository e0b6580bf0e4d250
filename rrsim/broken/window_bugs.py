"""Deliberate bugs of the session server about the resume window and who may come back through it."""

# ruff: noqa: SLF001 - a bug sits where the product's own decision is taken, and that is private
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from rrsim.backends.sim.compiled import Parts
from rrsim.broken.agent_bugs import resumes_in_the_same_boot
from rrsim.broken.bug import Patch, patched
from rrsim.broken.server_parts import server_bug, with_effects, with_patches, with_records
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.ticket import derive, matches, seal
from rrsim.protocol.timers import CancelTimer, SetTimer
from rrsim.server import _claims, _rep, _restart, _state, core
from rrsim.server._state import Durable, SessionState
from rrsim.server._turn import WINDOW, Turn
from rrsim.server.vocabulary import Claimed

MINUTE_US: Final = 60_000_000
SECOND_US: Final = 1_000_000

# --- the resume window ------------------------------------------------------------------------------------------


def _window_of(length_us: Callable[[int], int]) -> Callable[[], Parts]:
    """Return parts whose window lasts ``length_us(right length)`` microseconds."""

    def change(_: Any, __: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            msgspec.structs.replace(e, after_us=length_us(e.after_us))
            if isinstance(e, SetTimer) and e.name == WINDOW
            else e
            for e in effects
        )

    return with_effects(change)


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


def _not_over_when(life: _state.Life) -> Patch:
    """This end of a session keeps nobody out."""
    return _claims, "_over", lambda state: "" if state.durable.life == life else _OVER(state)


_OVER: Final = _claims._over


def _only_the_name(life: _state.Life) -> Callable[[Durable, Any], Durable]:
    """The session gets another state, and its ticket and its keys stay good."""
    return lambda d, _: msgspec.structs.replace(d, life=life)


def _cancelled_in_name(d: Durable, r: rec.RestartCancelled) -> Durable:
    return d if r.by == "representative" and d.restart.window else _state._no_restart(d, r)


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


def _taking_reopens(d: Durable, r: rec.SessionTaken) -> Durable:
    return msgspec.structs.replace(d, rep=r.rep, rep_lost=False, life="open")


def _takes_what_is_over(turn: Turn, event: Any) -> None:
    if turn.state.over and isinstance(event.message, msg.Take):
        turn.write(rec.SessionTaken(turn.d.session, event.rep))
    else:
        _SAID(turn, event)


_SAID: Final = _rep.said


def _same_boot_resumes() -> Parts:
    return Parts(
        server=patched(core.step, (_claims, "_resume_refused", _refuses_no_boot)),
        agent=resumes_in_the_same_boot(),
    )


BUGS: Final = (
    server_bug(
        "window one second too long",
        "The resume window lasts 601 s: an agent that is back at 10:00.5 resumes.",
        ("R13", "rule 1", "I1", "EX-01"),
        _window_of(lambda us: us + SECOND_US),
    ),
    server_bug(
        "the account's own window ignored",
        "Every account gets ten minutes, whatever its profile or settings say.",
        ("rule 10", "R13", "EX-06"),
        _window_of(lambda _: 10 * MINUTE_US),
    ),
    server_bug(
        "window one second too short",
        "The resume window lasts 599 s: an agent that is back at 9:59.5 is turned away.",
        ("R13", "rule 1", "EX-01"),
        _window_of(lambda us: us - SECOND_US),
    ),
    server_bug(
        "window never opened on disconnect",
        "Only the agent's announcement opens the window; a PC that vanishes without it has none.",
        ("rule 1", "R13", "SH-09", "EX-02"),
        with_patches((Turn, "note_window", _notes_no_loss)),
    ),
    server_bug(
        "window opened at the order",
        "The window runs from the order on, while the old Windows still answers.",
        ("rule 1", "EX-02"),
        with_patches((_restart, "_order", _orders_and_opens)),
    ),
    server_bug(
        "window closed by connecting only",
        "Any claim stops the window, also one that is turned away: the session waits for ever.",
        ("rule 1", "rule 9", "I9", "SE-02"),
        with_effects(_any_claim_stops_window),
    ),
    server_bug(
        "contact from the old boot ends the window",
        "The old boot reconnects while it goes down, and the window stops: back is taken for resumed.",
        ("rule 9", "rule 1", "I9", "SH-03"),
        with_patches((_claims, "_reconnect", _old_boot_ends_window)),
    ),
    server_bug(
        "loss of the connection starts the window anew",
        "The window was open since the announcement; when the connection goes it begins from the start.",
        ("rule 1", "rule 2", "EX-01", "EX-02", "EX-08"),
        with_patches((Turn, "lose_endpoint", _loss_sets_it_anew)),
    ),
    server_bug(
        "rep lost stops the window",
        "The representative's console is lost, and the window stops with it.",
        ("rule 13", "RE-02", "I9"),
        with_patches((_rep, "lose_rep", _rep_lost_stops_window)),
    ),
    server_bug(
        "late agent resumed after expiry",
        "An expired session takes its agent back, because its ticket was never voided.",
        ("R13", "I1", "EX-04", "SE-05"),
        with_records({rec.SessionExpired: _only_the_name("expired")}, _not_over_when("expired")),
    ),
    server_bug(
        "ticket accepted after the session ended",
        "The representative ends the session while the PC restarts, and the agent still resumes it.",
        ("rule 13", "I1", "SE-05"),
        with_records(
            {rec.SessionEnded: _only_the_name("ended"), rec.RestartCancelled: _cancelled_in_name},
            _not_over_when("ended"),
        ),
    ),
    server_bug(
        "expired session reopened by the rep",
        "Taking an expired session opens it again.",
        ("R13", "I1"),
        with_records({rec.SessionTaken: _taking_reopens}, (_rep, "said", _takes_what_is_over)),
    ),
    server_bug(
        "ticket accepted twice",
        "A ticket that has resumed stays good.",
        ("I2", "rule 5", "SE-01"),
        with_patches((_claims, "_ticket_for", _spent_is_good)),
    ),
    server_bug(
        "ticket accepted from another machine",
        "A copied ticket resumes the session on somebody else's machine.",
        ("I2", "rule 5", "SE-02"),
        with_patches((_claims, "_ticket_for", _machine_unasked), (_claims, "_resume_refused", _refuses_no_machine)),
    ),
    server_bug(
        "resume from the old boot accepted",
        "A claim from the Windows that was told to restart counts as a resumption.",
        ("rule 9", "I13", "SE-01"),
        with_patches((_claims, "_resume_refused", _refuses_no_boot)),
    ),
    server_bug(
        "agent started again in the same boot resumes",
        "The agent dies and is started again without a new boot; its ticket is taken as if the PC had restarted.",
        ("rule 14", "rule 9", "I13"),
        _same_boot_resumes,
    ),
    server_bug(
        "foreign restart resumed by the server",
        "Every account gets stand-by tickets, so a restart that nobody ordered comes back.",
        ("R6", "rule 3", "I11", "IN-01", "IN-03"),
        with_patches((_claims, "_keys", _keys_for_everybody), (_claims, "_ticket_for", _standby_is_good)),
    ),
    server_bug(
        "second endpoint accepted",
        "The code of a session lets a second endpoint in while the first one is there.",
        ("I3", "RE-05"),
        with_patches((_claims, "_join", _code_good_for_ever)),
    ),
)
