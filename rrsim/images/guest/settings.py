"""Where everything is in the guest, and how its programs are started. Tests put their own in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

RESTART, POWER_OFF = 10, 11
"""Exit codes of the daemon that tell the guest's init what to do. Any other is a fault, and init switches off."""


@dataclass(frozen=True)
class Settings:
    """One guest. Commands are lists of words."""

    prefix: Path = Path("/home/customer/prefix")
    home: Path = Path("/home/customer")
    user: str = "customer"
    user_id: int | None = 1000
    """Who runs Windows; none: whoever runs the daemon."""
    wine: tuple[str, ...] = ("/usr/bin/wine",)
    kernel: tuple[str, ...] = ("/usr/bin/wineserver", "-p")
    kernel_name: str = "wineserver"
    """What the name of the kernel's program begins with."""
    screen: tuple[str, ...] = (
        "/usr/lib/xorg/Xorg", ":0", "vt1", "-novtswitch", "-sharevts", "-keeptty", "-noreset", "-nolisten", "tcp",
        "-ac", "-seat", "none", "-config", "/run/rrsim/xorg.conf", "-logfile", "/run/rrsim/xorg.log",
    )
    display: str = ":0"
    devices: Path = Path("/proc/bus/input/devices")
    screen_config: Path = Path("/run/rrsim/xorg.conf")
    keyboard: str = "us"
    shells: tuple[str, ...] = ("/usr/sbin/sshd", "-f", "/etc/ssh/sshd_config")
    """What is started when the welcome screen is up; empty: nothing."""
    network: tuple[str, ...] = ("/bin/sh", "/usr/lib/rrsim/network")
    modem: str = "/dev/ttyS1"
    dialler: tuple[str, ...] = ("/usr/sbin/pppd",)
    proc: Path = Path("/proc")
    etc: Path = Path("/etc")
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def drive_c(self) -> Path:
        """Windows' drive C:."""
        return self.prefix / "drive_c"

    def environment(self) -> dict[str, str]:
        """Return the environment of everything in Windows: as on a machine without a VM, and nothing else."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
            "HOME": str(self.home), "USER": self.user, "LOGNAME": self.user, "WINEPREFIX": str(self.prefix),
            "WINEARCH": "win64", "WINEDEBUG": "-all", "DISPLAY": self.display,
            "RRSIM_HIVES": str(self.prefix),  # a power cut takes what Wine has not written yet
        }
