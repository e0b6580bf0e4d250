"""The asyncio shell around the agent's core: timers, the connection, requests to Windows, windows on the desktop.

The core decides, this file carries out. Rules it keeps (``rrsim.agent.host``):

* Effects run in list order. A request to the operating system gets at most one answer, and runs in a thread of its
  own, so that one that hangs holds up nothing else.
* Before an input is delivered, all timers that were due when it was taken up are delivered, in due order; a timer
  that became due later waits for it, however late the loop is.
* News of a connection that the core has given up meanwhile is dropped.
* TLS is verified, always; there is no switch for it. Every wait is bounded.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from rrsim.agent import core, host
from rrsim.agent.outside import Desk, Endpoint, Hands, HostError, NotSecure
from rrsim.protocol import codec
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired

OPEN_TIMEOUT_S: Final = 15.0
"""How long name resolution, TCP, TLS and the WebSocket handshake may take together."""
FLUSH_TIMEOUT_S: Final = 2.0
"""How long Windows is held up while the last words go to the server. Windows itself allows about five seconds."""
JITTERS: Final = 8


def tls_of(endpoint: Endpoint) -> ssl.SSLContext:
    """Return the strict TLS context for a server.

    Raises:
        NotSecure: the address is not ``wss``.
    """
    if not endpoint.url.startswith("wss://"):
        raise NotSecure("expected a server address that begins with wss://; mend the agent's configuration file")
    return ssl.create_default_context(cafile=endpoint.ca_file or None)


class _Stop(msgspec.Struct, frozen=True):
    """The process is to end; not an input of the core."""

    reason: str


class _Connection:
    """One connection of the agent's, with a queue of what is to be sent on it."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.socket: ClientConnection | None = None
        self.out: asyncio.Queue[bytes] = asyncio.Queue()
        self.opener: asyncio.Task[None] | None = None
        self.sender: asyncio.Task[None] | None = None

    async def all_said(self) -> bool:
        """Wait until what was to be sent is with the operating system, bounded; return whether it is."""
        if self.sender is None:
            return False
        said = asyncio.ensure_future(self.out.join())
        try:
            # A sender that has ended, because the connection did, will say no more.
            await asyncio.wait({said, self.sender}, timeout=FLUSH_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            return said.done()
        finally:
            said.cancel()

    def forget(self) -> None:
        """End the tasks of this connection."""
        for task in (self.opener, self.sender):
            if task is not None:
                task.cancel()


_Input = tuple[float, int, Any, "concurrent.futures.Future[None] | None"]
"""When it was taken up, on the loop's clock; the connection it is news of, or 0; the input; who waits for it."""


class Agent:
    """One process's agent: a core, and everything it needs to reach the world."""

    def __init__(
        self, endpoint: Endpoint, hands: Hands, desk: Desk, log: Callable[[str], None], jitter: Callable[[], int],
        step: Callable[[Any, Any], tuple[Any, tuple[Any, ...]]] = core.step,
    ) -> None:
        """Make an agent; nothing happens before :meth:`run`.

        ``jitter`` draws the spread of retries, 0 to 7. ``step`` is the core; tests and deliberately broken agents
        wrap it.
        """
        self._endpoint = endpoint
        self._hands = hands
        self._desk = desk
        self._log = log
        self._jitter = jitter
        self._step = step
        self._state: Any = core.initial()
        self._inputs: asyncio.Queue[_Input] = asyncio.Queue()
        self._early: list[tuple[Any, concurrent.futures.Future[None] | None]] = []
        """Inputs from before :meth:`run`: a helper or a customer can be faster than the loop's thread."""
        self._door = threading.Lock()
        self._timers: dict[str, float] = {}
        self._connection: _Connection | None = None
        self._epoch = 0
        self._settings: tuple[str, bool] | None = None
        self._exit: str | None = None
        self._over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: set[asyncio.Task[None]] = set()

    # --- inputs -------------------------------------------------------------------------------------------------

    def put(self, event: host.Input) -> None:
        """Take an input up, from any thread."""
        self._take_up(event, None)

    def put_and_wait(self, event: host.Input, wait: bool) -> None:
        """Take an input up from another thread; with ``wait`` return only when the server was told what follows from
        it.

        The wait is bounded: Windows waits for nobody.
        """
        if not wait:
            self._take_up(event, None)
            return
        done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._take_up(event, done)
        try:
            done.result(FLUSH_TIMEOUT_S + 1)
        except (TimeoutError, concurrent.futures.CancelledError):
            self._log("Windows goes on although the server could not be told in time")

    def _take_up(self, event: Any, done: concurrent.futures.Future[None] | None) -> None:
        with self._door:
            if self._over:
                _release(done)
            elif self._loop is None:
                self._early.append((event, done))
            else:
                self._loop.call_soon_threadsafe(self._enqueue, event, 0, done)

    def _enqueue(self, event: Any, epoch: int, done: concurrent.futures.Future[None] | None = None) -> None:
        if self._over or self._loop is None:  # it has ended since this was put
            _release(done)
        else:
            self._inputs.put_nowait((self._loop.time(), epoch, event, done))

    def stop(self, reason: str) -> None:
        """End the agent from outside, from any thread: the service is stopped, or Windows is going down."""
        self._take_up(_Stop(reason), None)

    # --- the loop -----------------------------------------------------------------------------------------------

    async def run(self, started: host.Started, *first: host.Input) -> str:
        """Be the agent until it ends itself; return the reason. ``first`` are inputs right after ``started``."""
        with self._door:
            self._loop = asyncio.get_running_loop()
            early, self._early = self._early, []
        for event in (started, *first):
            self._enqueue(event, 0)
        for event, done in early:
            self._enqueue(event, 0, done)
        try:
            while self._exit is None:
                await self._turn()
        finally:
            try:
                await self._close_all()
            finally:
                with self._door:  # from here on nobody uses the loop, which may be closed at once
                    self._over = True
                while not self._inputs.empty():
                    _release(self._inputs.get_nowait()[3])
        return self._exit

    async def _turn(self) -> None:
        """Deliver the next input, and every timer that is due before it."""
        assert self._loop is not None
        taken_up = await self._next()
        if taken_up is None:
            self._fire_due(self._loop.time())
            return
        taken_at, epoch, event, done = taken_up
        self._fire_due(taken_at)
        if isinstance(event, _Stop):
            self._exit = self._exit or event.reason
        elif self._exit is None and epoch in (0, self._epoch):
            self._deliver(event)
        if done is not None:
            await self._flush()
            _release(done)

    async def _next(self) -> _Input | None:
        """Wait for the next input, but not longer than for the next timer; nothing: a timer is due."""
        assert self._loop is not None
        due = min(self._timers.values(), default=None)
        wait_s = None if due is None else max(0.0, due - self._loop.time())
        try:
            return await asyncio.wait_for(self._inputs.get(), wait_s)
        except TimeoutError:
            # On a busy machine the loop can be so late that both are there: what was taken up says which was first.
            return None if self._inputs.empty() else self._inputs.get_nowait()

    def _fire_due(self, until: float) -> None:
        while self._exit is None:
            due = [(at, name) for name, at in self._timers.items() if at <= until]
            if not due:
                return
            name = min(due)[1]
            del self._timers[name]
            self._deliver(TimerFired(name))

    def _deliver(self, event: Any) -> None:
        before = self._state.goal
        try:
            self._state, effects = self._step(self._state, event)
        except core.AgentError as error:
            # A window or a thread can be later than the core expects; the state is unchanged and nobody is harmed.
            self._log(f"ignored: {error}")
            return
        settings = (self._state.settings.language, self._state.settings.phone_mode)
        if settings != self._settings:
            self._settings = settings
            self._desk.settings(*settings)
        for effect in effects:
            self._carry_out(effect)
        if self._state.goal == "idle" and before not in ("new", "idle"):
            self._desk.forget()

    # --- effects ------------------------------------------------------------------------------------------------

    def _carry_out(self, effect: Any) -> None:
        assert self._loop is not None
        match effect:
            case SetTimer():
                self._timers[effect.name] = self._loop.time() + effect.after_us / 1_000_000
            case CancelTimer():
                self._timers.pop(effect.name, None)
            case host.Request():
                threading.Thread(target=self._request, args=(effect,), daemon=True, name=f"request {effect.op}").start()
            case host.Connect():
                self._connect()
            case host.Disconnect():
                self._drop_connection()
            case host.Send():
                self._send(effect)
            case host.Note():
                self._log(effect.text)
            case host.Exit():
                self._exit = effect.reason
            case _:
                self._desk.do(effect)

    def _send(self, effect: host.Send) -> None:
        if self._connection is None:
            return
        try:
            self._connection.out.put_nowait(codec.encode(effect.message))
        except codec.CodecError as error:
            # A keyboard can type what no message holds, such as half a character: one line is lost, not the session.
            self._log(f"not sent: {error}")

    def _request(self, request: host.Request) -> None:
        """Carry out one request to the operating system, in its own thread."""
        name = type(request.what).__name__
        answer: host.Input
        try:
            answer = host.Completed(request.op, self._hands.carry_out(request.what))
        except HostError as error:
            self._log(f"{name} failed: {error}")
            answer = host.Failed(request.op, str(error)[: codec.MAX_FIELD_CHARS])
        except OSError as error:
            self._log(f"{name} failed: {error}")
            answer = host.Failed(request.op, f"{name}: {error.strerror or type(error).__name__}"[:200])
        except Exception as error:  # noqa: BLE001 (a defect of ours must fail the step, not leave it without an answer)
            self._log(f"{name} failed: {type(error).__name__}: {error}")
            answer = host.Failed(request.op, f"{name}: {type(error).__name__}")
        self.put(answer)

    # --- the connection -----------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._drop_connection()
        assert self._loop is not None
        self._epoch += 1
        connection = self._connection = _Connection(self._epoch)
        connection.opener = self._loop.create_task(self._open(connection))

    async def _open(self, connection: _Connection) -> None:
        try:
            connection.socket = await connect(
                self._endpoint.url, ssl=tls_of(self._endpoint), open_timeout=OPEN_TIMEOUT_S, close_timeout=1,
                max_size=codec.MAX_MESSAGE_BYTES, compression=None, ping_interval=None, proxy=None,
            )
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            self._log(f"no connection: {_reason(error)}")
            self._enqueue(host.ConnectFailed(_reason(error), self._jitter()), connection.epoch)
            return
        assert self._loop is not None
        connection.sender = self._loop.create_task(self._send_queued(connection, connection.socket))
        self._enqueue(host.Connected(), connection.epoch)
        await self._receive(connection, connection.socket)

    async def _receive(self, connection: _Connection, socket: ClientConnection) -> None:
        reason = "closed by the server"
        try:
            async for frame in socket:
                data = frame.encode() if isinstance(frame, str) else frame
                message: Any = codec.decode(data, "server")
                self._enqueue(host.Received(message), connection.epoch)
        except codec.CodecError as error:
            reason = f"the server sent what is no message: {error}"
            self._log(reason)
            await socket.close(1003, "not a message")
        except ConnectionClosed as error:
            reason = _reason(error)
        self._enqueue(host.Disconnected(reason[:200], self._jitter()), connection.epoch)

    async def _send_queued(self, connection: _Connection, socket: ClientConnection) -> None:
        while True:
            data = await connection.out.get()
            try:
                await socket.send(data, text=True)
            except ConnectionClosed:
                return  # the reader tells of it
            finally:
                connection.out.task_done()

    async def _flush(self) -> None:
        """Wait until what was said on the connection is with the operating system, bounded."""
        connection = self._connection
        if connection is not None and connection.socket is not None and not await connection.all_said():
            self._log("the last messages could not be sent in time")

    def _drop_connection(self) -> None:
        """Close the connection, after what was sent on it; news of it is void from now on."""
        connection, self._connection = self._connection, None
        self._epoch += 1
        if connection is not None and self._loop is not None:
            task = self._loop.create_task(self._close(connection))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close(self, connection: _Connection) -> None:
        try:
            if connection.socket is not None:
                await connection.all_said()
                await asyncio.wait_for(connection.socket.close(), FLUSH_TIMEOUT_S)
        except (TimeoutError, OSError, WebSocketException) as error:
            self._log(f"the connection did not close in time: {_reason(error)}")
        finally:
            connection.forget()

    async def _close_all(self) -> None:
        self._drop_connection()
        if self._closing:
            await asyncio.wait(self._closing, timeout=2 * FLUSH_TIMEOUT_S)


def _release(done: concurrent.futures.Future[None] | None) -> None:
    """Let whoever waits for an input go on."""
    if done is not None and not done.done():
        done.set_result(None)


def _reason(error: BaseException) -> str:
    """Say what went wrong in words that hold nothing of what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate does not verify: {error.verify_message}"
    if isinstance(error, NotSecure):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, ConnectionClosed):
        return f"closed with code {error.rcvd.code}" if error.rcvd is not None else "closed without a goodbye"
    return type(error).__name__
