"""A live machine as a :class:`rrsim.machine.interface.Machine`: synchronous handles, for the machine contract suite.

Live runs do not go through it: they drive the machine and :class:`~rrsim.backends.live.pc.LivePc` on their own event
loop. Here the same two, with a link of their own, run on a loop in a thread, and every handle waits for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from rrsim import people
from rrsim.backends.live.pc import LivePc
from rrsim.backends.live.runner import Bench
from rrsim.live_clock import monotonic_us
from rrsim.machine import observations as seen
from rrsim.machine.adapters import Address
from rrsim.machine.identity import BootIdentity
from rrsim.machine.interface import Capability, SignInAs
from rrsim.machine.stages import Progress, Stage, not_reached, progress_of
from rrsim.people import vocabulary as said
from rrsim.protocol.messages import AgentMode
from rrsim.scenario import actions, linkdraws
from rrsim.scenario.model import PcSetup
from rrsim.scenario.streams import Streams

HANDLE_LIMIT_S: Final = 90.0
"""No handle takes longer than this, times the machine's patience."""
OPEN_LIMIT_S: Final = 900.0
"""What a bench prepares may have to be built."""
WINDOW_LIMIT_US: Final = 15_000_000
"""A dialog that was asked for is there by then, and so is work that an installer leaves."""
INSTALLER: Final = "installer restart dialog"

T = TypeVar("T")


class Opened(msgspec.Struct, frozen=True):
    """A bench, and how to let go of what it holds."""

    bench: Bench
    close: Callable[[], Awaitable[None]] | None = None


