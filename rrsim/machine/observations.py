"""What witnesses outside the agent saw: the machine, its network, and the people around it.

These are history events. Every backend fills them from its own witnesses (the modelled PC, hooks in a Wine prefix,
the hypervisor); checks and verdicts rest on them and on the server's records, never on the agent's word.
The ``tag`` of an event is the phrase a scenario uses after ``when:``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rrsim.protocol.messages import Desktop

RestartCause = Literal[
    "agent", "windows dialog", "installer", "start menu", "windows update", "other program", "power", "crash",
    "servicing", "power button", "probe",
]
"""Who brought the PC down or up. ``servicing``: a second restart that Windows adds while it configures updates;
``probe``: the harness's own restart at the end of a run, to see what the next boot is like (I6, I7)."""

Window = Literal[
    "chat", "restart prompt", "sharing prompt", "leave prompt", "cancel option", "notice", "windows restart dialog",
    "installer restart dialog", "block screen", "dial prompt", "portal page", "bitlocker", "bios password",
]

Phase = Literal[
    "off", "firmware", "bios password", "bitlocker", "recovery", "loading", "updating", "services", "welcome", "shell",
    "desktop", "shutdown asked", "shutting down", "asleep",
]

HostVerb = Literal[
    "ticket saved", "intent saved", "record saved", "record erased", "autostart armed", "autostart disarmed",
    "safe boot key registered", "safe boot key removed", "safe boot key read", "boot flag set", "boot flag read",
    "boot flag cleared", "restart requested", "restart aborted",
]


class Observation(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag_field="type", forbid_unknown_fields=True):
    """Base of all observations."""


class PhaseBegan(Observation, frozen=True, tag="phase began"):
    """The PC entered a phase of its life."""

    phase: Phase


class BootBegan(Observation, frozen=True, tag="boot began"):
    """A new kernel is starting: the boot identity changed."""

    boot: str
    safe_mode: bool
    cause: RestartCause
    """What brought the previous boot down."""


class WokeUp(Observation, frozen=True, tag="woke up"):
    """The PC is back without a new boot: sleep, hibernation, or fast startup."""

    boot: str
    how: Literal["sleep", "fast startup"]


class WentDown(Observation, frozen=True, tag="went down"):
    """The PC is off or resetting: nothing runs any more."""

    cause: RestartCause
    clean: bool


class LoggedOn(Observation, frozen=True, tag="logged on"):
    """Somebody is signed in."""

    user: str
    desktop: Desktop
    right: bool
    """Whether this is the user the session was started by."""


class LogonFailed(Observation, frozen=True, tag="logon failed"):
    """A wrong password was given."""

    user: str


class HostCall(Observation, frozen=True, tag="host call"):
    """A call to the operating system returned. ``verb`` names the call by what it does."""

    verb: HostVerb
    ok: bool
    detail: str = ""


class RestartBegan(Observation, frozen=True, tag="restart began"):
    """Somebody asked Windows to restart and Windows accepted."""

    cause: RestartCause
    by: str
    forced: bool


class RestartBlocked(Observation, frozen=True, tag="restart blocked"):
    """An application holds the restart up; Windows shows the block screen (SH-01)."""

    app: str


class RestartStopped(Observation, frozen=True, tag="restart stopped"):
    """A restart that had begun was taken back (rule 11)."""

    by: str


class SessionEnds(Observation, frozen=True, tag="windows session ends"):
    """The point of no return: ``WM_ENDSESSION`` TRUE or pre-shutdown."""

    cause: RestartCause


class AgentStarted(Observation, frozen=True, tag="agent started"):
    """An agent process with a core is running."""

    boot: str
    user: str
    elevated: bool
    desktop: Desktop
    safe_mode: bool
    why: Literal["customer", "autostart", "service", "recovery"]


class AgentStopped(Observation, frozen=True, tag="agent stopped"):
    """The agent process is gone."""

    why: str


class WindowShown(Observation, frozen=True, tag="window shown"):
    """A window is on the customer's desktop."""

    window: Window
    text: str = ""


