"""What people and programs other than the agent do to the modelled PC, and how a harness takes it back.

Everything that changes the machine itself is recorded as tampering, so that a check never blames the agent for it.
"""

from __future__ import annotations

from msgspec.structs import replace

from rrsim.backends.sim.pc import agentproc, shutdown, windows
from rrsim.backends.sim.pc.state import AGENT_COMMAND, Block, Faults, NotPossible, PcState
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen
from rrsim.scenario import actions as do
from rrsim.scenario.actions import Thing

SCHEDULED = "scheduled"
NO_WINDOWS = ("off", "firmware", "bios password", "bitlocker", "recovery", "asleep")


def need_windows(t: Turn, wanted: str) -> None:
    """Raise :class:`NotPossible` unless a Windows is running."""
    if t.state.power.phase in NO_WINDOWS:
        raise NotPossible(f"{wanted}: no Windows is running (phase {t.state.power.phase})")


def windows_asks(t: Turn) -> None:
    """Windows' own restart dialog appears and stays (R6).

    Raises:
        NotPossible: nobody would see it, or it is there already.
    """
    _open_dialog(t, "windows restart dialog")


def _open_dialog(t: Turn, dialog: do.Dialog) -> None:
    if not windows.can_show(t.state) or t.state.power.phase != "desktop":
        raise NotPossible(f"show the {dialog}: nobody is at the desktop (phase {t.state.power.phase}, desktop "
                          f"{t.state.session.desktop})")
    if windows.find(t.state, dialog) is not None:
        raise NotPossible(f"show the {dialog}: it is shown already")
    windows.show(t, dialog)


def installer(t: Turn, what: do.InstallerRuns) -> None:
    """An installation ends with work pending for the next boot (R14).

    Raises:
        NotPossible: installations do not run now (no Windows, safe mode: error 1652), or nobody would see its dialog.
    """
    need_windows(t, "run an installer")
    if t.state.power.safe_mode:
        raise NotPossible("run an installer: the installer service does not run in safe mode (1652)")
    if what.shows_dialog:
        _open_dialog(t, "installer restart dialog")
    was_pending = t.state.disk.pending
    t.disk(pending=True, pending_boots=min(99, max(0, what.survives_boots)),
           deletes_agent=what.deletes_agent or t.state.disk.deletes_agent)
    if not was_pending:
        t.saw(seen.PendingWork(True))


def windows_update(t: Turn) -> None:
    """Windows Update begins a restart by itself; if one is under way, nothing more happens."""
    if t.state.power.phase not in ("welcome", "shell", "desktop", "shutdown asked"):
        raise NotPossible(f"let Windows Update restart: Windows is not up (phase {t.state.power.phase})")
    shutdown.begin(t, "windows update", by="windows update")


def other_schedules(t: Turn, in_us: int) -> None:
    """Another program schedules a restart; with a delay it ends programs that refuse (Windows facts 1.4).

    Raises:
        NotPossible: one is scheduled (1190) or under way (1115), or no Windows is up.
    """
    need_windows(t, "schedule a restart")
    if t.state.faults.scheduled:
        raise NotPossible("schedule a restart: one is scheduled already (1190)")
    if t.state.going is not None:
        raise NotPossible("schedule a restart: a shutdown is in progress (1115)")
    t.faults(scheduled=True)
    t.after(SCHEDULED, "", int(in_us))


def schedule_due(t: Turn) -> None:
    """The scheduled restart begins, if a session can be ended yet."""
    if not t.state.faults.scheduled:
        return
    if t.state.power.phase in ("loading", "updating"):
        t.after(SCHEDULED, "pc services")
        return
    t.faults(scheduled=False)
    shutdown.begin(t, "other program", by="another program", forced=True)


def app_blocks(t: Turn) -> None:
    """A document with unsaved work is open (SH-01).

    Raises:
        NotPossible: nobody is signed in.
    """
    if not t.state.session.ready:
        raise NotPossible("open an application that blocks the shutdown: nobody is signed in")
    t.faults(app=True)


def app_lets_go(t: Turn) -> None:
    """The document is saved; a shutdown it held up goes on."""
    t.faults(app=False)
    shutdown.let_go(t)


def tool_blocks(t: Turn, thing: Thing, *, silently: bool) -> None:
    """A security tool blocks what touches ``thing`` from now on (SE-10)."""
    kept = tuple(b for b in t.state.faults.blocks if b.thing != thing)
    t.faults(blocks=tuple(sorted((*kept, Block(thing, silently)), key=lambda b: b.thing)))


