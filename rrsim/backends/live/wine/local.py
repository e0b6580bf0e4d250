"""A machine's Windows in a prefix of this computer: its kernel is a wineserver, its screen an X server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from rrsim import live_clock
from rrsim.backends.live.wine import kernel, lease, template
from rrsim.backends.live.wine.line import Fields, Line, ProcessLine
from rrsim.backends.live.wine.power import HowItEnds, NotPossible, Power
from rrsim.backends.live.wine.screen import Screen
from rrsim.backends.live.wine.site import FLAG_FILE, PLACES, below_drive
from rrsim.images.guest import look
from rrsim.images.guest.settings import Settings
from rrsim.machine.observations import AnyObservation
from rrsim.wine_start import plainly

FLAG: Final = template.DRIVE / FLAG_FILE
ERRORS: Final = "wine.err"
"""Beside the prefix: what Wine and the helpers complain about."""
MOST_COMPLAINTS_BYTES: Final = 100_000
LAST_WORDS: Final = 300
"""Characters of it that stand in the message of a fault."""


def complaints(folder: Path) -> bytes:
    """Return the end of what Wine and the helpers of a machine complained about."""
    try:
        with (folder / ERRORS).open("rb") as file:
            size = file.seek(0, os.SEEK_END)  # with a debug channel on, there may be much more than is wanted
            file.seek(max(0, size - MOST_COMPLAINTS_BYTES))
            return file.read(MOST_COMPLAINTS_BYTES)
    except OSError:
        return b""


class LocalPower(Power):
    """The power of a machine whose kernel is a process of this computer."""

    def __init__(self, prefix: Path, env: dict[str, str], observe: Callable[[AnyObservation], None]) -> None:
        """Hold a machine that is off."""
        super().__init__(observe)
        self.prefix, self._env = prefix, env
        self.server: lease.Process | None = None
        self.on_server: Callable[[], None] = lambda: None
        self._watch: asyncio.Task[None] | None = None

    async def _begin_boot(self) -> tuple[str, bool]:
        safe_mode = flagged(self.prefix)
        self.server = await kernel.start(self.prefix, self._env)
        self._watch = asyncio.create_task(self._watch_over(self.server))
        self.on_server()
        return live_clock.fresh_secret()[:16], safe_mode

    async def _open_helper(self) -> Line:
        return await ProcessLine.open(
            "the sign-in helper", *plainly(), "wine", r"C:\windows\system32\rrwinlogon.exe", env=self._env,
            hear=self._hear, errors=self.prefix.with_name(ERRORS),
        )

    def _last_words(self) -> str:
        line = self._line
        code = f"; {line.ended}" if isinstance(line, ProcessLine) else ""
        words = complaints(self.prefix.parent)[-LAST_WORDS:].decode(errors="replace").strip()
        return f"{code}; Wine's last words: {words or 'none'}"

    async def _watch_over(self, server: lease.Process) -> None:
        """Notice a kernel that is gone and was not ended here; its helpers may not notice by themselves."""
        await kernel.lost(server)
        self._gone_unasked()

    async def _end_boot(self, how: HowItEnds) -> None:
        del how  # an end in order and a cut are the same here, see docs/wine.md
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
        await kernel.end(self.prefix)
        self.server = None


class LocalSite:
    """A prefix with its screen. Make it with :meth:`create` and end it with :meth:`close`; both ends are complete."""

    def __init__(self, folder: Path, screen: Screen) -> None:
        """Hold a machine's folder and its screen; use :meth:`create`."""
        self.folder, self.prefix, self.display = folder, folder / "prefix", screen.display
        self.drive_c = self.prefix / template.DRIVE
        self._screen, self._env = screen, template.environment(self.prefix, screen.display)
        self._power: LocalPower | None = None
        self._processes = look.Processes(Settings(prefix=self.prefix))

    @classmethod
    async def create(cls, name: str, root: Path, screen: tuple[int, int]) -> LocalSite:
        """Make a machine's place in its clean first state, switched off, in ``root/name``.

        Raises:
            WineMissing: a program of the host is missing or failed.
            NotPossible: a machine of that name is in use.
        """
        prepared = await template.prepare(screen)
        folder = root / name
        old = lease.read(folder)
        if old is not None and lease.alive(old.owner):
            raise NotPossible(f"{folder}: this machine is in use by process {old.owner.pid}; choose another name")
        if folder.exists():
            await asyncio.to_thread(lease.clear, folder, old)
        folder.mkdir(parents=True)
        owner = lease.process(os.getpid())
        assert owner is not None, "this process runs"
        lease.write(folder, lease.Lease(owner, str(folder / "prefix")))
        try:
            site = cls(folder, await Screen.open(screen))
            site.write_lease()
            await asyncio.to_thread(template.copy, prepared, site.prefix)
        except BaseException:
            await asyncio.to_thread(lease.clear, folder, lease.read(folder))
            raise
        return site

    def power(self, observe: Callable[[AnyObservation], None]) -> LocalPower:
        """Return what switches the machine on and off."""
        self._power = LocalPower(self.prefix, self._env, observe)
        self._power.on_server = self.write_lease
        return self._power

    def write_lease(self) -> None:
        """Write down what the machine holds on this computer."""
        owner = lease.process(os.getpid())
        assert owner is not None, "this process runs"
        screen = lease.process(self._screen.process.pid)
        server = self._power.server if self._power else None
        lease.write(self.folder, lease.Lease(owner, str(self.prefix), screen, server))

    async def open_line(self, name: str, program: str, hear: Callable[[Fields], None]) -> Line:
        """Start a helper and return the line to it."""
        return await ProcessLine.open(
            name, *plainly(), "wine", rf"C:\windows\system32\{program}", env=self._env, hear=hear,
            errors=self.folder / ERRORS,
        )

    # --- the disk ---

    def host_path(self, windows_path: str) -> Path:
        """Return where a Windows path of this machine is on this computer."""
        return self.drive_c.joinpath(*below_drive(windows_path))

    async def files(self) -> set[str]:
        """List the files that a session could leave behind."""
        return await asyncio.to_thread(self._files)

    def _files(self) -> set[str]:
        found: set[str] = set()
        for place in PLACES:
            for folder, _, names in os.walk(self.drive_c / place):
                found.update(Path(folder, name).relative_to(self.drive_c).as_posix() for name in names)
        return found

    async def take(self, windows_path: str) -> bytes:
        """Return a file's content and remove it."""
        return await asyncio.to_thread(_taken, self.host_path(windows_path))

    async def copy_in(self, folder: Path, target: str, beside: Mapping[str, bytes]) -> None:
        """Copy a folder to a Windows path of the machine."""
        await asyncio.to_thread(_copy, folder, self.host_path(target), beside)

    async def remove_tree(self, windows_path: str) -> None:
        """Remove a folder with all that is in it."""
        await asyncio.to_thread(shutil.rmtree, self.host_path(windows_path))

    async def fetch(self) -> None:
        """Nothing has to be brought: the drive is here."""

    # --- the boot options ---

    def flag(self) -> bool:
        """Whether the boot options ask for a safe boot."""
        return flagged(self.prefix)

    async def look_at_flag(self) -> int:
        """Return when the boot options last changed: the disk remembers."""
        return flag_changed_us(self.prefix)

    # --- processes ---

    def processes(self) -> dict[int, str]:
        """Return the machine's processes as this computer sees them: process id to command line."""
        return self._processes.now()

    async def end_processes(self, pids: Collection[int]) -> None:
        """End processes as a crash would."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    # --- screen and hands ---

    async def click(self, x: int, y: int) -> None:
        """Move the pointer and press its left button once."""
        await self._screen.click(x, y)

    async def type_text(self, text: str) -> None:
        """Type on the keyboard."""
        await self._screen.type_text(text)

    async def press_key(self, key: str) -> None:
        """Press a key, by its X name."""
        await self._screen.press_key(key)

    def screenshot(self) -> bytes:
        """Return a picture of the screen as PNG."""
        return self._screen.screenshot()

    async def close(self) -> None:
        """End the screen, and remove the machine's folder and what the kernel left outside of it."""
        await self._screen.close()
        lease.forget_kernel(self.prefix)
        await asyncio.to_thread(shutil.rmtree, self.folder, True)


def _taken(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError:
        return b""
    path.unlink(missing_ok=True)
    return content


def _copy(folder: Path, place: Path, beside: Mapping[str, bytes]) -> None:
    shutil.copytree(folder, place, dirs_exist_ok=True)
    for name, content in beside.items():
        path = place / name
        path.touch(mode=0o600)  # it may hold a credential
        path.write_bytes(content)


def flag_changed_us(prefix: Path) -> int:
    """Return when the boot options last changed, as ``monotonic_us`` counts; 0: never."""
    flag, times_us = prefix / FLAG, []
    for path in (flag, flag.parent):  # clearing removes the file, which its folder remembers
        with contextlib.suppress(OSError):
            times_us.append(path.stat().st_mtime_ns // 1000)
    return live_clock.monotonic_us() - (live_clock.wall_time_us() - max(times_us)) if times_us else 0


def flagged(prefix: Path) -> bool:
    """Whether the boot options ask for a safe boot; read while the machine is off."""
    try:
        return "safeboot=network" in (prefix / FLAG).read_text(encoding="ascii", errors="replace")
    except OSError:
        return False

