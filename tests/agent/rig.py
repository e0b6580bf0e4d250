"""A tiny operating system and a tiny server for the agent core: no time, no network, every step by hand.

The rig carries out effects in list order and can stop the process after any number of them, as a power cut would.
"""

from __future__ import annotations

import msgspec

from rrsim.agent import core, host
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired

SETTINGS = msg.AgentSettings()
PHONE = msg.AgentSettings(phone_mode=True)


class Killed(Exception):
    """The process died after the planned number of effects."""


class Pc:
    """One PC and, while it runs, one agent process on it."""

    def __init__(self, mode: msg.AgentMode = "service", platform: msg.Platform = "windows") -> None:
        self.mode, self.platform = mode, platform
        self.boots = 1
        self.safe_mode = False
        self.record: host.Saved | None = None
        self.corrupt = False
        self.autostart = self.key = self.key_owners = self.flag = self.owner_flag = False
        self.restarting = False
        self.fail: dict[type, str] = {}
        """Requests that fail, and why."""
        self.read: dict[type, str] = {}
        """What a reading request reads instead of the truth."""
        self.hold: tuple[type, ...] = ()
        """Requests that get no answer."""
        self.state = core.initial()
        self.alive = False
        self.effects: list[host.Effect] = []
        """Everything the agent did since the last :meth:`clear`."""
        self.pending: list[host.Request] = []
        self.timers: dict[str, int] = {}
        self.done = 0
        self.kill_after = -1

    # --- life of the process --------------------------------------------------------------------------------------

    @property
    def boot(self) -> str:
        """The boot mark of the running Windows."""
        return f"boot-{self.boots}"

    def start(self, desktop: msg.Desktop = "visible", user: str = "ann", machine: str = "machine-1") -> None:
        """Start a process, as Windows or the customer does."""
        self.state, self.alive = core.initial(), True
        self.timers, self.pending, self.effects = {}, [], []
        self.give(host.Started(
            facts=host.BootFacts(
                boot=self.boot, machine=machine, platform=self.platform, mode=self.mode, safe_mode=self.safe_mode,
                elevated=self.mode == "service", user=user, desktop=desktop,
            ),
            saved=None if self.corrupt else self.record, corrupt=self.corrupt,
        ))  # fmt: skip

    def die(self) -> None:
        """The process is gone."""
        self.alive = False

    def reboot(self) -> None:
        """A new boot of Windows, in the mode the boot flag says."""
        self.die()
        self.boots += 1
        self.safe_mode = self.flag or self.owner_flag
        self.restarting = False

    # --- inputs and effects ---------------------------------------------------------------------------------------

    def give(self, event: host.Input) -> list[host.Effect]:
        """Deliver an input, carry out its effects, answer its requests; return the effects of all of it."""
        before = len(self.effects)
        self._take(event)
        while self.pending and self.alive:
            request = self.pending.pop(0)
            if not isinstance(request.what, self.hold):
                self._take(self._answer(request))
        return self.effects[before:]

    def say(self, message: msg.ServerMessage) -> list[host.Effect]:
        """The server sends a message."""
        return self.give(host.Received(message))

    def fire(self, name: str) -> list[host.Effect]:
        """Let a timer fire that is running."""
        del self.timers[name]
        return self.give(TimerFired(name))

    def clear(self) -> None:
        """Forget what the agent did so far."""
        self.effects = []

    def _take(self, event: host.Input) -> None:
        self.state, effects = core.step(self.state, event)
        for effect in effects:
            if self.done == self.kill_after:
                self.die()
                raise Killed
            self.done += 1
            self._carry_out(effect)

    def _carry_out(self, effect: host.Effect) -> None:
        self.effects.append(effect)
        if isinstance(effect, SetTimer):
            self.timers[effect.name] = effect.after_us
        elif isinstance(effect, CancelTimer):
            self.timers.pop(effect.name, None)
        elif isinstance(effect, host.Exit):
            self.die()
        elif isinstance(effect, host.Request):
            self._change(effect)
            self.pending.append(effect)

    def _change(self, request: host.Request) -> None:
        what = request.what
        if type(what) in self.fail:
            return
        if isinstance(what, host.Save):
            self.record, self.corrupt = what.record, False
        elif isinstance(what, host.Erase):
            self.record, self.corrupt = None, False
        elif isinstance(what, host.ArmAutostart | host.DisarmAutostart):
            self.autostart = isinstance(what, host.ArmAutostart) and self.mode == "application"
        elif isinstance(what, host.RegisterSafeBoot | host.UnregisterSafeBoot):
            self.key = isinstance(what, host.RegisterSafeBoot)
            self.key_owners = isinstance(what, host.RegisterSafeBoot) and not what.own_flag
        elif isinstance(what, host.SetBootFlag | host.ClearBootFlag):
            self.flag = isinstance(what, host.SetBootFlag)
        elif isinstance(what, host.RequestRestart | host.AbortRestart):
            self.restarting = isinstance(what, host.RequestRestart)

    def _answer(self, request: host.Request) -> host.Completed | host.Failed:
        what = request.what
        if type(what) in self.fail:
            return host.Failed(request.op, self.fail[type(what)])
        truth = ""
        if isinstance(what, host.ReadSafeBootKey):
            truth = (host.KEY_OWNERS if self.key_owners else host.KEY_PRESENT) if self.key else "absent"
        elif isinstance(what, host.ReadBootFlag):
            truth = "network" if self.flag else "absent"
        return host.Completed(request.op, self.read.get(type(what), truth))

    # --- common ways ----------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """The connection comes up and both sides say hello."""
        self.give(host.Connected())
        self.say(msg.Welcome(1))

    def join(self, settings: msg.AgentSettings = SETTINGS) -> Pc:
        """Start fresh and join a session."""
        self.start()
        if self.mode == "service":
            self.give(host.HelperReady("visible", "ann"))
        self.give(host.CustomerStarts("session-1"))
        self.greet()
        self.say(msg.Joined("session-1", "key-1", settings))
        return self

    def order(self, boot_mode: msg.BootMode = "normal", number: int = 1) -> list[host.Effect]:
        """The server orders a restart."""
        return self.say(msg.Order(number, boot_mode, False, f"ticket-{number}"))

    def resume(self, settings: msg.AgentSettings = SETTINGS, desktop: msg.Desktop = "visible") -> Pc:
        """A process of a new boot resumes."""
        self.start(desktop=desktop)
        self.greet()
        self.say(msg.Resumed("session-1", "key-2", settings, 0, 0))
        return self

    def residue(self) -> tuple[str, ...]:
        """What of ours is on the PC."""
        found = {"record": self.record is not None or self.corrupt, "autostart": self.autostart, "key": self.key,
                 "flag": self.flag}
        return tuple(name for name, there in found.items() if there)


def sent(effects: list[host.Effect]) -> list[msg.AgentMessage]:
    """Return the messages among effects."""
    return [e.message for e in effects if isinstance(e, host.Send)]


def ordered(mode: msg.AgentMode = "application", boot_mode: msg.BootMode = "normal",
            settings: msg.AgentSettings = SETTINGS) -> Pc:
    """Return a PC that has restarted for an order."""
    pc = Pc(mode).join(settings)
    pc.order(boot_mode)
    pc.give(host.QueryEndSession("shutdown"))
    pc.give(host.SessionEnding())
    pc.reboot()
    return pc


def asked(effects: list[host.Effect]) -> list[str]:
    """Return the names of the requests to Windows among effects."""
    return [type(e.what).__name__ for e in effects if isinstance(e, host.Request)]


def of(effects: list[host.Effect], kind: type) -> list[msgspec.Struct]:
    """Return the effects of one kind."""
    return [e for e in effects if isinstance(e, kind)]
