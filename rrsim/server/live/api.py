"""The control API: tests and scripts make sessions, act as representative, read state and history, and set faults.

Everything under ``/api`` but ``/api/health`` wants the run's token: as ``Authorization: Bearer …``, or, for browsers,
which cannot send that with a WebSocket, as the cookie ``rrsim_token``. The API listens on loopback only, and answers
only requests that were meant for a loopback name, so that no page from elsewhere reaches it through the browser.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from typing import Annotated, Any, Final, Protocol

import msgspec
from litestar import Litestar, Request, Response, Router, WebSocket, delete, get, post, put, websocket
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, WebSocketDisconnect
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from rrsim import __version__
from rrsim.live_clock import fresh_secret
from rrsim.protocol.codec import CodecError
from rrsim.protocol.messages import ConsoleMessage, ServerChat
from rrsim.protocol.settings import PROFILES, Account
from rrsim.server import transcript
from rrsim.server.core import SessionError
from rrsim.server.live import wishes
from rrsim.server.live.agents import AgentPort
from rrsim.server.live.faults import Fault
from rrsim.server.live.history import ENTRY_ENCODER
from rrsim.server.live.registry import Registry, SessionExists, UnknownSession

COOKIE: Final = "rrsim_token"
MAX_BODY_BYTES: Final = 256 * 1024
MAX_FAULTS: Final = 64
PAGE: Final = 10_000
"""How many history entries one answer holds at most."""
CONSOLE_BACKLOG: Final = 10_000
"""How many messages may wait for a console that does not read."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_DIGITS: Final = 9

SessionId = Annotated[str, PathParameter(pattern=wishes.NAME_PATTERN, description="A session's id.")]
RepName = Annotated[str, PathParameter(pattern=wishes.NAME_PATTERN, description="A representative's name.")]
Place = Annotated[int, QueryParameter(name="from", ge=0, description="The place in the history to begin at.")]


class TooManyFaults(ValueError):
    """More faults are set than a test can mean."""


class Down(RuntimeError):
    """The session server is being restarted."""


class Server(Protocol):
    """What the API controls."""

    registry: Registry
    port: AgentPort
    account: Account
    """The account of sessions that name none."""
    down: bool

    async def restart(self, down_for_us: int) -> None:
        """Die and come back from the journal."""


def running(request: Request[Any, Any, Any] | WebSocket[Any, Any, Any]) -> Server:
    """Return the server behind a request.

    Raises:
        Down: it is being restarted.
    """
    server: Server = request.app.state.server
    if server.down:
        raise Down("expected a running session server, saw it down for a restart; try again when it is back")
    return server


# --- sessions ---------------------------------------------------------------------------------------------------


@post("/sessions", summary="A customer asks for support")
async def make_session(data: JSONBody[wishes.NewSession], request: Request[Any, Any, Any]) -> wishes.SessionMade:
    """Make a session; its customer's agent joins with the code."""
    server = running(request)
    account = wishes.changed(server.account, data.account) if data.account is not None else server.account
    name = data.session or _code(server.registry)
    server.registry.open_session(name, data.kind, account, data.customer)
    await server.registry.settled()
    return wishes.SessionMade(name, name)


def _code(registry: Registry) -> str:
    while True:
        code = str(int(fresh_secret(), 16))[-_DIGITS:]
        if code not in registry.sessions:
            return code


@get("/sessions", summary="All sessions")
async def list_sessions(request: Request[Any, Any, Any]) -> list[wishes.SessionInfo]:
    """List the sessions, oldest first; what is shown is on disk."""
    registry = running(request).registry
    shown = [wishes.info(registry, session) for session in registry.sessions.values()]
    await registry.settled()
    return shown


@get("/sessions/{session_id:str}", summary="One session")
async def show_session(session_id: SessionId, request: Request[Any, Any, Any]) -> wishes.SessionInfo:
    """Show one session; what is shown is on disk, so that a killed server does not take it back."""
    registry = running(request).registry
    shown = wishes.info(registry, registry.session(session_id))
    await registry.settled()
    return shown


@get("/sessions/{session_id:str}/transcript", summary="The chat of a session")
async def show_transcript(session_id: SessionId, request: Request[Any, Any, Any]) -> list[ServerChat]:
    """Show the latest lines of the chat, oldest first; what is shown is on disk."""
    registry = running(request).registry
    shown = list(transcript.lines(registry.session(session_id).records))
    await registry.settled()
    return shown


@get("/sessions/{session_id:str}/history", summary="What happened in a session")
async def show_history(
    session_id: SessionId, request: Request[Any, Any, Any], place: Place = 0
) -> wishes.HistoryPage:
    """Show the entries of one session, from a place in the whole history on; not more than a page."""
    registry = running(request).registry
    registry.session(session_id)
    history = registry.history
    entries = history.since(place, limit=PAGE, session=session_id)
    return wishes.HistoryPage(history.first, entries[-1].n + 1 if len(entries) == PAGE else len(history), entries)


