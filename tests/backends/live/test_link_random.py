"""No order of faults, restarts, attempts and ends breaks the relay; once healed, a booted PC gets through."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rrsim.machine import observations as seen
from rrsim.people.vocabulary import DialNow, LineDown
from rrsim.scenario import actions as act
from rrsim.scenario.kinds import NET_ACTIONS
from rrsim.scenario.model import PcSetup
from rrsim.scenario.words import Duration
from tests.backends.live.link_rig import BOOT, LOGGED_ON, Rig, run, running

KINDS = [kind for kind in NET_ACTIONS if kind not in (act.ConnectionStalls, act.CablePulled)]
ACTIONS = [
    *(kind() for kind in KINDS), act.ConnectionStalls(for_us=Duration(3_000)),
    act.CablePulled(returns_after_us=Duration(3_000)),
]  # fmt: skip
SHOWN = [
    seen.WentDown("agent", True), seen.WentDown("power", False), *BOOT, *LOGGED_ON, seen.PhaseBegan("asleep"),
    seen.WokeUp("boot-1", "sleep"),
]  # fmt: skip
MOVES = st.one_of(
    st.sampled_from(ACTIONS), st.sampled_from(SHOWN), st.sampled_from([DialNow(), LineDown()]),
    st.sampled_from(["connect", "speak", "close", "kill", "server speaks", "server closes", "turns", "power fails"]),
)  # fmt: skip


async def _move(rig: Rig, move: Any) -> None:
    if isinstance(move, DialNow | LineDown):
        rig.link.person_does(move)
    elif isinstance(move, act.Action):
        rig.link.do(move)
    elif not isinstance(move, str):
        rig.link.pc_shows(move)
    elif move == "connect":
        with contextlib.suppress(ConnectionError):
            (await rig.connect()).writer.write(b"hello")
    elif move == "power fails":
        rig.link.power_fails()
    elif move == "turns":
        for _ in range(3):  # other sockets of this test get their turns
            (await asyncio.open_connection(*rig.upstream[:2]))[1].close()
    elif move.startswith("server") and rig.accepted:
        writer = rig.accepted[-1].writer
        writer.write(b"news" * 5000) if move.endswith("speaks") else writer.close()
    elif rig.clients:
        client = rig.clients[-1]
        match move:
            case "speak":
                client.writer.write(b"words" * 5000)
            case "close":
                client.writer.close()
            case _:
                client.kill()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["lan", "wifi", "vpn", "dial-up"]), st.booleans(), st.lists(MOVES, max_size=40))
def test_no_order_of_events_breaks_the_relay(network: Any, portal: bool, moves: list[Any]) -> None:
    async def story() -> None:
        problems: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        setup = PcSetup(network=network, captive_portal=portal)
        async with running(setup, rates_bps=(4_000_000, 4_000_000), set_dns=lambda _: None) as rig:
            for move in moves:
                await _move(rig, move)
            rig.link.heal()
            rig.shows(seen.WentDown("probe", True), *BOOT, *LOGGED_ON)
            rig.link.go_online()
            await rig.until_online(network, portal=portal)
            await rig.established()
        assert problems == []

    run(story)
