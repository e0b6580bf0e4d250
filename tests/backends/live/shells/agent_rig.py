"""A stub of the QEMU guest agent at the other end of a socket pair: it really runs programs and really keeps files."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from rrsim.backends.live.shells.agent_line import StreamLine

COMMANDS = (
    "guest-sync-delimited", "guest-ping", "guest-info", "guest-exec", "guest-exec-status", "guest-file-open",
    "guest-file-read", "guest-file-write", "guest-file-flush", "guest-file-close",
)


class AgentError(Exception):
    """What the agent answers with an error."""


class StubAgent:
    """Stands in for qemu-ga. Its commands are as in QEMU's ``qga/qapi-schema.json``."""

    def __init__(self) -> None:
        self.disabled: set[str] = set()
        self.silent: set[str] = set()
        """Commands that are never answered."""
        self.cut_at = ""
        self.forgets = False
        """Started programs are not known afterwards, as after a restart of the agent."""
        self.writes_at_most = 1 << 20
        self.status: Callable[[dict[str, Any]], dict[str, Any]] = lambda status: status
        """Changes what is said of a program."""
        self.seen: list[str] = []
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._files: dict[int, BinaryIO] = {}

    # --- what it does ---------------------------------------------------------------------------------------------

    def answer(self, name: str, arguments: dict[str, Any]) -> Any:
        """Carry out one command."""
        self.seen.append(name)
        if name not in COMMANDS or name in self.disabled:
            raise AgentError(f"Command {name} has been disabled")
        does: Any = getattr(self, "_" + name.removeprefix("guest-").replace("-", "_"))
        return does(**{key.replace("-", "_"): value for key, value in arguments.items()})

    def _sync_delimited(self, id: int) -> int:  # noqa: A002 -- the protocol's own name
        return id

    def _ping(self) -> dict[str, Any]:
        return {}

    def _info(self) -> dict[str, Any]:
        return {"version": "7.2.0", "supported_commands": [
            {"name": name, "enabled": name not in self.disabled, "success-response": True} for name in COMMANDS
        ]}

    def _exec(self, path: str, arg: list[str], capture_output: bool) -> dict[str, int]:
        assert capture_output
        try:
            started = subprocess.Popen([path, *arg], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
        except OSError as error:
            raise AgentError(f"Guest agent command failed, error was '{error}'") from None
        self._running[started.pid] = started
        return {"pid": started.pid}

    def _exec_status(self, pid: int) -> dict[str, Any]:
        started = self._running.get(pid)
        if started is None or self.forgets:
            raise AgentError("Invalid parameter 'pid'")
        if started.poll() is None:
            return {"exited": False}
        out, err = started.communicate()
        del self._running[pid]
        status: dict[str, Any] = {"exited": True}
        if started.returncode >= 0:
            status["exitcode"] = started.returncode
        else:
            status["signal"] = -started.returncode
        for key, data in (("out-data", out), ("err-data", err)):
            if data:
                status[key] = base64.b64encode(data).decode()
        return self.status(status)

    def _file_open(self, path: str, mode: str) -> int:
        try:
            file: BinaryIO = Path(path).open(mode)  # type: ignore[assignment]  # noqa: SIM115 -- kept by its handle
        except OSError as error:
            raise AgentError(f"failed to open file '{path}' (mode: '{mode}'): {error.strerror}") from None
        handle = 1000 + len(self.seen)
        self._files[handle] = file
        return handle

    def _file_read(self, handle: int, count: int) -> dict[str, Any]:
        data = self._files[handle].read(count)
        return {"count": len(data), "buf-b64": base64.b64encode(data).decode(), "eof": len(data) < count}

    def _file_write(self, handle: int, buf_b64: str) -> dict[str, Any]:
        data = base64.b64decode(buf_b64)[: self.writes_at_most]
        self._files[handle].write(data)
        return {"count": len(data), "eof": False}

    def _file_flush(self, handle: int) -> dict[str, Any]:
        self._files[handle].flush()
        return {}

    def _file_close(self, handle: int) -> dict[str, Any]:
        self._files.pop(handle).close()
        return {}

    @property
    def open_files(self) -> int:
        return len(self._files)

    def close(self) -> None:
        """End the programs it started and close the files."""
        for started in self._running.values():
            started.kill()
            started.communicate()
        for file in self._files.values():
            file.close()

    # --- how it speaks --------------------------------------------------------------------------------------------

    def reply(self, line: bytes) -> bytes:
        """Return the answer to one line."""
        command = json.loads(line.lstrip(b"\xff"))
        name = command["execute"]
        try:
            answer: dict[str, Any] = {"return": self.answer(name, command.get("arguments", {}))}
        except AgentError as error:
            answer = {"error": {"class": "GenericError", "desc": str(error)}}
        start = b"\xff" if name == "guest-sync-delimited" else b""
        return start + json.dumps(answer).encode() + b"\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the other end has gone."""
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                name = json.loads(line.lstrip(b"\xff"))["execute"]
                if name == self.cut_at:
                    break
                answer = self.reply(line)
                if name not in self.silent:
                    writer.write(answer)
                    await writer.drain()
        writer.close()


async def connected(agent: StubAgent, *, left_over: bytes = b"") -> tuple[StreamLine, asyncio.Task[None]]:
    """Return a line to the agent over a socket pair; ``left_over``: an earlier user's unread answers."""
    here, there = socket.socketpair()
    there.sendall(left_over)
    reader, writer = await asyncio.open_connection(sock=there, limit=1 << 24)
    task = asyncio.ensure_future(agent.serve(reader, writer))
    return StreamLine(*await asyncio.open_connection(sock=here)), task
