"""The Mac's program: it is never restarted, keeps nothing, shows what it would show, and ends with its input."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rrsim.agent import host, mac
from rrsim.agent.outside import HostError
from rrsim.protocol import messages as msg
from tests.server.live import rig

PATIENCE_S = 30.0


class Told:
    """What the program said."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: str, **fields: Any) -> None:
        self.events.append({"event": event, **fields})


def record() -> host.Saved:
    return host.Saved("s", "m", 1, "secret-ticket", "b", "normal", True, False, msg.AgentSettings())


@pytest.mark.parametrize("what", [
    host.RequestRestart(forced=False), host.RequestRestart(forced=True), host.ArmAutostart(), host.RegisterSafeBoot(),
    host.SetBootFlag(), host.Save(record()),
])  # fmt: skip
def test_nothing_that_a_restart_needs_is_done(what: host.HostRequest) -> None:
    told = Told()
    with pytest.raises(HostError, match="a Mac is never restarted"):
        mac.MacHands(told).carry_out(what)
    assert told.events == [{"event": "request", "what": type(what).__name__, "ok": False}]
    assert "secret-ticket" not in str(told.events)


@pytest.mark.parametrize(("what", "read"), [
    (host.Erase(), ""), (host.DisarmAutostart(), ""), (host.UnregisterSafeBoot(), ""), (host.ClearBootFlag(), ""),
    (host.AbortRestart(), ""), (host.ReadSafeBootKey(), "absent"), (host.ReadBootFlag(), "absent"),
])  # fmt: skip
def test_what_was_never_done_can_be_taken_back(what: host.HostRequest, read: str) -> None:
    assert mac.MacHands(Told()).carry_out(what) == read


def desk() -> tuple[mac.LineDesk, Told, list[Any]]:
    told = Told()
    one = mac.LineDesk(told)
    done: list[Any] = []
    one.put = done.append
    return one, told, done


def test_the_desk_answers_nothing_by_itself_and_a_press_once() -> None:
    one, told, done = desk()
    one.do(host.ShowPrompt(3, "sharing"))
    one.do(host.ShowPrompt(3, "sharing"))
    assert done == []
    one.person_does(mac.Press("sharing prompt", "yes"))
    one.person_does(mac.Press("sharing prompt", "yes"))
    assert done == [host.Answered(3, "yes")]
    assert [e["event"] for e in told.events] == ["window shown", "window gone", "not possible"]


def test_a_prompt_taken_away_is_gone_and_another_one_stays() -> None:
    one, told, _ = desk()
    one.do(host.ShowPrompt(3, "restart"))
    one.do(host.ShowPrompt(4, "leave"))
    one.do(host.HidePrompt(3))
    assert told.events[-1] == {"event": "window gone", "window": "restart prompt"}
    one.person_does(mac.Press("leave prompt", "no"))
    assert told.events[-1] == {"event": "window gone", "window": "leave prompt"}


def test_the_chat_keeps_each_line_once() -> None:
    one, told, done = desk()
    one.person_does(mac.Type("too early"))
    assert told.events[-1]["event"] == "not possible"
    one.do(host.OpenChat())
    one.person_does(mac.Type("hello"))
    one.do(host.ShowChat("customer", "hello"))  # the transcript again, after a loss of network
    one.do(host.ShowChat("rep-1", "good morning"))
    assert done == [host.ChatTyped("hello")]
    assert list(one.chat.lines) == [("customer", "hello"), ("rep-1", "good morning")]
    one.person_does(mac.Press("chat", "close"))
    assert done[-1] == host.CloseClicked()
    one.do(host.CloseChat())
    one.forget()
    assert list(one.chat.lines) == []


def test_other_windows_and_the_screen() -> None:
    one, told, done = desk()
    one.do(host.ShowCancel())
    one.person_does(mac.Press("cancel option", "cancel"))
    one.do(host.HideCancel())
    one.do(host.Tell("expired"))
    one.person_does(mac.Press("notice", "ok"))
    one.do(host.Capture(True))
    one.person_does(mac.Join("another"))
    one.person_does(mac.Press("notice", "maybe"))
    assert done == [host.CancelClicked(), host.CustomerStarts("another")]
    assert {"event": "window shown", "window": "notice", "text": "expired"} in told.events
    assert {"event": "screen capture", "on": True} in told.events


