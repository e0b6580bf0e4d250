"""How rrsim builds, installs and drives Tideway's program for customers: the only place that knows its files and
windows."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from rrsim.backends.live.credentials import resolve
from rrsim.machine.adapters import SEEN_THROUGH_AGENT, AdapterError, Address, Progress, StartedBy, Watch
from rrsim.machine.desktop import DesktopWindow
from rrsim.machine.interface import Capability
from rrsim.machine.observations import Window
from rrsim.protocol.messages import AgentMode
from tideway_rrsim.server_adapter import key_reference

SOURCES: Final = Path(__file__).with_name("c")
COMPILE: Final = ("x86_64-w64-mingw32-gcc", "-O2", "-s", "-Wall", "-Wextra", "-Werror", "-municode", "-mwindows")
LIBRARIES: Final = ("-lws2_32", "-lbcrypt", "-lcrypt32", "-ladvapi32", "-lshell32", "-lole32")
SETUP: Final = "tideway-setup.exe"
INI: Final = "tideway.ini"
SETUP_FOLDER: Final = r"C:\Setup"
PROGRAM: Final = r"C:\Program Files\Tideway Support\tideway.exe"
RUN: Final = r"HKCU\SOFTWARE\Microsoft\Windows\CurrentVersion\Run"
STEP_LIMIT_S: Final = 60.0

_ASKS: Final[dict[str, Window]] = {
    "Restart this computer?": "restart prompt", "Show your screen?": "sharing prompt",
    "Stay in the support case?": "leave prompt",
}
_STANDING: Final = (
    "registry:HKLM/SOFTWARE/Tideway",
    "registry:HKLM/SOFTWARE/Microsoft/Windows/CurrentVersion/Uninstall/Tideway Support",
    "file:C:/Program Files/Tideway Support/", "file:C:/ProgramData/Tideway/",
)


class TidewayAgent:
    """The adapter of ``tideway.exe``."""

    name = "tideway"
    modes: frozenset[AgentMode] = frozenset({"application"})
    observes: frozenset[str] = SEEN_THROUGH_AGENT
    executables = ("tideway.exe",)
    lacks: frozenset[Capability] = frozenset()

    def __init__(self) -> None:
        """Nothing is built yet."""
        self._key = resolve(key_reference())
        self._setup: Path | None = None

    def secrets(self) -> tuple[str, ...]:
        """The enrolment key."""
        return (self._key,)

    async def prepare(self, progress: Progress) -> str:
        """Compile program and installer, unless that was done already; return the digest of the sources."""
        return await asyncio.to_thread(self._prepare, progress)

    def _prepare(self, progress: Progress) -> str:
        seen = hashlib.sha256(" ".join((*COMPILE, *LIBRARIES)).encode())
        for path in sorted(SOURCES.iterdir()):
            seen.update(path.name.encode() + b"\0" + path.read_bytes())
        digest = seen.hexdigest()[:16]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tideway"
        self._setup = cache / f"{digest}.exe"
        if self._setup.exists():
            return digest
        progress("compiling Tideway Support and its installer")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as name:
            folder = Path(name)
            for path in SOURCES.iterdir():
                shutil.copyfile(path, folder / path.name)
            _call(folder, *COMPILE, "-o", "tideway.exe", *sorted(p.name for p in SOURCES.glob("*.c")), *LIBRARIES)
            _call(folder, "makensis", "-V2", "-WX", "-INPUTCHARSET", "UTF8", "tideway.nsi")
            (folder / SETUP).replace(self._setup)
        return digest

    async def lay_in(self, machine: Any) -> None:
        """Nothing: the installer brings everything, in a moment."""

    async def install(self, machine: Any, mode: AgentMode, address: Address, language: str) -> None:
        """Run the installer silently, with address and key in the file beside it."""
        assert self._setup is not None, "prepare() comes first"
        if mode != "application" or language != "en":
            raise AdapterError(f"expected application mode in English, saw {mode} mode in {language!r}")
        settings = f"[server]\nhost={address.host}\nport={address.port}\nkey={self._key}\n"
        with tempfile.TemporaryDirectory() as folder:
            shutil.copyfile(self._setup, Path(folder, SETUP))
            await machine.copy_in(Path(folder), SETUP_FOLDER, {INI: settings.encode("ascii")})
        code, output = await machine.run([rf"{SETUP_FOLDER}\{SETUP}", "/S"], timeout_s=STEP_LIMIT_S)
        left = await machine.take(rf"{SETUP_FOLDER}\{INI}")
        await machine.remove_tree(SETUP_FOLDER)
        if code or left:
            raise AdapterError(
                f"expected the installer to enrol this PC and to remove its settings file, saw exit code {code}: "
                f"{output[-300:] or 'it said nothing'}"
            )

    async def start_support(self, machine: Any, code: str) -> None:
        """Start the program as a double click does, and type the code."""
        await machine.start([PROGRAM])
        window = await machine.window_of_class("TidewayCode", STEP_LIMIT_S)
        await machine.click(window.hwnd, 110)
        await machine.type_text(code)
        await machine.click(window.hwnd, 111)

    def window(self, window: DesktopWindow) -> Window | None:
        """All questions are of one class: the title tells them apart."""
        if window.cls == "TidewayAsk":
            return _ASKS.get(window.title)
        found: dict[str, Window] = {"TidewayDesk": "chat", "TidewayNote": "notice"}
        return found.get(window.cls)

    def control(self, window: Window, button: str) -> int | str | None:
        """Return a button's id; the desk is closed by the X in its title bar."""
        if window in _ASKS.values():
            return {"yes": 301, "no": 302}.get(button)
        found: dict[tuple[str, str], int | str] = {("chat", "close"): "close", ("notice", "ok"): 1}
        return found.get((window, button))

    def shows_sharing(self, window: DesktopWindow) -> bool:
        """The desk has a line that is there while the technician sees the screen."""
        return window.cls == "TidewayDesk" and any(one.id == 230 and one.visible for one in window.controls)

    def chat_controls(self) -> tuple[int, int]:
        """Return line and button."""
        return 210, 211

    def core_process(self, command_line: str) -> bool:
        """There is one program; the installer calls it once too."""
        return "tideway.exe" in command_line.lower() and "/enrol" not in command_line

    def helper_process(self, command_line: str) -> bool:
        """There is no service, so there is no helper."""
        del command_line
        return False

    def started_by(self, command_line: str, mode: AgentMode) -> StartedBy:
        """The Run entry says ``/return``."""
        return "autostart" if "/return" in command_line else "customer"

    def watches(self, mode: AgentMode) -> tuple[Watch, ...]:
        """Return the pass and the Run entry."""
        return (
            Watch(
                "file", r"%APPDATA%\Tideway\pass.bin", appears="ticket saved", changes="record saved",
                goes="record erased", marker="going=1", marked="intent saved",
            ),
            Watch("value", rf"{RUN}\\TidewayReturn", appears="autostart armed", goes="autostart disarmed"),
        )

    def belongs(self, item: str) -> bool:
        """What the installer brought, enrolment and log stay after a case."""
        return item.startswith(_STANDING)

    def plain_name(self, item: str) -> str:
        """The pass is what scenarios call the ticket."""
        lower = item.lower()
        if lower.endswith(("/tideway/pass.bin", "/tideway/pass.bin.new")):
            return "file:ticket"
        return "registry:HKCU/Run/TidewayReturn" if lower.endswith("/run/tidewayreturn") else item

    def logs(self, machine: Any) -> dict[str, bytes]:
        """Return the program's log."""
        log = machine.drive_c / "ProgramData" / "Tideway" / "tideway.log"
        return {"tideway.log": log.read_bytes()} if log.exists() else {}


def _call(folder: Path, *command: str) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=STEP_LIMIT_S, check=False)
    except FileNotFoundError:
        raise AdapterError(f"expected {command[0]!r} to be installed; install gcc-mingw-w64-x86-64 and nsis") from None
    if done.returncode:
        raise AdapterError(f"{command[0]}: exit code {done.returncode}: {(done.stdout + done.stderr)[-800:]}")
