"""The Reboot-and-Reconnect agent: every decision it takes, as one pure step function.

``step(state, input) -> (state, effects)``. No clock, socket, thread or randomness; the same core runs under the
simulator, the search, Wine and Windows (``docs/design.md``). Rules, with their source in the requirements:

* **One order of arming** (:data:`ARMING`), undone in the reverse order when a row fails; the server hears *armed* just
  before the intent is recorded, and hears of a failure only when everything is undone (rule 8).
  The autostart entry goes on before the ticket and off after it: dying in between then leaves an entry that starts an
  agent with nothing to do, never a ticket that nobody removes at the next boot (rule 7, I7).
* **Ordered or foreign** (rule 3): a new boot resumes only with a record whose intent is set, or with a stand-by record.
  Every other record is cleaned up, and so is any record of this same boot (rule 14).
* **A restart that does not happen** (Windows refuses it, somebody cancels it, the restart limit passes, the server
  withdraws it): abort, withdraw the intent, undo, then NotRestarting (rule 11).
* **Safe mode** only in service mode (I10); its boot flag is cleared before any claim; the key stays until the first
  normal boot or the end of the session, and an owner's flag is never ours (rule 7). Only Windows is restarted (I8).
* **Leaving** is a confirmed close of the chat window; silence stays (rule 12). Leaving before the restart is requested
  stops it; afterwards the PC restarts and the agent does not come back.
* **Silence is no** (rule 6), and so is a question whose window vanished (rule 14) -- except *keep the session open?*.
* **After Windows said it is going down** nothing claims the session any more, from this boot.
* **One request to Windows at a time.** One without an answer is given up; carried out late, it is undone again.
* **The agent gives up** after :func:`rrsim.agent._link.give_up_us` without a server, and cleans up.

A service that has nothing left to do goes idle; an application-mode agent exits. What an idle service could not take
away, and a boot flag in any case, it tries to take away again every :data:`rrsim.agent._hands.TIDY_US`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from rrsim.agent import _link as link
from rrsim.agent import _person as person
from rrsim.agent import _session as session
from rrsim.agent import _start as start
from rrsim.agent import _talk as talk
from rrsim.agent import host
from rrsim.agent._hands import begin_chore, came_late, enqueue, give_up, issue, keep_the_way, settled, try_again
from rrsim.agent._state import (
    AgentError,
    AgentState,
    AlreadyStarted,
    Claim,
    Exited,
    Goal,
    LinkPhase,
    NoConnection,
    NotStarted,
    Report,
    Restart,
    Turn,
    Word,
)
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired

__all__ = [
    "ARMING", "LEGAL", "LINK_LEGAL", "AgentError", "AgentState", "AlreadyStarted", "Exited", "NoConnection",
    "NotStarted", "initial", "step",
]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of the arming table."""

    name: str
    """The step's name in ArmFailed."""
    ask: Word
    undo: Word = ""
    when: Literal["always", "service", "safe", "own flag", "flag left"] = "always"
    """``safe``: the next boot is a safe one, by the order or by the owner's flag. ``own flag``: by the order alone.
    ``flag left``: a boot flag of ours could not be cleared, and the order is a normal one."""
    expect: str = ""
    """How what a request reads must begin (SM-03, SM-16: verified, not only written)."""


ARMING: Final = (
    Row("autostart armed", "arm autostart", undo="disarm autostart"),
    Row("boot flag looked at", "look for flag", when="service"),  # before the record says whose it is
    Row("ticket saved", "save ticket", undo="settle record"),
    Row("left boot flag cleared", "clear flag", when="flag left"),
    Row("safe boot key registered", "register key", undo="remove key", when="safe"),
    Row("safe boot key read", "read key", when="safe", expect="present"),
    Row("boot flag set", "set flag", undo="clear flag", when="own flag"),
    Row("boot flag read", "read flag", when="safe", expect="network"),
    Row("intent saved", "save intent", undo="withdraw intent"),  # the server is told *armed* just before
    Row("restart requested", "request restart", undo="abort restart"),
)

