"""Requests to Windows: how a word becomes a request, one at a time, and which record belongs on the disk."""

from __future__ import annotations

from typing import Final

from rrsim.agent import host
from rrsim.agent._state import AgentState, Turn, Word

STEP_US: Final = 60_000_000
"""A request without an answer for this long counts as failed (a hanging ``bcdedit``, a full disk that retries).
Windows owns this duration, so it does not scale with the account's settings."""

IDLE_US: Final = 60_000_000
"""An application-mode process that finds no record and no customer starts support ends itself after this long."""

TIDY_US: Final = 60_000_000
"""How long after something of ours could not be taken away it is tried again."""

_GROUPS: Final[dict[Word, str]] = {"arm autostart": "autostart", "disarm autostart": "autostart"}
"""Chores that replace each other: the last word counts."""


def enqueue(t: Turn, *chores: Word) -> None:
    """Put chores behind those that wait; one that waits already moves to the end, so the queue stays short."""
    for chore in chores:
        group = _GROUPS.get(chore, chore)
        rest = tuple(c for c in t.s.hands.chores if _GROUPS.get(c, c) != group)
        t.part("hands", chores=(*rest, chore))


def issue(t: Turn, word: Word) -> None:
    """Ask Windows for ``word``. Nothing else may be in flight."""
    if word in ("register key", "set flag"):
        # Before the answer: a request that reports failure, or none, may still have been carried out.
        t.part("left", key=t.s.left.key or word == "register key", flag=t.s.left.flag or word == "set flag")
    op = t.s.hands.op % host.OPS + 1
    t.part("hands", op=op, doing=word, hung=tuple(h for h in t.s.hands.hung if h[0] != op))
    t.do(host.Request(op, _request(t.s, word)))
    t.timer("step", STEP_US)


def begin_chore(t: Turn) -> None:
    """Begin the next chore, if there is one and Windows owes no answer."""
    if t.s.hands.chores and not t.s.hands.doing:
        word, *rest = t.s.hands.chores
        t.part("hands", chores=tuple(rest))
        issue(t, word)


_UNDO: Final[dict[Word, Word]] = {
    "arm autostart": "disarm autostart", "save ticket": "settle record", "save intent": "settle record",
    "withdraw intent": "settle record", "register key": "remove key", "set flag": "clear flag",
    "request restart": "abort restart",
}
"""What takes back a request that Windows carried out after it was given up."""


def give_up(t: Turn) -> Word:
    """Windows owes an answer for too long: stop waiting, but remember the request. Returns what it was."""
    hands = t.s.hands
    others = tuple(h for h in hands.hung if h[0] != hands.op)
    t.part("hands", doing="", hung=(*others, (hands.op, hands.doing))[-host.OPS:])
    return hands.doing


def came_late(t: Turn, op: int, done: bool) -> bool:
    """The answer to a request that was given up. What was done after all is undone; return whether it still matters.

    While another order is being armed the caller has to undo that one: the late request may have spoilt its work.
    """
    word = next((w for number, w in t.s.hands.hung if number == op), "")
    t.part("hands", hung=tuple(h for h in t.s.hands.hung if h[0] != op))
    if not done or word not in _UNDO:
        return False
    if not (word == "arm autostart" and t.s.left.standby):
        enqueue(t, _UNDO[word])
    return True


def settled(t: Turn, word: Word, result: str) -> None:
    """Remember what a carried-out request changed about what of ours is on this PC."""
    if word == "clear flag":
        t.part("left", flag=False)
    elif word == "remove key":
        t.part("left", key=False)
    elif word in ("settle record", "save ticket"):
        t.part("left", record=False)
    elif word == "look for flag":
        t.part("left", owner=result in ("network", "other") and not t.s.left.flag)
    elif word == "look for key" and result.startswith(host.KEY_PRESENT):
        _found_key(t, flag=result == host.KEY_PRESENT)


def _found_key(t: Turn, flag: bool) -> None:
    """Our key stands there. It goes on before the flag and off after it, and says whose flag it is, so only with the
    key can the flag be ours (rule 7: an owner's flag stays). In safe mode it must let the service start again."""
    s = t.s
    found: tuple[Word, ...] = ("clear flag",) if flag else ()
    if not (s.facts.safe_mode and s.goal == "resuming"):
        found = (*found, "remove key")
    t.part("left", key=True, flag=flag)
    t.part("hands", chores=(*found, *(c for c in s.hands.chores if c not in found)))


_LAST: Final[dict[Word, Word]] = {"settle record": "disarm autostart", "clear flag": "remove key"}
"""What could not be undone, and what must stay then: whom it starts next tries again (rule 7). Without the entry the
ticket stays for ever; without the key Windows starts nobody in the safe boots that the flag brings (I6)."""


