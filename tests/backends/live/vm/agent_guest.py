"""The tiny guest with QEMU's own guest agent in it, from Debian: what listens on the port is the real program.

Three of Windows' programs are played by scripts, as far as the questions about safe mode need them: a boot flag on the
disk that is sticky or for one start, and a restart. They prove who asks, and nothing about Windows.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import shutil
from pathlib import Path

import msgspec

from rrsim.backends.live.vm import image as images
from rrsim.images.description import Built
from tests.backends.live.vm import tiny

PACKAGES = ("qemu-guest-agent", "libglib2.0-0", "libpcre2-8-0", "libudev1", "liburing2", "libnuma1", "libc6")
INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
for m in $(cat /modules); do insmod /lib/$m; done 2>/dev/null
mkdir -p /tmp /run /var/run
port=
while [ -z "$port" ]; do
  for p in /sys/class/virtio-ports/*; do
    [ "$(cat $p/name 2>/dev/null)" = org.qemu.guest_agent.0 ] && port=/dev/${p##*/}
  done
  [ -n "$port" ] || sleep 0.1
done
flag=$(head -c 16 /dev/vda | tr -d '\0')
echo 0 > /mode
case "$flag" in sticky|once) echo 2 > /mode;; esac
[ "$flag" = once ] && dd if=/dev/zero of=/dev/vda bs=16 count=1 conv=notrunc,fsync 2>/dev/null
qemu-ga -m virtio-serial -p $port -t /run
echo "the guest agent ended"
sleep 600
"""
"""Without devices by name, which udev would make, the agent is told its port."""
PLAYED = {
    "cmd.exe": '#!/bin/sh\nshift 2\nexec "$@"\n',
    "shutdown.exe": "#!/bin/sh\nexec busybox reboot -f\n",
    "powershell.exe": r"""#!/bin/sh
for last; do :; done
script=$(echo "$last" | base64 -d | tr -d '\0')
set_flag() { printf '%-16s' "$1" | tr ' ' '\0' | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null; }
case "$script" in
*bootsequence*) set_flag once;;
*safeboot*network*) set_flag sticky;;
*) echo "mode=$(cat /mode)"; echo preshutdown=180000; echo service=Running;;
esac
""",
}


def build(folder: Path) -> Path:
    """Return the image's folder, made below ``folder`` if it is not there."""
    base = tiny.build(folder)
    name = hashlib.sha256((base.name + INIT + repr(PLAYED) + " ".join(PACKAGES)).encode()).hexdigest()[:12]
    image = folder / f"agent-{name}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (image / "manifest.json").is_file():
            _make(folder, base, image)
    return image


def _make(folder: Path, base: Path, image: Path) -> None:
    work = folder / "work-agent"
    for path in (work, image):
        shutil.rmtree(path, ignore_errors=True)
    tree, root = work / "tree", work / "root"
    for path in (tree, root / "bin", root / "lib", root / "lib64", image):
        path.mkdir(parents=True)
    for package in PACKAGES:
        tiny.unpack(folder, package, tree)
    shutil.copy(tree / "usr/sbin/qemu-ga", root / "bin/qemu-ga")
    shutil.copy(next(tree.rglob("ld-linux-x86-64.so.2")).resolve(), root / "lib64" / "ld-linux-x86-64.so.2")
    for path in tree.rglob("*.so.*"):
        if "gconv" not in path.parts and path.parent.name == "x86_64-linux-gnu":
            shutil.copy(path.resolve(), root / "lib" / path.name)
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    for name, text in PLAYED.items():
        (root / "bin" / name).write_text(text)
        (root / "bin" / name).chmod(0o755)
    # The kernel unpacks one archive after the other: what comes later is laid over what came before.
    whole = (base / "initrd.img").read_bytes()
    (image / "initrd.img").write_bytes(whole + gzip.compress(tiny.archive(root), 1))
    for name in ("vmlinuz", "disk.qcow2"):
        shutil.copy(base / name, image / name)
    built = images.load(base).built
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(image.iterdir())}
    described = msgspec.structs.replace(built.description, name="agent", shells=("guest agent",))
    hardware = msgspec.structs.replace(described.hardware, memory_mib=256)
    described = msgspec.structs.replace(described, hardware=hardware)
    new = Built(description=described, digest=name_of(files), made=built.made, files=files)
    (image / "manifest.json").write_bytes(msgspec.json.encode(new))
    shutil.rmtree(work)


def name_of(files: dict[str, str]) -> str:
    """Return a digest over the files."""
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
