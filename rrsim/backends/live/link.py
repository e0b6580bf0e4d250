"""The way between a machine's agent and the session server: a relay of our own, with a modelled network's faults.

The agent connects to the relay's port on loopback as if it were the server; TLS passes through untouched. What a
scenario, a person or the PC's own life does to the network is decided in :mod:`rrsim.backends.live.link_way` and done
to sockets in :mod:`rrsim.backends.live.link_relay`. The words in the history are the simulator's.

* A PC without network is refused: its attempts are reset at once. What it had open falls silent first; Windows' part
  (the socket fails a little later) is played by the relay, the server's is left to the server's own timers.
* Named draws (``rrsim.scenario.linkdraws``) are divided by the time scale. Durations that a scenario states are taken
  as they are: whoever scaled the scenario has scaled them.
* A modem's rate is multiplied by the scale, so that a message takes the same share of the resume window as it would
  in unscaled time.
* A certificate that the agent declines, though nothing of the link's is in the way, is told as ``certificate not
  valid``: the relay sees that it was declined, not why.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from rrsim.backends.live.link_relay import NotClosed, Relay
from rrsim.backends.live.link_way import PowerFails, Way, WayEffect
from rrsim.backends.live.timers import Timers
from rrsim.machine import observations as seen
from rrsim.machine.interface import Capability
from rrsim.people.vocabulary import After, DialNow, Forget, LineDown, PortalLogin, Saw, VpnStart
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions
from rrsim.scenario.kinds import NET_ACTIONS
from rrsim.scenario.linkdraws import LINE_RATE_BPS, LINE_RATE_DOWN_BPS
from rrsim.scenario.model import PcSetup
from rrsim.scenario.streams import Streams

__all__ = ["CAPABILITIES", "Link", "LinkCannot", "NotClosed"]

CAPABILITIES: Final[frozenset[Capability]] = frozenset({
    "link faults", "pull the cable", "dial", "captive portal", "vpn", "wifi",
})
"""What every link can do; a machine whose names can be made to fail adds ``dns``."""


class LinkCannot(ValueError):
    """The link was asked for what it cannot do: skip the case, or bring the action to whom it is for."""


class Link:
    """One machine's way to the session server. It begins as in the middle of a session: everything up, dialled."""

    def __init__(
        self, setup: PcSetup, scale: float, streams: Streams, observe: Callable[[seen.AnyObservation], None],
        upstream: Callable[[], tuple[str, int]], *, set_dns: Callable[[bool], None] | None = None,
        rates_bps: tuple[float, float] | None = None,
    ) -> None:
        """Needs a running event loop; nothing listens before :meth:`start`.

        ``streams`` must know the names of ``rrsim.scenario.linkdraws``; its values are divided by ``scale``.
        ``upstream`` is asked at every connection, so that the server may move. ``set_dns`` makes the server's name
        resolve, or not, on the machine. ``rates_bps`` are bits per second towards the server and towards the PC, 0 for
        no limit; not given: a modem's for dial-up, no limit otherwise.
        """
        self._scale = scale
        self._streams = streams
        self._observe = observe
        self._set_dns = set_dns
        self._dns_works = True
        self._way = self._make_way(setup)
        modelled = {
            "dial-up": setup.network == "dial-up", "vpn": setup.network == "vpn", "wifi": setup.network == "wifi",
            "captive portal": setup.captive_portal,
        }
        self._modelled = tuple(f"stand-in: {name} (phases of the relay)" for name, used in modelled.items() if used)
        self.port = 0
        """Where it listens, on 127.0.0.1; 0 before :meth:`start`."""
        self.on_failed: Callable[[BaseException], None] = lambda _: None
        """Hears of a failure of the harness's own that comes later than the call that caused it."""
        modem = (LINE_RATE_BPS * scale, LINE_RATE_DOWN_BPS * scale) if setup.network == "dial-up" else (0.0, 0.0)
        self._relay = Relay(self._way, self._draw_us, self._tried, upstream, rates_bps or modem)
        self._timers: Timers = self._relay.timers
        self._inbox: deque[Any] = deque()
        self._busy = False
        self._closed = False
        self._goes_online = False

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this link can do."""
        return CAPABILITIES | {"dns"} if self._set_dns is not None else CAPABILITIES

    @property
    def connections(self) -> int:
        """How many connections go through it, those included that only one end still believes in."""
        return self._relay.pairs

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """What stood in for a part of the way."""
        return self._modelled

    def _make_way(self, setup: PcSetup) -> Way:
        return Way(setup)

    async def start(self) -> int:
        """Listen on 127.0.0.1; return the port the agent has to connect to."""
        self.port = await self._relay.start()
        return self.port

    async def attach(self, machine: Any) -> None:
        """Learn which machine it is whose way this is, once that is ready for a session; nothing is done to it here."""

    async def close(self) -> None:
        """End every connection and stop listening; harmless if repeated.

        Raises:
            NotClosed: a socket stayed open.
        """
        self._closed = True
        self._restore_names()
        await self._relay.close()

    # --- what is done to it -------------------------------------------------------------------------------------------

    def do(self, action: Any) -> None:
        """Carry out a network action of a scenario.

        Raises:
            LinkCannot: it is no network action, or names cannot be made to fail on this machine.
        """
        if not isinstance(action, NET_ACTIONS):
            known = ", ".join(kind.__name__ for kind in NET_ACTIONS)
            raise LinkCannot(f"expected a network action, saw {type(action).__name__}; the link knows: {known}")
        if isinstance(action, actions.DnsFails | actions.DnsWorks):
            self._names(works=isinstance(action, actions.DnsWorks))
        self._take(action)

    def person_does(self, what: DialNow | LineDown | PortalLogin | VpnStart) -> None:
        """A person does something about the network; what is not possible now changes nothing."""
        self._take(what)

    def pc_shows(self, observation: Any) -> None:
        """Follow the PC's life; observations that mean nothing to a network are ignored.

        Before the electricity is taken away, call :meth:`power_fails`: processes that are killed say goodbye otherwise.
        """
        self._take(observation)

    def power_fails(self) -> None:
        """The electricity goes, or the kernel crashes, in the next instant: from now on the agent's end says nothing.

        The observations of it may follow later; they change nothing more.
        """
        self._take(PowerFails())

    def heal(self) -> None:
        """Take every fault back. What that makes possible takes its time; a call has to be dialled anew."""
        self._restore_names()
        self._take(seen.Healed())

    def go_online(self) -> None:
        """Dial, log in at the portal, start the tunnel: whatever this PC needs, as soon as it is possible, once.

        No person is waited for. The wish ends when the PC is online; a line that is busy is dialled again.
        """
        self._goes_online = True
        self._take(None)

    def _restore_names(self) -> None:
        if self._set_dns is not None and not self._dns_works:
            self._names(works=True)

    def _names(self, *, works: bool) -> None:
        if self._set_dns is None:
            raise LinkCannot(
                "expected a machine that can make the server's name fail (capability dns), saw one without; skip the "
                "case, or give the link set_dns"
            )
        self._set_dns(works)
        self._dns_works = works

    # --- one input at a time --------------------------------------------------------------------------------------

    def _take(self, event: Any) -> None:
        """Take an input up. Whoever hears of an observation may act on the link at once: that waits its turn."""
        self._inbox.append(event)
        if self._busy or self._closed:
            return
        self._busy = True
        try:
            while self._inbox:
                for effect in self._way.take(self._inbox.popleft()):
                    self._carry_out(effect)
                if self._goes_online and not self._inbox:
                    self._go_on_online()
        finally:
            self._busy = False

    def _go_on_online(self) -> None:
        step = self._way.waits_for()
        if step is not None:
            self._inbox.append(step)
        elif self._way.online:
            self._goes_online = False

    def _carry_out(self, effect: WayEffect) -> None:
        match effect:
            case Saw():
                self._observe(effect.what)
            case After():
                us = effect.us if effect.us >= 0 else self._draw_us(effect.draw)
                self._timers.start(effect.name, us, self._take, TimerFired(effect.name))
            case Forget():
                self._timers.stop(effect.name)
            case _:
                self._relay.carry_out(effect)

    def _draw_us(self, draw: str) -> int:
        return round(self._streams.draw(draw) / self._scale)

    def _tried(self, outcome: str) -> None:
        self._observe(seen.ConnectTried(outcome))
