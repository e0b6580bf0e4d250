"""The Mac customer of a live run (R10): a real process that speaks the real protocol, and the machine around it.

The process is ``python -m rrsim.agent.mac``: core, connection and protocol as everywhere, a desk without windows. What
its windows would be comes as JSON lines; hands answer by JSON lines. Everything else about a Mac that a session server
could notice is real: the process, its TLS connection, its memory. Hence one stand-in, named in every report.

* It is never restarted, not even by the harness: where a run looks at the next boot, this machine just goes on.
  Actions on its power are :class:`~rrsim.backends.live.pc.NotPossible`; the capabilities say so before.
* What a session leaves behind is looked for in the process's home folder, which is its temporary and its working folder
  too. Nothing keeps it from writing elsewhere.
* The process ends when this one does: its standard input ends then.

Macs are run beside PCs with :class:`MacAgent` as adapter and :meth:`MacMachine.create` as maker of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim.backends.live import processes
from rrsim.backends.live.pc import NotPossible
from rrsim.live_clock import fresh_secret
from rrsim.machine import observations as seen
from rrsim.machine.adapters import SEEN_THROUGH_AGENT, Address, Progress, StartedBy, Watch
from rrsim.machine.desktop import Control, DesktopWindow, Rect
from rrsim.machine.interface import Capability
from rrsim.protocol.messages import AgentMode

STAND_IN: Final = "stand-in: Mac (a process on this computer with the real protocol and a desk without windows)"
CAPABILITIES: Final[frozenset[Capability]] = frozenset({"mac customer", "press", "process kill", "inventory", "logs"})
"""What a Mac customer can do besides what its link and its server can."""
PROGRAM: Final = "rrsim.agent.mac"
END_LIMIT_S: Final = 5.0
"""How long the process may take to end when it is asked to."""
MOST_LOG_LINES: Final = 5_000
MAX_LINE_BYTES: Final = 256 * 1024
WHOLE_SCREEN: Final = Rect(0, 0, 1024, 768)

LINE, SEND, SHARED = 1001, 1002, 1005
_BUTTONS: Final = {"yes": 6, "no": 7, "close": 1004, "cancel": 1020, "ok": 1}
_BUTTONS_OF: Final[dict[str, tuple[str, ...]]] = {
    "chat": ("close",), "restart prompt": ("yes", "no"), "sharing prompt": ("yes", "no"),
    "leave prompt": ("yes", "no"), "cancel option": ("cancel",), "notice": ("ok",),
}
_VERBS: Final[dict[str, seen.HostVerb]] = {
    "Save": "record saved", "Erase": "record erased", "ArmAutostart": "autostart armed",
    "DisarmAutostart": "autostart disarmed", "RegisterSafeBoot": "safe boot key registered",
    "UnregisterSafeBoot": "safe boot key removed", "ReadSafeBootKey": "safe boot key read",
    "SetBootFlag": "boot flag set", "ReadBootFlag": "boot flag read", "ClearBootFlag": "boot flag cleared",
    "RequestRestart": "restart requested", "AbortRestart": "restart aborted",
}
"""A request to the operating system, and what histories call it."""


class MacMachine:
    """One customer's Mac: what a live run needs of a machine, with one process on it."""

    stand_ins = (STAND_IN,)
    unobserved: tuple[str, ...] = ()
    capabilities = CAPABILITIES
    safe_mode = False
    patience = 1.0
    boot = "boot-1"
    """Its mark in histories; it never changes."""

    def __init__(self, name: str, folder: Path, observe: Callable[[Any], None]) -> None:
        """Hold a Mac that is off, with its files in ``folder``; use :meth:`create`."""
        self.name = name
        self.phase: str = "off"
        self.signed_in = False
        self.agent_exe_names: frozenset[str] = frozenset()
        """Named by whoever runs the machine; nothing restarts a Mac, so nothing is compared with it."""
        self.eyes_saw: Callable[[tuple[DesktopWindow, ...]], None] = lambda _: None
        """Takes the list of windows whenever it changes."""
        self._observe = observe
        self._folder = folder
        self._home = folder / "home"
        self._machine = f"mac-{fresh_secret()[:16]}"
        self._process: asyncio.subprocess.Process | None = None
        self._listening: list[asyncio.Task[None]] = []
        self._windows: dict[str, DesktopWindow] = {}
        self._last_window = 0
        self._shared = False
        self._typed = ""
        self._lines: deque[str] = deque(maxlen=MOST_LOG_LINES)
        self._words: deque[str] = deque(maxlen=MOST_LOG_LINES)

    @classmethod
    async def create(cls, name: str, root: Path, observe: Callable[[Any], None]) -> MacMachine:
        """Make a Mac in its clean first state, switched off, in ``root/name``.

        Raises:
            OSError: the folder cannot be used.
        """
        folder = root / name
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        (folder / "home").mkdir(parents=True)
        return cls(name, folder, observe)

    # --- power, of which there is none ----------------------------------------------------------------------------

    async def power_on(self) -> None:
        """Have a Mac that runs already."""
        self.phase = "welcome"

    async def log_on(self, user: str = "customer") -> None:
        """Sign the customer in; whoever is signed in already just stays."""
        if user != "customer":
            raise NotPossible(f"log on as {user!r}: this Mac knows one customer only")
        if not self.signed_in:
            self.signed_in = True
            self._observe(seen.LoggedOn("customer", "visible", True))
        self.phase = "desktop"
        self._observe(seen.PhaseBegan("desktop"))

    async def restart(self, cause: str) -> None:
        """Go on as before: the harness's own restart of a PC is only a look at a Mac.

        Raises:
            NotPossible: somebody else wants a restart.
        """
        if cause != "probe":
            raise _never("restart it")

    async def reach(self, phase: str, limit_s: float = END_LIMIT_S) -> None:
        """Every phase that a PC comes through after the harness's restart is behind a Mac."""
        del phase, limit_s

    async def log_off(self) -> None:
        """Refused."""
        raise _never("sign the customer out")

    async def power_cut(self) -> None:
        """Refused."""
        raise _never("take its power away")

    async def crash(self) -> None:
        """Refused."""
        raise _never("crash it")

    async def shut_down(self) -> None:
        """Refused."""
        raise _never("shut it down")

    async def owner_sets_boot_flag(self) -> None:
        """Refused."""
        raise _never("set a boot option of Windows'")

    async def show_restart_dialog(self) -> None:
        """Refused."""
        raise _never("show Windows' restart dialog")

    async def run_installer(self, **how: Any) -> None:
        """Refused."""
        del how
        raise _never("run an installer for Windows")

    async def block_shutdown(self, on: bool) -> None:
        """Refused; taking it back is nothing to do."""
        if on:
            raise _never("hold up a shutdown")

    async def out_of_the_block_screen(self) -> None:
        """There is never one to leave."""

    async def answer_restarts_with(self, error: int) -> None:
        """Refused; taking it back is nothing to do."""
        if error:
            raise _never("answer restart requests with an error of Windows'")

    async def watch(self, watches: tuple[Watch, ...]) -> None:
        """Nothing to watch: requests to the operating system are told as they come."""
        del watches

    # --- the program ----------------------------------------------------------------------------------------------

    def install(self, mode: AgentMode, address: Address, language: str) -> None:
        """Write the program's configuration; the authority's file stays where it is."""
        del language  # the account's own comes with the session
        config = {
            "server": f"wss://{address.host}:{address.port}/agent", "ca_file": address.ca_file,
            "machine": self._machine, "user": "customer", "mode": mode,
        }
        (self._folder / "mac.json").write_bytes(msgspec.json.encode(config))

    async def join(self, code: str) -> None:
        """Start the program and type the code; one that runs already is told the new code.

        Raises:
            OSError: the program cannot be started.
        """
        if self._process is not None and self._process.returncode is None:
            await self._say({"do": "join", "code": code})
            return
        await self._ended()
        root = str(Path(__file__).parents[3])
        inherited = os.environ.get("PYTHONPATH", "")
        env = {
            "PATH": os.environ.get("PATH", ""), "HOME": str(self._home), "TMPDIR": str(self._home),
            "PYTHONPATH": os.pathsep.join(filter(None, (root, inherited))), "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", PROGRAM, "--config", str(self._folder / "mac.json"), cwd=self._home, env=env,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES, start_new_session=True,
        )
        self._listening = [
            asyncio.create_task(self._hear(self._process)), asyncio.create_task(self._keep_log(self._process)),
        ]
        await self._write(code.encode() + b"\n")

    def processes(self) -> dict[int, str]:
        """Return the Mac's processes: process id to command line."""
        process = self._process
        if process is None or process.returncode is not None:
            return {}
        return {process.pid: f"python -m {PROGRAM}"}

    async def kill_program(self, is_it: Callable[[str], bool]) -> None:
        """End the program as a crash would.

        Raises:
            NotPossible: it does not run.
        """
        if not any(is_it(line) for line in self.processes().values()):
            raise NotPossible("expected the program to run, so that it can be ended; it does not")
        assert self._process is not None
        processes.send(self._process)
        await self._ended()

    async def _say(self, word: dict[str, str]) -> None:
        await self._write(msgspec.json.encode(word) + b"\n")

    async def _write(self, data: bytes) -> None:
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None:
            raise NotPossible("the agent on the Mac does not run; the customer has to start it first")
        process.stdin.write(data)
        try:
            await process.stdin.drain()
        except ConnectionError:
            raise NotPossible("the agent on the Mac has just ended; the customer has to start it anew") from None

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        """Take up what the program shows, until it ends; its windows end with it."""
        assert process.stdout is not None
        async for line in process.stdout:
            self._lines.append(line.decode("utf-8", "replace").rstrip())
            self._shown(msgspec.json.decode(line))
        await process.wait()
        if self._process is process:
            self._shared = False
            self._windows.clear()
            self.eyes_saw(())

    async def _keep_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self._words.append(line.decode("utf-8", "replace").rstrip())

    def _shown(self, told: dict[str, Any]) -> None:
        match told["event"]:
            case "window shown":
                self._windows[told["window"]] = self._window(told["window"], told["text"])
            case "window gone":
                self._windows.pop(told["window"], None)
            case "screen capture":
                self._shared = told["on"]
                if "chat" in self._windows:
                    chat = self._windows["chat"]
                    self._windows["chat"] = msgspec.structs.replace(chat, controls=self._controls("chat"))
            case "request":
                self._observe(seen.HostCall(_VERBS[told["what"]], told["ok"]))
                return
            case _:
                return
        self.eyes_saw(tuple(self._windows.values()))

    def _window(self, name: str, text: str) -> DesktopWindow:
        self._last_window += 1
        pid = self._process.pid if self._process is not None else 0
        return DesktopWindow(
            self._last_window, pid, PROGRAM, f"mac.{name}", text or name, WHOLE_SCREEN, self._controls(name)
        )

    def _controls(self, name: str) -> tuple[Control, ...]:
        buttons = [(_BUTTONS[button], "Button", button, True) for button in _BUTTONS_OF[name]]
        if name == "chat":
            buttons += [(LINE, "Edit", "", True), (SEND, "Button", "send", True), (SHARED, "Static", "", self._shared)]
        return tuple(Control(number, number, cls, text, WHOLE_SCREEN, there) for number, cls, text, there in buttons)

    # --- hands ----------------------------------------------------------------------------------------------------

    async def click(self, hwnd: int, control: int | str) -> None:
        """Press a control of a window.

        Raises:
            NotPossible: there is no such window or control any more, or no program to press it in.
        """
        window = next((name for name, one in self._windows.items() if one.hwnd == hwnd), None)
        if window is None:
            there = ", ".join(self._windows) or "none"
            raise NotPossible(f"press {control} in window {hwnd}: it is not there; there are: {there}")
        if control == LINE:
            return
        if control == SEND:
            text, self._typed = self._typed, ""
            await self._say({"do": "type", "text": text})
            return
        button = next((text for text in _BUTTONS_OF[window] if control in (text, _BUTTONS[text])), None)
        if button is None:
            raise NotPossible(f"press {control} in the {window}: it has {', '.join(_BUTTONS_OF[window])}")
        await self._say({"do": "press", "window": window, "button": button})

    async def type_text(self, text: str) -> None:
        """Type into the line of the chat."""
        self._typed += text

    async def press_key(self, key: str) -> None:
        """Press Return, which sends the line."""
        if key == "Return" and "chat" in self._windows:
            await self.click(self._windows["chat"].hwnd, SEND)

    # --- what is seen of it -----------------------------------------------------------------------------------------

    async def look_before(self, moment_us: int) -> None:
        """Everything it tells is told at once, by itself: there is nothing to look up."""

    async def inventory(self) -> tuple[str, ...]:
        """List the files in the process's home folder: what a session could leave behind."""
        return await asyncio.to_thread(self._files)

    def _files(self) -> tuple[str, ...]:
        found = (path for path in self._home.rglob("*") if path.is_file())
        return tuple(sorted(f"file:{path.relative_to(self._home).as_posix()}" for path in found))

    def window_kind(self, window: DesktopWindow) -> seen.Window | None:
        """There are no windows of the system's own."""
        del window
        return None

    def dialog_controls(self, window: seen.Window, button: str) -> tuple[int | str, ...]:
        """There are no dialogs of the system's own."""
        del window, button
        return ()

    def screenshot(self) -> bytes:
        """Refused: a desk without windows has no picture."""
        raise NotPossible("a Mac without windows has no picture; its log holds what it showed")

    def when_failed(self, hear: Callable[[Exception], None]) -> None:
        """Nobody is told: a process that ends is an observation, and what goes wrong is raised where it is asked."""

    async def fetch(self) -> None:
        """Nothing has to be brought: the program runs on this computer."""

    def log(self) -> bytes:
        """Return what the program showed, for the bundle; there is no secret in it."""
        return "\n".join(self._lines).encode()

    def agent_log(self) -> bytes:
        """Return what the agent logged."""
        return "\n".join(self._words).encode()

    # --- the end --------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the program and remove everything of this Mac."""
        process = self._process
        if process is not None and process.returncode is None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                async with asyncio.timeout(END_LIMIT_S):
                    await process.wait()
            except TimeoutError:
                processes.send(process)
        await self._ended()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _ended(self) -> None:
        """Wait until everything that a program that has ended said is taken up."""
        process, listening = self._process, self._listening
        if process is None:
            return
        try:
            async with asyncio.timeout(END_LIMIT_S):
                await asyncio.gather(*listening, process.wait())
        except TimeoutError:
            for task in listening:
                task.cancel()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        self._process, self._listening = None, []


