"""Command lines for the machine's system: each argument arrives as it was given, whatever characters it has."""

from __future__ import annotations

import base64
import re
import shlex
import subprocess
from typing import Final

from rrsim.backends.live.shells.interface import Command, System

LONGEST_CMD_LINE: Final = 8000
"""``cmd.exe`` takes 8191 characters; some are its own."""
_CMD_META: Final = re.compile(r'([()%!^"<>&|])')
_SINGLE_QUOTES: Final = re.compile("(['\u2018\u2019\u201a\u201b])")
"""PowerShell takes the typographic ones for the plain one."""


def windows_line(argv: list[str]) -> str:
    """Return a command line that Windows programs split into ``argv`` again (Microsoft's C run-time rules)."""
    _check(argv)
    return subprocess.list2cmdline(argv)


def cmd_line(argv: list[str]) -> str:
    """Return what to give ``cmd.exe`` so that it starts ``argv``: its own special characters are taken from it.

    Every one of them gets a caret, quotation marks too, so that ``cmd`` never is inside of quotes; the caret after a
    percent sign's partner also keeps ``%NAME%`` from being replaced.
    """
    line = windows_line(argv)
    if "\n" in line or "\r" in line:
        raise ValueError("cmd.exe ends a command at a line break; give the program its text in a file instead")
    return _CMD_META.sub(r"^\1", line)


def shell_line(command: Command, system: System) -> str:
    """Return one line for the system's command interpreter: ``cmd.exe``, or a POSIX shell."""
    if isinstance(command, str):
        return command
    if system == "windows":
        return cmd_line(command)
    _check(command)
    return shlex.join(command)


def argv(command: Command, system: System) -> list[str]:
    """Return program and arguments, for shells that start programs without an interpreter."""
    if isinstance(command, list):
        _check(command)
        return command
    return ["cmd.exe", "/d", "/c", command] if system == "windows" else ["/bin/sh", "-c", command]


def powershell(script: str) -> list[str]:
    """Return the command that runs a PowerShell script: it is encoded, so no interpreter on the way reads it.

    Raises:
        ValueError: the script is too long for a command line.
    """
    text = f"$ProgressPreference='SilentlyContinue';{script}"
    encoded = base64.b64encode(text.encode("utf-16-le")).decode("ascii")
    command = ["powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass",
               "-EncodedCommand", encoded]
    length = len(windows_line(command))
    if length > LONGEST_CMD_LINE:
        raise ValueError(f"the PowerShell script makes a command line of {length} characters, at most "
                         f"{LONGEST_CMD_LINE} are possible; put it into a file, copy that, and run it")
    return command


def powershell_text(text: str) -> str:
    """Return ``text`` as a literal of PowerShell."""
    return "'" + _SINGLE_QUOTES.sub(r"\1\1", text) + "'"


def _check(argv: list[str]) -> None:
    if not argv or not argv[0]:
        raise ValueError("a command needs a program: the list is empty, or its first word is")
    if any("\0" in word for word in argv):
        raise ValueError("no word of a command can hold a NUL character")
