"""The power supervisor of one machine: boots it, hears what Windows does, and starts it again after a restart.

What a boot and its end really are is for a subclass: a kernel process here, a virtual machine elsewhere.

Its own restart is no evidence that one was *requested*: the request is heard separately, at the hooked shutdown API,
and a machine that goes down without one and without a power cut is a fault of the harness (:class:`MachineFailed`).
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Final, Literal

from rrsim.backends.live.wine.line import Fields, Line, LineLost
from rrsim.machine import observations as seen
from rrsim.machine.identity import BootIdentity
from rrsim.machine.observations import AnyObservation, RestartCause

BOOT_LIMIT_S: Final = 60
ASK_LIMIT_S: Final = 20
INSTALL_LIMIT_S: Final = 30
TO_1970_US: Final = 11_644_473_600_000_000
"""From Windows' epoch, 1601, to 1970, in microseconds."""
OWN_PROGRAMS: Final[dict[str, RestartCause]] = {
    "restart-dialog.exe": "windows dialog", "start-menu.exe": "start menu", "installer.exe": "installer",
}


class MachineFailed(Exception):
    """The harness lost the machine: it went down unasked, or did not come up."""


class NotPossible(Exception):
    """The machine is not in a state in which this can be done; nothing was changed."""


HowItEnds = Literal["restart", "off", "cut", "reset"]
"""``restart`` and ``off``: Windows has ended its session in order; ``cut`` and ``reset``: nobody is asked."""


