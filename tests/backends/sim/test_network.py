"""The modelled network: link, attempts to connect, what each end of a connection learns, faults, dial-up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrsim.agent.host import NetworkChanged
from rrsim.backends.sim import dialup, network, parts
from rrsim.backends.sim.connections import MAX_CONNS
from rrsim.backends.sim.network import DRAWS, INPUTS, NetState, NotForNetwork, fate_of, heal, initial, step
from rrsim.machine import observations as seen
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import PcSetup
from rrsim.scenario.words import Duration


class Net:
    """Drives one network by hand: keeps its state, its running timers, and everything it has said."""

    def __init__(self, **setup: Any) -> None:
        self.state = initial(PcSetup(**setup))
        self.timers: dict[str, parts.After] = {}
        self.said: list[Any] = []

    def tell(self, *events: Any) -> list[Any]:
        fresh: list[Any] = []
        for event in events:
            if isinstance(event, TimerFired):
                del self.timers[event.name]
            self.state, effects = step(self.state, event)
            for effect in effects:
                if isinstance(effect, parts.After):
                    self.timers[effect.name] = effect
                elif isinstance(effect, parts.Forget):
                    self.timers.pop(effect.name, None)
                else:
                    fresh.append(effect)
        self.said += fresh
        return fresh

    def fire(self, name: str) -> list[Any]:
        assert name in self.timers, f"expected the timer {name!r} to run, running: {sorted(self.timers)}"
        return self.tell(TimerFired(name))

    def connect(self, conn: int = 1) -> list[Any]:
        self.tell(parts.NetConnect(conn))
        return self.fire(f"connect {conn}")

    def boot(self, *, safe: bool = False, clean: bool = True) -> None:
        self.tell(
            seen.WentDown("agent", clean), seen.PhaseBegan("firmware"), seen.PhaseBegan("loading"),
            seen.BootBegan("boot-2", safe, "agent"), seen.PhaseBegan("services"), seen.PhaseBegan("welcome"),
        )  # fmt: skip

    def log_on(self) -> list[Any]:
        return self.tell(
            seen.LoggedOn("right", "visible", True), seen.PhaseBegan("shell"), seen.PhaseBegan("desktop")
        )


def links(effects: list[Any]) -> list[tuple[bool, str]]:
    return [
        (e.what.up, e.what.kind)
        for e in effects
        if isinstance(e, parts.Saw) and isinstance(e.what, seen.LinkChanged)
    ]


def downs(effects: list[Any]) -> list[tuple[int, bool, bool]]:
    return [(e.conn, e.tell_agent, e.tell_server) for e in effects if isinstance(e, parts.ConnDown)]


def refusals(effects: list[Any]) -> list[str]:
    return [e.reason for e in effects if isinstance(e, parts.ConnRefused)]


TOLD = parts.TellAgent(NetworkChanged())


# --- attempts to connect ----------------------------------------------------------------------------------------


def test_a_connection_comes_up_after_its_draw_and_carries_messages() -> None:
    net = Net()
    assert net.tell(parts.NetConnect(1)) == []
    assert net.timers["connect 1"].draw == "net connect"
    assert fate_of(net.state, 1) == "lose"
    assert net.fire("connect 1") == [parts.Saw(seen.ConnectTried("connected")), parts.ConnUp(1)]
    assert fate_of(net.state, 1) == "deliver"


@pytest.mark.parametrize(
    ("fault", "reason", "draw"),
    [
        (act.CablePulled(), "no network", "net refused"),
        (act.DnsFails(), "name not resolved", "net dns fails"),
        (act.ServerRefuses(), "connection refused", "net refused"),
        (parts.ServerWent(False), "connection refused", "net refused"),
        (act.Impostor(), "certificate not valid (wrong server)", "net connect"),
        (act.WallClockJumps(by_us=Duration(2 * 86_400_000_000), back=True), "certificate not yet valid", "net connect"),
        (act.WallClockJumps(by_us=Duration(2 * 86_400_000_000)), "certificate expired", "net connect"),
        (act.ConnectionStalls(), "no answer", "net timeout"),
    ],
)
def test_each_obstacle_has_its_reason_and_its_time(fault: Any, reason: str, draw: str) -> None:
    net = Net()
    net.tell(fault, parts.NetConnect(3))
    assert net.timers["connect 3"].draw == draw
    effects = net.fire("connect 3")
    assert effects == [parts.Saw(seen.ConnectTried(reason)), parts.ConnRefused(3, reason)]
    assert net.state.conns == ()


@pytest.mark.parametrize(
    ("fault", "undo"),
    [
        (act.DnsFails(), act.DnsWorks()),
        (act.ServerRefuses(), act.ServerAccepts()),
        (parts.ServerWent(False), parts.ServerWent(True)),
        (act.Impostor(), act.ImpostorGone()),
    ],
)
def test_an_undone_fault_lets_the_next_attempt_through(fault: Any, undo: Any) -> None:
    net = Net()
    net.tell(fault)
    assert refusals(net.connect(1)) != []
    net.tell(undo)
    assert parts.ConnUp(2) in net.connect(2)


def test_a_fault_that_comes_during_an_attempt_counts() -> None:
    net = Net()
    net.tell(parts.NetConnect(1), act.ServerRefuses())
    assert refusals(net.fire("connect 1")) == ["connection refused"]


def test_a_stall_during_an_attempt_makes_it_wait_longer_and_then_go_on() -> None:
    net = Net()
    net.tell(parts.NetConnect(1), act.ConnectionStalls())
    assert net.fire("connect 1") == []
    assert net.timers["connect 1"].draw == "net timeout"
    net.fire("stall")
    assert net.timers["connect 1"].draw == "net connect"
    assert parts.ConnUp(1) in net.fire("connect 1")


def test_a_small_jump_of_the_clock_changes_nothing_and_a_big_one_heals() -> None:
    net = Net()
    net.tell(act.WallClockJumps(by_us=Duration(86_400_000_000), back=True))
    assert net.state == Net().state
    net.tell(act.WallClockJumps(by_us=Duration(86_400_000_001), back=True))
    assert refusals(net.connect(1)) == ["certificate not yet valid"]
    net.fire("time sync")
    assert parts.ConnUp(2) in net.connect(2)


def test_the_clock_is_not_corrected_without_a_network() -> None:
    net = Net()
    net.tell(act.CablePulled(), act.WallClockJumps(by_us=Duration(10**12), back=True))
    assert "time sync" not in net.timers
    net.tell(act.CablePlugged())
    net.fire("link")
    assert "time sync" in net.timers


# --- what each end learns ---------------------------------------------------------------------------------------


def test_a_pulled_cable_is_noticed_by_the_agent_and_reset_at_the_server_when_it_returns() -> None:
    net = Net()
    net.connect()
    effects = net.tell(act.CablePulled())
    assert (links(effects), downs(effects)) == ([(False, "lan")], [])
    assert fate_of(net.state, 1) == "hold"
    assert downs(net.fire("notice 1")) == [(1, True, False)]
    assert fate_of(net.state, 1) == "lose"
    net.tell(act.CablePlugged())
    effects = net.fire("link")
    assert links(effects) == [(True, "lan")]
    assert TOLD in effects
    assert downs(net.fire("close 1")) == [(1, False, True)]
    assert net.state.conns == ()


def test_a_cable_that_returns_at_once_costs_nothing() -> None:
    net = Net()
    net.connect()
    net.tell(act.CablePulled(returns_after_us=Duration(100_000)))
    assert net.timers["cable"].us == 100_000
    net.fire("cable")
    assert net.timers["link"].draw == "net dhcp"
    assert parts.Release(1) in net.fire("link")
    assert "notice 1" not in net.timers
    assert fate_of(net.state, 1) == "deliver"


def test_a_killed_process_resets_and_a_polite_end_says_goodbye() -> None:
    for polite, draw in ((False, "net reset"), (True, "net close")):
        net = Net()
        net.connect()
        net.tell(parts.NetHangUp(1, polite))
        assert net.timers["close 1"].draw == draw
        assert downs(net.fire("close 1")) == [(1, False, True)]


def test_goodbyes_take_longer_than_any_message() -> None:
    for suffix, kinds in (("", ("lan", "wifi", "vpn")), (" dial-up", ("dial-up",))):
        for news in ("net close", "net reset"):
            assert all(DRAWS[news + suffix][0] >= DRAWS[f"net latency {kind}"][1] for kind in kinds)


@pytest.mark.parametrize("killed_first", [True, False])
def test_a_power_cut_tells_the_server_nothing_ever(killed_first: bool) -> None:
    net = Net()
    net.connect()
    events = [parts.NetHangUp(1, False), seen.WentDown("power", False)]
    net.tell(*(events if killed_first else reversed(events)))
    net.boot(clean=False)
    net.fire("link")
    assert downs(net.said) == []
    assert not [name for name in net.timers if name.startswith("close")]
    net.tell(parts.ServerHungUp(1))
    assert net.state.conns == ()


def test_an_orderly_shutdown_tells_the_server() -> None:
    net = Net()
    net.connect()
    assert downs(net.tell(seen.WentDown("agent", True))) == [(1, False, True)]
    net = Net()
    net.connect()
    net.tell(parts.NetHangUp(1, False), seen.WentDown("agent", True))
    assert downs(net.fire("close 1")) == [(1, False, True)]


def test_a_dropped_connection_is_known_at_both_ends_and_can_be_made_again() -> None:
    net = Net()
    net.connect()
    assert downs(net.tell(act.ConnectionDrops())) == [(1, True, True)]
    assert parts.ConnUp(2) in net.connect(2)


def test_a_half_open_connection_tells_nobody_and_spares_new_ones() -> None:
    net = Net()
    net.connect()
    assert net.tell(act.ConnectionHalfOpen()) == []
    assert (fate_of(net.state, 1), net.state.fate) == ("lose", "deliver")
    assert parts.ConnUp(2) in net.connect(2)
    assert fate_of(net.state, 2) == "deliver"
    net.tell(parts.NetHangUp(1, True))
    assert "close 1" not in net.timers
    assert net.tell(parts.ServerHungUp(1)) == []
    assert [c.number for c in net.state.conns] == [2]


def test_a_half_open_connection_closed_by_the_server_leaves_the_agent_alone() -> None:
    net = Net()
    net.connect()
    net.tell(act.ConnectionHalfOpen())
    assert net.tell(parts.ServerHungUp(1)) == []
    assert net.state.conns[0].agent
    net.tell(parts.NetHangUp(1, True))
    assert net.state.conns == ()


def test_a_stall_holds_and_releases() -> None:
    net = Net()
    net.connect()
    net.tell(act.ConnectionStalls(for_us=Duration(5)))
    assert net.timers["stall"].us == 5
    assert (fate_of(net.state, 1), net.state.fate) == ("hold", "hold")
    assert net.fire("stall") == [parts.Release(1)]
    assert fate_of(net.state, 1) == "deliver"


def test_a_goodbye_waits_for_the_end_of_a_stall() -> None:
    net = Net()
    net.connect()
    net.tell(act.ConnectionStalls(), parts.NetHangUp(1, True))
    assert "close 1" not in net.timers
    net.fire("stall")
    assert downs(net.fire("close 1")) == [(1, False, True)]
    net.connect(2)
    net.tell(act.ConnectionStalls())
    assert net.tell(parts.ServerHungUp(2)) == []
    assert downs(net.fire("stall")) == [(2, True, False)]


def test_the_server_closing_is_heard_by_the_agent() -> None:
    net = Net()
    net.connect()
    assert downs(net.tell(parts.ServerHungUp(1))) == [(1, True, False)]


def test_a_server_that_dies_ends_every_connection_and_refuses_new_ones() -> None:
    net = Net()
    net.connect()
    assert downs(net.tell(parts.ServerWent(False))) == [(1, True, True)]
    assert refusals(net.connect(2)) == ["connection refused"]
    net.tell(parts.ServerWent(True))
    assert parts.ConnUp(3) in net.connect(3)


def test_a_server_that_dies_while_the_cable_is_out_is_noticed_on_return() -> None:
    net = Net()
    net.connect()
    net.tell(act.CablePulled())
    assert downs(net.tell(parts.ServerWent(False), parts.ServerWent(True))) == [(1, False, True)]
    net.tell(act.CablePlugged())
    assert downs(net.fire("link")) == [(1, True, False)]


def test_after_sleep_the_agent_s_connection_is_gone_and_the_server_is_reset() -> None:
    net = Net()
    net.connect()
    assert downs(net.tell(seen.PhaseBegan("asleep"))) == []
    assert fate_of(net.state, 1) in ("hold", "lose")
    assert "notice 1" not in net.timers
    assert downs(net.tell(seen.WokeUp("boot-1", "sleep"))) == [(1, True, False)]
    assert TOLD in net.fire("link")
    assert downs(net.fire("close 1")) == [(1, False, True)]


def test_an_attempt_that_sleeps_through_its_end_fails_on_waking() -> None:
    net = Net()
    net.tell(parts.NetConnect(1), seen.PhaseBegan("asleep"))
    assert net.fire("connect 1") == []
    assert refusals(net.tell(seen.WokeUp("boot-1", "sleep"))) == ["no network"]


def test_a_number_used_again_gives_up_the_stale_connection() -> None:
    net = Net()
    net.connect()
    net.tell(act.ConnectionHalfOpen(), parts.NetHangUp(1, False))
    assert downs(net.tell(parts.NetConnect(1))) == [(1, False, True)]
    assert parts.ConnUp(1) in net.fire("connect 1")


# --- links ------------------------------------------------------------------------------------------------------


def test_a_lan_comes_up_after_services_begin() -> None:
    net = Net()
    net.tell(seen.WentDown("agent", True), seen.BootBegan("boot-2", False, "agent"))
    assert "link" not in net.timers
    net.tell(seen.PhaseBegan("services"))
    assert net.timers["link"].draw == "net dhcp"
    effects = net.fire("link")
    assert links(effects) == [(True, "lan")]
    assert TOLD in effects


def test_wifi_waits_for_a_logon() -> None:
    net = Net(network="wifi")
    net.boot()
    assert "link" not in net.timers
    net.log_on()
    assert (net.timers["link"].draw, net.timers["link"].us) == ("net wifi", -1)
    assert links(net.fire("link")) == [(True, "wifi")]
    assert links(net.tell(seen.PhaseBegan("welcome"))) == [(False, "wifi")]


def test_wifi_can_be_fixed_for_the_logon_and_only_for_that() -> None:
    net = Net(network="wifi", wifi_returns_after_us=Duration(1_200_000_000))
    net.boot()
    net.log_on()
    assert net.timers["link"].us == 1_200_000_000
    net.fire("link")
    net.tell(act.CablePulled(), act.CablePlugged())
    assert net.timers["link"].us == -1


@pytest.mark.parametrize(
    ("setup", "comes"),
    [
        ({"network": "lan"}, True),
        ({"network": "lan", "safe_mode_network": False}, False),
        ({"network": "wifi"}, False),
        ({"network": "vpn"}, True),
    ],
)
def test_safe_mode_has_the_wired_card_at_most(setup: dict[str, Any], comes: bool) -> None:
    net = Net(**setup)
    net.boot(safe=True)
    net.log_on()
    assert ("link" in net.timers) is comes
    net.boot()
    net.log_on()
    assert "link" in net.timers


def test_a_vpn_needs_the_user_to_start_the_tunnel() -> None:
    net = Net(network="vpn")
    net.boot()
    assert links(net.fire("link")) == [(True, "lan")]
    net.tell(parts.VpnStart(), parts.NetConnect(1))
    assert "tunnel" not in net.timers
    assert net.timers["connect 1"].draw == "net timeout"
    assert refusals(net.fire("connect 1")) == ["no answer"]
    net.log_on()
    net.tell(parts.VpnStart())
    effects = net.fire("tunnel")
    assert (links(effects), TOLD in effects) == ([(True, "vpn")], True)
    assert parts.ConnUp(2) in net.connect(2)
    assert links(net.tell(act.CablePulled())) == [(False, "lan"), (False, "vpn")]


def test_a_tunnel_ends_with_its_user() -> None:
    net = Net(network="vpn")
    net.connect()
    assert links(net.tell(seen.PhaseBegan("welcome"))) == [(False, "vpn")]
    assert net.state.link == "up"
    assert downs(net.fire("notice 1")) == [(1, True, False)]


def test_a_portal_stands_in_the_way_after_every_boot_until_the_login() -> None:
    net = Net(captive_portal=True)
    assert parts.ConnUp(1) in net.connect(1)
    net.boot()
    net.fire("link")
    assert refusals(net.connect(2)) == ["certificate not valid (captive portal)"]
    assert TOLD in net.tell(parts.PortalLogin())
    assert parts.ConnUp(3) in net.connect(3)


def test_a_portal_cannot_be_passed_without_a_link() -> None:
    net = Net(captive_portal=True)
    net.boot()
    assert net.tell(parts.PortalLogin()) == []
    assert not net.state.portal_open


# --- dial-up ----------------------------------------------------------------------------------------------------


def dial(net: Net) -> list[Any]:
    said = net.tell(parts.DialNow())
    while "call" in net.timers:
        said += net.fire("call")
    return said


def test_dial_up_is_dialled_by_hand_and_by_somebody_signed_in() -> None:
    net = Net(network="dial-up")
    net.connect()
    assert links(net.tell(seen.WentDown("agent", True))) == [(False, "dial-up")]
    net.boot()
    assert dial(net) == []
    net.log_on()
    assert net.timers == {}
    said = dial(net)
    assert links(said) == [(True, "dial-up")]
    assert TOLD in said
    net.tell(parts.NetConnect(2))
    assert net.timers["connect 2"].draw == "net connect dial-up"
    assert network.latency_draw(net.state) == "net latency dial-up"


def test_dial_up_does_not_work_in_safe_mode() -> None:
    net = Net(network="dial-up")
    net.boot(safe=True)
    net.log_on()
    assert dial(net) == []


@pytest.mark.parametrize(
    "end", [act.CarrierLost(), act.LineDead(), act.CablePulled(), parts.LineDown(), seen.PhaseBegan("welcome")]
)
def test_a_call_that_ends_takes_the_link_and_stays_down(end: Any) -> None:
    net = Net(network="dial-up")
    net.connect()
    effects = net.tell(end)
    assert parts.Saw(seen.DialProgress("dropped")) in effects
    assert links(effects) == [(False, "dial-up")]
    assert downs(net.fire("notice 1")) == [(1, True, False)]
    net.tell(act.LineWorks(), act.CablePlugged())
    assert "call" not in net.timers


@pytest.mark.parametrize(
    ("fault", "word"), [(act.LineBusy(), "busy"), (act.LineDead(), "no dial tone"), (act.CablePulled(), "no dial tone")]
)
def test_a_bad_line_answers_with_its_word(fault: Any, word: str) -> None:
    net = Net(network="dial-up")
    net.tell(parts.LineDown(), fault)
    said = [e.what.phase for e in dial(net) if isinstance(e, parts.Saw)]
    assert said == ["dialling", word]
    net.tell(act.LineWorks(), act.CablePlugged())
    assert links(dial(net)) == [(True, "dial-up")]


def test_a_busy_line_does_not_end_a_call() -> None:
    net = Net(network="dial-up")
    assert net.tell(act.LineBusy()) == []
    assert net.state.link == "up"


# --- healing and the whole --------------------------------------------------------------------------------------

FAULTS = [
    act.CablePulled(), act.ConnectionStalls(), act.ServerRefuses(), act.DnsFails(), act.Impostor(), act.LineDead(),
    act.WallClockJumps(by_us=Duration(10**12), back=True),
]  # fmt: skip


def test_healing_takes_back_everything() -> None:
    net = Net()
    net.connect()
    net.tell(*FAULTS)
    healed = heal(net.state)
    assert healed.faults == network.initial(PcSetup()).faults
    net.tell(seen.Healed())
    net.fire("link")
    assert parts.ConnUp(2) in net.connect(2)
    assert set(net.timers) <= {"close 1"}


def test_healing_by_hand_starts_what_follows_at_the_next_step() -> None:
    net = Net()
    net.tell(act.CablePulled())
    net.state = heal(net.state)
    net.tell(parts.NetConnect(1))
    assert "link" in net.timers


def test_what_is_not_for_a_network_is_a_named_error() -> None:
    with pytest.raises(NotForNetwork, match="Wait"):
        step(initial(PcSetup()), act.Wait())


CONN = st.integers(1, 64)
PHASES = ["off", "firmware", "loading", "updating", "services", "welcome", "shell", "desktop", "asleep", "shutting down"]
TIMERS = ["link", "tunnel", "cable", "stall", "time sync", "call", "connect 1", "notice 1", "close 1", "nonsense", "x 9"]
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
    for event in events:
        if isinstance(event, int):  # let one of the running timers fire
            if event >= len(running):
                continue
            event = TimerFired(list(running)[event])
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


def test_every_input_type_of_the_contract_is_taken() -> None:
    assert set(parts.NET_HEARS) <= set(INPUTS)
    assert isinstance(initial(PcSetup()), NetState)
