"""Failures of random runs that are understood: which they are, why, and in which runs.

A swarm counts them and does not report them as news. Three kinds: nothing of the product runs, so that it can do
nothing; a tool reports success and does nothing, which cannot be told from one that does not interfere (what is
demanded is that a *reported* refusal is obeyed, SE-10); and a bearer ticket cannot tell its thief.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from rrsim.machine import observations as seen
from rrsim.scenario import actions
from rrsim.scenario.result import RunResult

Act = TypeVar("Act")


Events = list[Any]
"""What was seen at one PC, in order."""


class Known(msgspec.Struct, frozen=True, gc=False):
    """A failure that is understood, and the runs in which it is."""

    check: str
    cause: str
    where: str
    """Tracker, edge case or rule."""
    explains: Callable[[RunResult, Events], bool]
    """Whether a run, and what was seen at one PC on which the check failed, show the failure to be this one."""

    def applies(self, result: RunResult) -> bool:
        """Say whether it explains the failure on every PC that shows it; everything counts as one if none is named."""
        entries = result.history.entries if result.history is not None else []
        failed = [c.entry for c in result.checks if (c.check, c.cause) == (self.check, self.cause) and c.entry >= 0]
        pcs = sorted({entries[at][1] for at in failed}) if self.check in ("I6", "I7") else []
        seen_there = [[event for _, who, event, _ in entries if who == pc] for pc in pcs]
        return all(self.explains(result, events) for events in seen_there or [[event for _, _, event, _ in entries]])


_DEATHS: Final = ("crashed", "removed by a security tool")
"""How an agent ends that neither its own doing nor a shutdown ends."""


def _done(result: RunResult, kind: type[Act]) -> list[Act]:
    """Return the actions of one kind that the run's steps are."""
    return [step.action for step in result.scenario.steps if isinstance(step.action, kind)]


def _nothing_ran(_: RunResult, events: Events) -> bool:
    """Whether, after the boot flag was last set, Windows was in safe mode and no agent of ours ever ran there before
    the harness's own restart: then nobody could clear the flag."""
    safe = ran = False
    for event in events:
        kind = type(event)
        if kind is seen.BootBegan:
            if event.cause == "probe":
                break
            safe = safe or event.safe_mode
        elif kind is seen.HostCall and event.verb == "boot flag set" and event.ok:
            safe = ran = False
        elif kind is seen.AgentStarted and event.safe_mode:
            ran = True
    return safe and not ran


def _died_there(result: RunResult, events: Events) -> bool:
    """Whether every agent that ran in safe mode was ended there, the last one before the harness's own restart, and
    no administrator signed in, which would have started the second way out."""
    safe = died = False
    for event in events:
        kind = type(event)
        if kind is seen.BootBegan:
            if event.cause == "probe":
                break
            safe, died = event.safe_mode, False
        elif kind is seen.AgentStarted:
            died = False
        elif kind is seen.AgentStopped:
            died = safe and event.why in _DEATHS
        elif kind is seen.LoggedOn and safe and event.right and result.scenario.given.pc.administrator:
            return False
    return died


def _never_again(events: Events) -> bool:
    """Whether nothing of ours ran in the boots that followed the end of the last agent."""
    booted = False
    for event in reversed(events):
        kind = type(event)
        if kind is seen.BootBegan:
            booted = True
        elif kind is seen.AgentStarted:
            return False
        elif kind is seen.AgentStopped:
            return booted
    return False


def _owners_safe_mode(result: RunResult, events: Events) -> bool:
    """Whether the owner's own flag, which must stay (rule 7), kept everything of ours from running."""
    boots = [e for e in events if type(e) is seen.BootBegan]
    flagged = result.scenario.given.pc.safe_boot_set_by_owner
    return flagged and bool(boots) and boots[-1].safe_mode and _never_again(events)


def _way_back_gone(_: RunResult, events: Events) -> bool:
    """Whether somebody took away what starts us (BO-09), so that nothing of ours ran any more."""
    taken = ("autostart", "safe boot key", "service", "agent")
    return _never_again(events) and any(type(e) is seen.MachineTampered and e.what in taken for e in events)


