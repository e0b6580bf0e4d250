"""What holds for every shell: threads that nobody waits for hold nothing up, and a goodbye is bounded."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from rrsim.backends.live.shells import base
from rrsim.backends.live.shells.base import BaseShell, Deadline, in_thread
from rrsim.backends.live.shells.interface import Boot, NotOpen, NotYet, ShellFault, ShellLost
from tests.backends.live.shells.stories import Watch, tell

ABANDONED = """
import asyncio, threading
from rrsim.backends.live.shells.base import in_thread

async def main():
    await asyncio.wait({in_thread("test", threading.Event().wait)}, timeout=0.05)

asyncio.run(main())
print("over")
"""


def test_a_thread_that_never_ends_does_not_keep_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", ABANDONED], capture_output=True, text=True, timeout=20, check=True)
    assert (done.stdout, done.stderr) == ("over\n", "")


def test_what_a_thread_raises_is_raised_where_it_is_awaited_and_a_late_outcome_is_dropped() -> None:
    def fail() -> None:
        raise ShellFault("no")

    async def story() -> None:
        with pytest.raises(ShellFault):
            await in_thread("test", fail)
        go, went = threading.Event(), threading.Event()

        def late() -> None:
            go.wait(5)
            went.set()

        future = in_thread("test", late)
        future.cancel()
        go.set()
        await in_thread("test", lambda: went.wait(5))
        await asyncio.sleep(0.02)  # the loop would complain of a future that is settled twice

    tell(story())


def test_a_thread_may_outlive_its_loop() -> None:
    go, went = threading.Event(), threading.Event()

    def late() -> None:
        go.wait(5)
        went.set()

    async def story() -> None:
        in_thread("outlives", late).cancel()

    tell(story())
    go.set()
    assert went.wait(5)
    for thread in threading.enumerate():
        if thread.name == "rrsim outlives":
            thread.join(5)


class Stubborn(BaseShell):
    """Takes for ever to say goodbye; counts how often its connection was ended."""

    name = "stubborn"

    def __init__(self) -> None:
        super().__init__("linux", Boot())
        self.aborted = 0
        self.opening: list[Exception] = []

    def _abort(self) -> None:
        self.aborted += 1

    async def _connect(self, deadline: Deadline) -> None:
        if self.opening:
            raise self.opening.pop(0)

    async def _say_goodbye(self, deadline: Deadline) -> None:
        await asyncio.Event().wait()


def test_a_goodbye_that_is_not_answered_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "CLOSE_LIMIT_S", 0.1)

    async def story() -> Stubborn:
        shell = Stubborn()
        await shell.open()
        await shell.close()
        with pytest.raises(NotOpen):
            await shell.open()
        return shell

    watch = Watch()
    assert tell(story()).aborted > 0
    assert watch.s < 2


@pytest.mark.parametrize("error", [NotYet("later"), ShellFault("odd")])
def test_an_open_that_failed_leaves_no_connection_and_may_be_tried_again(error: Exception) -> None:
    async def story() -> None:
        shell = Stubborn()
        shell.opening = [error]
        with pytest.raises(type(error)):
            await shell.open()
        assert shell.aborted == 1
        await shell.open()
        with pytest.raises(NotOpen, match="opened before"):
            await shell.open()

    tell(story())


def test_another_thread_may_say_that_the_boot_is_over_and_what_the_call_says_then_does_not_matter() -> None:
    class Grumbling(Stubborn):
        async def _connect(self, deadline: Deadline) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ShellFault("a late complaint")

    async def opened(boot_ends: Callable[[Boot], None]) -> None:
        shell = Grumbling()
        opening = asyncio.ensure_future(shell.open(limit_s=5))
        await asyncio.sleep(0)
        boot_ends(shell.boot)
        with pytest.raises(ShellLost, match="the hypervisor saw a reset"):
            await opening

    async def story() -> None:
        why = "the hypervisor saw a reset"
        await opened(lambda boot: threading.Timer(0.05, lambda: boot.end(why)).start())
        await opened(lambda boot: boot.end(why))
        await asyncio.sleep(0.02)
        gc.collect()  # a complaint that nobody heard would be heard of now

    watch = Watch()
    tell(story())
    assert watch.s < 2


def test_a_deadline_is_one_instant_for_all_that_a_call_does() -> None:
    deadline = Deadline(60)
    assert 59 < deadline.left_s <= 60
    assert deadline.at_most_s(5) == 5
    assert not deadline.passed
    over = Deadline(0)
    assert over.passed
    assert over.left_s == 0.001, "zero would mean without limit to some libraries"
