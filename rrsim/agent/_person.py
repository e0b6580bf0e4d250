"""The person at the PC: what each of their inputs means."""

from __future__ import annotations

from rrsim.agent import _link as link
from rrsim.agent import _session as session
from rrsim.agent import _talk as talk
from rrsim.agent import host
from rrsim.agent._state import Question, Seat, Turn


def on_answer(t: Turn, e: host.Answered) -> None:
    """A button was pressed in one of the agent's questions."""
    q = _question(t, e.prompt)
    if q is None:
        return
    if q.kind != "leave":
        talk.answer(t, q, e.answer, human=e.answer != "silence")
        return
    talk.withdraw(t, "leave")
    if e.answer == "no":
        session.leave(t, "the customer closed the chat window")


def prompt_gone(t: Turn, e: host.PromptGone) -> None:
    """A question's window vanished (rule 14)."""
    q = _question(t, e.prompt)
    if q is not None:
        _gone(t, q)


def _gone(t: Turn, q: Question) -> None:
    """An open question counts as No (rule 14); *keep the session open?* counts only if it is confirmed (rule 12).

    The server hears *silence*, which means No (rule 6): nobody said No, and the history must not claim a click (I13).
    """
    if q.kind == "leave":
        talk.withdraw(t, "leave")
    else:
        talk.answer(t, q, "silence", human=False)


def _question(t: Turn, prompt: int) -> Question | None:
    for q in t.s.questions:
        if q.prompt == prompt and prompt:
            return q
    t.note(f"question window {prompt} is not open: ignored")
    return None


def chat_typed(t: Turn, e: host.ChatTyped) -> None:
    """A line for the representative; without a session there is nobody to send it to, and the customer hears so."""
    if t.s.goal == "member":
        talk.typed(t, e.text)
    else:
        t.do(host.Tell("line not sent"))


def close_clicked(t: Turn, _: host.CloseClicked) -> None:
    """Ask before believing it: only a confirmed close is the customer's leaving (rule 12)."""
    if t.s.goal == "member" and t.s.shutdown != "ending":
        talk.ask(t, "leave", 0, t.s.settings.prompt_timeout_us)


def chat_destroyed(t: Turn, e: host.ChatDestroyed) -> None:
    """Not the customer's doing: open it again, and the order stands (rule 12)."""
    if t.s.goal == "member" and t.s.shutdown != "ending":
        t.note(f"the chat window was destroyed by {e.by}: opened again")
        t.do(host.OpenChat())


def cancel_clicked(t: Turn, _: host.CancelClicked) -> None:
    """Phone mode: the way back is given up (R11). The record goes at once; the server is told when it can be."""
    if t.s.goal != "resuming" or not t.s.settings.phone_mode:
        t.note("there is no reconnect to cancel")
        return
    session.go(t, "the customer cancelled the reconnect")
    t.do(host.Tell("cancelled"))
    if t.s.link.phase == "claiming":
        link.claim(t)


def helper_ready(t: Turn, e: host.HelperReady) -> None:
    """Somebody can see windows now: show what waited."""
    t.set(seat=Seat(e.desktop, e.user, helper=True))
    if t.s.goal == "member":
        talk.open_chat(t)
    talk.show_cancel(t)
    talk.show_waiting(t)
    link.say_seat(t)


def helper_gone(t: Turn, _: host.HelperGone) -> None:
    """Nobody can see windows any more. Nothing is lost by it, but open questions count as No (rule 14)."""
    t.set(seat=Seat())
    for q in t.s.questions:
        if q.prompt:
            _gone(t, q)
    link.say_seat(t)


def silence(t: Turn, kind: str) -> None:
    """Nobody answered: No (rule 6); but *keep the session open?* stays open (rule 12)."""
    for q in t.s.questions:
        if q.kind == kind and q.answer is None:
            if q.prompt:
                t.do(host.HidePrompt(q.prompt))
            if q.kind == "leave":
                t.set(questions=tuple(o for o in t.s.questions if o is not q))
            else:
                talk.answer(t, q, "silence", human=False)