def lines_of(data: bytes) -> list[bytes]:
    """Return how the program splits its standard input."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        end.write(data)
    try:
        return list(mac.input_lines(reading))
    finally:
        os.close(reading)


def test_input_is_split_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_of(b"123\r\n\n{}\nlast") == [b"123", b"", b"{}", b"last"]
    monkeypatch.setattr(mac, "MAX_INPUT_BYTES", 10)
    assert lines_of(b"x" * 9000 + b"\nnext\n") == [b"", b"next"]


@pytest.mark.parametrize(("text", "says"), [
    ("", "expected"), ("[]", "expected"), ('{"server": "wss://a/agent"}', "machine"), ("x" * 70_000, "at most"),
])  # fmt: skip
def test_a_configuration_that_cannot_be_used(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mac.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(mac.ConfigError, match=says):
        mac.read_config(path)
    with pytest.raises(mac.ConfigError, match="No such file"):
        mac.read_config(tmp_path / "none.json")


def test_an_address_that_is_not_encrypted_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mac.json"
    path.write_text('{"server": "ws://localhost:1/agent", "machine": "mac-1"}', encoding="utf-8")
    assert mac.main(["--config", str(path)]) == 64
    assert "wss://" in capsys.readouterr().err


class Program:
    """The program as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.told: list[dict[str, Any]] = []

    async def until(self, event: str, **fields: Any) -> dict[str, Any]:
        """Read on until it says this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.process.stdout.readline():
                said = json.loads(line)
                self.told.append(said)
                if said["event"] == event and fields.items() <= said.items():
                    return dict(said)
        raise AssertionError(f"expected {event} {fields}, saw the end after {self.told}")

    async def says(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        await self.process.stdin.drain()


@asynccontextmanager
async def program(folder: Path, server: rig.Handle, **more: Any) -> AsyncIterator[Program]:
    config = {
        "server": f"wss://localhost:{server.endpoints.agent_port}/agent", "machine": "mac-1",
        "ca_file": server.endpoints.ca, **more,
    }
    path = folder / "mac.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rrsim.agent.mac", "--config", str(path), cwd=rig.ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Program(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()


async def _chat_and_no_restart(folder: Path, mode: str) -> None:
    async with rig.running(folder / "state") as server, program(folder, server, mode=mode) as one:
        code = await server.session()
        await one.says(code)
        await one.until("window shown", window="chat")
        await server.rep("session-1", msg.Take())
        await one.says('{"do": "type", "text": "hello from a Mac"}')
        await server.said("session-1", "hello from a Mac")
        await server.rep("session-1", msg.RepChat("hello"))
        await one.until("chat line", author="rep-1", text="hello")
        await server.rep("session-1", msg.AskRestart("chat window"))
        shown = await server.show()
        assert (shown["platform"], shown["mode"], shown["state"]) == ("mac", mode, "active")
        history = (await server.ask("GET", "/api/sessions/session-1/history"))["entries"]
        kinds = [entry["event"]["type"] for entry in history]
        assert "restart refused" in kinds
        assert "order given" not in kinds
        await one.says("no JSON")
        await one.until("not understood")
        await server.rep("session-1", msg.EndSession())
        await one.until("window shown", window="notice")
        if mode == "application":
            await one.until("ended")
            async with asyncio.timeout(PATIENCE_S):
                assert await one.process.wait() == 0
        else:
            code = await server.session("session-2")
            await one.says(json.dumps({"do": "join", "code": code}))
            await one.until("window shown", window="chat")
        assert not any(said.get("what") == "RequestRestart" for said in one.told)
        assert await server.transcript("session-1") == ["hello from a Mac", "hello"]


@pytest.mark.parametrize("mode", ["application", "service"])
def test_a_session_with_a_mac(tmp_path: Path, mode: str) -> None:
    asyncio.run(_chat_and_no_restart(tmp_path, mode))


def test_no_code_no_program(tmp_path: Path) -> None:
    async def without_a_code() -> None:
        async with rig.running(tmp_path / "state") as server, program(tmp_path, server) as one:
            await one.says("")
            async with asyncio.timeout(PATIENCE_S):
                assert await one.process.wait() == 1

    asyncio.run(without_a_code())


def test_it_ends_with_its_input(tmp_path: Path) -> None:
    async def left_alone() -> None:
        async with rig.running(tmp_path / "state") as server, program(tmp_path, server) as one:
            await one.says(await server.session())
            await one.until("window shown", window="chat")
            assert one.process.stdin is not None
            one.process.stdin.close()
            assert (await one.until("ended"))["reason"] == "standard input ended"

    asyncio.run(left_alone())
