"""Real TLS and real WebSockets through the link; how an attempt ended is read off the outside of the handshake."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from rrsim.backends.live.link_greeting import Greeting
from rrsim.backends.live.link_impostor import MOST_NAMES, Impostor
from rrsim.machine import observations as seen
from rrsim.people.vocabulary import PortalLogin
from rrsim.scenario import actions as act
from rrsim.scenario.model import PcSetup
from rrsim.scenario.words import Duration
from tests.backends.live.link_rig import BOOT, PATIENCE_S, Rig, run, running

AUTHORITY = trustme.CA()
NAME = "session-server.test"


class WebSockets:
    """A WebSocket echo server with a certificate that the right authority signed."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.got: list[str] = []

    async def echo(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                self.got.append(str(text))
                await socket.send(text)

    def agent(self, authority: trustme.CA = AUTHORITY, *, careless: bool = False, **more: Any) -> Any:
        """Connect as an agent does: to the link's port, with the server's name, verifying."""
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if careless:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return connect(
            f"wss://{NAME}:{self.rig.port}", host="127.0.0.1", port=self.rig.port, ssl=context, proxy=None,
            compression=None, close_timeout=1, open_timeout=PATIENCE_S, **more,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def websockets(setup: PcSetup | None = None, **options: Any) -> AsyncIterator[WebSockets]:
    """Run the echo server behind a link."""
    async with running(setup, **options) as rig:
        server_side = WebSockets(rig)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert(NAME).configure_cert(context)
        async with serve(server_side.echo, "127.0.0.1", 0, ssl=context, compression=None, close_timeout=1) as server:
            rig.upstream = next(iter(server.sockets)).getsockname()
            yield server_side


async def ask(agent: ClientConnection, text: str) -> None:
    await agent.send(text)
    async with asyncio.timeout(PATIENCE_S):
        assert await agent.recv() == text


def test_a_websocket_over_verified_tls_passes_untouched() -> None:
    async def story() -> None:
        async with websockets() as there, there.agent() as agent:
            await ask(agent, "hello")
            await ask(agent, "x" * 900_000)
            assert there.rig.seen == [seen.ConnectTried("connected")]

    run(story)


def test_a_websocket_rides_out_a_stall_and_a_short_outage_and_dies_of_a_drop() -> None:
    async def story() -> None:
        async with websockets(fixed={"net notice": 5_000_000}) as there, there.agent() as agent:
            there.rig.link.do(act.ConnectionStalls(for_us=Duration(30_000)))
            await ask(agent, "held")
            there.rig.link.do(act.CablePulled(returns_after_us=Duration(20_000)))
            await ask(agent, "held again")
            there.rig.link.do(act.ConnectionDrops())
            with pytest.raises(ConnectionClosed):
                await agent.recv()
            async with there.agent() as again:
                await ask(again, "back")
            assert there.got == ["held", "held again", "back"]

    run(story)


def test_dial_up_carries_a_handshake_at_a_modem_s_rate() -> None:
    async def story() -> None:
        # At scale 10 the modem is ten times as fast: 336 kbit/s up, 560 kbit/s down.
        async with websockets(PcSetup(network="dial-up"), scale=10) as there, there.agent() as agent:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await ask(agent, "x" * 10_000)
            assert 10_000 * 8 / 336_000 + 10_000 * 8 / 560_000 <= loop.time() - began < 3
            assert there.rig.tries == ["connected"]

    run(story)


@pytest.mark.parametrize("where", ["impostor", "portal"])
def test_another_authority_s_certificate_is_seen_to_be_declined(where: str) -> None:
    async def story() -> None:
        portal = where == "portal"
        async with websockets(PcSetup(captive_portal=portal)) as there:
            rig = there.rig
            if portal:
                rig.shows(seen.WentDown("agent", True), *BOOT)
                await rig.until(seen.LinkChanged(True, "lan"))
            else:
                rig.link.do(act.Impostor())
            outcome = f"certificate not valid ({'captive portal' if portal else 'wrong server'})"
            with pytest.raises(ssl.SSLCertVerificationError):
                await there.agent()
            await rig.until(seen.ConnectTried(outcome))
            assert len(rig.tries) == 1
            if portal:
                rig.link.person_does(PortalLogin())
            else:
                rig.link.do(act.ImpostorGone())
            async with there.agent() as agent:
                await ask(agent, "the right one")
            assert rig.tries == [outcome, "connected"]
            assert rig.link.connections <= 1
            assert there.got == ["the right one"]

    run(story)


def test_an_agent_that_accepts_an_impostor_is_told_apart() -> None:
    async def story() -> None:
        async with websockets() as there:
            there.rig.link.do(act.Impostor())
            with pytest.raises(Exception, match=r".*") as problem:
                await there.agent(careless=True)
            assert not isinstance(problem.value, ssl.SSLError)
            assert there.rig.tries == ["accepted although certificate not valid (wrong server)"]
            assert there.got == []

    run(story)


def test_a_certificate_declined_for_the_agent_s_own_reasons() -> None:
    async def story() -> None:
        async with websockets() as there:
            with pytest.raises(ssl.SSLCertVerificationError):
                await there.agent(trustme.CA())  # as with a wrong clock: nothing of the link's is in the way
            await there.rig.until(seen.ConnectTried("certificate not valid"))
            assert len(there.rig.tries) == 1

    run(story)


def test_a_handshake_that_the_way_cuts_off() -> None:
    async def story() -> None:
        async with running() as rig:
            client = await rig.connect()
            await rig.server_ends(1)
            rig.link.do(act.ConnectionStalls(for_us=Duration(10_000_000)))
            client.writer.write(CLIENT_HELLO)
            client.kill()
            await rig.until(seen.ConnectTried("no answer"))
            rig.link.heal()
            client = await rig.connect()
            await rig.server_ends(2)
            rig.link.do(act.CablePulled())
            client.writer.write(CLIENT_HELLO)
            assert await client.fate() == "reset"
            await rig.until(seen.ConnectTried("no network"))
            assert len(rig.tries) == 2

    run(story)


def test_an_impostor_answers_to_any_name_but_not_without_bound() -> None:
    impostor = Impostor()
    for number in range(3 * MOST_NAMES):
        tls = impostor.context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
        impostor._answer_as_asked(tls, f"name-{number}.test", impostor.context)
        assert (tls.context is impostor.context) == (number >= MOST_NAMES - 1)


# --- the outside of a handshake -------------------------------------------------------------------------------------

CLIENT_HELLO = bytes([22, 3, 1, 0, 200, 1]) + bytes(199)
SERVER_FLIGHT = bytes([22, 3, 3, 0, 90, 2]) + bytes(89)
CHANGE_CIPHER = bytes([20, 3, 3, 0, 1, 1])
FINISHED = CHANGE_CIPHER + bytes([23, 3, 3, 0, 69]) + bytes(69)
SEALED_ALERT = CHANGE_CIPHER + bytes([23, 3, 3, 0, 19]) + bytes(19)
PLAIN_ALERT = bytes([21, 3, 3, 0, 2, 2, 42])
TICKETS = bytes([23, 3, 3, 0, 200]) + bytes(200)
HELLO_AGAIN = CHANGE_CIPHER + CLIENT_HELLO


@pytest.mark.parametrize(
    ("flights", "established_at"),
    [
        ([CLIENT_HELLO, SERVER_FLIGHT, FINISHED, TICKETS], 3),
        ([CLIENT_HELLO[:50], CLIENT_HELLO[50:], SERVER_FLIGHT, SERVER_FLIGHT, FINISHED[:8], FINISHED[8:], TICKETS], 6),
        ([CLIENT_HELLO, SERVER_FLIGHT, HELLO_AGAIN, SERVER_FLIGHT, FINISHED, TICKETS], 5),
        ([CLIENT_HELLO, SERVER_FLIGHT, SEALED_ALERT, TICKETS], None),
        ([CLIENT_HELLO, SERVER_FLIGHT, PLAIN_ALERT, TICKETS], None),
        ([b"GET / HTTP/1.1"], 0),
        ([SERVER_FLIGHT], 0),
    ],
)
def test_when_a_connection_counts_as_established(flights: list[bytes], established_at: int | None) -> None:
    greeting = Greeting()
    at = None
    for number, flight in enumerate(flights):
        from_client = not flight.startswith((SERVER_FLIGHT[:6], TICKETS[:5]))
        if (greeting.client_sent if from_client else greeting.server_sent)(flight):
            at = number
            break
    assert at == established_at
    assert greeting.declined == (PLAIN_ALERT in flights or SEALED_ALERT in flights)


def test_a_client_that_leaves_without_a_word_after_the_certificate_has_declined_it() -> None:
    greeting = Greeting()
    assert not greeting.declined
    greeting.client_sent(CLIENT_HELLO)
    assert not greeting.declined
    greeting.server_sent(SERVER_FLIGHT)
    assert greeting.declined
    greeting.client_sent(FINISHED)
    assert not greeting.declined
