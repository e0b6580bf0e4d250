"""The QEMU guest agent as a shell: no network needed, it talks through a port of the virtual machine.

The agent starts programs itself, without an interpreter, and keeps their output until it is asked for.
"""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path
from typing import Any, Final

from rrsim.backends.live.shells.agent_line import AgentLine
from rrsim.backends.live.shells.base import BaseShell, Deadline, in_thread
from rrsim.backends.live.shells.decoding import decode, powershell_errors
from rrsim.backends.live.shells.detached import detached_line, started_pid
from rrsim.backends.live.shells.interface import (
    MOST_OUTPUT_BYTES,
    OPEN_LIMIT_S,
    Boot,
    Command,
    DeadlineMissed,
    Result,
    ShellFault,
    ShellLost,
    System,
    TooMuch,
)
from rrsim.backends.live.shells.quoting import argv
from rrsim.backends.live.timers import pause

FIRST_LOOK_US: Final = 10_000
LATEST_LOOK_US: Final = 500_000
"""A command's end is looked for at growing distances between these."""
PIECE_BYTES: Final = 128 * 1024
"""Of a file in one message: hypervisors limit the size of an agent's message to some megabytes."""
NEEDED: Final = ("guest-exec", "guest-exec-status", "guest-file-open", "guest-file-read", "guest-file-write")
"""Commands that an agent's configuration may forbid, and that this shell lives by."""


