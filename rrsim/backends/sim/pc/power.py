"""Electricity, sleep, crashes, the power button, and the harness's own restart."""

from __future__ import annotations

from msgspec.structs import replace

from rrsim.backends.sim.pc import agentproc, boot, shutdown, windows
from rrsim.backends.sim.pc.state import NotPossible, PcState
from rrsim.backends.sim.pc.turn import Turn
from rrsim.machine import observations as seen

MAINS = "mains"
WAKE = "wake"
RUNNING = ("loading", "updating", "services", "welcome", "shell", "desktop", "shutdown asked", "shutting down")
"""Phases in which a kernel runs."""
UP = ("services", "welcome", "shell", "desktop", "shutdown asked")
"""Phases in which Windows can be asked to restart."""


def runs(state: PcState) -> bool:
    """Whether programs get processor time: not before Windows is loaded, not asleep, not off.

    An agent process that lives through sleep or fast startup stands still meanwhile, and its timers with it.
    """
    return state.power.phase in RUNNING and not state.power.hibernated


def cut(t: Turn, returns_after_us: int | None) -> None:
    """The electricity goes: everything that was not on disk is lost.

    Raises:
        NotPossible: there is none already.
    """
    if not t.state.power.mains:
        raise NotPossible("cut the power: it is cut already; let it return first")
    t.power(mains=False)
    if t.state.power.phase != "off":
        shutdown.down(t, "power", clean=False, then="off")
    if returns_after_us is not None:
        t.after(MAINS, "", int(returns_after_us))


def returned(t: Turn) -> None:
    """The electricity is back, and the PC starts by itself.

    Raises:
        NotPossible: it was never gone.
    """
    if t.state.power.mains:
        raise NotPossible("let the power return: it is not cut")
    t.forget(MAINS)
    t.power(mains=True)
    boot.firmware(t)


def return_due(t: Turn) -> None:
    """The electricity returns by itself; a healed PC that is still off starts now."""
    t.power(mains=True)
    if t.state.power.phase == "off":
        boot.firmware(t)


def crash(t: Turn) -> None:
    """Blue screen, then a restart nobody asked for.

    Raises:
        NotPossible: no Windows runs.
    """
    if not runs(t.state):
        raise NotPossible(f"crash the PC: no Windows is running (phase {t.state.power.phase})")
    shutdown.down(t, "crash", clean=False, then="firmware")


def switch_on(t: Turn) -> None:
    """Somebody presses the power button of a PC that is off or asleep.

    Raises:
        NotPossible: it is on, or there is no electricity.
    """
    power = t.state.power
    if power.phase == "asleep":
        wake(t)
    elif power.phase != "off":
        raise NotPossible(f"switch the PC on: it is on (phase {power.phase})")
    elif not power.mains:
        raise NotPossible("switch the PC on: there is no electricity; let the power return")
    else:
        boot.firmware(t)


def sleep(t: Turn, wakes_after_us: int | None) -> None:
    """Everything stands still; no new boot will follow (SH-08).

    Raises:
        NotPossible: Windows is not at rest, or it is going down.
    """
    phase = t.state.power.phase
    if phase not in ("welcome", "desktop"):
        raise NotPossible(f"let the PC sleep: only at the welcome screen or the desktop, not in phase {phase}")
    t.freeze()
    t.power(asleep_from=phase)
    t.phase("asleep")
    if wakes_after_us is not None:
        t.after(WAKE, "", int(wakes_after_us))


def wake(t: Turn) -> None:
    """The PC is back as it was.

    Raises:
        NotPossible: it does not sleep.
    """
    before = t.state.power.asleep_from
    if before is None:
        raise NotPossible(f"wake the PC: it is not asleep (phase {t.state.power.phase})")
    t.forget(WAKE)
    t.power(asleep_from=None)
    t.saw(seen.WokeUp(t.state.boot, "sleep"))
    t.phase(before)
    t.thaw()


def from_menu(t: Turn, *, restart: bool) -> None:
    """The customer chooses Restart or Shut down (IN-03, SH-07).

    Raises:
        NotPossible: there is no menu to choose from, which includes: Windows is going down already.
    """
    state = t.state
    at_desktop = state.power.phase == "desktop" and windows.can_show(state)
    if state.power.phase != "welcome" and not at_desktop:
        wanted = "restart" if restart else "shut down"
        raise NotPossible(f"{wanted} from the menu: there is none (phase {state.power.phase}); wait for the desktop")
    if restart:
        shutdown.begin(t, "start menu", by="customer")
    else:
        shutdown.begin(t, "power button", by="customer", kind="shutdown")


def probe(t: Turn) -> None:
    """The harness's own clean restart, whatever state the PC is in (I6, I7)."""
    t.set(probing=True)
    t.power(mains=True)
    t.forget(MAINS)
    if t.state.power.phase == "asleep":
        wake(t)
    phase = t.state.power.phase
    going = t.state.going
    if phase == "off" or t.state.power.hibernated:
        agentproc.kill(t, "windows goes down")
        t.set(frozen=())
        t.forget_all()
        t.power(cause="probe", hibernated=False)
        boot.firmware(t)
    elif going is not None and going.stage in ("ending", "stopping"):
        t.set(going=replace(going, cause="probe", kind="restart", forced=True))
    elif phase in UP:
        if going is not None:
            shutdown.stop(t, "windows")
        shutdown.begin(t, "probe", by="harness", forced=True)
    else:
        shutdown.down(t, "probe", clean=True, then="firmware")
