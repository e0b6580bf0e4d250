"""Which shell is used, and what having a machine restart itself comes to: decided on shells that answer as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from rrsim.backends.live.shells.choose import (
    NoShell,
    RestartDeclined,
    first_to_answer,
    restart,
    windows_restart,
)
from rrsim.backends.live.shells.interface import (
    OPEN_LIMIT_S,
    Boot,
    Command,
    DeadlineMissed,
    NotYet,
    OldBoot,
    Result,
    Shell,
    ShellLost,
    ShellRefused,
    System,
)
from rrsim.backends.live.timers import pause
from tests.backends.live.shells.stories import Watch, tell

Answer = Result | Exception


class ToldShell:
    """Stands in for a shell; it answers what it is told."""

    def __init__(self, name: str = "told", *, system: System = "windows", boot: Boot | None = None) -> None:
        self.name = name
        self.system: System = system
        self.boot = boot or Boot()
        self.opening: Callable[[], Exception | None] = lambda: None
        self.opens_after_us = 0
        self.answers: list[Answer] = []
        """Of the next commands; when there are none left, a command's last word is echoed."""
        self.ran: list[Command] = []
        self.open_now = False
        self.closed = False

    async def open(self, *, limit_s: float = OPEN_LIMIT_S) -> None:
        await pause(self.opens_after_us)
        error = self.opening()
        if error is not None:
            raise error
        self.open_now = True

    async def run(self, command: Command, *, limit_s: float) -> Result:
        self.boot.require(self.name)
        self.ran.append(command)
        answer = self.answers.pop(0) if self.answers else Result(0, f"{command[-1]}\n", "")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def put(self, local: Path, remote: str, *, limit_s: float) -> None:
        raise AssertionError

    async def get(self, remote: str, *, limit_bytes: int, limit_s: float) -> bytes:
        raise AssertionError

    async def start_detached(self, command: Command, *, limit_s: float = OPEN_LIMIT_S) -> int:
        raise AssertionError

    async def close(self) -> None:
        self.open_now, self.closed = False, True


def choose(ways: dict[str, Callable[[], Shell]], limit_s: float = 2) -> Shell:
    return tell(first_to_answer(ways, limit_s=limit_s))


def failing(error: Exception) -> tuple[Callable[[], Shell], list[ToldShell]]:
    """A way that always fails so, and all the shells it made."""
    made: list[ToldShell] = []

    def make() -> Shell:
        shell = ToldShell()
        shell.opening = lambda: error
        made.append(shell)
        return shell

    return make, made


def test_the_first_that_answers_is_taken_and_the_others_are_closed() -> None:
    quick, slow = ToldShell("quick"), ToldShell("slow")
    quick.opens_after_us, slow.opens_after_us = 20_000, 5_000_000
    never, made = failing(NotYet("nothing there"))
    watch = Watch()
    assert choose({"slow": lambda: slow, "never": never, "quick": lambda: quick}) is quick
    assert watch.s < 1
    assert quick.open_now
    assert slow.closed
    assert made
    assert all(shell.closed for shell in made)


def test_of_those_that_answer_together_the_one_named_first_is_taken() -> None:
    one, two = ToldShell("one"), ToldShell("two")
    assert choose({"one": lambda: one, "two": lambda: two}) is one
    assert (one.open_now, two.closed) == (True, True)


def test_an_open_port_is_no_answer_a_command_has_to_come_through() -> None:
    tries: list[ToldShell] = []

    def make() -> Shell:
        shell = ToldShell()
        if len(tries) < 2:
            shell.answers = [Result(0, "another connection's\n", "")]
        tries.append(shell)
        return shell

    assert choose({"winrm": make}) is tries[2]
    assert [shell.closed for shell in tries] == [True, True, False]


def test_each_try_is_a_new_connection_and_what_each_said_last_is_told() -> None:
    never, made = failing(NotYet("port closed"))
    refused, once = failing(ShellRefused("wrong password"))
    with pytest.raises(NoShell) as none:
        choose({"ssh": never, "winrm": refused}, limit_s=0.5)
    assert none.value.said == {"ssh": "port closed", "winrm": "wrong password"}
    assert "waited 0.5 s" in str(none.value)
    assert "ssh: port closed; winrm: wrong password" in str(none.value)
    assert 2 <= len(made) <= 4, "tries come at growing distances"
    assert len(once) == 1, "declined credentials are not offered again"


