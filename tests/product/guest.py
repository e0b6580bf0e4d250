"""A guest of Tideway's server in Python: the line protocol of ``c/wire.c``, for tests without Windows."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from urllib.parse import quote, unquote

LIMIT_S = 5.0


class Guest:
    """One connection."""

    def __init__(self, key: str) -> None:
        """``key`` is the enrolment key, in hexadecimal digits."""
        self.key = bytes.fromhex(key)
        self.nonce = ""
        self._sent = self._heard = 0

    async def dial(self, port: int) -> Guest:
        """Connect, and take the greeting."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        greeting = await asyncio.wait_for(self._reader.readline(), LIMIT_S)
        self.nonce = greeting.decode().split()[2]
        return self

    def derived(self, text: str) -> str:
        """Return what both sides derive from the enrolment key and a text."""
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def proof(self, key: str) -> str:
        """Return the proof, on this connection, that one has a pass or a live key."""
        return hmac.new(key.encode(), self.nonce.encode(), hashlib.sha256).hexdigest()

    def _code(self, direction: str, count: int, text: str) -> str:
        return self.derived(f"{direction}|{self.nonce}|{count}|{text}")[:32]

    def say(self, verb: str, **values: object) -> None:
        """Send a line."""
        text = " ".join([verb, *(f"{name}={quote(str(value), safe='')}" for name, value in values.items())])
        self._sent += 1
        self._writer.write(f"{self._code('A', self._sent, text)} {text}\n".encode())

    def say_raw(self, line: bytes) -> None:
        """Send a line as it stands."""
        self._writer.write(line)

    async def hear(self, verb: str) -> dict[str, str]:
        """Return the values of the next line with this verb; each line's code is checked.

        Raises:
            ConnectionError: the server hung up.
        """
        while True:
            line = (await asyncio.wait_for(self._reader.readline(), LIMIT_S)).decode().rstrip("\n")
            if not line:
                raise ConnectionError(f"expected {verb}, saw the end of the connection")
            code, _, text = line.partition(" ")
            self._heard += 1
            assert code == self._code("S", self._heard, text), "the server's code"
            said, *words = text.split(" ")
            if said == verb:
                return {name: unquote(value) for name, _, value in (word.partition("=") for word in words)}

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
