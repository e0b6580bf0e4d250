"""How rrsim installs and drives the bundled agent: the only place outside the agent that knows its files, windows and
words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from rrsim.machine.adapters import SEEN_THROUGH_AGENT, Address, Progress, StartedBy, Watch
from rrsim.machine.desktop import DesktopWindow
from rrsim.machine.interface import Capability
from rrsim.machine.observations import Window
from rrsim.protocol.messages import AgentMode

HOME: Final = r"C:\Program Files\rragent"
PROGRAM: Final = HOME + r"\rragent.exe"
SERVICE: Final = "rragent"
RUN_ONCE: Final = r"HKCU\SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce"
SAFE_BOOT: Final = rf"HKLM\SYSTEM\CurrentControlSet\Control\SafeBoot\Network\{SERVICE}"
CODE_WINDOW: Final = "rragent.code"
INSTALL_TIMEOUT_S: Final = 60.0
CODE_TIMEOUT_S: Final = 30.0

_WINDOWS: Final[dict[str, Window]] = {
    "rragent.chat": "chat", "rragent.session": "chat", "rragent.prompt.restart": "restart prompt",
    "rragent.prompt.sharing": "sharing prompt", "rragent.prompt.leave": "leave prompt", "rragent.notice": "notice",
    "rragent.cancel": "cancel option",
}
"""Window class to what scenarios call the window."""
_BUTTONS: Final[dict[tuple[str, str], int]] = {
    **{(f"{kind} prompt", "yes"): 6 for kind in ("restart", "sharing", "leave")},
    **{(f"{kind} prompt", "no"): 7 for kind in ("restart", "sharing", "leave")},
    ("chat", "close"): 1004, ("cancel option", "cancel"): 1020, ("notice", "ok"): 1,
}
_SHARED: Final = 1005
LOG_LIMIT_BYTES: Final = 200_000
_LOGS: Final = ("/rragent/rragent.log", "/rragent/rragent.old", "/rragent/rragent-helper.log",
                "/rragent/rragent-helper.old")
_STANDING: Final = (
    "service:rragent", "registry:HKLM/SYSTEM/CurrentControlSet/Services/rragent", "registry:HKLM/SOFTWARE/rragent",
    "file:C:/Program Files/rragent/", "file:C:/ProgramData/rragent/rragent.log",
    "file:C:/ProgramData/rragent/rragent.old", "file:C:/ProgramData/rragent/rragent-helper.log",
    "file:C:/ProgramData/rragent/rragent-helper.old",
)


class BundledAgent:
    """The adapter of ``rragent.exe``."""

    name = "rragent"
    modes: frozenset[AgentMode] = frozenset({"application", "service"})
    observes: frozenset[str] = SEEN_THROUGH_AGENT
    lacks: frozenset[Capability] = frozenset()
    executables = ("rragent.exe",)

    def __init__(self) -> None:
        """Nothing is built yet: that is what ``prepare`` is for."""
        self._built: Path | None = None

    def secrets(self) -> tuple[str, ...]:
        """It needs no credential: tickets and keys of a session are the session's own, and masked as such."""
        return ()

    async def prepare(self, progress: Progress) -> str:
        """Freeze the agent, or find it frozen; return its digest."""
        import asyncio

        from rrsim.agent.build import ensure_agent

        built = await asyncio.to_thread(ensure_agent, progress=progress)
        self._built = built.path
        return str(built.digest)

    async def lay_in(self, machine: Any) -> None:
        """Copy the program, which is most of an installation."""
        assert self._built is not None, "prepare() comes first"
        await machine.copy_in(self._built, HOME, {})

    async def install(self, machine: Any, mode: AgentMode, address: Address, language: str) -> None:
        """Copy the program to the machine; in service mode install it as an administrator would."""
        assert self._built is not None, "prepare() comes first"
        await machine.copy_in(self._built, HOME, _configuration(address, language))
        if mode == "service":
            code, output = await machine.run([PROGRAM, "install"], timeout_s=INSTALL_TIMEOUT_S)
            if code:
                raise RuntimeError(f"the agent's service could not be installed: exit code {code}: {output[-500:]}")

    async def start_support(self, machine: Any, code: str) -> None:
        """Start the program as a double click does, and type the code."""
        await machine.start([PROGRAM, "join"])
        window = await machine.window_of_class(CODE_WINDOW, CODE_TIMEOUT_S)
        await machine.click(window.hwnd, 1001)
        await machine.type_text(code)
        await machine.press_key("Return")

    def window(self, window: DesktopWindow) -> Window | None:
        """Name one of the agent's windows."""
        return _WINDOWS.get(window.cls)

    def control(self, window: Window, button: str) -> int | None:
        """Return a button's fixed id."""
        return _BUTTONS.get((window, button))

    def shows_sharing(self, window: DesktopWindow) -> bool:
        """Say whether the chat window's sharing line is visible."""
        return any(one.id == _SHARED and one.visible for one in window.controls)

    def chat_controls(self) -> tuple[int, int]:
        """Return line and send button."""
        return 1001, 1002

    def core_process(self, command_line: str) -> bool:
        """The service, or the process of application mode."""
        words = command_line.lower()
        return "rragent.exe" in words and any(verb in words for verb in (" service", " agent", " join"))

    def helper_process(self, command_line: str) -> bool:
        """The desktop helper."""
        words = command_line.lower()
        return "rragent.exe" in words and " helper" in words

    def started_by(self, command_line: str, mode: AgentMode) -> StartedBy:
        """The autostart entries call ``agent``; ``join`` is the customer's, who may but bring a code to the service."""
        words = command_line.lower()
        if " join" in words:
            return "customer"
        return "service" if mode == "service" else "autostart" if " agent" in words else "customer"

    def watches(self, mode: AgentMode) -> tuple[Watch, ...]:
        """Record file, autostart values and safe-boot key."""
        folder = r"C:\ProgramData\rragent" if mode == "service" else r"%LOCALAPPDATA%\rragent"
        record = Watch(
            "file", folder + r"\record.bin", appears="ticket saved", changes="record saved", goes="record erased",
            marker='"intent":true', marked="intent saved",
        )
        values = tuple(
            Watch("value", rf"{RUN_ONCE}\\{name}", appears="autostart armed", goes="autostart disarmed")
            for name in ("!*rragent", "!*rragent-again")
        )
        key = Watch("key", SAFE_BOOT, appears="safe boot key registered", goes="safe boot key removed")
        return (record, key) if mode == "service" else (record, *values)

    def belongs(self, item: str) -> bool:
        """The service, the program's folder, its own registry key and its logs stay after a session."""
        return item.startswith(_STANDING) or (item.startswith("file:C:/users/") and item.endswith(_LOGS))

    def plain_name(self, item: str) -> str:
        """The record is ``file:ticket``; registry values are named by hive and key."""
        lower = item.lower()
        if lower.endswith(("/rragent/record.bin", "/rragent/record.new")):
            return "file:ticket"
        if "/runonce/" in lower and "rragent" in lower:
            hive = "HKCU" if "hkcu" in lower else "HKLM"
            return f"registry:{hive}/RunOnce/{item.rsplit('/', 1)[1]}"
        if lower.endswith("safeboot/network/rragent"):
            return "registry:HKLM/SafeBoot/Network/rragent"
        return item

    def logs(self, machine: Any) -> dict[str, bytes]:
        """Read the agent's log files from the machine's disk."""
        found = {}
        for path in sorted(machine.drive_c.glob("**/rragent/rragent*")):
            if str(path).endswith(_LOGS):
                place = path.relative_to(machine.drive_c).parts
                owner = place[1] if place[0] == "users" else place[0]
                found[f"agent-{owner}-{path.name}"] = path.read_bytes()[-LOG_LIMIT_BYTES:]
        return found


def _configuration(address: Address, language: str) -> dict[str, bytes]:
    """Return the program's configuration, which lies beside it, as an installer would write it."""
    config = {"server": f"wss://{address.host}:{address.port}/agent", "ca_file": "ca.pem", "language": language}
    return {"ca.pem": Path(address.ca_file).read_bytes(), "rragent.json": json.dumps(config).encode()}
