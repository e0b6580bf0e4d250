"""The SSH shell against this computer's real sshd: what it can do when nothing goes wrong, and when a peer dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.shells import ssh_client
from rrsim.backends.live.shells.boot_mark import prove, read_identity
from rrsim.backends.live.shells.host_keys import KnownKey, PinOnFirstUse
from rrsim.backends.live.shells.interface import (
    Boot,
    DeadlineMissed,
    NotOpen,
    OldBoot,
    Result,
    ShellFault,
    ShellLost,
    ShellRefused,
    TooMuch,
    WrongMachine,
)
from rrsim.backends.live.shells.login import Login
from rrsim.backends.live.shells.ssh import SshShell
from tests.backends.live.shells.ssh_rig import RealSshd, make_key, real_sshd
from tests.backends.live.shells.stories import Watch, tell, threads_end, until


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSshd]:
    with real_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def make_shell(sshd: RealSshd, **options: Any) -> SshShell:
    options = {"login": sshd.login, "host_keys": sshd.host_keys, "boot": Boot(), **options}
    return SshShell(sshd.where, **options)


def with_shell(sshd: RealSshd, story: Any, **options: Any) -> Any:
    """Tell a story of an open shell."""

    async def told() -> Any:
        shell = make_shell(sshd, **options)
        await shell.open(limit_s=10)
        try:
            return await story(shell)
        finally:
            await shell.close()

    return tell(told())


def test_commands_return_their_code_and_both_outputs(sshd: RealSshd) -> None:
    async def story(shell: SshShell) -> None:
        assert await shell.run("echo out; echo err >&2; exit 7", limit_s=5) == Result(7, "out\n", "err\n")
        assert await shell.run(["printf", "%s|", "a b", "$HOME", "it's", '"', "*", "ü"], limit_s=5) == Result(
            0, "a b|$HOME|it's|\"|*|ü|", ""
        )

    with_shell(sshd, story)


def test_both_outputs_are_drained_at_once_so_that_neither_blocks_the_other(sshd: RealSshd) -> None:
    size = 4_000_000

    async def story(shell: SshShell) -> Result:
        return await shell.run(f"head -c {size} /dev/zero >&2; head -c {size} /dev/zero; echo end", limit_s=8)

    result: Result = with_shell(sshd, story)
    assert (len(result.out), len(result.err)) == (size + 4, size)


def test_too_much_output_is_an_error_and_the_shell_goes_on(sshd: RealSshd) -> None:
    async def story(shell: SshShell) -> None:
        with pytest.raises(TooMuch, match="more than 1000 bytes"):
            await shell.run("yes", limit_s=5)
        assert (await shell.run("echo still here", limit_s=5)).out == "still here\n"

    with_shell(sshd, story, most_output_bytes=1000)


def test_files_arrive_whole_with_their_permissions_and_come_back(sshd: RealSshd, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    source, target = tmp_path / "source", tmp_path / "far" / "target"
    target.parent.mkdir()
    source.write_bytes(data)
    source.chmod(0o751)

    async def story(shell: SshShell) -> None:
        await shell.put(source, str(target), limit_s=5)
        assert target.read_bytes() == data
        assert target.stat().st_mode & 0o777 == 0o751
        source.write_bytes(b"")  # an existing file is replaced, and an empty one is a file
        await shell.put(source, str(target), limit_s=5)
        assert target.read_bytes() == b""
        assert sorted(path.name for path in target.parent.iterdir()) == ["target"]
        target.write_bytes(data)
        assert await shell.get(str(target), limit_bytes=300_000, limit_s=5) == data
        with pytest.raises(TooMuch, match="300000 bytes, and 299999 are allowed"):
            await shell.get(str(target), limit_bytes=299_999, limit_s=5)

    with_shell(sshd, story)


def test_a_file_appears_under_its_name_only_when_it_is_complete(sshd: RealSshd, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    os.mkfifo(source)
    target.write_text("as before")

    async def story(shell: SshShell) -> None:
        copying = asyncio.ensure_future(shell.put(source, str(target), limit_s=5))
        with await asyncio.to_thread(source.open, "wb", 0) as fifo:
            fifo.write(b"half")
            await until((tmp_path / "target.part").exists)
            assert target.read_text() == "as before"
            fifo.write(b" and half")
        await copying
        assert target.read_text() == "half and half"

    with_shell(sshd, story)


def test_a_file_of_no_known_size_is_counted_as_it_comes(sshd: RealSshd) -> None:
    async def story(shell: SshShell) -> None:
        assert b"btime" in await shell.get("/proc/stat", limit_bytes=1_000_000, limit_s=5)
        with pytest.raises(TooMuch, match="more than the 10 bytes"):
            await shell.get("/proc/stat", limit_bytes=10, limit_s=5)

    with_shell(sshd, story)


def test_a_missing_file_or_folder_is_a_fault_of_the_request_and_the_shell_goes_on(
    sshd: RealSshd, tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("text")

    async def story(shell: SshShell) -> None:
        with pytest.raises(ShellFault, match="No such file"):
            await shell.get(str(tmp_path / "missing"), limit_bytes=10, limit_s=5)
        with pytest.raises(ShellFault, match="No such file"):
            await shell.put(tmp_path / "file", str(tmp_path / "missing" / "file"), limit_s=5)
        await prove(shell, limit_s=5)

    with_shell(sshd, story)


def test_a_tree_is_copied_and_a_link_in_it_is_not_followed(sshd: RealSshd, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "a" / "deep").mkdir(parents=True)
    (source / "empty").mkdir()
    for name in ("top", "a/one", "a/deep/two"):
        (source / name).write_text(name)

    async def story(shell: SshShell) -> None:
        assert await shell.put_tree(source, str(target), limit_s=5) == 3
        assert await shell.put_tree(source, str(target), limit_s=5) == 3  # over what is there
        (source / "link").symlink_to("/")
        with pytest.raises(ShellFault, match="link is neither a file nor a folder"):
            await shell.put_tree(source, str(target), limit_s=5)

    with_shell(sshd, story)
    copied = sorted(path.relative_to(target).as_posix() for path in target.rglob("*"))
    assert copied == ["a", "a/deep", "a/deep/two", "a/one", "empty", "top"]
    assert (target / "a" / "deep" / "two").read_text() == "a/deep/two"


def test_the_boot_is_read_from_the_kernel_and_pinned_to_the_shell(sshd: RealSshd) -> None:
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    btime = next(line.split()[1] for line in Path("/proc/stat").read_text().splitlines() if line[:5] == "btime")

    async def story(shell: SshShell) -> None:
        identity = await read_identity(shell, limit_s=5)
        assert identity.mark == boot_id
        assert identity.boot_time_us == int(btime) * 1_000_000
        assert shell.boot.mark == identity.mark

    with_shell(sshd, story)


def test_a_mark_of_another_boot_ends_the_boot_and_the_shell_refuses_from_then_on(sshd: RealSshd) -> None:
    async def story(shell: SshShell) -> None:
        with pytest.raises(OldBoot, match="its mark was 0123456789abcdef"):
            await read_identity(shell, limit_s=5)
        with pytest.raises(OldBoot, match="belongs to a boot that is over"):
            await shell.run("echo no", limit_s=5)

    with_shell(sshd, story, boot=Boot("0123456789abcdef"))


def test_a_detached_command_outlives_the_connection(sshd: RealSshd, tmp_path: Path) -> None:
    go, done = tmp_path / "go", tmp_path / "it's done"
    os.mkfifo(go)

    async def story(shell: SshShell) -> int:
        line = f"read -r word < {shlex.quote(str(go))}; echo $word > {shlex.quote(str(done))}"
        return await shell.start_detached(line, limit_s=5)

    pid: int = with_shell(sshd, story)
    with go.open("w") as fifo:
        fifo.write("over\n")

    try:
        tell(until(lambda: done.exists() and done.read_text() != ""))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert done.read_text() == "over\n"


def test_a_child_that_keeps_the_output_open_does_not_keep_the_command(
    sshd: RealSshd, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh_client, "TAIL_S", 0.2)
    watch = Watch()

    async def story(shell: SshShell) -> Result:
        return await shell.run("sleep 6 & echo started", limit_s=8)

    assert with_shell(sshd, story) == Result(0, "started\n", "")
    assert watch.s < 5


def test_a_command_that_does_not_end_costs_its_time_and_the_connection(sshd: RealSshd) -> None:
    async def told() -> None:
        shell = make_shell(sshd)
        await shell.open(limit_s=10)
        watch = Watch()
        with pytest.raises(DeadlineMissed, match=r"had 0\.3 s running a command"):
            await shell.run("sleep 9", limit_s=0.3)
        assert watch.s < 2
        with pytest.raises(NotOpen, match="its last call failed"):
            await shell.run("echo no", limit_s=5)
        await shell.close()

    tell(told())
    assert threads_end("rrsim ssh")


def test_a_server_that_dies_in_mid_command_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    with real_sshd(tmp_path) as sshd:
        async def story(shell: SshShell) -> None:
            running = asyncio.ensure_future(shell.run("echo begun; sleep 9", limit_s=8))
            while not running.done():
                await asyncio.sleep(0.1)
                sshd.kill()
            with pytest.raises(ShellLost) as lost:
                await running
            assert lost.value.sent

        with_shell(sshd, story)


def test_a_command_ended_by_a_signal_has_no_code_and_is_not_taken_for_done(sshd: RealSshd) -> None:
    async def story(shell: SshShell) -> None:
        with pytest.raises(ShellLost, match="ended by a signal") as lost:
            await shell.run("kill -9 $$", limit_s=5)
        assert lost.value.sent

    with_shell(sshd, story)


def test_the_end_of_the_boot_ends_a_running_command_at_once(sshd: RealSshd) -> None:
    async def told() -> None:
        shell = make_shell(sshd)
        await shell.open(limit_s=10)
        watch = Watch()
        running = asyncio.ensure_future(shell.run("sleep 9", limit_s=20))
        await asyncio.sleep(0.1)
        shell.boot.end("the host saw a reset")
        with pytest.raises(ShellLost, match="the host saw a reset") as lost:
            await running
        assert lost.value.sent
        assert watch.s < 3
        with pytest.raises(OldBoot, match="the host saw a reset"):
            await shell.open(limit_s=5)
        await shell.close()

    tell(told())


def test_a_cancelled_call_ends_the_connection_and_the_thread(sshd: RealSshd) -> None:
    async def told() -> None:
        shell = make_shell(sshd)
        await shell.open(limit_s=10)
        running = asyncio.ensure_future(shell.run("sleep 9", limit_s=20))
        await asyncio.sleep(0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(NotOpen, match="broken off"):
            await shell.run("echo no", limit_s=5)

    tell(told())
    assert threads_end("rrsim ssh")


def test_calls_take_turns(sshd: RealSshd) -> None:
    async def story(shell: SshShell) -> None:
        one, two = await asyncio.gather(shell.run("sleep 0.1; date +%s%N", limit_s=5),
                                        shell.run("date +%s%N", limit_s=5))
        assert int(one.out) < int(two.out)
        busy = asyncio.ensure_future(shell.run("sleep 0.3", limit_s=5))
        await asyncio.sleep(0.1)
        with pytest.raises(DeadlineMissed, match="busy with an earlier call"):
            await shell.run("echo no", limit_s=0.1)
        assert (await busy).code == 0

    with_shell(sshd, story)


def test_a_shell_is_opened_once(sshd: RealSshd) -> None:
    async def told() -> None:
        shell = make_shell(sshd)
        with pytest.raises(NotOpen, match="never opened"):
            await shell.run("echo no", limit_s=5)
        await shell.open(limit_s=10)
        with pytest.raises(NotOpen, match="opened before"):
            await shell.open(limit_s=10)
        await shell.close()
        await shell.close()
        with pytest.raises(NotOpen, match="it was closed"):
            await shell.run("echo no", limit_s=5)

    tell(told())


def test_it_works_over_a_connection_that_is_open_already_and_is_no_socket(sshd: RealSshd) -> None:
    class Pipe:
        """Has what is documented to be needed, and nothing else of a socket."""

        def __init__(self, inner: socket.socket) -> None:
            self.send, self.recv, self.settimeout, self.close = inner.send, inner.recv, inner.settimeout, inner.close

    here, there = socket.socketpair()
    sshd.serve(there)

    async def told() -> str:
        shell = SshShell(Pipe(here), sshd.login, sshd.host_keys, boot=Boot())
        await shell.open(limit_s=10)
        try:
            return (await shell.run("echo through the pipe", limit_s=5)).out
        finally:
            await shell.close()

    assert tell(told()) == "through the pipe\n"


def test_another_host_key_than_the_known_one_is_refused_before_anything_is_said(
    sshd: RealSshd, tmp_path: Path,
) -> None:
    async def told(host_keys: Any) -> None:
        with pytest.raises(WrongMachine, match="another machine answers at this address"):
            await make_shell(sshd, host_keys=host_keys).open(limit_s=10)

    tell(told(KnownKey(make_key(tmp_path / "other"))))


def test_the_first_key_of_an_image_build_is_pinned(sshd: RealSshd, tmp_path: Path) -> None:
    async def opened(build: str) -> None:
        shell = make_shell(sshd, host_keys=PinOnFirstUse(tmp_path / "pins", build))
        await shell.open(limit_s=10)
        await shell.close()

    tell(opened("sha256-1"))
    tell(opened("sha256-1"))
    pin = tmp_path / "pins" / "sha256-1.pub"
    assert pin.read_text().split() == sshd.host_line.split()[:2]
    assert [path.name for path in pin.parent.iterdir()] == [pin.name]
    pin.write_text(make_key(tmp_path / "other"))
    with pytest.raises(WrongMachine):
        tell(opened("sha256-1"))
    tell(opened("sha256-2"))  # a new build may have a new key


def test_a_key_that_the_server_does_not_know_is_refused_once_the_boot_is_old(sshd: RealSshd, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    stranger = Login(sshd.login.user, private_key=(tmp_path / "stranger").read_text())

    async def told() -> None:
        with pytest.raises(ShellRefused, match="declines"):
            await make_shell(sshd, login=stranger, boot=Boot(young_s=0)).open(limit_s=10)

    tell(told())
