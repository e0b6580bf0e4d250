"""What outside witnesses have seen of one customer's PC so far: the memory that verdicts are derived from.

Nothing here comes from the agent's own account. All ``*_at`` values are history indices, -1 for *never*.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rrsim.machine import observations as seen
from rrsim.scenario.history import Entry

_WITHDRAWS: Final = frozenset({"record erased", "record saved", "ticket saved"})
"""Later writes that withdraw a recorded intent (rule 3)."""
_NO_WAY_BACK: Final = ("agent", "service", "ticket", "record", "identity")
_OURS: Final = frozenset({"agent", "service", "ticket", "record", "autostart", "safe boot key", "boot flag"})
_DESTROYED: Final = ("delet", "damag", "remov", "lost", "forg", "chang", "corrupt", "unreadable")

class PcWitness:
    """Everything seen of one PC that a verdict may turn on."""

    __slots__ = (
        "boot", "boot_at", "boot_safe", "cancel_at", "customer", "desktop", "died_at",
        "down_at", "elevated", "ending_at", "intent", "intent_for", "joined_at", "leave_at", "pending",
        "requested_at", "right_user", "stopped_at", "stopped_by", "tampered", "tampered_at",
    )  # fmt: skip

    def __init__(self, customer: int) -> None:
        self.customer = customer
        self.boot = ""
        self.boot_at = -1
        self.boot_safe = False
        self.intent = False
        """The agent durably recorded that it requests the restart, and nothing withdrew that (rule 3)."""
        self.intent_for = ""
        """The customer's newest session when that was recorded; it may have got a successor since."""
        self.requested_at = -1
        self.joined_at = -1
        """When the customer's agent joined the present session."""
        self.leave_at = -1
        """When the customer confirmed leaving: *no* to *keep the session open?* (rule 12)."""
        self.cancel_at = -1
        """When the customer cancelled the reconnect in phone mode (R11)."""
        self.pending = False
        self.elevated: bool | None = None
        """Rights of the latest agent process."""
        self.desktop = ""
        self.right_user: bool | None = None
        """Whether the latest logon since the boot was the right user's; ``None``: nobody signed in."""
        self.died_at = -1
        self.down_at = -1
        self.ending_at = -1
        self.stopped_at = -1
        self.stopped_by = ""
        self.tampered_at = -1
        self.tampered = ""

    def joined(self, at: int) -> None:
        """The agent is in a new session: nothing of an earlier one reaches into it."""
        self.joined_at = at
        self.intent = False

    def rejoined(self) -> None:
        """The agent is in its session again: the intent is spent and covers no further boot (rule 3)."""
        self.intent = False


def _boot(pc: PcWitness, at: int, _t: int, event: seen.BootBegan) -> None:
    pc.boot, pc.boot_at = event.boot, at
    pc.boot_safe = event.safe_mode
    pc.right_user = None
    pc.desktop = ""


def _call(pc: PcWitness, at: int, _t: int, event: seen.HostCall) -> None:
    if not event.ok:
        return
    if event.verb == "intent saved":
        pc.intent = True
    elif event.verb in _WITHDRAWS:
        pc.intent = False
    elif event.verb == "restart requested":
        pc.requested_at = at


def _clicked(pc: PcWitness, at: int, _t: int, event: seen.Clicked) -> None:
    if event.who != "customer":
        return
    if event.window == "leave prompt" and event.button == "no":
        pc.leave_at = at
    elif event.window == "cancel option":
        pc.cancel_at = at


def _pending(pc: PcWitness, _at: int, _t: int, event: seen.PendingWork) -> None:
    pc.pending = event.pending


def _started(pc: PcWitness, _at: int, _t: int, event: seen.AgentStarted) -> None:
    pc.elevated = event.elevated
    pc.desktop = event.desktop


def _stopped(pc: PcWitness, at: int, _t: int, _event: seen.AgentStopped) -> None:
    pc.died_at = at


def _logged_on(pc: PcWitness, _at: int, _t: int, event: seen.LoggedOn) -> None:
    pc.right_user = event.right
    pc.desktop = event.desktop


def _down(pc: PcWitness, at: int, _t: int, _event: seen.WentDown) -> None:
    pc.down_at = at


def _ending(pc: PcWitness, at: int, _t: int, _event: seen.SessionEnds) -> None:
    pc.ending_at = at


def _taken_back(pc: PcWitness, at: int, _t: int, event: seen.RestartStopped) -> None:
    pc.stopped_at, pc.stopped_by = at, event.by


def removes(what: str) -> bool:
    """Say whether a tampering took something of ours away: it names a thing, or says that one was removed."""
    what = what.lower()
    return what in _OURS or "delet" in what or "remov" in what


def bars_the_way(what: str) -> bool:
    """Say whether a tampering can leave no way back: agent, ticket, record or identity gone (BO-09, BO-14, SH-10)."""
    what = what.lower()
    if what in _NO_WAY_BACK:
        return True
    return any(word in what for word in _NO_WAY_BACK) and any(word in what for word in _DESTROYED)


def _tampered(pc: PcWitness, at: int, _t: int, event: seen.MachineTampered) -> None:
    if bars_the_way(event.what):
        pc.tampered_at, pc.tampered = at, event.what


_DOING: Final = {
    "off": "the PC was off", "firmware": "the PC was in its firmware", "bios password": "the BIOS password was awaited",
    "bitlocker": "the BitLocker secret was awaited", "recovery": "the PC was in Windows recovery",
    "loading": "Windows was loading", "updating": "Windows was working on updates",
    "services": "Windows was starting its services", "welcome": "nobody was signed in", "shell": "the logon went on",
    "shutdown asked": "Windows was still asked to shut down", "shutting down": "Windows was shutting down",
    "asleep": "the PC was asleep",
}  # fmt: skip


def situation(entries: list[Entry], source: str, until: int) -> str:
    """Say in a few words what kept a PC away before history index ``until``: its phase, and its connection."""
    customer = source.rpartition("-")[2]
    phase: seen.PhaseBegan | None = None
    link: seen.LinkChanged | None = None
    for at in range(until - 1, -1, -1):
        event = entries[at][2]
        kind = type(event)
        if kind is seen.PhaseBegan and phase is None and entries[at][1] == source:
            phase = event
        elif kind is seen.LinkChanged and link is None and entries[at][1].rpartition("-")[2] == customer:
            link = event
        if phase is not None and link is not None:
            break
    doing = _DOING.get(phase.phase, "") if phase is not None else ""
    if doing and phase is not None and phase.phase != "welcome":
        return doing
    if link is None:
        return doing or "the PC was running"
    if link.up:
        return doing or "the PC was running and its connection was up"
    down = f"its connection was down ({link.reason or link.kind})"
    return f"{doing} and {down}" if doing else down


HANDLERS: Final[dict[type[Any], Callable[[PcWitness, int, int, Any], None]]] = {
    seen.BootBegan: _boot,
    seen.HostCall: _call,
    seen.Clicked: _clicked,
    seen.PendingWork: _pending,
    seen.AgentStarted: _started,
    seen.AgentStopped: _stopped,
    seen.LoggedOn: _logged_on,
    seen.WentDown: _down,
    seen.SessionEnds: _ending,
    seen.RestartStopped: _taken_back,
    seen.MachineTampered: _tampered,
}
"""Observation type -> what it adds to the memory of the PC it was seen on."""
