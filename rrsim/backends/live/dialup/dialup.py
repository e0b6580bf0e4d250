"""A machine's dial-up connection: the modem at its serial port, the telephone line, the internet provider behind it.

What a scenario does, and what becomes of it here:

===============================  ====================================================================================
``customer dials``               the machine dials: ``pppd`` or ``rasdial`` in the guest sends ATDT; nothing here to do
``customer hangs up``            the machine hangs up: PPP's own goodbye (LCP Terminate) ends the call, or ``+++ATH``
``the line is busy``             calls get BUSY, after ``dial busy``; a running call goes on
``the line is dead``             calls get NO DIALTONE, after ``dial no tone``; a running call is cut: NO CARRIER
``the line works``               undo of both
``the carrier is lost``          the running call is cut both ways: NO CARRIER after S10; while dialling, at once
``the cable is pulled``          the telephone cord: as a dead line, until it is plugged in again
``the connection stalls``        nothing crosses the line for so long; the call stands
everything else about networks   not the telephone's: the link's relay between provider and server
===============================  ====================================================================================

Observations are the simulator's: ``dial progress`` from the exchange, and ``link changed`` (``dial-up``) when PPP has
agreed on addresses and when the call is over. What a call was like in its own words is told to ``tell``.

A guest cannot see a lost carrier on its port (QEMU shows DCD always on): it reads NO CARRIER among its data, or notices
by LCP echo. Nor can its dropping DTR be seen here: a machine that goes down without a goodbye must be reported with
:meth:`DialUp.machine_down`.

Times: named draws come scaled; planned drops are taken as they are; rates are multiplied by the scale, so that a
message takes the same share of the resume window as in unscaled time. The modem's own registers (S7, S10, S12) are the
guest's and never scaled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any, Final

import msgspec

from rrsim.backends.live.dialup import exchange, gate, modem, ppp
from rrsim.backends.live.dialup.exchange import Drop, Exchange, Line, Rates, Told
from rrsim.backends.live.dialup.gate import Gate
from rrsim.backends.live.dialup.line import READ_BYTES, ByteStream
from rrsim.backends.live.dialup.pace import PacedWay
from rrsim.backends.live.dialup.provider import Call, Provider
from rrsim.backends.live.timers import Timers, pause
from rrsim.live_clock import monotonic_us
from rrsim.machine.observations import DialProgress, Healed, LinkChanged
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions
from rrsim.scenario.linkdraws import LINE_RATE_BPS, LINE_RATE_DOWN_BPS

ACTIONS: Final = (
    actions.LineBusy, actions.LineDead, actions.LineWorks, actions.CarrierLost, actions.CablePulled,
    actions.CablePlugged, actions.ConnectionStalls,
)
"""What :meth:`DialUp.do` takes."""
LINK_KIND: Final = "dial-up"
CLOSE_S: Final = 10.0
"""Longer than a provider may take to end: what is still at work then is broken off."""
_CORD, _STALL = "cord", "stall"


class NotTheTelephones(ValueError):
    """An action has nothing to do with a telephone line."""


class Statistics(msgspec.Struct, frozen=True):
    """What crossed the line since the beginning."""

    calls: int = 0
    """Calls that had a carrier."""
    up_bytes: int = 0
    down_bytes: int = 0
    turned_away: int = 0
    """Packets of the machine for anywhere but the session server."""
    last_turned_away: str = ""


class _Session:
    """One call with a carrier: the two ways, the gate and the provider's end."""

    def __init__(self, gate_: Gate) -> None:
        self.gate = gate_
        self.up: PacedWay
        self.down: PacedWay
        self.call: Call | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.over = False


