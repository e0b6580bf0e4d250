"""Ways to say one command to the QEMU guest agent: over a byte stream, or through a function that the caller has.

The agent's port keeps what an earlier user left unread. So a conversation begins with ``guest-sync-delimited``: a
number is sent, and everything is thrown away until it comes back behind a byte that no JSON text can contain.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Final, Protocol

from rrsim.backends.live.shells.base import Deadline, in_thread
from rrsim.backends.live.shells.interface import NotYet, ShellFault, ShellLost
from rrsim.live_clock import fresh_secret

ANSWER_BYTES_MAX: Final = 24 * 1024 * 1024
"""The agent itself keeps at most 16 MiB of a command's output; in base64 that is a third more."""
SENTINEL: Final = b"\xff"
_READ_BYTES: Final = 64 * 1024


class AgentLine(Protocol):
    """Says one command at a time to the agent."""

    async def begin(self, deadline: Deadline) -> None:
        """Make sure that the agent answers, and that its next answer is to the next command.

        Raises:
            NotYet: it does not answer.
        """

    async def say(self, command: str, arguments: dict[str, Any], deadline: Deadline) -> Any:
        """Say a command; return what the agent returns.

        Raises:
            ShellFault: the agent says that it cannot do this.
            ShellLost: the line broke.
        """

    def abort(self) -> None:
        """End the conversation at once."""


def _message(command: str, arguments: dict[str, Any]) -> str:
    return json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})


def _returned(command: str, answer: Any) -> Any:
    if isinstance(answer, dict) and "return" in answer:
        return answer["return"]
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        raise ShellFault(f"the guest agent says no to {command}: {error.get('desc')} ({error.get('class')})")
    raise ShellFault(f"the guest agent answered {command} with something else than JSON of its own")


def _sync_number() -> int:
    return int(fresh_secret()[:12], 16)  # 48 bits: JSON numbers keep that exactly everywhere


class StreamLine:
    """The agent's port as an asyncio stream: a Unix socket that QEMU serves, usually."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take over a stream; it is closed with the shell."""
        self._reader = reader
        self._writer = writer
        self._unread = bytearray()

    async def begin(self, deadline: Deadline) -> None:  # noqa: ARG002 -- the shell ends it in time
        """Synchronise; see :class:`AgentLine`. A missed deadline is the caller's."""
        number = _sync_number()
        # The byte in front ends whatever half a command an earlier user left in the agent's parser.
        try:
            await self._write(SENTINEL + _message("guest-sync-delimited", {"id": number}).encode() + b"\n")
            while True:
                await self._skip_to_sentinel()
                if await self._line() == {"return": number}:
                    return
        except ShellLost as error:
            raise NotYet(f"the guest agent's port is open, and nobody answers there ({error})") from None

    async def say(self, command: str, arguments: dict[str, Any], deadline: Deadline) -> Any:  # noqa: ARG002 -- as above
        """Say a command; return what the agent returns."""
        await self._write(_message(command, arguments).encode() + b"\n")
        return _returned(command, await self._line())

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise ShellLost(f"the guest agent's port is closed ({error})", sent=True) from None

    async def _more(self) -> None:
        try:
            data = await self._reader.read(_READ_BYTES)
        except OSError as error:
            raise ShellLost(f"the guest agent's port broke ({error})", sent=True) from None
        if not data:
            raise ShellLost("the guest agent's port was closed", sent=True)
        self._unread += data
        if len(self._unread) > ANSWER_BYTES_MAX:
            raise ShellLost(f"the guest agent's answer has more than {ANSWER_BYTES_MAX} bytes", sent=True)

    async def _skip_to_sentinel(self) -> None:
        while (at := self._unread.find(SENTINEL)) < 0:
            self._unread.clear()
            await self._more()
        del self._unread[: at + 1]

    async def _line(self) -> Any:
        """Return the next line that holds JSON; nothing for one that does not."""
        looked_at = 0
        while (end := self._unread.find(b"\n", looked_at)) < 0:
            looked_at = len(self._unread)
            await self._more()
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        try:
            return json.loads(line)
        except ValueError:
            return None

    def abort(self) -> None:
        """Close the stream at once."""
        with contextlib.suppress(RuntimeError):  # its loop is closed
            self._writer.transport.abort()


class CallLine:
    """The agent behind a blocking function, such as libvirt's, which does the synchronising itself."""

    def __init__(
        self, agent_command: Callable[[str, int], str], failures: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        """``agent_command`` takes a command as JSON and a limit in whole seconds, and returns the answer as JSON.

        ``failures``: what it raises if the agent or the machine does not answer, such as ``libvirt.libvirtError``.
        """
        self._agent_command = agent_command
        self._failures = failures

    async def begin(self, deadline: Deadline) -> None:
        """Make sure that the agent answers; see :class:`AgentLine`."""
        try:
            await self.say("guest-ping", {}, deadline)
        except ShellLost as error:
            raise NotYet(f"the guest agent does not answer ({error})") from None

    async def say(self, command: str, arguments: dict[str, Any], deadline: Deadline) -> Any:
        """Say a command; return what the agent returns."""
        limit_s = max(1, int(deadline.left_s))
        message = _message(command, arguments)
        try:
            answer = await in_thread("guest agent", lambda: self._agent_command(message, limit_s))
        except self._failures as error:
            raise ShellLost(f"no answer to {command}: {error}", sent=True) from None
        try:
            parsed = json.loads(answer)
        except (ValueError, TypeError):
            parsed = None
        return _returned(command, parsed)

    def abort(self) -> None:
        """Nothing can end the function from outside; it returns by its own limit, and nobody waits for it."""
