"""What stands between one PC and the session server: link, tunnel, portal, telephone call, faults. No socket, no clock.

It follows the rules of the simulator's network word for word, so that a live history reads like a modelled one; the
tests drive both with the same inputs. :mod:`rrsim.backends.live.link_relay` does to sockets what is decided here.

* A LAN comes up a while after Windows starts its services, Wi-Fi a while after somebody signed in, dial-up only with
  a call.
* A tunnel (VPN) or a portal can stand between link and server: the PC is *online* when nothing does.
* Safe mode with networking has the wired card only.
* Nothing dials by itself: after every end of a call somebody must dial again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from rrsim.machine import observations as seen
from rrsim.people.vocabulary import After, DialNow, Forget, LineDown, PortalLogin, Saw, VpnStart
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import PcSetup

Call = Literal["idle", "dialling", "engaged", "no tone", "training", "ppp", "connected"]


class _Word(msgspec.Struct, frozen=True):
    """Base of what happens to connections."""


class Cut(_Word, frozen=True):
    """Nothing passes any more. ``notice``: Windows tells the agent a little later; the server hears nothing."""

    notice: bool


class Mend(_Word, frozen=True):
    """The way is there again: connections that both ends still have go on."""


class Flow(_Word, frozen=True):
    """A stall is over: what was held flows again."""


class Drop(_Word, frozen=True):
    """Every connection ends and both ends are told (LO-16)."""


class HalfOpen(_Word, frozen=True):
    """Every connection falls silent for good and neither end is told (NE-08)."""


class PcDown(_Word, frozen=True):
    """The agent's ends are gone. The server is told at once only if Windows shut down in order and packets passed."""

    clean: bool
    passes: bool


class Wake(_Word, frozen=True):
    """The PC slept: what its agent had open or asked for is gone, and the server was not told."""


class PowerFails(_Word, frozen=True):
    """An input: the PC's processes are about to vanish without a goodbye; its observations may follow later."""


WireEffect = Cut | Mend | Flow | Drop | HalfOpen | PcDown | Wake
WayEffect = After | Forget | Saw | WireEffect

PORTAL: Final = "certificate not valid (captive portal)"
"""The one obstacle that itself answers although the PC is not online."""
_BEFORE_SERVICES: Final = frozenset({"off", "firmware", "bios password", "bitlocker", "recovery", "loading"})
_AFTER_SERVICES: Final = frozenset({"services", "welcome", "shell", "desktop"})