_ALWAYS: Final[frozenset[type]] = frozenset({
    host.NetworkChanged, host.Completed, host.Failed, host.Answered, host.PromptGone, host.ChatTyped,
    host.CloseClicked, host.ChatDestroyed, host.CancelClicked, host.QueryEndSession, host.SessionEnding,
    host.EndSessionCancelled, host.HelperReady, host.HelperGone, host.CustomerStarts, TimerFired,
})
"""Inputs that race with what the agent does: legal in every running process, without effect when out of place."""

_CONNECTION: Final[frozenset[type]] = frozenset({
    host.Connected, host.ConnectFailed, host.Disconnected, host.Received,
})

LEGAL: Final[dict[Goal, frozenset[type]]] = {
    "new": frozenset({host.Started}),
    "idle": _ALWAYS,
    "joining": _ALWAYS | _CONNECTION,
    "resuming": _ALWAYS | _CONNECTION,
    "member": _ALWAYS | _CONNECTION,
    "going": _ALWAYS | _CONNECTION,
    "over": _ALWAYS,
    "exited": frozenset(),
}
"""Which inputs are legal for which goal; everything else raises a named :class:`AgentError`."""

LINK_LEGAL: Final[dict[type, tuple[LinkPhase, ...]]] = {
    host.Connected: ("connecting",), host.ConnectFailed: ("connecting",), host.Disconnected: link.OPEN,
    host.Received: link.OPEN,
}
"""News of the connection, and the link phases in which they are legal."""


def initial() -> AgentState:
    """Return the state of a process before its first input, :class:`rrsim.agent.host.Started`."""
    return AgentState()


def step(state: AgentState, event: host.Input) -> tuple[AgentState, tuple[host.Effect, ...]]:
    """Take one input.

    Returns:
        The next state and the effects, to be carried out in order.

    Raises:
        AgentError: the input is impossible in this state (see :data:`LEGAL`, :data:`LINK_LEGAL`).
    """
    _check(state, event)
    t = Turn(state)
    _ON[type(event)](t, event)
    _proceed(t)
    if state.hands.doing and not t.s.hands.doing and t.s.goal != "exited":
        t.forget("step")
    return t.s, tuple(t.effects)


def _check(s: AgentState, event: host.Input) -> None:
    kind = type(event)
    if kind not in LEGAL[s.goal]:
        expected = ", ".join(sorted(k.__name__ for k in LEGAL[s.goal])) or "nothing"
        error: type[AgentError] = NoConnection
        if s.goal in ("new", "exited"):
            error = NotStarted if s.goal == "new" else Exited
        elif kind is host.Started:
            error = AlreadyStarted
        raise error(f"the agent is {s.goal} and got {kind.__name__}; expected {expected}; see rrsim.agent.core.LEGAL")
    phases = LINK_LEGAL.get(kind)
    if phases is not None and s.link.phase not in phases:
        raise NoConnection(
            f"the connection is {s.link.phase} and the agent got {kind.__name__}; expected while {', '.join(phases)}; "
            "deliver news of the agent's current connection only"
        )


# --- requests to Windows: chores first, then the order under way, then the end ------------------------------------


def _proceed(t: Turn) -> None:
    """Do what is next, if Windows owes no answer."""
    begin_chore(t)
    if t.s.hands.doing:
        return
    r = t.s.restart
    if r is not None and r.stage == "unwinding":
        _report(t, r)
    elif r is not None and r.stage == "arming":
        _arm(t, r)
    elif t.s.goal == "over":
        session.finish(t)


def _arm(t: Turn, r: Restart) -> None:
    t.part("restart", step=max(r.step, 0))
    row = ARMING[max(r.step, 0)]
    if row.ask == "save intent":
        if t.s.link.phase != "up":
            return  # armed, but the server cannot be told: go on, or disarm, when the connection is back
        t.send(msg.Armed(order=r.order))
        t.timer("restart limit", t.s.settings.restart_limit_us)
    if row.ask == "request restart":
        t.part("restart", stage="requested")
    issue(t, row.ask)


