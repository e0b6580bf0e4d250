"""The agent on a Mac, as a program: ``python -m rrsim.agent.mac --config FILE``.

Core, shell, connection and protocol are the same as on Windows. What differs is below them:

* A Mac is never restarted (R10): hands carry out no request that has to do with a restart, and keep no record. What
  would have to be undone was never done, so undoing it succeeds.
* The desk has no windows. It keeps the lines of the chat and answers nothing by itself; what a window would show goes
  to standard output as JSON lines, and whoever drives the program presses buttons by JSON lines on standard input.

The first line of standard input is the support code: never the command line, where everybody could read it. When
standard input ends, the program ends. Log lines go to standard error and hold no secret.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from rrsim.agent import host
from rrsim.agent.outside import Endpoint, HostError, NotSecure
from rrsim.agent.runtime import Agent
from rrsim.agent.windows.chat_lines import ChatLines
from rrsim.live_clock import draw_eighth
from rrsim.protocol.messages import AgentMode

MAX_CONFIG_BYTES: Final = 64 * 1024
MAX_INPUT_BYTES: Final = 64 * 1024
"""Longest line of standard input that is taken."""
NEVER: Final = "a Mac is never restarted"

Window = Literal["chat", "restart prompt", "sharing prompt", "leave prompt", "cancel option", "notice"]
Tell = Callable[..., None]
"""Writes one JSON line: the event's name, then its fields."""


class ConfigError(ValueError):
    """The configuration file is not there or cannot be used."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the configuration file holds. There is no secret in it."""

    server: str
    """``wss://host:port/agent``."""
    machine: str
    """Identity of this Mac; survives everything."""
    ca_file: str = ""
    """File with the authority to trust instead of the system's; relative to the configuration file."""
    user: str = "customer"
    """Who is signed in."""
    mode: AgentMode = "application"
    """``service``: the program goes on when a session is over, and waits for the next code."""


class Press(msgspec.Struct, frozen=True, tag="press", tag_field="do", forbid_unknown_fields=True):
    """Press a button: ``yes`` or ``no`` of a prompt, ``close`` of the chat, ``cancel``, ``ok`` of a notice."""

    window: Window
    button: str


class Type(msgspec.Struct, frozen=True, tag="type", tag_field="do", forbid_unknown_fields=True):
    """Type a line into the chat."""

    text: str


class Join(msgspec.Struct, frozen=True, tag="join", tag_field="do", forbid_unknown_fields=True):
    """Ask for support anew, with another code."""

    code: str


_WORDS: Final = msgspec.json.Decoder(Press | Type | Join)


