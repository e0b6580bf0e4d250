"""Asking Windows for a restart, taking it back, and the boot option for safe mode.

Facts (Microsoft, *InitiateShutdownW*, *BCDEdit*): the privilege has to be enabled in the token, and enabling reports
success even where nothing was enabled. Others who are signed in make an unforced request fail with 1191. A grace time
of zero needs no force. The flag for safe mode stays until it is removed. There is no ``bcdedit`` in a 32-bit
program's ``System32``.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Literal

from rrsim.agent.outside import HostError

assert sys.platform == "win32"

import pywintypes
import win32api
import win32con
import win32security as _win32security

win32security: Any = _win32security
"""Untyped: the stubs know neither this computer as ``None`` nor privileges as a list, as pywin32 takes both."""
REASON: Final = 0x80040001
"""Planned; application; maintenance (SHTDN_REASON_*): the representative's restart."""
COMMENT: Final = "Reboot and Reconnect: restart ordered by the representative"
_RESTART: Final = 0x4
_FORCE: Final = 0x1 | 0x2  # others' sessions and one's own
BCDEDIT_TIMEOUT_S: Final = 50.0
"""Below the core's own limit for a request, so that the reason is told."""
_ERRORS: Final = {
    5: "access denied", 1115: "a shutdown is in progress", 1190: "a shutdown is scheduled already",
    1191: "other users are signed in", 1300: "access denied", 120: "this Windows cannot restart by request",
}
_NONE_IN_PROGRESS: Final = 1116


def enable_privilege() -> None:
    """Enable the shutdown privilege in this process.

    Raises:
        HostError: the account does not have it (IN-09).
    """
    try:
        token = win32security.OpenProcessToken(
            win32api.GetCurrentProcess(), win32con.TOKEN_ADJUST_PRIVILEGES | win32con.TOKEN_QUERY
        )
        privilege = win32security.LookupPrivilegeValue(None, win32security.SE_SHUTDOWN_NAME)
        win32security.AdjustTokenPrivileges(token, False, [(privilege, win32security.SE_PRIVILEGE_ENABLED)])
        if win32api.GetLastError() == 1300:  # ERROR_NOT_ALL_ASSIGNED, although the call succeeded
            raise HostError(f"{_ERRORS[1300]} (1300), the shutdown privilege is missing")
    except pywintypes.error as error:
        raise HostError(f"access denied to the shutdown privilege: {error.strerror}") from None


def request_restart(forced: bool) -> None:
    """Ask Windows to restart now. Returns when Windows has accepted, not when it restarts.

    Raises:
        HostError: Windows refused; the text says why.
    """
    enable_privilege()
    flags = _RESTART | (_FORCE if forced else 0)
    initiate = ctypes.windll.advapi32.InitiateShutdownW
    initiate.restype = ctypes.c_uint32
    code = initiate(None, COMMENT, 0, flags, ctypes.c_uint32(REASON))
    if code:
        raise HostError(f"{_ERRORS.get(code, 'Windows refused the restart')} ({code})")


def abort_restart() -> None:
    """Take a requested restart back; succeeds if none is in progress.

    Raises:
        HostError: one is in progress and cannot be taken back.
    """
    enable_privilege()
    library = ctypes.WinDLL("advapi32", use_last_error=True)
    if not library.AbortSystemShutdownW(None):
        code = ctypes.get_last_error()
        if code not in (0, _NONE_IN_PROGRESS):
            raise HostError(f"the restart cannot be taken back (error {code})")


# --- boot options ---------------------------------------------------------------------------------------------------


def bcdedit() -> str:
    """Return the full path of the tool: never whatever the search path holds."""
    windows = Path(os.environ.get("SystemRoot", r"C:\Windows"))  # noqa: SIM112 (Windows' own spelling)
    native = windows / "Sysnative" / "bcdedit.exe"
    return str(native if native.exists() else windows / "System32" / "bcdedit.exe")


def clear_command() -> str:
    """Return the command line that clears our flag (the way out of SM-03)."""
    return f'"{bcdedit()}" /deletevalue {{current}} safeboot'


def _run(*arguments: str) -> tuple[int, str]:
    try:
        done = subprocess.run(
            [bcdedit(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=BCDEDIT_TIMEOUT_S, check=False, creationflags=subprocess.CREATE_NO_WINDOW,
        )
    except FileNotFoundError:
        raise HostError("this Windows has no bcdedit, so its boot options cannot be changed (PL-03)") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"bcdedit gave no answer for {BCDEDIT_TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise HostError(f"bcdedit cannot be run: {error.strerror}") from None
    return done.returncode, done.stdout.decode("utf-8", "replace")


def set_safe_boot() -> None:
    """Make the next boots start in safe mode with networking.

    Raises:
        HostError: ``bcdedit`` did not do it.
    """
    code, _ = _run("/set", "{current}", "safeboot", "network")
    if code:
        raise HostError(f"bcdedit could not set the boot option (exit code {code})")


def clear_safe_boot() -> None:
    """Make the next boots normal ones; succeeds if they are already.

    Raises:
        HostError: ``bcdedit`` did not do it.
    """
    code, _ = _run("/deletevalue", "{current}", "safeboot")  # fails if there is none, which is looked at only then
    if code and read_safe_boot() != "absent":
        raise HostError(f"bcdedit could not remove the boot option (exit code {code})")


def read_safe_boot() -> Literal["network", "other", "absent"]:
    """Return what the next boot will be. The names of boot options are not translated.

    Raises:
        HostError: ``bcdedit`` could not be asked.
    """
    code, text = _run("/enum", "{current}")
    if code:
        raise HostError(f"bcdedit could not list the boot options (exit code {code})")
    for line in text.splitlines():
        words = line.split()
        if words and words[0].lower() == "safeboot":
            return "network" if words[-1].lower() == "network" else "other"
    return "absent"
