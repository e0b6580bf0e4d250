"""The parts of an image: recipe, package lists, the kernel's first files, libraries, the prefix, the disk."""

from __future__ import annotations

import lzma
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rrsim.images import disk, elf, initramfs, recipe, tree
from rrsim.images.description import Description, Hardware
from rrsim.images.errors import ImageError
from rrsim.images.packages import Archive, Package

WINE = Package("wine64", "8.0~repack-4", "pool/w/wine64_8.0~repack-4_amd64.deb", "a" * 64, 10)
BASE = Package("base-files", "12", "pool/b/base-files_12_amd64.deb", "b" * 64, 10)


ONE = Description(name="one", title="T", windows="wine", hardware=Hardware(512), shells=("ssh",))


def test_the_recipes_word_changes_with_anything_the_image_is_made_from(tmp_path: Path) -> None:
    """And with nothing else: a README may be mended without a build."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "init").write_text("one", encoding="ascii")
    first = recipe.sources(ONE, tmp_path, "prefix")
    words = {first, recipe.sources(msgspec.structs.replace(ONE, keyboard="de"), tmp_path, "prefix")}
    words.add(recipe.sources(ONE, tmp_path, "another prefix"))
    (tmp_path / "README.md").write_text("new", encoding="ascii")
    assert recipe.sources(ONE, tmp_path, "prefix") == first
    (tmp_path / "files" / "init").write_text("two", encoding="ascii")
    words.add(recipe.sources(ONE, tmp_path, "prefix"))
    assert len(words) == 4
    whole = {
        recipe.digest(first, [WINE, BASE]), recipe.digest(first, [WINE]),
        recipe.digest(first, [WINE, Package("base-files", "13", BASE.file_name, BASE.sha256, 10)]),
        recipe.digest(first, [WINE, Package("base-files", "12", BASE.file_name, "c" * 64, 10)]),
    }
    assert len(whole) == 4
    assert recipe.digest(first, [BASE, WINE]) == recipe.digest(first, [WINE, BASE])


def test_checksums_come_from_the_archives_list(tmp_path: Path) -> None:
    """The chosen version's, and a package that the list lacks is an error."""
    lists = tmp_path / "state" / "lists"
    lists.mkdir(parents=True)
    blocks = [
        f"Package: {one.name}\nVersion: {one.version}\nFilename: {one.file_name}\nSHA256: {one.sha256}\nSize: 10\n"
        "Description: a\n more"
        for one in (msgspec.structs.replace(WINE, version="7.0", sha256="0" * 64), WINE, BASE)
    ]
    (lists / "debian_main_binary-amd64_Packages").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    (lists / "debian_InRelease").write_text("Origin: Debian\nDate: Sat, 11 Jul 2026 10:16:02 UTC\n", encoding="ascii")
    archive = Archive(tmp_path, "bookworm")
    assert sorted(archive._records({"wine64": WINE.version, "base-files": "12"})) == [BASE, WINE]
    with pytest.raises(ImageError, match="none for base-files"):
        archive._records({"base-files": "13"})
    assert archive.date_s() == 1783764962


def _module(tree_: Path, name: str, needs: str) -> None:
    (tree_ / "kernel").mkdir(exist_ok=True, parents=True)
    (tree_ / "kernel" / f"{name}.ko").write_bytes(b"\x7fELF\0license=GPL\0depends=" + needs.encode() + b"\0name=x\0")


def test_kernel_modules_come_after_what_they_need(tmp_path: Path) -> None:
    """Hyphens and underscores are one; what is built in is not looked for."""
    _module(tmp_path, "ext4", "jbd2,crc16,built-in")
    _module(tmp_path, "jbd2", "crc16")
    _module(tmp_path, "crc16", "")
    _module(tmp_path, "virtio-gpu", "crc16")
    (tmp_path / "modules.builtin").write_text("kernel/lib/built-in.ko\n", encoding="ascii")
    order = [path.stem for path in initramfs.modules_in_order(tmp_path, ["ext4", "virtio_gpu", "built_in"])]
    assert order == ["crc16", "jbd2", "ext4", "virtio-gpu"]
    with pytest.raises(ImageError, match="absent"):
        initramfs.modules_in_order(tmp_path, ["absent"])


