"""What the person at the PC sees and says: questions, the chat window, the way out."""

from __future__ import annotations

import msgspec

from rrsim.agent import host
from rrsim.agent._link import beat
from rrsim.agent._state import TAIL, AgentState, Question, Turn, ask_timer
from rrsim.protocol.messages import AgentChat, Answer, Ask, ConsentAnswer, HeartbeatReply, ServerChat


def can_show(s: AgentState) -> bool:
    """Whether a window would be seen.

    In application mode the agent runs on the customer's desktop. A service needs a helper on a visible one: the welcome
    screen and a locked desktop show nobody's windows (CO-07, LO-10).
    """
    return s.facts.mode == "application" or (s.seat.helper and s.seat.desktop == "visible")


def ask(t: Turn, kind: host.PromptKind, number: int, timeout_us: int) -> None:
    """Put a question; a repeat of one that is open changes nothing, a newer one of its kind replaces it."""
    open_one = next((q for q in t.s.questions if q.kind == kind), None)
    if open_one is not None and open_one.ask == number:
        t.note(f"the {kind} question is open already")
        return
    withdraw(t, kind)
    t.set(questions=(*t.s.questions, Question(kind=kind, ask=number)))
    t.timer(ask_timer(kind), timeout_us)
    show_waiting(t)


def asked_by_server(t: Turn, m: Ask) -> None:
    """The server wants to know something of the person (R7, R9)."""
    ask(t, m.kind, m.ask, m.timeout_us)


def show_waiting(t: Turn) -> None:
    """Show every question that waits for somebody to see it."""
    if not can_show(t.s):
        return
    shown = []
    for q in t.s.questions:
        if not q.prompt and q.answer is None:
            number = t.s.prompt % host.OPS + 1
            t.set(prompt=number)
            t.do(host.ShowPrompt(number, q.kind))
            shown.append(msgspec.structs.replace(q, prompt=number))
        else:
            shown.append(q)
    t.set(questions=tuple(shown))


def withdraw(t: Turn, kind: host.PromptKind) -> None:
    """Take a question back, unanswered."""
    for q in t.s.questions:
        if q.kind == kind:
            t.forget(ask_timer(kind))
            if q.prompt:
                t.do(host.HidePrompt(q.prompt))
    t.set(questions=tuple(q for q in t.s.questions if q.kind != kind))


def withdraw_all(t: Turn) -> None:
    """Take every question back."""
    for q in t.s.questions:
        withdraw(t, q.kind)


def answer(t: Turn, q: Question, given: Answer, human: bool) -> None:
    """A question of the server's is decided: send the answer, or keep it until the connection is back."""
    t.forget(ask_timer(q.kind))
    others = tuple(o for o in t.s.questions if o.kind != q.kind)
    if t.s.link.phase == "up":
        t.set(questions=others)
        t.send(ConsentAnswer(ask=q.ask, answer=given, human=human))
    else:
        t.set(questions=(*others, msgspec.structs.replace(q, prompt=0, answer=given, human=human)))


def send_kept_answers(t: Turn) -> None:
    """After a reconnect: send what was answered meanwhile."""
    for q in t.s.questions:
        if q.answer is not None:
            t.send(ConsentAnswer(ask=q.ask, answer=q.answer, human=q.human))
    t.set(questions=tuple(q for q in t.s.questions if q.answer is None))


def typed(t: Turn, text: str) -> None:
    """The customer typed a line: send it, and keep it until the server is known to have it (I12)."""
    chat, up = t.s.chat, t.s.link.phase == "up"
    if not up and len(chat.tail) >= TAIL:
        # Losing the line in silence would break the transcript; the customer still has it and can type it again.
        t.do(host.Tell("line not sent"))
        return
    t.part("chat", line=chat.line + 1, tail=(*chat.tail, text)[-TAIL:])
    if up:
        t.send(AgentChat(line=chat.line + 1, text=text))
        if len(t.s.chat.tail) >= TAIL and chat.probe < 0:
            beat(t)


def acknowledged(t: Turn, line: int) -> None:
    """The server has every line up to ``line``."""
    chat = t.s.chat
    unknown = max(0, min(len(chat.tail), chat.line - line))
    t.part("chat", tail=chat.tail[len(chat.tail) - unknown:])


def heartbeat_reply(t: Turn, _: HeartbeatReply) -> None:
    """The connection lives, and what was sent before the heartbeat has arrived."""
    if t.s.chat.probe >= 0:
        acknowledged(t, t.s.chat.probe)
        t.part("chat", probe=-1)


def resend(t: Turn, lines: int) -> None:
    """After a reconnect: send again what the server does not have, in order (I12)."""
    acknowledged(t, lines)
    chat = t.s.chat
    first = chat.line - len(chat.tail) + 1
    for number, text in enumerate(chat.tail, first):
        t.send(AgentChat(line=number, text=text))


def heard(t: Turn, m: ServerChat) -> None:
    """A line for the customer to see; a repeat after a reconnect is shown once."""
    if m.seq > t.s.chat.seen:
        t.part("chat", seen=m.seq)
        t.do(host.ShowChat(m.author, m.text))


def open_chat(t: Turn) -> None:
    """Open the chat window if there is a desktop for it; otherwise it opens when a helper is ready."""
    if t.s.facts.mode == "application" or t.s.seat.helper:
        t.do(host.OpenChat())


def show_cancel(t: Turn) -> None:
    """Phone mode: offer to cancel the reconnect, from the start of the agent until the session has resumed (R11)."""
    if t.s.goal == "resuming" and t.s.settings.phone_mode and can_show(t.s):
        t.do(host.ShowCancel())
