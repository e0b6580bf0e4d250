"""Ways into machines of a Windows image, and the hands of somebody who sits at one.

**No hand here has met a real Windows yet.** What is typed and pressed follows Microsoft's documentation of policies and
of the keyboard; whether it did what it should is always looked up (the user who is signed in, a reset that the
hypervisor saw), and said to have failed where it cannot be.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from typing import Final

from rrsim import live_clock
from rrsim.backends.live.shells.agent_line import CallLine
from rrsim.backends.live.shells.guest_agent import GuestAgentShell
from rrsim.backends.live.shells.host_keys import KnownKey
from rrsim.backends.live.shells.interface import Boot, Shell, ShellError
from rrsim.backends.live.shells.login import Login
from rrsim.backends.live.shells.quoting import powershell
from rrsim.backends.live.shells.ssh import SshShell
from rrsim.backends.live.shells.winrm import WinRmShell
from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm import hands
from rrsim.backends.live.vm.errors import ImageMissing, VmError
from rrsim.backends.live.vm.image import Image
from rrsim.backends.live.vm.vm import Vm
from rrsim.images.windows import accounts

SSH_PORT: Final = 22
WINRM_PORT: Final = 5986
CERTIFICATE: Final = "winrm.pem"
HOST_KEY: Final = "ssh_host_key.pub"
ASK_S: Final = 120.0
ANSWERS_LATE_S: Final = 5.0
"""The hypervisor ends a question to the guest agent itself; only if that fails is it given up here."""
SIGNED_IN_S: Final = 180.0
"""The first sign-in of an account makes its profile."""
LOOK_EVERY_US: Final = 1_000_000
STILL_S: Final = 60.0
"""How long a picture may take to stop moving."""
STILL_SHARE: Final = 0.002
"""A picture counts as standing still if no more than this share of it changes: a text cursor may go on blinking."""

PREPARE: Final = (
    r"$s='HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System';"
    "New-ItemProperty $s dontdisplaylastusername -Value 1 -PropertyType DWord -Force|Out-Null;"
    "New-ItemProperty $s DisableCAD -Value 1 -PropertyType DWord -Force|Out-Null;"
    r"$p='HKLM:\SOFTWARE\Policies\Microsoft\Windows\Personalization';New-Item $p -Force|Out-Null;"
    "New-ItemProperty $p NoLockScreen -Value 1 -PropertyType DWord -Force|Out-Null;"
    "$old=@(Get-Process LogonUI -ErrorAction SilentlyContinue);$old|Stop-Process -Force;"
    "$end=[DateTime]::UtcNow.AddSeconds(60);"
    "while(-not(Get-Process LogonUI -ErrorAction SilentlyContinue|Where-Object{$_.Id -notin $old.Id}))"
    "{if([DateTime]::UtcNow -gt $end){throw 'LogonUI did not come back'};Start-Sleep -Milliseconds 500}"
)
"""Have the welcome screen ask for name and password, without Ctrl+Alt+Del and without a lock screen before it; the
program that shows it is started anew by Windows, so that it takes note."""
WHO: Final = "'user='+(Get-CimInstance Win32_ComputerSystem).UserName"
START_MENU: Final[tuple[tuple[str, ...], ...]] = (
    ("windows",), ("shift", "tab"), ("enter",), ("up",), ("enter",),
)
"""Open Start; its power button is the last thing that Tab reaches, and *Restart* the last line of its menu."""


class WindowsEntrances:
    """WinRM, SSH and the guest agent, each with what the image's builder pinned."""

    ports = (WINRM_PORT, SSH_PORT)

    def __init__(self, image: Image) -> None:
        """Read the image's passwords and keys.

        Raises:
            PasswordsUnsafe: the passwords are missing, or others may read them.
            ImageMissing: the certificate or the host key is missing.
        """
        description = image.built.description
        name = next((one.name for one in description.accounts if one.administrator), "")
        self._login = Login(name, accounts.load(image.folder).get(name, ""))
        self._certificate = image.folder / CERTIFICATE
        if not self._certificate.is_file():
            raise ImageMissing(_lacks(image, CERTIFICATE))
        self._host_key = _host_key(image)
        self._shells = description.shells

    def ways(self, vm: Vm, ports: Mapping[int, int], boot: Boot) -> Mapping[str, Callable[[], Shell]]:
        """Return how to make each of the image's shells; the surest one is named first."""
        known: dict[str, Callable[[], Shell]] = {
            "winrm": lambda: WinRmShell(
                ("127.0.0.1", ports[WINRM_PORT]), self._login, boot=boot, certificate=self._certificate
            ),
            "ssh": lambda: SshShell(
                ("127.0.0.1", ports[SSH_PORT]), self._login, self._host_key, boot=boot, system="windows"
            ),
            "guest agent": lambda: GuestAgentShell(agent_line(vm), boot=boot, system="windows"),
        }
        return {name: make for name, make in known.items() if name in self._shells}