class LiveContract:
    """One machine with its link and the agent installed on it. End it with :meth:`close`."""

    def __init__(
        self, name: str, open_bench: Callable[[], Awaitable[Opened]], root: Path, ca_file: str, mode: AgentMode
    ) -> None:
        """Provision a machine.

        Args:
            name: what kind of machine it is.
            open_bench: prepares the bench; called on this machine's own loop, where all it holds will live.
            root: folder for machines.
            ca_file: authority of a server that nobody has to reach.
            mode: how the agent is installed.
        """
        self.name, self._root, self._ca_file = name, root, ca_file
        self._mode: AgentMode = mode
        self._changed = threading.Condition()
        self._seen: list[Any] = []
        self._made = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()
        self._machine: Any = None
        self._opened = self._do(_awaited(open_bench()), OPEN_LIMIT_S)
        self._bench, self._agent = self._opened.bench, self._opened.bench.agent
        self.resolution_us = self._bench.resolution_us
        self.provision()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this machine can do."""
        return self._bench.capabilities

    def _do(self, work: Coroutine[Any, Any, T], limit_s: float = 0.0) -> T:
        """Have something done on the loop and wait for it."""
        limit_s = limit_s or HANDLE_LIMIT_S * self._bench.patience
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(limit_s)

    def _call(self, call: Callable[..., T], *arguments: Any) -> T:
        async def work() -> T:
            return call(*arguments)

        return self._do(work())

    # --- the machine's life -------------------------------------------------------------------------------------------

    def provision(self) -> None:
        """Bring the machine into its clean first state: signed in, the agent installed, in service mode running."""
        self._do(self._end())
        with self._changed:
            self._seen.clear()
            self._told = 0
            self._reached: set[Stage] = set()
        self._do(self._begin())
        with self._changed:
            self._reached.clear()  # stages are counted from the next restart on
        self._resets = self._do(self._machine.boot_identity()).host_resets or 0
        self.observations()

    async def _begin(self) -> None:
        self._made += 1
        streams = Streams(1, {}, 1, {**people.DRAWS, **linkdraws.DRAWS})
        self._link = self._bench.link(PcSetup(), self._bench.scale, streams, self._saw, lambda: ("127.0.0.1", 1))
        self._pc = LivePc(1, None, self._agent, self._mode, self._pc_saw)
        port = await self._link.start()
        self._machine = self._pc.machine = await self._bench.machine(
            f"pc-{self._made}", self._root, self._pc.machine_saw
        )
        self._machine.eyes_saw = self._pc.eyes_saw
        self._machine.agent_exe_names = frozenset(self._agent.executables)
        host = self._bench.server_name or "localhost"
        await self._pc.prepare(Address(host, port, self._ca_file), "en")
        await self._link.attach(self._machine)
        self._watch = asyncio.create_task(self._pc.watch_processes())

    async def _end(self) -> None:
        if self._machine is None:
            return
        machine, self._machine = self._machine, None
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)
        await self._link.close()
        await machine.close()

    def close(self) -> None:
        """End the machine and remove everything of it."""
        self._do(self._end())
        if self._opened.close is not None:
            self._do(_awaited(self._opened.close()))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HANDLE_LIMIT_S)
        self._loop.close()

    def start(self) -> None:
        """Switch it on."""
        self._do(self._machine.power_on())

    def reset(self) -> None:
        """Reset it from outside; nothing is flushed."""
        self._do(self._machine.reset())

    def power_off(self, *, clean: bool) -> None:
        """Switch it off: by Windows, or by taking the electricity away."""
        if not clean:
            self._call(self._link.power_fails)
        self._do(self._machine.power_off() if clean else self._machine.power_cut())

    # --- people and network -------------------------------------------------------------------------------------------

    def log_on(self, who: SignInAs) -> None:
        """Sign somebody in at the welcome screen."""
        self._do(self._person_does(said.SignIn(who)))

    def log_off(self) -> None:
        """Sign the user out."""
        self._do(self._pc.do(actions.CustomerLogsOff()))

    def show_dialog(self, window: seen.Window) -> None:
        """Have Windows or an installer show its restart dialog; returns when it is there."""
        at = len(self._seen)
        self._do(self._pc.do(actions.InstallerRuns() if window == INSTALLER else actions.WindowsAsksRestart()))
        self._await(lambda: seen.WindowShown(window) in self._seen[at:], f"the {window}")
        if window == INSTALLER:
            self._await(lambda: seen.PendingWork(True) in self._seen[at:], "work that waits for a restart")

    def press(self, window: seen.Window, button: str) -> None:
        """Press a button on the customer's desktop with the real pointer."""
        self._do(self._person_does(said.Press("customer", window, button)))

    async def _person_does(self, what: Any) -> None:
        await self._pc.person_does(what)  # they look at the desktop first: in the loop's thread, not the test's

    def windows(self) -> tuple[seen.Window, ...]:
        """List the windows on the customer's desktop that somebody has a name for."""
        async def look() -> tuple[seen.Window, ...]:
            kinds = (self._agent.window(one) or self._machine.window_kind(one) for one in await self._machine.windows())
            return tuple(kind for kind in kinds if kind is not None)

        return self._do(look())

    def dial(self) -> None:
        """Dial the internet provider."""
        self._call(self._link.person_does, said.DialNow())

    def hang_up(self) -> None:
        """Close the dial-up connection."""
        self._call(self._link.person_does, said.LineDown())

    def pull_cable(self, *, out: bool) -> None:
        """Take the network away, or give it back."""
        self._call(self._link.do, actions.CablePulled() if out else actions.CablePlugged())

    # --- witnesses ----------------------------------------------------------------------------------------------------

    def stage(self) -> Stage | None:
        """The last readiness stage reached since the last restart; nothing before the new boot is proved."""
        reached = self._progress().reached
        return reached[-1] if reached else None

    def boot_identity(self) -> BootIdentity:
        """Read every witness of the running boot; resets are counted from provisioning."""
        read: BootIdentity = self._do(self._machine.boot_identity())
        return msgspec.structs.replace(read, host_resets=(read.host_resets or 0) - self._resets)

    def inventory(self) -> tuple[str, ...]:
        """List everything a session could leave behind, as sorted names."""
        return self._do(self._pc.inventory())

    def screenshot(self) -> bytes:
        """Picture of the customer's screen."""
        picture: bytes = self._do(asyncio.to_thread(self._machine.screenshot))
        return picture

    def logs(self) -> tuple[str, ...]:
        """What was seen of the machine and said by its helpers, a line each."""
        return tuple(self._call(self._machine.log).decode().splitlines())

    def observations(self) -> tuple[seen.AnyObservation, ...]:
        """What was seen since the last call, in order."""
        with self._changed:
            new, self._told = self._seen[self._told :], len(self._seen)
            return tuple(new)

    # --- time ---------------------------------------------------------------------------------------------------------

    def wait_for(self, stage: Stage, limit_us: int) -> None:
        """Let time pass until a readiness stage is reached.

        Raises:
            StageNotReached: it was not reached in time; the message says what was seen last.
        """
        if not self._come(lambda: stage in self._progress().reached, limit_us):
            last = repr(self._seen[-1]) if self._seen else "nothing"
            raise not_reached(Progress(self._progress().reached, last), limit_us)

    def wait(self, us: int) -> None:
        """Let time pass: the contract asks for exactly that."""
        self._come(lambda: False, us)

    def _come(self, arrived: Callable[[], bool], limit_us: int) -> bool:
        """Wait until something is so, looking again whenever anything was seen; return whether it came in time."""
        end_us = monotonic_us() + limit_us
        with self._changed:
            while not arrived():
                left_us = end_us - monotonic_us()
                if left_us <= 0:
                    return False
                self._changed.wait(left_us / 1_000_000)
            return True

    def _await(self, arrived: Callable[[], bool], what: str) -> None:
        limit_us = round(WINDOW_LIMIT_US * self._bench.patience)
        if not self._come(arrived, limit_us):
            raise TimeoutError(
                f"expected {what} within {limit_us / 1e6:g} s; last seen: {self._seen[-5:]}; "
                "look at the screenshot and at the machine's log"
            )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _progress(self) -> Progress:
        return progress_of(self._reached)

    def _pc_saw(self, what: Any) -> None:
        self._saw(what)
        self._link.pc_shows(what)

    def _saw(self, what: Any) -> None:
        with self._changed:
            self._seen.append(what)
            if isinstance(what, seen.WentDown):
                self._reached.clear()
            elif isinstance(what, seen.BootBegan):
                self._reached.add("new boot")
            elif isinstance(what, seen.LinkChanged) and what.up:
                self._reached.add("transport answers")
            elif isinstance(what, seen.PhaseBegan) and what.phase in ("welcome", "desktop"):
                self._reached |= {"servicing finished", "logon reached"}
            elif isinstance(what, seen.AgentStarted):
                self._reached.add("agent up")
            self._changed.notify_all()


async def _awaited(work: Awaitable[T]) -> T:
    """Return a coroutine for something that can be awaited."""
    return await work
