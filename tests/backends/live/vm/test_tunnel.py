"""Guests of another computer reach this one's loopback, or somebody says why not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.vm import bench, guest_link, tunnel
from rrsim.backends.live.vm.errors import VmMissing
from rrsim.backends.live.vm.guest_link import GuestLink
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.tunnel import NoWay, PortTaken, Ssh, Tunnel, TunnelFailed, TunnelLost, Tunnels
from rrsim.scenario.linkdraws import DRAWS
from rrsim.scenario.model import PcSetup
from rrsim.scenario.streams import Streams
from tests import processes
from tests.backends.live.vm import far
from tests.backends.live.vm.rig import process, run, until

ROOT = Path(__file__).parents[4]


# --- what libvirt's address says ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("uri", "host", "program", "options"), [
    ("qemu+ssh://there/system", "there", "ssh", ()),
    ("qemu+ssh:///system", "localhost", "ssh", ()),
    ("qemu+ssh://A%20B@There:2222/system", "There", "ssh", ("-p", "2222", "-l", "A B")),
    ("qemu+ssh://root@[fe80::1]:22/system", "fe80::1", "ssh", ("-p", "22", "-l", "root")),
    ("qemu+ssh://[fe80::1]/system", "fe80::1", "ssh", ()),
    ("qemu+ssh://there/system?keyfile=/a%20key+1&command=/opt/ssh;no_tty=1", "there", "/opt/ssh", ("-i", "/a key+1")),
    ("qemu+ssh://there/system?no_verify=1", "there", "ssh", ("-o", "StrictHostKeyChecking=no")),
    ("qemu+ssh://there/system?no_verify=0", "there", "ssh", ()),
    ("qemu+libssh2://there/system?known_hosts=/k&known_hosts_verify=auto&sshauth=privkey", "there", "ssh",
     ("-o", 'UserKnownHostsFile="/k"', "-o", "StrictHostKeyChecking=accept-new")),
    ("qemu+libssh://there/session?known_hosts_verify=ignore", "there", "ssh", ("-o", "StrictHostKeyChecking=no")),
    ("qemu+libssh://there/session?known_hosts_verify=normal", "there", "ssh", ()),
])  # fmt: skip
def test_the_addresss_parameters_hold(uri: str, host: str, program: str, options: tuple[str, ...]) -> None:
    assert tunnel.ssh_of(uri) == Ssh(host, program, options)


@pytest.mark.parametrize("uri", [
    "qemu:///system", "qemu:///session", "qemu+unix:///system?socket=/s", "test:///default",
    "qemu+tcp://localhost/system", "qemu+tls://127.0.0.1:16514/system", "qemu+tcp://[::1]/system",
])  # fmt: skip
def test_a_daemon_of_this_computer_needs_no_way(uri: str) -> None:
    assert run(tunnel.find(uri)) is None


@pytest.mark.parametrize(("uri", "instead"), [
    ("qemu://there/system", "qemu+ssh://there/system"), ("qemu+tls://there:16514/system", "qemu+ssh://there/system"),
    ("qemu+tcp://u@there/session", "qemu+ssh://there/session"), ("qemu+ext:///system", "qemu+ssh://HOST/system"),
])  # fmt: skip
def test_a_host_that_is_not_reached_by_ssh_is_refused(uri: str, instead: str) -> None:
    with pytest.raises(NoWay) as refused:
        run(tunnel.find(uri))
    assert str(refused.value).endswith(f"try --uri {instead}")


def test_a_run_is_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = []

    class Opened(Host):
        async def close(self) -> None:
            closed.append(self.uri)

    async def opened(uri: str, **_: Any) -> Host:
        return Opened(uri, None, asyncio.get_running_loop())

    monkeypatch.setattr(bench.Host, "open", opened)
    with pytest.raises(NoWay, match="session server"):
        run(bench.make_bench(tmp_path, bench.VmOptions(uri="qemu+tls://there/system")))
    assert closed == ["qemu+tls://there/system"]
    assert not list(tmp_path.iterdir())


def test_the_command_lines() -> None:
    ssh = Ssh("there", "/opt/ssh", ("-p", "22"))
    leading, asking = ssh.leading(4711), ssh.asking()
    for line in (leading, asking):
        assert line[0] == "/opt/ssh"
        assert line[-3:-1] == ["--", "there"], "a host is never taken for an option"
        assert "BatchMode=yes" in line, "nobody is asked for a password"
        assert line.index("BatchMode=yes") < line.index("-p"), "ssh takes the first of two"
        assert {"ControlPath=none", "ServerAliveInterval=5"} < set(line)
    assert leading[leading.index("-R") + 1] == "127.0.0.1:4711:127.0.0.1:4711"
    assert "ExitOnForwardFailure=yes" in leading
    assert "ClearAllForwardings=yes" in asking, "what the user's configuration forwards may be taken"


# --- a played ssh ---------------------------------------------------------------------------------------------------


def _played(folder: Path, script: str) -> Ssh:
    """Have a script stand in for ssh; its last argument is what the host is to run."""
    (folder / "ssh").write_text(f'#!/bin/sh\nfor last; do :; done\n{script}\n')
    (folder / "ssh").chmod(0o755)
    return Ssh("there", str(folder / "ssh"))


def _uri(ssh: Ssh) -> str:
    return f"qemu+ssh://there/system?command={ssh.program}"


def test_this_very_computer_is_recognised_and_asked_once(tmp_path: Path) -> None:
    ssh = _played(tmp_path, f"echo >> {tmp_path}/asked; echo a word of the day; sh -c \"$last\"")

    async def case() -> None:
        host = Host(_uri(ssh), None, asyncio.get_running_loop())
        assert await host.tunnels() is None
        assert await host.tunnels() is None

    run(case())
    assert (tmp_path / "asked").read_text() == "\n"


@pytest.mark.parametrize("told", ["rrsim-host 0-0 net:[4026531833]", "rrsim-host"])
def test_another_computer_is_recognised(tmp_path: Path, told: str) -> None:
    ssh = _played(tmp_path, f"echo '{told}'")
    found = run(tunnel.find(_uri(ssh)))
    assert found is not None
    assert found.ssh == ssh


@pytest.mark.parametrize(("script", "word"), [
    ("echo Permission denied >&2; exit 255", "saw ssh end with 255: Permission denied; try by hand"),
    ("exec sleep 60", "saw nothing within 0.5 s; try by hand"),
])  # fmt: skip
def test_a_host_that_does_not_tell_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, word: str
) -> None:
    monkeypatch.setattr(tunnel, "ASK_LIMIT_S", 0.5)
    monkeypatch.setattr(tunnel, "OPEN_LIMIT_S", 0.5)
    ssh = _played(tmp_path, script)
    with pytest.raises(TunnelFailed, match=word):
        run(tunnel.find(_uri(ssh)))
    with pytest.raises(TunnelFailed, match=word):
        run(Tunnels(ssh).open(4711, lambda _: None))


def test_a_missing_ssh_is_named() -> None:
    nowhere = Ssh("there", "/nowhere/ssh")
    with pytest.raises(VmMissing, match="apt-get install -y openssh-client"):
        run(tunnel.find(_uri(nowhere)))
    with pytest.raises(VmMissing, match="/nowhere/ssh"):
        run(Tunnels(nowhere).open(4711, lambda _: None))


def test_a_host_that_gives_no_port_is_asked_for_a_few(tmp_path: Path) -> None:
    ssh = _played(tmp_path, (
        'while [ "$1" != -R ]; do shift; done; port=${2##*:}; '
        f"echo $port >> {tmp_path}/asked; "
        'echo "Error: remote port forwarding failed for listen port $port" >&2; exit 255'
    ))

    async def case() -> None:
        link, _ = _link(Tunnels(ssh))
        with pytest.raises(TunnelFailed, match=r"none of 6 ports.*AllowTcpForwarding") as refused:
            await link.start()
        assert not isinstance(refused.value, PortTaken)
        await link.close()

    run(case())
    assert len(set((tmp_path / "asked").read_text().split())) == guest_link.PORTS_TRIED


def test_the_telephone_needs_no_tunnel(tmp_path: Path) -> None:
    async def case() -> None:
        link, _ = _link(Tunnels(_played(tmp_path, "exit 1")), "dial-up")
        assert await link.start() == link.port
        await link.close()

    run(case())


# --- a real one, to a host with a loopback of its own ---------------------------------------------------------------


@pytest.fixture
def there(tmp_path: Path) -> Iterator[far.Far]:
    with far.away(tmp_path) as one:
        yield one


def _link(tunnels: Tunnels, network: Any = "lan") -> tuple[GuestLink, list[BaseException]]:
    streams = Streams(1, dict.fromkeys(DRAWS, 1_000), 1, DRAWS)
    link = GuestLink(
        PcSetup(network=network), 1.0, streams, lambda _: None, lambda: ("127.0.0.1", 9), tunnels=tunnels
    )
    failures: list[BaseException] = []
    link.on_failed = failures.append
    return link, failures


@contextlib.asynccontextmanager
async def _echo() -> AsyncIterator[int]:
    """Something on this computer's loopback that answers; its port."""

    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                writer.write(data.upper())
        finally:
            writer.transport.abort()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.get_running_loop().create_task(answer(reader, writer)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)


