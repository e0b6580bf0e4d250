"""The link holds a bounded number of connections and bytes, keeps back-pressure, and keeps to the line's rate."""

from __future__ import annotations

import asyncio

import pytest

from rrsim.backends.live.link_flow import MOST_HELD_BYTES, ROOM_BYTES, End, Flow
from rrsim.backends.live.link_relay import MOST_PAIRS
from rrsim.scenario import actions as act
from rrsim.scenario.words import Duration
from tests.backends.live.link_rig import PATIENCE_S, Client, run, running


def test_one_connection_too_many_is_refused_and_a_stale_one_gives_way() -> None:
    async def story() -> None:
        async with running() as rig:
            first, server = await rig.established()
            for _ in range(MOST_PAIRS - 1):
                await rig.connect()
            await rig.server_ends(MOST_PAIRS)
            assert await (await rig.connect()).fate() == "reset"
            assert rig.tries == ["connected", "connection refused"]
            assert rig.link.connections == MOST_PAIRS
            rig.link.do(act.ConnectionHalfOpen())
            first.kill()
            # The server still believes in the first one; it goes when room is needed and the link knows of the death.
            async with asyncio.timeout(PATIENCE_S):
                while not server.over.done():
                    await rig.connect()
            assert await server.fate() == "reset"
            assert rig.link.connections == MOST_PAIRS

    run(story)


@pytest.mark.parametrize("towards", ["server", "pc"])
def test_what_is_held_is_bounded_and_the_sender_feels_it(monkeypatch: pytest.MonkeyPatch, towards: str) -> None:
    async def story() -> None:
        paused = asyncio.Event()
        most_held = 0
        pause, take = End.pause, Flow.take

        def watched_pause(end: End) -> None:
            pause(end)
            paused.set()

        def watched_take(flow: Flow, data: bytes) -> None:
            nonlocal most_held
            take(flow, data)
            most_held = max(most_held, flow.held_bytes)

        monkeypatch.setattr(End, "pause", watched_pause)
        monkeypatch.setattr(Flow, "take", watched_take)
        async with running() as rig:
            client, server = await rig.established()
            rig.link.do(act.ConnectionStalls(for_us=Duration(10_000_000)))
            sender = client.writer if towards == "server" else server.writer
            flood = b"y" * 3_000_000
            sender.write(flood)
            async with asyncio.timeout(PATIENCE_S):
                await paused.wait()
            assert most_held == ROOM_BYTES < MOST_HELD_BYTES
            assert sender.transport.get_write_buffer_size() > 0
            rig.link.heal()
            async with asyncio.timeout(PATIENCE_S):
                assert await client.reader.readexactly(len(flood)) == flood
            assert most_held <= ROOM_BYTES

    run(story)


def test_the_rate_of_each_direction_is_kept_and_shared() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()

        async def seconds(client: Client, size_bytes: int) -> float:
            began = loop.time()
            await client.ask(b"z" * size_bytes)
            return loop.time() - began

        async with running(rates_bps=(80_000, 400_000)) as rig:
            one, _ = await rig.established()
            other, _ = await rig.established()
            # Up 3000 bytes at 80 kbit/s: 0.3 s; down runs alongside.
            alone_s = await seconds(one, 3000)
            assert 0.28 <= alone_s < 1.5
            both_s = await asyncio.gather(seconds(one, 1500), seconds(other, 1500))
            assert 0.28 <= max(both_s) < 1.5
            assert min(both_s) >= 0.2  # neither had the line to itself

    run(story)


def test_an_unanswered_server_is_felt_through_a_slow_line() -> None:
    async def story() -> None:
        async with running(rates_bps=(0, 40_000)) as rig:
            client, server = await rig.established()
            server.writer.write(b"w" * 2_000_000)
            async with asyncio.timeout(PATIENCE_S):
                await client.reader.readexactly(1000)
            assert server.writer.transport.get_write_buffer_size() > 0

    run(story)