class DialUp:
    """One machine's telephone connection. Needs a running event loop."""

    def __init__(
        self, provider: Provider, ports: Callable[[], Collection[int]], draw_us: Callable[[str], int],
        observe: Callable[[DialProgress | LinkChanged], None], fail: Callable[[BaseException], None], *,
        tell: Callable[[Told], None] | None = None, scale: float = 1.0, rates: Rates | None = None,
        clock_us: Callable[[], int] = monotonic_us, wait_us: Callable[[int], Awaitable[None]] = pause,
    ) -> None:
        """Nobody is joined yet: see :meth:`attach`.

        ``ports`` are the host's loopback TCP ports that a caller may reach (10.0.2.2), asked at every packet.
        ``draw_us`` gives a duration of ``rrsim.scenario.linkdraws`` in microseconds, scaled. ``fail`` hears what is the
        harness's own failure: a provider that cannot be had. ``rates`` are taken as they are; not given: a V.90
        modem's, times ``scale``. ``clock_us`` and ``wait_us`` pace the line.
        """
        self._provider, self._ports, self._observe, self._fail = provider, ports, observe, fail
        self._tell = tell or (lambda _: None)
        self._clock_us, self._wait_us = clock_us, wait_us
        rates = rates or Rates(LINE_RATE_BPS * scale, LINE_RATE_DOWN_BPS * scale, LINE_RATE_DOWN_BPS)
        self._exchange = Exchange(draw_us, scale=scale, rates=rates)
        self._modem = modem.Modem()
        self._loop = asyncio.get_running_loop()
        self._timers = Timers(self._loop)
        self._inbox: deque[Callable[[], None]] = deque()
        self._busy = self._closed = self._stalled = self._online = False
        self._cord_in = True
        self._line: Line = "works"
        self._serial: ByteStream | None = None
        self._reader: asyncio.Task[None] | None = None
        self._session: _Session | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls = self._up_bytes = self._down_bytes = self._turned_away = 0
        self._last_turned_away = ""
        self.number = ""
        """Dialled last."""

    # --- what can be read off -------------------------------------------------------------------------------------

    @property
    def online(self) -> bool:
        """Whether packets can pass: a call, and PPP agreed on addresses."""
        return self._online

    @property
    def stage(self) -> exchange.Stage:
        """How far the call is."""
        return self._exchange.stage

    @property
    def statistics(self) -> Statistics:
        """What crossed the line so far."""
        now = self._session.gate if self._session is not None else None
        turned_away = self._turned_away + (now.turned_away if now is not None else 0)
        last = (now.last_turned_away if now is not None else "") or self._last_turned_away
        return Statistics(self._calls, self._up_bytes, self._down_bytes, turned_away, last)

    # --- the machine ------------------------------------------------------------------------------------------------

    def attach(self, serial: ByteStream) -> None:
        """Join the modem to the machine's serial port; an earlier one is let go. The stream's end is no power loss:
        report that with :meth:`machine_down`."""
        self.detach()
        self._serial = serial
        self._reader = self._soon(self._read(serial), "modem reads the serial port")

    def detach(self) -> None:
        """Let the serial port go and close it; harmless if there is none."""
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None
        if self._serial is not None:
            self._serial.close()
            self._serial = None

    def machine_down(self, *, said: bool = False) -> None:
        """The machine was reset, switched off or lost its power, and its modem with it. ``said``: somebody was there to
        see the connection end."""
        self._post(lambda: self._went_down(said=said))

    def _went_down(self, *, said: bool) -> None:
        self._run(self._exchange.machine_down(said=said))
        if self._online:
            self._link_is_down("the pc is down")

    async def _read(self, serial: ByteStream) -> None:
        while data := await serial.read(READ_BYTES):
            self._to_modem(modem.FromGuest(data))
            await serial.drain()
            if self._session is not None:
                await self._session.up.room()

    # --- what a scenario does -----------------------------------------------------------------------------------------

    def do(self, action: Any) -> None:
        """Carry out an action that is about the telephone line.

        Raises:
            NotTheTelephones: it is not.
        """
        match action:
            case actions.LineBusy():
                self._line_becomes("busy")
            case actions.LineDead():
                self._line_becomes("dead")
            case actions.LineWorks():
                self._line_becomes("works")
            case actions.CarrierLost():
                self._post(lambda: self._run(self._exchange.carrier_lost()))
            case actions.CablePulled():
                self._cord(plugged=False)
                if action.returns_after_us is not None:
                    self._timers.start(_CORD, int(action.returns_after_us), lambda: self._cord(plugged=True))
            case actions.CablePlugged():
                self._cord(plugged=True)
            case actions.ConnectionStalls():
                self.stall(int(action.for_us))
            case _:
                known = ", ".join(kind.__name__ for kind in ACTIONS)
                raise NotTheTelephones(
                    f"expected an action about a telephone line, saw {type(action).__name__}; it knows: {known}"
                )

    def set_line(self, line: Line) -> None:
        """Let the line be busy, dead, unanswered (``no answer``) or unable to train (``no carrier``), or work."""
        self._line_becomes(line)

    def plan_drop(self, *, after_us: int | None = None, after_bytes: int | None = None) -> None:
        """Cut the running or else the next call so long after its carrier, or after so many bytes; neither: do not."""
        drop = Drop(after_us, after_bytes) if (after_us, after_bytes) != (None, None) else None
        self._post(lambda: self._run(self._exchange.plan(drop)))

    def set_rates(self, rates: Rates) -> None:
        """Set the line rates from the next carrier on."""
        self._exchange.rates = rates

    def stall(self, for_us: int | None = None) -> None:
        """Let nothing cross the line for so long, or until :meth:`heal`. The call stands."""
        self._stall(on=True)
        if for_us is not None:
            self._timers.start(_STALL, for_us, lambda: self._stall(on=False))

    def ring(self) -> None:
        """Somebody calls: the modem says RING. The provider is at the other end, as with a call-back."""
        self._post(lambda: self._run(self._exchange.rings()))

    def heal(self) -> None:
        """Take every fault back. A call has to be dialled anew."""
        self.plan_drop()
        self._stall(on=False)
        self._cord(plugged=True)
        self._line_becomes("works")

    def pc_shows(self, observation: Any) -> None:
        """Follow a run; only its healing means something to a telephone line."""
        if isinstance(observation, Healed):
            self.heal()

    def _line_becomes(self, line: Line) -> None:
        self._line = line
        now: Line = line if self._cord_in else "dead"
        self._post(lambda: self._run(self._exchange.becomes(now)))

    def _cord(self, *, plugged: bool) -> None:
        self._timers.stop(_CORD)
        self._cord_in = plugged
        self._line_becomes(self._line)

    def _stall(self, *, on: bool) -> None:
        self._timers.stop(_STALL)
        self._stalled = on
        if self._session is not None:
            self._session.up.stall(on=on)
            self._session.down.stall(on=on)

    # --- one input at a time ----------------------------------------------------------------------------------------

    def _post(self, work: Callable[[], None]) -> None:
        """Do something to the cores; whoever hears of an observation may act at once: that waits its turn."""
        self._inbox.append(work)
        if self._busy or self._closed:
            return
        self._busy = True
        try:
            while self._inbox:
                self._inbox.popleft()()
        finally:
            self._busy = False

    def _to_modem(self, event: modem.Input) -> None:
        self._post(lambda: self._obey(self._modem.take(event)))

    def _obey(self, effects: Iterable[modem.Effect]) -> None:
        """Carry out what the modem wants."""
        for effect in effects:
            match effect:
                case modem.ToGuest():
                    self._write(effect.data)
                case modem.ToLine():
                    if self._session is not None:
                        self._session.up.put(effect.data)
                case modem.SetTimer():
                    self._modem_timer(effect)
                case modem.CancelTimer():
                    self._timers.stop(("modem", effect.name))
                case modem.Dial():
                    self.number = effect.number
                    self._run(self._exchange.dial(effect))
                case modem.Answer():
                    self._run(self._exchange.answer())
                case modem.HangUp():
                    self._run(self._exchange.hung_up())

    def _modem_timer(self, effect: modem.SetTimer) -> None:
        fired = TimerFired(effect.name)
        self._timers.start(("modem", effect.name), effect.after_us, self._to_modem, fired)

    def _run(self, effects: Iterable[exchange.Effect]) -> None:
        """Carry out what the exchange wants."""
        for effect in effects:
            match effect:
                case exchange.ToModem():
                    self._obey(self._modem.take(effect.event))
                case exchange.OpenCall():
                    self._open()
                case exchange.CloseCall():
                    self._close_session()
                case exchange.Saw():
                    self._saw(effect.what)
                case exchange.Tell():
                    self._tell(effect.what)
                case modem.SetTimer():
                    self._timers.start(("exchange", effect.name), effect.after_us, self._exchange_timer, effect.name)
                case modem.CancelTimer():
                    self._timers.stop(("exchange", effect.name))

    def _exchange_timer(self, name: str) -> None:
        self._post(lambda: self._run(self._exchange.timer(name)))

    def _write(self, data: bytes) -> None:
        if self._serial is not None:
            self._serial.write(data)

    def _saw(self, what: DialProgress) -> None:
        self._observe(what)
        if what.phase == "connected":
            self._online = True
            self._observe(LinkChanged(True, LINK_KIND))
        elif self._online:
            dead = "the line is dead" if self._line == "dead" else "no call"
            self._link_is_down(dead if self._cord_in else "cable out")

    def _link_is_down(self, reason: str) -> None:
        self._online = False
        self._observe(LinkChanged(False, LINK_KIND, reason))

    # --- a call with a carrier ----------------------------------------------------------------------------------------

    def _open(self) -> None:
        session = _Session(Gate(self._ports))
        rates = self._exchange.rates

        def way(bps: float, deliver: Callable[[_Session, bytes], Awaitable[None]]) -> PacedWay:
            made = PacedWay(bps, lambda data: deliver(session, data), self._clock_us, self._wait_us)
            made.stall(on=self._stalled)
            return made

        session.up, session.down = way(rates.up_bps, self._up), way(rates.down_bps, self._down)
        self._session = session
        self._calls += 1
        session.tasks = [self._soon(self._serve(session), "provider")]

    async def _serve(self, session: _Session) -> None:
        """Be the provider's end of one call, until it is over."""
        try:
            session.call = await self._provider.open()
            if session.over:
                return
            session.tasks += [self._soon(session.up.run(), "line up"), self._soon(session.down.run(), "line down")]
            while data := await session.call.stream.read(READ_BYTES):
                self._passed_gate(session, session.gate.from_provider(data))
                await session.down.room()
            await session.down.emptied()
            self._post(lambda: self._provider_left(session))
        finally:
            if session.call is not None:
                await session.call.close()

    async def _up(self, session: _Session, data: bytes) -> None:
        """Bytes of the machine are across the line."""
        if session.over:
            return
        self._up_bytes += len(data)
        self._passed_gate(session, session.gate.from_caller(data))
        self._post(lambda: self._run(self._exchange.passed(len(data))))
        if session.call is not None:
            await session.call.stream.drain()

    async def _down(self, session: _Session, data: bytes) -> None:
        """Bytes of the provider are across the line."""
        if session.over:
            return
        self._down_bytes += len(data)
        self._to_modem(modem.FromLine(data))
        self._post(lambda: self._run(self._exchange.passed(len(data))))
        if self._serial is not None:
            await self._serial.drain()

    def _passed_gate(self, session: _Session, passed: gate.Passed) -> None:
        if session.call is not None:
            session.call.stream.write(passed.to_provider)
        session.down.put(passed.to_caller)
        for event in passed.events:
            match event:
                case ppp.NetworkUp():
                    self._post(partial(self._network_up, event.address))
                case ppp.Terminated():
                    session.tasks.append(self._soon(self._goodbye(session), "PPP ends"))
                case ppp.LcpUp():
                    pass

    def _network_up(self, address: str) -> None:
        self._run(self._exchange.network_up(address))

    async def _goodbye(self, session: _Session) -> None:
        """Both ends agreed to end the link: the provider hangs up once the last word is across."""
        await session.down.emptied()
        self._post(lambda: self._provider_left(session))

    def _provider_left(self, session: _Session) -> None:
        if not session.over:
            self._run(self._exchange.provider_hung_up())

    def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is None or session.over:
            return
        session.over = True
        self._turned_away += session.gate.turned_away
        self._last_turned_away = session.gate.last_turned_away or self._last_turned_away
        session.up.close()
        session.down.close()
        if session.call is not None:
            session.call.stream.close()

    def _soon(self, work: Coroutine[Any, Any, None], about: str) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=f"dial-up: {about}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._post(lambda: self._run(self._exchange.carrier_lost()))
            self._fail(problem)

    # --- the end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the call and the provider's part of it, and let the serial port go; harmless if repeated."""
        self._closed = True
        self._close_session()
        self._timers.stop_all()
        self.detach()
        if self._tasks:
            _, late = await asyncio.wait(tuple(self._tasks), timeout=CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
