"""A Wine guest as the place of a machine's Windows: through the guest daemon, and hands through the hypervisor."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Final, Protocol

from rrsim import live_clock
from rrsim.backends.live.vm.events import AnyEvent
from rrsim.backends.live.vm.guest_port import GuestPort, GuestRefused, PortLost
from rrsim.backends.live.vm.guest_power import GuestPower
from rrsim.backends.live.wine.line import Fields, Line
from rrsim.backends.live.wine.power import NotPossible
from rrsim.backends.live.wine.site import FLAG_FILE, PLACES, below_drive
from rrsim.machine.observations import AnyObservation

PIECE_BYTES: Final = 512_000
"""Files travel in pieces of this size: one piece is half a second where the processor is emulated."""
COPY_LIMIT_S: Final = 120.0
MOST_LOGS: Final = 60
LOG_LIMIT_BYTES: Final = 400_000
LOG_ENDS: Final = (".log", ".old", ".txt")
LAST_LOOK: Final = "look\tlast"
"""What the watcher does before the guest's Windows ends; the daemon sees to it."""


class Machine(Protocol):
    """What the site needs of the virtual machine; :class:`rrsim.backends.live.vm.vm.Vm` has it."""

    async def destroy(self) -> None:
        """Take the electricity away."""

    async def reset(self) -> None:
        """Press the reset button."""

    @property
    def resets(self) -> int:
        """How often the host has seen it switched on or reset."""

    @property
    def reset_reason(self) -> str:
        """Why the last time."""

    async def click(self, x: int, y: int) -> None:
        """Move the pointer and press its left button."""

    async def type_text(self, text: str) -> None:
        """Type."""

    async def press_key(self, name: str) -> None:
        """Press a key or a combination."""

    def screenshot_now(self) -> bytes:
        """Return the screen as PNG; blocks."""

    def on_event(self, hear: Callable[[AnyEvent], None]) -> None:
        """Have events told to this listener, and to no other."""

    def on_trouble(self, hear: Callable[[Exception], None]) -> None:
        """Have what makes the machine useless told to this listener, and to no other; at once if it has happened."""


