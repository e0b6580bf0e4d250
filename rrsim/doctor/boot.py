"""A guest of one sector: booted, it proves that an emulator or a hypervisor runs code, and in which modes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rrsim.doctor.finding import Seen
from rrsim.doctor.trial import Place, attempt

_CODE: Final = bytes.fromhex(
    "ea057c0000fa31c08ed88ec08ed0bc007cb072e6e966bf001000000f22df6631c066b9000c0000fc66f3ab66c70600100320"
    "000066c70600200330000066c7060030830000000f20e06683c8200f22e066b9800000c00f32660d000100000f300f0116a8"
    "7c0f20c0660d010000800f22c0ea767c0800be8d7c0000b90500000066bae900f36eb010e6f4f4ebfd7273696d0a660f1f44"
    "0000000000000000000000000000009a20000f00987c"
)
SECTOR: Final = _CODE.ljust(510, b"\0") + b"\x55\xaa"
"""``boot_sector.S``, assembled: writes ``rrsim`` to port 0xE9 and 0x10 to port 0xF4."""
WORDS: Final = b"rrsim\n"
ENDED: Final = 0x10 << 1 | 1
"""Exit code that QEMU's debug exit makes of the guest's last word."""
LIMIT_S: Final = 30.0
PROCESSORS: Final = Path("/proc/cpuinfo")
DEVICE: Final = Path("/dev/kvm")
EMULATOR: Final = "qemu-system-x86_64"
PACKAGES: Final = ("qemu-system-x86",)


def boot(place: Place, accelerator: str) -> tuple[bool, str, float]:
    """Boot the guest once; return whether it said its words and ended as it should, what was seen, and the seconds.

    ``accelerator`` is QEMU's name: ``tcg`` or ``kvm``.
    """
    disk = place.scratch / "sector.img"
    spoken = place.scratch / f"spoken-{accelerator}.txt"
    disk.write_bytes(SECTOR)
    spoken.unlink(missing_ok=True)
    tried = attempt(
        place, EMULATOR, "-machine", f"pc,accel={accelerator}", "-m", "16", "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-debugcon", f"file:{spoken}",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive", f"file={disk},format=raw,if=ide",
        limit_s=LIMIT_S,
    )
    heard = spoken.read_bytes()[:80] if spoken.is_file() else b""
    if tried.how == "ended" and tried.code == ENDED and heard == WORDS:
        return True, f"a guest booted in {tried.took_s:.1f} s, real mode to long mode", tried.took_s
    return False, f"{tried.story}; expected the guest to say {WORDS!r}, heard {heard!r}", tried.took_s


def emulation(place: Place) -> Seen:
    """Boot the guest under QEMU's emulation, which works on every computer."""
    well, seen, _ = boot(place, "tcg")
    if well:
        return Seen("ok", seen)
    return Seen("broken", seen, place.sudo("apt-get install --reinstall -y qemu-system-x86 seabios"), ())


def virtualisation(place: Place, processors: Path = PROCESSORS, device: Path = DEVICE) -> Seen:
    """Boot the guest under KVM, but only where the processor says that it can virtualise.

    The device and libvirt's capabilities are no proof: some hosts' KVM boots this guest and dies with a whole kernel.
    """
    slower = "machines are emulated, which works and is several times slower"
    try:
        flags = set(processors.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        flags = set()
    if not flags & {"vmx", "svm"}:
        there = f"; {device} is there all the same and proves nothing" if device.exists() else ""
        return Seen("skipped", f"the processor offers neither vmx nor svm{there}; {slower}")
    if not device.exists():
        fix = "switch virtualisation on in the firmware, then: " + place.sudo("modprobe -a kvm_intel kvm_amd")
        return Seen("missing", f"the processor can, and there is no {device}; {slower}", fix)
    try:
        device.open("r+b", buffering=0).close()
    except OSError as error:
        fix = f"{place.sudo('usermod -aG kvm')} $USER, and sign in anew"
        return Seen("broken", f"{device}: {error.strerror}; {slower}", fix)
    well, seen, _ = boot(place, "kvm")
    if well:
        return Seen("ok", seen)
    return Seen("broken", f"{seen}; {slower}", "look at the last lines of dmesg")