def _key_taken(_: RunResult, events: Events) -> bool:
    """Whether somebody took away what starts us in safe mode (BO-09), and nothing of ours was started after that."""
    taken = False
    for event in events:
        if type(event) is seen.MachineTampered:
            taken = taken or event.what in ("safe boot key", "service", "agent")
        elif type(event) is seen.AgentStarted:
            taken = False
    return taken


def _owner_not_back(result: RunResult, events: Events) -> bool:
    """Whether the user in whose profile the agent armed itself never signed in to a later boot (rule 4): what stands
    there can be removed by that user's agent only."""
    user = owner = ""
    waits = False
    for event in events:
        kind = type(event)
        if kind is seen.LoggedOn:
            user = "" if event.right else event.user  # nobody signs in before the scenario begins: it is the right one
            waits = waits and user != owner
        elif kind is seen.HostCall and event.verb == "autostart armed" and event.ok:
            owner, waits = user, True
    return waits and result.scenario.given.agent == "application"


def _lied_about_autostart(result: RunResult, events: Events) -> bool:
    """Whether a tool said that the autostart entry was written, and nothing of ours ran any more."""
    return _lied_to("autostart")(result, events) and _never_again(events)


def _thief(result: RunResult, _: Events) -> bool:
    # Whether it speaks of the old or of a new boot: by the time it comes, the boot that runs may be the new one.
    return any(one.machine == "the same machine" for one in _done(result, actions.StrangerPresentsTicket))


def _thief_while_denied(result: RunResult, events: Events) -> bool:
    """Whether the thief's resume ended the order while a tool kept the flag: the agent is out of its session."""
    return _thief(result, events) and any(one.thing == "boot flag" for one in _done(result, actions.ToolBlocks))


def _lied_to(*things: str) -> Callable[[RunResult, Events], bool]:
    """Whether a security tool reported success and did nothing, for one of these things."""
    return lambda result, _: any(one.silently and one.thing in things for one in _done(result, actions.ToolBlocks))


_SAFE, _FLAG, _TICKET = "left in safe mode", "left behind: boot:safeboot=network", "left behind: file:ticket"
_KEY: Final = "left behind: registry:HKLM/SafeBoot/Network/rragent"
_OTHERS: Final = "left behind: registry:HKCU(other user)/RunOnce/!*rragent"
_TAKEN: Final = "somebody took away what starts us (BO-09)"
_AWAY: Final = "the user in whose profile it stands never signed in again (rule 4)"
_THIEF: Final = "a bearer ticket cannot tell its thief"
_LIAR: Final = "a security tool that lies"

KNOWN: Final = (
    Known("I6", _SAFE, "SM-15: nothing of ours runs in safe mode", _nothing_ran),
    Known("I6", _SAFE, "SM-15: what ran in safe mode died there", _died_there),
    Known("I6", _SAFE, _LIAR, _lied_to("boot flag")),
    Known("I6", _SAFE, _TAKEN, _key_taken),
    Known("I6", _SAFE, _THIEF, _thief_while_denied),
    Known("I7", _FLAG, _LIAR, _lied_to("boot flag")),
    Known("I7", _FLAG, _TAKEN, _key_taken),
    Known("I7", _KEY, _LIAR, _lied_to("ticket")),
    Known("I7", _TICKET, _LIAR, _lied_to("ticket")),
    Known("I7", _TICKET, _LIAR, _lied_about_autostart),
    Known("I7", _TICKET, "the owner's own safe mode: nothing of ours runs before a normal boot", _owners_safe_mode),
    Known("I7", _TICKET, _TAKEN, _way_back_gone),
    Known("I7", _TICKET, _AWAY, _owner_not_back),
    Known("I7", _OTHERS, _AWAY, _owner_not_back),
    Known("I13", "resumed without a new boot", _THIEF, _thief),
    Known("I12", "shown line is not in the transcript", _THIEF, _thief),
    Known("I12", "shown out of order", _THIEF, _thief),
    Known("I11", "foreign restart resumed", _THIEF, _thief),
    Known("verdict", "verdict unknown", _THIEF, _thief),
)
"""Failures that a swarm counts but does not report as news."""