async def _found(there: far.Far) -> Tunnels:
    found = await tunnel.find(there.uri)
    assert found is not None, "it has a loopback of its own"
    return found


def test_a_host_reaches_this_computers_loopback_at_the_same_port(there: far.Far) -> None:
    async def case() -> None:
        async with _echo() as port:
            lost: list[TunnelLost] = []
            one = await (await _found(there)).open(port, lost.append)
            assert await asyncio.to_thread(there.answer, port) == "A WORD"
            await one.close()
            await one.close()
            assert lost == []
            await until(lambda: not there.listens(port))

    with far.nothing_but_sshd(there):
        run(case())


def test_a_taken_port_leads_to_another(there: far.Far) -> None:
    taken: list[int] = []

    class Beaten(Tunnels):
        """Somebody on the host is faster with the first port."""

        async def open(self, port: int, lost: Any) -> Tunnel:
            if taken:
                return await super().open(port, lost)
            taken.append(port)
            with there.runs(far.LISTEN, port) as other:
                assert other.stdout is not None
                assert await asyncio.to_thread(other.stdout.readline) == "there\n"
                return await super().open(port, lost)

    async def case() -> None:
        link, failures = _link(Beaten((await _found(there)).ssh))
        port = await link.start()
        assert port == link.port != taken[0]
        assert there.listens(port)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", taken[0])
        await link.close()
        assert failures == []
        await until(lambda: not there.listens(port))

    run(case())