def _applies(s: AgentState, r: Restart, row: Row) -> bool:
    ordered, owner = r.boot_mode == "safe", s.left.owner
    return {
        "always": True, "service": s.facts.mode == "service", "safe": ordered or owner,
        "own flag": ordered and not owner, "flag left": s.left.flag and not ordered,
    }[row.when]


def _completed(t: Turn, e: host.Completed) -> None:
    word = _answered(t, e.op, done=True)
    if not word:
        return
    row = _current(t.s, word)
    settled(t, word, e.result)
    link.after(t, word)
    r = t.s.restart
    if r is None or row is None:
        return
    if row.expect and not e.result.startswith(row.expect):
        _unwind(t, "arm failed", row.name, f"expected {row.expect!r}, read {e.result!r}")
    elif r.stage == "arming":
        later = range(r.step + 1, len(ARMING))
        t.part("restart", step=next(i for i in later if _applies(t.s, r, ARMING[i])))


def _failed(t: Turn, e: host.Failed) -> None:
    word = _answered(t, e.op, done=False)
    if word:
        _undone(t, word, e.reason, certain=True)


def _undone(t: Turn, word: Word, reason: str, certain: bool) -> None:
    """A request failed, or (not ``certain``) has no answer."""
    row = _current(t.s, word)
    if row is None:
        t.note(f"could not {word}: {reason}")
        keep_the_way(t, word)
        link.after(t, word)
    else:
        _unwind(t, "arm failed", row.name, reason)
    if certain and word == "request restart":
        # There is nothing to abort; a restart that is coming all the same is somebody else's (IN-07, IN-08).
        t.part("hands", chores=tuple(c for c in t.s.hands.chores if c != "abort restart"))


def _answered(t: Turn, op: int, done: bool) -> Word:
    """Return what ``op`` was, or nothing if no answer to it is awaited."""
    word = t.s.hands.doing
    if not word or op != t.s.hands.op:
        t.note(f"request {op} is not pending")
        r = t.s.restart
        if came_late(t, op, done) and r is not None and r.stage in ("arming", "requested"):
            _unwind(t, "arm failed", ARMING[max(r.step, 0)].name, "an earlier request was carried out late")
        return ""
    t.part("hands", doing="")
    return word


def _current(s: AgentState, word: Word) -> Row | None:
    """Return the row of the arming table that ``word`` carries out now, or None for a chore or an outdated row."""
    r = s.restart
    if r is None or r.stage == "unwinding" or r.step < 0 or ARMING[r.step].ask != word:
        return None
    return ARMING[r.step]


def _unwind(t: Turn, report: Report, failed_step: str, reason: str) -> None:
    """Undo every row from the current one back, then report. The current row is undone too: it may be half done."""
    r = t.s.restart
    if r is None or r.stage == "unwinding":
        return
    t.forget("restart limit")
    for row in reversed(ARMING[: r.step + 1]):
        kept = (
            (row.undo == "abort restart" and r.stage == "arming")
            or (row.undo == "remove key" and t.s.facts.safe_mode)  # it must let the service start again (rule 7)
            or (row.undo == "disarm autostart" and t.s.left.standby)
        )
        if row.undo and not kept and _applies(t.s, r, row):
            enqueue(t, row.undo)
    t.part("restart", stage="unwinding", report=report, failed_step=failed_step, reason=reason)


def _report(t: Turn, r: Restart) -> None:
    """Everything is undone: tell the server, if it can be told. If not, Reconnect says that nothing is under way."""
    t.set(restart=None)
    if t.s.link.phase != "up":
        return
    if r.report == "arm failed":
        t.send(msg.ArmFailed(order=r.order, step=r.failed_step, reason=r.reason))
    elif r.report == "not restarting":
        t.send(msg.NotRestarting(order=r.order, reason=r.reason))


