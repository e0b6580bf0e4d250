"""What a customer's network remembers, and what can be read off it: link, obstacles, fate of messages, named draws.

The rules by which it changes are in :mod:`rrsim.backends.sim.network`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.backends.sim import connections, dialup
from rrsim.backends.sim.connections import Conns
from rrsim.backends.sim.dialup import Call, Line
from rrsim.backends.sim.parts import Fate
from rrsim.scenario.linkdraws import NET_DRAWS
from rrsim.scenario.model import PcSetup

Kind = Literal["lan", "wifi", "vpn", "dial-up"]
DRAWS: Final = NET_DRAWS
"""Named draws of the network: name to lowest and highest microseconds. Dial-up's own are in ``dialup.DRAWS``."""


class _Part(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Base of the network's state."""


class Wiring(_Part, frozen=True):
    """What kind of connection the customer has; never changes."""

    kind: Kind = "lan"
    safe_mode_network: bool = True
    captive_portal: bool = False
    wifi_us: int = -1
    """How long Wi-Fi takes after a logon; negative: drawn."""


class PcView(_Part, frozen=True):
    """What the network needs to know of the PC."""

    running: bool = True
    """Windows' network services run."""
    awake: bool = True
    signed_in: bool = True
    safe: bool = False


class Faults(_Part, frozen=True):
    """What is wrong with the network now."""

    cable_out: bool = False
    stalled: bool = False
    refusing: bool = False
    no_dns: bool = False
    impostor: bool = False
    clock: Literal["right", "behind", "ahead"] = "right"
    line: Line = "works"


class NetState(_Part, frozen=True):
    """Everything a customer's network remembers."""

    wiring: Wiring = Wiring()
    pc: PcView = PcView()
    faults: Faults = Faults()
    call: Call = dialup.IDLE
    link: Literal["down", "coming", "up"] = "up"
    why_down: str = ""
    """What keeps the link down, as last reported; empty while it is up."""
    portal_open: bool = True
    tunnel: Literal["down", "coming", "up"] = "up"
    """VPN only; otherwise it stays ``up`` and means nothing."""
    server_up: bool = True
    syncing: bool = False
    """Windows is about to correct the clock."""
    conns: Conns = ()

    @property
    def fate(self) -> Fate:
        """What becomes of messages in general; a single connection can fare worse (:func:`fate_of`)."""
        if not online(self):
            return "lose"
        return "hold" if self.faults.stalled else "deliver"


def initial(setup: PcSetup) -> NetState:
    """Return a network in the middle of a session: link up, tunnel up, portal passed, call connected."""
    wifi_us = setup.wifi_returns_after_us
    return NetState(
        wiring=Wiring(
            setup.network, setup.safe_mode_network, setup.captive_portal, -1 if wifi_us is None else int(wifi_us)
        ),
        call=dialup.CONNECTED if setup.network == "dial-up" else dialup.IDLE,
    )


def online(state: NetState) -> bool:
    """Whether nothing stands between the PC and the internet the server is in."""
    return state.link == "up" and state.portal_open and state.tunnel == "up"


def fate_of(state: NetState, conn: int) -> Fate:
    """Return what becomes of a message on connection ``conn`` that is sent now."""
    found = connections.find(state.conns, conn)
    if found is None or found.asking or not (found.agent and found.server) or found.path == "broken":
        return "lose"
    if found.path == "cut" or state.faults.stalled:
        return "hold"
    return "deliver"


def latency_draw(state: NetState) -> str:
    """Return the name of the draw for one message's way."""
    return _LATENCY[state.wiring.kind]


_LATENCY: Final = {kind: f"net latency {kind}" for kind in ("lan", "wifi", "vpn", "dial-up")}


def heal(state: NetState) -> NetState:
    """Take every fault of the network back, and a Wi-Fi that takes too long. The next step of any kind starts what
    follows; to start it at once, step with :class:`~rrsim.machine.observations.Healed`, which includes this."""
    wiring = msgspec.structs.replace(state.wiring, wifi_us=-1, safe_mode_network=True)
    return msgspec.structs.replace(state, faults=Faults(), wiring=wiring)


def why_no_link(state: NetState) -> str:
    """Return what keeps the link down, or nothing if it can be up."""
    kind, pc = state.wiring.kind, state.pc
    if not pc.running:
        return "the pc is down"
    if not pc.awake:
        return "the pc sleeps"
    if state.faults.cable_out:
        return "cable out"
    if pc.safe and (kind in ("wifi", "dial-up") or not state.wiring.safe_mode_network):
        return "no network in safe mode"
    if kind in ("wifi", "dial-up") and not pc.signed_in:
        return "nobody is signed in"
    if kind == "dial-up" and state.faults.line == "dead":
        return "the line is dead"
    return ""


def by_line(state: NetState, draw: str) -> str:
    """Return the draw's own name for a telephone line, where everything takes longer."""
    return f"{draw} dial-up" if state.wiring.kind == "dial-up" else draw


def passes(state: NetState) -> bool:
    """Whether packets pass between PC and server now."""
    return online(state) and state.pc.awake and not state.faults.stalled


def obstacle_of(state: NetState) -> str:
    """Return why an attempt to connect would fail now; empty if it would succeed."""
    faults = state.faults
    if state.link != "up":
        return "no network"
    if not state.portal_open:
        return "certificate not valid (captive portal)"
    if state.tunnel != "up" or faults.stalled:
        return "no answer"
    if faults.no_dns:
        return "name not resolved"
    if faults.impostor:
        return "certificate not valid (wrong server)"
    if faults.refusing or not state.server_up:
        return "connection refused"
    if faults.clock == "behind":
        return "certificate not yet valid"
    if faults.clock == "ahead":
        return "certificate expired"
    return ""
