"""A guest that boots in seconds under emulation: Debian's kernel, busybox and a shell script that obeys a virtio port.

Its parts are downloaded as Debian packages into a cache outside the repository, unpacked without root, and packed as an
initial RAM disk. It obeys the port ``org.rrsim.guest.0``, a line each: ``boot`` (boot id), ``reboot``,
``off``, ``crash``, ``uptime``, ``disk`` (the first word on its disk), ``put WORD`` (write it there), ``link``,
``keys`` (what was typed on its console), ``mouse`` (last absolute positions), ``uuid``; anything else is echoed.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import msgspec

from rrsim.images.description import Built, Description, Hardware

PACKAGES = ("linux-image-amd64", "busybox-static")
MODULES = (
    "virtio_pci", "virtio_console", "virtio_blk", "virtio_net", "virtio-rng", "xhci-pci", "usbhid", "hid-generic",
    "evdev",
)
VERSION = "8"
"""Changed with anything below, so that an older cache is not used."""

INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
read cmdline < /proc/cmdline
case "$cmdline" in *tiny.hang*) echo "tiny guest hangs"; while true; do sleep 60; done;; esac
case "$cmdline" in *tiny.loop*) echo "tiny guest loops"; reboot -f;; esac
for m in $(cat /modules); do insmod /lib/$m; done 2>/dev/null
mkdir -p /tmp
port=
while [ -z "$port" ]; do
  for p in /sys/class/virtio-ports/*; do
    [ "$(cat $p/name 2>/dev/null)" = org.rrsim.guest.0 ] && port=/dev/${p##*/}
  done
  [ -n "$port" ] || sleep 0.1
done
ip link set eth0 up 2>/dev/null
(while true; do head -n 1 >> /tmp/keys; done < /dev/tty1) &
(sleep 1; for e in /dev/input/event*; do cat $e > /tmp/raw.${e##*/} & done) &
echo "tiny guest is up, boot $(cat /proc/sys/kernel/random/boot_id)"
echo "line two" > /dev/ttyS1
exec 3<>$port
echo "ready" >&3
(while read line < /dev/ttyS1; do echo "modem:$line" > /dev/ttyS1; done) &
while true; do
  read line <&3 || { sleep 0.1; continue; }
  case "$line" in
    boot) cat /proc/sys/kernel/random/boot_id >&3;;
    uptime) cat /proc/uptime >&3;;
    reboot) reboot -f;;
    off) poweroff -f;;
    crash) echo c > /proc/sysrq-trigger;;
    disk) head -c 32 /dev/vda | head -n 1 | tr -d '\0\n' >&3; echo >&3;;
    put*) echo "${line#put }" > /tmp/w; dd if=/tmp/w of=/dev/vda conv=notrunc,fsync 2>/dev/null; echo done >&3;;
    fill) dd if=/dev/urandom of=/dev/vda bs=1M count=64 conv=fsync 2>/dev/null; echo filled >&3;;
    link) cat /sys/class/net/eth0/carrier >&3;;
    keys) tail -n 1 /tmp/keys | od -An -tx1 | tr -d ' \n' >&3; echo >&3;;
    mouse) for r in /tmp/raw.*; do od -An -v -tx1 -w24 $r; done | tr -d ' ' | cut -c33- | grep '^0300' | tail -n 2 \
           | tr '\n' ' ' >&3; echo >&3;;
    uuid) cat /sys/class/dmi/id/product_uuid >&3;;
    *) echo "echo $line" >&3;;
  esac
done
"""


def build(folder: Path) -> Path:
    """Return the tiny guest's image folder, made below ``folder`` if it is not there. One process makes it."""
    name = hashlib.sha256((VERSION + INIT + " ".join(MODULES)).encode()).hexdigest()[:12]
    image = folder / f"tiny-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (image / "manifest.json").is_file():
            _make(folder, image)
    return image