# --- the connection -----------------------------------------------------------------------------------------------


def _network_changed(t: Turn, _: host.NetworkChanged) -> None:
    if t.s.link.phase == "waiting":
        t.forget("retry")
        link.connect(t)


def _received(t: Turn, e: host.Received) -> None:
    m, s = e.message, t.s
    kind = type(m)
    t.timer("silence", s.settings.silence_us)
    if isinstance(m, msg.TurnedAway | msg.SessionOver):
        reason = m.reason or "ended"
        session.over(t, reason, tell="" if s.goal == "going" else reason)
    elif isinstance(m, msg.Welcome) and s.link.phase == "greeting":
        session.welcome(t, m.version)
    elif isinstance(m, msg.Joined) and s.link.phase == "claiming" and s.goal == "joining":
        session.joined(t, m)
    elif isinstance(m, msg.Resumed) and s.link.phase == "claiming" and s.goal in _RESUMED:
        _RESUMED[s.goal](t, m)
    elif kind in _SAID and s.link.phase == "up":
        _SAID[kind](t, m)
    else:
        t.note(f"{kind.__name__} is not expected while {s.goal} and {s.link.phase}: ignored")


def _resumed_same_boot(t: Turn, m: msg.Resumed) -> None:
    """Back after a loss of network: both sides must mean the same order, and the same chat lines."""
    t.set(settings=m.settings, claim=Claim(session=m.session, live_key=m.live_key))
    link.established(t)
    talk.resend(t, m.lines)
    talk.send_kept_answers(t)
    link.say_seat(t)
    r = t.s.restart
    if r is not None and r.order != m.order:
        _unwind(t, "", "", "")
        t.part("restart", report="")  # also when it was being undone already: the server knows of no such order
    elif r is None and m.order:
        t.send(msg.NotRestarting(order=m.order, reason="the order is not under way on this PC"))
    elif r is not None and r.stage == "requested":
        t.send(msg.Armed(order=r.order))  # the first one may have gone down with the old connection


_RESUMED: Final[dict[Goal, Callable[[Turn, msg.Resumed], None]]] = {
    "resuming": session.resumed_new_boot, "member": _resumed_same_boot, "going": session.resumed_too_late,
}


# --- orders -------------------------------------------------------------------------------------------------------


def _ordered(t: Turn, m: msg.Order) -> None:
    """Begin to arm. A repeat of the order under way changes nothing: one reboot (IN-11)."""
    s, r = t.s, t.s.restart
    if r is not None and r.order == m.order:
        t.note(f"order {m.order} is under way already")
        return
    refusal = ("", "")
    if r is not None:
        refusal = ("order", "another restart is under way or still being undone")
    elif s.facts.platform != "windows":
        refusal = ("platform", f"a {s.facts.platform} PC is never restarted")
    elif m.boot_mode == "safe" and s.facts.mode != "service":
        refusal = ("boot mode", "safe mode needs the agent to run as a service")
    elif s.shutdown == "ending":
        refusal = ("shutdown", "Windows is going down already")
    if refusal[0]:
        t.send(msg.ArmFailed(order=m.order, step=refusal[0], reason=refusal[1]))
        return
    t.set(restart=Restart(order=m.order, boot_mode=m.boot_mode, forced=m.forced, ticket=m.ticket))


def _withdrawn(t: Turn, m: msg.Withdraw) -> None:
    r = t.s.restart
    if r is None or r.order != m.order or r.stage not in ("arming", "requested"):
        t.note(f"order {m.order} cannot be withdrawn any more, or is not under way")
        return
    _unwind(t, "not restarting", "", m.reason)


_SAID: Final[dict[type, Callable[[Turn, Any], None]]] = {
    msg.Ask: talk.asked_by_server, msg.Order: _ordered, msg.Withdraw: _withdrawn, msg.StandBy: session.stand_by,
    msg.ServerChat: talk.heard, msg.Sharing: session.share, msg.HeartbeatReply: talk.heartbeat_reply,
}
"""Messages inside a session."""


