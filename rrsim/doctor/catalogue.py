"""Every check by name, in the order in which they are made, and what each has to have before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from rrsim.doctor import basics, boot, dialup, kept, machines, power, screens, wine
from rrsim.doctor.finding import Purpose, Seen
from rrsim.doctor.trial import Place

ALL: Final[tuple[Purpose, ...]] = ("sim", "wine", "vm", "browser")
LIVE: Final[tuple[Purpose, ...]] = ("wine", "vm")
"""Machines of both kinds: the agent is built with Wine for either."""
VM: Final[tuple[Purpose, ...]] = ("vm",)
WINE: Final[tuple[Purpose, ...]] = ("wine",)
ON_WINE: Final = "real machines on Wine"
MACHINES: Final = "virtual machines"


class Check(msgspec.Struct, frozen=True):
    """One thing that is looked at."""

    name: str
    about: str
    purposes: tuple[Purpose, ...]
    look: Callable[[Place], Seen]
    after: tuple[str, ...] = ()
    """Checks that have to be ok, or this one cannot be made."""
    needed: bool = True
    group: str = ""
    program: str = ""
    """What it tries, with the packages that bring it: missed even where the check itself cannot be made."""
    packages: tuple[str, ...] = ()
    limit_s: float = 0
    """The longest it may take, in seconds, for the progress line; 0: well under a second."""


CHECKS: Final[tuple[Check, ...]] = (
    Check("python", "the language", ALL, basics.python),
    Check("packages", "what every command needs", ALL, basics.core_packages),
    Check("simulator", "a scenario in virtual time", ALL, basics.simulator, ("packages",)),
    Check("live packages", "session server and live runs", LIVE, basics.live_packages),
    Check("loopback", "the session server's port", LIVE, basics.loopback),
    Check("state folder", "live runs and built images", LIVE, basics.state_folder),
    Check("cache folder", "agent, prepared drive", LIVE, basics.cache_folder),
    Check("leftovers", "of killed runs", LIVE, kept.leftovers, needed=False),
    Check("wine", "runs Windows programs", LIVE, wine.wine, group=ON_WINE, limit_s=10),
    Check("wineserver", "the kernel of such a machine", LIVE, wine.wineserver, ("wine",), group=ON_WINE,
          program="wineserver", packages=wine.WINE, limit_s=40),
    Check("compiler", "makes programs for Windows", LIVE, wine.compiler, group=ON_WINE, limit_s=60),
    Check("windows program", "a fresh Windows drive runs it", LIVE, wine.windows_program, ("wineserver", "compiler"),
          group=ON_WINE, limit_s=160),
    Check("nsis", "makes the installer", LIVE, wine.installer_compiler, group=ON_WINE, limit_s=10),
    Check("agents", "built before", LIVE, kept.agents, needed=False),
    Check("xvfb", "a machine's screen", WINE, screens.virtual_screen, group=ON_WINE, limit_s=20),
    Check("xdotool", "pointer and keyboard on it", WINE, screens.hands, ("xvfb",), group=ON_WINE,
          program="xdotool", packages=wine.XDOTOOL, limit_s=40),
    Check("memory", "how many machines at a time", VM, power.look),
    Check("remote packages", "shells into machines", VM, basics.remote_packages),
    Check("qemu", "the machine", VM, machines.emulator, group=MACHINES, limit_s=10),
    Check("emulation", "a guest under TCG", VM, boot.emulation, ("qemu",), group=MACHINES, limit_s=30),
    Check("kvm", "a guest at full speed", VM, boot.virtualisation, ("qemu",), needed=False, group=MACHINES, limit_s=30),
    Check("qemu-img", "disks", VM, machines.image_tool, group=MACHINES, limit_s=45),
    Check("libvirt binding", "libvirt for Python", VM, machines.binding, group=MACHINES, limit_s=60),
    Check("libvirt", "keeps the machines", VM, machines.libvirt, group=MACHINES, limit_s=60),
    Check("machines left over", "of killed runs", VM, machines.left_over, ("libvirt",), needed=False, group=MACHINES,
          limit_s=60),
    Check("unpacking", "what the Wine guest is made of", VM, machines.unpacking, needed=False, group=MACHINES,
          limit_s=60),
    Check("mke2fs", "makes its disk", VM, machines.make_disk, needed=False, group=MACHINES, limit_s=40),
    Check("images", "machines to start from", VM, kept.built_images),
    Check("slirp", "the internet provider", VM, dialup.provider, needed=False, group="dial-up", limit_s=8),
    Check("ssh", "hosts that are other computers", VM, dialup.ssh, needed=False, group=MACHINES, limit_s=40),
    Check("windows tools", "building images of Windows", VM, machines.windows_tools, needed=False,
          group="Windows images"),
    Check("chromium", "the console in a browser", ("browser",), screens.browser, group="browser", limit_s=55),
)
