"""The files of the guest's disk, put together from unpacked packages; no program of a package is run as a script.

What the packages' scripts would have done and the guest needs (accounts, links of alternatives) is done here.
"""

from __future__ import annotations

import compileall
import filecmp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any, Final

from rrsim.images import elf
from rrsim.images.errors import ImageError

MERGED: Final = ("bin", "sbin", "lib", "lib64")
ALTERNATIVES: Final = {
    "usr/bin/wine": "wine-stable", "usr/bin/wineserver": "wineserver-stable", "usr/bin/awk": "mawk",
}
KEPT_OUT: Final = (
    "./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info", "./usr/share/lintian",
    "./usr/share/bug", "./usr/lib/*/gconv", "./usr/share/X11/locale", "./etc/init.d", "./etc/update-motd.d",
    "./usr/lib/systemd", "./lib/systemd", "./usr/share/bash-completion", "./usr/share/zsh", "./boot",
    "./usr/lib/python3*/test", "./usr/lib/python3*/lib2to3", "./usr/lib/python3*/idlelib",
)
LIBRARY_DIRS: Final = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib/x86_64-linux-gnu/wine/x86_64-unix")
CHECKED: Final = (
    "usr/bin/bash", "usr/bin/dash", "usr/bin/python3.*", "usr/bin/ls", "usr/bin/xkbcomp", "usr/sbin/pppd",
    "usr/sbin/chat", "usr/sbin/sshd", "usr/lib/openssh/sftp-server", "usr/lib/xorg/Xorg",
    "usr/lib/xorg/modules/drivers/modesetting_drv.so", "usr/lib/xorg/modules/input/evdev_drv.so",
    "usr/lib/xorg/modules/libshadow*.so", "usr/lib/wine/wineserver64", "usr/lib/wine/wine64",
    "usr/lib/python3*/lib-dynload/*.so",
    *(f"usr/lib/x86_64-linux-gnu/wine/x86_64-unix/{name}.so" for name in (
        "ntdll", "win32u", "winex11", "bcrypt", "secur32", "crypt32", "ws2_32", "dnsapi", "mountmgr",
    )),
    "usr/lib/x86_64-linux-gnu/lib*.so.*",
)
"""The programs and libraries whose own libraries are looked for at the build."""
CUSTOMER: Final = "customer"
CUSTOMER_ID: Final = 1000
DAEMON: Final = Path("usr/lib/rrsim")
GUEST_SOURCES: Final = Path(__file__).with_name("guest")
COMPILED: Final = (
    "*.py", "json/*.py", "collections/*.py", "encodings/*.py", "re/*.py", "importlib/*.py", "ctypes/*.py",
)
"""The parts of the guest's Python that its daemon may use; compiled here, as starting is what takes time there."""


