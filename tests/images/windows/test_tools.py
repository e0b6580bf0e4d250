"""With the host's real programs: the PROVISION medium and the disks, and how a missing or failing program is named."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rrsim.images.windows import disks, iso9660, recipe, tools
from rrsim.images.windows import provision_medium as provision
from rrsim.images.windows.tools import ToolFailed
from tests.images.windows.media_rig import openssh_zip

ROOT = Path(__file__).parents[3] / "vm_images"
needs_qemu = pytest.mark.libvirt


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolFailed, match="the program qemu-img, saw none; try: sudo apt-get install qemu-utils"):
        disks.create(tmp_path / "disk", 1)


def test_a_program_that_fails_or_hangs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path, "xorriso", "echo it is broken >&2; exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ToolFailed, match="saw it end with 3: it is broken"):
        tools.run("xorriso", [], 10)
    program(tmp_path, "xorriso", "exec tail -f /dev/null")
    with pytest.raises(ToolFailed, match=r"done within 0\.3 s"):
        tools.run("xorriso", [], 0.3)


def test_a_failed_copy_leaves_no_half_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path, "qemu-img", '[ "$1" = check ] && exit 0; for last; do :; done; echo half > "$last"; exit 1')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ToolFailed):
        disks.compact(tmp_path / "source", tmp_path / "target.qcow2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["qemu-img"]


def test_a_failed_medium_leaves_nothing_with_a_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin", "xorriso", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    ssh = openssh_zip(tmp_path / "ssh.zip")
    with pytest.raises(ToolFailed):
        provision.write(tmp_path / "p.iso", b"secret", b"{}", ssh, None, tmp_path / "scratch")
    with pytest.raises(provision.MediumFailed, match="No such file"):
        provision.write(tmp_path / "p.iso", b"secret", b"{}", tmp_path / "none.zip", None, tmp_path / "scratch")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "ssh.zip"]


def years(path: Path) -> list[int]:
    """The year of every entry of the root folder."""
    content = path.read_bytes()
    block, size = (int.from_bytes(content[16 * 2048 + at : 16 * 2048 + at + 4], "little") for at in (158, 166))
    folder, at, found = content[block * 2048 : block * 2048 + size], 0, []
    while at < size and folder[at]:
        found.append(1900 + folder[at + 18])
        at += folder[at]
    return found


@needs_qemu
def test_the_medium_holds_everything_and_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    said = provision.settings(recipe.read(ROOT, "windows-11"), "0" * 64)
    ssh = openssh_zip(tmp_path / "ssh.zip")
    book = b"[Provider]\r\n"
    targets = [tmp_path / "one.iso", tmp_path / "two.iso"]
    for number, target in enumerate(targets):
        os.utime(ssh, (number, number))
        provision.write(target, b"<answers/>", said, ssh, book, tmp_path / f"scratch{number}")
    assert targets[0].read_bytes() == targets[1].read_bytes()
    assert targets[0].stat().st_mode & 0o777 == 0o600
    assert set(years(targets[0])) == {2020}
    assert iso9660.label(targets[0]) == "PROVISION"
    names = set(iso9660.root_names(targets[0]))
    assert {"autounattend.xml", "settings.json", "openssh.zip", "rasphone.pbk", "rrsim-provision.ps1"} <= names
    assert {path.name for path in provision.scripts()} <= names
    assert not list(tmp_path.glob("scratch*"))
    assert book in targets[0].read_bytes()
    assert b"Set-StrictMode -Version Latest\r\n" in targets[0].read_bytes()


@needs_qemu
def test_a_disk_is_made_and_compacted(tmp_path: Path) -> None:
    source, target = tmp_path / "source.qcow2", tmp_path / "target.qcow2"
    disks.create(source, 1)
    subprocess.run(["qemu-io", "-c", "write -P 7 0 8M", str(source)], check=True, capture_output=True)
    disks.compact(source, target)
    assert target.stat().st_size < source.stat().st_size / 4
    subprocess.run(["qemu-img", "compare", str(source), str(target)], check=True, capture_output=True)
    source.write_bytes(source.read_bytes()[:1000])
    with pytest.raises(ToolFailed, match="qemu-img to succeed, saw it end with"):
        disks.compact(source, tmp_path / "other.qcow2")
    assert not list(tmp_path.glob("*.new"))
