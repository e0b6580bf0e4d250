"""Screen sharing: when it comes back after a restart, and who is asked first (R9, rule 4, I5)."""

from __future__ import annotations

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.server._state import PAUSED, Endpoint
from rrsim.server._turn import ASK_SHARING, Turn

GUARD_US = 5_000_000
"""How much longer than the agent's own prompt time-out the server waits before silence is certain (rule 6)."""


def somebody_can_be_asked(endpoint: Endpoint) -> bool:
    """In service mode a prompt needs a desktop that a person can see (CO-07, LO-05). An application-mode agent runs
    on its user's own desktop; if that is locked its prompt waits there (LO-10)."""
    return endpoint.present and (endpoint.mode == "application" or endpoint.desktop == "visible")


def offer(turn: Turn, reason: str) -> None:
    """Bring sharing back if it ran before: by itself, or by asking first. If nobody can be asked now it waits."""
    screen = turn.d.screen
    if not screen.wanted or screen.on or not turn.d.endpoint.present:
        return
    if screen.consent_due:
        ask(turn)
    else:
        switch(turn, True, reason)


def ask(turn: Turn) -> bool:
    """Ask the person at the PC, unless the question is open already. Return False if nobody can be asked now."""
    d = turn.d
    if d.sharing_ask:
        return True
    if not somebody_can_be_asked(d.endpoint):
        return False
    timeout_us, number = d.account.prompt_timeout_us, d.asks + 1
    turn.set_timer(ASK_SHARING, timeout_us + GUARD_US)
    turn.write(rec.CustomerAsked(d.session, number, "sharing", d.restarts))
    turn.to_agent(msg.Ask(number, "sharing", timeout_us))
    return True


def answered(turn: Turn, answer: msg.Answer, human: bool) -> None:
    """Take the answer to the open question. Only a Yes shares the screen; silence is No (rule 6)."""
    d = turn.d
    turn.write(rec.CustomerAnswered(d.session, d.sharing_ask, "sharing", d.restarts, answer, human))
    turn.cancel(ASK_SHARING)
    if answer == "yes" and turn.d.endpoint.present:
        switch(turn, True, "customer agreed")
    elif answer != "yes":
        turn.write(rec.SharingChanged(d.session, on=False, reason="declined" if answer == "no" else "no answer"))


def switch(turn: Turn, on: bool, reason: str) -> None:
    """Start or stop sharing now."""
    turn.write(rec.SharingChanged(turn.d.session, on=on, reason=reason))
    turn.to_agent(msg.Sharing(on))


def another_person(turn: Turn) -> None:
    """Somebody else sits there now: stop showing the screen until they agree (rule 4)."""
    if turn.d.screen.on:
        switch(turn, False, PAUSED)
