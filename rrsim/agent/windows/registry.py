"""What the agent keeps in the registry: autostart values, its safe-boot key, the boot mark, the machine's identity.

Facts (Microsoft, *Run and RunOnce Registry Keys*, *RegCreateKeyExW*):

* A RunOnce value whose name begins with ``!`` is deleted only after its command has ended; ``*`` makes it run in safe
  mode too. Which order of the two Windows accepts is not documented; both stand in front of the name here.
* A program that was started from a RunOnce value must not rewrite that value, and Windows deletes it when the
  launcher has ended. So an agent that arms again uses the *other* of two names: no deletion that is still to come can
  hit it.
* A volatile key lives until the next boot of the kernel; fast startup keeps it, and rightly so (rule 9).
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import uuid
from ctypes import wintypes
from hashlib import sha256
from typing import Final

from rrsim.agent.outside import HostError
from rrsim.agent.windows import paths

assert sys.platform == "win32"

import winreg

SERVICE: Final = "rragent"
RUN_ONCE: Final = r"SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce"
VALUES: Final = ("!*rragent", "!*rragent-again")
"""The two names of the autostart value."""
SAFE_BOOT: Final = rf"SYSTEM\CurrentControlSet\Control\SafeBoot\Network\{SERVICE}"
OWNERS_FLAG: Final = "OwnersFlag"
"""Value of that key: 1 if the boot flag was set before us, so that it is not ours to clear."""
SAFE_BOOT_OPTION: Final = r"SYSTEM\CurrentControlSet\Control\SafeBoot\Option"
WAY_OUT: Final = "!*rragent-safeboot"
"""Machine-wide RunOnce value that clears our boot flag at an administrator's logon in safe mode (SM-03)."""
OWN: Final = r"SOFTWARE\rragent"
_VOLATILE: Final = 0x1
_WIDE: Final = winreg.KEY_WOW64_64KEY
"""A 32-bit writer must not land in the 32-bit view of the registry."""


def arm_autostart(started_by: str) -> None:
    """Write the RunOnce value that brings this user's agent back; not under the name that started this process."""
    name = VALUES[1] if started_by == VALUES[0] else VALUES[0]
    command = subprocess.list2cmdline(paths.command("resume", f"--value={name}"))
    access = winreg.KEY_SET_VALUE | winreg.KEY_QUERY_VALUE
    with winreg.CreateKeyEx(winreg.HKEY_CURRENT_USER, RUN_ONCE, 0, access) as key:
        winreg.SetValueEx(key, name, 0, winreg.REG_SZ, command)
        winreg.FlushKey(key)
        if winreg.QueryValueEx(key, name)[0] != command:
            raise HostError("the autostart value does not hold what was written")


def disarm_autostart() -> None:
    """Remove both autostart values."""
    for name in VALUES:
        _delete_value(winreg.HKEY_CURRENT_USER, RUN_ONCE, name)


def register_safe_boot(own_flag: bool, clear_flag: str) -> None:
    """Let Windows start the service in safe mode with networking; ``clear_flag`` is the command of the way out."""
    with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, SAFE_BOOT, 0, winreg.KEY_SET_VALUE | _WIDE) as key:
        # First whose the flag is: a key that lets Windows start us must never stand there without that (rule 7).
        winreg.SetValueEx(key, OWNERS_FLAG, 0, winreg.REG_DWORD, 0 if own_flag else 1)
        winreg.SetValueEx(key, "", 0, winreg.REG_SZ, "Service")
        winreg.FlushKey(key)
    if own_flag:
        with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, RUN_ONCE, 0, winreg.KEY_SET_VALUE | _WIDE) as key:
            winreg.SetValueEx(key, WAY_OUT, 0, winreg.REG_SZ, clear_flag)
            winreg.FlushKey(key)


def unregister_safe_boot() -> None:
    """Remove the key and the way out."""
    _delete_value(winreg.HKEY_LOCAL_MACHINE, RUN_ONCE, WAY_OUT)
    try:
        winreg.DeleteKeyEx(winreg.HKEY_LOCAL_MACHINE, SAFE_BOOT, _WIDE, 0)
    except FileNotFoundError:
        return


def safe_boot_registered() -> bool:
    """Say whether Windows would start the service in safe mode with networking."""
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, SAFE_BOOT, 0, winreg.KEY_QUERY_VALUE | _WIDE) as key:
            return bool(winreg.QueryValueEx(key, "")[0] == "Service")
    except OSError:
        return False


def flag_is_owners() -> bool:
    """Say whether our key notes that the boot flag is the owner's; without a note it is ours."""
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, SAFE_BOOT, 0, winreg.KEY_QUERY_VALUE | _WIDE) as key:
            return bool(winreg.QueryValueEx(key, OWNERS_FLAG)[0])
    except FileNotFoundError:
        return False


def in_safe_mode() -> bool:
    """Say whether the running Windows is in safe mode, by either of two witnesses."""
    if ctypes.windll.user32.GetSystemMetrics(67):  # SM_CLEANBOOT
        return True
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, SAFE_BOOT_OPTION, 0, winreg.KEY_QUERY_VALUE | _WIDE) as key:
            return bool(winreg.QueryValueEx(key, "OptionValue")[0])
    except OSError:
        return False


def _delete_value(hive: int, path: str, name: str) -> None:
    try:
        with winreg.OpenKey(hive, path, 0, winreg.KEY_SET_VALUE | _WIDE) as key:
            winreg.DeleteValue(key, name)
            winreg.FlushKey(key)
    except FileNotFoundError:
        return


# --- who and when ---------------------------------------------------------------------------------------------------


def machine_identity() -> str:
    """Return what stays the same over restarts and changed network cards (NE-09), without telling Windows' own id."""
    with winreg.OpenKey(
        winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography", 0, winreg.KEY_QUERY_VALUE | _WIDE
    ) as key:
        guid = str(winreg.QueryValueEx(key, "MachineGuid")[0])
    return sha256(f"rragent machine {guid}".encode()).hexdigest()[:32]


def boot_mark(service: bool) -> str:
    """Return an opaque value that differs for every boot of the kernel (rule 9).

    A service writes it itself, into a volatile key. A program of a standard user may not: it reads the kernel's own
    boot counter, and only where there is none tries the key too.
    """
    counter = ctypes.c_uint32.from_address(0x7FFE0000 + 0x2C4).value  # KUSER_SHARED_DATA.BootId
    if counter and not service:
        return f"counter-{counter}"
    return _volatile_mark()


def _volatile_mark() -> str:
    # The stable parent is made first: a parent that this call has to make would be volatile itself.
    winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, OWN, 0, winreg.KEY_WRITE | _WIDE).Close()
    handle, disposition = wintypes.HKEY(), wintypes.DWORD()
    access = winreg.KEY_READ | winreg.KEY_WRITE | _WIDE
    status = ctypes.windll.advapi32.RegCreateKeyExW(
        wintypes.HKEY(winreg.HKEY_LOCAL_MACHINE), OWN + r"\Boot", 0, None, _VOLATILE, access, None,
        ctypes.byref(handle), ctypes.byref(disposition),
    )
    if status:
        raise OSError(status, "the boot mark's volatile key cannot be opened")
    try:
        key = int(handle.value or 0)
        try:
            return str(winreg.QueryValueEx(key, "Mark")[0])
        except FileNotFoundError:
            mark = f"mark-{uuid.uuid4().hex}"  # noqa: TID251 (this is the shell that mints what the core compares)
            winreg.SetValueEx(key, "Mark", 0, winreg.REG_SZ, mark)
            return mark
    finally:
        ctypes.windll.advapi32.RegCloseKey(handle)