class WindowGone(Observation, frozen=True, tag="window gone"):
    """A window is gone."""

    window: Window
    by: Literal["agent", "customer", "representative", "windows", "restart manager", "crash", "time-out"]


class Clicked(Observation, frozen=True, tag="clicked"):
    """A person pressed a button in a window: the recorded click (I4, I5)."""

    who: Literal["customer", "representative"]
    window: Window
    button: str


class ScreenSeen(Observation, frozen=True, tag="screen capture"):
    """The machine's screen is, or is no longer, being captured (I5)."""

    on: bool


class PendingWork(Observation, frozen=True, tag="pending work"):
    """Installer work that waits for a restart appeared, or was done (R14)."""

    pending: bool


class LinkChanged(Observation, frozen=True, tag="link changed"):
    """The PC's way to the internet came up or went down."""

    up: bool
    kind: str
    reason: str = ""


class DialProgress(Observation, frozen=True, tag="dial progress"):
    """Dial-up: ``dialling``, ``busy``, ``no carrier``, ``no dial tone``, ``training``, ``ppp``, ``connected`` or
    ``dropped``."""

    phase: str


class ConnectTried(Observation, frozen=True, tag="connect tried"):
    """A connection attempt to the session server ended; ``outcome`` is ``connected`` or the reason it failed."""

    outcome: str


class SecretSeen(Observation, frozen=True, tag="secret seen"):
    """A secret was found where it must not be: readable by others, on a command line, in a log (SE-03, SE-04)."""

    where: str


class MachineTampered(Observation, frozen=True, tag="machine tampered"):
    """Something other than the product changed the machine: a security tool, the owner, a damaged disk."""

    what: str


class InventoryTaken(Observation, frozen=True, tag="inventory taken"):
    """Everything on the machine that a session could leave behind, at one instant (I7)."""

    label: Literal["before", "after"]
    items: tuple[str, ...]
    """Sorted names such as ``registry:HKCU/RunOnce/!*rragent``, ``file:ticket``, ``boot:safeboot=network``."""


class ServerDown(Observation, frozen=True, tag="server down"):
    """The session server was killed (NE-12)."""


class ServerUp(Observation, frozen=True, tag="server up"):
    """The session server is back, rebuilt from its journal."""


class RepAway(Observation, frozen=True, tag="rep away"):
    """A representative's console is gone."""

    rep: str


class RepReturned(Observation, frozen=True, tag="rep returned"):
    """A representative's console is connected."""

    rep: str


class StepDone(Observation, frozen=True, tag="step done"):
    """The director carried out a scenario step."""

    step: str


class AgentDoes(Observation, frozen=True, tag="agent does"):
    """The agent is about to carry out one effect. Recorded only in runs whose scenario waits for it: it gives a fault
    a place between any two effects."""

    effect: str
    """Name of the effect, such as ``Send``, ``Request``, ``CloseChat``."""
    detail: str = ""
    """Which request or message, such as ``Save`` or ``armed``."""


class StepImpossible(Observation, frozen=True, tag="step impossible"):
    """A scenario step never became possible, or the world refused it: says which and why."""

    step: str
    reason: str


class Healed(Observation, frozen=True, tag="healed"):
    """All faults were taken back; from here on liveness is demanded."""


class RunEnded(Observation, frozen=True, tag="run ended"):
    """Nothing is left to happen, or the time limit was reached."""

    quiet: bool


AnyObservation = (
    PhaseBegan | BootBegan | WokeUp | WentDown | LoggedOn | LogonFailed | HostCall | RestartBegan | RestartBlocked
    | RestartStopped | SessionEnds | AgentStarted | AgentStopped | WindowShown | WindowGone | Clicked | ScreenSeen
    | PendingWork | LinkChanged | DialProgress | ConnectTried | SecretSeen | MachineTampered | InventoryTaken
    | ServerDown | ServerUp | RepAway | RepReturned | AgentDoes | StepDone | StepImpossible | Healed | RunEnded
)
