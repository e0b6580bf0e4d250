"""How rrsim starts, drives and listens to Tideway's server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim.backends.live.credentials import resolve
from rrsim.machine.adapters import AdapterError, Address, Entry
from rrsim.machine.interface import Capability
from rrsim.protocol.records import SessionKind, SharingChanged
from rrsim.protocol.settings import Account
from tideway_rrsim import words

SERVER: Final = "tideway_rrsim.server"
PLACE: Final = str(Path(__file__).parents[1])
ANSWER_LIMIT_S: Final = 10.0
MOST_LINE_BYTES: Final = 2**20


def key_reference() -> str:
    """Return where the enrolment key is to be found: never the key itself."""
    return os.environ.get("TIDEWAY_KEY_REFERENCE", "env:TIDEWAY_KEY")


class TidewayServer:
    """The adapter of Tideway's server."""

    name = "tideway"
    observes: frozenset[str] = frozenset({"server", "wire", "console"})
    scales = True
    lacks: frozenset[Capability] = frozenset({"server restart"})
    """It keeps no journal: a killed server has lost its cases."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._key = resolve(key_reference())
        self._process: asyncio.subprocess.Process | None = None
        self._orders: asyncio.StreamWriter | None = None
        self._reading: list[asyncio.Task[None]] = []
        self._accounts: dict[str, tuple[str, Account]] = {}
        self._codes: dict[str, asyncio.Future[str]] = {}
        self._listening: asyncio.Future[int] | None = None
        self._entries: asyncio.Queue[Entry] = asyncio.Queue()
        self._log: list[bytes] = []
        self._errors: list[bytes] = []

    def secrets(self) -> tuple[str, ...]:
        """The enrolment key."""
        return (self._key,)

    def unsupported(self, kind: SessionKind, account: Account) -> str:
        """Say which setting of the account this product does not have."""
        return words.unsupported(kind, account)

    async def start(self, folder: str) -> Address:
        """Start the server's process, and give it the key through its input."""
        await asyncio.to_thread(Path(folder).mkdir, parents=True, exist_ok=True)
        self._listening = asyncio.get_running_loop().create_future()
        pipe = asyncio.subprocess.PIPE
        env = {**os.environ, "PYTHONPATH": PLACE}
        env.pop("TIDEWAY_KEY", None)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", SERVER, cwd=folder, env=env, stdin=pipe, stdout=pipe, stderr=pipe,
            limit=MOST_LINE_BYTES,
        )
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin is not None, "it has a pipe"
        assert stdout is not None, "it has a pipe"
        assert stderr is not None, "it has a pipe"
        self._orders = stdin
        self._reading = [asyncio.create_task(self._read(stdout)), asyncio.create_task(self._read_errors(stderr))]
        self._order({"key": self._key})
        try:
            port = await asyncio.wait_for(self._listening, ANSWER_LIMIT_S)
        except TimeoutError:
            said = b"".join(self._errors)[-500:].decode(errors="replace")
            raise AdapterError(f"expected Tideway's server to listen; it said: {said or 'nothing'}") from None
        return Address("127.0.0.1", port, "")

    def _order(self, order: dict[str, Any]) -> None:
        assert self._orders is not None, "start() comes first"
        self._orders.write(json.dumps(order).encode() + b"\n")

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            said = json.loads(line)
            if said["what"] == "listening" and self._listening is not None:
                self._listening.set_result(said["port"])
            elif said["what"] == "code":
                self._codes[said["case"]].set_result(said["code"])
                continue  # it opens a case: not for the log
            self._log.append(line)
            event = words.translated(said, self._accounts)
            if event is not None and event[0] in self.observes:
                self._entries.put_nowait(Entry(said["at_us"], event[0], said["case"], event[1]))

    async def _read_errors(self, stderr: asyncio.StreamReader) -> None:
        while line := await stderr.readline():
            self._errors.append(line)

    async def create_session(self, session: str, kind: SessionKind, account: Account) -> str:
        """Open a case; return its code."""
        self._accounts[session] = (kind, account)
        self._codes[session] = asyncio.get_running_loop().create_future()
        self._order({"do": "open", "case": session, "kind": kind, "terms": words.terms(account)})
        return await asyncio.wait_for(self._codes[session], ANSWER_LIMIT_S)

    async def console(self, rep: str, connected: bool) -> None:
        """A technician's console comes or goes."""
        self._order({"do": "console", "tech": rep, "on": connected})

    async def rep_says(self, session: str, rep: str, message: Any) -> None:
        """Act as the technician."""
        do, more = words.rep_order(message)
        self._order({"do": do, "case": session, "tech": rep, "words": more})

    async def entries(self) -> AsyncIterator[Entry]:
        """Tell everything, in order, until cancelled."""
        while True:
            yield await self._entries.get()

    async def restart(self, down_for_us: int) -> None:
        """It cannot be restarted without losing its cases; ``lacks`` says so, and nobody asks."""
        raise AdapterError(f"expected no restart of Tideway's server (down for {down_for_us} us): it keeps no journal")

    async def close(self) -> None:
        """End it: its input ends."""
        process = self._process
        if process is None:
            return
        if self._orders is not None:
            self._orders.close()
        try:
            await asyncio.wait_for(process.wait(), ANSWER_LIMIT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        for task in self._reading:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(task, ANSWER_LIMIT_S)

    def evidence(self) -> dict[str, bytes]:
        """Return everything it told, and what it complained about."""
        return {"tideway-server.jsonl": b"".join(self._log), "tideway-server.err": b"".join(self._errors)}


class TidewayServerLeaky(TidewayServer):
    """The same server, but it gives the enrolment key away in what it tells and logs: for the test of the masks."""

    name = "tideway-leaky"

    async def entries(self) -> AsyncIterator[Entry]:
        """Tell everything, with the key in the reason for showing the screen."""
        async for entry in super().entries():
            event = entry.event
            if isinstance(event, SharingChanged):
                event = msgspec.structs.replace(event, reason=f"{event.reason} (key {self._key})")
            yield msgspec.structs.replace(entry, event=event)

    def evidence(self) -> dict[str, bytes]:
        """Return the logs, with the key in several spellings."""
        plain = self._key.encode()
        wide, raw = self._key.encode("utf-16-le"), bytes.fromhex(self._key)
        said = (plain, base64.b64encode(b"key=" + plain), wide, raw)
        return {**super().evidence(), "tideway-leak.log": b"\n".join(said)}


class TidewayServerUnseen(TidewayServer):
    """The same server behind an adapter that cannot see the technicians' consoles: what rests on them is *unknown*."""

    name = "tideway-unseen"
    observes: frozenset[str] = frozenset({"server", "wire"})
