"""What the modelled PC is at one instant: small, frozen, hashable and finite.

The state is grouped by what becomes of it. :class:`Disk` survives a power cut. :class:`Power` is the machine's life.
:class:`Session`, :class:`Process`, :class:`Screen` and :class:`Going` live in memory and are gone when the PC is.
:class:`Faults` is what somebody did to the PC and :func:`rrsim.backends.sim.pc.heal` takes back. Nothing here is an
instant, and nothing grows with time: the boot counter saturates at :data:`BOOTS_MAX`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.agent.host import OPS, HostRequest, Saved
from rrsim.machine.observations import Phase, RestartCause, Window
from rrsim.protocol.messages import AgentMode, Desktop, Platform
from rrsim.scenario.actions import Thing
from rrsim.scenario.model import PcSetup

RIGHT: Final = "customer"
"""Account name of the user the session was started by."""
OTHER: Final = "other user"
"""Account name of somebody else (rule 4)."""
TEMPORARY: Final = "temporary"
"""Owner of what is written in a temporary profile: gone when its user is (LO-12)."""
SYSTEM: Final = "SYSTEM"
"""The service's account."""

AGENT_VALUE: Final = "!*rragent"
"""Name of our RunOnce value: ``!`` keeps it until its command was started (LO-14), ``*`` runs it in safe mode too,
where an owner's own boot flag may lead (SM-06, rule 7)."""
AGENT_COMMAND: Final = "rragent"
"""The command that starts the agent."""
UNDO_VALUE: Final = "*rragent-undo"
"""Name of our second way out of safe mode: it stands with the SafeBoot key, and ``*`` makes it run there."""
UNDO_COMMAND: Final = "rragent --clear-boot-flag"
"""The command that removes our boot flag, should the service not have been started to do it (SM-03)."""
BOOTS_MAX: Final = 99
"""Boot marks run boot-1 to boot-99 and stay there: more than any run has, few enough to stay finite."""
CALLS_MAX: Final = OPS
"""At most this many calls to the operating system are under way at once."""

__all__ = [
    "AGENT_COMMAND", "AGENT_VALUE", "BOOTS_MAX", "CALLS_MAX", "OTHER", "RIGHT", "SYSTEM", "TEMPORARY", "Autostart",
    "Block", "Call", "Disk", "Faults", "Going", "NotPossible", "Open", "PcState", "Power", "Process", "Screen",
    "Session", "Timer",
]


class NotPossible(ValueError):
    """The PC cannot do this now; the message says what was wanted, how the PC stands, and what would be needed."""


