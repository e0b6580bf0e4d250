"""Starting the helper in the session of the person at the PC, with that person's token and environment."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Final

from rrsim.agent.windows import paths

assert sys.platform == "win32"

import pywintypes
import win32con
import win32process as _win32process
import win32profile
import win32security as _win32security
import win32ts as _win32ts

win32process: Any = _win32process
win32security: Any = _win32security
win32ts: Any = _win32ts
"""Untyped: the stubs take handles for plain numbers, and know no ``None`` where Windows takes a null pointer."""
DESKTOP: Final = r"WinSta0\Default"


class LaunchFailed(RuntimeError):
    """The helper could not be started in a session."""


def launch_helper(session: int) -> None:
    """Start ``rragent helper`` on the desktop of ``session``.

    Raises:
        LaunchFailed: nobody is signed in there, or Windows refused.
    """
    try:
        token = win32ts.WTSQueryUserToken(session)
        try:
            primary = win32security.DuplicateTokenEx(
                token, win32security.SecurityImpersonation, win32con.MAXIMUM_ALLOWED, win32security.TokenPrimary
            )
            environment = win32profile.CreateEnvironmentBlock(primary, False)
            startup = win32process.STARTUPINFO()
            startup.lpDesktop = DESKTOP
            process, thread, _, _ = win32process.CreateProcessAsUser(
                primary, None, subprocess.list2cmdline(paths.command("helper")), None, None, False,
                win32con.CREATE_UNICODE_ENVIRONMENT | win32con.CREATE_NEW_PROCESS_GROUP, environment, None, startup,
            )
            process.Close()
            thread.Close()
            primary.Close()
        finally:
            token.Close()
    except pywintypes.error as error:
        raise LaunchFailed(f"{error.funcname}: {error.strerror}") from None


def sessions_with_somebody() -> list[int]:
    """Return the sessions that have a signed-in user: Windows tells a service only of later sign-ins."""
    try:
        found = win32ts.WTSEnumerateSessions(win32ts.WTS_CURRENT_SERVER_HANDLE, 1, 0)
    except pywintypes.error:
        return []
    return [
        int(one["SessionId"]) for one in found
        if one["State"] == win32ts.WTSActive and _user_of(int(one["SessionId"]))
    ]


def _user_of(session: int) -> str:
    try:
        return str(win32ts.WTSQuerySessionInformation(win32ts.WTS_CURRENT_SERVER_HANDLE, session, win32ts.WTSUserName))
    except pywintypes.error:
        return ""
