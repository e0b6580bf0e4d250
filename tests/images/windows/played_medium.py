"""A medium that plays Windows Setup on a real machine: Debian's signed loaders and kernel, busybox, and a script.

It stands in for Windows: nothing of Windows is proved by it, only that the machine around it is as it should be. It
asks for a key when it is started, goes on from the disk if none is pressed, copies itself onto the disk, restarts, says
its marks over the first serial port, and switches the machine off. Since its loader is signed by Microsoft and its
kernel by Debian, it starts under Secure Boot too, and its own script says what it found: drives in order, the answer
file, firmware settings that were kept, and a TPM that counts its starts.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import shutil
import struct
import subprocess
from pathlib import Path

from rrsim.images.windows import phases
from tests.backends.live.vm import rig as vm_rig
from tests.backends.live.vm import tiny

VERSION = "2"
PACKAGES = ("linux-image-amd64", "busybox-static", "shim-signed", "grub-efi-amd64-signed")
MODULES = (
    "sd_mod", "sr_mod", "isofs", "ahci", "virtio_pci", "virtio_blk", "efivarfs", "tpm_crb", "evdev", "psmouse",
    "xhci-pci", "usbhid", "hid-generic",
)
FIRMWARE_MIB = 24
EFI_PARTITION = 0xEF
VARIABLE = "RrsimMark-5ca1ab1e-0000-4000-8000-727273696d31"

MENU = """\
set pager=0
insmod all_video
if [ "$cmdpath" = "(cd0)/EFI/BOOT" -o "$cmdpath" = "(cd1)/EFI/BOOT" -o "$cmdpath" = "(cd2)/EFI/BOOT" ]; then
  set timeout=10
  menuentry "go on from the disk" {
    linux (hd0,msdos1)/EFI/BOOT/vmlinuz console=tty0 quiet rrsim.from=question
    initrd (hd0,msdos1)/EFI/BOOT/initrd.img
  }
  menuentry "Setup, by the space bar" --hotkey=' ' {
    linux $cmdpath/vmlinuz console=tty0 quiet rrsim.from=cd
    initrd $cmdpath/initrd.img
  }
else
  set timeout=0
  menuentry "from the disk" {
    linux $cmdpath/vmlinuz console=tty0 quiet rrsim.from=$cmdpath
    initrd $cmdpath/initrd.img
  }
fi
"""

INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
exec </dev/tty1 >/dev/tty1 2>&1
for m in $(cat /modules); do insmod /lib/$m; done
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
mkdir -p /medium /answers
say() { printf '\r\n@rrsim %s\r\n' "$*" > /dev/ttyS0; echo "$*"; }
die() { say failed "$1" "$2"; sleep 600; }
disk=/dev/sda
n=0; while [ ! -b $disk ] && [ $n -lt 100 ]; do [ -b /dev/vda ] && disk=/dev/vda; n=$((n+1)); sleep 0.1; done
label() { dd if=$1 bs=1 skip=32808 count=32 2>/dev/null | tr -d ' '; }
drives() { for d in /dev/sr*; do [ -b $d ] && echo $(label $d); done | tr '\n' ' '; }
vars=/sys/firmware/efi/efivars
ask_tpm() {  # TPM2_ReadClock: how often the TPM was started is at byte 26 of its answer
  [ -c /dev/tpm0 ] || { echo none; return; }
  exec 5<>/dev/tpm0
  cat /read-clock >&5
  dd bs=64 count=1 <&5 2>/dev/null | od -An -v -tx1 | tr -d ' \n' | cut -c53-60
  exec 5>&-
}
tell() {
  say fact $1-drives "$(drives)"
  say fact $1-disk $disk
  say fact $1-secure-boot "$(od -An -tx1 $vars/SecureBoot-* | tr -d ' \n')"
  say fact $1-tpm-starts "$(ask_tpm)"
  say fact $1-variable "$(tail -c +5 $vars/VARIABLE)"
  say fact $1-memory "$(awk '/MemTotal/{print $2}' /proc/meminfo)"
  say fact $1-from "$(sed 's/.*rrsim.from=//' /proc/cmdline)"
}
read cmdline < /proc/cmdline
case "$cmdline" in
*from=cd*)
  say phase windowspe
  tell setup
  mount -t iso9660 -o ro /dev/sr0 /medium; mount -t iso9660 -o ro /dev/sr1 /answers
  [ -s /answers/autounattend.xml ] || die windowspe "no answer file on the second drive: $(ls /answers)"
  say fact setup-answers "$(head -c 5 /answers/autounattend.xml)"
  { dd if=/medium/table of=$disk && dd if=/medium/efi.img of=$disk bs=1M seek=1 conv=fsync; } || die windowspe "no disk"
  cat /variable > $vars/VARIABLE
  sync; reboot -f;;
*)
  if [ -b /dev/sr0 ]; then
    mount -t iso9660 -o ro /dev/sr0 /medium
    say phase specialize
    if [ -e /medium/hold ]; then read line; say fact typed "$line"; fi
    tell restarted
    for name in PHASES; do say phase $name; done
    cat /medium/facts > /dev/ttyS0
  else
    say phase settle
    tell settled
  fi
  say done
  sync; poweroff -f;;
esac
sleep 600
"""