class WindowsPerson:
    """Somebody with the passwords of an image's accounts, at its keyboard."""

    def __init__(self, image: Image) -> None:
        """Know the accounts.

        Raises:
            PasswordsUnsafe: the passwords are missing, or others may read them.
        """
        self._passwords = accounts.load(image.folder)
        self._accounts = image.built.description.accounts
        self._keyboard = image.built.description.keyboard

    async def sign_in(self, vm: Vm, shells: Mapping[str, Shell], *, administrator: bool) -> bool:
        """Type name and password at the welcome screen; return whether Windows then names that user.

        Without a shell nobody could tell, and nothing is typed.

        Raises:
            ShellError: the welcome screen could not be made to ask for a name.
        """
        if not shells:
            return False
        name = next(one.name for one in self._accounts if one.administrator == administrator)
        shell = next(iter(shells.values()))
        result = await shell.run(powershell("$ErrorActionPreference='Stop';" + PREPARE), limit_s=ASK_S)
        if result.code:
            raise ShellError(f"the welcome screen could not be prepared: {(result.err or result.out).strip()[:200]}")
        await stands_still(vm)
        await hands.type_text(vm, f"{name}\t{self._passwords[name]}\n", self._keyboard)
        return await _signed_in(shell, name)

    async def restart_from_start_menu(self, vm: Vm) -> None:
        """Press the keys that lead to *Restart* in the Start menu, each when the picture stands still."""
        for keys in START_MENU:
            await stands_still(vm)
            await hands.press_key(vm, *keys)


def agent_line(vm: Vm) -> CallLine:
    """Return a line to a machine's guest agent, through its hypervisor. Call it on the event loop."""
    loop = asyncio.get_running_loop()

    def say(command: str, limit_s: int) -> str:
        import libvirt_qemu

        work = vm.domain(
            "ask the guest agent of", lambda d: str(libvirt_qemu.qemuAgentCommand(d, command, limit_s, 0)),
            limit_s + ANSWERS_LATE_S,
        )
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    return CallLine(say, (VmError,))


async def stands_still(vm: Vm, limit_s: float = STILL_S) -> None:
    """Wait until the picture of the screen no longer changes.

    Raises:
        VmError: it goes on changing.
    """
    until_us = live_clock.monotonic_us() + int(limit_s * 1e6)
    before = await vm.screenshot()
    while live_clock.monotonic_us() < until_us:
        await pause(LOOK_EVERY_US)
        now = await vm.screenshot()
        if changed_share(before, now) <= STILL_SHARE:
            return
        before = now
    raise VmError(f"{vm.name}: expected the picture to stand still within {limit_s:g} s, saw it change all the time")


def changed_share(one: bytes, other: bytes) -> float:
    """Return which share of the pixels of two PNG pictures differs, 0 to 1; 1 if they are of different sizes."""
    if one == other:
        return 0.0
    from PIL import Image as Picture
    from PIL import ImageChops

    with Picture.open(io.BytesIO(one)) as first, Picture.open(io.BytesIO(other)) as second:
        if first.size != second.size:
            return 1.0
        histogram = ImageChops.difference(first.convert("L"), second.convert("L")).histogram()
    return 1.0 - histogram[0] / sum(histogram)


async def _signed_in(shell: Shell, name: str) -> bool:
    """Ask Windows who is signed in until it is this user, or that takes too long."""
    until_us = live_clock.monotonic_us() + int(SIGNED_IN_S * 1e6)
    while live_clock.monotonic_us() < until_us:
        result = await shell.run(powershell(WHO), limit_s=ASK_S)
        if result.out.strip().lower().endswith(f"\\{name}"):
            return True
        await pause(LOOK_EVERY_US)
    return False


def _host_key(image: Image) -> KnownKey:
    try:
        return KnownKey((image.folder / HOST_KEY).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise ImageMissing(f"{_lacks(image, HOST_KEY)} ({error})") from error


def _lacks(image: Image, file: str) -> str:
    name = image.built.description.name
    return f"expected {file} in {image.folder}, saw none that can be used; build it again: rrsim image build {name}"

