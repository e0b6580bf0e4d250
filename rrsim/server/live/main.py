"""One process of the session server: the agents' port, the control API, and the state on disk, on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn

from rrsim.live_clock import fresh_secret
from rrsim.protocol.settings import Account, profile
from rrsim.server.live import api, pages, tls
from rrsim.server.live.agents import AgentPort
from rrsim.server.live.history import History
from rrsim.server.live.journal import Journal
from rrsim.server.live.limits import Limits
from rrsim.server.live.registry import Registry

LOG: Final = logging.getLogger("rrsim.server")
ENDPOINTS_FILE: Final = "endpoints.json"
TOKEN_FILE: Final = "token"
TLS_BUFFER_BYTES: Final = 16 * 1024
API_HOST: Final = "127.0.0.1"


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a session server is to run."""

    state: Path
    """Folder for journal, certificates, token and ``endpoints.json``; one server at a time."""
    agent_host: str = "127.0.0.1"
    agent_port: int = 0
    """0: a free one; a server that comes back takes the one it had, if it is still free."""
    api_port: int = 0
    profile: str = "gotoassist-corporate"
    """The default account is this profile."""
    log_level: str = "warning"
    names: tuple[str, ...] = tls.DEFAULT_NAMES
    """What the server certificate is good for."""
    limits: Limits = Limits()
    history: int = 200_000
    """How many history entries are kept in memory."""


class Endpoints(msgspec.Struct, frozen=True):
    """Where a running server is found: the content of ``endpoints.json``."""

    agent_host: str
    agent_port: int
    api_host: str
    api_port: int
    ca: str
    """File with the certificate that agents must trust."""
    token_file: str
    """File with the control API's token."""
    pid: int
    console: str = ""
    """Address of the representatives' console."""
    login_file: str = ""
    """File with the link that logs in to the console, once; its owner alone can read it."""


