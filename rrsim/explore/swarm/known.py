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
from rrsim.scenario.history import Entry
from rrsim.scenario.result import RunResult

Act = TypeVar("Act")


class Known(msgspec.Struct, frozen=True, gc=False):
    """A failure that is understood, and the runs in which it is."""

    check: str
    cause: str
    where: str
    """Tracker, edge case or rule."""
    applies: Callable[[RunResult], bool]


_DEATHS: Final = ("crashed", "removed by a security tool")
"""How an agent ends that neither its own doing nor a shutdown ends."""


def _entries(result: RunResult) -> list[Entry]:
    return result.history.entries if result.history is not None else []


def _done(result: RunResult, kind: type[Act]) -> list[Act]:
    """Return the actions of one kind that the run's steps are."""
    return [step.action for step in result.scenario.steps if isinstance(step.action, kind)]


def _nothing_ran(result: RunResult) -> bool:
    """Whether Windows was in safe mode and no agent of ours ever ran there before the harness's own restart: then
    nobody could clear the flag."""
    safe = False
    for _, _, event, _ in _entries(result):
        kind = type(event)
        if kind is seen.BootBegan:
            if event.cause == "probe":
                break
            safe = safe or event.safe_mode
        elif kind is seen.AgentStarted and event.safe_mode:
            return False
    return safe


def _died_there(result: RunResult) -> bool:
    """Whether every agent that ran in safe mode was ended there, the last one before the harness's own restart, and
    nobody signed in, which would have started the second way out."""
    safe = died = False
    for _, _, event, _ in _entries(result):
        kind = type(event)
        if kind is seen.BootBegan:
            if event.cause == "probe":
                break
            safe, died = event.safe_mode, False
        elif kind is seen.AgentStarted:
            died = False
        elif kind is seen.AgentStopped:
            died = safe and event.why in _DEATHS
        elif kind is seen.LoggedOn and safe:
            return False
    return died


def _seen_at_the_pc(result: RunResult) -> list[Any]:
    """Return what was seen at the PC on which something was left behind (I7); everything, if no entry says which."""
    entries = _entries(result)
    source = next((entries[c.entry][1] for c in result.checks if c.check == "I7" and c.entry >= 0), "")
    return [event for _, who, event, _ in entries if source in ("", who)]


def _never_again(events: list[Any]) -> bool:
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


def _owners_safe_mode(result: RunResult) -> bool:
    """Whether the owner's own flag, which must stay (rule 7), kept everything of ours from running."""
    events = _seen_at_the_pc(result)
    boots = [e for e in events if type(e) is seen.BootBegan]
    flagged = result.scenario.given.pc.safe_boot_set_by_owner
    return flagged and bool(boots) and boots[-1].safe_mode and _never_again(events)


def _way_back_gone(result: RunResult) -> bool:
    """Whether somebody took away what starts us (BO-09), so that nothing of ours ran any more."""
    taken = ("autostart", "safe boot key", "service", "agent")
    events = _seen_at_the_pc(result)
    return _never_again(events) and any(type(e) is seen.MachineTampered and e.what in taken for e in events)


def _lied_about_autostart(result: RunResult) -> bool:
    """Whether a tool said that the autostart entry was written, and nothing of ours ran any more."""
    return _lied_to("autostart")(result) and _never_again(_seen_at_the_pc(result))


def _thief(result: RunResult) -> bool:
    # Whether it speaks of the old or of a new boot: by the time it comes, the boot that runs may be the new one.
    return any(one.machine == "the same machine" for one in _done(result, actions.StrangerPresentsTicket))


def _thief_while_denied(result: RunResult) -> bool:
    """Whether the thief's resume ended the order while a tool kept the flag: the agent is out of its session."""
    return _thief(result) and any(one.thing == "boot flag" for one in _done(result, actions.ToolBlocks))


def _lied_to(*things: str) -> Callable[[RunResult], bool]:
    """Whether a security tool reported success and did nothing, for one of these things."""
    return lambda result: any(one.silently and one.thing in things for one in _done(result, actions.ToolBlocks))


_SAFE, _FLAG, _TICKET = "left in safe mode", "left behind: boot:safeboot=network", "left behind: file:ticket"
_THIEF: Final = "a bearer ticket cannot tell its thief"
_LIAR: Final = "a security tool that lies"

KNOWN: Final = (
    Known("I6", _SAFE, "SM-15: nothing of ours runs in safe mode", _nothing_ran),
    Known("I6", _SAFE, "SM-15: what ran in safe mode died there", _died_there),
    Known("I6", _SAFE, _LIAR, _lied_to("boot flag")),
    Known("I6", _SAFE, _THIEF, _thief_while_denied),
    Known("I7", _FLAG, _LIAR, _lied_to("boot flag")),
    Known("I7", _TICKET, _LIAR, _lied_to("ticket")),
    Known("I7", _TICKET, _LIAR, _lied_about_autostart),
    Known("I7", _TICKET, "the owner's own safe mode: nothing of ours runs before a normal boot", _owners_safe_mode),
    Known("I7", _TICKET, "somebody took away what starts us (BO-09)", _way_back_gone),
    Known("I13", "resumed without a new boot", _THIEF, _thief),
    Known("I12", "shown line is not in the transcript", _THIEF, _thief),
    Known("I12", "shown out of order", _THIEF, _thief),
    Known("I11", "foreign restart resumed", _THIEF, _thief),
    Known("verdict", "verdict unknown", _THIEF, _thief),
)
"""Failures that a swarm counts but does not report as news."""