@post("/sessions/{session_id:str}/rep", status_code=200, summary="Act as a representative")
async def act_as_rep(
    session_id: SessionId, data: JSONBody[wishes.RepActs], request: Request[Any, Any, Any]
) -> wishes.SessionInfo:
    """Send a message as a representative; answered once what follows is on disk and has left."""
    registry = running(request).registry
    session = registry.rep_says(session_id, data.rep, data.message)
    await registry.settled()
    return wishes.info(registry, session)


# --- representatives --------------------------------------------------------------------------------------------


@get("/reps", summary="Connected representatives")
async def list_reps(request: Request[Any, Any, Any]) -> wishes.Reps:
    """List the representatives whose consoles are connected."""
    return wishes.Reps(running(request).registry.reps())


@post("/reps/{rep:str}/connect", status_code=200, summary="A console without a window")
async def connect_rep(rep: RepName, request: Request[Any, Any, Any]) -> wishes.Reps:
    """Connect a representative's console; what it is shown is in the history."""
    registry = running(request).registry
    registry.rep_connects(rep)
    await registry.settled()
    return wishes.Reps(registry.reps())


@post("/reps/{rep:str}/disconnect", status_code=200, summary="The console is gone")
async def disconnect_rep(rep: RepName, request: Request[Any, Any, Any]) -> wishes.Reps:
    """Disconnect the console that :func:`connect_rep` connected; consoles with a window are not touched."""
    registry = running(request).registry
    registry.rep_disconnects(rep)
    await registry.settled()
    return wishes.Reps(registry.reps())


_SAYS: Final = msgspec.json.Decoder(wishes.ConsoleSays)


class _Window:
    """What waits to be sent to one console."""

    def __init__(self) -> None:
        self.waiting: deque[wishes.ConsoleShown] = deque()
        self.some = asyncio.Event()

    def show(self, session: str, message: ConsoleMessage) -> None:
        self.put(wishes.ConsoleShown(session, message))

    def put(self, shown: wishes.ConsoleShown) -> None:
        self.waiting.append(shown)
        self.some.set()


@websocket("/reps/{rep:str}/console")
async def console(rep: RepName, socket: WebSocket[Any, Any, Any]) -> None:
    """A representative's console: JSON text in both directions, one message each."""
    registry = running(socket).registry
    window = _Window()
    await socket.accept()
    registry.rep_connects(rep, window.show)
    sender = asyncio.create_task(_send_shown(socket, window))
    try:
        while True:
            text = await socket.receive_text()
            try:
                says = _SAYS.decode(text)
                registry.rep_says(says.session, rep, says.message)
            except msgspec.MsgspecError:
                window.put(wishes.ConsoleShown("", error="expected {session, message} with a representative's message"))
            except (UnknownSession, SessionError, CodecError) as error:
                window.put(wishes.ConsoleShown(says.session, error=str(error)))
    except WebSocketDisconnect:
        pass
    finally:
        sender.cancel()
        registry.rep_disconnects(rep, window.show)


async def _send_shown(socket: WebSocket[Any, Any, Any], window: _Window) -> None:
    while True:
        await window.some.wait()
        window.some.clear()
        if len(window.waiting) > CONSOLE_BACKLOG:
            await socket.close(code=1008, reason="the console does not read what it is sent")
            return
        while window.waiting:
            await socket.send_text(ENTRY_ENCODER.encode(window.waiting.popleft()).decode())


# --- history, faults, account, the server itself ----------------------------------------------------------------


@websocket("/stream")
async def stream(socket: WebSocket[Any, Any, Any], place: Place = 0) -> None:
    """Every entry of the history as one JSON text, from place ``from`` on, as it happens."""
    history = running(socket).registry.history
    await socket.accept()
    watcher = asyncio.create_task(_until_gone(socket))
    try:
        while not watcher.done():
            entries = history.since(place, limit=1000)
            for entry in entries:
                await socket.send_text(ENTRY_ENCODER.encode(entry).decode())
                place = entry.n + 1
            if not entries:
                more = asyncio.ensure_future(history.more(place))
                await asyncio.wait((more, watcher), return_when=asyncio.FIRST_COMPLETED)
                more.cancel()
    except WebSocketDisconnect:
        pass
    finally:
        watcher.cancel()


async def _until_gone(socket: WebSocket[Any, Any, Any]) -> None:
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        return


@get("/faults", summary="Faults that are set")
async def list_faults(request: Request[Any, Any, Any]) -> list[Fault]:
    """List the faults that are set and not used up."""
    return list(running(request).registry.faults.set)


