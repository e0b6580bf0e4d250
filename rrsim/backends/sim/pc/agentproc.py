"""The agent's process on the modelled PC, and in service mode its helper on the desktop.

The process holds the one agent core. In service mode it runs as SYSTEM and shows windows only through a helper, which
exists while somebody is signed in at a desktop they can see (``docs/design.md``, *The agent is real*).
"""

from __future__ import annotations

from typing import Literal

from rrsim.agent import host
from rrsim.backends.sim.parts import KillAgent, StartAgent
from rrsim.backends.sim.pc import windows
from rrsim.backends.sim.pc.state import SYSTEM, PcState, Process
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen

Why = Literal["customer", "autostart", "service", "recovery"]


def facts(state: PcState) -> host.BootFacts:
    """Return what a process that starts now learns about its Windows."""
    restarted = state.power.boots > 1
    elevated = state.mode == "service" or state.setup.administrator
    return host.BootFacts(
        boot=state.boot,
        machine=state.machine,
        platform=state.platform,
        mode=state.mode,
        safe_mode=state.power.safe_mode,
        elevated=elevated and not (state.setup.loses_elevation and restarted),
        user=state.session.user,
        desktop=state.session.desktop,
    )


def blocked(state: PcState, thing: str) -> str:
    """Return how a security tool treats ``thing``: ``""``, ``"denies"`` or ``"silently"``."""
    for block in state.faults.blocks:
        if block.thing == thing:
            return "silently" if block.silently else "denies"
    return ""


def service_may_start(state: PcState) -> bool:
    """Whether the service control manager would start the agent's service now.

    In safe mode only services listed under ``SafeBoot\\Network`` start, others fail with 1084 (Windows facts 2.3).
    """
    disk = state.disk
    listed = disk.safe_key or not state.power.safe_mode
    free = not blocked(state, "agent") and not blocked(state, "service")
    return state.mode == "service" and disk.service and disk.program and listed and free


def start(t: Turn, why: Why) -> bool:
    """Start the agent's process; return whether it runs now.

    The program must be there and no security tool may block it. The saved record is given only to its owner: the user
    in application mode, SYSTEM in service mode (rule 5, SE-06).
    """
    state = t.state
    if state.process.running:
        return True
    if not state.disk.program or blocked(state, "agent"):
        return False
    owner = SYSTEM if state.mode == "service" else state.session.profile
    disk = state.disk
    mine = disk.record is not None and disk.record_owner == owner
    started = host.Started(
        facts=facts(state),
        saved=disk.record if mine and not disk.damaged else None,
        corrupt=mine and disk.damaged,
    )
    t.forget("service", "recovery")
    t.set(process=Process(running=True, owner=owner))
    now = started.facts
    t.saw(seen.AgentStarted(boot=now.boot, user=now.user, elevated=now.elevated, desktop=now.desktop,
                            safe_mode=now.safe_mode, why=why))
    t.do(StartAgent(started))
    return True


def drop_calls(t: Turn) -> None:
    """Forget the calls that have not returned: the process that made them is gone, what they did not do is not done."""
    t.forget(*(f"call:{c.op}" for c in t.state.calls))
    t.set(calls=())


def gone(t: Turn, why: str, by: windows.GoneBy) -> None:
    """The agent's process is no longer there: its windows, its capture and its calls go with it."""
    drop_calls(t)
    t.forget("helper")
    windows.close_agents(t, by, keep_notice=by == "agent")
    windows.capture(t, on=False)
    t.set(process=Process())
    t.saw(seen.AgentStopped(why))


def kill(t: Turn, why: str, by: windows.GoneBy = "windows") -> None:
    """End the agent's process from outside; nothing if none runs."""
    if t.state.process.running:
        t.do(KillAgent(why))
        gone(t, why, by)


def ended(t: Turn, reason: str) -> None:
    """The process ended by itself. Its last notice stays on the desktop until somebody closes it."""
    if t.state.process.running:
        gone(t, reason, "agent")


def plan_helper(t: Turn) -> None:
    """Launch the helper if the service runs and there is a desktop to show windows on."""
    state = t.state
    if state.mode == "service" and state.process.running and not state.process.helper and windows.can_show(state):
        t.after("helper", "pc helper")


def helper_ready(t: Turn) -> None:
    """The helper is on the desktop: tell the service who is there (LO-05, CO-08)."""
    state = t.state
    if state.process.running and windows.can_show(state) and not state.process.helper:
        t.process(helper=True)
        windows.capture_goes_on(t)
        t.tell(host.HelperReady(desktop=state.session.desktop, user=state.session.user))


def helper_gone(t: Turn, by: windows.GoneBy) -> None:
    """The helper is no longer there: open prompts vanish unanswered (rule 14), and the service is told."""
    t.forget("helper")
    if t.state.process.helper:
        windows.close_agents(t, by, keep_notice=False, tell=True)
        t.process(helper=False)
        t.tell(host.HelperGone())


def ask_helper(t: Turn) -> bool:
    """Whether the agent can show a window now: through its own process, or in service mode through the helper."""
    return t.state.process.running and (t.state.mode == "application" or t.state.process.helper)


def forget_call(t: Turn, op: int) -> None:
    """Take call ``op`` off the list of those under way."""
    t.set(calls=tuple(c for c in t.state.calls if c.op != op))
