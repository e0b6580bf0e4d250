"""One customer's Windows PC on Wine: everything a live run does to it and sees of it, wherever it runs."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from rrsim.backends.live.timers import pause
from rrsim.backends.live.wine import eyes, parts
from rrsim.backends.live.wine.line import Fields, Line, LineLost
from rrsim.backends.live.wine.local import LocalSite
from rrsim.backends.live.wine.power import MachineFailed, NotPossible
from rrsim.backends.live.wine.site import FLAG_FILE, Site
from rrsim.machine.desktop import DesktopWindow
from rrsim.machine.identity import BootIdentity
from rrsim.machine.observations import AnyObservation, Phase, RestartCause

LOOK_LIMIT_S: Final = 10
STILL_US: Final = 100_000
"""How long a control stands still before it is pressed: two looks of the eyes and more."""

OnWindows = Callable[[tuple[DesktopWindow, ...], tuple[DesktopWindow, ...]], None]


class WindowsMachine:
    """One machine, in any place."""

    def __init__(self, name: str, site: Site, observe: Callable[[AnyObservation], None]) -> None:
        """Hold a machine that is off; ``observe`` hears everything in order and must not block."""
        self.name, self.site, self.display = name, site, site.display
        self.on_windows: OnWindows | None = None
        self._power = site.power(observe)
        self._power.on_signed_in = self._open_eyes
        self._power.on_down = self._close_eyes
        self._eyes: Line | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._seen: tuple[DesktopWindow, ...] = ()
        self._looking: list[asyncio.Event] = []
        self._outputs = 0

    @property
    def drive_c(self) -> Path:
        """Drive C: as this computer sees it; on some machines only after ``fetch``, and only logs."""
        return self.site.drive_c

    # --- power ---

    @property
    def agent_exe_names(self) -> frozenset[str]:
        """File names of the agent's programs: a restart asked for by one of them has the cause ``agent``."""
        return self._power.agent_exe_names

    @agent_exe_names.setter
    def agent_exe_names(self, names: frozenset[str]) -> None:
        """Say which they are."""
        self._power.agent_exe_names = frozenset(names)

    @property
    def patience(self) -> float:
        """How many times longer than usual things may take on this machine."""
        return self._power.patience

    @property
    def phase(self) -> Phase:
        """The phase of its life the machine is in."""
        return self._power.phase

    @property
    def safe_mode(self) -> bool:
        """Whether this boot is a safe one."""
        return self._power.safe_mode

    @property
    def signed_in(self) -> bool:
        """Whether the customer is signed in."""
        return self._power.signed_in

    @property
    def boot(self) -> str:
        """The harness's own mark of the running boot, as in ``BootBegan``."""
        return self._power.boot

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """What stood in for a part of Windows in this run so far."""
        return tuple(sorted(parts.STAND_INS[name] for name in self._power.used))

    @property
    def failed(self) -> MachineFailed | None:
        """Why the harness lost this machine; nothing while it is well."""
        return self._power.failed

    def when_failed(self, hear: Callable[[MachineFailed], None]) -> None:
        """Have it told at once when the harness loses this machine."""
        self._power.on_failed = hear

    def on_helper_lines(self, hear: Callable[[Fields], None]) -> None:
        """Have every line of the sign-in helper passed on, for the machine's log."""
        self._power.on_fields = hear

    async def power_on(self) -> None:
        """Switch it on and wait for the welcome screen."""
        await self._power.on()

    async def power_off(self) -> None:
        """Have Windows shut down, and wait until it is off."""
        await self._power.begin("off")
        await self._power.wait_phase("off")

    async def restart(self, cause: RestartCause = "probe", *, force: bool | None = None) -> None:
        """Have Windows restart. The harness's own, the probe, is forced and waited for: the next welcome screen is up.

        Any other is a person's or a program's wish, which an open document may hold up: returns when it has begun.
        """
        before = self.boot
        await self._power.begin("restart", force=cause == "probe" if force is None else force, cause=cause)
        if cause == "probe":
            await self._power.wait_phase("welcome", not_boot=before)

    async def power_cut(self) -> None:
        """Take the electricity away."""
        await self._power.cut()

    async def crash(self) -> None:
        """Stop Windows dead; the machine starts again by itself."""
        await self._power.cut("crash", then_on=True, reason="guest reset")

    async def reset(self) -> None:
        """Press the reset button; the machine starts again by itself."""
        await self._power.cut("power", then_on=True, reason="host reset")

    async def wait_phase(self, *phases: Phase, limit_s: float = 60, not_boot: str = "") -> None:
        """Wait until the machine is in one of the phases.

        A restart takes less than a second: to wait for one, read :attr:`boot` before and give it as ``not_boot``.

        Raises:
            MachineFailed: it did not come in time, or the machine was lost.
        """
        await self._power.wait_phase(*phases, limit_s=limit_s, not_boot=not_boot)

    async def log_on(self, user: str = "customer") -> None:
        """Sign the customer in: autostart runs by Windows' rules, then the desktop is there."""
        if user != "customer":
            raise NotPossible(f"log on as {user!r}: this machine has one user, 'customer'")
        await self._power.sign_in()

    async def log_off(self, *, force: bool = False) -> None:
        """Sign the customer out, and wait for the welcome screen."""
        if not self.signed_in:
            raise NotPossible(f"log off: nobody is signed in (phase {self.phase})")
        await self._power.begin("log off", force=force)
        await self._power.wait_phase("welcome")

    async def boot_identity(self) -> BootIdentity:
        """Read every witness of the running boot."""
        return await self._power.identity()

    def refuse_restarts(self, error: int) -> None:
        """Have Windows answer restart requests with this error (5, 1115, 1190, 1191); 0 takes it back."""
        self._power.line.say("refuse", str(error))

    def unblock(self, word: str) -> None:
        """Answer the block screen for the customer: ``anyway`` or ``cancel``."""
        self._power.line.say("word", word)

    # --- programs ---

    async def run(self, command: list[str], timeout_s: float = 60) -> tuple[int, str]:
        """Run a program as the harness and return its exit code and what it printed.

        Raises:
            NotPossible: Windows could not start it.
            MachineFailed: it did not end in time, and was ended.
        """
        self._outputs += 1
        name = f"rrsim-out-{self._outputs}.txt"
        timeout_s *= self.patience
        fields = await self._power.ask(
            "run", str(int(timeout_s * 1000)), rf"C:\rrsim\{name}", subprocess.list2cmdline(command),
            limit_s=timeout_s + 15,
        )
        printed = (await self.site.take(rf"C:\rrsim\{name}")).decode("utf-8", "replace").replace("\r\n", "\n")
        if fields["error"]:
            raise NotPossible(f"{command[0]}: Windows could not start it, error {fields['error']}; is the path right?")
        if fields["late"]:
            raise MachineFailed(
                f"{command[0]}: expected to end within {timeout_s:g} s, and it did not; it printed: {printed[-500:]!r}"
            )
        return int(fields["code"]), printed

    async def start(self, command: list[str]) -> int:
        """Start a program on the customer's desktop and return its process number; it is not waited for.

        Raises:
            NotPossible: Windows could not start it.
        """
        fields = await self._power.ask("start", subprocess.list2cmdline(command))
        if fields["error"]:
            raise NotPossible(f"{command[0]}: Windows could not start it, error {fields['error']}; is the path right?")
        return int(fields["pid"])

    async def show_restart_dialog(self) -> None:
        """Have Windows show its own restart dialog."""
        await self.start([r"C:\rrsim\restart-dialog.exe"])

    async def run_installer(self, *, silent: bool = False, restarts: bool = True) -> None:
        """Start a real installer: its last page offers a restart, and work waits for the next boot (``PendingWork``).

        ``silent`` shows no window, and the installer restarts by itself, unless ``restarts`` is off.
        """
        words = ["/S", *([] if restarts else ["/NOREBOOT"])] if silent else []
        await self.start([r"C:\rrsim\installer.exe", *words])
        if silent and not restarts:
            await self._power.wait_pending_work()  # it is done as soon as its work waits for the next boot

    async def use_start_menu(self, what: str = "restart", *, force: bool = False) -> None:
        """Choose ``restart``, ``off`` or ``log off`` in the start menu."""
        await self.start([r"C:\rrsim\start-menu.exe", what, *(["force"] if force else [])])

    # --- eyes and hands ---

    def _open_eyes(self) -> None:
        async def open_line() -> None:
            self._eyes = await self.site.open_line("the eyes", "rreyes.exe", self._look)

        self._power.used.add("eyes")
        if self._opening is None:
            self._opening = asyncio.create_task(open_line())

    def _close_eyes(self) -> None:
        line, opening = self._eyes, self._opening
        self._eyes = self._opening = None
        gone, self._seen = self._seen, ()
        for event in self._looking:
            event.set()
        if gone and self.on_windows is not None:
            self.on_windows((), gone)
        if line is not None or opening is not None:
            task = asyncio.create_task(self._shut(line, opening))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _shut(self, line: Line | None, opening: asyncio.Task[None] | None) -> None:
        if opening is not None and not opening.done():
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
        if line is not None:
            await line.close()

    def _look(self, fields: Fields) -> None:
        if fields.get("event") != "changed" or self._opening is None:
            return
        before, self._seen = self._seen, eyes.windows(fields)
        for event in self._looking:
            event.set()
        shown, gone = eyes.changes(before, self._seen)
        if (shown or gone) and self.on_windows is not None:
            self.on_windows(shown, gone)

    async def windows(self) -> tuple[DesktopWindow, ...]:
        """List the windows on the customer's desktop as they are now, the topmost first.

        There are none while nobody is signed in.
        """
        opening = self._opening
        if opening is None:
            return ()
        await opening
        line = self._eyes
        if line is None:
            return ()
        try:
            return eyes.windows(await line.ask("look", limit_s=LOOK_LIMIT_S * self.patience))
        except LineLost:
            if self._eyes is line:
                raise
            return ()

    async def wait_windows(
        self, arrived: Callable[[tuple[DesktopWindow, ...]], bool], *, what: str, limit_s: float = LOOK_LIMIT_S
    ) -> tuple[DesktopWindow, ...]:
        """Wait until the windows are as ``arrived`` says, and return them; controls and texts count.

        Raises:
            MachineFailed: they were not in time; the message says what was expected and what is there.
        """
        limit_s *= self.patience
        changed = asyncio.Event()
        self._looking.append(changed)
        seen: tuple[DesktopWindow, ...] = ()
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    changed.clear()
                    seen = await self.windows()
                    if arrived(seen):
                        return seen
                    await changed.wait()
        except TimeoutError:
            there = "; ".join(f"{one.cls} {one.title!r} of {one.exe}" for one in seen) or "no window"
            raise MachineFailed(f"waited {limit_s:g} s for {what}; there is: {there}; look at the screenshot") from None
        finally:
            self._looking.remove(changed)

    async def click(self, hwnd: int, control: int | str) -> None:
        """Press a control with the real pointer: by id, by label, or ``close`` for the X in the title bar.

        The control has to stand still first, for as long as an eye needs at least: Windows lists a window a moment
        before the screen shows it, and a press in between goes to what lies beneath.

        Raises:
            ControlMissing, ControlCovered: a person could not press it either.
            MachineFailed: it does not stand still.
        """
        limit_s = LOOK_LIMIT_S * self.patience
        place = eyes.target(await self.windows(), hwnd, control)
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    await pause(STILL_US)
                    before, place = place, eyes.target(await self.windows(), hwnd, control)
                    if place == before:
                        break
        except TimeoutError:
            raise MachineFailed(
                f"waited {limit_s:g} s for {control!r} to stand still; it is at {place} now; look at the screenshot"
            ) from None
        await self.site.click(*place)

    async def type_text(self, text: str) -> None:
        """Type on the keyboard."""
        await self.site.type_text(text)

    async def press_key(self, key: str) -> None:
        """Press a key, by its X name."""
        await self.site.press_key(key)

    def screenshot(self) -> bytes:
        """Return a picture of the screen as PNG."""
        return self.site.screenshot()

    # --- residue ---

    async def inventory(self) -> tuple[str, ...]:
        """List everything a session could leave behind, as sorted names."""
        fields = await self._power.ask("registry")
        files = {
            "boot:safeboot=network" if path == FLAG_FILE else f"file:C:/{path}" for path in await self.site.files()
        }
        return tuple(sorted({*fields["names"], *files}))

    # --- the end ---

    async def close(self) -> None:
        """End the machine and remove everything of it."""
        try:
            await self._power.close()
            self._close_eyes()
            for task in list(self._closing):
                await task
        finally:
            await self.site.close()


class WineMachine(WindowsMachine):
    """A machine in a prefix of this computer. Make it with :meth:`create` and end it with :meth:`close`."""

    @classmethod
    async def create(
        cls, name: str, root: Path, observe: Callable[[AnyObservation], None], screen: tuple[int, int] = (1024, 768),
    ) -> Self:
        """Make a machine in its clean first state, switched off, in ``root/name``.

        Raises:
            WineMissing: a program of the host is missing or failed.
            NotPossible: a machine of that name is in use.
        """
        return cls(name, await LocalSite.create(name, root, screen), observe)
