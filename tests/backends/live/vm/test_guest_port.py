"""The harness's end of the guest daemon's port, against a scripted guest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from rrsim.backends.live.vm import guest_port
from rrsim.backends.live.vm.guest_port import GuestPort, GuestRefused, PortLost
from rrsim.backends.live.wine.line import LineLost


class Guest:
    """A stream whose other end does what ``answers`` says: request to lines."""

    def __init__(self, answers: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
        self.answers = answers
        self.requests: list[dict[str, Any]] = []
        self.out: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self, _n: int = 0) -> bytes:
        data = await self.out.get()
        if data == b"END":
            raise ConnectionError("switched off")
        return data

    def write(self, data: bytes) -> None:
        request = json.loads(data)
        self.requests.append(request)
        for message in self.answers(request):
            self.says(message)

    def says(self, message: dict[str, Any]) -> None:
        self.out.put_nowait(json.dumps(message).encode() + b"\n")

    async def drain(self) -> None:
        """Everything is taken at once."""

    async def close(self) -> None:
        self.out.put_nowait(b"END")


def boots(boot: dict[str, str], kept: list[dict[str, Any]]) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """Answer hello with the boot that is written in ``boot``, and tell what it has kept."""
    def answer(request: dict[str, Any]) -> list[dict[str, Any]]:
        if request.get("do") == "hello":
            return [{"re": request["id"], "boot_id": boot["now"]}, *kept]
        return [{"re": request["id"], "fine": True}] if "id" in request else []
    return answer


def played(play: Callable[[], Any]) -> None:
    """Run a test on a loop of its own."""
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await play()
    asyncio.run(bounded())


def test_what_a_boot_said_before_anybody_listened_is_told_once() -> None:
    async def play() -> None:
        heard: list[Any] = []
        kept = [{"line": "signin", "text": '{"event":"up"}', "n": 1}, {"event": "flag", "set": True, "n": 2}]
        port = GuestPort(Guest(boots({"now": "a"}, kept)), heard.append)
        await port.hello(limit_s=5)
        await port.hello(limit_s=5)
        await asyncio.sleep(0)
        lines: list[Any] = []
        await port.open_line("signin", "the sign-in helper", lines.append)
        assert lines == [{"event": "up"}]
        assert [one["event"] for one in heard] == ["flag"]
        await port.close()
    played(play)


def test_a_new_boot_is_waited_for_and_ends_the_lines_of_the_old_one() -> None:
    async def play() -> None:
        boot, kept = {"now": "a"}, [{"line": "signin", "text": '{"event":"up"}', "n": 1}]
        guest = Guest(boots(boot, kept))
        port = GuestPort(guest, lambda _: None)
        await port.hello(limit_s=5)
        old: list[Any] = []
        line = await port.open_line("signin", "the sign-in helper", old.append)
        waiting = asyncio.create_task(port.hello(not_boot="a", limit_s=10))
        await asyncio.sleep(0.4)
        assert not waiting.done(), "the old boot still answers"
        boot["now"] = "b"
        assert (await waiting)["boot_id"] == "b"
        assert old[-1] == {"event": "line lost"}
        with pytest.raises(LineLost):
            line.say("identity")
        new: list[Any] = []
        await asyncio.sleep(0)
        await port.open_line("signin", "the sign-in helper", new.append)
        assert new == [{"event": "up"}], "the new boot's numbers begin anew"
        await port.close()
    played(play)


def test_a_guest_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_port, "HELLO_EVERY_US", 10_000)

    async def play() -> None:
        port = GuestPort(Guest(lambda _: []), lambda _: None)
        with pytest.raises(PortLost, match="expected the guest to answer within"):
            await port.hello(limit_s=0.3)
        await port.close()
    played(play)


def test_the_end_of_the_stream_reaches_whoever_waits() -> None:
    async def play() -> None:
        guest = Guest(lambda _: [])
        port = GuestPort(guest, lambda _: None)
        asking = asyncio.create_task(port.ask("processes", limit_s=10))
        await asyncio.sleep(0)
        guest.out.put_nowait(b"END")
        with pytest.raises(PortLost, match="switched off"):
            await asking
        with pytest.raises(PortLost, match="switched off"):
            port.tell(do="ping")
        await port.close()
    played(play)


def test_an_error_of_the_daemon_is_an_error_here() -> None:
    async def play() -> None:
        port = GuestPort(Guest(lambda r: [{"re": r["id"], "error": "FileNotFoundError: no such file"}]), lambda _: None)
        with pytest.raises(GuestRefused, match="cannot 'read': FileNotFoundError"):
            await port.ask("read", path="C:\\x")
        await port.close()
    played(play)


def test_noise_and_torn_lines_are_survived() -> None:
    async def play() -> None:
        guest = Guest(boots({"now": "a"}, []))
        port = GuestPort(guest, lambda _: None)
        guest.out.put_nowait(b'{"re": 1, "boot_\x00\xff\n[1,2]\n"x"\n{"re": null}\n{"line": 7}\n\n')
        assert (await port.hello(limit_s=5))["boot_id"] == "a"
        await port.close()
    played(play)