def variant(image: Path, into: Path, **changes: object) -> Path:
    """Return a copy of the image in ``into`` with another description (``command_line``, ``hardware`` …)."""
    into.mkdir(parents=True)
    for file in image.iterdir():
        if file.name != "manifest.json":
            os.link(file, into / file.name)
    built = msgspec.json.decode((image / "manifest.json").read_bytes(), type=Built)
    description = msgspec.structs.replace(built.description, **changes)
    digest = hashlib.sha256((built.digest + repr(description)).encode()).hexdigest()
    (into / "manifest.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(built, description=description, digest=digest))
    )
    return into


def _make(folder: Path, image: Path) -> None:
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(image, ignore_errors=True)
    tree = work / "tree"
    root = work / "root"
    for part in (tree, root / "bin", root / "lib", root / "dev", root / "proc", root / "sys", image):
        part.mkdir(parents=True)
    for package in PACKAGES:
        unpack(folder, package, tree)
    version = next((tree / "lib" / "modules").iterdir()).name
    shutil.copy(tree / "bin" / "busybox", root / "bin" / "busybox")
    names = copy_modules(tree / "lib" / "modules" / version, root / "lib")
    (root / "modules").write_text("\n".join(names) + "\n")
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    shutil.copy(tree / "boot" / f"vmlinuz-{version}", image / "vmlinuz")
    (image / "initrd.img").write_bytes(gzip.compress(archive(root), 1))
    _run("qemu-img", "create", "-q", "-f", "qcow2", str(image / "disk.qcow2"), "96M")
    _write_manifest(image)
    shutil.rmtree(work)


def _write_manifest(image: Path) -> None:
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(image.iterdir())}
    description = Description(
        name="tiny", title="Tiny Linux for tests", windows="wine",
        hardware=Hardware(memory_mib=160, disk_gib=1), shells=("guest daemon",),
        command_line="console=tty0 console=ttyS0 quiet panic=1 tsc=unstable",
    )
    digest = hashlib.sha256(repr((description, files)).encode()).hexdigest()
    built = Built(description=description, digest=digest, made="2026-01-01T00:00:00Z", files=files)
    (image / "manifest.json").write_bytes(msgspec.json.encode(built))


def unpack(folder: Path, package: str, tree: Path) -> None:
    """Download a package, or the one it stands for, and unpack it."""
    shown = _run("apt-cache", "show", package)
    if package.startswith("linux-image"):
        package = next(
            word for line in shown.splitlines() if line.startswith("Depends:") for word in line.split()
            if word.startswith("linux-image-")
        )
    into = folder / "debs" / package
    into.mkdir(parents=True, exist_ok=True)
    if not list(into.glob("*.deb")):
        _run("apt-get", "-q", "download", package, cwd=into)
    _run("dpkg-deb", "-x", str(next(into.glob("*.deb"))), str(tree))


def copy_modules(modules: Path, into: Path, wanted_ones: tuple[str, ...] = MODULES) -> list[str]:
    """Copy the wanted modules with what they depend on; return their file names in the order of loading."""
    there = {file.stem.replace("-", "_"): file for file in modules.rglob("*.ko")}
    order: list[str] = []

    def take(name: str) -> None:
        file = there.get(name.replace("-", "_"))
        if file is None or file.name in order:
            return  # built into the kernel, or taken already
        data = file.read_bytes()
        for field in data.split(b"\0"):
            if field.startswith(b"depends=") and field != b"depends=":
                for needed in field.removeprefix(b"depends=").decode().split(","):
                    take(needed)
        order.append(file.name)
        (into / file.name).write_bytes(data)

    for wanted in wanted_ones:
        take(wanted)
    return order


def archive(root: Path) -> bytes:
    """Return a folder as the kernel wants it: cpio's "newc" format."""
    out = bytearray()
    entries = [(file.relative_to(root).as_posix(), file) for file in sorted(root.rglob("*"))]
    for number, (name, file) in enumerate([*entries, ("TRAILER!!!", None)], 1):
        data = file.read_bytes() if file is not None and file.is_file() else b""
        mode = file.stat().st_mode if file is not None else 0
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def _run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, check=True, cwd=cwd, capture_output=True, text=True, timeout=300).stdout