class _Uvicorn(uvicorn.Server):
    """Leaves signals to us, one stop for both ports, and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class LiveServer:
    """A session server: what :class:`rrsim.server.live.api.Server` asks for."""

    def __init__(self, options: ServerOptions) -> None:
        """Open the state directory; nothing listens yet.

        Raises:
            JournalError: the journal is damaged, or another server uses it.
            KeyError: no such profile.
            OSError: the state directory cannot be used.
        """
        self.options = options
        self.account: Account = profile(options.profile)
        options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = options.state / "journal"
        certificates = tls.ensure(options.state / "tls", options.names)
        self._ca = certificates.ca
        self.token = _token(options.state / TOKEN_FILE)
        self.registry = Registry(self._open_journal(), History(options.history))
        self.pages = pages.Pages(self.token, options.state / pages.LOGIN_FILE)
        self.port = AgentPort(self.registry, tls.server_context(certificates), options.limits)
        self.down = True
        self.stopping = asyncio.Event()
        self.failed: str = ""
        """Why the server cannot go on, if it cannot."""
        self._api: _Uvicorn | None = None
        self._api_task: asyncio.Task[None] | None = None
        self._down_for: asyncio.TimerHandle | None = None
        self._returning: asyncio.Task[None] | None = None

    async def start(self) -> Endpoints:
        """Come back from the journal, listen on both ports, and write ``endpoints.json``.

        Raises:
            OSError: a port cannot be had.
        """
        before = _endpoints_before(self.options.state / ENDPOINTS_FILE)
        app = api.make_app(self, self.token, self.pages.handlers())
        self.registry.restore(refill=True)
        wanted = self.options.agent_port
        await _first_that_works(self._open_agents, wanted, before.agent_port if before else 0)
        self.down = False
        listener = await _first_that_works(_listen, self.options.api_port, before.api_port if before else 0)
        config = uvicorn.Config(
            app, ws="websockets-sansio", log_config=None, access_log=False, lifespan="on", timeout_keep_alive=30,
            ws_max_size=api.MAX_BODY_BYTES, timeout_graceful_shutdown=3, server_header=False,
        )  # fmt: skip
        self._api = _Uvicorn(config)
        self._api_task = asyncio.create_task(self._api.serve(sockets=[listener]))
        self._api_task.add_done_callback(lambda _: self.stopping.set())
        up = asyncio.create_task(self._api.up.wait())
        await asyncio.wait((up, self._api_task), timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if not self._api.up.is_set():
            up.cancel()
            raise OSError("expected the control API to come up, saw it end or hang; look into the log above")
        api_port = listener.getsockname()[1]
        self.pages.opened(f"http://{API_HOST}:{api_port}")
        endpoints = Endpoints(
            self.port.host, self.port.port, API_HOST, api_port, str(self._ca), str(self.options.state / TOKEN_FILE),
            os.getpid(), self.pages.address, str(self.pages.link_file),
        )  # fmt: skip
        _write(self.options.state / ENDPOINTS_FILE, msgspec.json.format(msgspec.json.encode(endpoints)) + b"\n")
        return endpoints

    async def stop(self) -> None:
        """Say goodbye to everybody and close; what was decided is on disk."""
        if self._down_for is not None:
            self._down_for.cancel()
        if not self.down and not self.failed:
            await self.registry.settled()
        await self.port.close()
        if self._api is not None and self._api_task is not None:
            self._api.should_exit = True
            await asyncio.wait((self._api_task,), timeout=10)
        self.pages.closed()
        self.registry.journal.close()

    async def restart(self, down_for_us: int) -> None:
        """Die and come back from the journal, as far as agents can tell; after ``down_for_us``, if that is not 0."""
        self.down = True
        self.registry.deafen()
        await self.port.close(politely=False)
        await self.registry.settled()
        self.registry.go_down()
        self.registry.journal.close()
        if down_for_us:
            self._down_for = asyncio.get_running_loop().call_later(down_for_us / 1e6, self._begin_return)
        else:
            await self._return()

    def _begin_return(self) -> None:
        self._down_for = None
        self._returning = asyncio.create_task(self._return())

    async def _return(self) -> None:
        self.registry.use(self._open_journal())
        self.registry.restore(refill=False)
        await self._open_agents(self.port.port)
        self.down = False

    async def _open_agents(self, port: int) -> None:
        await self.port.open(self.options.agent_host, port)

    def _open_journal(self) -> Journal:
        journal = Journal(self._folder)
        journal.on_broken = self._broken
        return journal

    def _broken(self, error: OSError) -> None:
        self.failed = (
            f"expected a journal that takes records, saw {error.strerror or type(error).__name__} at "
            f"{self._folder}; make room or mend the disk, then start the server again"
        )
        LOG.critical("%s", self.failed)
        self.stopping.set()


async def _first_that_works(act: Callable[[int], Any], wanted: int, before: int) -> Any:
    """Take the port that is wanted; if any will do, the one from before, if it is still free."""
    if wanted or not before:
        return await act(wanted)
    try:
        return await act(before)
    except OSError:
        return await act(0)


async def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else: no TCP_NODELAY
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((API_HOST, port))
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _endpoints_before(path: Path) -> Endpoints | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Endpoints)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file at once: whoever reads it sees all of it or nothing."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    fresh.replace(path)


def _token(path: Path) -> str:
    """Return the control API's token: the one of this state directory, made if there is none."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = ""
    if not token:
        token = fresh_secret()
        _write(path, token.encode() + b"\n", 0o600)
    return token


def expect_many_connections() -> None:
    """Let this process have as many connections as the system allows it, and each cost little memory.

    asyncio gives every TLS connection a buffer of 256 KiB, four fifths of what a session costs here, and has no setting
    for it; our messages fit into a quarter of that. Call it only in a process that is there for this.
    """
    import resource  # not on every system
    from asyncio import sslproto

    sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(options: ServerOptions) -> int:
    """Run a session server until SIGTERM or SIGINT; return the exit code.

    Once it listens, one line of JSON with where it is found (:class:`Endpoints`) goes to standard output.
    """
    logging.basicConfig(
        level=options.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    expect_many_connections()
    server = LiveServer(options)
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, server.stopping.set)
    try:
        endpoints = await server.start()
        sys.stdout.write(msgspec.json.encode(endpoints).decode() + "\n")
        sys.stdout.flush()
        if sys.stderr.isatty():  # to a person, never into a log
            sys.stderr.write(f"log in to the console, once, with {server.pages.link()}\n")
        await server.stopping.wait()
    finally:
        await server.stop()
    return 70 if server.failed else 0
