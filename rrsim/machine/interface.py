"""What a scenario may do to any machine, modelled or real, and what a machine can and cannot do.

A machine names its capabilities and its resolution in time. A scenario that needs one it lacks is skipped with that
name, never silently passed (``docs/design.md``, *A machine*). *Eyes* list windows through a helper in the customer's
session; *hands* are real input only. Implementations may be synchronous or drive virtual time: a method returns when
the thing was *done to* the machine, not when its consequences are over (that is what stages are for).
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

from rrsim.machine.identity import BootIdentity
from rrsim.machine.observations import AnyObservation, Window
from rrsim.machine.stages import Stage

Capability = Literal[
    "restart", "power off", "reset", "power cut", "sleep", "fast startup", "safe mode", "log on", "log off",
    "other user", "automatic logon", "lock", "windows dialog", "installer dialog", "press", "dial", "pull the cable",
    "screenshot", "logs", "boot identity", "host reset reason", "inventory", "bitlocker", "bios password", "updates",
    "exact trigger", "wall clock", "blocked shutdown", "full disk", "security tool", "missing privilege",
    "scheduled restart", "other sessions", "standard user", "mac customer", "linux customer", "service removal",
    "service faults", "process kill", "damaged record", "destroyed window", "file rights", "link faults", "dns",
    "captive portal", "vpn", "wifi", "several customers", "server restart", "stranger", "temporary profile",
    "boot options", "safe mode faults", "black screen", "identity faults", "fixed boot times", "installer faults",
    "silent installer", "secret protection", "service recovery", "press under the block screen",
    "installer that lets go", "calls that change nothing", "block screen that gives up",
    "sharing at the welcome screen",
]
"""Everything a scenario may need of a machine."""

SignInAs = Literal["right user", "other user", "wrong password", "temporary profile", "remote desktop"]


class MissingCapability(ValueError):
    """A scenario needs what this machine cannot do: skip it and say so."""


class Machine(Protocol):
    """One machine under test."""

    @property
    def name(self) -> str:
        """The machine's name in histories and reports."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this machine can do."""

    @property
    def resolution_us(self) -> int:
        """The shortest difference in time, in microseconds, that this machine can tell apart."""

    def provision(self) -> None:
        """Bring the machine into its clean first state."""

    def start(self) -> None:
        """Switch it on."""

    def reset(self) -> None:
        """Reset it from outside; nothing is flushed."""

    def power_off(self, *, clean: bool) -> None:
        """Switch it off: by Windows, or by taking the electricity away."""

    def log_on(self, who: SignInAs) -> None:
        """Sign somebody in at the welcome screen."""

    def log_off(self) -> None:
        """Sign the user out."""

    def show_dialog(self, window: Window) -> None:
        """Have Windows or an installer show its restart dialog."""

    def press(self, window: Window, button: str) -> None:
        """Press a button on the customer's desktop with real input."""

    def windows(self) -> tuple[Window, ...]:
        """List the windows on the customer's desktop."""

    def dial(self) -> None:
        """Dial the internet provider."""

    def hang_up(self) -> None:
        """Close the dial-up connection."""

    def pull_cable(self, *, out: bool) -> None:
        """Take the network away, or give it back."""

    def stage(self) -> Stage | None:
        """The last readiness stage reached since the last restart; nothing before the new boot is proved."""

    def wait_for(self, stage: Stage, limit_us: int) -> None:
        """Let time pass until a readiness stage is reached.

        Raises:
            StageNotReached: it was not reached in time; the message says what was seen last.
        """

    def wait(self, us: int) -> None:
        """Let so much time pass."""

    def boot_identity(self) -> BootIdentity:
        """Read every witness of the running boot; one that cannot be read is ``None``."""

    def inventory(self) -> tuple[str, ...]:
        """List everything a session could leave behind, as sorted names."""

    def screenshot(self) -> bytes:
        """Picture of the console."""

    def logs(self) -> tuple[str, ...]:
        """Lines of the machine's own logs."""

    def observations(self) -> tuple[AnyObservation, ...]:
        """What was seen since the last call, in order."""


def require(machine: Machine, *needed: Capability) -> None:
    """Check that ``machine`` can do what is needed.

    Raises:
        MissingCapability: it cannot; the message names what is missing.
    """
    missing = sorted(set(needed) - machine.capabilities)
    if missing:
        raise MissingCapability(
            f"{machine.name} cannot do: {', '.join(missing)}; it can: {', '.join(sorted(machine.capabilities))}"
        )


def all_capabilities() -> frozenset[Capability]:
    """Return every capability there is."""
    return frozenset(get_args(Capability))
