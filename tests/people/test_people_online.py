"""The customer and the network: dialling, redialling, the portal, the tunnel."""

from __future__ import annotations

from typing import Any

import pytest

from rrsim.machine import observations as seen
from rrsim.people import vocabulary as parts
from rrsim.scenario import actions as act
from rrsim.scenario.words import Duration
from tests.people.people_driver import AT_DESKTOP, DOWN, LINK, WELCOME, Person, a_customer, shown

DIAL = parts.ToNet(parts.DialNow())
IN_THE_PROMPT = parts.ToPc(parts.Press("customer", "dial prompt", "dial"))


def said(word: str) -> seen.DialProgress:
    return seen.DialProgress(word)


def at_dial_up_desktop(**habits: Any) -> Person:
    who = a_customer(setup={"network": "dial-up"}, logs_on="nobody", **habits)
    who.tell(seen.LinkChanged(False, "dial-up"), *DOWN[1:], WELCOME, *AT_DESKTOP)
    return who


def test_the_customer_dials_from_the_desktop() -> None:
    who = at_dial_up_desktop(dials_after_us=Duration(7))
    assert who.timers["dial"].us == 7
    assert who.fire("dial") == [DIAL]
    who.tell(said("dialling"), said("training"), said("ppp"), said("connected"))
    assert who.timers == {}


@pytest.mark.parametrize("word", ["busy", "no carrier"])
def test_a_failed_call_is_dialled_again_so_many_times(word: str) -> None:
    who = at_dial_up_desktop(redials=2)
    who.fire("dial")
    for _ in range(2):
        who.tell(said(word))
        assert who.timers["dial"].draw == "customer redials"
        assert who.fire("dial") == [DIAL]
    who.tell(said(word))
    assert who.timers == {}


def test_a_dropped_call_is_dialled_again_but_not_one_the_customer_ended() -> None:
    who = at_dial_up_desktop()
    who.fire("dial")
    who.tell(said("connected"), said("dropped"))
    assert "dial" in who.timers
    who.fire("dial")
    who.tell(said("connected"))
    assert who.tell(act.CustomerHangsUp()) == [parts.ToNet(parts.LineDown())]
    who.tell(said("dropped"))
    assert who.timers == {}


def test_without_a_dial_tone_nobody_dials_again() -> None:
    who = at_dial_up_desktop()
    who.fire("dial")
    who.tell(said("no dial tone"))
    assert who.timers == {}
    assert who.tell(act.CustomerDials()) == [DIAL]


def test_who_never_dials_does_so_only_by_an_action() -> None:
    who = at_dial_up_desktop(dials="never")
    who.tell(shown("dial prompt"))
    assert who.timers == {}
    assert who.tell(act.CustomerDials()) == [IN_THE_PROMPT, DIAL]


def test_an_action_to_dial_waits_for_the_desktop_and_replaces_the_habit() -> None:
    who = a_customer(setup={"network": "dial-up"})
    who.tell(seen.LinkChanged(False, "dial-up"), *DOWN[1:])
    assert who.tell(act.CustomerDials()) == []
    assert who.wishes() == ("customer dials: the desktop was not usable",)
    assert who.tell(WELCOME, *AT_DESKTOP) == [DIAL]
    assert who.timers == {}


def test_a_pc_on_a_lan_has_nothing_to_dial() -> None:
    who = a_customer()
    assert who.tell(act.CustomerDials(), act.CustomerHangsUp()) == []
    assert who.wishes() == (
        "customer dials: the pc has no dial-up connection",
        "customer hangs up: the pc has no dial-up connection",
    )
    who.tell(*DOWN, WELCOME, *AT_DESKTOP)
    assert "dial" not in who.timers


def test_a_dial_prompt_makes_the_customer_dial() -> None:
    who = a_customer(setup={"network": "dial-up"}, redials=0)
    who.tell(said("dropped"), seen.LinkChanged(False, "dial-up"))
    assert who.timers == {}
    who.tell(shown("dial prompt"))
    assert who.fire("dial") == [IN_THE_PROMPT, DIAL]


def test_after_sleep_the_customer_dials_again() -> None:
    who = a_customer(setup={"network": "dial-up"})
    who.tell(seen.PhaseBegan("asleep"), seen.LinkChanged(False, "dial-up"), seen.PhaseBegan("desktop"))
    assert who.fire("dial") == [DIAL]


def test_portal_and_tunnel_wait_for_desktop_and_network_in_that_order() -> None:
    who = a_customer(setup={"network": "vpn", "captive_portal": True})
    who.tell(*DOWN, WELCOME, *AT_DESKTOP)
    assert who.timers == {}
    who.tell(LINK)
    assert who.fire("portal") == [parts.ToNet(parts.PortalLogin())]
    assert who.fire("vpn") == [parts.ToNet(parts.VpnStart())]
    assert who.timers == {}


def test_a_lost_tunnel_is_started_again() -> None:
    who = a_customer(setup={"network": "vpn"})
    who.tell(seen.LinkChanged(False, "lan"), seen.LinkChanged(False, "vpn"))
    assert who.timers == {}
    who.tell(LINK)
    assert who.fire("vpn") == [parts.ToNet(parts.VpnStart())]
    who.tell(seen.LinkChanged(True, "vpn"), seen.LinkChanged(False, "vpn"))
    assert "vpn" in who.timers


def test_a_network_lost_before_the_tunnel_was_up_starts_it_again_too() -> None:
    who = a_customer(setup={"network": "vpn"})
    who.tell(*DOWN, WELCOME, *AT_DESKTOP, LINK)
    who.fire("vpn")
    who.tell(seen.LinkChanged(False, "lan"), LINK)
    assert who.fire("vpn") == [parts.ToNet(parts.VpnStart())]


def test_portal_and_tunnel_by_action() -> None:
    setup = {"network": "vpn", "captive_portal": True}
    who = a_customer(setup=setup, logs_in_to_portal=False, starts_vpn=False)
    who.tell(*DOWN, act.CustomerStartsVpn(), act.CustomerLogsInToPortal())
    assert who.wishes() == (
        "customer starts the vpn: the portal was not passed",
        "customer logs in to the portal: the desktop was not usable",
    )
    who.tell(WELCOME, *AT_DESKTOP)
    assert who.wishes()[1] == "customer logs in to the portal: there was no network"
    assert who.tell(LINK) == [parts.ToNet(parts.PortalLogin()), parts.ToNet(parts.VpnStart())]
    plain = a_customer()
    plain.tell(act.CustomerStartsVpn(), act.CustomerLogsInToPortal())
    assert plain.wishes() == (
        "customer starts the vpn: the pc has no vpn",
        "customer logs in to the portal: there is no portal",
    )
