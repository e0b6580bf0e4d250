"""The way of a virtual machine to the session server: the relay, and what the hypervisor really does before it.

* A pulled cable is pulled at the machine's network card too: the guest sees it as Windows would.
* Dial-up is real: the card's cable is out, the machine dials with its modem, and what comes out of the internet
  provider goes to the relay. The relay's own model of a call is not asked.
* From a host that is another computer a tunnel leads to the relay (:mod:`rrsim.backends.live.vm.tunnel`). Not for
  dial-up: the modem's line goes through libvirt, and the provider is on this computer.

Carrier detect is a stand-in: QEMU's serial port shows it always on, so the guest is told when a call is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec

from rrsim.backends.live.dialup.dialup import ACTIONS, DialUp
from rrsim.backends.live.dialup.provider import Slirp
from rrsim.backends.live.link import Link
from rrsim.backends.live.link_way import Way
from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm.errors import ChannelClosed, VmError
from rrsim.backends.live.vm.tunnel import PortTaken, Tunnel, TunnelFailed, Tunnels
from rrsim.machine import observations as seen
from rrsim.people.vocabulary import DialNow, LineDown
from rrsim.scenario.model import PcSetup
from rrsim.scenario.streams import Streams

NUMBER: Final = "5551234"
"""The provider's telephone number."""
FIRST_CALL_LIMIT_S: Final = 90.0
REDIAL_US: Final = 2_000_000
PORTS_TRIED: Final = 6
"""So many ports of the relay's are offered to a host that is another computer."""
STAND_IN: Final = "stand-in: carrier detect (the guest is told when a call is lost)"
LOST: Final = ("dropped", "no carrier")


class DialledMachine(Protocol):
    """What the link does to a machine; :class:`rrsim.backends.live.vm.guest_pc.GuestPc` has it."""

    phase: str

    async def set_cable(self, plugged: bool) -> None:
        """Plug the network card's cable in, or pull it."""

    async def dial(self, number: str) -> None:
        """Have the machine dial, or do nothing if it is not in a state to."""

    async def hang_up(self) -> None:
        """Have the machine hang up; harmless if there is no call."""

    async def open_modem_port(self) -> Any:
        """Return the stream of the machine's serial port with the modem."""


class _Port:
    """The machine's serial port as the telephone wants it: its end is an empty read, and closing is at once."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._closing: asyncio.Task[None] | None = None

    async def read(self, n: int) -> bytes:
        """Return the next bytes; none: the machine is off."""
        try:
            return bytes(await self._stream.read(n))
        except ChannelClosed:
            return b""

    def write(self, data: bytes) -> None:
        """Queue bytes; a machine that is off hears nothing."""
        with contextlib.suppress(ChannelClosed):
            self._stream.write(data)

    async def drain(self) -> None:
        """Wait until queued bytes are taken."""
        with contextlib.suppress(ChannelClosed):
            await self._stream.drain()

    def close(self) -> None:
        """Let the port go."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._stream.close())


class _BehindProvider(Way):
    """The relay's part where the machine comes by telephone: whether packets reach it is not decided here."""

    def __init__(self, setup: PcSetup) -> None:
        super().__init__(msgspec.structs.replace(setup, network="lan"))

    def _settle(self, was_online: bool, wifi_us: int) -> None:
        """Nothing of a network card's life happens: the link to the provider is always up."""