class Way:
    """The way of one PC to the server. It begins as in the middle of a session: everything up."""

    def __init__(self, setup: PcSetup) -> None:
        """``setup`` is ``given: pc``; its own durations are taken as they are."""
        self.kind: str = setup.network
        self._captive_portal = setup.captive_portal
        self._safe_mode_network = setup.safe_mode_network
        self._wifi_us = -1 if setup.wifi_returns_after_us is None else int(setup.wifi_returns_after_us)
        self._running = self._awake = self._signed_in = True
        self._safe = False
        self._cable_out = self._stalled = self._refusing = self._no_dns = self._impostor = False
        self._line: Literal["works", "busy", "dead"] = "works"
        self._link: Literal["down", "coming", "up"] = "up"
        self._why_down = ""
        self._portal_open = True
        self._tunnel: Literal["down", "coming", "up"] = "up"
        self._call: Call = "connected" if self.kind == "dial-up" else "idle"
        self._effects: list[WayEffect] = []
        self._hears = self._handlers()

    def take(self, event: Any) -> list[WayEffect]:
        """Take one input; return what follows, in order. What means nothing to a network changes nothing."""
        handler = self._hears.get(type(event))
        if handler is None:
            return []
        was_online = self.online
        self._effects = []
        handler(event)
        self._settle(was_online, self._wifi_us if isinstance(event, seen.LoggedOn) else -1)
        return self._effects

    # --- what can be read off -------------------------------------------------------------------------------------

    @property
    def online(self) -> bool:
        """Whether nothing stands between the PC and the internet the server is in."""
        return self._link == "up" and self._portal_open and self._tunnel == "up"

    @property
    def passes(self) -> bool:
        """Whether packets pass between PC and server now."""
        return self.online and self._awake and not self._stalled

    @property
    def passes_portal(self) -> bool:
        """Whether packets pass between PC and a captive portal now."""
        return self._link == "up" and self._awake and not self._stalled

    @property
    def cable_out(self) -> bool:
        """Whether the cable is pulled."""
        return self._cable_out

    @property
    def awake(self) -> bool:
        """Whether the PC is not asleep."""
        return self._awake

    def obstacle(self) -> str:
        """Return why an attempt to connect would fail now; empty if nothing here is in its way."""
        if self._link != "up":
            return "no network"
        if not self._portal_open:
            return PORTAL
        if self._tunnel != "up" or self._stalled:
            return "no answer"
        if self._no_dns:
            return "name not resolved"
        if self._impostor:
            return "certificate not valid (wrong server)"
        return "connection refused" if self._refusing else ""

    def waits_for(self) -> DialNow | PortalLogin | VpnStart | None:
        """Return what a person could do now to bring the PC closer to the internet; None: nothing, or not now."""
        if self.kind == "dial-up" and self._call == "idle" and not self._why_no_link():
            return DialNow()
        if self._link != "up":
            return None
        if not self._portal_open:
            return PortalLogin()
        return VpnStart() if self._tunnel == "down" and self._signed_in else None

    def by_line(self, draw: str) -> str:
        """Return the draw's own name for a telephone line, where everything takes longer."""
        return f"{draw} dial-up" if self.kind == "dial-up" else draw

    # --- what follows from a changed situation ----------------------------------------------------------------------

    def _saw(self, what: seen.AnyObservation) -> None:
        self._effects.append(Saw(what))

    def _after(self, name: str, draw: str, us: int = -1) -> None:
        self._effects.append(After(name, draw, us))

    def _forget(self, name: str) -> None:
        self._effects.append(Forget(name))

    def _why_no_link(self) -> str:
        dial_up = self.kind == "dial-up"
        by_user = dial_up or self.kind == "wifi"
        if not self._running:
            return "the pc is down"
        if not self._awake:
            return "the pc sleeps"
        if self._cable_out:
            return "cable out"
        if self._safe and (by_user or not self._safe_mode_network):
            return "no network in safe mode"
        if by_user and not self._signed_in:
            return "nobody is signed in"
        return "the line is dead" if dial_up and self._line == "dead" else ""

    def _settle(self, was_online: bool, wifi_us: int) -> None:
        """Bring link, tunnel, call and connections into line with what is possible now."""
        why_not = self._why_no_link()
        if self.kind == "dial-up":
            if why_not in ("cable out", "the line is dead"):
                self._carrier_lost()
            elif why_not:
                self._hang_up(said=why_not == "nobody is signed in")
            elif self._call != "connected":
                why_not = "no call"
        if why_not:
            self._link_down(why_not)
        elif self._link == "down":
            self._link_comes(wifi_us)
        if self.kind == "vpn" and not self._signed_in:
            self._tunnel_down("nobody is signed in")
        if was_online and not self.online:
            self._effects.append(Cut(notice=self._running and self._awake))
        elif self.online and not was_online:
            self._effects.append(Mend())

    def _link_comes(self, wifi_us: int) -> None:
        if self.kind == "dial-up":
            self._link_up()
            return
        draw = "net wifi" if self.kind == "wifi" else "net dhcp"
        self._after("link", draw, wifi_us if draw == "net wifi" else -1)
        self._link = "coming"

    def _link_up(self) -> None:
        self._saw(seen.LinkChanged(True, self._link_kind))
        self._link, self._why_down = "up", ""

    def _link_down(self, reason: str) -> None:
        if self._link == "coming":
            self._forget("link")
        if self._link == "up" or (reason != self._why_down and self._running):
            # Also when only the reason changed: a report names what kept a PC away that was long up again (NE-11).
            self._saw(seen.LinkChanged(False, self._link_kind, reason))
        if self.kind == "vpn":
            self._tunnel_down(reason)
        self._link, self._why_down = "down", reason

    def _tunnel_down(self, reason: str) -> None:
        if self._tunnel == "coming":
            self._forget("tunnel")
        elif self._tunnel == "up":
            self._saw(seen.LinkChanged(False, "vpn", reason))
        self._tunnel = "down"

    @property
    def _link_kind(self) -> str:
        """The tunnel is not the link: what lies under a VPN is a LAN."""
        return "lan" if self.kind == "vpn" else self.kind

    # --- the telephone call -----------------------------------------------------------------------------------------

    def _says_call(self, phase: str, then: Call, draw: str = "") -> None:
        self._call = then
        self._saw(seen.DialProgress(phase))
        if draw:
            self._after("call", draw)

    def _dial(self, _: DialNow) -> None:
        possible = self.kind == "dial-up" and not self._safe and self._running and self._awake and self._signed_in
        if not possible or self._call != "idle":
            return
        match "dead" if self._cable_out else self._line:
            case "busy":
                self._says_call("dialling", "engaged", "dial busy")
            case "dead":
                self._says_call("dialling", "no tone", "dial no tone")
            case _:
                self._says_call("dialling", "dialling", "dial call")

    def _call_goes_on(self) -> None:
        match self._call:
            case "engaged":
                self._says_call("busy", "idle")
            case "no tone":
                self._says_call("no dial tone", "idle")
            case "dialling" if self._line == "busy":
                self._says_call("busy", "idle")
            case "dialling":
                self._says_call("training", "training", "dial training")
            case "training":
                self._says_call("ppp", "ppp", "dial ppp")
            case "ppp":
                self._says_call("connected", "connected")
            case _:
                return

    def _carrier_lost(self) -> None:
        if self._call == "connected":
            self._says_call("dropped", "idle")
        elif self._call in ("dialling", "training", "ppp"):
            self._forget("call")
            self._says_call("no carrier", "idle")

    def _hang_up(self, *, said: bool) -> None:
        """End the call at the customer's side. ``said`` False: nobody is there to read a status."""
        if self._call == "idle":
            return
        if self._call != "connected":
            self._forget("call")
        if said:
            self._saw(seen.DialProgress("dropped"))
        self._call = "idle"

    def _line_down(self, _: LineDown) -> None:
        self._hang_up(said=True)

    # --- the PC's life ----------------------------------------------------------------------------------------------

    def _phase(self, event: seen.PhaseBegan) -> None:
        if event.phase == "asleep":
            self._awake = False
        elif event.phase in _BEFORE_SERVICES:
            self._running = self._signed_in = False
        elif event.phase in _AFTER_SERVICES:
            self._running = True
            self._signed_in = self._signed_in and event.phase not in ("services", "welcome")

    def _logged_on(self, _: seen.LoggedOn) -> None:
        self._signed_in = True

    def _went_down(self, event: seen.WentDown) -> None:
        self._effects.append(PcDown(event.clean, self.passes))
        self._running = self._signed_in = False
        self._awake = True

    def _power_fails(self, _: PowerFails) -> None:
        self._effects.append(PcDown(clean=False, passes=False))

    def _boot(self, event: seen.BootBegan) -> None:
        self._effects.append(PcDown(clean=False, passes=False))
        self._running = self._signed_in = False
        self._awake = True
        self._safe = event.safe_mode
        self._portal_open = not self._captive_portal

    def _woke(self, event: seen.WokeUp) -> None:
        self._effects.append(Wake())
        self._running = self._awake = True
        self._signed_in = self._signed_in and event.how == "sleep"

    # --- timers and people ------------------------------------------------------------------------------------------

    def _timer(self, event: TimerFired) -> None:
        match event.name:
            case "link" if self._link == "coming" and not self._why_no_link():
                self._link_up()
            case "tunnel" if self._tunnel == "coming":
                self._saw(seen.LinkChanged(True, "vpn"))
                self._tunnel = "up"
            case "cable":
                self._cable_out = False
            case "stall":
                self._unstall()
            case "call":
                self._call_goes_on()
            case _:
                return

    def _portal(self, _: PortalLogin) -> None:
        if not self._portal_open and self._link == "up":
            self._saw(seen.LinkChanged(True, self._link_kind, "portal passed"))
            self._portal_open = True

    def _vpn(self, _: VpnStart) -> None:
        if self._tunnel == "down" and self._link == "up" and self._portal_open and self._signed_in:
            self._after("tunnel", "net vpn tunnel")
            self._tunnel = "coming"

    # --- faults -----------------------------------------------------------------------------------------------------

    def _cable_pulled(self, event: act.CablePulled) -> None:
        self._cable_out = True
        if event.returns_after_us is None:
            self._forget("cable")
        else:
            self._after("cable", "net outage", int(event.returns_after_us))

    def _cable_plugged(self, _: act.CablePlugged) -> None:
        self._forget("cable")
        self._cable_out = False

    def _drops(self, _: act.ConnectionDrops) -> None:
        self._effects.append(Drop())

    def _half_open(self, _: act.ConnectionHalfOpen) -> None:
        self._effects.append(HalfOpen())

    def _stalls(self, event: act.ConnectionStalls) -> None:
        self._after("stall", "net stall", int(event.for_us))
        self._stalled = True

    def _unstall(self) -> None:
        self._stalled = False
        self._effects.append(Flow())

    def _carrier(self, _: act.CarrierLost) -> None:
        self._carrier_lost()

    def _healed(self, _: seen.Healed) -> None:
        if self._stalled:
            self._forget("stall")
            self._unstall()
        self._forget("cable")
        if self._link == "coming" and self._wifi_us >= 0:
            self._after("link", "net wifi")
        self._cable_out = self._refusing = self._no_dns = self._impostor = False
        self._line = "works"
        self._wifi_us = -1
        self._safe_mode_network = True

    def _handlers(self) -> dict[type, Callable[[Any], None]]:
        return {
            DialNow: self._dial,
            LineDown: self._line_down,
            PortalLogin: self._portal,
            VpnStart: self._vpn,
            TimerFired: self._timer,
            PowerFails: self._power_fails,
            seen.PhaseBegan: self._phase,
            seen.LoggedOn: self._logged_on,
            seen.WentDown: self._went_down,
            seen.BootBegan: self._boot,
            seen.WokeUp: self._woke,
            seen.Healed: self._healed,
            act.CablePulled: self._cable_pulled,
            act.CablePlugged: self._cable_plugged,
            act.ConnectionDrops: self._drops,
            act.ConnectionStalls: self._stalls,
            act.ConnectionHalfOpen: self._half_open,
            act.CarrierLost: self._carrier,
            act.ServerRefuses: self._fault("_refusing", True),
            act.ServerAccepts: self._fault("_refusing", False),
            act.DnsFails: self._fault("_no_dns", True),
            act.DnsWorks: self._fault("_no_dns", False),
            act.Impostor: self._fault("_impostor", True),
            act.ImpostorGone: self._fault("_impostor", False),
            act.LineBusy: self._fault("_line", "busy"),
            act.LineDead: self._fault("_line", "dead"),
            act.LineWorks: self._fault("_line", "works"),
        }

    def _fault(self, name: str, value: object) -> Callable[[Any], None]:
        """Return a handler that only notes a fault, or that it is gone."""
        return lambda _event: setattr(self, name, value)
