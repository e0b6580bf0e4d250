"""Reading from inside which boot runs, and making sure that it is this very connection that answers.

One command prints a fresh nonce, the boot mark and the kernel's boot time. The nonce keeps another connection's answer
from being taken for this one's. On Windows the mark is a value in a *volatile* registry key, which is gone after every
real boot and stays over fast startup; on Linux it is the kernel's own boot id.
"""

from __future__ import annotations

import re
from typing import Final

from rrsim.backends.live.shells.interface import Command, Result, Shell, ShellFault, System
from rrsim.backends.live.shells.quoting import powershell
from rrsim.live_clock import fresh_secret
from rrsim.machine.identity import BootIdentity

PARENT_KEY: Final = r"SOFTWARE\rrsim"
"""Below HKEY_LOCAL_MACHINE; it is the harness's own and stays. A missing parent would become volatile, too."""
MARK_KEY: Final = PARENT_KEY + r"\Boot"
MARK_VALUE: Final = "mark"
WINDOWS_TOLERANCE_US: Final = 5_000_000
"""Windows reckons its boot time back from the time of day, which is corrected after the boot."""
LINUX_TOLERANCE_US: Final = 2_000_000
"""Linux does the same, and in whole seconds."""
READ_LIMIT_S: Final = 20.0

_TO_1970_TICKS: Final = 621_355_968_000_000_000
"""From the year 1 to 1970, in .NET's ticks of 100 ns."""
_NONCE: Final = re.compile(r"[0-9a-f]{16,64}")
_MARK: Final = re.compile(r"[0-9a-f]{16,64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WINDOWS: Final = (
    "$ErrorActionPreference='Continue';'nonce={nonce}';"
    "$root=[Microsoft.Win32.RegistryKey]::OpenBaseKey('LocalMachine','Registry64');"
    "$root.CreateSubKey('{parent}').Close();"
    "$key=$root.CreateSubKey('{key}',[Microsoft.Win32.RegistryKeyPermissionCheck]::ReadWriteSubTree,"
    "[Microsoft.Win32.RegistryOptions]::Volatile);"
    "if(-not $key.GetValue('{value}')){{$key.SetValue('{value}','{fresh}')}};"
    "'mark='+$key.GetValue('{value}');"
    "'ticks='+(Get-CimInstance Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().Ticks"
)
_LINUX: Final = (
    "echo nonce={nonce}; echo mark=$(cat /proc/sys/kernel/random/boot_id); "
    "while read -r name value rest; do [ \"$name\" = btime ] && echo btime=$value; done < /proc/stat"
)


def echo_command(system: System, nonce: str) -> Command:
    """Return the cheapest command that prints ``nonce``."""
    _check(nonce)
    return ["cmd.exe", "/d", "/c", "echo", nonce] if system == "windows" else ["echo", nonce]


def identity_command(system: System, nonce: str, fresh: str) -> Command:
    """Return the command that prints nonce, mark and boot time. ``fresh`` becomes the mark of a boot without one."""
    _check(nonce)
    _check(fresh)
    if system == "linux":
        return ["/bin/sh", "-c", _LINUX.format(nonce=nonce)]
    return powershell(_WINDOWS.format(nonce=nonce, parent=PARENT_KEY, key=MARK_KEY, value=MARK_VALUE, fresh=fresh))


def parse_identity(system: System, text: str, nonce: str) -> BootIdentity:
    """Return what the command printed; a witness that is missing or garbled is ``None``, and none is guessed.

    Raises:
        ShellFault: the nonce is not in it: this is another command's answer.
    """
    said = dict(line.strip().partition("=")[::2] for line in text.splitlines() if "=" in line)
    if said.get("nonce") != nonce:
        raise ShellFault(f"expected an answer with the nonce {nonce}, saw {text.strip()[:200]!r}: another connection's "
                         "answer, or the command did not run")
    mark = said.get("mark", "").lower()
    if system == "windows":
        time_us, tolerance_us = _number(said.get("ticks", ""), _TO_1970_TICKS, 10), WINDOWS_TOLERANCE_US
    else:
        seconds = _number(said.get("btime", ""), 0, 1)
        time_us, tolerance_us = None if seconds is None else seconds * 1_000_000, LINUX_TOLERANCE_US
    return BootIdentity(mark if _MARK.fullmatch(mark) else None, time_us, tolerance_us)


def mark_query() -> Command:
    """Return a command for Windows that prints the mark without PowerShell; it fails where none was made yet."""
    return ["reg.exe", "query", "HKLM\\" + MARK_KEY, "/v", MARK_VALUE, "/reg:64"]


def parse_mark_query(result: Result) -> str | None:
    """Return the mark that ``reg.exe`` printed; nothing if there is none in this boot."""
    found = re.search(rf"^\s*{MARK_VALUE}\s+REG_SZ\s+(\S+)\s*$", result.out, re.MULTILINE)
    return found[1] if result.code == 0 and found and _MARK.fullmatch(found[1]) else None


async def prove(shell: Shell, *, limit_s: float = READ_LIMIT_S) -> None:
    """Check that commands get through this very connection.

    Raises:
        ShellFault: the answer is not this command's.
    """
    nonce = fresh_secret()[:32]
    result = await shell.run(echo_command(shell.system, nonce), limit_s=limit_s)
    if result.out.split() != [nonce]:
        raise ShellFault(f"expected the {shell.name} shell to answer with the nonce {nonce}, saw "
                         f"{(result.out or result.err).strip()[:200]!r} (exit code {result.code})")


async def read_identity(shell: Shell, *, limit_s: float = READ_LIMIT_S) -> BootIdentity:
    """Return what the machine says of its boot; the host's witnesses are for the caller to add.

    The mark read first belongs to the shell's boot from then on.

    Raises:
        OldBoot: another mark was read before in this boot.
        ShellFault: the answer is not this command's.
    """
    nonce, fresh = fresh_secret()[:32], fresh_secret()[:32]
    result = await shell.run(identity_command(shell.system, nonce, fresh), limit_s=limit_s)
    identity = parse_identity(shell.system, result.out, nonce)
    if identity.mark is not None:
        shell.boot.confirm(identity.mark)
    return identity


def _number(text: str, minus: int, divide: int) -> int | None:
    return (int(text) - minus) // divide if text.isascii() and text.isdecimal() and int(text) > minus else None


def _check(word: str) -> None:
    if not _NONCE.fullmatch(word):
        raise ValueError(f"expected a nonce of 16 to 64 hexadecimal digits, saw {word[:80]!r}")
