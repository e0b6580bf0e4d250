"""One customer's network: the way from the PC to the session server, as a pure step function.

Rules:

* The *link* is the PC's way to the internet. A LAN comes up a while after Windows starts its services, Wi-Fi a while
  after somebody signed in (its key belongs to the user), dial-up only with a call (:mod:`rrsim.backends.sim.dialup`).
* A *tunnel* (VPN) or a *portal* can stand between link and server: the PC is *online* when nothing does.
* Safe mode with networking has the wired card only: no Wi-Fi, no dial-up (windows.md 2.2 and 6), and none at all if
  the set-up says so (SM-11).
* An attempt to connect looks for its obstacle when it begins, waits as long as that obstacle takes to be noticed, and
  looks again when it would succeed. The wrong server is noticed before anything is sent to it (SE-11).
* What each end of a connection learns, and when, is decided in :mod:`rrsim.backends.sim.connections`.
* Something that cannot happen now (dialling without a modem, a timer that is void) changes nothing; an input of a type
  that is not for a network raises :class:`NotForNetwork`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from rrsim.agent.host import NetworkChanged
from rrsim.backends.sim import connections, dialup, parts
from rrsim.backends.sim.dialup import Line
from rrsim.backends.sim.netstate import (
    DRAWS,
    NetState,
    PcView,
    by_line,
    fate_of,
    heal,
    initial,
    latency_draw,
    obstacle_of,
    online,
    passes,
    why_no_link,
)
from rrsim.backends.sim.parts import After, Forget, NetEffect, Saw, TellAgent
from rrsim.machine import observations as seen
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.linkdraws import LINE_RATE_BPS

__all__ = [
    "DRAWS", "INPUTS", "LINE_RATE_BPS", "NetState", "NotForNetwork", "fate_of", "heal", "initial", "latency_draw",
    "online", "step",
]  # fmt: skip

DAY_US: Final = 86_400_000_000


class NotForNetwork(ValueError):
    """An input of a type that the network does not take."""


Effects = list[Any]
_replace: Final = msgspec.structs.replace


def step(state: NetState, event: Any) -> tuple[NetState, tuple[NetEffect, ...]]:
    """Take one input.

    Raises:
        NotForNetwork: the input's type means nothing to a network; the state is unchanged.
    """
    handler = _HANDLERS.get(type(event))
    if handler is None:
        raise NotForNetwork(
            f"expected a network input, saw {type(event).__name__}; the list at the top of parts.py says who hears what"
        )
    effects: Effects = []
    after = handler(state, event, effects)
    wifi_us = state.wiring.wifi_us if isinstance(event, seen.LoggedOn) else -1
    return _settle(state, after, wifi_us, effects), tuple(effects)


# --- what follows from a changed situation ----------------------------------------------------------------------


def _settle(before: NetState, state: NetState, wifi_us: int, effects: Effects) -> NetState:
    """Bring link, tunnel, call, connections and clock into line with what is possible now."""
    why_not = why_no_link(state)
    if state.wiring.kind == "dial-up":
        state = _settle_call(state, why_not, effects)
        if not why_not and state.call.phase != "connected":
            why_not = "no call"
    if why_not:
        state = _link_down(state, why_not, effects)
    elif state.link == "down":
        if state.wiring.kind == "dial-up":
            state = _link_up(state, effects)
        else:
            draw = "net wifi" if state.wiring.kind == "wifi" else "net dhcp"
            effects.append(After("link", draw, wifi_us if draw == "net wifi" else -1))
            state = _replace(state, link="coming")
    if state.wiring.kind == "vpn" and not state.pc.signed_in:
        state = _tunnel_down(state, "nobody is signed in", effects)
    if online(before) and not online(state):
        conns, more = connections.cut(state.conns, notice=state.pc.running and state.pc.awake)
        effects += more
        state = _replace(state, conns=conns)
    elif online(state) and not online(before):
        conns, more = connections.mend(state.conns, by_line(state, "net reset"))
        effects += more
        state = _replace(state, conns=conns)
    return _settle_clock(state, effects)


def _settle_call(state: NetState, why_not: str, effects: Effects) -> NetState:
    """End a call that the PC or the line no longer carries."""
    if not why_not:
        return state
    if why_not in ("cable out", "the line is dead"):
        call, more = dialup.carrier_lost(state.call)
    else:
        call, more = dialup.hang_up(state.call, said=why_not == "nobody is signed in")
    effects += more
    return _replace(state, call=call)


def _settle_clock(state: NetState, effects: Effects) -> NetState:
    """Let Windows correct a wrong clock once it is online."""
    wanted = state.faults.clock != "right" and online(state)
    if wanted == state.syncing:
        return state
    effects.append(After("time sync", "net time sync") if wanted else Forget("time sync"))
    return _replace(state, syncing=wanted)


def _link_up(state: NetState, effects: Effects) -> NetState:
    effects += (Saw(seen.LinkChanged(True, _link_kind(state))), TellAgent(NetworkChanged()))
    return _replace(state, link="up", why_down="")


def _link_down(state: NetState, reason: str, effects: Effects) -> NetState:
    if state.link == "coming":
        effects.append(Forget("link"))
    if state.link == "up" or (reason != state.why_down and state.pc.running):
        # Also when only the reason changed: a report has to name what kept a PC away that was long up again (NE-11).
        effects.append(Saw(seen.LinkChanged(False, _link_kind(state), reason)))
    if state.wiring.kind == "vpn":
        state = _tunnel_down(state, reason, effects)
    return _replace(state, link="down", why_down=reason)


def _tunnel_down(state: NetState, reason: str, effects: Effects) -> NetState:
    if state.tunnel == "coming":
        effects.append(Forget("tunnel"))
    elif state.tunnel == "up":
        effects.append(Saw(seen.LinkChanged(False, "vpn", reason)))
    return _replace(state, tunnel="down")


def _link_kind(state: NetState) -> str:
    """The tunnel is not the link: what lies under a VPN is a LAN."""
    return "lan" if state.wiring.kind == "vpn" else state.wiring.kind


# --- attempts to connect ----------------------------------------------------------------------------------------


_WAIT: Final = {
    "no network": "net refused",
    "connection refused": "net refused",
    "name not resolved": "net dns fails",
    "no answer": "net timeout",
}


def _attempt(state: NetState, number: int, obstacle: str) -> After:
    draw = _WAIT.get(obstacle) or by_line(state, "net connect")
    return After(f"connect {number}", draw)


def _connect(state: NetState, event: parts.NetConnect, effects: Effects) -> NetState:
    obstacle = obstacle_of(state)
    conns, more = connections.begin(state.conns, event.conn, obstacle)
    effects += [*more, _attempt(state, event.conn, obstacle)]
    return _replace(state, conns=conns)


def _attempt_ends(state: NetState, number: int, effects: Effects) -> NetState:
    conn = connections.find(state.conns, number)
    if conn is None or not conn.asking or not state.pc.awake:
        return state
    now = obstacle_of(state)
    if conn.obstacle == "" and now == "no answer":
        effects.append(_attempt(state, number, now))
        return _replace(state, conns=connections.put(state.conns, _replace(conn, obstacle=now)))
    reason = "no network" if now == "no network" else conn.obstacle or now
    conns, more = (
        connections.refuse(state.conns, number, reason) if reason else connections.establish(state.conns, number)
    )
    effects += more
    return _replace(state, conns=conns)


def _hang_up(state: NetState, event: parts.NetHangUp, effects: Effects) -> NetState:
    close = None
    if passes(state):
        close = After(f"close {event.conn}", by_line(state, "net close" if event.polite else "net reset"))
    conns, more = connections.hang_up(state.conns, event.conn, close, rude=not event.polite)
    effects += more
    return _replace(state, conns=conns)


def _server_hung_up(state: NetState, event: parts.ServerHungUp, effects: Effects) -> NetState:
    conns, more = connections.server_hung_up(state.conns, event.conn, passes=passes(state))
    effects += more
    return _replace(state, conns=conns)


def _server_went(state: NetState, event: parts.ServerWent, effects: Effects) -> NetState:
    if event.up:
        return _replace(state, server_up=True)
    conns, more = connections.server_died(state.conns, passes=passes(state))
    effects += more
    return _replace(state, server_up=False, conns=conns)


# --- the PC's life ----------------------------------------------------------------------------------------------

_BEFORE_SERVICES: Final = frozenset({"off", "firmware", "bios password", "bitlocker", "recovery", "loading"})
_AFTER_SERVICES: Final = frozenset({"services", "welcome", "shell", "desktop"})


def _phase(state: NetState, event: seen.PhaseBegan, _effects: Effects) -> NetState:
    pc, phase = state.pc, event.phase
    if phase == "asleep":
        pc = _replace(pc, awake=False)
    elif phase in _BEFORE_SERVICES:
        pc = _replace(pc, running=False, signed_in=False)
    elif phase in _AFTER_SERVICES:
        pc = _replace(pc, running=True, signed_in=pc.signed_in and phase not in ("services", "welcome"))
    return _replace(state, pc=pc)


def _logged_on(state: NetState, _event: seen.LoggedOn, _effects: Effects) -> NetState:
    return _replace(state, pc=_replace(state.pc, signed_in=True))


def _went_down(state: NetState, event: seen.WentDown, effects: Effects) -> NetState:
    conns, more = connections.pc_down(state.conns, clean=event.clean, passes=passes(state))
    effects += more
    return _replace(state, conns=conns, pc=PcView(running=False, signed_in=False, safe=state.pc.safe))


def _boot(state: NetState, event: seen.BootBegan, effects: Effects) -> NetState:
    conns, more = connections.pc_down(state.conns, clean=False, passes=False)
    effects += more
    return _replace(
        state,
        conns=conns,
        pc=PcView(running=False, signed_in=False, safe=event.safe_mode),
        portal_open=not state.wiring.captive_portal,
    )


def _woke(state: NetState, event: seen.WokeUp, effects: Effects) -> NetState:
    conns, more = connections.wake(state.conns)
    effects += more
    pc = PcView(signed_in=state.pc.signed_in and event.how == "sleep", safe=state.pc.safe)
    return _replace(state, conns=conns, pc=pc)


# --- timers -----------------------------------------------------------------------------------------------------


def _timer(state: NetState, event: TimerFired, effects: Effects) -> NetState:
    what, _, number = event.name.rpartition(" ")
    if number.isdecimal() and what in ("connect", "notice", "close"):
        if what == "connect":
            return _attempt_ends(state, int(number), effects)
        if what == "notice" and not state.pc.awake:
            return state
        ends = connections.noticed if what == "notice" else connections.closed
        conns, more = ends(state.conns, int(number))
        effects += more
        return _replace(state, conns=conns)
    match event.name:
        case "link" if state.link == "coming" and not why_no_link(state):
            return _link_up(state, effects)
        case "tunnel" if state.tunnel == "coming":
            effects += (Saw(seen.LinkChanged(True, "vpn")), TellAgent(NetworkChanged()))
            return _replace(state, tunnel="up")
        case "cable":
            return _set(state, cable_out=False)
        case "stall":
            return _unstall(state, effects)
        case "time sync" if state.syncing:
            return _replace(_set(state, clock="right"), syncing=False)
        case dialup.TIMER:
            call, said = dialup.fired(state.call, state.faults.line)
            effects += said
            return _replace(state, call=call)
        case _:
            return state


# --- what people do ---------------------------------------------------------------------------------------------


def _dial(state: NetState, _event: parts.DialNow, effects: Effects) -> NetState:
    pc = state.pc
    if state.wiring.kind != "dial-up" or pc.safe or not (pc.running and pc.awake and pc.signed_in):
        return state
    line: Line = "dead" if state.faults.cable_out else state.faults.line
    call, more = dialup.dial(state.call, line)
    effects += more
    return _replace(state, call=call)


def _line_down(state: NetState, _event: parts.LineDown, effects: Effects) -> NetState:
    call, more = dialup.hang_up(state.call)
    effects += more
    return _replace(state, call=call)


def _portal(state: NetState, _event: parts.PortalLogin, effects: Effects) -> NetState:
    if state.portal_open or state.link != "up":
        return state
    effects += (Saw(seen.LinkChanged(True, _link_kind(state), "portal passed")), TellAgent(NetworkChanged()))
    return _replace(state, portal_open=True)


def _vpn(state: NetState, _event: parts.VpnStart, effects: Effects) -> NetState:
    if state.tunnel != "down" or state.link != "up" or not state.portal_open or not state.pc.signed_in:
        return state
    effects.append(After("tunnel", "net vpn tunnel"))
    return _replace(state, tunnel="coming")


# --- faults -----------------------------------------------------------------------------------------------------


def _set(state: NetState, **changed: Any) -> NetState:
    return _replace(state, faults=_replace(state.faults, **changed))


def _cable_pulled(state: NetState, event: act.CablePulled, effects: Effects) -> NetState:
    back = event.returns_after_us
    effects.append(Forget("cable") if back is None else After("cable", "net outage", int(back)))
    return _set(state, cable_out=True)


def _cable_plugged(state: NetState, _event: act.CablePlugged, effects: Effects) -> NetState:
    effects.append(Forget("cable"))
    return _set(state, cable_out=False)


def _drops(state: NetState, _event: act.ConnectionDrops, effects: Effects) -> NetState:
    conns, more = connections.drop(state.conns)
    effects += more
    return _replace(state, conns=conns)


def _half_open(state: NetState, _event: act.ConnectionHalfOpen, effects: Effects) -> NetState:
    conns, more = connections.half_open(state.conns)
    effects += more
    return _replace(state, conns=conns)


def _stall(state: NetState, event: act.ConnectionStalls, effects: Effects) -> NetState:
    effects.append(After("stall", "net stall", int(event.for_us)))
    return _set(state, stalled=True)


def _unstall(state: NetState, effects: Effects) -> NetState:
    """What was held flows again, and attempts that nobody answered because of the stall are answered now."""
    state = _set(state, stalled=False)
    conns, more = connections.flow(state.conns, by_line(state, "net reset"), online=online(state))
    effects += more
    for conn in conns:
        if conn.asking and conn.obstacle == "no answer" and online(state):
            conns = connections.put(conns, _replace(conn, obstacle=obstacle_of(state)))
            effects.append(_attempt(state, conn.number, obstacle_of(state)))
    return _replace(state, conns=conns)


def _clock(state: NetState, event: act.WallClockJumps, _effects: Effects) -> NetState:
    if event.by_us <= DAY_US:
        return state
    return _set(state, clock="behind" if event.back else "ahead")


def _healed(state: NetState, _event: seen.Healed, effects: Effects) -> NetState:
    if state.faults.stalled:
        effects.append(Forget("stall"))
        state = _unstall(state, effects)
    effects.append(Forget("cable"))
    if state.link == "coming" and state.wiring.wifi_us >= 0:
        effects.append(After("link", "net wifi"))
    return heal(state)


def _carrier_lost(state: NetState, _event: act.CarrierLost, effects: Effects) -> NetState:
    call, more = dialup.carrier_lost(state.call)
    effects += more
    return _replace(state, call=call)


def _fault(**changed: Any) -> Callable[[NetState, Any, Effects], NetState]:
    """Return a handler that only notes a fault, or that it is gone."""
    return lambda state, _event, _effects: _set(state, **changed)


_HANDLERS: Final[dict[type, Callable[[NetState, Any, Effects], NetState]]] = {
    parts.NetConnect: _connect,
    parts.NetHangUp: _hang_up,
    parts.ServerHungUp: _server_hung_up,
    parts.ServerWent: _server_went,
    parts.DialNow: _dial,
    parts.LineDown: _line_down,
    parts.PortalLogin: _portal,
    parts.VpnStart: _vpn,
    TimerFired: _timer,
    seen.PhaseBegan: _phase,
    seen.LoggedOn: _logged_on,
    seen.WentDown: _went_down,
    seen.BootBegan: _boot,
    seen.WokeUp: _woke,
    seen.Healed: _healed,
    act.CablePulled: _cable_pulled,
    act.CablePlugged: _cable_plugged,
    act.ConnectionDrops: _drops,
    act.ConnectionStalls: _stall,
    act.ConnectionHalfOpen: _half_open,
    act.ServerRefuses: _fault(refusing=True),
    act.ServerAccepts: _fault(refusing=False),
    act.DnsFails: _fault(no_dns=True),
    act.DnsWorks: _fault(no_dns=False),
    act.Impostor: _fault(impostor=True),
    act.ImpostorGone: _fault(impostor=False),
    act.LineBusy: _fault(line="busy"),
    act.LineDead: _fault(line="dead"),
    act.LineWorks: _fault(line="works"),
    act.CarrierLost: _carrier_lost,
    act.WallClockJumps: _clock,
}
INPUTS: Final = tuple(_HANDLERS)
"""Every type of input the network takes."""
