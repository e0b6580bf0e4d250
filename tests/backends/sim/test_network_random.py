"""No order of inputs breaks the network; once healed, a booted PC always gets through."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.backends.sim import dialup, parts
from rrsim.backends.sim.connections import MAX_CONNS
from rrsim.backends.sim.network import DRAWS, initial, step
from rrsim.machine import observations as seen
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import PcSetup
from rrsim.scenario.words import Duration
from tests.backends.sim.net_driver import FAULTS, Net, dial

CONN = st.integers(1, 64)
PHASES = get_args(seen.Phase)
TIMERS = ["link", "tunnel", "cable", "stall", "time sync", "call", "connect 1", "notice 1", "close 1", "nonsense 9"]
EVENTS = st.one_of(
    st.builds(parts.NetConnect, CONN),
    st.builds(parts.NetHangUp, CONN, st.booleans()),
    st.builds(parts.ServerHungUp, CONN),
    st.builds(parts.ServerWent, st.booleans()),
    st.sampled_from([parts.DialNow(), parts.LineDown(), parts.PortalLogin(), parts.VpnStart(), seen.Healed()]),
    st.sampled_from([*FAULTS, act.CablePlugged(), act.CablePulled(returns_after_us=Duration(5)), act.LineBusy()]),
    st.sampled_from([act.ConnectionDrops(), act.ConnectionHalfOpen(), act.ServerAccepts(), act.DnsWorks()]),
    st.sampled_from([act.ImpostorGone(), act.LineWorks(), act.CarrierLost()]),
    st.builds(seen.PhaseBegan, st.sampled_from(PHASES)),
    st.builds(seen.WentDown, st.just("agent"), st.booleans()),
    st.builds(seen.BootBegan, st.just("boot-2"), st.booleans(), st.just("agent")),
    st.builds(seen.WokeUp, st.just("boot-1"), st.sampled_from(["sleep", "fast startup"])),
    st.just(seen.LoggedOn("right", "visible", True)),
    st.builds(TimerFired, st.sampled_from(TIMERS)),
)
SETUPS = st.builds(
    PcSetup,
    network=st.sampled_from(["lan", "wifi", "vpn", "dial-up"]),
    captive_portal=st.booleans(),
    safe_mode_network=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(SETUPS, st.lists(st.one_of(EVENTS, st.integers(0, 5)), max_size=60))
def test_no_order_of_inputs_breaks_the_network(setup: PcSetup, events: list[Any]) -> None:
    known = {**DRAWS, **dialup.DRAWS}
    state, running = initial(setup), dict[str, None]()
    at_agent: set[int] = set()
    at_server: set[int] = set()
    for drawn in events:
        event = drawn
        if isinstance(drawn, int):  # let one of the running timers fire
            if drawn >= len(running):
                continue
            event = TimerFired(list(running)[drawn])
        if isinstance(event, TimerFired):
            running.pop(event.name, None)
        before = state
        state, effects = step(state, event)
        assert (state, effects) == step(before, event)
        assert hash(state) == hash(step(before, event)[0])
        assert len(state.conns) <= MAX_CONNS
        assert state.fate in ("deliver", "hold", "lose")
        if isinstance(event, parts.NetHangUp):
            at_agent.discard(event.conn)
        if isinstance(event, parts.ServerHungUp):
            at_server.discard(event.conn)
        for effect in effects:
            match effect:
                case parts.After():
                    assert effect.draw in known
                    running[effect.name] = None
                case parts.Forget():
                    running.pop(effect.name, None)
                case parts.ConnUp():
                    assert effect.conn not in at_agent
                    assert effect.conn not in at_server
                    at_agent.add(effect.conn)
                    at_server.add(effect.conn)
                case parts.ConnDown():
                    assert effect.tell_agent or effect.tell_server
                    at_agent -= {effect.conn} if effect.tell_agent else set()
                    at_server -= {effect.conn} if effect.tell_server else set()
        if isinstance(event, (seen.WentDown, seen.BootBegan)):
            at_agent.clear()  # the agent's process went with the PC
        # The network never believes in an end that is closed, and forgets no end that still waits for news.
        assert {c.number for c in state.conns if c.agent and not c.asking} == at_agent
        assert {c.number for c in state.conns if c.server and not c.asking} == at_server


@settings(max_examples=150, deadline=None)
@given(SETUPS, st.lists(EVENTS, max_size=40))
def test_once_healed_a_booted_pc_gets_through(setup: PcSetup, events: list[Any]) -> None:
    net = Net()
    net.state = initial(setup)
    for event in events:
        if not isinstance(event, TimerFired):
            net.tell(event)
    net.tell(seen.Healed(), parts.ServerWent(True))
    net.boot()
    net.log_on()
    for name in [n for n in ("link", "time sync") if n in net.timers]:
        net.fire(name)
    if setup.network == "dial-up":
        dial(net)
    net.tell(parts.PortalLogin(), parts.VpnStart())
    if "tunnel" in net.timers:
        net.fire("tunnel")
    net.tell(parts.NetConnect(64))
    assert parts.ConnUp(64) in net.fire("connect 64")
