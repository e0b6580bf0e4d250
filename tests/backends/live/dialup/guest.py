"""A small Linux machine with a modem and no network card, for proofs: Debian's kernel, busybox, pppd, in memory only.

Built once from Debian packages (``apt-get download``, nothing is installed) into rrsim's cache folder; QEMU emulates
the processor, so no KVM is needed. The machine is talked to over its first serial port, line by line; the modem is the
second.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import stat
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

from rrsim.backends.live.dialup.line import AsyncioStream, open_unix
from rrsim.backends.live.wine.parts import cache_home

PACKAGES = (
    "busybox-static", "ppp", "libc6", "libpam0g", "libpcap0.8", "libssl3", "libcrypt1", "libsystemd0", "libaudit1",
    "libcap-ng0", "libdbus-1-3", "libcap2", "libgcrypt20", "libgpg-error0", "liblzma5", "libzstd1", "liblz4-1",
)
KERNEL = "linux-image-amd64"
MODULES = ("slip/slhc.ko", "ppp/ppp_generic.ko", "ppp/ppp_async.ko")
PROGRAMS = ("usr/sbin/pppd", "usr/sbin/chat")
NEEDED = ("qemu-system-x86_64", "apt-get", "dpkg-deb", "slirp-fullbolt")
INIT = """#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in slhc ppp_generic ppp_async; do insmod /modules/$m.ko; done
ip link set lo up
stty -F /dev/ttyS0 -echo -onlcr -icrnl
exec </dev/ttyS0 >/dev/ttyS0 2>&1
echo READY
while read -r line; do
  sh -c "$line" </dev/null
  echo "DONE $?"
done
"""
CHAT = (
    "ABORT BUSY ABORT 'NO CARRIER' ABORT 'NO DIALTONE' ABORT 'NO ANSWER' ABORT ERROR TIMEOUT 60 "
    "'' ATZ OK ATDT5551234 CONNECT ''"
)
"""What the machine's ``chat`` waits for and sends; its exit code is 4 for the first abort string, 5 for the second …"""
ABORTED = {"BUSY": 4, "NO CARRIER": 5, "NO DIALTONE": 6, "NO ANSWER": 7, "ERROR": 8}
PPPD = (
    "pppd /dev/ttyS1 115200 local noauth defaultroute noipdefault {options} logfile /tmp/ppp.log "
    "connect 'chat -v -s -S -f /tmp/chat'"
)
"""Only what every caller without a telephone bill needs: the provider copes with all of PPP that pppd offers."""


class GuestFailed(AssertionError):
    """The machine did not do what it was told; carries what it said."""


def missing() -> str:
    """Name the programs that the machine needs and that are not here; empty if all are."""
    return ", ".join(name for name in NEEDED if shutil.which(name) is None)


def build() -> Path:
    """Return the folder with ``vmlinuz`` and ``initrd``, made at the first call."""
    recipe = repr((2, PACKAGES, MODULES, PROGRAMS, INIT)).encode()
    home = cache_home() / f"dialup-guest-{sha256(recipe).hexdigest()[:12]}"
    if not (home / "initrd").exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            made = _made(Path(scratch))
            with contextlib.suppress(OSError):  # somebody else was quicker: theirs is as good
                made.rename(home)
    return home


def _made(scratch: Path) -> Path:
    packages, root, tree, made = (scratch / name for name in ("debs", "root", "tree", "made"))
    for folder in (packages, root, tree / "modules", made):
        folder.mkdir(parents=True)
    _run("apt-get", "-o", "APT::Sandbox::User=root", "download", _kernel(), *PACKAGES, cwd=packages)
    for package in packages.iterdir():
        _run("dpkg-deb", "-x", str(package), str(root))
    shutil.copyfile(next((root / "boot").glob("vmlinuz-*")), made / "vmlinuz")
    drivers = next((root / "lib/modules").iterdir()) / "kernel/drivers/net"
    for module in MODULES:
        shutil.copyfile(drivers / module, tree / "modules" / Path(module).name)
    for library in [*root.glob("lib/x86_64-linux-gnu/*.so*"), *root.glob("usr/lib/x86_64-linux-gnu/*.so*")]:
        _put(tree / "lib/x86_64-linux-gnu" / library.name, library)
    _put(tree / "lib64/ld-linux-x86-64.so.2", next(root.glob("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")))
    for program in (*PROGRAMS, "bin/busybox"):
        _put(tree / program, root / program)
    for folder in ("proc", "sys", "dev", "tmp", "etc/ppp", "run", "var/run"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    (tree / "bin/sh").symlink_to("busybox")
    (tree / "etc/ppp/options").touch()
    (tree / "etc/nsswitch.conf").write_text("hosts: files\n")
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    (made / "initrd").write_bytes(_archive(tree))
    return made


def _kernel() -> str:
    found = _run("apt-cache", "depends", KERNEL)
    return next(line.split()[1] for line in found.splitlines() if "Depends: linux-image" in line)


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-500:]}"
    return done.stdout


