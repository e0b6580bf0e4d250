"""Deliberate bugs of the agent: what a careless build of it could do on the customer's PC."""

# ruff: noqa: SLF001 - a bug sits where the product's own decision is taken, and that is private
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from rrsim.agent import _hands, _link, _person, _session, _start, _talk, core, host
from rrsim.agent._state import AgentState, Claim, Question, Restart, Seat, Turn, Word
from rrsim.backends.sim.compiled import Parts
from rrsim.backends.sim.memo import StepFunction
from rrsim.broken.bug import Bug, Patch, changed_effects, changed_input, patched, without
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired

_HARMLESS: Final = host.ReadBootFlag()
"""A request that changes nothing: asked for in place of one that is forgotten, so that the agent gets its answer."""


def _agent(step: StepFunction) -> Callable[[], Parts]:
    return lambda: Parts(agent=step)


def _patched(*patches: Patch) -> Callable[[], Parts]:
    return lambda: Parts(agent=patched(core.step, *patches))


def _bug(name: str, about: str, breaks: tuple[str, ...], parts: Callable[[], Parts]) -> Bug:
    return Bug(name=name, about=about, where="agent", breaks=breaks, parts=parts)


def _forgets(word: Word) -> Callable[[], Parts]:
    """The agent believes it has undone something, and asked for nothing of the kind."""
    return _patched((_hands, "_PLAIN", {**_hands._PLAIN, word: _HARMLESS}))


def _asks_instead(kind: type[host.HostRequest], other: host.HostRequest) -> Callable[[], Parts]:
    """The agent asks Windows for something else wherever it should ask for a request of this kind."""
    def request(s: AgentState, word: Word) -> host.HostRequest:
        asked = _REQUEST(s, word)
        return other if isinstance(asked, kind) else asked

    return _patched((_hands, "_request", request))


_REQUEST: Final = _hands._request


# --- what a record is worth -------------------------------------------------------------------------------------


def _void_without_intent(saved: host.Saved, facts: host.BootFacts) -> str:
    return _hands.void(msgspec.structs.replace(saved, intent=True), facts)


def _void_but_for_the_boot(saved: host.Saved, facts: host.BootFacts) -> str:
    return _hands.void(msgspec.structs.replace(saved, boot=""), facts)


def resumes_in_the_same_boot() -> StepFunction:
    """Return an agent that takes any start of its process for a restart of the PC; half of a bug."""
    return patched(core.step, (_start, "void", _void_but_for_the_boot))


# --- arming and taking back -------------------------------------------------------------------------------------

_UNVERIFIED: Final = tuple(msgspec.structs.replace(row, expect="") for row in core.ARMING)


def _unwind_nothing(t: Turn, report: Any, failed_step: str, reason: str) -> None:
    if t.s.restart is not None and t.s.restart.stage != "unwinding":
        t.forget("restart limit")
        t.part("restart", stage="unwinding", report=report, failed_step=failed_step, reason=reason)


_UNWIND: Final = core._unwind


def _unwind_only_failures(t: Turn, report: Any, failed_step: str, reason: str) -> None:
    """Takes the restart itself back, and leaves everything armed."""
    r = t.s.restart
    if report != "not restarting" or r is None or r.stage == "unwinding":
        _UNWIND(t, report, failed_step, reason)
        return
    _unwind_nothing(t, report, failed_step, reason)
    if r.stage == "requested":
        _hands.enqueue(t, "abort restart")


def _arm_told_early(t: Turn, r: Restart) -> None:
    if r.step < 0 and t.s.link.phase == "up":
        t.send(msg.Armed(order=r.order))
        t.timer("restart limit", t.s.settings.restart_limit_us)
    _ARM(t, r)


_ARM: Final = core._arm
_FAILED: Final = core._undone


def _under_way_counts_as_ours(t: Turn, word: Word, reason: str, certain: bool) -> None:
    if word == "request restart" and "1115" in reason:
        return
    _FAILED(t, word, reason, certain)


def orders_any_platform(t: Turn, m: msg.Order) -> None:
    """Obey an order on a PC of any kind; half of a bug, since the server does not give one."""
    facts = t.s.facts
    t.set(facts=msgspec.structs.replace(facts, platform="windows"))
    core._ordered(t, m)
    t.set(facts=facts)


