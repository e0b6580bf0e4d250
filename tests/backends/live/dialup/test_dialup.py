"""Modem, line, gate and provider together: what a machine's serial port hears, and what is told of it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.dialup import exchange, ppp
from rrsim.backends.live.dialup.dialup import NotTheTelephones
from rrsim.backends.live.dialup.exchange import Rates
from rrsim.backends.live.dialup.line import NoSerialPort, open_unix
from rrsim.backends.live.dialup.provider import INSTALL, PROGRAM, ProviderFailed, Slirp
from rrsim.machine.observations import DialProgress, Healed, LinkChanged
from rrsim.scenario import actions
from rrsim.scenario.words import Duration
from tests.backends.live.dialup.dialup_rig import FAST, End, FakeCall, Rig, pipe, rig, run
from tests.backends.live.dialup.peer import HOST, Peer


def test_a_call_carries_bytes_both_ways_through_the_gate() -> None:
    async def story() -> None:
        async with rig() as one:
            call = await one.calls()
            request = ppp.framed(ppp.LCP, ppp.packet(ppp.REQUEST, 1))
            one.guest.write(b"noise" + request)
            assert await call.far.read(1_000) == request
            call.far.write(b"slirp's own words\n" + request)
            assert (await one.hears(request)).endswith(request)
            one.guest.write(ppp.framed(ppp.IPV6CP, ppp.packet(ppp.REQUEST, 1)))
            await one.hears(b"\x7d\x28")  # Protocol-Reject, escaped as every control character
            assert one.told[:2] == [exchange.Dialled("5551234"), exchange.Connected(FAST)]
            assert (one.dial.number, one.dial.stage, one.dial.online) == ("5551234", "carrier", False)
            assert one.dial.statistics.calls == 1
            assert one.dial.statistics.up_bytes > len(request)

    run(story)


def test_the_machine_hangs_up_by_escape() -> None:
    async def story() -> None:
        async with rig() as one:
            one.guest.write(b"ATS12=1\r")
            await one.hears(b"OK")
            call = await one.calls()
            await one.until(lambda: one.dial._modem._quiet)
            one.guest.write(b"+++")
            await one.hears(b"OK")
            one.guest.write(b"ATH\r")
            await one.hears(b"OK")
            await one.until(lambda: call.closes == 1)
            assert one.told[-1] == exchange.Ended("the caller hung up")
            await one.calls()

    run(story)


async def _network(one: Rig, call: FakeCall) -> None:
    """Both ends agree on everything at once."""
    peer = Peer(one.guest)
    for number, protocol in enumerate((ppp.LCP, ppp.IPCP), 1):
        option = b"\x03\x06" + HOST if protocol == ppp.IPCP else b""
        peer.send(protocol, ppp.packet(ppp.REQUEST, number, option))
        await call.far.read(1_000)
        call.far.write(ppp.framed(protocol, ppp.packet(ppp.ACK, number, option)))
        call.far.write(ppp.framed(protocol, ppp.packet(ppp.REQUEST, number, option)))
        await peer.hears(protocol, ppp.REQUEST)
    await one.until(lambda: one.dial.online)


def test_what_is_seen_of_a_call_is_what_the_simulator_says() -> None:
    async def story() -> None:
        async with rig() as one:
            call = await one.calls()
            await _network(one, call)
            one.dial.do(actions.CarrierLost())
            await one.hears(b"NO CARRIER")
            assert one.seen == [
                DialProgress("dialling"), DialProgress("training"), DialProgress("ppp"), DialProgress("connected"),
                LinkChanged(True, "dial-up"), DialProgress("dropped"), LinkChanged(False, "dial-up", "no call"),
            ]
            assert not one.dial.online
            await one.until(lambda: call.closes == 1)
            again = await one.calls()
            await _network(one, again)
            one.dial.do(actions.LineDead())
            assert one.seen[-1] == LinkChanged(False, "dial-up", "the line is dead")
            await one.hears(b"NO CARRIER")
            one.dial.do(actions.LineWorks())
            await _network(one, await one.calls())
            one.dial.do(actions.CablePulled())
            assert one.seen[-1] == LinkChanged(False, "dial-up", "cable out")
            await one.hears(b"NO CARRIER")
            one.dial.do(actions.CablePlugged())
            await _network(one, await one.calls())
            one.dial.machine_down()
            assert one.seen[-2:] == [
                LinkChanged(True, "dial-up"), LinkChanged(False, "dial-up", "the pc is down"),
            ]

    run(story)


@pytest.mark.parametrize(("action", "heard", "phase"), [
    (actions.LineBusy(), b"BUSY", "busy"),
    (actions.LineDead(), b"NO DIALTONE", "no dial tone"),
    (actions.CablePulled(), b"NO DIALTONE", "no dial tone"),
    ("no answer", b"NO ANSWER", "no carrier"),
    ("no carrier", b"NO CARRIER", "no carrier"),
])
def test_lines_that_do_not_work(action: Any, heard: bytes, phase: str) -> None:
    async def story() -> None:
        async with rig(scale=10_000) as one:
            one.dial.set_line(action) if isinstance(action, str) else one.dial.do(action)
            one.guest.write(b"ATDT5551234\r")
            await one.hears(b"\r\n" + heard + b"\r\n")
            assert one.phases[-1] == phase
            one.dial.heal()
            await one.calls()

    run(story)


def test_a_pulled_cord_comes_back_by_itself() -> None:
    async def story() -> None:
        async with rig() as one:
            one.dial.do(actions.CablePulled(returns_after_us=Duration(10_000)))
            one.guest.write(b"ATDT5551234\r")
            await one.hears(b"NO DIALTONE")
            await one.until(lambda: one.dial._cord_in)
            await one.calls()
            one.dial.do(actions.LineBusy())
            one.dial.do(actions.CablePulled())
            one.dial.do(actions.CablePlugged())
            await one.hears(b"NO CARRIER")
            one.guest.write(b"ATDT5551234\r")
            await one.hears(b"BUSY")  # the cord is in again, the line as busy as before
            one.dial.pc_shows(Healed())
            await one.calls()

    run(story)


def test_a_drop_after_so_many_bytes() -> None:
    async def story() -> None:
        async with rig() as one:
            wire = ppp.framed(ppp.IP, b"x" * 500)
            one.dial.plan_drop(after_bytes=len(wire) + 1)
            call = await one.calls()
            call.far.write(wire)
            await one.hears(wire)
            assert one.dial.stage == "carrier"
            one.guest.write(b"x")
            await one.hears(b"NO CARRIER")
            assert one.told[-1] == exchange.Ended("the line was cut")

    run(story)


def test_a_stalled_line_holds_and_the_call_stands() -> None:
    async def story() -> None:
        async with rig() as one:
            call = await one.calls()
            one.dial.do(actions.ConnectionStalls(for_us=Duration(30_000)))
            wire = ppp.framed(ppp.LCP, b"\x09\x01\x00\x08abcd")
            call.far.write(wire)
            one.guest.write(wire)
            for _ in range(50):
                await asyncio.sleep(0)
            assert one.dial.statistics.up_bytes == one.dial.statistics.down_bytes == 0
            await one.hears(wire)
            assert await call.far.read(1_000) == wire
            assert one.dial.stage == "carrier"

    run(story)


def test_a_stall_that_began_before_the_call() -> None:
    async def story() -> None:
        async with rig() as one:
            one.dial.stall()
            call = await one.calls()
            one.guest.write(ppp.framed(ppp.LCP, b"\x09\x01\x00\x08abcd"))
            for _ in range(50):
                await asyncio.sleep(0)
            assert one.dial.statistics.up_bytes == 0
            one.dial.heal()
            assert await call.far.read(1_000)

    run(story)


def test_the_provider_hangs_up() -> None:
    async def story() -> None:
        async with rig() as one:
            call = await one.calls()
            one.dial.stall()
            last = ppp.framed(ppp.LCP, b"\x09\x01\x00\x08abcd")
            call.far.write(last)
            call.far.close()
            for _ in range(50):
                await asyncio.sleep(0)
            one.dial.heal()
            assert last in await one.hears(b"NO CARRIER")  # its last words are still across
            assert one.told[-1] == exchange.Ended("the provider hung up")
            assert one.failures == []
            await one.until(lambda: call.closes == 1)

    run(story)


def test_the_goodbye_of_ppp_ends_the_call_once_it_is_across() -> None:
    async def story() -> None:
        async with rig() as one:
            call = await one.calls()
            one.guest.write(ppp.framed(ppp.LCP, ppp.packet(ppp.TERMINATE, 5)))
            await call.far.read(1_000)
            last = ppp.framed(ppp.LCP, ppp.packet(ppp.TERMINATE_ACK, 5))
            one.dial.stall()
            call.far.write(last)
            for _ in range(50):
                await asyncio.sleep(0)
            one.dial.heal()
            got = await one.hears(b"NO CARRIER")
            assert got.index(last) < got.index(b"NO CARRIER")
            assert one.told[-1] == exchange.Ended("the provider hung up")

    run(story)


def test_a_provider_that_cannot_be_had_is_the_harness_failure() -> None:
    async def story() -> None:
        async with rig() as one:
            one.provider.problem = ProviderFailed("expected a provider, saw none; install one")
            one.guest.write(b"ATDT5551234\r")
            await one.hears(b"NO CARRIER")
            assert [str(problem) for problem in one.failures] == ["expected a provider, saw none; install one"]

    run(story)


def test_a_machine_that_is_reset_leaves_a_modem_as_new() -> None:
    async def story() -> None:
        async with rig() as one:
            call = await one.calls()
            one.dial.machine_down()
            await one.until(lambda: call.closes == 1)
            assert one.dial.stage == "idle"
            near, one.guest = pipe()
            one.dial.attach(near)
            one.guest.write(b"AT\r")
            assert await one.hears(b"OK") == b"AT\r\r\nOK\r\n"  # the echo is on again
            assert one.told[-1] == exchange.Ended("the machine went down")

    run(story)


def test_somebody_calls_and_the_modem_answers() -> None:
    async def story() -> None:
        async with rig() as one:
            one.guest.write(b"ATS0=1\r")
            await one.hears(b"OK")
            one.dial.ring()
            await one.hears(b"CONNECT")
            await one.until(lambda: len(one.provider.calls) == 1)

    run(story)


def test_closing_in_any_stage_leaves_nothing() -> None:
    async def story() -> None:
        for dials in (False, True):
            async with rig() as one:
                if dials:
                    call = await one.calls()
            assert not dials or call.closes == 1
            await one.dial.close()
            one.dial.do(actions.LineBusy())  # too late, and harmless

    run(story)


def test_what_is_not_the_telephones_is_refused() -> None:
    async def story() -> None:
        async with rig() as one:
            with pytest.raises(NotTheTelephones, match="saw DnsFails; it knows: LineBusy"):
                one.dial.do(actions.DnsFails())

    run(story)


def test_whoever_hears_of_something_may_act_at_once() -> None:
    async def story() -> None:
        async with rig() as one:
            def drops(what: Any) -> None:
                if what == DialProgress("ppp"):
                    one.dial.do(actions.CarrierLost())

            one.dial._observe = drops
            one.guest.write(b"ATDT5551234\r")
            got = await one.hears(b"NO CARRIER")
            assert got.index(b"CONNECT") < got.index(b"NO CARRIER")

    run(story)


def test_the_line_paces_what_the_provider_sends() -> None:
    class Clock:
        now_us = 0

        async def wait(self, us: int) -> None:
            self.now_us += us
            await asyncio.sleep(0)

    async def story() -> None:
        clock = Clock()
        async with rig(rates=Rates(9_600, 14_400, 14_400), clock_us=lambda: clock.now_us, wait_us=clock.wait) as one:
            one.guest.write(b"ATE0DT5551234\r")
            await one.hears(b"CONNECT 14400\r\n")
            await one.until(lambda: len(one.provider.calls) == 1)
            began_us = clock.now_us
            wire = ppp.framed(ppp.IP, b"x" * 1_400) * 3
            one.provider.calls[-1].far.write(wire)
            await one.until(lambda: one.dial.statistics.down_bytes == len(wire))
            assert (clock.now_us - began_us) / 1e6 == pytest.approx(len(wire) * 8 / 14_400, rel=0.02)

    run(story)


def test_a_guest_that_never_reads_and_always_writes_is_slowed() -> None:
    async def story() -> None:
        async with rig() as one:
            await one.calls()
            one.dial.stall()
            near = one.dial._serial
            assert isinstance(near, End)
            for _ in range(100):
                one.guest.write(b"x" * 1_000)
            for _ in range(500):
                await asyncio.sleep(0)
            held = len(one.dial._session.up._held) if one.dial._session else 0
            assert 4_000 <= held <= 6_000
            assert len(near.reader._buffer) > 90_000  # type: ignore[attr-defined] -- looks without reading

    run(story)


def test_a_serial_port_that_is_not_there(tmp_path: Path) -> None:
    async def story() -> None:
        with pytest.raises(NoSerialPort, match="look whether the machine runs"):
            await open_unix(tmp_path / "s", 60_000)
        with pytest.raises(NoSerialPort, match="at most 107 bytes"):
            await open_unix(tmp_path / ("s" * 120), 60_000)

    run(story)


def test_a_unix_socket_carries_the_port(tmp_path: Path) -> None:
    async def story() -> None:
        joined: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()
        server = await asyncio.start_unix_server(lambda r, w: joined.set_result((r, w)), tmp_path / "s")
        async with rig() as one:
            stream = await open_unix(tmp_path / "s", 5_000_000)
            one.dial.attach(stream)
            reader, writer = await joined
            writer.write(b"ATE0\r")
            assert await reader.readuntil(b"OK\r\n") == b"ATE0\r\r\nOK\r\n"
            one.dial.detach()
            assert await reader.read() == b""
            await stream.closed()
            writer.close()
            await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(story)


@pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"needs {PROGRAM}: {INSTALL}")
def test_the_real_provider_brings_the_link_up_and_reaches_only_the_server() -> None:
    async def story() -> None:
        reached: list[str] = []

        def serve(name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
            def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                reached.append(name)
                writer.close()

            return greet

        server = await asyncio.start_server(serve("ours"), "127.0.0.1", 0)
        other = await asyncio.start_server(serve("other"), "127.0.0.1", 0)
        port, other_port = (one.sockets[0].getsockname()[1] for one in (server, other))
        async with server, other, rig(Slirp()) as one:
            one.ports = {port}
            one.guest.write(b"ATE0DT5551234\r")
            await one.hears(b"CONNECT")
            peer = Peer(one.guest)
            await peer.negotiate()
            await one.until(lambda: one.dial.online)
            peer.opens(HOST, other_port)
            peer.opens(bytes([10, 0, 2, 1]), 23)
            peer.opens(HOST, port)
            answer = await peer.hears(ppp.IP, 0)
            assert answer[12:16] == HOST
            assert (answer[20:22], answer[33] & 0x12) == (port.to_bytes(2), 0x12)  # SYN and ACK, from the server's port
            await one.until(lambda: bool(reached))
            assert reached == ["ours"]
            assert one.dial.statistics.turned_away == 2
            assert one.dial.statistics.last_turned_away == "protocol 6 to 10.0.2.1"
            peer.send(ppp.LCP, ppp.packet(ppp.TERMINATE, 9))
            await one.hears(b"NO CARRIER")
            assert one.phases[-1] == "dropped"

    run(story)
