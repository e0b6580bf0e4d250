"""A process starts: what the record on the disk, the boot and the mode make of it."""

from __future__ import annotations

from rrsim.agent import _link as link
from rrsim.agent import _session as session
from rrsim.agent import _talk as talk
from rrsim.agent import host
from rrsim.agent._hands import IDLE_US, begin_chore, enqueue, void
from rrsim.agent._state import Claim, Seat, Turn, Word


def started(t: Turn, e: host.Started) -> None:
    """Resume, clean up, or wait for the customer."""
    facts, saved = e.facts, e.saved
    t.set(goal="idle", facts=facts, seat=Seat(facts.desktop, facts.user))
    look: Word = "look for key" if needs_a_look(facts, saved, e.corrupt) else ""
    t.part("left", key=bool(look) and facts.safe_mode)
    if saved is not None:
        t.set(settings=saved.settings, claim=Claim(session=saved.session, ticket=saved.ticket))
        t.part("left", key=saved.safe_key or t.s.left.key, flag=saved.boot_mode == "safe")
        reason = void(saved, facts)
        if not reason:
            _resume(t, look)
            return
        coming = saved.boot == facts.boot and saved.intent
        tell = "lost" if saved.ticket else ""
        session.over(t, reason, tell, first="abort restart" if coming else look)
    elif look and facts.safe_mode:
        session.over(t, "started in safe mode without a record", tell="lost", first=look)
    elif e.corrupt:
        session.over(t, "the record cannot be read", tell="lost", first=look)
    elif facts.mode == "application":
        t.timer("idle", IDLE_US)
    elif facts.platform == "windows":
        # A record that somebody removed no longer says that a key of ours is left (rule 7).
        enqueue(t, "look for key")


def needs_a_look(facts: host.BootFacts, saved: host.Saved | None, corrupt: bool) -> bool:
    """Say whether key and boot flag may be ours although no record says so.

    Windows starts the service in safe mode only with our key. A record that knows of no key there is not the one of
    this restart, or there is none: then the key itself says whether the boot flag beside it is ours (I6, rule 7).
    """
    told = saved is not None and saved.safe_key
    return facts.mode == "service" and (facts.safe_mode or corrupt) and not told


def _resume(t: Turn, look: Word) -> None:
    s = t.s
    t.set(goal="resuming")
    if look:
        enqueue(t, look)
    if s.left.flag:
        enqueue(t, "clear flag")
    if s.left.key and not s.facts.safe_mode:
        enqueue(t, "remove key")
    if s.facts.mode == "application":
        # Windows used the entry up by running it; another restart, or our death, must still find the way (rules 2, 7).
        enqueue(t, "arm autostart")
    begin_chore(t)
    talk.show_cancel(t)
    t.timer("give up", link.give_up_us(s.settings))
    if not s.left.flag and not look:
        link.connect(t)  # else when the flag is cleared, or cannot be: that comes first (rule 7)