class _Part(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Base of everything the PC consists of."""


class Autostart(_Part, frozen=True):
    """One value under a ``Run`` or ``RunOnce`` key."""

    hive: Literal["HKCU", "HKLM"]
    key: Literal["Run", "RunOnce"]
    name: str
    """The value's name; prefixes ``!`` and ``*`` count (Windows facts 1.1)."""
    command: str
    user: str = ""
    """Whose profile holds it; empty for HKLM."""


class Disk(_Part, frozen=True):
    """What survives a power cut. Every change is complete or did not happen, never half."""

    record: Saved | None = None
    record_owner: str = ""
    """The only account that can read the record (rule 5)."""
    damaged: bool = False
    """The record cannot be read any more (SH-09)."""
    readable: bool = False
    """Somebody opened the record to everyone (SE-03)."""
    entries: tuple[Autostart, ...] = ()
    flag: bool = False
    """``safeboot network`` stands in the boot configuration. It stays until somebody removes it (SM-04)."""
    safe_key: bool = False
    """Our service is listed under ``SafeBoot\\Network``."""
    safe_key_owners: bool = False
    """The key says that the boot flag beside it is the owner's."""
    program: bool = True
    """The agent's program is there."""
    service: bool = False
    """The agent's service is registered to start automatically."""
    pending: bool = False
    """Installer work waits for the next boot (R14)."""
    pending_boots: int = 0
    """How many more boots the pending marker outlives."""
    deletes_agent: bool = False
    """The pending file operations remove the agent's program (SH-10)."""


class Power(_Part, frozen=True):
    """The machine's life from power to shutdown."""

    phase: Phase = "desktop"
    boots: int = 1
    safe_mode: bool = False
    """What this boot is; the flag on disk says what the next one will be (Windows facts 2.2)."""
    cause: RestartCause = "power"
    """What brought the previous boot down."""
    flag_at_boot: bool = False
    """How the safe-boot flag stood when this Windows was loaded: a change makes BitLocker ask (SM-12)."""
    failed_boots: int = 0
    """Boots in a row that never reached the welcome screen; two start the recovery (BO-04)."""
    mains: bool = True
    hibernated: bool = False
    """Off by fast startup: the kernel and session 0 wait on disk, the next power-on is no boot (BO-07)."""
    asleep_from: Phase | None = None
    """The phase that sleep interrupted."""


class Session(_Part, frozen=True):
    """Who is signed in at the PC, and what of the logon is still to come."""

    user: str = ""
    desktop: Desktop = "none"
    ready: bool = False
    """The shell is through: windows can be shown."""
    temporary: bool = False
    remote: bool = False
    """Signed in over remote desktop, the console stays at the welcome screen (CO-08)."""
    starting: tuple[Autostart, ...] = ()
    """Run and RunOnce commands that Windows took up and has not started yet."""

    @property
    def profile(self) -> str:
        """Whose registry hive and files the signed-in user works with."""
        return TEMPORARY if self.temporary else self.user


class Process(_Part, frozen=True):
    """The agent's process, and in service mode its helper on the desktop."""

    running: bool = False
    owner: str = ""
    helper: bool = False


class Open(_Part, frozen=True):
    """A window that is open. On a locked desktop it exists but nobody can see it yet."""

    window: Window
    prompt: int = 0
    """The agent's number for it; 0 if it is not one of the agent's prompts."""
    text: str = ""


class Screen(_Part, frozen=True):
    """The customer's desktop."""

    windows: tuple[Open, ...] = ()
    captured: bool = False
    waits_for_helper: bool = False
    """The desktop is to be captured, and the helper that sees it is not there: it died, or has not come yet."""


class Going(_Part, frozen=True):
    """A restart or shutdown under way."""

    cause: RestartCause
    kind: Literal["restart", "shutdown"]
    forced: bool
    stage: Literal["asked", "blocked", "ending", "stopping"]
    """``asked``: programs are being asked. ``blocked``: one refuses. ``ending``: past the point of no return, programs
    may still finish. ``stopping``: services and kernel go down."""
    before: Phase
    """The phase to go back to if it is taken back."""


class Call(_Part, frozen=True):
    """A call to the operating system that has not returned yet."""

    op: int
    what: HostRequest


class Timer(_Part, frozen=True):
    """A timer the PC has running: its name, its draw, and an exact duration if there is one."""

    name: str
    draw: str
    us: int = -1


class Block(_Part, frozen=True):
    """A security tool blocks calls that touch ``thing``."""

    thing: Thing
    silently: bool


class Faults(_Part, frozen=True):
    """What somebody did to the PC that is not a state of Windows by itself."""

    blocks: tuple[Block, ...] = ()
    disk_full: bool = False
    no_privilege: bool = False
    others: bool = False
    """Another user is signed in too (IN-10)."""
    app: bool = False
    """An application refuses the end of the session (SH-01)."""
    scheduled: bool = False
    """Another program has scheduled a restart (IN-07)."""


class PcState(_Part, frozen=True):
    """The whole PC."""

    setup: PcSetup
    """What kind of PC it is. Things that happen once (updates, a temporary profile) are taken out when they happen."""
    mode: AgentMode
    platform: Platform
    machine: str
    """The identity the machine would state now; changes when the PC forgets it (BO-14, NE-10)."""
    disk: Disk = Disk()
    power: Power = Power()
    session: Session = Session()
    process: Process = Process()
    screen: Screen = Screen()
    faults: Faults = Faults()
    going: Going | None = None
    calls: tuple[Call, ...] = ()
    timers: tuple[Timer, ...] = ()
    frozen: tuple[Timer, ...] = ()
    """Timers that stand still while the PC sleeps or is asked to restart, and are set again afterwards."""
    probing: bool = False
    """The harness's own restart is under way: nothing waits for a person."""

    @property
    def boot(self) -> str:
        """The boot mark: differs for every boot of the kernel, kept by sleep and fast startup."""
        return f"boot-{self.power.boots}"