def read_config(path: Path) -> Config:
    """Return the configuration, with the authority's file as an absolute path.

    Raises:
        ConfigError: it is missing, too large, or not what is expected.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"expected a configuration file at {path}, saw: {error.strerror}; is that right?") from None
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError(f"expected at most {MAX_CONFIG_BYTES} bytes in {path}, saw {len(data)}; is it that file?")
    try:
        config = msgspec.json.decode(data, type=Config)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        example = '{"server": "wss://host:port/agent", "machine": "NAME", "ca_file": "ca.pem"}'
        raise ConfigError(f"expected {example} in {path}, saw something else: {error}") from None
    if config.ca_file:
        config = msgspec.structs.replace(config, ca_file=str(path.parent.resolve() / config.ca_file))
    return config


def boot_mark() -> str:
    """Return what identifies the running boot of this computer; empty where it does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        pass
    try:
        done = subprocess.run(
            ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"), capture_output=True, text=True, timeout=5, check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


class MacHands:
    """Refuses whatever a restart needs; taking back what was never done succeeds."""

    _NOTHING: Final[dict[type, str]] = {
        host.Erase: "", host.DisarmAutostart: "", host.UnregisterSafeBoot: "", host.ClearBootFlag: "",
        host.AbortRestart: "", host.ReadSafeBootKey: "absent", host.ReadBootFlag: "absent",
    }

    def __init__(self, tell: Tell) -> None:
        """``tell`` hears of every request and what came of it."""
        self._tell = tell

    def carry_out(self, what: host.HostRequest) -> str:
        """Say what is there, which is nothing.

        Raises:
            HostError: the request has to do with a restart.
        """
        done = type(what) in self._NOTHING
        self._tell("request", what=type(what).__name__, ok=done)
        if not done:
            raise HostError(NEVER)
        return self._NOTHING[type(what)]


class LineDesk:
    """A desk without windows: says what windows would show, and keeps the chat. Thread safe."""

    def __init__(self, tell: Tell) -> None:
        """``tell`` hears what windows would show."""
        self._tell = tell
        self.put: Callable[[host.Input], None] = lambda _: None
        """Takes what the person did."""
        self._lock = threading.RLock()
        self._open: dict[Window, int] = {}
        """Windows that would be there; for prompts with the core's number."""
        self.chat = ChatLines()

    def settings(self, language: str, phone_mode: bool) -> None:
        """The account's language and kind of window; there is no window to change."""

    def forget(self) -> None:
        """The session is over and the program stays: its chat belongs to nobody any more."""
        with self._lock:
            self.chat.forget()

    def do(self, effect: Any) -> None:
        """Carry out an effect that concerns windows and the screen."""
        with self._lock:
            match effect:
                case host.OpenChat():
                    self._show("chat")
                case host.CloseChat():
                    self._hide("chat")
                case host.ShowPrompt():
                    self._show(_PROMPTS[effect.kind], effect.prompt)
                case host.HidePrompt():
                    for window in [w for w in _PROMPTS.values() if self._open.get(w) == effect.prompt]:
                        self._hide(window)
                case host.ShowCancel():
                    self._show("cancel option")
                case host.HideCancel():
                    self._hide("cancel option")
                case host.ShowChat():
                    self._line(effect.author, effect.text)
                case host.Tell():
                    if effect.what == "line not sent":
                        self.chat.not_sent()
                    self._hide("notice")
                    self._show("notice", text=effect.what)
                case host.Capture():
                    self._tell("screen capture", on=effect.on)
                case _:
                    self._tell("not shown", what=type(effect).__name__)

    def person_does(self, word: Press | Type | Join) -> None:
        """The person at the Mac does something; what is not possible is said and changes nothing."""
        with self._lock:
            match word:
                case Join():
                    self.put(host.CustomerStarts(word.code))
                case Type() if "chat" in self._open:
                    self.chat.typed(word.text)
                    self.put(host.ChatTyped(word.text))
                case Type():
                    self._tell("not possible", why="the chat window is not open")
                case _:
                    self._press(word.window, word.button)

    def _press(self, window: Window, button: str) -> None:
        number = self._open.get(window)
        if number is None:
            self._tell("not possible", why=f"the {window} is not open")
        elif window in _PROMPTS.values() and button in ("yes", "no"):
            self._hide(window)
            self.put(host.Answered(number, "yes" if button == "yes" else "no"))
        elif (window, button) == ("chat", "close"):
            self.put(host.CloseClicked())
        elif (window, button) == ("cancel option", "cancel"):
            self.put(host.CancelClicked())
        elif (window, button) == ("notice", "ok"):
            self._hide("notice")
        else:
            self._tell("not possible", why=f"the {window} has no such button")

    def _show(self, window: Window, number: int = 0, text: str = "") -> None:
        if self._open.get(window) == number:
            return
        self._open[window] = number
        self._tell("window shown", window=window, text=text)

    def _hide(self, window: Window) -> None:
        if self._open.pop(window, None) is not None:
            self._tell("window gone", window=window)

    def _line(self, author: str, text: str) -> None:
        if self.chat.heard(author, text):
            self._tell("chat line", author=author, text=text)


_PROMPTS: Final[dict[host.PromptKind, Window]] = {
    "restart": "restart prompt", "sharing": "sharing prompt", "leave": "leave prompt",
}


class JsonLines:
    """Writes JSON lines to a file descriptor, each in one piece, from any thread."""

    def __init__(self, descriptor: int) -> None:
        """Write to ``descriptor``; a reader that is gone costs the lines, never the session."""
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def __call__(self, event: str, **fields: Any) -> None:
        """Write one line."""
        data = memoryview(msgspec.json.encode({"event": event, **fields}) + b"\n")
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._descriptor, data):]
            except OSError:
                return


