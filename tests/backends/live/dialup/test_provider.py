"""The real slirp: it starts, speaks PPP, and is gone with the call, whatever becomes of us."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.dialup import ppp
from rrsim.backends.live.dialup.provider import INSTALL, PROGRAM, ProviderFailed, Slirp
from rrsim.backends.live.timers import pause
from tests.backends.live.dialup.peer import Peer
from tests.backends.live.link_rig import descriptors

needs_slirp = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"needs {PROGRAM}: {INSTALL}")
LIMIT_S = 20.0


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


def is_there(pid: int, *, zombies: bool = True) -> bool:
    """Whether a process is there; one that ended and that nobody waited for counts, if ``zombies`` do."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return zombies or status.rsplit(")", 1)[1].split()[0] != "Z"


@needs_slirp
def test_it_negotiates_and_is_gone_with_the_call() -> None:
    async def story() -> None:
        before = descriptors()
        call = await Slirp().open()
        peer = Peer(call.stream)
        peer.send(ppp.LCP, ppp.packet(ppp.REQUEST, 1))
        assert 5 in dict(ppp.options(await peer.hears(ppp.LCP, ppp.REQUEST)))  # its magic number: it is alive
        assert f"process {call.pid}) runs" in call.about
        await call.close()
        await call.close()
        assert not is_there(call.pid)
        assert await call.stream.read(10) == b""
        call.stream.write(b"after the end")
        await call.stream.drain()
        assert descriptors() <= before + 1  # asyncio may keep its child watcher

    run(story)


@needs_slirp
def test_many_calls_leave_nothing_open() -> None:
    async def story() -> None:
        before = descriptors()
        calls = [await Slirp().open() for _ in range(4)]
        for call in calls:
            await call.close()
            assert not is_there(call.pid)
        assert descriptors() <= before + 1

    run(story)


@needs_slirp
def test_the_end_of_ppp_is_the_end_of_the_call() -> None:
    async def story() -> None:
        call = await Slirp().open()
        peer = Peer(call.stream)
        peer.send(ppp.LCP, ppp.packet(ppp.REQUEST, 1))
        await peer.hears(ppp.LCP, ppp.ACK)
        peer.send(ppp.LCP, ppp.packet(ppp.TERMINATE, 2))
        await peer.hears(ppp.LCP, ppp.TERMINATE_ACK)
        async with asyncio.timeout(LIMIT_S):
            while await call.stream.read(1_000):
                pass
        await call.close()

    run(story)


@needs_slirp
def test_a_process_that_does_not_listen_is_killed() -> None:
    async def story() -> None:
        call = await Slirp().open()
        os.kill(call.pid, signal.SIGSTOP)
        await call.close()
        assert not is_there(call.pid)

    run(story)


@needs_slirp
def test_a_process_that_ends_with_its_terminal_keeps_its_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends in the moment in which it is asked to: who signals it must not take the status from who waits for it."""
    def takes_the_status(*_: object) -> None:
        pytest.fail("Popen's own send_signal asks for the exit status")

    monkeypatch.setattr(subprocess.Popen, "send_signal", takes_the_status)

    async def story() -> None:
        for stopped in (False, True):
            call = await Slirp().open()
            if stopped:
                os.kill(call.pid, signal.SIGSTOP)
            await call.close()
            assert not is_there(call.pid)

    run(story)


@needs_slirp
def test_it_goes_if_we_are_killed() -> None:
    program = (
        "import asyncio\n"
        "from rrsim.backends.live.dialup.provider import Slirp\n"
        "async def main():\n"
        "    call = await Slirp().open()\n"
        "    print(call.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_there(pid)
        process.kill()
        process.wait()
    # Nobody of ours waits for it any more: whoever inherits orphans does, so that a zombie counts as gone here.
    async def story() -> None:
        async with asyncio.timeout(LIMIT_S):
            while is_there(pid, zombies=False):
                await pause(20_000)

    run(story)


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(ProviderFailed, match="saw none on the path; install it with: sudo apt-get install -y slirp"):
        Slirp("no-such-slirp").check()

    async def story() -> None:
        with pytest.raises(ProviderFailed, match="no-such-slirp"):
            await Slirp("no-such-slirp").open()

    run(story)


def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    broken = tmp_path / "slirp"
    broken.write_bytes(b"\x7fELF but not really")
    broken.chmod(0o755)

    async def story() -> None:
        before = descriptors()
        for _ in range(4):
            with pytest.raises(ProviderFailed, match="to start, saw"):
                await Slirp(str(broken)).open()
        assert descriptors() <= before + 1

    run(story)


@needs_slirp
def test_much_that_nobody_reads_is_held_within_bounds() -> None:
    async def story() -> None:
        call = await Slirp().open()
        os.kill(call.pid, signal.SIGSTOP)
        call.stream.write(b"x" * 200_000)
        waits = asyncio.ensure_future(call.stream.drain())
        await asyncio.sleep(0)
        assert not waits.done()
        os.kill(call.pid, signal.SIGCONT)
        await asyncio.wait_for(waits, LIMIT_S)
        await call.close()

    run(story)