def _put(target: Path, source: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source.resolve(), target)


def _archive(tree: Path) -> bytes:
    """Pack a folder as the kernel wants it (cpio, newc)."""
    out = bytearray()
    for number, path in enumerate(sorted(tree.rglob("*")), 1):
        facts = path.lstat()
        link = stat.S_ISLNK(facts.st_mode)
        data = str(path.readlink()).encode() if link else path.read_bytes() if path.is_file() else b""
        _entry(out, number, facts.st_mode, path.relative_to(tree).as_posix(), data)
    _entry(out, 0, 0, "TRAILER!!!", b"")
    return bytes(out)


def _entry(out: bytearray, number: int, mode: int, name: str, data: bytes) -> None:
    raw = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    out += b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    out += b"\0" * (-len(out) % 4) + data
    out += b"\0" * (-len(out) % 4)


class Guest:
    """The running machine."""

    def __init__(self, process: asyncio.subprocess.Process, console: AsyncioStream, folder: Path) -> None:
        self.process, self.console, self.folder = process, console, folder
        self.said = ""

    @property
    def modem_path(self) -> Path:
        """Where QEMU offers the modem's serial port."""
        return self.folder / "m"

    async def chat(self) -> int:
        """Only dial; return chat's exit code."""
        await self.ask("stty -F /dev/ttyS1 raw -echo clocal 115200")
        code, _ = await self.ask("chat -f /tmp/chat </dev/ttyS1 >/dev/ttyS1")
        return code

    @classmethod
    async def start(cls, folder: Path) -> Guest:
        """Boot it; ``folder`` has a short path and is empty."""
        made = await asyncio.to_thread(build)
        process = await asyncio.create_subprocess_exec(
            "nice", "-n", "15", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "Nehalem", "-m", "256", "-nodefaults",
            "-display", "none", "-no-reboot", "-kernel", str(made / "vmlinuz"), "-initrd", str(made / "initrd"),
            "-append", "console=ttyS0 quiet loglevel=1 panic=-1 random.trust_cpu=on",
            "-chardev", f"socket,id=c,path={folder / 'c'},server=on,wait=on", "-device", "isa-serial,chardev=c",
            "-chardev", f"socket,id=m,path={folder / 'm'},server=on,wait=off", "-device", "isa-serial,chardev=m",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        console = await open_unix(folder / "c", 10_000_000)
        guest = cls(process, console, folder)
        await guest._until("READY", 90)
        await guest.ask(f'printf "%s" "{CHAT}" > /tmp/chat')
        return guest

    async def ask(self, command: str, limit_s: float = 60) -> tuple[int, str]:
        """Run a command; return its exit code and what it printed."""
        self.said = ""
        self.console.write(command.encode() + b"\n")
        await self._until("DONE ", limit_s)
        said, _, code = self.said.rpartition("DONE ")
        return int(code), said

    async def _until(self, mark: str, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                while not (mark in self.said and self.said.endswith("\n")):
                    data = await self.console.read(4096)
                    if not data:
                        raise GuestFailed(f"the machine is gone; it said: {self.said[-2000:]}")
                    self.said += data.decode(errors="replace").replace("\r", "")
        except TimeoutError:
            raise GuestFailed(f"no {mark!r} within {limit_s} s; it said: {self.said[-2000:]}") from None

    async def close(self) -> None:
        """Switch it off."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.console.closed()
