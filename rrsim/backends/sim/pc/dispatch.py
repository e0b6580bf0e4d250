"""Which function of the PC hears which input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rrsim.agent import host
from rrsim.backends.sim import parts
from rrsim.backends.sim.pc import agentproc, boot, hostcalls, logon, power, shutdown, tampering, windows
from rrsim.backends.sim.pc.state import NotPossible
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen
from rrsim.machine.observations import RestartCause
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as do

PcInput = (
    parts.HostAsked | parts.UiAsked | parts.AgentEnded | parts.Press | parts.SignIn | parts.TypeSecret | parts.TypeChat
    | parts.StartSupport | parts.Probe | TimerFired | do.AnyAction
)
"""What the PC hears."""

DIALOG_CAUSE: Final[dict[str, RestartCause]] = {
    "windows restart dialog": "windows dialog", "installer restart dialog": "installer",
}
WAITS_FOR_SHUTDOWN: Final = (boot.TIMER, logon.AUTO, logon.RUN_ONCE, logon.COMMANDS)
"""Timers of boot and logon that stand back while a restart is being asked for: it ends the session, or is taken back
and they are set again."""


def deliver(t: Turn, what: PcInput) -> None:
    """Carry out one input.

    Raises:
        NotPossible: the PC cannot do this now.
        TypeError: the input is not one the PC hears.
    """
    handler = _HANDLERS.get(type(what))
    if handler is None:
        raise TypeError(f"the PC does not hear {type(what).__name__}; it hears: {', '.join(sorted(_NAMES))}")
    handler(t, what)


# --- the agent --------------------------------------------------------------------------------------------------


def _ui_asked(t: Turn, what: parts.UiAsked) -> None:
    if t.state.process.running:
        windows.asked(t, what.what, has_hands=agentproc.ask_helper(t))


def _start_support(t: Turn, what: parts.StartSupport) -> None:
    state = t.state
    if state.power.phase != "desktop" or not windows.can_show(state):
        raise NotPossible(f"ask for support: nobody is at the desktop (phase {state.power.phase}, desktop "
                          f"{state.session.desktop})")
    if not state.process.running:
        if state.mode == "service" and state.power.safe_mode and not state.disk.safe_key:
            # ERROR_NOT_SAFEBOOT_SERVICE, 1084: the service control manager starts no other services there.
            raise NotPossible("ask for support: Windows does not start the service in safe mode without its key")
        # Asking anew fetches the program anew; a running one is used as it is (R1: no second download).
        t.disk(program=True, service=state.mode == "service")
        if not agentproc.start(t, "customer"):
            raise NotPossible("ask for support: a security tool blocks the agent's program")
        if state.mode == "service":
            agentproc.helper_ready(t)
    t.tell(host.CustomerStarts(what.code))


# --- people -----------------------------------------------------------------------------------------------------


def _press(t: Turn, what: parts.Press) -> None:
    there = windows.check_press(t.state, what.who, what.window, what.button)
    t.saw(seen.Clicked(what.who, what.window, what.button))
    if what.window == "chat":
        t.tell(host.CloseClicked())
        return
    if what.window == "cancel option":
        # The program takes it away with the press; what its core says then finds nothing to hide.
        windows.hide(t, what.window, what.who)
        t.tell(host.CancelClicked())
        return
    if what.window == "block screen":
        _decide_at_block_screen(t, what)
        return
    windows.hide(t, what.window, what.who)
    if what.window in DIALOG_CAUSE and what.button == "restart":
        shutdown.begin(t, DIALOG_CAUSE[what.window], by=what.who)
    elif there.prompt:
        t.tell(host.Answered(there.prompt, "yes" if what.button == "yes" else "no"))


def _decide_at_block_screen(t: Turn, what: parts.Press) -> None:
    if what.button == "cancel":
        shutdown.stop(t, "customer")
    else:
        shutdown.let_go(t, what.who)


def _rep_types_password(t: Turn, what: do.RepTypesPassword) -> None:
    if t.state.mode != "service" or not t.state.process.running:
        raise NotPossible("type the password remotely: it needs an agent in service mode that is running")
    logon.sign_in(t, "right user" if what.right else "wrong password")


def _unlock(t: Turn) -> None:
    if t.state.session.desktop != "locked":
        raise NotPossible(f"unlock the screen: it is not locked (desktop {t.state.session.desktop})")
    logon.sign_in(t, "right user")


# --- timers -----------------------------------------------------------------------------------------------------


def _timer(t: Turn, what: TimerFired) -> None:
    """A timer fired. One that was cancelled in the meantime means nothing any more."""
    fired = next((timer for timer in t.state.timers if timer.name == what.name), None)
    if fired is None:
        return
    t.set(timers=tuple(timer for timer in t.state.timers if timer != fired))
    if what.name.startswith(hostcalls.TIMER):
        hostcalls.returned(t, int(what.name.removeprefix(hostcalls.TIMER)))
    elif what.name in WAITS_FOR_SHUTDOWN and t.state.going is not None:
        t.hold(fired)
    else:
        _TIMERS[what.name](t)


_TIMERS: Final[dict[str, Callable[[Turn], None]]] = {
    boot.TIMER: boot.advance,
    shutdown.TIMER: shutdown.advance,
    logon.AUTO: logon.automatic,
    logon.RUN_ONCE: logon.take_up_autostart,
    logon.COMMANDS: logon.start_commands,
    "service": boot.service_due,
    "recovery": boot.service_again,
    "helper": agentproc.helper_ready,
    "logoff": shutdown.logged_off,
    power.MAINS: power.return_due,
    power.WAKE: power.wake,
    tampering.SCHEDULED: tampering.schedule_due,
}

_HANDLERS: Final[dict[type, Callable[[Turn, Any], None]]] = {
    TimerFired: _timer,
    parts.HostAsked: lambda t, w: hostcalls.asked(t, w.op, w.what),
    parts.UiAsked: _ui_asked,
    parts.AgentEnded: lambda t, w: agentproc.ended(t, w.reason),
    parts.Press: _press,
    parts.SignIn: lambda t, w: logon.sign_in(t, w.how),
    parts.TypeSecret: lambda t, _: boot.type_secret(t),
    parts.TypeChat: lambda t, w: windows.typed(t, w.text),
    parts.StartSupport: _start_support,
    parts.Probe: lambda t, _: power.probe(t),
    # People, as scenario steps.
    do.RepClicks: lambda t, w: _press(t, parts.Press("representative", w.window, w.button)),
    do.RepTypesPassword: _rep_types_password,
    do.CustomerChats: lambda t, w: windows.typed(t, w.text),
    do.CustomerClosesChat: lambda t, _: _press(t, parts.Press("customer", "chat", "close")),
    do.CustomerClicks: lambda t, w: _press(t, parts.Press("customer", w.window, w.button)),
    do.CustomerAnswers: lambda t, w: _press(t, parts.Press("customer", w.prompt, w.answer)),
    do.CustomerCancelsReconnect: lambda t, _: _press(t, parts.Press("customer", "cancel option", "cancel")),
    do.CustomerAtBlockScreen: lambda t, w: _press(t, parts.Press("customer", "block screen", w.choice)),
    do.CustomerRestartsFromStart: lambda t, _: power.from_menu(t, restart=True),
    do.CustomerShutsDown: lambda t, _: power.from_menu(t, restart=False),
    do.CustomerPowersOn: lambda t, _: power.switch_on(t),
    do.CustomerLogsOn: lambda t, w: logon.sign_in(t, w.how),
    do.CustomerLogsOff: lambda t, _: shutdown.log_off(t),
    do.CustomerUnlocks: lambda t, _: _unlock(t),
    do.CustomerTypesSecret: lambda t, _: boot.type_secret(t),
    do.CustomerQuitsAgent: lambda t, _: tampering.quit_agent(t),
    # The PC.
    do.PowerCut: lambda t, w: power.cut(t, w.returns_after_us),
    do.PowerReturns: lambda t, _: power.returned(t),
    do.PcCrashes: lambda t, _: power.crash(t),
    do.PcSleeps: lambda t, w: power.sleep(t, w.wakes_after_us),
    do.PcWakes: lambda t, _: power.wake(t),
    do.WindowsAsksRestart: lambda t, _: tampering.windows_asks(t),
    do.InstallerRuns: tampering.installer,
    do.WindowsUpdateRestarts: lambda t, _: tampering.windows_update(t),
    do.OtherSchedules: lambda t, w: tampering.other_schedules(t, w.in_us),
    do.AppBlocks: lambda t, _: tampering.app_blocks(t),
    do.AppLetsGo: lambda t, _: tampering.app_lets_go(t),
    do.DiskFills: lambda t, _: t.faults(disk_full=True),
    do.DiskHasRoom: lambda t, _: t.faults(disk_full=False),
    do.ToolBlocks: lambda t, w: tampering.tool_blocks(t, w.thing, silently=w.silently),
    do.ToolAllows: lambda t, _: t.faults(blocks=()),
    do.ToolDeletes: lambda t, w: tampering.tool_deletes(t, w.thing),
    do.RecordDamaged: lambda t, _: tampering.damage_record(t),
    do.PrivilegeTaken: lambda t, _: t.faults(no_privilege=True),
    do.PrivilegeGiven: lambda t, _: t.faults(no_privilege=False),
    do.OthersSignedIn: lambda t, _: t.faults(others=True),
    do.AgentDies: lambda t, w: tampering.agent_dies(t, restarts=w.restarts),
    do.HelperDies: lambda t, _: tampering.helper_dies(t),
    do.ChatDestroyedAction: lambda t, w: windows.destroyed(t, w.by),
    do.WallClockJumps: lambda t, _: tampering.wall_clock(t),
    do.TicketReadable: lambda t, _: tampering.open_record(t),
}
_NAMES: Final = [kind.__name__ for kind in _HANDLERS]