def begin(root: Path) -> None:
    """Make the top of an empty tree: Debian's merged ``/usr``."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")


def finish(root: Path, files: Path, config: Mapping[str, Any]) -> None:
    """Add what is the guest's own: accounts, init, the daemon with its configuration."""
    for name in ("proc", "sys", "dev", "run", "tmp", "root", "home", "mnt", "etc/ssh", "var/log", "var/tmp", "var/lib"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    (root / "root").chmod(0o700)
    for name, target in {"var/run": "/run", "var/lock": "/run/lock", "etc/mtab": "/proc/self/mounts"}.items():
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    for name, target in ALTERNATIVES.items():
        (root / name).symlink_to(target)
    _accounts(root)
    _busybox(root)
    for name, target, mode in (
        ("init", "usr/sbin/init", 0o755), ("network", f"{DAEMON}/network", 0o755),
        ("sshd_config", "etc/ssh/sshd_config", 0o644), ("hosts", "etc/hosts", 0o644),
    ):
        _put(root / target, (files / name).read_bytes(), mode)
    _put(root / "etc/hostname", b"wine-guest\n")
    _put(root / "etc/machine-id", b"")
    _put(root / "etc/resolv.conf", b"")
    _put(root / "etc/fstab", b"/dev/vda / ext4 rw,noatime 0 0\n")
    _daemon(root, config)


def _put(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def _accounts(root: Path) -> None:
    """Write the accounts: Debian's own, the customer, and the one that the SSH server drops to."""
    base = root / "usr/share/base-passwd"
    people = (base / "passwd.master").read_text(encoding="ascii").replace(":*:", ":x:")
    groups = (base / "group.master").read_text(encoding="ascii").replace(":*:", ":x:")
    people = people.replace("/bin/bash", "/bin/sh").replace("/root:/bin/sh", "/root:/bin/bash")
    people += "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
    people += f"{CUSTOMER}:x:{CUSTOMER_ID}:{CUSTOMER_ID}:Customer,,,:/home/{CUSTOMER}:/bin/bash\n"
    groups += f"{CUSTOMER}:x:{CUSTOMER_ID}:\n"
    _put(root / "etc/passwd", people.encode())
    _put(root / "etc/group", groups.encode())
    # '*' is no password: nobody can sign in with one, and keys still work ('!' would lock the account).
    shadow = "".join(f"{line.split(':')[0]}:*:19000:0:99999:7:::\n" for line in people.splitlines())
    _put(root / "etc/shadow", shadow.encode(), 0o640)


def _busybox(root: Path) -> None:
    """Have busybox stand in for every tool that no package brought."""
    listed = subprocess.run(
        [root / "usr/bin/busybox", "--list-full"], capture_output=True, text=True, check=False, timeout=20
    )
    if listed.returncode:
        raise ImageError(
            "the guest's busybox to run on this computer", f"exit code {listed.returncode}", "an amd64 computer"
        )
    for name in listed.stdout.split():
        path = root / name if name.startswith("usr/") else root / "usr" / name
        tool = path.name
        if tool != "init" and not any(os.path.lexists(root / "usr" / where / tool) for where in ("bin", "sbin")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to("/usr/bin/busybox")


def _daemon(root: Path, config: Mapping[str, Any]) -> None:
    top = root / DAEMON
    package = top / "rrsim" / "images" / "guest"
    package.mkdir(parents=True)
    for folder in (top / "rrsim", top / "rrsim/images"):
        _put(folder / "__init__.py", b"")
    for path in sorted(GUEST_SOURCES.glob("*.py")):
        _put(package / path.name, path.read_bytes())
    _put(top / "guest.json", json.dumps(config, sort_keys=True).encode())
    python = next((root / "usr/lib").glob("python3.*"), None)
    if python is None:
        raise ImageError("Python in the guest", "no usr/lib/python3.*", "adding python3 to the packages")
    if python.name == f"python{sys.version_info.major}.{sys.version_info.minor}":
        # By hash and unchecked: no time of this computer gets into the files.
        for path in sorted({*(one for pattern in COMPILED for one in python.glob(pattern)), *top.rglob("*.py")}):
            compileall.compile_file(
                path, quiet=2, stripdir=str(root), prependdir="/", invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            )


def require_libraries(root: Path) -> None:
    """Check that the programs which the guest runs find every library they are linked with.

    Raises:
        ImageError: one is missing, as its package was left out; the message names program and library.
    """
    for pattern in CHECKED:
        for path in sorted(root.glob(pattern)):
            for name in elf.needed(path.read_bytes()):
                if not any((root / where / name).exists() for where in LIBRARY_DIRS):
                    raise ImageError(
                        f"{name} in the guest, for {path.relative_to(root)}", "no such library",
                        "taking its package off the list of those left out (rrsim/images/wine_guest.py)",
                    )


def add_prefix(root: Path, prepared: Path) -> None:
    """Copy a prepared prefix into the customer's home. Wine's own libraries become links to the packages' ones."""
    shared = root / "usr/lib/x86_64-linux-gnu/wine/x86_64-windows"
    home = root / "home" / CUSTOMER
    target = home / "prefix"

    def copy_or_link(source: str, copy: str) -> str:
        own = shared / Path(source).name
        if own.is_file() and filecmp.cmp(source, own, shallow=False):
            os.link(own, copy)
            return copy
        return str(shutil.copy2(source, copy, follow_symlinks=False))

    home.mkdir(parents=True)
    shutil.copytree(prepared, target, symlinks=True, copy_function=copy_or_link)
    (target / "wineserver").unlink(missing_ok=True)  # it names a folder of this computer's own kernel
    (target / "dosdevices" / "z:").unlink(missing_ok=True)
    _rename_user(target)


def _rename_user(prefix: Path) -> None:
    """Give Windows' user the guest's name: the prepared prefix has that of whoever made it."""
    users = prefix / "drive_c" / "users"
    names = [path.name for path in users.iterdir() if path.name != "Public"]
    if len(names) != 1:
        raise ImageError(
            "one user in the prepared prefix", ", ".join(sorted(names)) or "none", "removing it from the cache"
        )
    (name,) = names
    profile = users / CUSTOMER
    if name != CUSTOMER:
        (users / name).rename(profile)
    for link in [path for path in profile.rglob("*") if path.is_symlink()]:
        link.unlink()  # a folder of the customer's that was this computer's home folder
        link.mkdir()
    for registry in sorted(prefix.glob("*.reg")):
        text = registry.read_text(encoding="utf-8", errors="surrogateescape")
        for separator in ("\\\\", "/"):
            for after in (f"{separator}", '"', ";"):
                text = text.replace(f"users{separator}{name}{after}", f"users{separator}{CUSTOMER}{after}")
        registry.write_text(text, encoding="utf-8", errors="surrogateescape")