def test_it_gives_up_at_once_when_all_decline() -> None:
    refused, _ = failing(ShellRefused("wrong password"))
    watch = Watch()
    with pytest.raises(NoShell):
        choose({"winrm": refused}, limit_s=8)
    assert watch.s < 1


def test_a_boot_that_ends_meanwhile_ends_the_search() -> None:
    boot = Boot()
    boot.end("reset")

    def make() -> Shell:
        shell = ToldShell(boot=boot)
        shell.opening = lambda: OldBoot("reset")
        return shell

    with pytest.raises(OldBoot):
        choose({"ssh": make})


def test_a_cancelled_search_leaves_nothing_open() -> None:
    slow = ToldShell()
    slow.opens_after_us = 5_000_000

    async def story() -> None:
        search = asyncio.ensure_future(first_to_answer({"slow": lambda: slow}, limit_s=8))
        await pause(20_000)
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search

    tell(story())
    assert slow.closed


# --- restarts -------------------------------------------------------------------------------------------------------


def asked(*answers: Answer, system: System = "windows", take_over: bool = True) -> tuple[str, ToldShell]:
    shell = ToldShell(system=system)
    shell.answers = list(answers)
    outcome = tell(restart(shell, windows_restart(force=True), limit_s=5, take_over=take_over))
    return outcome.how, shell


@pytest.mark.parametrize(("answer", "how"), [
    (Result(0, "", ""), "accepted"),
    (ShellLost("connection reset", sent=True), "connection lost"),
    (DeadlineMissed("no answer"), "no answer"),
    (Result(1115, "", "A system shutdown is in progress.(1115)"), "already going down"),
    (Result(1, "", "A system shutdown is in progress.(1115)"), "already going down"),
    (Result(1717, "", ""), "already going down"),
])
def test_what_came_of_a_restart_is_named_and_the_boot_is_over_for_all(answer: Answer, how: str) -> None:
    outcome, shell = asked(answer)
    assert outcome == how
    with pytest.raises(OldBoot, match="a restart was asked for"):
        tell(shell.run(["echo", "no"], limit_s=1))


def test_a_command_that_was_never_sent_restarts_nothing() -> None:
    shell = ToldShell()
    shell.answers = [ShellLost("refused", sent=False)]
    with pytest.raises(ShellLost):
        tell(restart(shell, windows_restart(force=True), limit_s=5))
    shell.boot.require("told")  # goes on


def test_somebody_elses_scheduled_shutdown_is_taken_over() -> None:
    scheduled = Result(1190, "", "A system shutdown has already been scheduled.(1190)")
    how, shell = asked(scheduled, Result(0, "", ""), Result(0, "", ""))
    assert how == "accepted"
    assert shell.ran == [windows_restart(force=True), ["shutdown.exe", "/a"], windows_restart(force=True)]
    with pytest.raises(RestartDeclined, match="1190"):
        asked(scheduled, Result(0, "", ""), scheduled)
    with pytest.raises(RestartDeclined, match="1190"):
        asked(scheduled, take_over=False)


@pytest.mark.parametrize(("answer", "system"), [
    (Result(5, "", "Access is denied.(5)"), "windows"), (Result(1115, "", ""), "linux"), (Result(1, "", ""), "linux"),
])
def test_a_no_is_a_no_and_the_boot_goes_on(answer: Result, system: System) -> None:
    shell = ToldShell(system=system)
    shell.answers = [answer]
    with pytest.raises(RestartDeclined, match=f"exit code {answer.code}"):
        tell(restart(shell, ["reboot"], limit_s=5))
    shell.boot.require("told")


def test_only_a_forced_restart_has_a_time_because_a_time_forces() -> None:
    assert windows_restart(force=True)[1:5] == ["/r", "/f", "/t", "2"]
    unforced = windows_restart(force=False, comment="session 7")
    assert unforced == ["shutdown.exe", "/r", "/t", "0", "/d", "p:4:1", "/c", "session 7"]