@post("/faults", summary="Set a fault")
async def set_fault(data: JSONBody[Fault], request: Request[Any, Any, Any]) -> list[Fault]:
    """Set a fault; it acts on what comes from now on."""
    faults = running(request).registry.faults
    if len(faults.set) >= MAX_FAULTS:
        raise TooManyFaults(f"expected at most {MAX_FAULTS} faults at a time; take them back with DELETE /api/faults")
    faults.add(data)
    return list(faults.set)


@delete("/faults", summary="Take all faults back")
async def heal(request: Request[Any, Any, Any]) -> None:
    """Take all faults back and deliver what they held."""
    running(request).registry.faults.heal()


@post("/restart", status_code=200, summary="Restart the session server")
async def restart(data: JSONBody[wishes.RestartWish], request: Request[Any, Any, Any]) -> wishes.Health:
    """Cut all agents off and come back from the journal; with a time to be down the answer comes before it is over.

    The API and the consoles on it stay connected; they are shown everything again.
    """
    server = running(request)
    await server.restart(data.down_for_us)
    return _health(server)


@get("/account", summary="The default account")
async def show_account(request: Request[Any, Any, Any]) -> Account:
    """Show the account of sessions that name none."""
    return running(request).account


@put("/account", summary="Set the default account")
async def set_account(data: JSONBody[wishes.AccountChange], request: Request[Any, Any, Any]) -> Account:
    """Change settings of the default account; a profile that is named comes first. Sessions that exist keep theirs."""
    server = running(request)
    server.account = wishes.changed(server.account, data)
    return server.account


@get("/profiles", summary="Named profiles")
async def list_profiles() -> dict[str, Account]:
    """List the named profiles."""
    return PROFILES


@get("/health", summary="How the server is")
async def health(request: Request[Any, Any, Any]) -> wishes.Health:
    """Say whether the server is up. Needs no token."""
    return _health(request.app.state.server)


def _health(server: Server) -> wishes.Health:
    return wishes.Health(
        "down" if server.down else "up", __version__, len(server.registry.sessions), server.port.door.total,
        server.port.host, server.port.port,
    )  # fmt: skip


# --- the application --------------------------------------------------------------------------------------------


def _meant_for_loopback(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    host = connection.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name not in _LOOPBACK:
        raise NotAuthorizedException("expected a loopback name as host; use http://127.0.0.1 and the API's port")


def same_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Say whether a browser sends this from a page of this very server, or no browser sends it at all.

    To a cookie all ports of a host are the same site, so that it alone does not keep pages of other local servers out.
    """
    origin = connection.headers.get("origin")
    return origin is None or origin == f"http://{connection.headers.get('host', '')}"


def has_token(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let nobody pass without the run's token.

    Raises:
        NotAuthorizedException: no token, another one, or a cookie that a page from elsewhere made the browser send.
    """
    scheme, _space, given = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        given = connection.cookies.get(COOKIE, "") if same_origin(connection) else ""
    if not hmac.compare_digest(given.encode(), str(connection.app.state.token).encode()):
        raise NotAuthorizedException("expected the run's token, saw none or another; read it from the token file")


_STATUS: Final[dict[type[Exception], int]] = {
    UnknownSession: 404, SessionExists: 409, SessionError: 409, CodecError: 400, wishes.UnknownProfile: 400,
    TooManyFaults: 409, Down: 503,
}  # fmt: skip


class Problem(msgspec.Struct, frozen=True):
    """Why a request was not carried out."""

    status_code: int
    detail: str


def _problem(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    status = next(code for kind, code in _STATUS.items() if isinstance(error, kind))
    return Response(Problem(status, str(error)), status_code=status)


def make_app(server: Server, token: str, more: tuple[ControllerRouterHandler, ...] = ()) -> Litestar:
    """Return the API as an ASGI application; ``more`` are handlers to serve beside it, such as a console's pages."""
    guarded = Router("/api", guards=[has_token], security=[{"bearer": []}], route_handlers=[
        make_session, list_sessions, show_session, show_transcript, show_history, act_as_rep, list_reps, connect_rep,
        disconnect_rep, console, stream, list_faults, set_fault, heal, restart, show_account, set_account,
        list_profiles,
    ])  # fmt: skip
    app = Litestar(
        [guarded, Router("/api", route_handlers=[health]), *more],
        guards=[_meant_for_loopback],
        exception_handlers=dict.fromkeys(_STATUS, _problem),
        openapi_config=OpenAPIConfig(
            title="rrsim session server", version=__version__, path="/schema", render_plugins=[JsonRenderPlugin()],
            description="Control of the mock session server, for tests.",
        ),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )  # fmt: skip
    app.state.server = server
    app.state.token = token
    return app