def test_a_tunnel_that_ends_in_mid_case_is_a_fault_of_the_harness(there: far.Far) -> None:
    async def case() -> None:
        link, failures = _link(await _found(there))
        await link.start()
        assert link._tunnel is not None
        os.kill(link._tunnel.pid, signal.SIGTERM)
        await until(lambda: bool(failures))
        await link.close()
        assert [type(one) for one in failures] == [TunnelLost]
        assert f"the tunnel from {there.name}, port {link.port}" in str(failures[0])

    run(case())


RUNNER = """
import asyncio, sys
from rrsim.backends.live.vm import tunnel

async def main():
    made = await tunnel.find(sys.argv[1])
    one = await made.open(int(sys.argv[2]), print)
    print(one.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("held", [False, True])
def test_a_killed_runner_leaves_nothing(there: far.Far, *, held: bool) -> None:
    """Not even where the guest holds a connection open that leads nowhere any more."""
    async def case() -> None:
        async with _echo() as port:
            with process(RUNNER, there.uri, str(port)) as runner:
                assert runner.stdout is not None
                ssh = int(await asyncio.to_thread(runner.stdout.readline))
                with there.runs(far.SPEAK, port) if held else contextlib.nullcontext() as guest:
                    if guest is not None:
                        assert guest.stdout is not None
                        assert await asyncio.to_thread(guest.stdout.readline) == "A WORD\n"
                    assert there.listens(port)
                    runner.kill()
                    await asyncio.to_thread(runner.wait)
                    assert await asyncio.to_thread(processes.ends, ssh)
            await until(lambda: not there.listens(port))

    with far.nothing_but_sshd(there):
        run(case())