def build(folder: Path, facts: bytes, *, hold: bool = False) -> Path:
    """Return the medium in ``folder``.

    ``facts``: lines that Windows would say of itself. ``hold``: it waits for Enter in the middle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = _parts()
    tree = folder / "tree"
    boot = tree / "EFI" / "BOOT"
    boot.mkdir(parents=True)
    for part in parts.iterdir():
        shutil.copy(part, boot / part.name)
    (tree / "facts").write_bytes(facts)
    if hold:
        (tree / "hold").write_bytes(b"")
    _firmware_image(tree / "efi.img", parts)
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", EFI_PARTITION, b"\xff\xff\xff", 2048, FIRMWARE_MIB * 2048)
    (tree / "table").write_bytes(bytes(446) + entry + bytes(48) + b"\x55\xaa")
    target = folder / "setup.iso"
    _run(
        "xorriso", "-no_rc", "-as", "mkisofs", "-quiet", "-V", "WINDOWS", "-R", "-J", "-e", "efi.img",
        "-no-emul-boot", "-o", str(target), str(tree),
    )  # fmt: skip
    return target


def _firmware_image(target: Path, parts: Path) -> None:
    """A FAT volume that the firmware starts from, on the medium and, once it is copied, on the disk."""
    with target.open("wb") as file:
        file.truncate(FIRMWARE_MIB << 20)
    _run("mformat", "-i", str(target), "::")
    _run("mmd", "-i", str(target), "::/EFI", "::/EFI/BOOT")
    _run("mcopy", "-i", str(target), *(str(path) for path in sorted(parts.iterdir())), "::/EFI/BOOT/")


def _parts() -> Path:
    """Return a folder with loaders, kernel, RAM disk and menu, made once."""
    cache = vm_rig.cache()
    init = INIT.replace("VARIABLE", VARIABLE).replace("PHASES", " ".join(one.name for one in phases.INSTALL[2:]))
    name = hashlib.sha256((VERSION + MENU + init + " ".join(MODULES)).encode()).hexdigest()[:12]
    done = cache / f"played-{name}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.is_dir():
            _make(cache, done, init)
    return done


def _make(cache: Path, done: Path, init: str) -> None:
    work = cache / "work-played"
    shutil.rmtree(work, ignore_errors=True)
    tree, root, made = work / "tree", work / "root", work / "made"
    for part in (tree, root / "bin", root / "lib", root / "dev", root / "proc", root / "sys", root / "tmp", made):
        part.mkdir(parents=True)
    for package in PACKAGES:
        tiny.unpack(cache, package, tree)
    version = next((tree / "lib" / "modules").iterdir()).name
    shutil.copy(tree / "bin" / "busybox", root / "bin" / "busybox")
    names = tiny.copy_modules(tree / "lib" / "modules" / version, root / "lib", MODULES)
    (root / "modules").write_text("\n".join(names) + "\n")
    (root / "init").write_text(init)
    (root / "read-clock").write_bytes(bytes.fromhex("8001 0000000a 00000181"))
    (root / "variable").write_bytes(b"\7\0\0\0kept")  # attributes, then what it holds
    (root / "init").chmod(0o755)
    (made / "initrd.img").write_bytes(gzip.compress(tiny.archive(root), 1))
    shutil.copy(tree / "boot" / f"vmlinuz-{version}", made / "vmlinuz")
    shutil.copy(tree / "usr/lib/shim/shimx64.efi.signed", made / "BOOTX64.EFI")
    shutil.copy(tree / "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed", made / "grubx64.efi")
    (made / "grub.cfg").write_text(MENU)
    made.rename(done)
    shutil.rmtree(work)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