def limit_ignored(_: AgentState, event: Any) -> Any:
    """Be deaf to the restart limit; half of a bug, since the server has its own."""
    return None if event == TimerFired("restart limit") else event


# --- people -----------------------------------------------------------------------------------------------------


def _closing_means_staying(state: AgentState, event: Any) -> Any:
    leaving = {q.prompt for q in state.questions if q.kind == "leave"}
    if isinstance(event, host.Answered) and event.prompt in leaving and event.answer == "no":
        return host.Answered(event.prompt, "yes")
    return event


def _silence_agrees(t: Turn, kind: str) -> None:
    for q in t.s.questions:
        if q.kind == kind != "leave" and q.answer is None:
            if q.prompt:
                t.do(host.HidePrompt(q.prompt))
            _talk.answer(t, q, "yes", human=True)


def _gone_agrees(t: Turn, q: Question) -> None:
    if q.kind != "leave":
        _talk.answer(t, q, "yes", human=True)


def _silence_leaves(t: Turn, kind: str) -> None:
    if kind == "leave" and any(q.kind == "leave" for q in t.s.questions):
        _talk.withdraw(t, "leave")
        _session.leave(t, "the customer closed the chat window")
    else:
        _SILENCE(t, kind)


_SILENCE: Final = _person.silence