# --- Windows goes down, or does not -------------------------------------------------------------------------------


def _query_end_session(t: Turn, e: host.QueryEndSession) -> None:
    """Nothing is decided yet; only remember whether a restart is meant at all (Restart Manager, sign-out)."""
    if t.s.shutdown != "ending":
        t.set(shutdown="" if e.kind == "shutdown" else "not a restart")
    t.note(f"Windows asks whether the session may end: {e.kind}")


def _session_ending(t: Turn, _: host.SessionEnding) -> None:
    s, r = t.s, t.s.restart
    if s.shutdown == "ending":
        return
    t.set(shutdown="ending")
    if r is not None and r.stage == "requested":
        t.part("restart", stage="ending")
        t.forget("restart limit")
        if s.link.phase == "up" and s.shutdown != "not a restart":
            t.send(msg.Restarting(order=r.order))
        t.do(host.CloseChat())
    else:
        t.note("Windows goes down, and not for an order of this session")
        _unwind(t, "arm failed", "restart requested", "Windows is going down for another reason")
    if s.link.phase != "up":
        link.drop(t)


def _end_session_cancelled(t: Turn, e: host.EndSessionCancelled) -> None:
    """The session goes on after all: the order is off (rule 11), and everything closed for it comes back."""
    was, r = t.s.shutdown, t.s.restart
    t.set(shutdown="")
    if was != "not a restart" and r is not None and r.stage in ("requested", "ending"):
        _unwind(t, "not restarting", "", f"cancelled by {e.by}")
    if was == "ending":
        if t.s.goal == "member":
            talk.open_chat(t)
        link.connect_if_down(t)


# --- timers -------------------------------------------------------------------------------------------------------


def _timer(t: Turn, e: TimerFired) -> None:
    s, name = t.s, e.name
    if name == "retry" and s.link.phase == "waiting":
        link.connect(t)
    elif name == "silence" and s.link.phase in link.OPEN:
        t.do(host.Disconnect())
        link.lost(t, 0)
    elif name == "heartbeat" and s.link.phase == "up":
        link.beat(t)
    elif name == "give up" and s.goal in link.WANTS_LINK and s.link.phase != "up":
        session.over(t, "the agent stopped trying", tell="" if s.goal == "going" else "expired")
    elif name == "step" and s.hands.doing:
        _undone(t, give_up(t), "Windows gave no answer", certain=False)
    elif name == "restart limit" and s.restart is not None and s.restart.stage in ("arming", "requested"):
        _unwind(t, "not restarting", "", "the restart limit has passed")
    elif name == "idle" and s.goal == "idle" and s.facts.mode == "application":
        # Windows may have started us through an entry whose ticket never came to be, or was removed (rule 7).
        session.over(t, "there is nothing to do")
    elif name == "tidy":
        try_again(t)
    elif name.startswith("ask "):
        person.silence(t, name.removeprefix("ask "))


_ON: Final[dict[type, Callable[[Turn, Any], None]]] = {
    host.Started: start.started, host.CustomerStarts: session.asked_anew, host.Connected: lambda t, _: link.greet(t),
    host.ConnectFailed: lambda t, e: link.retry_later(t, e.jitter),
    host.Disconnected: lambda t, e: link.lost(t, e.jitter), host.NetworkChanged: _network_changed,
    host.Received: _received, host.Completed: _completed, host.Failed: _failed, host.Answered: person.on_answer,
    host.PromptGone: person.prompt_gone, host.ChatTyped: person.chat_typed, host.CloseClicked: person.close_clicked,
    host.ChatDestroyed: person.chat_destroyed, host.CancelClicked: person.cancel_clicked,
    host.QueryEndSession: _query_end_session, host.SessionEnding: _session_ending,
    host.EndSessionCancelled: _end_session_cancelled, host.HelperReady: person.helper_ready,
    host.HelperGone: person.helper_gone, TimerFired: _timer,
}
