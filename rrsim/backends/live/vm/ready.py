"""Ready states: a machine's memory, disk and firmware variables as they were once it was up, to start runs from.

A ready state is kept in the pool as ``ready-KEY-UUID-…``: the disk (the overlay that the machine ran on, which is the
read-only base of later overlays), ``memory`` (libvirt's saved image), ``nvram.fd`` where there is UEFI, and ``record``,
which is written last: without it there is no ready state. UUID is that of the machine that made it.

A saved image is restored under another name and UUID by rewriting its header (see :mod:`save_image`), one restore of
an image at a time. That changes the file's time, so the time up to which its content was proved is kept as the name of
an empty volume; when it is another one, the stream is read and compared with the record.

After every restore the guest's harness must reseed its entropy, set its clock, mint its identity and a fresh boot mark,
and open new connections: the machine does not know that it was copied.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import msgspec

from rrsim.backends.live.vm import base, lease, save_image, slots, undo
from rrsim.backends.live.vm.errors import DiskFull, HostRefused, ReadyStateBad, VmError
from rrsim.backends.live.vm.host import Host, Progress
from rrsim.backends.live.vm.image import Image
from rrsim.backends.live.vm.lease import Held, to_mark
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.vm import Options, Vm
from rrsim.images.description import Accelerator

FORMAT: Final = 1
"""Changed when machines are defined differently, so that older ready states are not used."""
SAVE_LIMIT_S: Final = 300.0
MAKE_WAIT_S: Final = slots.WAIT_S + 900.0
"""Its maker may have to wait for a slot before."""
KEY_CHARACTERS: Final = 16
ANEW: Final = "if it is damaged, remove it, and the next run makes it anew: rrsim reap --images"


class Record(msgspec.Struct, frozen=True):
    """What a ready state is and what it consists of."""

    key: str
    stem: str
    """Names of its volumes up to the last part."""
    about: dict[str, str]
    """What the key was made from, for people."""
    stream_at: int
    stream_sha256: str
    memory_bytes: int
    disk_changed: str
    nvram: bool


def about(host: Host, image: Image, accelerator: Accelerator, layer: str = "") -> dict[str, str]:
    """Return everything that a ready state depends on. ``layer`` names what was installed on top of the image."""
    return {
        "image": image.built.digest, "layer": layer, "libvirt": host.info.libvirt, "qemu": host.info.hypervisor,
        "host processor": host.info.processor, "accelerator": accelerator,
        "hardware": msgspec.json.encode(image.built.description.hardware).decode(),
        "command line": image.built.description.command_line, "format": str(FORMAT),
    }


def key_of(parts: dict[str, str]) -> str:
    """Return the key of a ready state that depends on these parts."""
    text = msgspec.json.encode(sorted(parts.items()))
    return hashlib.sha256(text).hexdigest()[:KEY_CHARACTERS]


@contextlib.asynccontextmanager
async def only_maker(host: Host, key: str) -> AsyncIterator[None]:
    """Be the only one who makes this ready state; others wait, and then find it made."""
    async with lease.lock(host, f"make-{key}", wait_s=MAKE_WAIT_S):
        yield


async def find(pool: Pool, key: str) -> Record | None:
    """Return the ready state of that key, if there is one.

    Raises:
        ReadyStateBad: its record cannot be read.
    """
    for name in await pool.names():
        if name.startswith(f"ready-{key}-") and name.endswith("-record"):
            try:
                return msgspec.json.decode((await pool.read(name)).rstrip(b"\0"), type=Record)
            except msgspec.DecodeError as error:
                raise ReadyStateBad(f"expected the record of a ready state in {name}, saw: {error}") from error
    return None


async def provide(
    pool: Pool, parts: dict[str, str], make: Callable[[str], Awaitable[Vm]], progress: Progress | None = None
) -> Record:
    """Return the ready state that depends on ``parts``; make it if it is not there, or damaged.

    Args:
        pool: the host's pool.
        parts: see :func:`about`.
        make: given the name that the disk must have (``Vm.create(..., disk=name)``), returns a machine that runs and is
            ready, nobody connected to it. Its slot stays with the caller.
        progress: hears what is going on.

    Raises:
        VmError: what ``make`` raises, and what saving raises; nothing is left then.
    """
    key = key_of(parts)
    async with only_maker(pool.host, key):
        try:
            found = await find(pool, key)
            if found is not None:
                await _require_whole(pool, found)
                return found
        except ReadyStateBad as error:
            if progress is not None:
                progress(f"the ready state {key} is made anew: {error}")
        await forget(pool, key)
        if progress is not None:
            progress(f"making the ready state {key}: booting once")
        stem = f"ready-{key}-{lease.fresh_uuid()[:8]}"
        try:
            vm = await make(f"{stem}-disk.qcow2")
            return await _save(vm, stem, parts)
        except BaseException as error:
            await undo.after(error, lambda: forget(pool, key), f"the ready state {key}")
            raise


async def restore(
    pool: Pool, slot: Held, image: Image, record: Record, options: Options | None = None,
    progress: Progress | None = None,
) -> Vm:
    """Start a machine in a slot from a ready state: it runs when this returns; if this fails the slot is empty again.

    Raises:
        ReadyStateBad: the ready state is damaged, gone, or not one of this host's QEMU; forget it and make it anew.
        DiskFull: the host has no room.
        HostRefused: the host has no memory for it, or its QEMU may not read the files.
    """
    if progress is not None:
        progress(f"restoring the ready state {record.key}")
    vm = Vm(pool.host, pool, slot, image, options or Options())
    try:
        await _start(vm, record, progress)
    except BaseException as error:
        await undo.after(error, lambda: undo.empty(vm), vm.name)
        raise
    return vm


async def _start(vm: Vm, record: Record, progress: Progress | None) -> None:
    pool = vm.pool
    await pool.require_room()
    await vm.clear_volumes()
    async with lease.lock(pool.host, f"restore-{record.stem}"):
        await _require_whole(pool, record)
        await vm.prepare(f"{record.stem}-disk.qcow2", "qcow2", await base.provide(pool, vm.image, progress))
        if record.nvram:
            await pool.copy(f"{record.stem}-nvram.fd", vm.volume("nvram.fd"))
        await vm.define()
        await _write_header(pool, record, vm)
        path = await _memory_path(pool, record)
        try:
            await pool.host.call(f"restore {vm.name}", lambda c: _restore(c, path), SAVE_LIMIT_S)
        except HostRefused as error:
            raise _why_not(error, path, vm) from error
    vm.running = True


def _why_not(error: HostRefused, path: str, vm: Vm) -> VmError:
    """Return what a refused restore means, as far as libvirt's answer tells."""
    import libvirt

    host, said = vm.host.info.name, str(error)
    if "No space left" in said or "Disk quota" in said:
        return DiskFull(f"expected room on {host} to restore {vm.name}, saw: {error}; make room: rrsim reap --list")
    if error.code == libvirt.VIR_ERR_NO_MEMORY or "Cannot allocate memory" in said:
        mib = vm.image.built.description.hardware.memory_mib
        return HostRefused(
            f"expected {mib} MiB of memory on {host} for {vm.name}, saw: {error}; end what else runs there, or play "
            "fewer machines at once: --slots", error.code,
        )
    if error.code == libvirt.VIR_ERR_ACCESS_DENIED or "Permission denied" in said:
        return HostRefused(
            f"expected that libvirt's QEMU on {host} may read {path} and the files beside it, saw: {error}; see owner "
            "and mode of the folder and of those above it", error.code,
        )
    return ReadyStateBad(f"expected {path} to restore as {vm.name}, saw: {error}; {ANEW}")