class GuestLink(Link):
    """One virtual machine's way to the session server."""

    def __init__(
        self, setup: PcSetup, scale: float, streams: Streams, observe: Callable[[seen.AnyObservation], None],
        upstream: Callable[[], tuple[str, int]], *, tunnels: Tunnels | None = None,
    ) -> None:
        """As :class:`~rrsim.backends.live.link.Link`; :meth:`attach` joins the machine.

        ``tunnels`` lead from the machine's host to this computer; none: the host is this computer.
        """
        self._tunnels = tunnels
        self._tunnel: Tunnel | None = None
        self._by_telephone = setup.network == "dial-up"
        self._machine: DialledMachine | None = None
        self._telephone: DialUp | None = None
        self._failure: BaseException | None = None
        self._connected = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cable_in = True
        self._dials_on = False
        super().__init__(setup, scale, streams, observe, upstream, rates_bps=(0, 0) if self._by_telephone else None)

    def _make_way(self, setup: PcSetup) -> Way:
        return _BehindProvider(setup) if self._by_telephone else super()._make_way(setup)

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """What stood in for a part of the way."""
        return (STAND_IN,) if self._by_telephone else super().stand_ins

    async def start(self) -> int:
        """Listen on 127.0.0.1, and on the host's if that is another one; return the port, which is the same on both.

        Raises:
            TunnelFailed: the host gives none of the ports, or there is no tunnel.
        """
        if self._tunnels is None or self._by_telephone:
            return await super().start()
        refused = ""
        for _ in range(PORTS_TRIED):
            port = await super().start()
            try:
                self._tunnel = await self._tunnels.open(port, self._tunnel_lost)
            except PortTaken as error:
                refused = str(error)
            else:
                return port
        raise TunnelFailed(f"none of {PORTS_TRIED} ports could be had on the host; the last one: {refused}")

    def _tunnel_lost(self, problem: BaseException) -> None:
        if not self._closed:
            self.on_failed(problem)

    # --- the machine -----------------------------------------------------------------------------------------------

    async def attach(self, machine: Any) -> None:
        """Join a machine that is switched on; a modem's first call is made, as scenarios begin dialled."""
        self._machine = machine
        if not self._by_telephone:
            return
        await machine.set_cable(False)
        self._telephone = DialUp(
            Slirp(), lambda: [self.port], self._draw_us, self._from_telephone, self._telephone_failed, scale=self._scale
        )
        await self._join_modem()
        await machine.dial(NUMBER)
        async with asyncio.timeout(FIRST_CALL_LIMIT_S):
            await self._connected.wait()
        if self._failure is not None:
            raise self._failure

    async def _join_modem(self) -> None:
        if self._machine is None or self._telephone is None:
            return
        try:
            port = await self._machine.open_modem_port()
        except VmError:
            if self._machine.phase == "off":
                return  # it lost its power again meanwhile: the next boot has a port of its own
            raise
        self._telephone.attach(_Port(port))

    def _telephone_failed(self, problem: BaseException) -> None:
        self._failure = problem
        self._connected.set()
        self.on_failed(problem)

    def _from_telephone(self, what: seen.DialProgress | seen.LinkChanged) -> None:
        if isinstance(what, seen.DialProgress):
            if what.phase == "connected":
                self._connected.set()
            elif what.phase in LOST and self._machine is not None:
                self._soon(self._machine.hang_up())
        self._observe(what)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None and not self._closed:
            self.on_failed(problem)

    # --- what is done to it ----------------------------------------------------------------------------------------

    def do(self, action: Any) -> None:
        """Carry out a network action of a scenario, on the telephone line where it is about one."""
        if self._telephone is not None and isinstance(action, ACTIONS):
            self._telephone.do(action)
            return
        super().do(action)

    def person_does(self, what: Any) -> None:
        """A person does something about the network: with a modem, at the machine."""
        if self._machine is not None and self._by_telephone and isinstance(what, DialNow | LineDown):
            self._soon(self._machine.dial(NUMBER) if isinstance(what, DialNow) else self._machine.hang_up())
            return
        super().person_does(what)

    def pc_shows(self, observation: Any) -> None:
        """Follow the PC's life: a modem loses its call with the machine."""
        if self._telephone is not None and isinstance(observation, seen.WentDown | seen.BootBegan):
            self._telephone.machine_down()
            if isinstance(observation, seen.BootBegan):
                self._soon(self._join_modem())  # after a power cut it is another process that has the port
        super().pc_shows(observation)

    def heal(self) -> None:
        """Take every fault back."""
        if self._telephone is not None:
            self._telephone.heal()
        super().heal()

    def go_online(self) -> None:
        """Whatever this PC needs to be online, as soon as it is possible, once."""
        if not self._by_telephone:
            super().go_online()
        elif not self._dials_on:
            self._dials_on = True
            self._soon(self._dial_until_online())

    async def _dial_until_online(self) -> None:
        while self._telephone is not None and not self._telephone.online and not self._closed:
            if self._machine is not None and self._telephone.stage == "idle":
                await self._machine.dial(NUMBER)
            await pause(REDIAL_US)
        self._dials_on = False

    def _take(self, event: Any) -> None:
        super()._take(event)
        plugged = not self._way.cable_out
        if plugged != self._cable_in and self._machine is not None and not self._by_telephone:
            self._cable_in = plugged
            self._soon(self._machine.set_cable(plugged))

    async def close(self) -> None:
        """End every connection and call; harmless if repeated."""
        try:
            await super().close()
        finally:
            await self._close_all()

    async def _close_all(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            await tunnel.close()
        telephone, self._telephone = self._telephone, None
        if telephone is not None:
            await telephone.close()
