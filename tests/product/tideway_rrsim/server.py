"""The server of Tideway Support: one process that keeps support cases. It knows nothing of rrsim.

It is told what to do by JSON lines on its standard input, the first of which brings the enrolment key (the command line
never does), and tells everything that happens by JSON lines on its standard output. It ends when its input ends. Guests
connect over TCP and speak the line protocol of ``c/wire.c``, checked by a code that only enrolled PCs can make.

A *case* is a support session, a *guest* the customer's PC, a *technician* the representative, a *trip* a restart that
ends in the same case.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sys
from typing import Any
from urllib.parse import quote, unquote

from tideway_rrsim.case import Case

CODE_CHARS = 32
MOST_LINE_BYTES = 8192
GREETING_LIMIT_S = 10.0


class Guest:
    """One connection of a PC."""

    def __init__(self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hub, self.reader, self.writer = hub, reader, writer
        self.nonce = os.urandom(16).hex()
        self.sent = self.heard = 0
        self.case: Case | None = None
        self.why_gone = "connection lost"

    def code(self, direction: str, count: int, text: str) -> str:
        """Return the code of a line."""
        return self.hub.hmac(f"{direction}|{self.nonce}|{count}|{text}")[:CODE_CHARS]

    def say(self, verb: str, **values: Any) -> None:
        """Send one line."""
        text = " ".join([verb, *(f"{name}={quote(str(value), safe='')}" for name, value in values.items())])
        self.sent += 1
        self.writer.write(f"{self.code('S', self.sent, text)} {text}\n".encode())
        if verb not in ("PONG", "IN"):
            self.hub.tell("wire", case=self.case.name if self.case else "", to="guest", verb=verb, **values)

    def hang_up(self, why: str = "") -> None:
        """Close the connection after what was said."""
        if why:
            self.why_gone = why
        self.writer.close()

    async def lines(self) -> None:
        """Take everything the PC says, until it is gone."""
        self.writer.write(f"TIDEWAY 1 {self.nonce}\n".encode())
        try:
            while True:
                limit_s = None if self.case else GREETING_LIMIT_S
                line = await asyncio.wait_for(self.reader.readline(), limit_s)
                code, _, text = line.decode("utf-8", "replace").rstrip("\n").partition(" ")
                self.heard += 1
                if not line or not hmac.compare_digest(code, self.code("A", self.heard, text)):
                    if line:
                        self.hub.tell("stranger", why="a line without the right code")
                    break
                verb, *words = text.split(" ")
                self.take(verb, {name: unquote(value) for name, _, value in (word.partition("=") for word in words)})
        except (OSError, ValueError, TimeoutError):
            pass
        finally:
            self.writer.close()
            if self.case and self.case.guest is self:
                self.case.guest_gone(self.why_gone)

    def take(self, verb: str, words: dict[str, str]) -> None:
        """Take one line: a knock on a new connection, anything else on one that is in a case."""
        if self.case is None:
            self.hub.knock(self, verb, words)
        elif self.case.guest is self:
            self.hub.tell("wire", case=self.case.name, to="server", verb=verb, **_open(words))
            self.case.guest_says(verb, words)


def _open(words: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in words.items() if name not in ("proof", "code", "case", "verb")}


class Hub:
    """All cases."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.cases: dict[str, Case] = {}
        self.codes: dict[str, str] = {}
        self.here: set[str] = set()

    def hmac(self, text: str) -> str:
        """Return the code of a text under the enrolment key."""
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def now_us(self) -> int:
        """Return monotonic time."""
        return round(asyncio.get_running_loop().time() * 1_000_000)

    def tell(self, what: str, **more: Any) -> None:
        """Say that something happened."""
        sys.stdout.write(json.dumps({"what": what, "at_us": self.now_us(), **more}) + "\n")
        sys.stdout.flush()

    # --- guests ---

    def knock(self, guest: Guest, verb: str, words: dict[str, str]) -> None:
        """Somebody wants into a case."""
        name = self.codes.get(words.get("code", ""), "") if verb == "ENTER" else words.get("case", "")
        case = self.cases.get(name)
        if case is None:
            guest.say("NO", why="there is no such case")
            guest.hang_up()
        else:
            case.knock(guest, verb, words)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        await Guest(self, reader, writer).lines()

    # --- the technicians' side ---

    def order(self, order: dict[str, Any]) -> None:
        """Carry out what the control side wants."""
        match order["do"]:
            case "open":
                code = os.urandom(4).hex()
                self.codes[code] = order["case"]
                self.tell("code", case=order["case"], code=code)
                self.cases[order["case"]] = Case(self, order["case"], order["kind"], order["terms"])
            case "console":
                (self.here.add if order["on"] else self.here.discard)(order["tech"])
                for one in self.cases.values():
                    one.console(order["tech"], bool(order["on"]))
            case _:
                self.tell("console", case=order["case"], tech=order["tech"], say=order["do"], words=order["words"])
                self.cases[order["case"]].tech_says(order["tech"], order["do"], order["words"])


async def main() -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=2**20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    hub = Hub(bytes.fromhex(json.loads(await orders.readline())["key"]))
    server = await asyncio.start_server(hub.accept, "127.0.0.1", 0, limit=MOST_LINE_BYTES)
    hub.tell("listening", port=server.sockets[0].getsockname()[1])
    while line := await orders.readline():
        hub.order(json.loads(line))


if __name__ == "__main__":
    asyncio.run(main())