def _says_leave_when_closing(_: AgentState, event: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(event, host.SessionEnding):
        return effects
    out: list[Any] = []
    for effect in effects:
        if isinstance(effect, host.CloseChat):
            out.append(host.Send(msg.Leave(reason="the customer closed the chat window")))
        out.append(effect)
    return tuple(out)


def _helper_gone_leaves(t: Turn, _: host.HelperGone) -> None:
    t.set(seat=Seat())
    if t.s.goal == "member":
        _session.leave(t, "the customer is gone")


def _destroyed_leaves(t: Turn, _: host.ChatDestroyed) -> None:
    if t.s.goal == "member" and t.s.shutdown != "ending":
        _session.leave(t, "the chat window is gone")


def _not_cancelled(_: AgentState, event: Any) -> Any:
    return None if isinstance(event, host.CancelClicked) else event


def _always_offers_cancel(t: Turn) -> None:
    if t.s.goal == "resuming" and _talk.can_show(t.s):
        t.do(host.ShowCancel())


# --- the connection ---------------------------------------------------------------------------------------------


def _one_try(t: Turn, _: host.ConnectFailed) -> None:
    t.part("link", phase="waiting")


def _deaf_to_silence(_: AgentState, event: Any) -> Any:
    return None if event == TimerFired("silence") else event


def _resend_nothing(t: Turn, lines: int) -> None:
    _talk.acknowledged(t, max(lines, t.s.chat.line))


def _resend_backwards(t: Turn, lines: int) -> None:
    _talk.acknowledged(t, lines)
    chat = t.s.chat
    numbered = tuple(enumerate(chat.tail, chat.line - len(chat.tail) + 1))
    for number, text in reversed(numbered):
        t.send(msg.AgentChat(line=number, text=text))


def _resend_as_new(t: Turn, _: int) -> None:
    for text in t.s.chat.tail:
        t.part("chat", line=t.s.chat.line + 1)
        t.send(msg.AgentChat(line=t.s.chat.line, text=text))


def _turned_away_keeps_all(t: Turn, e: host.Received) -> None:
    if isinstance(e.message, msg.TurnedAway) and t.s.goal == "resuming":
        t.set(goal="over", claim=Claim(), why=e.message.reason)
        _link.drop(t)
        t.forget("give up")
        t.do(host.Tell(e.message.reason))
    else:
        core._received(t, e)


def _shares_by_itself(_: AgentState, event: Any, effects: tuple[Any, ...]) -> tuple[Any, ...]:
    resumed = isinstance(event, host.Received) and isinstance(event.message, msg.Resumed)
    return (*effects, host.Capture(True)) if resumed else effects



def _announces(_: AgentState, __: Any, effect: Any) -> bool:
    return isinstance(effect, host.Send) and isinstance(effect.message, msg.Restarting)


def _heard(received: Callable[[Turn, Any], None]) -> Patch:
    return core, "_ON", {**core._ON, host.Received: received}


def _tidy_with_flag(s: AgentState) -> tuple[Word, ...]:
    return "clear flag", *(word for word in _TIDY(s) if word != "clear flag")


def _does_not_try_again(_: Turn) -> None:
    return


def _never_looks(facts: host.BootFacts, saved: host.Saved | None, corrupt: bool) -> bool:
    return saved is None and _NEEDS_A_LOOK(facts, saved, corrupt)


def _resume_at_once(t: Turn, look: Word) -> None:
    _RESUME(t, look)
    if t.s.link.phase == "down":
        _link.connect(t)


_TIDY: Final = _hands.tidy
_RESUME: Final = _start._resume
_NEEDS_A_LOOK: Final = _start.needs_a_look


BUGS: Final = (
    _bug(
        "foreign restart resumed",
        "A record without intent counts as an order: a power cut while arming comes back as the session.",
        ("rule 3", "I11", "SH-09"),
        _patched((_start, "void", _void_without_intent)),
    ),
    _bug(
        "safe-boot flag left",
        "The safe-boot flag is never cleared: every later boot of the customer's PC is a safe one.",
        ("I6", "rule 7", "SM-04"),
        _forgets("clear flag"),
    ),
    _bug(
        "claims before the flag is cleared",
        "In safe mode the agent claims the session at once and clears the safe-boot flag beside it.",
        ("rule 7", "SM-04"),
        _patched((_start, "_resume", _resume_at_once)),
    ),
    _bug(
        "safe boot key left",
        "The service stays registered for safe mode after the session.",
        ("I7", "rule 7", "SM-04"),
        _forgets("remove key"),
    ),
    _bug(
        "owner's safe-boot flag removed",
        "Cleaning up clears a safe-boot flag that the owner of the PC had set.",
        ("I7", "rule 7"),
        _patched((_session, "tidy", _tidy_with_flag)),
    ),
    _bug(
        "every flag is its own",
        "The SafeBoot key does not say whose the boot flag is: without a record the agent clears the owner's.",
        ("I7", "rule 7", "BO-14"),
        _asks_instead(host.RegisterSafeBoot, host.RegisterSafeBoot()),
    ),
    _bug(
        "clears the flag once",
        "What a security tool denies for a while is not tried again: the PC stays in safe mode.",
        ("I6", "I7", "rule 7", "SE-10"),
        _patched((core, "try_again", _does_not_try_again)),
    ),
    _bug(
        "no look at the key",
        "In safe mode an agent with an older record does not look for a key and a flag of which that knows nothing.",
        ("I7", "rule 7", "SE-10"),
        _patched((_start, "needs_a_look", _never_looks)),
    ),
    _bug(
        "ticket left behind",
        "The saved ticket is never erased: it lies on the customer's disk after the session.",
        ("I7", "rule 7", "rule 5", "SE-07"),
        _asks_instead(host.Erase, _HARMLESS),
    ),
    _bug(
        "autostart left behind",
        "The RunOnce entry is never removed: the agent starts at some later logon, long after the session.",
        ("I7", "rule 7"),
        _forgets("disarm autostart"),
    ),
    _bug(
        "late agent cleans nothing",
        "An agent that is turned away keeps its ticket and its autostart entry.",
        ("R13", "rule 7", "I7", "EX-04"),
        _patched(_heard(_turned_away_keeps_all)),
    ),
    _bug(
        "roll-back forgotten",
        "A step of the arming fails, the restart is refused, and everything before that step stays armed.",
        ("rule 8", "I7", "BO-13", "SM-09", "SE-10", "IN-08"),
        _patched((core, "_unwind", _unwind_nothing)),
    ),
    _bug(
        "aborted restart stays armed",
        "A restart that was taken back leaves ticket, autostart and intent in place: a later one counts as ordered.",
        ("rule 11", "I11", "SH-02"),
        _patched((core, "_unwind", _unwind_only_failures)),
    ),
    _bug(
        "arming not verified",
        "What the boot flag and the key read back is ignored: a tool that blocks in silence goes unnoticed.",
        ("rule 8", "SE-10", "SM-03", "SM-07"),
        _patched((core, "ARMING", _UNVERIFIED)),
    ),
    _bug(
        "armed reported before arming",
        "The server hears armed before anything is in place, and shows it when arming then fails.",
        ("rule 8", "rule 1", "BO-13"),
        _patched((core, "_arm", _arm_told_early)),
    ),
    _bug(
        "Windows dialog restart counted as ordered",
        "A restart that somebody else began already is taken for the one that was ordered.",
        ("rule 3", "R6", "rule 8", "IN-08"),
        _patched((core, "_undone", _under_way_counts_as_ours)),
    ),
    _bug(
        "silence taken as yes by the agent",
        "Nobody answers the restart prompt, and the agent reports a Yes.",
        ("R7", "rule 6", "I4", "CO-03"),
        _patched((_person, "silence", _silence_agrees)),
    ),
    _bug(
        "vanished prompt taken as yes",
        "A prompt whose helper died counts as agreed.",
        ("rule 14", "R7", "I4", "I13"),
        _patched((_person, "_gone", _gone_agrees)),
    ),
    _bug(
        "chat closed by customer ignored",
        "The customer closes the chat and confirms it, and the agent goes on as if they had stayed.",
        ("R5", "rule 12", "CO-10"),
        _agent(changed_input(core.step, _closing_means_staying)),
    ),
    _bug(
        "unconfirmed close taken as leaving",
        "Silence at 'keep the session open?' counts as the customer's leaving.",
        ("R5", "rule 12", "CO-10"),
        _patched((_person, "silence", _silence_leaves)),
    ),
    _bug(
        "agent's own close taken for the customer's",
        "The agent closes the chat for the restart and reports that the customer left.",
        ("R5", "rule 12", "CO-11", "I13"),
        _agent(changed_effects(core.step, _says_leave_when_closing)),
    ),
    _bug(
        "destroyed chat window taken as leaving",
        "Restart Manager closes the chat window and the agent takes that for the customer's leaving.",
        ("R5", "rule 12", "CO-11", "I13"),
        _patched((core, "_ON", {**core._ON, host.ChatDestroyed: _destroyed_leaves})),
    ),
    _bug(
        "helper death taken as leaving",
        "The desktop helper dies and the agent reports that the customer left.",
        ("rule 14", "I13"),
        _patched((core, "_ON", {**core._ON, host.HelperGone: _helper_gone_leaves})),
    ),
    _bug(
        "phone-mode cancel ignored",
        "The customer cancels the reconnect and the session resumes all the same.",
        ("R11", "CO-13"),
        _agent(changed_input(core.step, _not_cancelled)),
    ),
    _bug(
        "cancel offered outside phone mode",
        "Every customer gets the option to cancel the reconnect.",
        ("R11", "CO-13"),
        _patched((_talk, "show_cancel", _always_offers_cancel)),
    ),
    _bug(
        "no retry after the first failed connection",
        "The agent tries once after the boot; without a network at that moment it never comes back.",
        ("LO-13", "NE-01", "NE-02", "R12"),
        _patched((core, "_ON", {**core._ON, host.ConnectFailed: _one_try})),
    ),
    _bug(
        "half-open connection never noticed by the agent",
        "Nothing arrives any more and the agent waits for ever on a dead connection.",
        ("NE-08", "rule 3"),
        _agent(changed_input(core.step, _deaf_to_silence)),
    ),
    _bug(
        "chat line lost over a reconnect",
        "What the customer typed while the connection was down is never sent.",
        ("I12", "rule 3", "NE-08", "LO-16"),
        _patched((_talk, "resend", _resend_nothing)),
    ),
    _bug(
        "transcript reordered",
        "Lines typed while the connection was down are sent again in the wrong order.",
        ("I12", "rule 3", "NE-08", "LO-16"),
        _patched((_talk, "resend", _resend_backwards)),
    ),
    _bug(
        "chat line doubled under a new number",
        "Lines that the server has already are sent again as new ones after a reconnect.",
        ("I12", "rule 3", "NE-08", "LO-16"),
        _patched((_talk, "resend", _resend_as_new)),
    ),
    _bug(
        "screen captured at once after the restart",
        "The agent shares the screen as soon as it has resumed, without waiting for the server's word.",
        ("R9", "I5", "CO-05"),
        _agent(changed_effects(core.step, _shares_by_itself)),
    ),
    _bug(
        "restart announcement forgotten",
        "The agent does not say that Windows is going down: the window opens only when the connection is lost.",
        ("rule 1", "EX-02"),
        _agent(without(core.step, _announces)),
    ),
)