class GuestSite:
    """One guest."""

    display = ":0"

    def __init__(
        self, vm: Machine, folder: Path, come_up: Callable[[], Awaitable[GuestPort]],
        laid_in: Mapping[str, str], end: Callable[[], Awaitable[None]],
    ) -> None:
        """Hold a guest that is off.

        ``laid_in`` says which folders are on its disk already: Windows path to :func:`digest_of_tree`. ``end`` removes
        the virtual machine with its disk and its lease.
        """
        self._vm, self._come_up, self._end = vm, come_up, end
        self.drive_c = folder / "drive_c"
        self._laid_in = laid_in
        self._power: GuestPower | None = None
        self._flag = False
        self._processes: dict[int, str] = {}

    def power(self, observe: Callable[[AnyObservation], None]) -> GuestPower:
        """Return what switches the machine on and off."""

        async def come_up() -> GuestPort:
            port = await self._come_up()
            port.hear_events(self._told)
            return port

        self._power = GuestPower(self._vm, come_up, observe)
        self._power.on_boot = self._new_boot
        self._vm.on_event(self._power.vm_event)
        self._vm.on_trouble(self._power.host_failed)
        return self._power

    @property
    def port(self) -> GuestPort:
        """The guest daemon's port.

        Raises:
            NotPossible: the machine is off.
        """
        if self._power is None or self._power.port is None:
            raise NotPossible("the machine is off; switch it on first")
        return self._power.port

    def _new_boot(self, processes: dict[int, str]) -> None:
        self._processes = processes

    async def let_go(self) -> None:
        """Leave the running machine alone: nobody is connected to it any more, and nothing of it is heard."""
        self._vm.on_event(lambda _: None)
        self._vm.on_trouble(lambda _: None)
        await self.port.close()

    def _told(self, fields: Fields) -> None:
        match fields.get("event"):
            case "processes":
                self._processes = {int(pid): str(line) for pid, line in dict(fields.get("now", {})).items()}
            case "flag":
                self._flag = bool(fields.get("set"))
            case "kernel ended" | "kernel failed" | "screen failed" as what:
                if self._power is not None and self._power.phase not in ("off", "shutting down"):
                    self._power.host_did_it(f"the guest says {what!r}: {str(fields)[:500]}")
            case _:
                pass

    async def open_line(self, name: str, program: str, hear: Callable[[Fields], None]) -> Line:
        """Start a helper and return the line to it."""
        last_word = LAST_LOOK if program == "rrwatch.exe" else ""
        return await self.port.open_line(
            program.removesuffix(".exe"), name, hear, rf"C:\windows\system32\{program}", last_word=last_word
        )

    # --- the disk --------------------------------------------------------------------------------------------------

    async def files(self) -> set[str]:
        """List the files that a session could leave behind."""
        return await self._names(PLACES)

    async def _names(self, places: Collection[str]) -> set[str]:
        answer = await self.port.ask("files", places=list(places))
        return {
            FLAG_FILE if name.startswith("boot:") else str(name).removeprefix("file:C:/") for name in answer["names"]
        }

    async def take(self, windows_path: str) -> bytes:
        """Return a file's content and remove it."""
        below_drive(windows_path)
        try:
            content = await self._read(windows_path, LOG_LIMIT_BYTES * 10)
        except GuestRefused:
            return b""
        await self.port.ask("remove", path=windows_path)
        return content

    async def _read(self, path: str, limit: int) -> bytes:
        found = b""
        while True:
            answer = await self.port.ask("read", path=path, offset=len(found), limit=min(limit - len(found), 2_000_000))
            piece = base64.b64decode(answer["base64"])
            found += piece
            if not piece or len(found) >= min(limit, int(answer["size"])):
                return found

    async def copy_in(self, folder: Path, target: str, beside: Mapping[str, bytes]) -> None:
        """Copy a folder to a Windows path; one that is on the disk already, as it is, is not copied again."""
        below_drive(target)
        if self._laid_in.get(target) != await asyncio.to_thread(digest_of_tree, folder):
            await self._copy_tree(folder, target)
        await self.port.ask("make dir", path=target)
        for name, content in beside.items():
            await self._write(rf"{target}\{name}", content, 0o600)  # it may hold a credential

    async def _copy_tree(self, folder: Path, target: str) -> None:
        await self.port.ask("make dir", path=target)
        for path in await asyncio.to_thread(lambda: sorted(folder.rglob("*"))):
            place = rf"{target}\{str(path.relative_to(folder)).replace('/', chr(92))}"
            if path.is_dir():
                await self.port.ask("make dir", path=place)
            else:
                await self._write(place, await asyncio.to_thread(path.read_bytes), 0o755)

    async def _write(self, place: str, content: bytes, mode: int) -> None:
        for at in range(0, max(1, len(content)), PIECE_BYTES):
            piece = base64.b64encode(content[at:at + PIECE_BYTES]).decode()
            await self.port.ask("write", path=place, base64=piece, mode=mode, append=at > 0, limit_s=COPY_LIMIT_S)

    async def remove_tree(self, windows_path: str) -> None:
        """Remove a folder with all that is in it."""
        below_drive(windows_path)
        await self.port.ask("remove", path=windows_path)

    async def fetch(self) -> None:
        """Bring the programs' logs to this computer."""
        names = sorted(name for name in await self._names(("ProgramData", "users")) if _is_log(name))
        for name in names[:MOST_LOGS]:
            place = self.drive_c / name
            if not place.resolve().is_relative_to(self.drive_c.resolve()):
                continue  # the guest is not believed where its files belong
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(await self._read("C:\\" + name.replace("/", "\\"), LOG_LIMIT_BYTES))

    # --- the boot options --------------------------------------------------------------------------------------------

    def flag(self) -> bool:
        """Whether the boot options ask for a safe boot, as last told."""
        return self._flag

    async def look_at_flag(self) -> int:
        """Ask for the boot options, and when they last changed."""
        try:
            answer = await self.port.ask("flag", limit_s=5)
        except (NotPossible, PortLost):
            return 0  # the machine is off or just going: nothing changes any more
        self._flag = bool(answer["set"])
        ago_us = int(answer["at_us"]) - int(answer["changed_us"])
        return live_clock.monotonic_us() - ago_us if answer["changed_us"] else 0

    # --- processes ---------------------------------------------------------------------------------------------------

    def processes(self) -> dict[int, str]:
        """Return the machine's processes as the guest daemon last told."""
        return dict(self._processes)

    async def end_processes(self, pids: Collection[int]) -> None:
        """End processes as a crash would."""
        await self.port.ask("kill", pids=list(pids))

    # --- screen and hands ---------------------------------------------------------------------------------------

    async def click(self, x: int, y: int) -> None:
        """Move the pointer and press its left button once."""
        await self._vm.click(x, y)

    async def type_text(self, text: str) -> None:
        """Type on the keyboard."""
        await self._vm.type_text(text)

    async def press_key(self, key: str) -> None:
        """Press a key."""
        await self._vm.press_key(key)

    def screenshot(self) -> bytes:
        """Return a picture of the screen as PNG."""
        return self._vm.screenshot_now()

    async def close(self) -> None:
        """Remove the virtual machine."""
        await self._end()


def digest_of_tree(folder: Path) -> str:
    """Return the sha256 over a folder's files, names and contents."""
    seen = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            seen.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return seen.hexdigest()


def _is_log(name: str) -> bool:
    return name.lower().endswith(LOG_ENDS) and (name.startswith("ProgramData/") or "/AppData/Local/" in name)
