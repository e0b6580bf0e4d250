"""The Wine guest through libvirt: its SSH server, two machines of one kept state, and what a closed machine leaves."""

from __future__ import annotations

import asyncio
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.shells import boot_mark
from rrsim.backends.live.shells.host_keys import KnownKey
from rrsim.backends.live.shells.interface import Boot
from rrsim.backends.live.shells.login import Login
from rrsim.backends.live.shells.ssh import SshShell
from rrsim.machine.identity import New, compare

pytestmark = [
    pytest.mark.libvirt,
    pytest.mark.skipif(find_spec("libvirt") is None, reason="no libvirt binding: make .venv/libvirt.stamp"),
    pytest.mark.timeout(900),
]


def played(play: Any, folder: Path) -> None:
    """Play a test with a bench whose machines are removed in the end."""
    async def whole() -> None:
        from rrsim.backends.live.vm.bench import VmOptions, make_bench

        made = await make_bench(folder, VmOptions(), progress=print)
        try:
            await play(made)
        finally:
            await made.close()
    asyncio.run(whole())


def free_port() -> int:
    """Return a port of loopback that nobody has at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def _shell(made: Any, port: int, boot: Boot) -> SshShell:
    keys = made.fleet.image.folder / "keys"
    login = Login("customer", private_key=(keys / "id_ed25519").read_text())
    return SshShell(("127.0.0.1", port), login, KnownKey((keys / "known_host").read_text()), boot=boot)


async def _opened(shell: SshShell) -> None:
    from rrsim.backends.live.shells.interface import NotYet

    for _ in range(60):
        try:
            await shell.open(limit_s=30)
        except NotYet:
            await asyncio.sleep(1)
        else:
            return
    pytest.fail("the guest's SSH server did not answer")


def test_the_guests_own_ssh_server_and_a_restart_under_a_shell(tmp_path: Path) -> None:
    async def play(made: Any) -> None:
        pc = await made.bench.machine("pc-1", tmp_path, lambda _: None)
        try:
            await pc.power_on()
            port = free_port()
            await pc.vm.forward(port, 22)
            old = Boot()
            shell = await _shell(made, port, old)
            await _opened(shell)
            await boot_mark.prove(shell, limit_s=60)
            before = await boot_mark.read_identity(shell, limit_s=60)
            (tmp_path / "up.txt").write_text("words")
            await shell.put(tmp_path / "up.txt", "/tmp/up.txt", limit_s=60)
            assert await shell.get("/tmp/up.txt", limit_bytes=100, limit_s=60) == b"words"
            assert (await shell.run(["id", "-un"], limit_s=60)).out.strip() == "customer"
            await pc.restart("probe")
            old.end("the machine was restarted")
            await shell.close()
            again = await _shell(made, port, Boot())
            await _opened(again)
            assert isinstance(compare(before, await boot_mark.read_identity(again, limit_s=60)), New)
            await again.close()
        finally:
            await pc.close()
    played(play, tmp_path)


def test_two_machines_of_one_kept_state_differ(tmp_path: Path) -> None:
    async def told(pc: Any) -> tuple[str, ...]:
        await pc.power_on()
        mark = (await pc.boot_identity()).mark
        machine_id = await pc.site_of_guest._read("/etc/machine-id", 100)
        hostname = await pc.site_of_guest._read("/etc/hostname", 100)
        chance = await pc.site_of_guest._read("/proc/sys/kernel/random/uuid", 100)
        return str(mark), machine_id.decode(), hostname.decode(), chance.decode(), pc.vm.uuid

    async def play(made: Any) -> None:
        one = await made.bench.machine("pc-1", tmp_path, lambda _: None)
        try:
            first = await told(one)
            two = await made.bench.machine("pc-2", tmp_path, lambda _: None)
            try:
                second = await told(two)
            finally:
                await two.close()
        finally:
            await one.close()
        assert all(a != b for a, b in zip(first, second, strict=True)), (first, second)
        assert all(first)
        names = await made.fleet.pool.names()
        left = [name for name in names if first[-1] in name or second[-1] in name]
        assert left == [], "closed machines leave nothing"
    played(play, tmp_path)