class GuestAgentShell(BaseShell):
    """A way into the machine through its guest agent."""

    name = "guest agent"

    def __init__(
        self, line: AgentLine, *, boot: Boot, system: System, most_output_bytes: int = MOST_OUTPUT_BYTES,
    ) -> None:
        """Hold a shell over this line; it is closed with the shell."""
        super().__init__(system, boot)
        self._line = line
        self._most_output_bytes = most_output_bytes
        self.version = ""
        """The agent's, once it was opened."""

    def _abort(self) -> None:
        self._line.abort()

    async def _connect(self, deadline: Deadline) -> None:
        await self._line.begin(deadline)
        info = await self._line.say("guest-info", {}, deadline)
        self.version = str(info.get("version", ""))
        allowed = {one["name"] for one in info.get("supported_commands", ()) if one.get("enabled", True)}
        if missing := [name for name in NEEDED if name not in allowed]:
            raise ShellFault(f"the guest agent {self.version} may not do {', '.join(missing)}; allow them in its "
                             "configuration (block-rpcs, allow-rpcs) in the image")

    async def _say_goodbye(self, deadline: Deadline) -> None:
        """Nothing to say: the agent keeps nothing of a conversation."""

    async def ping(self, *, limit_s: float = OPEN_LIMIT_S) -> None:
        """Check that the agent answers."""
        await self._call("open", "asking for an answer", lambda deadline: self._line.say("guest-ping", {}, deadline),
                         limit_s)

    # --- commands -----------------------------------------------------------------------------------------------------

    async def run(self, command: Command, *, limit_s: float) -> Result:
        """Run a command to its end."""
        program, *arguments = argv(command, self.system)

        async def work(deadline: Deadline) -> dict[str, Any]:
            pid = await self._start(program, arguments, deadline, capture=True)
            return await self._end_of(pid, deadline)

        status: dict[str, Any] = await self._call("open", "running a command", work, limit_s)
        out, err = (base64.b64decode(status.get(name, "")) for name in ("out-data", "err-data"))
        cut = status.get("out-truncated") or status.get("err-truncated")
        if cut or max(len(out), len(err)) > self._most_output_bytes:
            raise TooMuch(f"the command printed more than {self._most_output_bytes} bytes, or than the agent keeps; "
                          "let it write into a file")
        if "exitcode" not in status:
            self._end("its last command ended without an exit code")
            raise ShellLost(f"the command ended without an exit code (signal or exception {status.get('signal')})",
                            sent=True)
        return Result(status["exitcode"] & 0xFFFF_FFFF, decode(out), powershell_errors(decode(err)))

    async def _start(self, program: str, arguments: list[str], deadline: Deadline, *, capture: bool) -> int:
        self._sent = True
        started = await self._line.say(
            "guest-exec", {"path": program, "arg": arguments, "capture-output": capture}, deadline,
        )
        return int(started["pid"])

    async def _end_of(self, pid: int, deadline: Deadline) -> dict[str, Any]:
        wait_us = FIRST_LOOK_US
        while not deadline.passed:
            try:
                status: dict[str, Any] = await self._line.say("guest-exec-status", {"pid": pid}, deadline)
            except ShellFault as error:
                raise ShellLost(f"the guest agent forgot a command that it had started ({error}); it, or the machine, "
                                "was restarted", sent=True) from None
            if status.get("exited"):
                return status
            await pause(min(wait_us, max(1000, round(deadline.left_s * 1_000_000))))
            wait_us = min(wait_us * 2, LATEST_LOOK_US)
        raise DeadlineMissed(f"the command did not end within {deadline.limit_s:g} s; it runs on in the machine")

    async def start_detached(self, command: Command, *, limit_s: float = OPEN_LIMIT_S) -> int:
        """Start a command that outlives the connection; return its process id.

        On Windows WMI starts it, as in the other shells: it then outlives the agent, too.
        """
        return started_pid(self.system, await self.run(detached_line(self.system, command), limit_s=limit_s))

    # --- files --------------------------------------------------------------------------------------------------------

    async def put(self, local: Path, remote: str, *, limit_s: float) -> None:
        """Copy a file into the machine. It is written under another name and then renamed."""
        data = await in_thread("file", local.read_bytes)
        draft = f"{remote}.part"
        await self._call("open", f"copying {local.name} into the machine",
                         lambda deadline: self._write(data, draft, deadline), limit_s)
        await self._rename(draft, remote, limit_s)

    async def _write(self, data: bytes, remote: str, deadline: Deadline) -> None:
        handle = await self._line.say("guest-file-open", {"path": remote, "mode": "wb"}, deadline)
        try:
            at = 0
            while at < len(data):
                piece = base64.b64encode(data[at:at + PIECE_BYTES]).decode("ascii")
                answer = await self._line.say("guest-file-write", {"handle": handle, "buf-b64": piece}, deadline)
                if answer["count"] <= 0:
                    raise ShellFault(f"the guest agent wrote {at} of {len(data)} bytes to {remote}; is its disk full?")
                at += answer["count"]  # it may write less than it was given
            await self._line.say("guest-file-flush", {"handle": handle}, deadline)
        finally:
            await self._close_file(handle, deadline)

    async def _rename(self, draft: str, remote: str, limit_s: float) -> None:
        """The agent has no command for it, so a program does it."""
        command: Command = ["mv", "-f", draft, remote]
        if self.system == "windows":
            command = ["cmd.exe", "/d", "/c", "move", "/y", draft, remote]
        result = await self.run(command, limit_s=limit_s)
        if result.code != 0:
            raise ShellFault(f"{draft} could not be renamed to {remote}: {(result.err or result.out).strip()[:300]}")

    async def get(self, remote: str, *, limit_bytes: int, limit_s: float) -> bytes:
        """Read a file of the machine."""
        found: bytes = await self._call("open", f"reading {remote}",
                                        lambda deadline: self._read(remote, limit_bytes, deadline), limit_s)
        return found

    async def _read(self, remote: str, limit_bytes: int, deadline: Deadline) -> bytes:
        handle = await self._line.say("guest-file-open", {"path": remote, "mode": "rb"}, deadline)
        data = bytearray()
        try:
            while True:
                count = min(PIECE_BYTES, limit_bytes + 1 - len(data))
                answer = await self._line.say("guest-file-read", {"handle": handle, "count": count}, deadline)
                piece = base64.b64decode(answer["buf-b64"])
                data += piece
                if len(data) > limit_bytes:
                    raise TooMuch(f"{remote} has more than the {limit_bytes} bytes that are allowed")
                if answer["eof"] or not piece:
                    return bytes(data)
        finally:
            await self._close_file(handle, deadline)

    async def _close_file(self, handle: int, deadline: Deadline) -> None:
        if not deadline.passed:
            with contextlib.suppress(ShellFault, ShellLost):
                await self._line.say("guest-file-close", {"handle": handle}, deadline)