def input_lines(descriptor: int) -> Iterator[bytes]:
    """Yield the lines of standard input without their ends; one that is too long comes as an empty one.

    It reads the descriptor itself: a thread that waits in a buffered reader would hold up the end of the process.
    """
    rest, too_long = b"", False
    while True:
        try:
            data = os.read(descriptor, 4096)
        except OSError:
            return
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield b"" if too_long else line.rstrip(b"\r")
            too_long = False
        if len(rest) > MAX_INPUT_BYTES:
            rest, too_long = b"", True
        if not data:
            if rest and not too_long:
                yield rest
            return


def _listen(lines: Iterator[bytes], desk: LineDesk, tell: Tell, ended: Callable[[], None]) -> None:
    """Carry out what comes in on standard input, until it ends; for a thread of its own."""
    for line in lines:
        try:
            word = _WORDS.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            # What was typed is not repeated: it may be a code.
            tell("not understood", expected='{"do": "press"|"type"|"join", …}')
        else:
            desk.person_does(word)
    ended()


def log(text: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(" ".join(text.split()) + "\n")
    sys.stderr.flush()


async def be_the_agent(config: Config, code: str, lines: Iterator[bytes], tell: Tell) -> str:
    """Run the agent in this process until it ends itself, or standard input ends; return the reason."""
    desk = LineDesk(tell)
    agent = Agent(Endpoint(config.server, config.ca_file), MacHands(tell), desk, log, draw_eighth)
    desk.put = agent.put
    service = config.mode == "service"
    facts = host.BootFacts(
        boot=f"{config.machine}/{boot_mark()}", machine=config.machine, platform="mac", mode=config.mode,
        safe_mode=False, elevated=False, user=config.user, desktop="visible",
    )
    # There is no process besides this one: a service on a Mac is its own desktop helper.
    helper = (host.HelperReady("visible", config.user),) if service else ()
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGTERM, agent.stop, "the program was told to end")
    tell("started", boot=facts.boot, user=config.user, mode=config.mode)
    running = loop.create_task(agent.run(host.Started(facts, None), *helper, host.CustomerStarts(code)))
    reader = threading.Thread(
        target=_listen, args=(lines, desk, tell, lambda: agent.stop("standard input ended")), daemon=True, name="input"
    )
    loop.call_soon(reader.start)  # not before the agent's own loop has begun: what came earlier would be dropped
    return await running


def main(arguments: list[str] | None = None) -> int:
    """Read options, configuration and code, and be the agent.

    Returns:
        0 when the agent has ended, 1 without a code, 64 if the configuration cannot be used.
    """
    parser = argparse.ArgumentParser(prog="python -m rrsim.agent.mac", description="The agent on a Mac.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file with server, machine and ca_file")
    given = parser.parse_args(arguments)
    try:
        config = read_config(given.config)
        if not config.server.startswith("wss://"):
            raise NotSecure(f"expected a server address that begins with wss://; mend {given.config}")
    except (ConfigError, NotSecure) as error:
        log(str(error))
        return 64
    lines = input_lines(sys.stdin.fileno())
    code = next(lines, b"").decode("utf-8", "replace").strip()
    if not code:
        log("expected the support code as the first line of standard input, saw none; type it, then Return")
        return 1
    tell = JsonLines(sys.stdout.fileno())
    reason = asyncio.run(be_the_agent(config, code, lines, tell))
    tell("ended", reason=reason)
    return 0


if __name__ == "__main__":
    sys.exit(main())
