"""The modelled PC as a :class:`rrsim.machine.interface.Machine`: the handles of a real machine, in virtual time.

It is what the machine contract suite holds real machines against (``tests/contract``). Scenario runs do not go through
it: the world drives the same PC and network parts directly.
"""

from __future__ import annotations

from typing import Any, Final

from rrsim.backends.sim import network, parts, pc
from rrsim.backends.sim.draws import Draws
from rrsim.machine import observations as seen
from rrsim.machine.identity import BootIdentity
from rrsim.machine.interface import Capability, SignInAs
from rrsim.machine.stages import Progress, Stage, StageNotReached, not_reached, progress_of
from rrsim.protocol.messages import AgentMode
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import PcSetup

CAPABILITIES: Final[frozenset[Capability]] = frozenset({
    "restart", "power off", "reset", "power cut", "log on", "log off", "other user", "windows dialog",
    "installer dialog", "press", "pull the cable", "boot identity", "host reset reason", "inventory", "logs",
})  # fmt: skip
"""What can be done here; a picture of the screen does not exist in a model."""

_DIALOGS: Final[dict[str, act.Action]] = {
    "windows restart dialog": act.WindowsAsksRestart(),
    "installer restart dialog": act.InstallerRuns(),
}


class SimMachine:
    """One modelled PC with its network. Time passes only in :meth:`wait_for` and :meth:`wait`."""

    name: Final = "simulated PC"
    capabilities: Final = CAPABILITIES
    resolution_us: Final = 1

    def __init__(self, setup: PcSetup | None = None, mode: AgentMode = "service", seed: int = 1) -> None:
        """Make a PC that is not provisioned yet."""
        self._setup = setup or PcSetup()
        self._mode: AgentMode = mode
        self._seed = seed
        self.provision()

    # --- the machine's life -------------------------------------------------------------------------------------

    def provision(self) -> None:
        """Bring the machine into its clean first state: signed in, the agent's service running."""
        self._now_us = 0
        self._due: dict[tuple[str, str], int] = {}
        """When each running timer of PC and network fires."""
        self._draws = Draws(self._seed)
        self._pc: Any = pc.initial(self._setup, self._mode, "windows", "machine-1")
        self._net: Any = network.initial(self._setup)
        self._seen: list[seen.AnyObservation] = []
        self._told = 0
        self._boot_us = 0
        self._resets = 0
        self._reset_reason = ""
        self._services = 0
        self._reached: set[Stage] = set()
        self._give("pc", parts.StartSupport("session-1"))

    def start(self) -> None:
        """Switch it on; electricity that was cut comes back with it."""
        self._reset_reason = "power on"
        mains = self._pc.power.mains
        self._give("pc", act.CustomerPowersOn() if mains else act.PowerReturns())

    def reset(self) -> None:
        """Reset it from outside; nothing is flushed."""
        self._give("pc", act.PowerCut())
        self._give("pc", act.PowerReturns())
        self._reset_reason = "host reset"

    def power_off(self, *, clean: bool) -> None:
        """Switch it off: by Windows, or by taking the electricity away."""
        self._give("pc", act.CustomerShutsDown() if clean else act.PowerCut())

    # --- people and network -------------------------------------------------------------------------------------

    def log_on(self, who: SignInAs) -> None:
        """Sign somebody in at the welcome screen."""
        self._give("pc", parts.SignIn(who))

    def log_off(self) -> None:
        """Sign the user out."""
        self._give("pc", act.CustomerLogsOff())

    def show_dialog(self, window: seen.Window) -> None:
        """Have Windows or an installer show its restart dialog."""
        self._give("pc", _DIALOGS[window])

    def press(self, window: seen.Window, button: str) -> None:
        """Press a button on the customer's desktop."""
        self._give("pc", parts.Press("customer", window, button))

    def windows(self) -> tuple[seen.Window, ...]:
        """List the windows on the customer's desktop."""
        return tuple(w.window for w in self._pc.screen.windows)

    def dial(self) -> None:
        """Dial the internet provider."""
        self._give("net", parts.DialNow())

    def hang_up(self) -> None:
        """Close the dial-up connection."""
        self._give("net", parts.LineDown())

    def pull_cable(self, *, out: bool) -> None:
        """Take the network away, or give it back."""
        self._give("net", act.CablePulled() if out else act.CablePlugged())

    # --- witnesses ----------------------------------------------------------------------------------------------

    def stage(self) -> Stage | None:
        """The last readiness stage reached since the last restart; nothing before the new boot is proved."""
        reached = self._progress().reached
        return reached[-1] if reached else None

    def boot_identity(self) -> BootIdentity:
        """Read every witness of the running boot: inside while Windows runs, the agent's while its process does."""
        inside = pc.runs(self._pc)
        agent = inside and self._pc.process.running
        return BootIdentity(
            mark=self._pc.boot if inside else None,
            boot_time_us=self._boot_us if inside else None,
            host_resets=self._resets,
            host_reason=self._reset_reason,
            agent_boots=self._services if agent else None,
        )

    def inventory(self) -> tuple[str, ...]:
        """List everything a session could leave behind, as sorted names."""
        return pc.items(self._pc)

    def screenshot(self) -> bytes:
        """There is none: a model has no picture. Empty, and no capability."""
        return b""

    def logs(self) -> tuple[str, ...]:
        """What was seen of the machine, a line each."""
        return tuple(repr(what) for what in self._seen)

    def observations(self) -> tuple[seen.AnyObservation, ...]:
        """What was seen since the last call, in order."""
        new, self._told = self._seen[self._told :], len(self._seen)
        return tuple(new)

    # --- time ---------------------------------------------------------------------------------------------------

    def wait_for(self, stage: Stage, limit_us: int) -> None:
        """Let time pass until a readiness stage is reached.

        Raises:
            StageNotReached: it was not reached in time; the message says what was seen last.
        """
        end_us = self._now_us + limit_us
        while stage not in self._progress().reached:
            if not self._next_event(end_us):
                raise self._late(limit_us)

    def wait(self, us: int) -> None:
        """Let time pass."""
        end_us = self._now_us + us
        while self._next_event(end_us):
            pass
        self._now_us = end_us

    def _next_event(self, end_us: int) -> bool:
        """Let the next timer fire, if one is due by then."""
        if not self._due:
            return False
        # Timers due at one instant fire in the order of their names: any order will do, if it is always the same.
        (part, name), due_us = min(self._due.items(), key=lambda item: (item[1], item[0]))
        if due_us > end_us:
            return False
        self._now_us = due_us
        del self._due[part, name]
        self._give(part, TimerFired(name))
        return True

    def _late(self, limit_us: int) -> StageNotReached:
        last = repr(self._seen[-1]) if self._seen else "nothing"
        progress = self._progress()
        return not_reached(Progress(progress.reached, last), limit_us)

    def _progress(self) -> Progress:
        return progress_of(self._reached)

    # --- inside -------------------------------------------------------------------------------------------------

    def _give(self, part: str, what: Any) -> None:
        effects: tuple[Any, ...]
        if part == "pc":
            self._pc, effects = pc.step(self._pc, what)
        else:
            self._net, effects = network.step(self._net, what)
        for effect in effects:
            self._carry_out(part, effect)

    def _carry_out(self, part: str, effect: Any) -> None:
        if isinstance(effect, parts.After):
            us = effect.us if effect.us >= 0 else self._draws.draw(effect.draw)
            self._due[part, effect.name] = self._now_us + us
        elif isinstance(effect, parts.Forget):
            self._due.pop((part, effect.name), None)
        elif isinstance(effect, parts.Saw):
            self._saw(effect.what)

    def _saw(self, what: seen.AnyObservation) -> None:
        self._seen.append(what)
        if isinstance(what, seen.WentDown):
            self._reached.clear()
            self._resets += 1
            self._reset_reason = "guest reset" if what.clean else "host reset"
        elif isinstance(what, seen.BootBegan):
            self._boot_us = self._now_us
            self._reached.add("new boot")
        elif isinstance(what, seen.LinkChanged) and what.up:
            self._reached.add("transport answers")
        elif isinstance(what, seen.PhaseBegan) and what.phase in ("welcome", "desktop"):
            self._reached |= {"servicing finished", "logon reached"}
        elif isinstance(what, seen.AgentStarted):
            self._services += 1
            self._reached.add("agent up")
        if isinstance(what, parts.NET_HEARS):
            self._give("net", what)