class Power(ABC):
    """One machine's power, boots and sign-in. ``observe`` hears everything in order and must not block."""

    patience: float = 1.0
    """Limits of waiting are this many times what a machine on a quiet computer needs."""
    tolerance_us: int = 50_000
    """How far two readings of one boot time may lie apart."""

    def __init__(self, observe: Callable[[AnyObservation], None]) -> None:
        """Hold a machine that is off."""
        self._observe = observe
        self.agent_exe_names: frozenset[str] = frozenset()
        self.causes: dict[str, RestartCause] = {}
        """Further programs by file name and what a restart by them is called."""
        self.phase: seen.Phase = "off"
        self.safe_mode = False
        self.signed_in = False
        self.failed: MachineFailed | None = None
        self.on_failed: Callable[[MachineFailed], None] = lambda _: None
        self.resets, self.reason = 0, ""
        self.used: set[str] = set()
        self.on_signed_in: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.before_down: Callable[[], Coroutine[None, None, None]] = _nothing
        """Awaited while the kernel still runs, whatever ends it: the last chance to look at what is on the disk."""
        self.on_fields: Callable[[Fields], None] = lambda _: None
        self.boot = ""
        self.pending_work = False
        """Whether an installer's file operations wait for the next boot."""
        self._before: seen.Phase = "off"
        self._line: Line | None = None
        self._work: asyncio.Task[None] | None = None
        self._awaited: dict[str, asyncio.Future[Fields]] = {}
        self._cause: RestartCause = "power"
        self._button: RestartCause = "power button"
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._ended: list[Line] = []
        self._cutting = False

    # --- what a boot is here ---

    @abstractmethod
    async def _begin_boot(self) -> tuple[str, bool]:
        """Have a boot begin, or wait for one that begins by itself; return its mark and whether it is a safe one."""

    @abstractmethod
    async def _open_helper(self) -> Line:
        """Return the line to the sign-in helper of this boot."""

    @abstractmethod
    async def _end_boot(self, how: HowItEnds) -> None:
        """End the boot, and return when nothing of it runs any more."""

    # --- what others ask ---

    @property
    def line(self) -> Line:
        """The line to the sign-in helper.

        Raises:
            NotPossible: the machine is not up.
            MachineFailed: the harness lost it.
        """
        if self.failed is not None:
            raise self.failed
        if self._line is None:
            raise NotPossible(f"the machine is not up (phase {self.phase}); switch it on and wait for the welcome")
        return self._line

    async def ask(self, verb: str, *words: str, limit_s: float = ASK_LIMIT_S) -> Fields:
        """Ask the sign-in helper."""
        return await self.line.ask(verb, *words, limit_s=limit_s * self.patience)

    async def wait_phase(self, *phases: seen.Phase, limit_s: float = BOOT_LIMIT_S, not_boot: str = "") -> None:
        """Wait until the machine is in one of the phases, in another boot than ``not_boot`` if that is given.

        A restart may be over before anybody can look: to wait for one, name the boot it began in.

        Raises:
            MachineFailed: it did not in time, or the machine was lost.
        """
        def arrived() -> bool:
            return self.phase in phases and (not not_boot or self.boot != not_boot)

        def about() -> str:
            last = self._line.last if self._line else "no helper"
            return f"for {' or '.join(phases)}; the phase is {self.phase!r}, last heard: {last}; look at the screenshot"

        await self._wait(arrived, limit_s, about)

    async def wait_pending_work(self, limit_s: float = INSTALL_LIMIT_S) -> None:
        """Wait until an installer's file operations wait for the next boot.

        Raises:
            MachineFailed: none did in time, or the machine was lost.
        """
        await self._wait(lambda: self.pending_work, limit_s, lambda: "for an installer's work; look at the screenshot")

    async def _wait(self, arrived: Callable[[], bool], limit_s: float, about: Callable[[], str]) -> None:
        limit_s *= self.patience
        if self.failed is not None:
            raise self.failed
        if arrived():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((arrived, future))
        try:
            async with asyncio.timeout(limit_s):
                await future
        except TimeoutError:
            raise MachineFailed(f"waited {limit_s:g} s {about()}") from None
        finally:
            self._waiters.remove((arrived, future))

    async def identity(self) -> BootIdentity:
        """Read the witnesses of the running boot; those inside abstain while the machine is not up."""
        host = BootIdentity(host_resets=self.resets, host_reason=self.reason)
        try:
            fields = await self.ask("identity")
        except (LineLost, NotPossible, MachineFailed):
            return host
        return BootIdentity(
            mark=fields["mark"] or None, boot_time_us=fields["boot_time_us"] - TO_1970_US,
            tolerance_us=self.tolerance_us,
            host_resets=self.resets, host_reason=self.reason,
        )

    # --- what is done to the machine ---

    async def on(self, cause: RestartCause | None = None) -> None:
        """Switch it on and wait for the welcome screen.

        Raises:
            NotPossible: it is on.
        """
        if self.phase != "off" or (self._work and not self._work.done()):
            raise NotPossible(f"switch on: the machine is on (phase {self.phase})")
        self.reason = "power on"
        self._work = asyncio.create_task(self._guarded(lambda: self._boot(cause or self._cause)))
        await self.wait_phase("welcome")

    async def begin(self, how: str, *, force: bool = False, cause: RestartCause = "power button") -> None:
        """Have Windows itself restart, switch off or log off: ``restart``, ``off``, ``log off``."""
        self._button = cause
        self.line.say("begin", how, *(["force"] if force else []))

    async def sign_in(self) -> None:
        """Sign the customer in and wait for the desktop.

        Raises:
            NotPossible: nobody waits at the welcome screen.
        """
        if self.phase != "welcome":
            raise NotPossible(f"log on: the welcome screen is not there (phase {self.phase})")
        heard = asyncio.get_running_loop().create_future()
        self._awaited["logged on"] = heard
        self.on_signed_in()
        self.line.say("logon", "0")
        async with asyncio.timeout(ASK_LIMIT_S * self.patience):
            await heard
        await self.wait_phase("desktop", "shutdown asked", "shutting down", "off", "firmware")

    async def cut(self, cause: RestartCause = "power", *, then_on: bool = False, reason: str = "power on") -> None:
        """Take the electricity away, or crash or reset the machine: no program is asked, nothing is told."""
        self._cutting = True  # whatever Windows still says of going down does not count any more
        try:
            work, self._work = self._work, None
            if work is not None:
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
            was_on = self.phase != "off"
            await self._kill("reset" if then_on else "cut")
        finally:
            self._cutting = False
        self._cause = cause
        if was_on:
            self._observe(seen.WentDown(cause, clean=False))
        if then_on:
            self.reason = reason
            self._work = asyncio.create_task(self._guarded(lambda: self._boot(cause)))
        elif was_on:
            self._enter("off")

    async def close(self) -> None:
        """End everything, quietly."""
        self._observe = lambda _: None
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
        await self._kill("cut")
        self.phase = "off"

    # --- the life of a boot ---

    async def _guarded(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Turn an error of a boot that nobody awaits into the machine's failure."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 (whatever it was, whoever waits for the machine has to hear of it)
            why = str(error) or "it did not come up in time"
            lost = MachineFailed(f"the machine was lost in phase {self.phase!r}: {type(error).__name__}: {why}")
            lost.__cause__ = error
            self._fail(error if isinstance(error, MachineFailed) else lost)

    def _fail(self, error: MachineFailed) -> None:
        if self.failed is not None:
            return
        self.failed = error
        self.on_failed(error)
        for waiting in self._awaited.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._awaited.clear()
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(error)

    def _enter(self, phase: seen.Phase) -> None:
        """Begin a phase and tell those who wait for it."""
        self.phase = phase
        self._observe(seen.PhaseBegan(phase))
        self._wake()

    def _wake(self) -> None:
        for arrived, future in self._waiters:
            if arrived() and not future.done():
                future.set_result(None)

    async def _boot(self, cause: RestartCause) -> None:
        loop = asyncio.get_running_loop()
        self._enter("firmware")
        self.boot, self.safe_mode = await self._begin_boot()
        if self.safe_mode:
            self.used.update({"safe boot", "boot options"})
        self.resets += 1
        self._enter("loading")
        self._observe(seen.BootBegan(boot=self.boot, safe_mode=self.safe_mode, cause=cause))
        up, pending, welcome = loop.create_future(), loop.create_future(), loop.create_future()
        self._awaited.update({"up": up, "pending work": pending, "welcome": welcome})
        line = self._line = await self._open_helper()
        async with asyncio.timeout(BOOT_LIMIT_S * self.patience):
            await up
            line.say("mark", self.boot)
            await pending
            self._enter("services")
            fields = await welcome
        if fields["safe_mode"] != self.safe_mode:
            raise MachineFailed(
                f"expected safe mode {self.safe_mode}, the boot says {fields['safe_mode']}; the stand-in wineboot.exe "
                "did not run: is the prefix prepared by this version?"
            )
        self.used.update({"sign-in", "shutdown API"})
        self._enter("welcome")

    async def _cycle(self, cause: RestartCause, *, again: bool) -> None:
        """Windows is down: end the kernel, and start the next one if it was a restart."""
        await self._kill("restart" if again else "off")
        self._cause = cause
        self._observe(seen.WentDown(cause, clean=True))
        if again:
            self.reason = "guest reset"
            await self._boot(cause)
        else:
            self._enter("off")

    async def _kill(self, how: HowItEnds) -> None:
        await self.before_down()
        if self._line is not None:
            self._ended.append(self._line)
            self._line = None
        self.signed_in = False
        self.on_down()
        await self._end_boot(how)
        while self._ended:
            await self._ended[-1].close()
            self._ended.pop()

    # --- what Windows says ---

    def _cause_of(self, fields: Fields) -> RestartCause:
        if fields["api"] == "power button":
            return self._button
        name = by(fields).casefold()
        if name in {one.casefold() for one in self.agent_exe_names}:
            return "agent"
        return self.causes.get(name) or OWN_PROGRAMS.get(name) or "other program"

    def _hear(self, fields: Fields) -> None:
        self.on_fields(fields)
        event = str(fields.get("event"))
        waiting = self._awaited.pop(event, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(fields)
        heard = getattr(self, "_heard_" + event.replace(" ", "_"), None)
        if heard is not None:
            heard(fields)

    def _heard_line_lost(self, _: Fields) -> None:
        if self._line is not None:  # otherwise it was ended on purpose
            self._gone_unasked()

    def _last_words(self) -> str:
        """Return what is known of the end of a machine that nobody ended."""
        return ""

    def _gone_unasked(self) -> None:
        self._fail(MachineFailed(
            f"the machine went down and nobody asked for it (phase {self.phase}): a fault of the harness; look at the "
            f"prefix's processes, and run again with RRSIM_WINEDEBUG=err+all{self._last_words()}"
        ))

    def _heard_logged_on(self, _: Fields) -> None:
        self.signed_in = True
        self._observe(seen.LoggedOn(user="customer", desktop="visible", right=True))

    def _heard_phase(self, fields: Fields) -> None:
        if self.phase in ("welcome", "shell", "desktop"):
            self._enter(fields["phase"])

    def _heard_accepted(self, fields: Fields) -> None:
        self.used.add("exit windows" if fields["api"] == "ExitWindowsEx" else "shutdown API")
        if by(fields).casefold() == "shutdown.exe":
            self.used.add("shutdown.exe")
        if fields["restart"]:
            self._observe(seen.RestartBegan(self._cause_of(fields), by(fields), fields["force"]))

    def _heard_shutdown_asked(self, fields: Fields) -> None:
        self._before = self.phase
        if not fields["log_off"]:
            self._enter("shutdown asked")

    def _heard_blocked(self, fields: Fields) -> None:
        self.used.add("block screen")
        self._observe(seen.RestartBlocked(fields["app"]))

    def _heard_stopped(self, fields: Fields) -> None:
        self.phase = self._before
        self._observe(seen.RestartStopped(str(fields["by"])))
        self._wake()

    def _heard_aborted(self, fields: Fields) -> None:
        self._observe(seen.RestartStopped("agent" if self._cause_of(fields) == "agent" else by(fields)))

    def _heard_session_ends(self, fields: Fields) -> None:
        if not fields["log_off"]:
            self._observe(seen.SessionEnds(self._cause_of(fields)))

    def _heard_pending_work(self, fields: Fields) -> None:
        if fields["pending"] != self.pending_work:
            self.pending_work = fields["pending"]
            self._observe(seen.PendingWork(self.pending_work))
            self._wake()

    def _heard_service_told(self, _: Fields) -> None:
        self.used.add("service controls")

    def _heard_registry_flushed(self, fields: Fields) -> None:
        self.used.add("registry flush")
        if fields["error"] and not self._cutting:
            self._fail(MachineFailed(
                f"expected the stand-in for RegFlushKey to write the {fields['hive']} hive, it saw Windows error "
                f"{fields['error']}; is the disk full?"
            ))  # fmt: skip

    def _heard_shutting_down(self, _: Fields) -> None:
        self._enter("shutting down")

    def _heard_logged_off(self, _: Fields) -> None:
        self.signed_in = False
        self._enter("welcome")

    def _heard_down(self, fields: Fields) -> None:
        if self._cutting:
            return
        cause = self._cause_of(fields)
        self._work = asyncio.create_task(self._guarded(lambda: self._cycle(cause, again=fields["restart"])))


async def _nothing() -> None:
    """Nobody wants a last look."""


def by(fields: Fields) -> str:
    """Return the file name of the program that asked."""
    return str(fields.get("exe", "")).rpartition("\\")[2] or str(fields.get("api", ""))
