"""What brings a link up and takes it down: LAN, Wi-Fi, VPN, portal, safe mode, dial-up."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.backends.sim import network, parts
from rrsim.machine import observations as seen
from rrsim.scenario import actions as act
from rrsim.scenario.words import Duration
from tests.backends.sim.net_driver import TOLD, Net, dial, downs, links, refusals

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
    said = [e.what.phase for e in dial(net) if isinstance(e, parts.Saw) and isinstance(e.what, seen.DialProgress)]
    assert said == ["dialling", word]
    net.tell(act.LineWorks(), act.CablePlugged())
    assert links(dial(net)) == [(True, "dial-up")]


def test_a_busy_line_does_not_end_a_call() -> None:
    net = Net(network="dial-up")
    assert net.tell(act.LineBusy()) == []
    assert net.state.link == "up"
