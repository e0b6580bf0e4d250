"""A session begins, and ends: what the agent sets up, what it takes away, in which order, and how it leaves."""

from __future__ import annotations

from rrsim.agent import _link as link
from rrsim.agent import _talk as talk
from rrsim.agent import host
from rrsim.agent._hands import begin_chore, enqueue, tidy, tidy_later
from rrsim.agent._state import Chat, Claim, Goal, Turn, Word
from rrsim.protocol.messages import AgentSettings, Joined, Leave, Resumed, Sharing, StandBy
from rrsim.protocol.version import SUPPORTED


def over(t: Turn, why: str, tell: str = "", abort: bool = True, first: Word = "") -> None:
    """The session is over for this agent: leave nothing behind (rule 7), then exit or go idle.

    ``abort`` takes back a restart that Windows was asked for; ``first`` is a chore before all others.
    """
    before = t.s
    t.set(goal="over", why=why, claim=Claim(session=before.claim.session))
    _clean(t, abort, first)
    begin_chore(t)
    _close_windows(t, before.goal)
    link.drop(t)
    t.forget("give up")
    if tell:
        t.do(host.Tell(tell))


def _clean(t: Turn, abort: bool, first: Word = "") -> None:
    """Drop the order and queue the clean-up. Aborting comes first, but never before a safe-mode flag is cleared."""
    r = t.s.restart
    if (abort and r is not None and r.stage == "requested") or "abort restart" in t.s.hands.chores:
        first = "abort restart"
    t.part("left", standby="")
    if r is not None:
        t.set(restart=None)
        t.forget("restart limit")
    todo = tidy(t.s)
    if first:
        at = 1 if t.s.facts.safe_mode and t.s.left.flag else 0
        todo = (*todo[:at], first, *todo[at:])
    t.part("hands", chores=todo)


def _close_windows(t: Turn, goal: Goal) -> None:
    talk.withdraw_all(t)
    if goal == "resuming" and t.s.settings.phone_mode:
        t.do(host.HideCancel())
    if goal == "member":
        t.do(host.CloseChat())
    if t.s.sharing:
        t.set(sharing=False)
        t.do(host.Capture(False))


def finish(t: Turn) -> None:
    """Nothing is left to clean up: join the session that the customer asked for meanwhile, go idle, or exit."""
    s = t.s
    t.set(chat=Chat(), settings=AgentSettings(), why="")
    if s.claim.code:
        join(t, s.claim.code)
    elif s.facts.mode == "service":
        t.set(goal="idle", claim=Claim())
        tidy_later(t)
    else:
        t.set(goal="exited")
        t.do(host.Exit(s.why))


def leave(t: Turn, why: str) -> None:
    """The customer leaves on purpose (rule 12). A restart that Windows was asked for already is let happen."""
    if t.s.link.phase == "up":
        t.send(Leave(reason=why))
        over(t, why, abort=False)
    else:
        go(t, why)


def go(t: Turn, why: str) -> None:
    """Clean up at once, and keep only what it takes to tell the server."""
    goal = t.s.goal
    t.set(goal="going", why=why)
    _clean(t, abort=False)
    begin_chore(t)
    _close_windows(t, goal)


def join(t: Turn, code: str) -> None:
    """Enter a session for the first time."""
    t.set(goal="joining", claim=Claim(code=code))
    t.timer("give up", link.give_up_us(t.s.settings))
    if t.s.shutdown != "ending":
        link.connect(t)


def asked_anew(t: Turn, e: host.CustomerStarts) -> None:
    """The customer starts support; what an earlier session left is cleaned up first.

    People start a program twice: in a session whose connection is up that changes nothing. Without a connection the
    customer has given the earlier session up, or mistyped its code (R13).
    """
    s = t.s
    if s.goal == "member" and s.link.phase == "up":
        t.do(host.Tell("already in a session"))
    elif s.goal == "idle":
        t.forget("idle")
        join(t, e.code)
    else:
        if s.goal != "over":
            over(t, "the customer asked anew")
        t.part("claim", code=e.code)


def welcome(t: Turn, version: int) -> None:
    """The server chose the version to speak: make the claim, or leave cleanly if it is unknown here."""
    if version in SUPPORTED:
        link.claim(t)
    else:
        over(t, f"protocol version {version} is not known here", tell="version")


def joined(t: Turn, m: Joined) -> None:
    """In the session for the first time."""
    t.set(goal="member", settings=m.settings, claim=Claim(session=m.session, live_key=m.live_key))
    link.established(t)
    talk.open_chat(t)
    link.say_seat(t)


def resumed_new_boot(t: Turn, m: Resumed) -> None:
    """In the session again after a restart: the ticket is spent, so record and autostart entry go (rule 7)."""
    if t.s.settings.phone_mode:
        t.do(host.HideCancel())
    t.set(goal="member", settings=m.settings, claim=Claim(session=m.session, live_key=m.live_key))
    link.established(t)
    enqueue(t, "settle record", "disarm autostart")
    begin_chore(t)
    talk.open_chat(t)


def resumed_too_late(t: Turn, _: Resumed) -> None:
    """The customer has left or cancelled meanwhile."""
    t.send(Leave(reason=t.s.why))
    over(t, t.s.why)


def stand_by(t: Turn, m: StandBy) -> None:
    """Keep a ticket for a restart nobody ordered. During an order it takes effect when the order is undone.

    As in the arming table, the autostart entry goes on before the ticket: dying in between leaves no ticket alone.
    """
    t.part("left", standby=m.ticket)
    if t.s.restart is None:
        enqueue(t, "arm autostart", "settle record")


def share(t: Turn, m: Sharing) -> None:
    """Start or stop the screen; the server has asked whoever had to be asked (I5)."""
    t.set(sharing=m.on)
    t.do(host.Capture(m.on))
