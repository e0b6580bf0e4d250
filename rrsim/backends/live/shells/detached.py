"""Commands that outlive the connection that starts them.

On Windows both WinRM and Win32-OpenSSH keep what they start in a job and end it with the session; a process made by
the management service (WMI) belongs to nobody's session.
"""

from __future__ import annotations

import shlex

from rrsim.backends.live.shells.interface import Command, Result, ShellFault, System
from rrsim.backends.live.shells.quoting import powershell, powershell_text, shell_line, windows_line

_CREATE = (
    "$ErrorActionPreference='Stop';$made=Invoke-CimMethod -ClassName Win32_Process -MethodName Create"
    " -Arguments @{{CommandLine={line}}};'returned='+$made.ReturnValue;'pid='+$made.ProcessId"
)
_WHY = {2: "access denied", 3: "insufficient privilege", 8: "unknown failure", 9: "path not found",
        21: "invalid parameter"}
"""What ``Win32_Process.Create`` returns."""


def detached_line(system: System, command: Command) -> Command:
    """Return a command that starts ``command`` for itself, prints its process id and ends at once."""
    if system == "windows":
        line = windows_line(command) if isinstance(command, list) else f"cmd.exe /d /c {command}"
        return powershell(_CREATE.format(line=powershell_text(line)))
    quoted = shlex.quote(shell_line(command, system))
    return f"setsid sh -c {quoted} </dev/null >/dev/null 2>&1 & echo pid=$!"


def started_pid(system: System, result: Result) -> int:
    """Return the process id that such a command printed.

    Raises:
        ShellFault: nothing was started; the message holds what was printed instead.
    """
    said = dict(line.strip().partition("=")[::2] for line in result.out.splitlines())
    pid = said.get("pid", "")
    if result.code == 0 and pid.isdecimal() and (system == "linux" or said.get("returned") == "0"):
        return int(pid)
    returned = said.get("returned", "")
    why = _WHY.get(int(returned), f"error {returned}") if returned.isdecimal() else (result.err or result.out).strip()
    raise ShellFault(f"the command was not started: {why[:500] or 'no reason given'} (exit code {result.code})")
