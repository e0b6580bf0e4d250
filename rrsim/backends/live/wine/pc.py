"""The Wine machine with everything that a live run and an agent's adapter ask of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from rrsim.backends.live.timers import pause
from rrsim.backends.live.wine import eyes
from rrsim.backends.live.wine.line import Fields, Line, LineLost
from rrsim.backends.live.wine.local import LocalSite, complaints
from rrsim.backends.live.wine.machine import WindowsMachine
from rrsim.backends.live.wine.power import NotPossible, by
from rrsim.backends.live.wine.site import Site
from rrsim.backends.live.wine.watched import Watched
from rrsim.machine import observations as seen
from rrsim.machine.adapters import Watch
from rrsim.machine.desktop import DesktopWindow
from rrsim.machine.interface import Capability

LOOK_AGAIN_US: Final = 40_000
LOOK_AT_WATCHES_LIMIT_S: Final = 3.0
REACH_LIMIT_S: Final = 60.0
START_LIMIT_S: Final = 30.0
"""A program of the harness shows its window in a second; with six machines on two cores it took more than ten."""
MOST_LOG_LINES: Final = 5_000
RESOLUTION_US: Final = 1_500_000
"""What this machine can tell apart at a deadline: clicks, process starts and the host's load lie below it."""
RESTART_US: Final = 3_000_000
"""How long a restart takes at most, with the agent back, on a busy host of two cores."""

CAPABILITIES: Final[frozenset[Capability]] = frozenset({
    "restart", "power off", "reset", "power cut", "safe mode", "log on", "log off", "windows dialog",
    "installer dialog", "press", "dial", "pull the cable", "screenshot", "logs", "boot identity", "host reset reason",
    "inventory", "blocked shutdown", "block screen that gives up", "missing privilege", "process kill", "link faults",
    "several customers", "server restart", "captive portal", "vpn", "wifi", "mac customer", "silent installer",
    "boot options",
})  # fmt: skip

FLAG_EVERY_US: Final = 20_000
"""How often the machine's boot options are looked at: they are a file on the host, and nobody inside need be asked."""

_DIALOGS: Final[dict[str, seen.Window]] = {
    "restart-dialog.exe": "windows restart dialog", "installer.exe": "installer restart dialog",
    "rrwinlogon.exe": "block screen",
}
"""Programs of the harness whose windows scenarios know by name."""
_INSTALLED: Final = "file:C:/Program Files/Example Printer Driver/"
_IN_SAFE_MODE: Final = "registry:HKLM/SYSTEM/CurrentControlSet/Control/Session Manager/Environment/SAFEBOOT_OPTION"
"""What Windows writes down for itself in safe mode."""
_BLOCKER: Final = r"C:\rrsim\block-shutdown.exe"