def _never(what: str) -> NotPossible:
    return NotPossible(f"{what}: not possible with a Mac, which no run restarts; use a Windows machine for this case")


class MacAgent:
    """The adapter of the Mac's program."""

    name = "rragent for the Mac"
    modes: frozenset[AgentMode] = frozenset({"application", "service"})
    observes: frozenset[str] = SEEN_THROUGH_AGENT
    lacks: frozenset[Capability] = frozenset()
    executables: tuple[str, ...] = ()

    def secrets(self) -> tuple[str, ...]:
        """It needs no credential."""
        return ()

    async def prepare(self, progress: Progress) -> str:
        """Nothing is built: the program is this version of rrsim itself."""
        from rrsim import __version__

        progress("the Mac's agent needs no build")
        return __version__

    async def lay_in(self, machine: Any) -> None:
        """Nothing: the program is where it runs."""

    async def install(self, machine: Any, mode: AgentMode, address: Address, language: str) -> None:
        """Configure the program."""
        await asyncio.to_thread(machine.install, mode, address, language)

    async def start_support(self, machine: Any, code: str) -> None:
        """Start the program and type the code into its standard input."""
        await machine.join(code)

    def window(self, window: DesktopWindow) -> seen.Window | None:
        """Name one of the program's windows."""
        name: Any = window.cls.removeprefix("mac.")
        return name if name in _BUTTONS_OF else None

    def control(self, window: seen.Window, button: str) -> int | None:
        """Return a button's id."""
        return _BUTTONS[button] if button in _BUTTONS_OF.get(window, ()) else None

    def shows_sharing(self, window: DesktopWindow) -> bool:
        """Say whether the chat says that the screen is shared."""
        return any(one.id == SHARED and one.visible for one in window.controls)

    def core_process(self, command_line: str) -> bool:
        """Say whether this is the program."""
        return PROGRAM in command_line

    def helper_process(self, command_line: str) -> bool:
        """There is no helper: the program is its own."""
        del command_line
        return False

    def chat_controls(self) -> tuple[int, int]:
        """Return line and send button."""
        return LINE, SEND

    def started_by(self, command_line: str, mode: AgentMode) -> StartedBy:
        """A Mac's program is started by hand, or runs as a service."""
        del command_line
        return "service" if mode == "service" else "customer"

    def watches(self, mode: AgentMode) -> tuple[Watch, ...]:
        """Nothing on a Mac changes for a restart that never comes."""
        del mode
        return ()

    def belongs(self, item: str) -> bool:
        """Nothing of the program lies in the folder that is looked at."""
        del item
        return False

    def plain_name(self, item: str) -> str:
        """Items are named as they are found."""
        return item

    def logs(self, machine: Any) -> dict[str, bytes]:
        """Return the program's log."""
        return {"agent-mac.log": machine.agent_log()}
