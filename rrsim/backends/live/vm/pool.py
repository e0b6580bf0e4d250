"""The host's folder of disks, as a libvirt storage pool, so that it works the same for a remote host.

Names in it: ``base-DIGEST-FILE`` for a file of an image, uploaded once, never written to; ``base-….ok-TIME`` says that
it was uploaded whole, and when it was last changed; ``run-UUID-…`` belongs to the domain of that UUID;
``ready-KEY-…`` is a ready state. Whoever deletes goes by these names alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree

import msgspec

from rrsim import live_clock
from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm.errors import DiskFull, HostRefused, ImageCorrupt, VmError
from rrsim.backends.live.vm.host import Host, Progress

T = TypeVar("T")
NAME: Final = "rrsim"
ENV_FOLDER: Final = "RRSIM_VM_FOLDER"
CHUNK_BYTES: Final = 256 * 1024
MIB: Final = 1 << 20
FREE_MIB_MIN: Final = 1024
"""Room a host must have before a machine is started."""
UPLOAD_LIMIT_S: Final = 900.0
BUSY_LIMIT_S: Final = 60.0
READ_MAX_BYTES: Final = 64 * MIB


class Volume(msgspec.Struct, frozen=True):
    """A file of the pool."""

    name: str
    path: str
    capacity_bytes: int
    allocated_bytes: int
    changed: str
    """When its content last changed, by the host's clock: seconds with fraction since 1970."""


