"""The connection to the session server: tries with back-off, the claim after the greeting, signs of life."""

from __future__ import annotations

from typing import Final

from rrsim.agent import host
from rrsim.agent._state import MOST_ATTEMPTS, AgentState, Link, Restart, Turn, Word
from rrsim.protocol.messages import (
    AgentMessage,
    AgentSettings,
    CancelResume,
    Heartbeat,
    Hello,
    HelperState,
    Join,
    Reconnect,
    Resume,
)
from rrsim.protocol.version import SUPPORTED

WANTS_LINK: Final = ("joining", "resuming", "member", "going")
"""Goals for which a connection is sought."""

OPEN: Final = ("greeting", "claiming", "up")
"""Link phases in which messages can arrive."""


def connect(t: Turn) -> None:
    """Try now."""
    t.part("link", phase="connecting")
    t.do(host.Connect())


def connect_if_down(t: Turn) -> None:
    """Try now, if the agent wants a connection and nothing is done about it; not while Windows is going down."""
    if t.s.goal in WANTS_LINK and t.s.link.phase == "down" and t.s.shutdown != "ending":
        connect(t)


def after(t: Turn, word: Word) -> None:
    """Windows has answered a request: the last that comes before every claim in safe mode sets the connection free."""
    if word in ("look for key", "clear flag") and "clear flag" not in t.s.hands.chores:
        connect_if_down(t)


def retry_later(t: Turn, jitter: int) -> None:
    """Try again after the back-off: doubling from the first to the longest wait, spread by ``jitter`` sixteenths."""
    attempts = min(t.s.link.attempts + 1, MOST_ATTEMPTS)
    t.set(link=Link("waiting", attempts))
    wait_us = min(t.s.settings.retry_first_us << (attempts - 1), t.s.settings.retry_max_us)
    t.timer("retry", wait_us + wait_us * (jitter % 8) // 16)


def lost(t: Turn, jitter: int) -> None:
    """The connection is gone: go on trying, unless Windows is going down (no claim may follow then)."""
    t.forget("silence", "heartbeat")
    t.part("chat", probe=-1)
    if t.s.goal == "member":
        t.timer("give up", give_up_us(t.s.settings))
    if t.s.shutdown == "ending":
        t.set(link=Link())
    else:
        retry_later(t, jitter)


def drop(t: Turn) -> None:
    """Close whatever there is of a connection, and stop trying."""
    if t.s.link.phase in OPEN or t.s.link.phase == "connecting":
        t.do(host.Disconnect())
    t.forget("retry", "silence", "heartbeat")
    t.part("chat", probe=-1)
    t.set(link=Link())


def give_up_us(settings: AgentSettings) -> int:
    """Return how long the agent tries to come back before it cleans up by itself, in microseconds.

    The server decides on expiry (R13), but an agent that never reaches it must not keep a ticket for ever (rule 7). The
    server's window began at the latest when it missed a sign of life, so after that time and a whole window of trying
    there is certainly no way back any more.
    """
    return settings.give_up_us or settings.silence_us + settings.resume_window_us


def greet(t: Turn) -> None:
    """Say hello on a new connection, and watch it from here on."""
    facts = t.s.facts
    t.part("link", phase="greeting")
    t.send(Hello(versions=SUPPORTED, platform=facts.platform, mode=facts.mode, machine=facts.machine))
    t.timer("silence", t.s.settings.silence_us)


def claim(t: Turn) -> None:
    """Ask for what the agent is about."""
    t.part("link", phase="claiming")
    t.send(_claim(t.s))


def _claim(s: AgentState) -> AgentMessage:
    c, facts = s.claim, s.facts
    if s.goal == "joining":
        return Join(code=c.code, boot=facts.boot, user=s.seat.user)
    if s.goal == "going" and c.ticket:
        return CancelResume(session=c.session, ticket=c.ticket)
    if s.goal == "resuming":
        return Resume(
            session=c.session, ticket=c.ticket, boot=facts.boot, safe_mode=facts.safe_mode, elevated=facts.elevated,
            user=s.seat.user, desktop=s.seat.desktop,
        )
    return Reconnect(session=c.session, live_key=c.live_key, boot=facts.boot, restarting=under_way(s.restart))


def under_way(restart: Restart | None) -> bool:
    """Whether an order may still lead to a restart of this boot (rule 1, rule 11)."""
    return restart is not None and restart.stage != "unwinding"


def established(t: Turn) -> None:
    """The claim was granted: beat, and stop the clock that runs while the agent is away."""
    t.set(link=Link("up"))
    t.forget("give up")
    t.timer("heartbeat", t.s.settings.heartbeat_us)


def beat(t: Turn) -> None:
    """Send a heartbeat; its reply acknowledges every chat line sent before it, since a connection keeps order."""
    if t.s.chat.probe < 0:
        t.part("chat", probe=t.s.chat.line)
    t.send(Heartbeat())
    t.timer("heartbeat", t.s.settings.heartbeat_us)


def say_seat(t: Turn) -> None:
    """Service mode: tell the server which desktop could show a question now (LO-05, CO-08)."""
    if t.s.facts.mode == "service" and t.s.link.phase == "up":
        t.send(HelperState(desktop=t.s.seat.desktop, user=t.s.seat.user))
