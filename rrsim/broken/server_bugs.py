"""Deliberate bugs of the session server about who is asked, what is available, the screen and the transcript."""

# ruff: noqa: SLF001 - a bug sits where the product's own decision is taken, and that is private
from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from rrsim.agent import core as agent_core
from rrsim.backends.sim.compiled import Parts
from rrsim.broken.agent_bugs import limit_ignored, orders_any_platform
from rrsim.broken.bug import Patch, changed_input, patched
from rrsim.broken.server_parts import server_bug, with_patches, with_records
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.server import _agent, _claims, _restart, _sharing, _state, _turn, core
from rrsim.server._state import Durable, SessionState
from rrsim.server._turn import Turn
from rrsim.server.vocabulary import Claimed

SECOND_US: Final = 1_000_000

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


def _idle_at_any_time(turn: Turn) -> None:
    if turn.d.account.idle_timeout_us:
        turn.finish(rec.SessionEnded(turn.d.session, "server", "idle"), "idle for too long")


def _idle() -> Callable[[], Parts]:
    return with_patches((core, "_ON_TIMER", {**core._ON_TIMER, _turn.IDLE: _idle_at_any_time}))


BUGS: Final = (
    server_bug(
        "customer not asked",
        "The account asks for the customer's consent and the restart is ordered without it.",
        ("R7", "I4", "CO-01", "CO-02"),
        with_patches((_restart, "confirmed", _customer_unasked)),
    ),
    server_bug(
        "customer's No taken as Yes",
        "The customer declines the restart and the PC restarts.",
        ("R7", "I4", "CO-02"),
        with_patches((_restart, "answered", _any_answer_is_yes("no"))),
    ),
    server_bug(
        "silence taken as yes",
        "Nobody answers the restart prompt and the PC restarts, in an account that does not allow that.",
        ("R7", "rule 6", "I4", "CO-03"),
        with_patches((_restart, "answered", _any_answer_is_yes("silence"))),
    ),
    server_bug(
        "representative not asked",
        "Pressing the restart control is enough: the confirmation answers itself.",
        ("R4", "I4"),
        with_patches((_restart, "ask", _confirms_itself)),
    ),
    server_bug(
        "the representative's No taken as Yes",
        "The representative declines the confirmation and the PC restarts.",
        ("R4", "I4"),
        with_patches((_restart, "confirmed", _no_means_yes)),
    ),
    server_bug(
        "double click restarts twice",
        "A second press while a restart is under way opens another restart.",
        ("IN-11", "R4"),
        with_patches((_restart, "ask", _asks_again_while_one_runs)),
    ),
    server_bug(
        "Mac restarted",
        "Server and agent forget to look at the platform: a Mac customer's computer restarts.",
        ("R10", "I8", "PL-01"),
        _mac_is_restarted,
    ),
    server_bug(
        "safe mode offered in application mode",
        "The console offers safe mode although the agent is no service, and the server orders it.",
        ("R2", "I10", "SM-02"),
        with_patches(_never_refused_for("safe mode")),
    ),
    server_bug(
        "queued session restarted",
        "A session that waits in the queue can be restarted.",
        ("R1", "IN-06"),
        with_patches(_never_refused_for("queued")),
    ),
    server_bug(
        "other kinds of session restarted",
        "Unattended sessions and meetings have the feature too.",
        ("R1",),
        with_patches(_never_refused_for("not a standard")),
    ),
    server_bug(
        "feature switch ignored",
        "The account has switched the feature off and it is offered all the same.",
        ("IN-04",),
        with_patches(_never_refused_for("switched off")),
    ),
    server_bug(
        "restart limit ignored",
        "A restart that never comes keeps its order for ever, on both sides.",
        ("rule 11", "rule 1", "I9", "SH-01"),
        _limit_is_ignored,
    ),
    server_bug(
        "sharing without consent after the restart",
        "Screen sharing returns by itself although the account asks for consent.",
        ("R9", "I5", "CO-05", "CO-06"),
        with_patches((_sharing, "offer", _shares_unasked)),
    ),
    server_bug(
        "sharing not returned",
        "Screen sharing that ran before the restart does not come back.",
        ("R9", "CO-05"),
        with_patches((_sharing, "offer", _offers_nothing_after_a_restart)),
    ),
    server_bug(
        "sharing started though it did not run",
        "The screen is shared after the restart although nobody shared it before.",
        ("R9",),
        with_patches((_sharing, "offer", _always_shares)),
    ),
    server_bug(
        "chat line doubled",
        "The server has forgotten which lines it has, and writes what is sent again a second time.",
        ("I12", "NE-08", "LO-16"),
        with_patches((_claims, "_welcome_back", _says_nothing_arrived), (_agent, "_chat", _writes_every_line)),
    ),
    server_bug(
        "transcript begins anew after the restart",
        "The numbering of the transcript starts from one again: the earlier lines are overwritten.",
        ("I12", "R1", "RE-01"),
        with_records({rec.EndpointResumed: _numbers_from_one_again}),
    ),
    server_bug(
        "idle time-out fires while rebooting",
        "A session is ended as idle although its PC is away for a restart.",
        ("EX-07",),
        _idle(),
    ),
)
