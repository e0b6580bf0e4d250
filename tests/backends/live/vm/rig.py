"""What the tests of virtual machines share: running a coroutine, a pretend image, a machine of the tiny guest's."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rrsim.backends.live.vm import image as images
from rrsim.backends.live.vm import lease, slots
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.stream import ByteStream
from rrsim.backends.live.vm.vm import Options, Vm
from rrsim.images.description import Built, Description, Hardware
from tests.backends.live.vm import tiny

T = TypeVar("T")
ROOT = Path(__file__).parents[4]
MOCK = "test:///default"
BOOT_S = 90.0
"""A tiny guest under emulation on a loaded computer."""
SLOTS = 12
"""More than anything else uses on this host, so that tests do not wait for other runs."""


def run(coroutine: Coroutine[Any, Any, T], limit_s: float = 110.0) -> T:
    """Run a test's coroutine with a limit."""
    async def limited() -> T:
        async with asyncio.timeout(limit_s):
            return await coroutine

    return asyncio.run(limited())


def cache() -> Path:
    """Folder of the tiny guest's parts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rrsim-tests"


def pretend(folder: Path, **hardware: Any) -> images.Image:
    """An image whose files are a few bytes each."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in ("disk.raw", "vmlinuz", "initrd.img"):
        (folder / name).write_bytes(name.encode() * 100)
        files[name] = hashlib.sha256(name.encode() * 100).hexdigest()
    description = Description(
        name="pretend", title="Pretend", windows="wine", hardware=Hardware(**{"memory_mib": 64, **hardware}),
        shells=("guest daemon", "guest agent"), command_line="console=ttyS0",
    )
    built = Built(description=description, digest="0" * 64, made="2026-01-01T00:00:00Z", files=files)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(built))
    return images.load(folder)


class MockPool(Pool):
    """The pool on libvirt's mock driver, which knows neither overlays nor content: both are pretended here."""

    def __init__(self, host: Host, name: str) -> None:
        super().__init__(host, name)
        self.content: dict[str, bytes] = {}

    async def overlay(self, name: str, backing: str, backing_format: str = "qcow2") -> str:
        assert await self.look_at(backing) is not None
        return await self.create(name, 4096)

    async def upload(self, name: str, file: Path, sha256: str = "", progress: Any = None) -> str:
        self.content[name] = await asyncio.to_thread(file.read_bytes)
        return await self.create(name, len(self.content[name]))

    async def copy(self, name: str, new: str) -> str:
        self.content[new] = self.content.get(name, b"")
        return await self.create(new, 4096)

    async def read(self, name: str, offset: int = 0, length: int = 0) -> bytes:
        data = self.content.get(name, b"")[offset:]
        return data[:length] if length else data

    async def write(self, name: str, data: bytes, offset: int = 0) -> None:
        self.content[name] = self.content.get(name, b"")[:offset] + data

    async def checksum(self, name: str, offset: int = 0) -> str:
        return hashlib.sha256(self.content.get(name, b"")[offset:]).hexdigest()


@contextlib.asynccontextmanager
async def mock() -> AsyncIterator[tuple[Host, MockPool]]:
    """The mock driver and a pool on it; emptied in the end, for the mock driver is one and the same in a process."""
    opened = await Host.open(MOCK)
    pool = MockPool(opened, (await Pool.open(opened)).name)
    try:
        yield opened, pool
    finally:
        for name in await pool.names():
            await pool.delete(name)
        for domain_uuid in await lease.holders(opened):
            await lease.remove_domain(opened, domain_uuid)
        await opened.close()


class Guest:
    """A running tiny guest and a line to it."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.seen: list[object] = []
        self.line: ByteStream
        self._rest = b""
        vm.on_event = self.seen.append

    async def attach(self) -> None:
        """Open the port; a guest that boots says ``ready`` there."""
        self.line, self._rest = await self.vm.open_channel(), b""

    async def up(self, limit_s: float = BOOT_S) -> None:
        """Wait until the guest says that it is up."""
        assert await self.vm.guard(self.hear(), "the tiny guest", limit_s) == "ready"

    async def hear(self) -> str:
        while b"\n" not in self._rest:
            self._rest += await self.line.read()
        first, _, self._rest = self._rest.partition(b"\n")
        return first.decode()

    async def ask(self, text: str, limit_s: float = 20.0) -> str:
        self.say(text)
        return await asyncio.wait_for(self.hear(), limit_s)

    def say(self, text: str) -> None:
        self.line.write(text.encode() + b"\n")


@contextlib.asynccontextmanager
async def host(uri: str = "") -> AsyncIterator[tuple[Host, Pool]]:
    """A connection and its pool."""
    opened = await Host.open(uri)
    try:
        yield opened, await Pool.open(opened)
    finally:
        await opened.close()


async def off(
    opened: Host, pool: Pool, folder: Path | None = None, options: Options | None = None, **given: Any
) -> Guest:
    """A tiny guest that is off."""
    image = images.load(folder or tiny.build(cache()))
    slot = await slots.acquire(opened, memory_mib=160, wanted=SLOTS, wait_s=60)
    try:
        return Guest(await Vm.create(opened, pool, slot, image, options, **given))
    except BaseException:
        await slot.release()
        raise


@contextlib.asynccontextmanager
async def guest(
    opened: Host, pool: Pool, folder: Path | None = None, options: Options | None = None
) -> AsyncIterator[Guest]:
    """A tiny guest that is up; removed afterwards."""
    one = await off(opened, pool, folder, options)
    try:
        await one.vm.start()
        await one.attach()
        await one.up()
        yield one
    finally:
        await one.vm.remove()


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]], limit_s: float = 20.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(limit_s):
        while True:
            answer = true()
            if (await answer) if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.05)


async def ours(opened: Host, pool: Pool, domain_uuid: str) -> list[str]:
    """What is left of a machine on the host."""
    left = [name for name in await pool.names() if domain_uuid in name]
    return left + [name for one, (name, _) in (await lease.holders(opened)).items() if one == domain_uuid]


async def ours_anew(domain_uuid: str) -> list[str]:
    """What is left of a machine on this computer's libvirt, asked over a connection of its own."""
    async with host() as (opened, pool):
        return await ours(opened, pool, domain_uuid)


@contextlib.contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process in the repository; killed at the end."""
    one = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield one
    finally:
        one.kill()
        one.communicate()
