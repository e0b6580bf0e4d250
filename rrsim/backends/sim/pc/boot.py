"""How the modelled PC comes up: firmware, start-up secrets, loading, updates, services, welcome screen.

The safe-boot flag is read when Windows is loaded and *stays set*: every later boot is a safe one until somebody removes
it (SM-04). The boot mark changes when a kernel is loaded, and only then: a fast startup or the end of sleep keep it.
"""

from __future__ import annotations

from rrsim.backends.sim.pc import agentproc, logon, shutdown, windows
from rrsim.backends.sim.pc.state import BOOTS_MAX, NotPossible, PcState
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen

TIMER = "phase"


def firmware(t: Turn) -> None:
    """The PC is switched on or reset."""
    t.phase("firmware")
    t.after(TIMER, "pc firmware")


def advance(t: Turn) -> None:
    """The current phase of the boot has taken its time: go to the next one."""
    phase = t.state.power.phase
    if phase == "firmware":
        _after_firmware(t)
    elif phase == "recovery":
        t.power(failed_boots=0)
        firmware(t)
    elif phase == "loading":
        _after_loading(t)
    elif phase == "updating":
        _after_updating(t)
    elif phase == "services":
        welcome(t)


def _after_firmware(t: Turn) -> None:
    if t.state.setup.bios_password and not t.state.probing:
        t.phase("bios password")
        windows.show(t, "bios password")
    else:
        _after_bios(t)


def _after_bios(t: Turn) -> None:
    if t.state.power.failed_boots >= 2:
        t.phase("recovery")
        t.after(TIMER, "pc recovery")
    elif wants_key(t.state) and not t.state.probing:
        t.phase("bitlocker")
        windows.show(t, "bitlocker", text="recovery key" if t.state.setup.bitlocker != "pin" else "pin")
    else:
        _load(t)


def wants_key(state: PcState) -> bool:
    """Whether BitLocker waits for a person at this start (BO-05, SM-12).

    The safe-boot flag itself is said to be ignored by the default profile, but field reports contradict (Windows
    facts 2.4): ``asks after boot change`` models those reports.
    """
    if state.setup.bitlocker == "pin":
        return True
    changed = state.disk.flag != state.power.flag_at_boot
    return state.setup.bitlocker == "asks after boot change" and changed and not state.power.hibernated


def type_secret(t: Turn) -> None:
    """Somebody types the BIOS password, the BitLocker PIN or the recovery key.

    Raises:
        NotPossible: the PC asks for none.
    """
    phase = t.state.power.phase
    if phase == "bios password":
        t.saw(seen.Clicked("customer", "bios password", "ok"))
        windows.hide(t, "bios password", "customer")
        _after_bios(t)
    elif phase == "bitlocker":
        t.saw(seen.Clicked("customer", "bitlocker", "ok"))
        windows.hide(t, "bitlocker", "customer")
        _load(t)
    else:
        raise NotPossible(f"type the start-up secret: the PC does not ask for one (phase {phase})")


def _load(t: Turn) -> None:
    """A new kernel is loaded, or the hibernated one is read back (fast startup)."""
    if t.state.power.hibernated:
        t.phase("loading")
        t.after(TIMER, "pc fast startup")
        return
    state = t.state
    if state.setup.forgets_identity:
        t.set(machine=f"{state.machine}-new")
        t.setup(forgets_identity=False)
        t.saw(seen.MachineTampered("identity"))
    safe = state.disk.flag
    t.power(boots=min(BOOTS_MAX, state.power.boots + 1), safe_mode=safe, flag_at_boot=safe)
    t.phase("loading")
    t.saw(seen.BootBegan(boot=t.state.boot, safe_mode=safe, cause=state.power.cause))
    if safe and state.setup.safe_mode_hangs:
        return
    t.after(TIMER, "pc loading")


def _after_loading(t: Turn) -> None:
    if t.state.power.hibernated:
        _resume_hibernated(t)
        return
    _file_operations(t)
    # Servicing and the installer service do not run in safe mode (error 1652, SM-18).
    if t.state.setup.updates != "none" and not t.state.power.safe_mode:
        t.phase("updating")
        t.after(TIMER, "pc updates long" if t.state.setup.updates == "long" else "pc updates short")
    else:
        _services(t)


def _resume_hibernated(t: Turn) -> None:
    """Fast startup: same kernel, same services, nobody signed in; services get no start event (Windows facts 4)."""
    t.power(hibernated=False)
    t.saw(seen.WokeUp(t.state.boot, "fast startup"))
    welcome(t)
    t.thaw()


def _after_updating(t: Turn) -> None:
    again = t.state.setup.updates == "second restart"
    t.setup(updates="none")
    if again:
        shutdown.down(t, "servicing", clean=True, then="firmware")
    else:
        _services(t)


def _file_operations(t: Turn) -> None:
    """The session manager carries out pending file operations, in every kind of boot (SH-10)."""
    if t.state.disk.deletes_agent:
        t.disk(program=False, deletes_agent=False)
        t.saw(seen.MachineTampered("agent"))


def _pending_work(t: Turn) -> None:
    """Installer work that waited for this boot is done, unless its marker outlives it or this is safe mode (R14)."""
    disk = t.state.disk
    if not disk.pending or t.state.power.safe_mode:
        return
    if disk.pending_boots > 0:
        t.disk(pending_boots=disk.pending_boots - 1)
    else:
        t.disk(pending=False)
        t.saw(seen.PendingWork(False))


def _services(t: Turn) -> None:
    """Services start. Ours starts here unless something keeps it from it (BO-08, BO-10, BO-11, SM-03)."""
    t.phase("services")
    _pending_work(t)
    t.after(TIMER, "pc services")
    if t.state.mode != "service":
        return
    if t.state.setup.service_stays_stopped:
        t.setup(service_stays_stopped=False)
    elif agentproc.service_may_start(t.state) and not t.state.setup.loses_early_start:
        late = t.state.setup.service_misses_start_limit
        t.after("service", "pc service late start" if late else "pc service start")


def welcome(t: Turn) -> None:
    """The welcome screen is up: the boot has succeeded."""
    t.power(failed_boots=0)
    black = t.state.setup.black_screen
    t.session(desktop="black" if black else "none")
    t.phase("welcome")
    logon.at_welcome(t)


def service_due(t: Turn) -> None:
    """The service control manager starts the service now, or again."""
    if agentproc.service_may_start(t.state):
        late = t.state.setup.service_misses_start_limit
        agentproc.start(t, "recovery" if late else "service")
        agentproc.plan_helper(t)


def service_again(t: Turn) -> None:
    """The recovery action starts a service that had died (rule 14)."""
    if agentproc.service_may_start(t.state):
        agentproc.start(t, "recovery")
        agentproc.plan_helper(t)
