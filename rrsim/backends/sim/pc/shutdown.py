"""How the modelled Windows goes down: asked, held up or forced, taken back, ended; and going down without being asked.

Order (Windows facts 3.2): programs are asked; one may refuse, then the block screen is up until the person decides or
Windows gives up after a minute; past that comes the point of no return, which programs are told of; a moment later
processes are ended, then services and kernel go. The cause always names who *began* it (rule 3).
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from rrsim.agent import host
from rrsim.backends.sim.pc import agentproc, boot, profile, windows
from rrsim.backends.sim.pc.state import Going, NotPossible, Session
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen
from rrsim.machine.observations import RestartCause

TIMER = "shutdown"
BLOCKING_APP = "unsaved document"


def begin(t: Turn, cause: RestartCause, *, by: str, forced: bool = False,
          kind: Literal["restart", "shutdown"] = "restart", op: int = 0) -> None:
    """Begin a restart or shutdown. One that is under way already goes on under its own cause.

    ``op`` is the agent's call that asked for it, answered here so that *accepted* is said before anything follows.
    """
    if t.state.going is not None:
        return
    if kind == "restart":
        t.saw(seen.RestartBegan(cause, by, forced))
    if op:
        t.tell(host.Completed(op))
    t.set(going=Going(cause, kind, forced, "asked", t.state.power.phase))
    t.phase("shutdown asked")
    if not forced:
        t.tell(host.QueryEndSession("shutdown"))
    t.after(TIMER, "pc shutdown apps")


def advance(t: Turn) -> None:
    """The current stage has taken its time: go to the next one."""
    going = t.state.going
    if going is None:
        return
    if going.stage == "asked" and holds_up(t):
        t.set(going=replace(going, stage="blocked"))
        t.saw(seen.RestartBlocked(BLOCKING_APP))
        windows.show(t, "block screen", text=BLOCKING_APP)
        t.after(TIMER, "pc block gives up")
    elif going.stage == "blocked" and holds_up(t):
        stop(t, "windows")
    elif going.stage in ("asked", "blocked"):
        end_session(t)
    elif going.stage == "ending":
        _stop_services(t)
    else:
        _down(t, going)


def holds_up(t: Turn) -> bool:
    """Whether an application refuses and is not simply ended."""
    going = t.state.going
    return t.state.faults.app and t.state.session.user != "" and going is not None and not going.forced


def stop(t: Turn, by: Literal["agent", "customer", "windows"]) -> None:
    """Take the restart back: Windows goes on as before, programs hear that the session does not end (rule 11)."""
    going = t.state.going
    if going is None:
        return
    t.forget(TIMER)
    windows.hide(t, "block screen", by)
    t.set(going=None)
    # Not said as a new phase: nobody signed in or reached the desktop anew.
    t.power(phase=going.before)
    t.saw(seen.RestartStopped(by))
    t.thaw()
    if not going.forced:
        t.tell(host.EndSessionCancelled(by))


def let_go(t: Turn, by: windows.GoneBy = "windows") -> None:
    """Nothing holds the shutdown up any more: go on at once if it was blocked."""
    going = t.state.going
    if going is not None and going.stage == "blocked":
        windows.hide(t, "block screen", by)
        end_session(t)


def end_session(t: Turn) -> None:
    """The point of no return. A service hears nothing when fast startup only hibernates it (Windows facts 4)."""
    going = t.state.going
    if going is None:
        return
    windows.hide(t, "block screen", "windows")
    t.set(going=replace(going, stage="ending"))
    t.saw(seen.SessionEnds(going.cause))
    if not hybrid(t) or t.state.mode == "application":
        t.tell(host.SessionEnding())
    calls = tuple(f"call:{c.op}" for c in t.state.calls)
    t.forget_all(keep=(*calls, "mains"))
    t.set(frozen=())
    t.phase("shutting down")
    t.after(TIMER, "pc shutdown grace")


def hybrid(t: Turn) -> bool:
    """Whether this shutdown keeps the kernel and session 0 for a fast startup: never a restart, never safe mode."""
    going = t.state.going
    shuts_down = going is not None and going.kind == "shutdown"
    return shuts_down and t.state.setup.fast_startup and not t.state.power.safe_mode


def _stop_services(t: Turn) -> None:
    """Programs are ended; the service too, unless it is only hibernated."""
    going = t.state.going
    assert going is not None, "called only while going down"
    if hybrid(t) and t.state.mode == "service":
        agentproc.helper_gone(t, "windows")
        windows.capture(t, on=False)
    else:
        agentproc.kill(t, "windows goes down")
    windows.close_all(t, "windows")
    sign_out(t)
    t.set(going=replace(going, stage="stopping"))
    t.after(TIMER, "pc shutdown services")


def sign_out(t: Turn) -> None:
    """Nobody is signed in any more; a temporary profile goes with its user, an unsaved document too."""
    profile.drop_temporary(t)
    t.set(session=Session())
    t.faults(app=False)


def _down(t: Turn, going: Going) -> None:
    if hybrid(t):
        t.freeze()
        t.set(going=None)
        t.power(cause=going.cause, hibernated=True)
        t.saw(seen.WentDown(going.cause, True))
        t.phase("off")
        return
    down(t, going.cause, clean=True, then="firmware" if going.kind == "restart" else "off")


def down(t: Turn, cause: RestartCause, *, clean: bool, then: Literal["firmware", "off"]) -> None:
    """Nothing runs any more: memory is lost, the disk stays as it is."""
    by: windows.GoneBy = "windows" if clean else "crash"
    was_on = t.state.power.phase != "off"
    early = t.state.power.phase in ("loading", "updating", "services")
    agentproc.kill(t, "windows goes down" if clean else cause, by)
    windows.close_all(t, by)
    sign_out(t)
    t.forget_all(keep=("mains",))
    t.set(going=None, frozen=())
    t.faults(scheduled=False, others=False)
    failed = min(2, t.state.power.failed_boots + 1) if early and not clean else t.state.power.failed_boots
    t.power(cause=cause, failed_boots=failed, hibernated=False, asleep_from=None)
    if was_on:
        t.saw(seen.WentDown(cause, clean))
    if then == "off":
        if was_on:
            t.phase("off")
    else:
        boot.firmware(t)


def log_off(t: Turn) -> None:
    """The customer signs out: application-mode agents end without a restart (rule 14).

    Raises:
        NotPossible: nobody is at a desktop, or Windows is going down anyway.
    """
    state = t.state
    if state.power.phase != "desktop" or not windows.can_show(state):
        raise NotPossible(f"log off: nobody is at the desktop (phase {state.power.phase})")
    if any(timer.name == "logoff" for timer in state.timers):
        raise NotPossible("log off: Windows is logging off already")
    if state.mode == "application":
        t.tell(host.QueryEndSession("logoff"))
    t.after("logoff", "pc logoff")


def logged_off(t: Turn) -> None:
    """The user's programs are gone, the PC is back at the welcome screen. A restart asked meanwhile goes on."""
    if t.state.mode == "application":
        agentproc.kill(t, "logoff")
    else:
        agentproc.helper_gone(t, "windows")
    windows.close_all(t, "windows")
    sign_out(t)
    if t.state.going is None:
        t.phase("welcome")
    else:
        t.set(going=replace(t.state.going, before="welcome"))
