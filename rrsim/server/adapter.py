"""How rrsim drives the bundled mock session server: a process of its own, its control API, and its stream of
entries."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from rrsim.machine.adapters import AdapterError, Address, Entry
from rrsim.machine.interface import Capability
from rrsim.protocol.records import AnyRecord, SessionKind
from rrsim.protocol.settings import Account
from rrsim.server.live.history import ServerEvent, ServerUp, decode_entry

START_TIMEOUT_S: Final = 20.0
REQUEST_TIMEOUT_S: Final = 15.0
STOP_TIMEOUT_S: Final = 10.0
NAME: Final = "localhost"
"""The name in the server's certificate that agents connect to."""
_POLL_S: Final = 0.05


class BundledServer:
    """The adapter of ``rrsim serve``."""

    name = "rrsim"
    observes: frozenset[str] = frozenset({"server", "wire", "console"})
    scales = True
    lacks: frozenset[Capability] = frozenset()

    def secrets(self) -> tuple[str, ...]:
        """It needs no credential of anybody's: the token of its control API is made for the run and ends with it."""
        return ()

    def unsupported(self, kind: SessionKind, account: Account) -> str:
        """It has everything that an account can say."""
        del kind, account
        return ""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._process: asyncio.subprocess.Process | None = None
        self._folder = Path()
        self._client: httpx.AsyncClient | None = None
        self._endpoints: dict[str, Any] = {}
        self._token = ""
        self._lives = 0
        """How often the process was started."""
        self._up = asyncio.Event()
        self._closing = asyncio.Event()

    async def start(self, folder: str) -> Address:
        """Start the server's process and wait until it listens.

        Raises:
            AdapterError: it did not come up; the message holds what it said last.
        """
        self._folder = Path(folder)
        await self._spawn()
        return Address(NAME, int(self._endpoints["agent_port"]), str(self._endpoints["ca"]))

    async def _spawn(self) -> None:
        endpoints = self._folder / "endpoints.json"
        before = endpoints.stat().st_mtime_ns if endpoints.exists() else 0
        with self._open_log() as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rrsim.server.live", "--state", str(self._folder), "--until-input-ends",
                # However this process ends, the pipe ends with it, and the server sees that.
                stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
            )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not endpoints.exists() or endpoints.stat().st_mtime_ns == before:
                    if self._process.returncode is not None:
                        raise self._not_up(f"it ended with code {self._process.returncode}")
                    await self._look_again()
        except TimeoutError:
            raise self._not_up(f"it did not listen within {START_TIMEOUT_S:.0f} s") from None
        self._read_endpoints(endpoints)
        self._lives += 1
        if self._client is not None:
            await self._client.aclose()
        base = f"http://127.0.0.1:{self._endpoints['api_port']}"
        headers = {"Authorization": f"Bearer {self._token}"}
        self._client = httpx.AsyncClient(base_url=base, headers=headers, timeout=REQUEST_TIMEOUT_S, trust_env=False)
        self._up.set()

    def _open_log(self) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        return (self._folder / "server.log").open("ab")

    def _read_endpoints(self, file: Path) -> None:
        self._endpoints = msgspec.json.decode(file.read_bytes())
        self._token = Path(self._endpoints["token_file"]).read_text(encoding="ascii").strip()

    def _not_up(self, why: str) -> AdapterError:
        said = (self._folder / "server.log").read_text(encoding="utf-8", errors="replace")[-800:]
        return AdapterError(f"expected the session server to come up, saw: {why}; it said last: {said or 'nothing'}")

    async def _look_again(self) -> None:
        """Wait a moment for the process to end or its file to appear, whichever is noticed first."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._process.wait()), _POLL_S)

    async def _post(self, path: str, body: Any = None) -> Any:
        assert self._client is not None, "start() comes first"
        await asyncio.wait_for(self._up.wait(), REQUEST_TIMEOUT_S)
        content = msgspec.json.encode(body) if body is not None else None
        answer = await self._client.post(path, content=content, headers={"Content-Type": "application/json"})
        if answer.status_code >= 400:
            said = answer.text[:500]
            raise AdapterError(f"expected the session server to take {path}, saw {answer.status_code}: {said}")
        return answer.json()

    # --- what a harness does ------------------------------------------------------------------------------------

    async def create_session(self, session: str, kind: SessionKind, account: Account) -> str:
        """Let a customer ask for support; return the code."""
        wanted = {"session": session, "kind": kind, "account": msgspec.to_builtins(account)}
        made = await self._post("/api/sessions", wanted)
        return str(made["code"])

    async def console(self, rep: str, connected: bool) -> None:
        """Connect or disconnect a representative's console."""
        await self._post(f"/api/reps/{rep}/{'connect' if connected else 'disconnect'}")

    async def rep_says(self, session: str, rep: str, message: Any) -> None:
        """Act as the representative."""
        await self._post(f"/api/sessions/{session}/rep", {"rep": rep, "message": msgspec.to_builtins(message)})

    async def restart(self, down_for_us: int) -> None:
        """Kill the process, without a warning, and start it again after so long."""
        assert self._process is not None
        self._up.clear()
        self._process.kill()
        await self._process.wait()
        down = asyncio.Event()
        handle = asyncio.get_running_loop().call_later(down_for_us / 1_000_000, down.set)
        try:
            await down.wait()
        finally:
            handle.cancel()
        await self._spawn()

    async def entries(self) -> AsyncIterator[Entry]:
        """Tell everything that happens; goes on where it was when the server was killed and came back.

        A server that comes back tells every record of its journal again, and only then that it is up. As many of a
        session's records as were told before are left out, so what was on the disk but on no wire is told now.
        """
        life, place, told = 0, 0, Counter[str]()
        known: Counter[str] = Counter()
        """Records of each session that the present process will tell again."""
        while not self._closing.is_set():
            await self._up.wait()
            if life != self._lives:
                life, place, known = self._lives, 0, told.copy()
            url = f"ws://127.0.0.1:{self._endpoints['api_port']}/api/stream?from={place}"
            try:
                async with connect(
                    url, additional_headers={"Authorization": f"Bearer {self._token}"}, max_size=2**20, proxy=None,
                    compression=None, max_queue=4096,
                ) as stream:
                    async for line in stream:
                        entry = decode_entry(line)
                        place = entry.n + 1
                        if isinstance(entry.event, ServerUp):
                            known.clear()
                        elif isinstance(entry.event, ServerEvent) or not entry.session:
                            continue
                        elif entry.source == "server" and isinstance(entry.event, AnyRecord) and known[entry.session]:
                            known[entry.session] -= 1
                        else:
                            told[entry.session] += entry.source == "server" and isinstance(entry.event, AnyRecord)
                            yield Entry(entry.t_us, entry.source, entry.session, entry.event)
            except (OSError, ConnectionClosed):
                if self._closing.is_set():
                    return
                await self._look_again()

    async def close(self) -> None:
        """End the server."""
        self._closing.set()
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._client is not None:
            await self._client.aclose()

    def evidence(self) -> dict[str, bytes]:
        """Return the server's log and journal; neither holds a secret."""
        found = {}
        for path in (*sorted(self._folder.rglob("*.jsonl")), self._folder / "server.log"):
            if path.exists():
                found[f"server-{path.name}"] = path.read_bytes()[-1_000_000:]
        return found