class WindowsPc(WindowsMachine):
    """One customer's PC, in any place."""

    unobserved: tuple[str, ...] = ()

    def __init__(self, name: str, site: Site, observe: Callable[[Any], None]) -> None:
        """Hold a machine that is off."""
        self._outer = observe
        self.eyes_saw: Callable[[tuple[DesktopWindow, ...]], None] = lambda _: None
        self._watched = Watched(())
        self._watcher: Line | None = None
        self._opening_watcher: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=MOST_LOG_LINES)
        self._told_display = False
        self._flag = False
        self._flag_task: asyncio.Task[None] | None = None
        self.closed_by_program: set[int] = set()
        """Windows that their own program closed while Windows went down, as the shutdown's witness saw it."""
        super().__init__(name, site, self._saw)
        self.on_windows = lambda _shown, _gone: self.eyes_saw(self._seen)
        self.on_helper_lines(self._helper_said)
        self._power.before_down = self._look_at_watches

    # --- what is seen -----------------------------------------------------------------------------------------------

    def _saw(self, event: Any) -> None:
        self._lines.append(repr(event))
        self._outer(event)
        if isinstance(event, seen.PhaseBegan) and event.phase == "services" and self._watched.lines():
            self._open_watcher()
        elif isinstance(event, seen.BootBegan):
            self._flag_task = asyncio.create_task(self._watch_boot_flag())
        elif isinstance(event, seen.WentDown):
            self._look_at_boot_flag()
            self._end_flag_task()
            self._close_watcher()

    def _helper_said(self, fields: Fields) -> None:
        self._lines.append(repr(fields))
        by_agent = by(fields).casefold() in {name.casefold() for name in self.agent_exe_names}
        if fields.get("event") == "closed itself":
            self.closed_by_program.add(int(fields["hwnd"]))
        elif not by_agent:
            return  # what dialogs, installers and the harness ask for is no call of the agent's
        elif fields.get("event") == "accepted" and fields.get("restart"):
            self._outer(seen.HostCall("restart requested", ok=True))
        elif fields.get("event") == "refused":
            self._outer(seen.HostCall("restart requested", ok=False, detail=f"error {fields.get('error')}"))
        elif fields.get("event") == "aborted":
            self._outer(seen.HostCall("restart aborted", ok=True))

    def _look(self, fields: Fields) -> None:
        before = self._seen
        super()._look(fields)
        if self._seen != before:
            self.eyes_saw(self._seen)

    # --- witnesses of calls to the operating system -------------------------------------------------------------------

    async def watch(self, watches: tuple[Watch, ...]) -> None:
        """Have the machine tell when what is watched appears, changes or goes, in this boot and every later one."""
        self._watched = Watched(watches)
        self._open_watcher()
        if self._opening_watcher is not None:
            await self._opening_watcher

    async def _watch_boot_flag(self) -> None:
        while True:
            self._look_at_boot_flag()
            await pause(FLAG_EVERY_US)

    def _look_at_boot_flag(self) -> None:
        """The boot options are the machine's own, whoever changes them."""
        there = self.site.flag()
        if there != self._flag:
            self._flag = there
            self._power.used.add("boot options")
            self._outer(seen.HostCall("boot flag set" if there else "boot flag cleared", ok=True))

    async def look_before(self, moment_us: int) -> None:
        """Tell what changed before the moment of another witness, which is about to be written down.

        A look every so often is late on a busy host. When the boot flag changed, the disk knows (``moment_us`` is as
        ``monotonic_us``); of the other things it says no more than that they are so at a look that begins now.
        """
        if await self.site.look_at_flag() <= moment_us:
            self._look_at_boot_flag()
        await self._look_at_watches()

    async def owner_sets_boot_flag(self) -> None:
        """Have Windows start in safe mode with networking from the next boot on; it is not told as the agent's doing.

        Raises:
            NotPossible: ``bcdedit`` refuses.
        """
        self._end_flag_task()
        code, printed = await self.run(["bcdedit.exe", "/set", "{current}", "safeboot", "network"])
        if code:
            raise NotPossible(f"expected bcdedit to set the boot flag; it printed: {printed.strip()}")
        await self.site.look_at_flag()
        self._flag = True
        self._power.used.add("boot options")
        self._flag_task = asyncio.create_task(self._watch_boot_flag())

    def _end_flag_task(self) -> None:
        if self._flag_task is not None:
            self._flag_task.cancel()
            self._flag_task = None

    def _open_watcher(self) -> None:
        if self._opening_watcher is not None:
            return

        async def open_line() -> None:
            line = await self.site.open_line("the watcher", "rrwatch.exe", self._heard_watcher)
            self._watcher = line
            for words in self._watched.lines():
                line.say(*words)

        self._power.used.add("watcher")
        self._opening_watcher = asyncio.create_task(open_line())

    async def _look_at_watches(self) -> None:
        """Have the watcher look now, and hear all it sees: arming and going down take a few milliseconds together."""
        if self._watcher is not None:
            try:
                await self._watcher.ask("look", limit_s=LOOK_AT_WATCHES_LIMIT_S * self.patience)
            except LineLost as error:
                self._lines.append(f"what changed last may not have been seen: {error}")

    def _close_watcher(self) -> None:
        line, self._watcher = self._watcher, None
        opening, self._opening_watcher = self._opening_watcher, None
        if opening is not None and not opening.done():
            opening.cancel()
        if line is not None:
            task = asyncio.create_task(line.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _heard_watcher(self, fields: Fields) -> None:
        call = self._watched.told(fields)
        if call is not None:
            self._outer(call)

    # --- power --------------------------------------------------------------------------------------------------------

    async def power_on(self) -> None:
        """Switch it on and wait for the welcome screen."""
        await super().power_on()
        if not self._told_display:
            # Wine finds the screen through the environment, and a service starts its helper with the user's own one.
            await self.run(["reg", "add", r"HKCU\Environment", "/v", "DISPLAY", "/d", self.display, "/f"])
            self._told_display = True

    # --- files and programs -------------------------------------------------------------------------------------------

    async def fetch(self) -> None:
        """Have :attr:`drive_c` show the programs' logs as they are now."""
        await self.site.fetch()

    async def copy_in(self, folder: Path, target: str, beside: Mapping[str, bytes] = MappingProxyType({})) -> None:
        """Copy a folder of this computer to a Windows path of the machine.

        ``beside`` are further files in it, by name: settings, which only their owner can read.
        """
        await self.site.copy_in(folder, target, beside)

    async def take(self, windows_path: str) -> bytes:
        """Return a file's content and remove it; nothing if there is none."""
        return await self.site.take(windows_path)

    async def remove_tree(self, windows_path: str) -> None:
        """Remove a folder with all that is in it."""
        await self.site.remove_tree(windows_path)

    def processes(self) -> dict[int, str]:
        """Return the machine's processes: process id to command line."""
        return self.site.processes()

    async def kill_program(self, is_it: Callable[[str], bool]) -> None:
        """End the processes whose command line is meant, as a crash would.

        Raises:
            NotPossible: none runs.
        """
        victims = [pid for pid, line in self.processes().items() if is_it(line)]
        if not victims:
            raise NotPossible("expected the program to run, so that it can be ended; it does not")
        await self.site.end_processes(victims)

    # --- windows ------------------------------------------------------------------------------------------------------

    async def window_of_class(self, cls: str, limit_s: float) -> DesktopWindow:
        """Wait for a window of this class.

        Raises:
            NotPossible: it did not come in time; the message lists what is there.
        """
        limit_s *= self.patience
        there: tuple[DesktopWindow, ...] = ()
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    there = await self.windows()
                    for window in there:
                        if window.cls == cls:
                            return window
                    await pause(LOOK_AGAIN_US)
        except TimeoutError:
            names = ", ".join(f"{w.cls} of {w.exe}" for w in there) or "none"
            raise NotPossible(f"expected a window {cls!r} within {limit_s:g} s; there are: {names}") from None

    def window_kind(self, window: Any) -> seen.Window | None:
        """Say what scenarios call a window of Windows' own or of an installer."""
        kind = _DIALOGS.get(window.exe.lower())
        asks = any(eyes.plain(one.text) == _REBOOT_NOW for one in window.controls)
        return None if kind == "installer restart dialog" and not asks else kind  # its earlier pages ask for nothing

    def dialog_controls(self, window: seen.Window, button: str) -> tuple[int | str, ...]:
        """Return what to press, in order, for a button in a window that is not the agent's; nothing if it is
        unknown."""
        return _DIALOG_BUTTONS.get((window, button), ())

    async def inventory(self) -> tuple[str, ...]:
        """List what a session could leave behind; what the harness's own installer installs is nobody's residue, nor
        is what Windows writes down for itself in safe mode."""
        listed = await super().inventory()
        return tuple(item for item in listed if not item.startswith(_INSTALLED) and item != _IN_SAFE_MODE)

    # --- what scenarios do to it ------------------------------------------------------------------------------------

    async def reach(self, phase: seen.Phase, limit_s: float = REACH_LIMIT_S) -> None:
        """Wait until a phase is reached."""
        await self.wait_phase(phase, limit_s=limit_s)

    async def shut_down(self) -> None:
        """Have Windows shut down, as the start menu does."""
        await self.use_start_menu("off")

    async def answer_restarts_with(self, error: int) -> None:
        """Have Windows refuse restart requests with this error; 0 takes it back."""
        if self.phase not in ("off", "firmware", "loading"):
            self.refuse_restarts(error)

    async def block_shutdown(self, on: bool) -> None:
        """Open, or end, a program with an unsaved document."""
        if on:
            await self.start([_BLOCKER])
            await self.window_of_class("rrsim unsaved document", START_LIMIT_S)
        elif any("block-shutdown.exe" in line for line in self.processes().values()):
            await self.kill_program(lambda line: "block-shutdown.exe" in line)
            if self.phase == "shutdown asked":
                self.unblock("anyway")  # Windows goes on by itself when nothing holds it up any more

    async def out_of_the_block_screen(self) -> None:
        """Leave a block screen that nobody has answered, so that the harness can begin a restart of its own."""
        if self.phase == "shutdown asked":
            self.unblock("cancel")
            await self.wait_phase("welcome", "desktop", "off", "firmware", limit_s=REACH_LIMIT_S)

    def log(self) -> bytes:
        """Return what the machine and its helpers said, for the bundle."""
        return "\n".join(self._lines).encode()

    async def close(self) -> None:
        """End the machine and remove everything of it."""
        self._outer = lambda _: None
        self._end_flag_task()
        self._close_watcher()
        await super().close()


class WinePc(WindowsPc):
    """One customer's PC in a prefix of this computer. Make it with :meth:`create` and end it with :meth:`close`."""

    @classmethod
    async def create(
        cls, name: str, root: Path, observe: Callable[[Any], None], screen: tuple[int, int] = (1024, 768)
    ) -> Self:
        """Make a machine in its clean first state, switched off, in ``root/name``.

        Raises:
            WineMissing: a program of the host is missing or failed.
            NotPossible: a machine of that name is in use.
        """
        return cls(name, await LocalSite.create(name, root, screen), observe)

    def log(self) -> bytes:
        """Return what the machine and its helpers said and complained about, for the bundle."""
        assert isinstance(self.site, LocalSite)
        return b"\n".join((super().log(), b"--- what Wine complained about ---", complaints(self.site.folder)))


_REBOOT_NOW: Final = "Reboot now"
_DIALOG_BUTTONS: Final[dict[tuple[str, str], tuple[int | str, ...]]] = {
    ("windows restart dialog", "restart"): ("Yes",), ("windows restart dialog", "later"): ("No",),
    ("installer restart dialog", "restart"): (_REBOOT_NOW, "Finish"),
    ("installer restart dialog", "later"): ("I want to manually reboot later", "Finish"),
    ("block screen", "restart anyway"): (1,), ("block screen", "cancel"): (2,),
}
