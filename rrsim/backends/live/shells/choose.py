"""Which shell to use: the one that answers first. And how to have a machine restart itself through a shell."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from rrsim.backends.live.shells.base import Deadline
from rrsim.backends.live.shells.boot_mark import prove
from rrsim.backends.live.shells.interface import (
    OPEN_LIMIT_S,
    Command,
    DeadlineMissed,
    OldBoot,
    Result,
    Shell,
    ShellError,
    ShellLost,
    ShellRefused,
)
from rrsim.backends.live.timers import pause

FIRST_PAUSE_US: Final = 100_000
LONGEST_PAUSE_US: Final = 2_000_000

IN_PROGRESS: Final = 1115
"""``ERROR_SHUTDOWN_IN_PROGRESS``: Windows is going down already."""
SCHEDULED: Final = 1190
"""``ERROR_SHUTDOWN_IS_SCHEDULED``: somebody has ordered a shutdown for later."""
UNKNOWN_INTERFACE: Final = 1717
"""``RPC_S_UNKNOWN_IF``: what takes the order is gone, as happens while Windows goes down."""
_CODE_IN_TEXT: Final = re.compile(r"\((1115|1190|1717)\)")


class NoShell(ShellError):
    """No way into the machine answered in time; the text lists what each said last."""

    def __init__(self, said: Mapping[str, str], waited_s: float) -> None:
        """Keep what each way, by name, said last."""
        self.said = dict(said)
        each = "; ".join(f"{name}: {text}" for name, text in said.items()) or "there is none to try"
        super().__init__(
            f"waited {waited_s:.1f} s for a remote shell that answers, and none did; last seen: {each}; look at the "
            "machine's console, its network, and at services that start late or not in safe mode"
        )


class RestartDeclined(ShellError):
    """The machine answered that it will not restart."""


class RestartAsked(msgspec.Struct, frozen=True):
    """What came of asking a machine to restart. A new boot is proved by its identity only, never by this."""

    how: Literal["accepted", "connection lost", "already going down", "no answer"]
    detail: str = ""


async def first_to_answer(ways: Mapping[str, Callable[[], Shell]], *, limit_s: float) -> Shell:
    """Try all ways side by side, each again and again with a new shell; return the first that carries out a command.

    A way whose credentials are declined is not tried again. Of ways that answer together the one named first wins; all
    others are closed.

    Raises:
        NoShell: none answered within ``limit_s`` seconds, or all declined.
        OldBoot: the boot that they belong to ended meanwhile.
    """
    deadline = Deadline(limit_s)
    said = dict.fromkeys(ways, "nothing")
    tasks = {name: asyncio.ensure_future(_try(name, make, deadline, said)) for name, make in ways.items()}
    won: Shell | None = None
    try:
        open_ones = set(tasks.values())
        while open_ones and not deadline.passed and won is None:
            _, open_ones = await asyncio.wait(open_ones, timeout=deadline.left_s, return_when="FIRST_COMPLETED")
            won = next((shell for task in tasks.values() if (shell := _outcome(task)) is not None), None)
    finally:
        await _let_go(list(tasks.values()), won)
    if won is None:
        raise NoShell(said, max(0.0, limit_s - deadline.left_s))
    return won


def _outcome(task: asyncio.Future[Shell | None]) -> Shell | None:
    return task.result() if task.done() else None


async def _let_go(tasks: list[asyncio.Future[Shell | None]], won: Shell | None) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if outcome is not None and not isinstance(outcome, BaseException) and outcome is not won:
            await outcome.close()


async def _try(name: str, make: Callable[[], Shell], deadline: Deadline, said: dict[str, str]) -> Shell | None:
    """Try one way until it answers, declines, or is cancelled."""
    wait_us = FIRST_PAUSE_US
    while True:
        shell = make()
        try:
            await shell.open(limit_s=deadline.at_most_s(OPEN_LIMIT_S))
            await prove(shell, limit_s=deadline.at_most_s(OPEN_LIMIT_S))
            return shell
        except OldBoot:
            await shell.close()
            raise
        except ShellRefused as error:
            said[name] = str(error)
            await shell.close()
            return None
        except ShellError as error:
            said[name] = str(error)
            await shell.close()
        except BaseException:
            await shell.close()
            raise
        await pause(wait_us)
        wait_us = min(wait_us * 2, LONGEST_PAUSE_US)


def windows_restart(*, force: bool, comment: str = "") -> Command:
    """Return the command for a restart of Windows.

    A time above zero would force, whether asked to or not. A forced restart leaves two seconds for the answer to get
    out; an unforced one begins at once.
    """
    when = ["/f", "/t", "2"] if force else ["/t", "0"]
    return ["shutdown.exe", "/r", *when, "/d", "p:4:1", *(["/c", comment[:512]] if comment else [])]


async def restart(shell: Shell, command: Command, *, limit_s: float, take_over: bool = True) -> RestartAsked:
    """Have the machine restart itself, and end the shell's boot for everybody who shares it.

    A connection that is lost after the command was sent counts as a restart that began. ``take_over``: a shutdown that
    was scheduled before is aborted, and the command is given once more.

    Raises:
        RestartDeclined: the machine answered that it will not.
        ShellLost: the connection was lost before the command was sent.
    """
    asked = await _ask(shell, command, limit_s, take_over=take_over)
    shell.boot.end(f"a restart was asked for: {asked.how}")
    return asked


async def _ask(shell: Shell, command: Command, limit_s: float, *, take_over: bool) -> RestartAsked:
    try:
        result = await shell.run(command, limit_s=limit_s)
    except ShellLost as error:
        if not error.sent:
            raise
        return RestartAsked("connection lost", str(error))
    except DeadlineMissed as error:
        return RestartAsked("no answer", str(error))
    code = _restart_code(result) if shell.system == "windows" else result.code
    if code == 0:
        return RestartAsked("accepted")
    said = " ".join((result.err or result.out).split())[:300]
    if code == SCHEDULED and take_over and shell.system == "windows":
        await shell.run(["shutdown.exe", "/a"], limit_s=limit_s)
        return await _ask(shell, command, limit_s, take_over=False)
    if code in {IN_PROGRESS, UNKNOWN_INTERFACE} and shell.system == "windows":
        return RestartAsked("already going down", said)
    raise RestartDeclined(f"the machine does not restart: {said or 'no reason given'} (exit code {result.code}); "
                          "look at the rights of the account, and for a shutdown that somebody else ordered")


def _restart_code(result: Result) -> int:
    """Return the code; programs that wrap the call exit with 1 and name it in their text."""
    if result.code in {0, IN_PROGRESS, SCHEDULED, UNKNOWN_INTERFACE}:
        return result.code
    found = _CODE_IN_TEXT.search(result.out + result.err)
    return int(found[1]) if found else result.code
