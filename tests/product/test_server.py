"""Tideway's own server, driven through its adapter and spoken to by a guest: what happens comes out as records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live import adapters
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from tests.product.guest import Guest

QUICK = Account(resume_window_us=1_500_000, prompt_timeout_us=1_000_000, restart_limit_us=5_000_000)
LIMIT_S = 8.0


class Rig:
    """One case, one guest, one technician."""

    def __init__(self, server: Any, port: int, key: str) -> None:
        self.server, self.port, self.key = server, port, key
        self.seen: list[Any] = []
        self._stream = server.entries()
        self.code = ""
        self.guests: list[Guest] = []

    async def event(self, kind: type) -> Any:
        """Wait for an event of a kind."""
        async with asyncio.timeout(LIMIT_S):
            async for entry in self._stream:
                self.seen.append(entry.event)
                if isinstance(entry.event, kind):
                    return entry.event
        raise AssertionError("the stream ended")

    async def open(self, account: Account = QUICK) -> None:
        """Open a case and let the technician take it."""
        self.code = await self.server.create_session("session-1", "standard", account)
        await self.say(msg.Take())

    async def say(self, message: Any) -> None:
        """Say something as the technician."""
        await self.server.rep_says("session-1", "rep-1", message)

    async def dial(self, key: str = "") -> Guest:
        """Connect."""
        guest = await Guest(key or self.key).dial(self.port)
        self.guests.append(guest)
        return guest

    async def enter(self, boot: str = "boot-1") -> tuple[Guest, dict[str, str]]:
        """Come in with the code."""
        guest = await self.dial()
        guest.say("ENTER", code=self.code, boot=boot, user="guest", pc="pc")
        return guest, await guest.hear("IN")

    async def go(self, guest: Guest) -> str:
        """Order a trip and go down; return the pass."""
        await self.say(msg.AskRestart("chat window"))
        asked = await self.event(msg.ConfirmRestart)
        await self.say(msg.Confirm(asked.order, "yes"))
        order = await guest.hear("GO")
        guest.say("READY", trip=order["trip"])
        guest.say("SINKING", trip=order["trip"])
        await self.event(rec.WindowOpened)
        await guest.close()
        return guest.derived(f"pass|session-1|{order['trip']}|{order['salt']}")

    async def knock(self, proof_key: str, boot: str) -> Guest:
        """Come back from a trip."""
        guest = await self.dial()
        proof = guest.proof(proof_key)
        guest.say("RETURN", case="session-1", trip=1, boot=boot, user="guest", pc="pc", proof=proof)
        return guest


@asynccontextmanager
async def rig(key: str, folder: Path) -> AsyncIterator[Rig]:
    """Run the server."""
    server = adapters.load(adapters.SERVERS, "tideway")
    address = await server.start(str(folder))
    made = Rig(server, address.port, key)
    try:
        yield made
    finally:
        for guest in made.guests:
            await guest.close()
        await server.close()


def played(key: str, folder: Path, play: Callable[[Rig], Awaitable[None]]) -> list[Any]:
    """Play something; return everything that was told."""

    async def run() -> list[Any]:
        async with rig(key, folder) as one:
            await play(one)
            return one.seen

    return asyncio.run(run())


def test_a_trip_ends_in_the_same_case(tideway: str, tmp_path: Path) -> None:
    async def play(one: Rig) -> None:
        await one.open()
        guest, _ = await one.enter()
        pass_ = await one.go(guest)
        back = await one.knock(pass_, "boot-2")
        await back.hear("IN")
        resumed = await one.event(rec.EndpointResumed)
        assert (resumed.restart, resumed.boot, resumed.machine) == (1, "boot-2", "pc")

    seen = played(tideway, tmp_path, play)
    kinds = [type(event) for event in seen if isinstance(event, rec.Record)]
    assert kinds.index(rec.OrderGiven) < kinds.index(rec.OrderArmed) < kinds.index(rec.WindowOpened)


@pytest.mark.parametrize(("spoil", "boot"), [("", "boot-1"), ("x", "boot-2")], ids=["the same boot", "a false proof"])
def test_only_a_new_boot_with_the_pass_comes_back(tideway: str, tmp_path: Path, spoil: str, boot: str) -> None:
    async def play(one: Rig) -> None:
        await one.open()
        guest, _ = await one.enter()
        pass_ = await one.go(guest)
        back = await one.knock(pass_ + spoil, boot)
        await back.hear("NO")
        assert (await one.event(rec.ClaimRejected)).what == "resume"
        await one.event(rec.SessionExpired)

    played(tideway, tmp_path, play)


def test_a_pass_is_good_once(tideway: str, tmp_path: Path) -> None:
    async def play(one: Rig) -> None:
        await one.open()
        guest, _ = await one.enter()
        pass_ = await one.go(guest)
        first = await one.knock(pass_, "boot-2")
        await first.hear("IN")
        second = await one.knock(pass_, "boot-3")
        assert (await second.hear("NO"))["why"] == "no such trip"

    played(tideway, tmp_path, play)


def test_a_guest_that_does_not_come_back_is_too_late(tideway: str, tmp_path: Path) -> None:
    async def play(one: Rig) -> None:
        await one.open()
        guest, _ = await one.enter()
        pass_ = await one.go(guest)
        assert (await one.event(rec.SessionExpired)).restart == 1
        late = await one.knock(pass_, "boot-2")
        assert (await late.hear("NO"))["why"] == "the case is expired"

    played(tideway, tmp_path, play)


def test_the_guest_is_asked_and_silence_is_no(tideway: str, tmp_path: Path) -> None:
    async def play(one: Rig) -> None:
        await one.open(Account(ask_before_restart=True, prompt_timeout_us=500_000))
        guest, _ = await one.enter()
        await one.say(msg.AskRestart("tools menu"))
        asked = await one.event(msg.ConfirmRestart)
        await one.say(msg.Confirm(asked.order, "yes"))
        question = await guest.hear("ASK")
        guest.say("ANSWER", q=question["q"], **{"is": "silence"}, human=0)
        answered = await one.event(rec.CustomerAnswered)
        assert (answered.answer, answered.human) == ("silence", False)
        assert (await one.event(rec.RestartRefused)).reason == "silence"

    played(tideway, tmp_path, play)


def test_a_line_without_the_right_code_ends_the_connection(tideway: str, tmp_path: Path) -> None:
    async def play(one: Rig) -> None:
        await one.open()
        stranger = await one.dial("00" * 32)
        stranger.say("ENTER", code=one.code, boot="boot", user="guest", pc="pc")
        with pytest.raises((ConnectionError, OSError)):
            await stranger.hear("IN")
        guest, _ = await one.enter()
        guest.say_raw(b"0" * 32 + b" BYE\n")
        await one.event(rec.EndpointLost)

    played(tideway, tmp_path, play)


def test_the_key_is_on_no_command_line_and_in_no_log(tideway: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tideway, tmp_path) as one:
            await one.open()
            await one.enter()
            await one.event(rec.EndpointJoined)
            lines = await asyncio.to_thread(Path(f"/proc/{one.server._process.pid}/cmdline").read_bytes)
            assert tideway.encode() not in lines
            assert b"tideway_rrsim.server" in lines
            assert all(tideway.encode() not in data for data in one.server.evidence().values())

    asyncio.run(run())