async def forget(pool: Pool, key: str) -> None:
    """Delete a ready state; machines that were restored from it must be gone."""
    for name in await pool.names():
        if name.startswith(f"ready-{key}-") and name.endswith("-record"):
            await pool.delete(name)  # first: from now on there is none
    for name in await pool.names():
        if name.startswith(f"ready-{key}-"):
            await pool.delete(name)


async def _save(vm: Vm, stem: str, parts: dict[str, str]) -> Record:
    pool = vm.pool
    path = f"{await pool.folder()}/{stem}-memory"
    await pool.require_room(vm.image.built.description.hardware.memory_mib + 256)
    await vm.domain("save the memory of", lambda d: d.save(path), SAVE_LIMIT_S)
    vm.running = False
    nvram = vm.image.built.description.hardware.firmware == "uefi"
    await pool.refresh()
    if nvram:
        await pool.copy(vm.volume("nvram.fd"), f"{stem}-nvram.fd")
    header = save_image.parse(await pool.read(f"{stem}-memory", 0, save_image.HEADER_BYTES))
    memory, disk = await pool.look_at(f"{stem}-memory"), await pool.look_at(f"{stem}-disk.qcow2")
    if memory is None or disk is None:
        raise VmError(f"expected {path} and the disk beside it after saving {vm.name}, saw neither or one of them")
    record = Record(
        key=key_of(parts), stem=stem, about=parts, stream_at=header.stream_at,
        stream_sha256=await pool.checksum(f"{stem}-memory", header.stream_at), memory_bytes=memory.capacity_bytes,
        disk_changed=disk.changed, nvram=nvram,
    )
    await _mark_proved(pool, record)
    data = msgspec.json.encode(record)
    await pool.create(f"{stem}-record", len(data))
    await pool.write(f"{stem}-record", data)
    return record