def tool_deletes(t: Turn, thing: Thing) -> None:
    """A security tool removes the thing now (BO-09, BO-14). Removing what is not there changes nothing."""
    need_windows(t, f"delete the {thing}")
    t.saw(seen.MachineTampered(thing))
    if thing == "agent":
        agentproc.kill(t, "removed by a security tool", "crash")
        t.disk(program=False)
    elif thing == "ticket":
        t.disk(record=None, record_owner="", damaged=False, readable=False)
    elif thing == "autostart":
        t.disk(entries=tuple(e for e in t.state.disk.entries if e.command != AGENT_COMMAND))
    elif thing == "safe boot key":
        t.disk(safe_key=False, safe_key_owners=False)
    elif thing == "boot flag":
        t.disk(flag=False)
    else:
        t.disk(service=False)


def quit_agent(t: Turn) -> None:
    """The customer removes the service registration while the program still runs (BO-12).

    Raises:
        NotPossible: there is no service.
    """
    if t.state.mode != "service" or not t.state.disk.service:
        raise NotPossible("remove the agent service: none is installed; it needs an agent in service mode")
    need_windows(t, "remove the agent service")
    t.saw(seen.MachineTampered("service"))
    t.disk(service=False)


def damage_record(t: Turn) -> None:
    """What the agent saved cannot be read any more (SH-09).

    Raises:
        NotPossible: nothing is saved.
    """
    if t.state.disk.record is None:
        raise NotPossible("damage the agent's record: none is saved; do it after 'ticket saved'")
    t.saw(seen.MachineTampered("ticket"))
    t.disk(damaged=True)


def open_record(t: Turn) -> None:
    """Somebody loosens the record's protection: the ticket can be read by everyone (SE-03).

    Raises:
        NotPossible: nothing is saved.
    """
    if t.state.disk.record is None:
        raise NotPossible("make the agent's record readable: none is saved; do it after 'ticket saved'")
    t.saw(seen.MachineTampered("ticket"))
    t.disk(readable=True)


def wall_clock(t: Turn) -> None:
    """The wall clock changes. Nothing of the PC's behaviour depends on it: timers are monotonic (rule 1)."""
    t.saw(seen.MachineTampered("wall clock"))


def agent_dies(t: Turn, *, restarts: bool) -> None:
    """The agent's process crashes; Windows starts a service again (rule 14).

    Raises:
        NotPossible: no agent process runs.
    """
    if not t.state.process.running:
        raise NotPossible("let the agent process die: none is running")
    need_windows(t, "let the agent process die")
    agentproc.kill(t, "crashed", "crash")
    if restarts and agentproc.service_may_start(t.state) and t.state.power.phase != "shutting down":
        t.after("recovery", "pc service recovery")


def helper_dies(t: Turn) -> None:
    """The desktop helper crashes and is launched again (rule 14).

    Raises:
        NotPossible: there is no helper.
    """
    if not t.state.process.helper:
        raise NotPossible("let the desktop helper die: there is none (service mode, somebody signed in)")
    need_windows(t, "let the desktop helper die")
    windows.capture_waits(t)  # the service sees the welcome screen, the helper the customer's desktop
    agentproc.helper_gone(t, "crash")
    agentproc.plan_helper(t)


def heal(state: PcState) -> PcState:
    """Return the PC with all tampering, faults and blocks taken back, and the residue left as it is.

    A removed program or service is installed again, pending installer work is gone, electricity is back. Powers nothing
    on and moves nothing along: :class:`~rrsim.backends.sim.parts.Probe` does that. A shutdown that was held up goes on
    by itself; one that another program had scheduled is taken back.
    """
    setup = replace(
        state.setup, temporary_profile=False, updates="none", service_misses_start_limit=False,
        service_stays_stopped=False, loses_early_start=False, safe_mode_hangs=False, no_bcdedit=False,
        forgets_identity=False, safe_mode_network=True,
    )
    disk = replace(
        state.disk, damaged=False, readable=False, program=True, service=state.mode == "service", pending=False,
        pending_boots=0, deletes_agent=False,
    )
    power = replace(state.power, mains=True, failed_boots=0)
    return replace(state, setup=setup, disk=disk, power=power, faults=Faults())
