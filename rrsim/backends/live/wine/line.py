"""The line to a helper inside the machine: lines of fields out, JSON lines in.

Verbs of the sign-in helper: ``mark VALUE``, ``identity N``, ``logon N``, ``start N COMMAND``,
``run N LIMIT_MS OUTPUT COMMAND``, ``registry N``, ``refuse ERROR``, ``word anyway|cancel``,
``begin restart|off|log off [force]``. The eyes know ``look N``. ``N`` numbers an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from rrsim.backends.live import processes

Fields = dict[str, Any]
LINE_LIMIT_BYTES = 4_000_000


class LineLost(Exception):
    """The helper at the other end is gone."""


class Line(ABC):
    """Questions and answers of one helper. ``hear`` gets every line that is not an awaited answer; it must not block.

    How the lines travel is for a subclass: pipes of a process, or the port of a virtual machine.
    """

    def __init__(self, name: str, hear: Callable[[Fields], None]) -> None:
        """Speak with a helper of this name."""
        self._name, self._hear = name, hear
        self._numbers = 0
        self._waiting: dict[str, asyncio.Future[Fields]] = {}
        self._lost = False
        self.last = "nothing"

    @abstractmethod
    def _send(self, line: bytes) -> None:
        """Send one line, its end included."""

    @abstractmethod
    async def close(self) -> None:
        """End the helper if it still runs, and forget the line."""

    def take(self, text: bytes | str) -> None:
        """Take up one line from the helper."""
        try:
            fields: Fields = msgspec.json.decode(text)
        except msgspec.DecodeError:
            raw = text.decode(errors="replace") if isinstance(text, bytes) else text
            fields = {"event": "not understood", "verb": raw[:200]}
        self._take(fields)

    def lose(self) -> None:
        """Note that the helper is gone: whoever waits for an answer hears of it."""
        if self._lost:
            return
        self._lost = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LineLost(f"{self._name} is gone; last heard: {self.last}"))
        self._hear({"event": "line lost"})

    def _take(self, fields: Fields) -> None:
        self.last = str(fields.get("event") or f"answer {fields.get('reply')}")
        number = str(fields.get("reply") or fields.get("look") or "")
        waiting = self._waiting.pop(number, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(fields)
        if "event" in fields:
            self._hear(fields)

    def say(self, *words: str) -> None:
        """Send one line.

        Raises:
            LineLost: nobody is there any more.
        """
        if self._lost:
            raise LineLost(f"{self._name} is gone; last heard: {self.last}")
        clean = (word.replace("\t", " ").replace("\n", " ") for word in words)
        self._send("\t".join(clean).encode() + b"\n")

    async def ask(self, verb: str, *words: str, limit_s: float) -> Fields:
        """Send a numbered line and return its answer.

        Raises:
            LineLost: the helper went away before it answered, or did not answer in time.
        """
        self._numbers += 1
        number = str(self._numbers)
        future: asyncio.Future[Fields] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self.say(verb, number, *words)
        try:
            async with asyncio.timeout(limit_s):
                return await future
        except TimeoutError:
            raise LineLost(f"{self._name}: no answer to {verb!r} within {limit_s:g} s; last heard: {self.last}; "
                           "look at the screenshot and at the machine's processes") from None
        finally:
            self._waiting.pop(number, None)


class ProcessLine(Line):
    """A line over the standard streams of a process of this computer."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, hear: Callable[[Fields], None]) -> None:
        """Take over the streams of a process that was started with pipes."""
        super().__init__(name, hear)
        self.process = process
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls, name: str, *command: str, env: dict[str, str], hear: Callable[[Fields], None], errors: Path
    ) -> ProcessLine:
        """Start a helper. What it and Wine complain about is added to the file ``errors``."""
        with await asyncio.to_thread(errors.open, "ab") as file:
            process = await asyncio.create_subprocess_exec(
                *command, env=env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=file,
                limit=LINE_LIMIT_BYTES,
            )
        return cls(process, name, hear)

    @property
    def ended(self) -> str:
        """Whether and how its process ended."""
        code = self.process.returncode
        return f"its helper {'still runs' if code is None else f'ended with {code}'}"

    async def _read(self) -> None:
        assert self.process.stdout is not None, "started with a pipe"
        with contextlib.suppress(ValueError, OSError):  # a line beyond the limit ends the line: the helper has gone mad
            while text := await self.process.stdout.readline():
                self.take(text)
        self.lose()

    def _send(self, line: bytes) -> None:
        assert self.process.stdin is not None, "started with a pipe"
        self.process.stdin.write(line)

    async def close(self) -> None:
        """End the helper if it still runs, and forget the line."""
        self._lost = True
        processes.send(self.process)
        await self.process.wait()
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        if self.process.stdin is not None:
            self.process.stdin.close()
        transport = getattr(self.process, "_transport", None)
        if transport is not None:
            transport.close()
