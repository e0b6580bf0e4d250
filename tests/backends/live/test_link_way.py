"""The link's decisions are the simulator's: the same inputs give the same observations, timers and obstacles."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rrsim.backends.live.link_way import Cut, Drop, Flow, HalfOpen, Mend, PcDown, PowerFails, Wake, Way
from rrsim.backends.sim import netstate, network
from rrsim.backends.sim.parts import ConnDown
from rrsim.machine import observations as seen
from rrsim.people.vocabulary import After, DialNow, Forget, LineDown, PortalLogin, Saw, VpnStart
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.kinds import NET_ACTIONS
from rrsim.scenario.model import PcSetup
from rrsim.scenario.words import Duration

EVENTS: tuple[Any, ...] = (
    DialNow(), LineDown(), PortalLogin(), VpnStart(), seen.Healed(),
    *(kind() for kind in NET_ACTIONS), act.CablePulled(returns_after_us=Duration(7)),
    *(seen.PhaseBegan(phase) for phase in get_args(seen.Phase)),
    seen.WentDown("agent", True), seen.WentDown("power", False),
    seen.BootBegan("boot-2", False, "agent"), seen.BootBegan("boot-2", True, "agent"),
    seen.WokeUp("boot-1", "sleep"), seen.WokeUp("boot-1", "fast startup"),
    seen.LoggedOn("right", "visible", True),
    *(TimerFired(name) for name in ("link", "tunnel", "cable", "stall", "call", "nonsense")),
)  # fmt: skip
SETUPS = st.builds(
    PcSetup,
    network=st.sampled_from(["lan", "wifi", "vpn", "dial-up"]),
    captive_portal=st.booleans(),
    safe_mode_network=st.booleans(),
    wifi_returns_after_us=st.sampled_from([None, Duration(5)]),
)
RESTART = (
    seen.WentDown("agent", True), seen.PhaseBegan("firmware"), seen.BootBegan("boot-2", False, "agent"),
    seen.PhaseBegan("services"), TimerFired("link"), seen.PhaseBegan("welcome"),
    seen.LoggedOn("right", "visible", True), seen.PhaseBegan("desktop"), TimerFired("link"), DialNow(), PortalLogin(),
    VpnStart(), TimerFired("tunnel"), TimerFired("call"), TimerFired("call"), act.CarrierLost(), DialNow(),
    TimerFired("call"), TimerFired("call"), TimerFired("call"), act.CablePulled(), act.CablePlugged(),
)  # fmt: skip


def alike(effects: Any) -> list[Any]:
    """What both models say in the same words: observations and timers, without what is about single connections."""
    told = [one for one in effects if isinstance(one, After | Forget | Saw)]
    return [one for one in told if getattr(one, "name", "") != "time sync"]


@settings(max_examples=400, deadline=None)
@given(SETUPS, st.lists(st.one_of(st.sampled_from(EVENTS), st.sampled_from(RESTART)), max_size=60))
@example(PcSetup(network="dial-up"), list(RESTART))
@example(PcSetup(network="vpn", captive_portal=True), list(RESTART))
@example(PcSetup(network="wifi", wifi_returns_after_us=Duration(5)), [*RESTART[:7], seen.Healed(), *RESTART[8:]])
@example(
    PcSetup(safe_mode_network=False),
    [seen.BootBegan("boot-2", True, "agent"), seen.PhaseBegan("services"), seen.Healed(), TimerFired("link")],
)
def test_the_way_is_the_simulated_network(setup: PcSetup, events: list[Any]) -> None:
    state, way = network.initial(setup), Way(setup)
    for event in events:
        state, effects = network.step(state, event)
        assert alike(way.take(event)) == alike(effects)
        assert way.obstacle() == netstate.obstacle_of(state)
        assert (way.online, way.passes) == (network.online(state), netstate.passes(state))


def wires(way: Way, *events: Any) -> list[Any]:
    found: list[Any] = []
    for event in events:
        found += [one for one in way.take(event) if not isinstance(one, After | Forget | Saw)]
    return found


def test_connections_hear_what_happens_to_them() -> None:
    way = Way(PcSetup())
    assert wires(way, act.ConnectionDrops(), act.ConnectionHalfOpen()) == [Drop(), HalfOpen()]
    assert wires(way, act.CablePulled(), act.CablePlugged()) == [Cut(notice=True)]
    assert wires(way, TimerFired("link")) == [Mend()]
    assert wires(way, act.ConnectionStalls(), TimerFired("stall")) == [Flow()]
    assert wires(way, seen.WentDown("agent", True)) == [PcDown(clean=True, passes=True), Cut(notice=False)]
    assert wires(way, seen.BootBegan("boot-2", False, "agent")) == [PcDown(clean=False, passes=False)]
    assert wires(way, seen.PhaseBegan("services"), TimerFired("link")) == [Mend()]
    assert wires(way, seen.PhaseBegan("asleep")) == [Cut(notice=False)]
    assert wires(way, seen.WokeUp("boot-2", "sleep"), TimerFired("link")) == [Wake(), Mend()]
    assert wires(way, PowerFails()) == [PcDown(clean=False, passes=False)]


def test_what_means_nothing_to_a_network_changes_nothing() -> None:
    way = Way(PcSetup(network="dial-up"))
    assert way.take(seen.WindowShown("chat")) == []
    assert way.take(ConnDown(1, "x", True, True)) == []
    assert way.obstacle() == ""
