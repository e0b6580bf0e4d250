"""The guest agent as a shell, against a stub over a socket pair that really runs programs, and behind a function."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.shells.agent_line import CallLine
from rrsim.backends.live.shells.boot_mark import prove, read_identity
from rrsim.backends.live.shells.guest_agent import GuestAgentShell
from rrsim.backends.live.shells.interface import (
    Boot,
    DeadlineMissed,
    NotOpen,
    NotYet,
    OldBoot,
    Result,
    ShellFault,
    ShellLost,
    TooMuch,
)
from tests.backends.live.shells.agent_rig import StubAgent, connected
from tests.backends.live.shells.stories import Watch, tell, threads_end


@pytest.fixture
def agent() -> Iterator[StubAgent]:
    agent = StubAgent()
    yield agent
    agent.close()


def with_shell(agent: StubAgent, story: Any, *, opened: bool = True, left_over: bytes = b"", **options: Any) -> Any:
    """Tell a story of a shell over a stream."""

    async def told() -> Any:
        line, serving = await connected(agent, left_over=left_over)
        shell = GuestAgentShell(line, boot=Boot(), system="linux", **options)
        try:
            if opened:
                await shell.open(limit_s=5)
            return await story(shell)
        finally:
            await shell.close()
            await serving

    return tell(told())


def test_commands_return_their_code_and_both_outputs(agent: StubAgent) -> None:
    async def story(shell: GuestAgentShell) -> None:
        assert await shell.run("echo out; echo err >&2; exit 7", limit_s=5) == Result(7, "out\n", "err\n")
        assert (await shell.run(["printf", "%s|", "a b", "$HOME", "ü"], limit_s=5)).out == "a b|$HOME|ü|"
        await shell.ping()
        await prove(shell)
        assert shell.version == "7.2.0"

    with_shell(agent, story)


def test_a_program_that_is_not_there_is_a_fault_of_the_request(agent: StubAgent) -> None:
    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(ShellFault, match=r"says no to guest-exec: .*No such file"):
            await shell.run(["/missing"], limit_s=5)
        await prove(shell)

    with_shell(agent, story)


def test_what_an_earlier_user_left_unread_is_thrown_away(agent: StubAgent) -> None:
    left_over = b'{"return": {}}\n\xff{"return": 12345}\n\xffno JSON\n{"return": {"pid'

    async def story(shell: GuestAgentShell) -> None:
        assert (await shell.run(["echo", "fresh"], limit_s=5)).out == "fresh\n"

    with_shell(agent, story, left_over=left_over)


def test_an_agent_that_is_not_there_costs_its_time_only(agent: StubAgent) -> None:
    agent.silent = {"guest-sync-delimited"}
    watch = Watch()

    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(DeadlineMissed, match="to be opened"):
            await shell.open(limit_s=0.3)

    with_shell(agent, story, opened=False)
    assert watch.s < 2


def test_a_port_that_closes_at_once_is_not_yet(agent: StubAgent) -> None:
    agent.cut_at = "guest-sync-delimited"

    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(NotYet, match="nobody answers there"):
            await shell.open(limit_s=5)

    with_shell(agent, story, opened=False)


def test_an_agent_that_may_not_run_programs_is_named_at_once(agent: StubAgent) -> None:
    agent.disabled = {"guest-exec", "guest-file-open"}

    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(ShellFault, match=r"7\.2\.0 may not do guest-exec, guest-file-open; allow them"):
            await shell.open(limit_s=5)

    with_shell(agent, story, opened=False)


def test_a_command_that_does_not_end_costs_its_time_and_is_asked_for_ever_more_rarely(agent: StubAgent) -> None:
    watch = Watch()

    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(DeadlineMissed, match=r"had 0\.5 s running a command"):
            await shell.run(["sleep", "30"], limit_s=0.5)
        with pytest.raises(NotOpen):
            await shell.run(["echo", "no"], limit_s=5)

    with_shell(agent, story)
    assert watch.s < 2
    assert 4 <= agent.seen.count("guest-exec-status") <= 9


@pytest.mark.parametrize("at", ["guest-exec", "guest-exec-status"])
def test_a_port_that_closes_in_mid_command_leaves_the_outcome_unknown(agent: StubAgent, at: str) -> None:
    agent.cut_at = at

    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(ShellLost) as lost:
            await shell.run(["echo", "perhaps"], limit_s=5)
        assert lost.value.sent

    with_shell(agent, story)


def test_an_agent_that_forgot_the_command_was_restarted_and_the_outcome_is_unknown(agent: StubAgent) -> None:
    agent.forgets = True

    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(ShellLost, match="forgot a command"):
            await shell.run(["echo", "perhaps"], limit_s=5)

    with_shell(agent, story)


def test_a_command_ended_by_a_signal_has_no_code_and_is_not_taken_for_done(agent: StubAgent) -> None:
    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(ShellLost, match="signal or exception 9"):
            await shell.run("kill -9 $$", limit_s=5)

    with_shell(agent, story)


@pytest.mark.parametrize("cut_by", ["agent", "us"])
def test_output_that_was_cut_is_never_taken_for_all_of_it(agent: StubAgent, cut_by: str) -> None:
    if cut_by == "agent":
        agent.status = lambda status: {**status, "out-truncated": True}

    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(TooMuch):
            await shell.run(["echo", "too long"], limit_s=5)

    with_shell(agent, story, most_output_bytes=100 if cut_by == "agent" else 5)


def test_files_arrive_whole_and_come_back_even_in_small_pieces(agent: StubAgent, tmp_path: Path) -> None:
    agent.writes_at_most = 50_000
    data = os.urandom(300_000)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)

    async def story(shell: GuestAgentShell) -> None:
        await shell.put(source, str(target), limit_s=5)
        assert target.read_bytes() == data
        assert await shell.get(str(target), limit_bytes=300_000, limit_s=5) == data
        with pytest.raises(TooMuch, match="more than the 299999 bytes"):
            await shell.get(str(target), limit_bytes=299_999, limit_s=5)
        with pytest.raises(ShellFault, match="No such file"):
            await shell.get(str(tmp_path / "missing"), limit_bytes=10, limit_s=5)
        agent.writes_at_most = 0
        with pytest.raises(ShellFault, match="wrote 0 of 300000 bytes"):
            await shell.put(source, str(target), limit_s=5)
        assert target.read_bytes() == data, "a copy that failed may not touch what was there"

    with_shell(agent, story)
    assert agent.open_files == 0


def test_the_boot_is_read_through_it_and_its_end_ends_a_running_command(agent: StubAgent) -> None:
    async def story(shell: GuestAgentShell) -> None:
        identity = await read_identity(shell)
        assert identity.mark == shell.boot.mark
        running = asyncio.ensure_future(shell.run(["sleep", "30"], limit_s=20))
        await asyncio.sleep(0.1)
        shell.boot.end("the host saw a reset")
        with pytest.raises(ShellLost, match="the host saw a reset") as lost:
            await running
        assert lost.value.sent
        with pytest.raises(OldBoot):
            await shell.ping()

    with_shell(agent, story)


# --- behind a function, as libvirt offers it -----------------------------------------------------------------------


class NoDomain(Exception):
    """What the function raises, as libvirtError would be."""


def through(call: Any, story: Any) -> Any:
    async def told() -> Any:
        shell = GuestAgentShell(CallLine(call, (NoDomain,)), boot=Boot(), system="linux")
        await shell.open(limit_s=5)
        try:
            return await story(shell)
        finally:
            await shell.close()

    return tell(told())


def test_it_works_through_a_function(agent: StubAgent) -> None:
    limits: list[int] = []

    def call(command: str, limit_s: int) -> str:
        limits.append(limit_s)
        return agent.reply(command.encode()).decode()

    async def story(shell: GuestAgentShell) -> None:
        assert (await shell.run(["echo", "through"], limit_s=3)).out == "through\n"

    through(call, story)
    assert agent.seen[:2] == ["guest-ping", "guest-info"]
    assert set(limits) <= {1, 2, 3, 4, 5}


def test_what_the_function_raises_is_not_yet_or_a_loss(agent: StubAgent) -> None:
    gone = False

    def call(command: str, limit_s: int) -> str:
        if gone:
            raise NoDomain("guest agent is not responding")
        return agent.reply(command.encode()).decode()

    async def story(shell: GuestAgentShell) -> None:
        nonlocal gone
        gone = True
        with pytest.raises(ShellLost, match="not responding"):
            await shell.run(["echo", "no"], limit_s=3)

    through(call, story)
    with pytest.raises(NotYet, match="does not answer"):
        through(call, story)


def test_a_function_that_does_not_return_holds_nobody_up(agent: StubAgent) -> None:
    let_go = threading.Event()

    def call(command: str, limit_s: int) -> str:
        if "guest-exec" in command:
            let_go.wait(20)
            raise NoDomain("too late")
        return agent.reply(command.encode()).decode()

    async def story(shell: GuestAgentShell) -> None:
        with pytest.raises(DeadlineMissed):
            await shell.run(["echo", "late"], limit_s=0.3)

    watch = Watch()
    try:
        through(call, story)
    finally:
        let_go.set()
    assert watch.s < 2
    assert threads_end("rrsim guest agent")


def test_an_answer_that_is_no_json_is_a_fault() -> None:
    with pytest.raises(ShellFault, match="something else than JSON"):
        through(lambda command, limit_s: "not JSON", None)