class Pool:
    """The pool on one host. Made by :meth:`open`."""

    def __init__(self, host: Host, name: str) -> None:
        """Use an active pool."""
        self.host, self.name = host, name

    @classmethod
    async def open(cls, host: Host, *, name: str = NAME, folder: str = "") -> Pool:
        """Find the pool, or make it in ``folder`` (without: ``$RRSIM_VM_FOLDER``, else where libvirt keeps disks).

        Raises:
            HostRefused: libvirt cannot make it there.
        """
        folder = folder or os.environ.get(ENV_FOLDER, "") or _default_folder(host)
        await host.call(f"open the storage pool {name}", lambda c: _open(c, name, folder), 60.0)
        return cls(host, name)

    # --- whole volumes ---

    async def names(self) -> tuple[str, ...]:
        """Return the names of everything in the pool, as the host's folder has it now."""
        await self.refresh()
        return await self._pool("list the volumes", lambda p: tuple(sorted(v.name() for v in p.listAllVolumes())))

    async def look_at(self, name: str) -> Volume | None:
        """Return what a volume is like now; nothing if there is none."""
        return await self._pool(f"look at {name}", lambda p: _look_at(p, name))

    async def create(self, name: str, capacity_bytes: int) -> str:
        """Make an empty raw volume, at first without content, and return its path on the host.

        Raises:
            HostRefused: there is one of that name: exactly one of two callers succeeds.
            DiskFull: the host has no room.
        """
        xml = _volume_xml(name, "raw", capacity_bytes)
        return await self._pool(f"make {name}", lambda p: str(p.createXML(xml).path()))

    async def overlay(self, name: str, backing: str, backing_format: str = "qcow2") -> str:
        """Make a disk on top of a read-only one, given by volume name, and return its path on the host.

        Raises:
            HostRefused: there is one of that name, or the backing volume is gone.
            DiskFull: the host has no room.
        """
        def make(pool: Any) -> str:
            below = pool.storageVolLookupByName(backing).path()
            return str(pool.createXML(_volume_xml(name, "qcow2", None, below, backing_format)).path())

        return await self._pool(f"make the disk {name} on {backing}", make)

    async def delete(self, name: str) -> bool:
        """Delete a volume; return whether there was one."""
        def remove(pool: Any) -> bool:
            import libvirt

            try:
                pool.storageVolLookupByName(name).delete()
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL or "No such file" in str(error):
                    return False
                raise
            return True

        return await self._pool(f"delete {name}", remove)

    async def free_mib(self) -> int:
        """Return how much room the host's folder has, in MiB."""
        await self.refresh()
        return await self._pool("look for room", lambda p: int(p.info()[3]) // MIB)

    async def require_room(self, mib: int = FREE_MIB_MIN) -> None:
        """Check that a machine can be started.

        Raises:
            DiskFull: it cannot; the text names the folder.
        """
        free = await self.free_mib()
        if free < mib:
            folder = await self.folder()
            raise DiskFull(
                f"expected {mib} MiB of room in {folder} on {self.host.info.name}, saw {free}; make room, remove old "
                f"ready states and images (rrsim reap --list), or name another folder: {ENV_FOLDER}"
            )

    async def folder(self) -> str:
        """Return the pool's folder on the host."""
        return await self._pool("find the folder", _folder)

    async def refresh(self) -> None:
        """Have libvirt look at the folder again, to see files that came by another way than the pool."""
        await self._pool("look at the folder again", lambda p: p.refresh(), retry_busy=True)

    # --- content ---

    async def read(self, name: str, offset: int = 0, length: int = 0) -> bytes:
        """Return bytes of a volume; all of it for length 0, but never more than :data:`READ_MAX_BYTES`."""
        def download(pool: Any) -> bytes:
            data = bytearray()
            for chunk in _download(pool, name, offset, length or READ_MAX_BYTES + 1, whole=not length):
                data += chunk
                if len(data) > READ_MAX_BYTES:
                    raise VmError(f"{name} has more than {READ_MAX_BYTES} bytes; it is not read into memory")
            return bytes(data)

        return await self._pool(f"read {name}", download)

    async def write(self, name: str, data: bytes, offset: int = 0) -> None:
        """Write bytes into a volume; it is as long afterwards as it was."""
        pieces = (data[at:at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))
        await self._pool(f"write {name}", lambda p: _upload(p, name, pieces, offset, len(data)))

    async def upload(self, name: str, file: Path, sha256: str = "", progress: Progress | None = None) -> str:
        """Make a volume with the content of a file of this computer and return its path on the host.

        Raises:
            ImageCorrupt: the file's checksum is not ``sha256``; nothing is left in the pool.
            HostRefused: there is a volume of that name.
            DiskFull: the host has no room.
        """
        size = size_of(file)
        digest = hashlib.sha256()
        path = await self.create(name, size)

        def chunks() -> Iterator[bytes]:
            with file.open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    yield chunk

        if progress is not None:
            progress(f"uploading {file.name} ({size // MIB} MiB) to {self.host.info.name}")
        try:
            await self._pool(f"upload {file.name}", lambda p: _upload(p, name, chunks(), 0, size), UPLOAD_LIMIT_S)
            if sha256 and digest.hexdigest() != sha256:
                raise ImageCorrupt(
                    f"expected {file} to have the checksum {sha256[:16]}…, saw {digest.hexdigest()[:16]}…; the file "
                    "was changed or damaged after it was built; build the image again"
                )
        except BaseException:
            with contextlib.suppress(VmError):  # cancelled in mid-upload: it has no mark, and the next run deletes it
                await self.delete(name)
            raise
        return path

    async def copy(self, name: str, new: str) -> str:
        """Make a volume with the content of another one, on the host, and return its path there.

        Raises:
            HostRefused: there is a volume of the new name, or none of the other.
        """
        def clone(pool: Any) -> str:
            source = pool.storageVolLookupByName(name)
            return str(pool.createXMLFrom(_volume_xml(new, "raw", source.info()[1]), source).path())

        return await self._pool(f"copy {name}", clone, UPLOAD_LIMIT_S)

    async def checksum(self, name: str, offset: int = 0) -> str:
        """Return the sha256 of a volume's content from a place on, as hexadecimal digits."""
        def read(pool: Any) -> str:
            digest = hashlib.sha256()
            for chunk in _download(pool, name, offset, 0, whole=True):
                digest.update(chunk)
            return digest.hexdigest()

        return await self._pool(f"check {name}", read, UPLOAD_LIMIT_S)

    # --- how requests are made ---

    async def _pool(
        self, what: str, function: Callable[[Any], T], limit_s: float = 60.0, *, retry_busy: bool = False
    ) -> T:
        """Call ``function(pool)``; where asked, wait while another's upload keeps the pool busy."""
        until_us = live_clock.monotonic_us() + int(BUSY_LIMIT_S * 1e6)
        while True:
            try:
                return await self.host.call(what, lambda c: function(_lookup(c, self.name)), limit_s)
            except HostRefused as error:
                if "No space left" in str(error) or "Disk quota" in str(error):
                    raise DiskFull(
                        f"{error}; make room where the pool {self.name} of {self.host.info.name} lies, or name another "
                        f"folder: {ENV_FOLDER}"
                    ) from error
                busy = "asynchronous jobs" in str(error) or "being built" in str(error)
                if not (retry_busy and busy) or live_clock.monotonic_us() > until_us:
                    raise
            await pause(100_000)


def size_of(file: Path) -> int:
    """Return the size of a file of this computer, in bytes."""
    return file.stat().st_size


def _default_folder(host: Host) -> str:
    """Where libvirt may read and write: its own folder for the system's, the user's state for a session's."""
    if host.is_mock or urlsplit(host.uri).path.startswith("/system"):
        return "/var/lib/libvirt/images/rrsim"
    if host.is_local:
        return str(Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "rrsim" / "vm")
    return "/var/tmp/rrsim-vm"  # noqa: S108 -- a remote user's home is not known here; files in it are the hypervisor's own


def _open(connection: Any, name: str, folder: str) -> None:
    """Find, or define, build and start the pool; another runner may do the same at this moment."""
    import libvirt

    pool_element = ElementTree.Element("pool", type="dir")
    ElementTree.SubElement(pool_element, "name").text = name
    target = ElementTree.SubElement(pool_element, "target")
    ElementTree.SubElement(target, "path").text = folder
    ElementTree.SubElement(ElementTree.SubElement(target, "permissions"), "mode").text = "0711"
    try:
        pool = connection.storagePoolLookupByName(name)
    except libvirt.libvirtError:
        with contextlib.suppress(libvirt.libvirtError):
            connection.storagePoolDefineXML(ElementTree.tostring(pool_element, encoding="unicode"))
        pool = connection.storagePoolLookupByName(name)
    if not pool.isActive():
        with contextlib.suppress(libvirt.libvirtError):  # it was built, or started, by somebody else
            pool.build()
        with contextlib.suppress(libvirt.libvirtError):
            pool.create()
    if not pool.isActive():
        pool.create()
    with contextlib.suppress(libvirt.libvirtError):
        pool.setAutostart(1)


def _lookup(connection: Any, name: str) -> Any:
    """The pool; started again if libvirtd was restarted and did not do so itself."""
    import libvirt

    pool = connection.storagePoolLookupByName(name)
    if not pool.isActive():
        with contextlib.suppress(libvirt.libvirtError):
            pool.create()
    return pool


def _folder(pool: Any) -> str:
    root = ElementTree.fromstring(pool.XMLDesc())  # noqa: S314 -- libvirt's own
    return root.findtext("target/path") or ""


def _volume_xml(
    name: str, format_: str, capacity_bytes: int | None, backing: str = "", backing_format: str = ""
) -> str:
    volume = ElementTree.Element("volume")
    ElementTree.SubElement(volume, "name").text = name
    if capacity_bytes is not None:
        ElementTree.SubElement(volume, "capacity", unit="bytes").text = str(capacity_bytes)
        ElementTree.SubElement(volume, "allocation", unit="bytes").text = "0"
    target = ElementTree.SubElement(volume, "target")
    ElementTree.SubElement(target, "format", type=format_)
    if backing:
        below = ElementTree.SubElement(volume, "backingStore")
        ElementTree.SubElement(below, "path").text = backing
        ElementTree.SubElement(below, "format", type=backing_format)
    return ElementTree.tostring(volume, encoding="unicode")


def _look_at(pool: Any, name: str) -> Volume | None:
    import libvirt

    try:
        volume = pool.storageVolLookupByName(name)
        root = ElementTree.fromstring(volume.XMLDesc())  # noqa: S314 -- libvirt's own
        _, capacity, allocated = volume.info()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL or "No such file" in str(error):
            return None
        raise
    return Volume(name, volume.path(), capacity, allocated, root.findtext("target/timestamps/mtime") or "")


def _download(pool: Any, name: str, offset: int, length: int, *, whole: bool) -> Iterator[bytes]:
    volume = pool.storageVolLookupByName(name)
    stream = pool.connect().newStream()
    volume.download(stream, offset, 0 if whole else length)
    try:
        while chunk := stream.recv(CHUNK_BYTES):
            yield chunk
        stream.finish()
    except BaseException:
        _abort(stream)
        raise


def _upload(pool: Any, name: str, chunks: Iterator[bytes], offset: int, length: int) -> None:
    """Send bytes; runs of zeros are sent as holes, so that a sparse file stays one."""
    import libvirt

    volume = pool.storageVolLookupByName(name)
    stream = pool.connect().newStream()
    volume.upload(stream, offset, length, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
    try:
        for chunk in chunks:
            if chunk.count(0) == len(chunk):
                stream.sendHole(len(chunk))
                continue
            rest = memoryview(chunk)
            while rest:
                sent = stream.send(bytes(rest))
                rest = rest[sent:]
        stream.finish()
    except BaseException:
        _abort(stream)
        raise


def _abort(stream: Any) -> None:
    import libvirt

    with contextlib.suppress(libvirt.libvirtError):
        stream.abort()
