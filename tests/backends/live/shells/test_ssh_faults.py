"""The SSH shell against a server that misbehaves: each fault has its own name, in bounded time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import paramiko
import pytest

from rrsim.backends.live.shells.boot_mark import prove
from rrsim.backends.live.shells.interface import (
    Boot,
    DeadlineMissed,
    NotYet,
    Result,
    ShellFault,
    ShellLost,
    ShellRefused,
    System,
)
from rrsim.backends.live.shells.login import Login
from rrsim.backends.live.shells.ssh import SshShell
from tests.backends.live.shells.ssh_rig import PretendSshd, finish, pretend_sshd
from tests.backends.live.shells.stories import Watch, tell, threads_end, until

RIGHT = Login("customer", "right")
OLD = 0.0


@pytest.fixture
def sshd() -> Iterator[PretendSshd]:
    with pretend_sshd() as server:
        yield server


def make_shell(sshd: PretendSshd, login: Login = RIGHT, young_s: float = OLD, system: System = "linux") -> SshShell:
    return SshShell(sshd.where, login, sshd.host_keys, boot=Boot(young_s=young_s), system=system)


def opening(shell: SshShell, limit_s: float = 8) -> None:
    async def told() -> None:
        try:
            await shell.open(limit_s=limit_s)
        finally:
            await shell.close()

    tell(told())


def running(sshd: PretendSshd, *, limit_s: float = 5, **options: Any) -> Result:
    async def told() -> Result:
        shell = make_shell(sshd, **options)
        await shell.open(limit_s=8)
        try:
            return await shell.run("do it", limit_s=limit_s)
        finally:
            await shell.close()

    return tell(told())


def test_a_closed_port_is_not_yet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = listener.getsockname()

    async def told() -> None:
        from rrsim.backends.live.shells.host_keys import KnownKey

        key = paramiko.ECDSAKey.generate()
        shell = SshShell(where, RIGHT, KnownKey(f"{key.get_name()} {key.get_base64()}"), boot=Boot())
        for _ in range(2):  # the same object may try again
            with pytest.raises(NotYet, match="Connection refused"):
                await shell.open(limit_s=5)

    tell(told())


def test_a_port_without_a_banner_costs_its_time_only(sshd: PretendSshd) -> None:
    sshd.faults.silent = True
    watch = Watch()
    with pytest.raises((NotYet, DeadlineMissed)):
        opening(make_shell(sshd), limit_s=0.4)
    assert watch.s < 2
    assert sshd.connections == 1
    assert threads_end("rrsim ssh")
    assert threads_end("Thread-")  # paramiko's own


def test_a_connection_that_closes_before_its_banner_is_not_yet(sshd: PretendSshd) -> None:
    sshd.faults.silent = True

    async def told() -> None:
        shell = make_shell(sshd)
        task = asyncio.ensure_future(shell.open(limit_s=8))
        await until(lambda: sshd.connections > 0)
        sshd.cut()
        with pytest.raises(NotYet, match="no SSH server answers properly"):
            await task

    tell(told())


def test_a_login_that_is_never_answered_costs_its_time_only(sshd: PretendSshd) -> None:
    sshd.faults.slow_login.clear()
    watch = Watch()
    with pytest.raises((NotYet, DeadlineMissed)):
        opening(make_shell(sshd), limit_s=1)
    assert watch.s < 3
    assert threads_end("rrsim ssh")


def test_a_login_that_is_declined_early_in_a_boot_is_tried_again(sshd: PretendSshd) -> None:
    sshd.faults.decline_first = 1

    async def told() -> str:
        shell = make_shell(sshd, young_s=60)
        with pytest.raises(NotYet, match="early in a boot"):
            await shell.open(limit_s=8)
        await shell.open(limit_s=8)
        try:
            return (await shell.run("do it", limit_s=5)).out
        finally:
            await shell.close()

    assert tell(told()) == ""
    assert sshd.connections == 2


@pytest.mark.parametrize("login", [Login("customer", "wrong secret"), Login("customer")])
def test_a_login_that_is_declined_later_is_refused_and_no_text_shows_the_secret(
    sshd: PretendSshd, login: Login,
) -> None:
    with pytest.raises(ShellRefused, match="declines 'customer'") as refused:
        opening(make_shell(sshd, login))
    assert "wrong secret" not in f"{refused.value} {login!r} {refused.value.__cause__!r}"


def test_what_is_no_private_key_is_refused_and_not_repeated(sshd: PretendSshd) -> None:
    with pytest.raises(ShellRefused, match="expected a private key") as refused:
        opening(make_shell(sshd, Login("customer", private_key="hush")))
    assert "hush" not in str(refused.value)


def test_a_command_that_never_exits_costs_its_time_only(sshd: PretendSshd) -> None:
    sshd.faults.on_command = lambda channel, _: None
    watch = Watch()
    with pytest.raises(DeadlineMissed, match=r"had 0\.4 s running a command"):
        running(sshd, limit_s=0.4)
    assert watch.s < 3
    assert threads_end("rrsim ssh")


def test_a_connection_that_dies_in_mid_command_leaves_the_outcome_unknown(sshd: PretendSshd) -> None:
    sshd.faults.on_command = lambda channel, _: channel.transport.close()
    with pytest.raises(ShellLost, match="a command ran") as lost:
        running(sshd)
    assert lost.value.sent


def test_a_channel_that_closes_without_a_code_leaves_the_outcome_unknown(sshd: PretendSshd) -> None:
    sshd.faults.on_command = lambda channel, _: finish(channel, None, b"some output")
    with pytest.raises(ShellLost, match="no exit code came") as lost:
        running(sshd)
    assert lost.value.sent


def test_a_connection_that_died_between_commands_means_that_nothing_was_sent(sshd: PretendSshd) -> None:
    async def told() -> None:
        shell = make_shell(sshd)
        await shell.open(limit_s=8)
        sshd.cut()
        await asyncio.sleep(0.3)  # the client has noticed by then
        with pytest.raises(ShellLost) as lost:
            await shell.run("do it", limit_s=5)
        assert not lost.value.sent
        await shell.close()

    tell(told())


def test_a_channel_or_a_command_that_is_not_allowed_has_a_named_error(sshd: PretendSshd) -> None:
    sshd.faults.no_channels = True
    with pytest.raises(ShellFault, match="opens no further channel"):
        running(sshd)
    sshd.faults.no_channels = False
    sshd.faults.no_commands = True
    with pytest.raises(ShellLost, match="or was not allowed"):  # it cannot be told from one that began
        running(sshd)


def test_another_answer_than_the_nonce_is_not_taken(sshd: PretendSshd) -> None:
    sshd.faults.on_command = lambda channel, _: finish(channel, 0, b"0123456789abcdef\n")

    async def told() -> None:
        shell = make_shell(sshd)
        await shell.open(limit_s=8)
        with pytest.raises(ShellFault, match="expected the ssh shell to answer with the nonce"):
            await prove(shell, limit_s=5)
        await shell.close()

    tell(told())


def test_on_windows_a_list_reaches_cmd_with_its_special_characters_taken_from_it(sshd: PretendSshd) -> None:
    seen: list[str] = []

    def answer(channel: paramiko.Channel, command: str) -> None:
        seen.append(command)
        finish(channel, 0, "grün\r\nzwei\r\n".encode("cp1252"))

    sshd.faults.on_command = answer

    async def told() -> Result:
        shell = make_shell(sshd, system="windows")
        await shell.open(limit_s=8)
        try:
            return await shell.run(["reg.exe", "a&b", "%PATH%", "two words"], limit_s=5)
        finally:
            await shell.close()

    assert tell(told()) == Result(0, "grün\nzwei\n", "")
    assert seen == ['reg.exe a^&b ^%PATH^% ^"two words^"']
