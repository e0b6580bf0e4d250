"""The modelled network: attempts to connect, and what each end of a connection learns."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.backends.sim import parts
from rrsim.backends.sim.network import DRAWS, INPUTS, NetState, NotForNetwork, fate_of, heal, initial, step
from rrsim.machine import observations as seen
from rrsim.scenario import actions as act
from rrsim.scenario.model import PcSetup
from rrsim.scenario.words import Duration
from tests.backends.sim.net_driver import FAULTS, TOLD, Net, downs, links, refusals

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


# --- healing and the whole --------------------------------------------------------------------------------------

def test_healing_takes_back_everything() -> None:
    net = Net()
    net.connect()
    net.tell(*FAULTS)
    healed = heal(net.state)
    assert healed.faults == initial(PcSetup()).faults
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


def test_every_input_type_of_the_contract_is_taken() -> None:
    assert set(parts.NET_HEARS) <= set(INPUTS)
    assert isinstance(initial(PcSetup()), NetState)