def _read_cpio(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Read an archive as its format's description has it: name to mode and content."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        assert data[at + 110 + name_size - 1] == 0
        start = (at + 110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[start : start + size])
        at = (start + size + 3) // 4 * 4


def test_the_first_files_are_an_archive_by_the_format(tmp_path: Path) -> None:
    """The keys follow in an archive of their own; the same files give the same bytes."""
    _module(tmp_path, "ext4", "")
    modules = [tmp_path / "kernel" / "ext4.ko"]
    made = initramfs.first_files(b"busybox", b"#!script", modules)
    assert made == initramfs.first_files(b"busybox", b"#!script", modules)
    read = _read_cpio(made)
    assert read["init"] == (0o100755, b"#!script")
    assert read["modules/000-ext4.ko"] == (0o100644, modules[0].read_bytes())
    assert read["new"][0] == 0o040755
    keys = _read_cpio(initramfs.key_files({"id": b"secret!"}))
    assert keys == {"keys": (0o040700, b""), "keys/id": (0o100600, b"secret!")}
    assert len(made) % 512 == 0


def test_a_kernel_is_unpacked_only_if_it_can_start_without_its_loader() -> None:
    """The PVH entry is marked by a note of Xen's."""
    kernel = b"\x7fELF" + bytes(100) + b"Xen\0" + bytes(10)
    assert initramfs.unpacked_kernel(b"MZ boot code" + lzma.compress(kernel) + b"tail") == kernel
    with pytest.raises(ImageError, match="PVH"):
        initramfs.unpacked_kernel(lzma.compress(b"\x7fELF" + bytes(100)))
    with pytest.raises(ImageError, match="xz"):
        initramfs.unpacked_kernel(b"gzip")


def test_libraries_are_read_from_a_program() -> None:
    """This Python's own, for one, as the system's loader sees it."""
    program = Path(shutil.which("bash") or sys.executable).resolve()
    seen = elf.needed(program.read_bytes())
    assert "libc.so.6" in seen
    assert elf.needed(b"#!/bin/sh\n") == []


def test_a_missing_library_stops_the_build(tmp_path: Path) -> None:
    """With the program that needs it."""
    program = tmp_path / "usr/bin/bash"
    program.parent.mkdir(parents=True)
    shutil.copy2(Path(shutil.which("bash") or "/bin/bash").resolve(), program)
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    names = elf.needed(program.read_bytes())
    for name in names:
        (libraries / name).touch()
    tree.require_libraries(tmp_path)
    (libraries / names[0]).unlink()
    with pytest.raises(ImageError, match=f"{names[0]} in the guest, for usr/bin/bash"):
        tree.require_libraries(tmp_path)


def test_the_prefix_becomes_the_guests(tmp_path: Path) -> None:
    """Windows' user is the customer, nothing points out of the guest, and Wine's own libraries are there once."""
    root, prepared = tmp_path / "root", tmp_path / "prefix"
    shared = root / "usr/lib/x86_64-linux-gnu/wine/x86_64-windows"
    shared.mkdir(parents=True)
    system32 = prepared / "drive_c/windows/system32"
    system32.mkdir(parents=True)
    for name, own in (("kernel32.dll", b"same"), ("advapi32.dll", b"stand-in")):
        (shared / name).write_bytes(b"same")
        (system32 / name).write_bytes(own)
    profile = prepared / "drive_c/users/root"
    profile.mkdir(parents=True)
    (prepared / "drive_c/users/Public").mkdir()
    (profile / "Desktop").symlink_to("/root")
    (prepared / "dosdevices").mkdir()
    (prepared / "dosdevices" / "z:").symlink_to("/")
    (prepared / "dosdevices" / "c:").symlink_to("../drive_c")
    (prepared / "wineserver").write_text("/tmp/x", encoding="ascii")
    (prepared / "user.reg").write_text(
        '"Desktop"="C:\\\\users\\\\root\\\\Desktop"\n'
        '"P"="C:\\\\users\\\\root"\n"R"="C:\\\\users\\\\rooted"\n', encoding="utf-8"
    )
    tree.add_prefix(root, prepared)
    made = root / "home/customer/prefix"
    assert (made / "drive_c/users/customer/Desktop").is_dir()
    assert not (made / "drive_c/users/customer/Desktop").is_symlink()
    assert not (made / "drive_c/users/root").exists()
    assert sorted(path.name for path in (made / "dosdevices").iterdir()) == ["c:"]
    assert not (made / "wineserver").exists()
    registry = (made / "user.reg").read_text(encoding="utf-8")
    assert "users\\\\customer\\\\Desktop" in registry
    assert '"C:\\\\users\\\\customer"' in registry
    assert "users\\\\rooted" in registry
    assert (made / "drive_c/windows/system32/kernel32.dll").stat().st_ino == (shared / "kernel32.dll").stat().st_ino
    assert (made / "drive_c/windows/system32/advapi32.dll").read_bytes() == b"stand-in"
    assert (prepared / "drive_c/users/root/Desktop").is_symlink()  # the template itself is as it was


@pytest.mark.skipif(shutil.which("mke2fs", path="/usr/sbin:/sbin") is None, reason="needs mke2fs")
def test_the_disk_has_the_trees_files_with_owners_and_one_time(tmp_path: Path) -> None:
    """Whoever builds it; the customer's files are the customer's, also those with a space in their name."""
    root = tmp_path / "root"
    (root / "home/customer/Program Files").mkdir(parents=True)
    (root / "home/customer/Program Files/a b").write_text("x", encoding="ascii")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("x", encoding="ascii")
    raw = tmp_path / "raw"
    epoch_s = 1_750_000_000
    disk.make(root, {"/home/customer": 1000}, 1, raw, epoch_s)
    ask = disk.program("debugfs")
    mine = disk.call(ask, "-R", 'stat "/home/customer/Program Files/a b"', raw, epoch_s=epoch_s)
    roots = disk.call(ask, "-R", "stat /etc/passwd", raw, epoch_s=epoch_s)
    assert "User:  1000   Group:  1000" in mine
    assert "User:     0   Group:     0" in roots
    times = [line for line in mine.splitlines() if line.lstrip().startswith(("ctime", "mtime", "crtime", "atime"))]
    assert len(times) == 4
    assert len({line.split("--")[1].strip() for line in times}) == 1
    checked = subprocess.run([disk.program("e2fsck"), "-fn", raw], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