async def _require_whole(pool: Pool, record: Record) -> None:
    """Check that what is restored is what was saved.

    Raises:
        ReadyStateBad: it is not.
    """
    memory = await pool.look_at(f"{record.stem}-memory")
    disk = await pool.look_at(f"{record.stem}-disk.qcow2")
    if memory is None or disk is None or (record.nvram and await pool.look_at(f"{record.stem}-nvram.fd") is None):
        raise ReadyStateBad(f"expected the files of the ready state {record.stem}, saw that one is gone")
    if memory.capacity_bytes != record.memory_bytes:
        raise ReadyStateBad(
            f"expected {memory.path} to have {record.memory_bytes} bytes, saw {memory.capacity_bytes}"
        )
    if disk.changed != record.disk_changed:
        raise ReadyStateBad(f"expected {disk.path} unchanged since it was saved, saw that it was written to")
    if await pool.look_at(_proof(record, memory.changed)) is not None:
        return
    if await pool.checksum(memory.name, record.stream_at) != record.stream_sha256:
        raise ReadyStateBad(f"expected {memory.path} as it was saved, saw another checksum")


async def _write_header(pool: Pool, record: Record, vm: Vm) -> None:
    name = f"{record.stem}-memory"
    head = await pool.read(name, 0, record.stream_at)
    values = vm.values
    new = save_image.rewrite(head, lambda xml: save_image.as_machine(
        xml, name=vm.name, uuid=vm.uuid, mark=to_mark(vm.slot.lease), disk=values.disk,
        console_log=values.console_log, nvram=values.nvram,
    ))
    await pool.write(name, new)
    await _mark_proved(pool, record)


async def _mark_proved(pool: Pool, record: Record) -> None:
    """Note that the content of the memory image is right as it is at this time."""
    memory = await pool.look_at(f"{record.stem}-memory")
    if memory is None:
        raise ReadyStateBad(f"the memory image of the ready state {record.stem} is gone")
    mark = _proof(record, memory.changed)
    for name in await pool.names():
        if name.startswith(_proof(record, "")) and name != mark:
            await pool.delete(name)
    with contextlib.suppress(HostRefused):  # it is there: two writes within one tick of the clock
        await pool.create(mark, 0)


def _proof(record: Record, changed: str) -> str:
    return f"{record.stem}-proved-{changed}"


async def _memory_path(pool: Pool, record: Record) -> str:
    memory = await pool.look_at(f"{record.stem}-memory")
    if memory is None:
        raise ReadyStateBad(f"the memory image of the ready state {record.stem} is gone")
    return memory.path


def _restore(connection: Any, path: str) -> None:
    import libvirt

    connection.restoreFlags(path, None, libvirt.VIR_DOMAIN_SAVE_RUNNING)
