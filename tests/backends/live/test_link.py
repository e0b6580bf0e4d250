"""What a scenario does to the network, on real sockets: each end learns what it would in the simulator, and no more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rrsim.backends.live.link import CAPABILITIES, LinkCannot
from rrsim.machine import observations as seen
from rrsim.people.vocabulary import DialNow, LineDown, PortalLogin, VpnStart
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as act
from rrsim.scenario.model import PcSetup
from rrsim.scenario.words import Duration
from tests.backends.live.link_rig import BOOT, LOGGED_ON, Rig, descriptors, run, running

CONNECTED = seen.ConnectTried("connected")


def test_bytes_pass_both_ways_and_goodbyes_too() -> None:
    async def story() -> None:
        async with running() as rig:
            client, server = await rig.established()
            await client.ask(b"x" * 300_000)
            client.writer.close()
            assert await server.fate() == "closed"
            assert server.got == b"ping" + b"x" * 300_000
            again, other = await rig.established()
            other.writer.close()
            assert await again.fate() == "closed"
            assert rig.tries == ["connected", "connected"]

    run(story)


def test_a_killed_agent_is_told_to_the_server() -> None:
    async def story() -> None:
        async with running() as rig:
            client, server = await rig.established()
            client.kill()
            assert await server.fate() in ("closed", "reset")

    run(story)


def test_a_drop_tells_both_ends_and_spares_the_next_connection() -> None:
    async def story() -> None:
        async with running() as rig:
            client, server = await rig.established()
            rig.link.do(act.ConnectionDrops())
            assert (await client.fate(), await server.fate()) == ("reset", "reset")
            await rig.established()
            assert rig.seen == [CONNECTED, CONNECTED]

    run(story)


def test_a_stall_holds_everything_and_loses_nothing() -> None:
    async def story() -> None:
        async with running(fixed={"net timeout": 5_000_000}) as rig:
            client, server = await rig.established()
            loop = asyncio.get_running_loop()
            began = loop.time()
            rig.link.do(act.ConnectionStalls(for_us=Duration(100_000)))
            client.writer.write(b"up")
            server.writer.write(b"down")
            late = await rig.connect()  # waits, and is answered when the stall is over
            assert await client.reader.readexactly(4) == b"down"
            assert loop.time() - began >= 0.09
            assert await client.reader.readexactly(2) == b"up"
            await late.ask()
            assert rig.tries == ["connected", "connected"]

    run(story)


def test_a_goodbye_during_a_stall_comes_after_what_was_said_before() -> None:
    async def story() -> None:
        async with running() as rig:
            client, server = await rig.established()
            rig.link.do(act.ConnectionStalls(for_us=Duration(50_000)))
            client.writer.write(b"last words")
            client.writer.close()
            assert await server.fate() == "closed"
            assert server.got == b"pinglast words"

    run(story)


def test_an_attempt_during_a_long_stall_gets_no_answer() -> None:
    async def story() -> None:
        async with running(fixed={"net timeout": 20_000}) as rig:
            rig.link.do(act.ConnectionStalls(for_us=Duration(10_000_000)))
            client = await rig.connect()
            assert await client.fate() == "reset"
            impatient = await rig.connect()
            impatient.writer.close()
            await rig.until(seen.ConnectTried("no answer"), 2)
            rig.link.heal()
            await rig.established()

    run(story)


def test_half_open_tells_neither_end() -> None:
    async def story() -> None:
        async with running() as rig:
            client, server = await rig.established()
            rig.link.do(act.ConnectionHalfOpen())
            client.writer.write(b"into the void")
            server.writer.write(b"into the void")
            for _ in range(3):
                await rig.established()  # new ones are not touched
            assert client.hears_nothing()
            assert server.got == b"ping"
            assert not server.over.done()
            client.writer.close()
            await rig.established()
            assert not server.over.done()
            before = rig.link.connections
            server.writer.close()  # its own silence timer
            await rig.established()
            assert rig.link.connections == before  # one gone, one new

    run(story)


def test_a_pulled_cable_is_silence_first() -> None:
    async def story() -> None:
        async with running() as rig:
            client, server = await rig.established()
            rig.link.do(act.CablePulled())
            client.writer.write(b"held")
            refused = await rig.connect()
            assert await refused.fate() == "reset"
            assert client.hears_nothing()
            assert await client.fate() == "reset"  # Windows tells the agent a little later
            assert not server.over.done()
            rig.link.do(act.CablePlugged())
            assert await server.fate() == "reset"
            assert server.got == b"ping"
            assert rig.seen == [
                CONNECTED, seen.LinkChanged(False, "lan", "cable out"), seen.ConnectTried("no network"),
                seen.LinkChanged(True, "lan"),
            ]  # fmt: skip
            await rig.established()

    run(story)


def test_a_cable_that_returns_in_time_is_noticed_by_nobody() -> None:
    async def story() -> None:
        async with running(fixed={"net notice": 2_000_000}) as rig:
            client, server = await rig.established()
            rig.link.do(act.CablePulled(returns_after_us=Duration(10_000)))
            client.writer.write(b"held")
            await rig.until(seen.LinkChanged(True, "lan"))
            assert await client.reader.readexactly(4) == b"held"
            assert server.got == b"pingheld"

    run(story)


def test_a_server_that_went_while_the_cable_was_out_resets_the_agent() -> None:
    async def story() -> None:
        async with running(fixed={"net notice": 2_000_000}) as rig:
            client, server = await rig.established()
            rig.link.do(act.CablePulled())
            server.writer.close()
            assert await (await rig.connect()).fate() == "reset"
            assert client.hears_nothing()
            rig.link.do(act.CablePlugged())
            assert await client.fate() == "reset"

    run(story)


@pytest.mark.parametrize(
    ("fault", "undo", "outcome"),
    [
        (act.ServerRefuses(), act.ServerAccepts(), "connection refused"),
        (act.CablePulled(), act.CablePlugged(), "no network"),
        (act.DnsFails(), act.DnsWorks(), "name not resolved"),
    ],
)
def test_attempts_that_fail_at_once(fault: act.Action, undo: act.Action, outcome: str) -> None:
    async def story() -> None:
        names: list[bool] = []
        async with running(set_dns=names.append) as rig:
            rig.link.do(fault)
            assert await (await rig.connect()).fate() == "reset"
            assert rig.tries == [outcome]
            rig.link.do(undo)
            if outcome == "no network":
                await rig.until(seen.LinkChanged(True, "lan"))
            await rig.established()
        assert names == ([False, True] if outcome == "name not resolved" else [])

    run(story)


def test_a_server_that_is_not_there_refuses() -> None:
    async def story() -> None:
        async with running() as rig:
            there, rig.upstream = rig.upstream, ("127.0.0.1", 1)
            assert await (await rig.connect()).fate() == "reset"
            rig.upstream = there
            await rig.established()
            assert rig.tries == ["connection refused", "connected"]

    run(story)


def test_names_are_healed_and_need_a_machine_that_can_make_them_fail() -> None:
    async def story() -> None:
        names: list[bool] = []
        async with running(set_dns=names.append) as rig:
            assert rig.link.capabilities == CAPABILITIES | {"dns"}
            rig.link.do(act.DnsFails())
            rig.link.heal()
            rig.link.heal()
            await rig.established()
            rig.link.do(act.DnsFails())
        assert names == [False, True, False, True]
        async with running() as rig:
            assert rig.link.capabilities == CAPABILITIES
            with pytest.raises(LinkCannot, match="capability dns"):
                rig.link.do(act.DnsFails())
            with pytest.raises(LinkCannot, match="expected a network action, saw PowerCut"):
                rig.link.do(act.PowerCut())

    run(story)


# --- the PC's life --------------------------------------------------------------------------------------------------


def test_an_orderly_shutdown_says_goodbye_and_the_network_returns_with_services() -> None:
    async def story() -> None:
        async with running() as rig:
            client, server = await rig.established()
            client.writer.write(b"restarting")
            await client.reader.readexactly(10)
            rig.shows(seen.WentDown("agent", True))
            assert await server.fate() == "closed"
            assert await client.fate() == "reset"
            rig.shows(*BOOT)
            await rig.until(seen.LinkChanged(True, "lan"))
            await rig.established()
            assert rig.seen[1:3] == [seen.LinkChanged(False, "lan", "the pc is down"), seen.LinkChanged(True, "lan")]

    run(story)


@pytest.mark.parametrize("told_before", [True, False])
def test_a_power_cut_is_silent(told_before: bool) -> None:
    async def story() -> None:
        async with running(fixed={"net close": 60_000, "net reset": 60_000}) as rig:
            client, server = await rig.established()
            if told_before:
                rig.link.power_fails()
            client.kill()
            rig.shows(seen.WentDown("power", False), *BOOT)
            await rig.until(seen.LinkChanged(True, "lan"))
            for _ in range(40):
                await rig.established()
            assert not server.over.done()
            assert server.got == b"ping"
            rig.link.heal()
            assert not server.over.done()
            server.writer.close()

    run(story)


def test_sleep_is_silent_and_waking_ends_what_the_agent_had() -> None:
    async def story() -> None:
        async with running() as rig:
            client, server = await rig.established()
            rig.shows(seen.PhaseBegan("asleep"))
            client.writer.write(b"x")
            assert client.hears_nothing()
            rig.shows(seen.WokeUp("boot-1", "sleep"), seen.PhaseBegan("desktop"))
            assert await client.fate() == "reset"
            assert await server.fate() == "reset"
            assert server.got == b"ping"
            await rig.established()

    run(story)


def test_wifi_comes_after_a_logon_as_late_as_the_scenario_says() -> None:
    async def story() -> None:
        setup = PcSetup(network="wifi", wifi_returns_after_us=Duration(40_000))
        async with running(setup) as rig:
            rig.shows(seen.WentDown("agent", True), *BOOT)
            assert await (await rig.connect()).fate() == "reset"
            loop = asyncio.get_running_loop()
            began = loop.time()
            rig.shows(*LOGGED_ON)
            await rig.until(seen.LinkChanged(True, "wifi"))
            assert loop.time() - began >= 0.035
            await rig.established()
            assert rig.seen[1] == seen.LinkChanged(False, "wifi", "nobody is signed in")

    run(story)


def test_a_tunnel_has_to_be_started() -> None:
    async def story() -> None:
        async with running(PcSetup(network="vpn")) as rig:
            rig.shows(seen.WentDown("agent", True), *BOOT, *LOGGED_ON)
            await rig.until(seen.LinkChanged(True, "lan"))
            assert await (await rig.connect()).fate() == "reset"
            assert rig.tries == ["no answer"]
            rig.link.person_does(VpnStart())
            await rig.until(seen.LinkChanged(True, "vpn"))
            await rig.established()

    run(story)


# --- dial-up --------------------------------------------------------------------------------------------------------


async def _at_the_desktop(rig: Rig) -> None:
    rig.shows(seen.WentDown("agent", True), *BOOT, *LOGGED_ON)
    assert await (await rig.connect()).fate() == "reset"


def test_dial_up_comes_only_with_a_call_and_goes_with_it() -> None:
    async def story() -> None:
        async with running(PcSetup(network="dial-up")) as rig:
            await _at_the_desktop(rig)
            await rig.dialled()
            client, server = await rig.established()
            rig.link.do(act.CarrierLost())
            assert await client.fate() == "reset"
            assert not server.over.done()
            await rig.dialled()
            assert await server.fate() == "reset"
            rig.link.person_does(LineDown())
            assert rig.calls == [*["dialling", "training", "ppp", "connected", "dropped"] * 2]
            assert [one for one in rig.seen if isinstance(one, seen.LinkChanged)] == [
                seen.LinkChanged(False, "dial-up", "the pc is down"),
                seen.LinkChanged(False, "dial-up", "nobody is signed in"),
                seen.LinkChanged(False, "dial-up", "no call"),
                seen.LinkChanged(True, "dial-up"), seen.LinkChanged(False, "dial-up", "no call"),
                seen.LinkChanged(True, "dial-up"), seen.LinkChanged(False, "dial-up", "no call"),
            ]  # fmt: skip

    run(story)


def test_lines_that_are_busy_or_dead_and_a_call_that_breaks() -> None:
    async def story() -> None:
        async with running(PcSetup(network="dial-up"), fixed={"dial ppp": 10_000_000}) as rig:
            await _at_the_desktop(rig)
            for fault, end in ((act.LineBusy(), "busy"), (act.LineDead(), "no dial tone")):
                rig.link.do(fault)
                rig.link.person_does(DialNow())
                await rig.until(seen.DialProgress(end))
            rig.link.do(act.LineWorks())
            rig.link.person_does(DialNow())
            await rig.until(seen.DialProgress("ppp"))
            rig.link.do(act.CarrierLost())
            assert rig.calls == [
                "dialling", "busy", "dialling", "no dial tone", "dialling", "training", "ppp", "no carrier",
            ]  # fmt: skip

    run(story)


def test_going_online_dials_again_until_the_line_is_free() -> None:
    async def story() -> None:
        async with running(PcSetup(network="dial-up")) as rig:
            await _at_the_desktop(rig)
            rig.link.do(act.LineBusy())
            rig.link.go_online()
            await rig.until(seen.DialProgress("busy"), 2)
            rig.link.heal()
            await rig.until_online("dial-up", portal=False)
            await rig.established()

    run(story)


def test_going_online_needs_no_person() -> None:
    async def story() -> None:
        ways: tuple[tuple[Any, bool], ...] = (
            ("dial-up", True), ("vpn", True), ("wifi", True), ("lan", True), ("lan", False),
        )  # fmt: skip
        for network, portal in ways:
            async with running(PcSetup(network=network, captive_portal=portal)) as rig:
                rig.shows(seen.WentDown("agent", True), *BOOT)
                rig.link.go_online()  # before anybody is signed in: it goes on as soon as it can
                rig.shows(*LOGGED_ON)
                await rig.until_online(network, portal=portal)
                await rig.established()
                rig.shows(seen.WentDown("agent", True), *BOOT, *LOGGED_ON)
                assert rig.link.connections == 0
                assert rig.calls in ([], ["dialling", "training", "ppp", "connected"])  # the wish was for once

    run(story)


def test_draws_are_divided_by_the_scale_and_stated_times_are_not() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with running(scale=50, fixed={"net dhcp": 3_000_000}) as rig:
            began = loop.time()
            rig.link.do(act.CablePulled(returns_after_us=Duration(50_000)))
            await rig.until(seen.LinkChanged(True, "lan"))
            assert 0.1 <= loop.time() - began < 2  # 50 ms as stated, and 3 s divided by 50

    run(story)


def test_whoever_hears_of_something_may_act_on_the_link_at_once() -> None:
    async def story() -> None:
        async with running() as rig:
            def pull(what: object) -> None:
                if what == CONNECTED:
                    rig.link.do(act.CablePulled())
                    rig.link.do(act.CablePlugged())

            rig.on_seen = pull
            client = await rig.connect()
            client.writer.write(b"kept")
            assert await client.reader.readexactly(4) == b"kept"  # held exactly at its first byte, then passed
            assert rig.seen == [CONNECTED, seen.LinkChanged(False, "lan", "cable out"), seen.LinkChanged(True, "lan")]

            def drop(what: object) -> None:
                rig.link.do(act.ConnectionDrops())

            rig.on_seen = drop
            other = await rig.connect()
            other.writer.write(b"lost")
            assert await other.fate() == "reset"
            assert rig.accepted[-1].got == b""

    run(story)


def test_a_closed_link_holds_no_socket_and_no_timer() -> None:
    async def story() -> None:
        async with running():
            pass
        before = descriptors()
        async with running(fixed={"net notice": 5_000_000, "dial call": 5_000_000}) as rig:
            for _ in range(5):
                await rig.established()
            rig.link.do(act.ConnectionHalfOpen())
            for _ in range(5):
                await rig.established()
            rig.link.do(act.CablePulled(returns_after_us=Duration(9_000_000)))
            await rig.connect()
            await rig.link.close()
            await rig.link.close()
            rig.link.pc_shows(seen.WentDown("power", False))
            rig.link.person_does(PortalLogin())
            rig.link.pc_shows(TimerFired("cable"))
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", rig.port)
        assert descriptors() <= before

    run(story)