def keep_the_way(t: Turn, word: Word) -> None:
    """A chore failed: what starts us in the next boot is not taken away, and it is tried again (I6, rule 7)."""
    if word == "settle record":
        t.part("left", record=True)
    elif word == "look for key" and t.s.facts.safe_mode:
        _found_key(t, flag=True)  # nobody says whose the flag is: a PC must not stay in safe mode by us (I6)
    t.part("hands", chores=tuple(c for c in t.s.hands.chores if c != _LAST.get(word)))
    if t.s.goal == "idle" or word == "clear flag":
        tidy_later(t)


def tidy_later(t: Turn) -> None:
    """Something of ours is left that could not be taken away: try again later."""
    left = t.s.left
    if left.flag or left.key or left.record:
        t.timer("tidy", TIDY_US)


def try_again(t: Turn) -> None:
    """Take away what could not be taken away: without a session all of it, in a session the boot flag."""
    s = t.s
    if s.goal == "idle":
        enqueue(t, *tidy(s))
    elif s.restart is not None:
        tidy_later(t)  # the order says what becomes of the flag
    elif s.left.flag and s.goal != "over" and "clear flag" not in s.hands.chores:
        enqueue(t, "clear flag")  # what waits already keeps its place: the flag goes before the key


def tidy(s: AgentState) -> tuple[Word, ...]:
    """Return the chores that leave nothing of ours behind.

    As in the arming table, the record goes before the autostart entry.
    """
    flag: tuple[Word, ...] = ("clear flag",) if s.left.flag else ()
    key: tuple[Word, ...] = ("remove key",) if s.left.key else ()
    return (*flag, *key, "settle record", "disarm autostart")


def resting_record(s: AgentState) -> host.Saved | None:
    """Return the record that belongs on the disk while no order is under way, or None."""
    left = s.left
    if not (left.standby or left.key or left.flag):
        return None
    return host.Saved(
        session=s.claim.session, machine=s.facts.machine, order=0, ticket=left.standby, boot=s.facts.boot,
        boot_mode="safe" if left.flag else "normal", intent=False, safe_key=left.key, settings=s.settings,
    )


def order_record(s: AgentState, intent: bool) -> host.Saved:
    """Return the record of the order under way.

    The key and the flag are recorded before they are set, so that a crash never loses them. Until the intent is
    recorded a stand-by agent's record stays a stand-by record: a foreign restart resumes too, with the newer ticket.
    """
    r = s.restart
    if r is None:
        raise AssertionError("an order's record is only asked for while the order is under way")
    safe = r.boot_mode == "safe"
    ours = safe and not s.left.owner
    return host.Saved(
        session=s.claim.session, machine=s.facts.machine, order=0 if s.left.standby and not intent else r.order,
        ticket=r.ticket, boot=s.facts.boot, boot_mode="safe" if ours or s.left.flag else "normal", intent=intent,
        safe_key=safe or s.left.owner or s.left.key, settings=s.settings,
    )


_PLAIN: Final[dict[Word, host.HostRequest]] = {
    "arm autostart": host.ArmAutostart(), "disarm autostart": host.DisarmAutostart(),
    "read key": host.ReadSafeBootKey(), "look for key": host.ReadSafeBootKey(),
    "remove key": host.UnregisterSafeBoot(), "set flag": host.SetBootFlag(), "read flag": host.ReadBootFlag(),
    "look for flag": host.ReadBootFlag(),
    "clear flag": host.ClearBootFlag(), "abort restart": host.AbortRestart(),
}


def _request(s: AgentState, word: Word) -> host.HostRequest:
    if word in ("save ticket", "withdraw intent"):
        return host.Save(order_record(s, intent=False))
    if word == "save intent":
        return host.Save(order_record(s, intent=True))
    if word == "settle record":
        record = resting_record(s)
        return host.Erase() if record is None else host.Save(record)
    if word == "register key":
        return host.RegisterSafeBoot(own_flag=not s.left.owner)
    if word == "request restart":
        return host.RequestRestart(forced=s.restart is not None and s.restart.forced)
    return _PLAIN[word]


def void(saved: host.Saved, facts: host.BootFacts) -> str:
    """Return why a record gives no right to resume, or nothing if it does (rules 3, 5, 14)."""
    if saved.boot == facts.boot:
        return "started again in the same boot"
    if saved.machine != facts.machine:
        return "the record is another machine's"
    if not saved.ticket:
        return "the record holds no ticket"
    if saved.order and not saved.intent:
        return "a restart that the representative did not order"
    return ""
