"""The guest's first file system: a cpio archive with busybox, the kernel's modules in order, and a script.

It is written here, byte for byte, and not packed: unpacking is what an emulated processor is slow at.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rrsim.images.errors import ImageError


class Cpio:
    """A cpio archive (``newc``) with nothing in it that depends on when or where it was made."""

    def __init__(self) -> None:
        """Begin an empty archive."""
        self._parts: list[bytes] = []
        self._inode = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        """Add one entry; ``mode`` has the kind of file in it, as in ``stat``."""
        self._inode += 1
        path = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        head = b"070701" + b"".join(b"%08X" % one for one in fields) + path
        self._parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]

    def folder(self, name: str) -> None:
        """Add a folder."""
        self.add(name, 0o040755)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self.add(name, 0o100000 | mode, data)

    def bytes(self) -> bytes:
        """Return the whole archive; another one may follow it in the same file."""
        self.add("TRAILER!!!", 0)
        done = b"".join(self._parts)
        return done + bytes(-len(done) % 512)


def modules_in_order(tree: Path, wanted: Sequence[str]) -> list[Path]:
    """Return kernel modules with all that they need, each after what it needs.

    Raises:
        ImageError: the kernel has no such module.
    """
    files = {_name(path): path for path in sorted(tree.rglob("*.ko"))}
    built_in = {_name(Path(line)) for line in _lines(tree, "modules.builtin")}
    order: dict[str, Path] = {}

    def need(name: str) -> None:
        if name in order or name in built_in:
            return
        if name not in files:
            raise ImageError(f"a kernel module {name}", f"none in {tree}", "another kernel package, or leaving it out")
        for other in _needs(files[name]):
            need(other)
        order[name] = files[name]

    for name in wanted:
        need(name.replace("-", "_"))
    return list(order.values())


def _lines(tree: Path, name: str) -> Iterable[str]:
    for path in tree.rglob(name):
        yield from path.read_text(encoding="ascii").splitlines()


def _name(path: Path) -> str:
    return path.name.partition(".")[0].replace("-", "_")


def _needs(path: Path) -> list[str]:
    """Return what a module says that it depends on."""
    found = re.search(rb"\0depends=([^\0]*)\0", b"\0" + path.read_bytes())
    return [one.replace("-", "_") for one in found[1].decode().split(",") if one] if found else []


def unpacked_kernel(packed: bytes) -> bytes:
    """Return the kernel that is packed in a ``bzImage``: an emulated processor takes seconds to unpack it itself.

    Raises:
        ImageError: it is not packed with xz, or it could not be started without its own loader.
    """
    where = packed.find(b"\xfd7zXZ\0")
    if where < 0:
        raise ImageError("a kernel packed with xz, as Debian's is", "another kind", "Debian's linux-image-amd64")
    kernel = lzma.LZMADecompressor().decompress(packed[where:])
    if not kernel.startswith(b"\x7fELF") or b"Xen\0" not in kernel:
        raise ImageError("a kernel with the PVH entry", "none", "Debian's linux-image-amd64")
    return kernel


def first_files(busybox: bytes, script: bytes, modules: Sequence[Path]) -> bytes:
    """Return the archive that the kernel starts from."""
    cpio = Cpio()
    for name in ("bin", "dev", "proc", "sys", "new", "modules"):
        cpio.folder(name)
    cpio.add("dev/console", 0o020600, device=(5, 1))
    cpio.file("bin/busybox", busybox, 0o755)
    for number, path in enumerate(modules):
        cpio.file(f"modules/{number:03d}-{_name(path)}.ko", path.read_bytes())
    cpio.file("init", script, 0o755)
    return cpio.bytes()


def key_files(files: dict[str, bytes]) -> bytes:
    """Return an archive of secrets, to be put behind the other one; they end up in ``/run/rrsim/keys``."""
    cpio = Cpio()
    cpio.add("keys", 0o040700)
    for name, data in sorted(files.items()):
        cpio.file(f"keys/{name}", data, 0o600)
    return cpio.bytes()
