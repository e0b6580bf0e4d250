"""The WinRM shell: commands on Windows over HTTPS, with the certificate of the image's build checked.

A command given as a list is started without an interpreter; a line goes through ``cmd.exe``. Processes run in session
0 with no desktop, and end with the shell, so a detached start goes through WMI.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from rrsim.backends.live.shells.base import BaseShell, Deadline, in_thread
from rrsim.backends.live.shells.decoding import decode, powershell_errors
from rrsim.backends.live.shells.detached import detached_line, started_pid
from rrsim.backends.live.shells.interface import (
    MOST_OUTPUT_BYTES,
    OPEN_LIMIT_S,
    Boot,
    Command,
    Result,
    ShellFault,
    TooMuch,
)
from rrsim.backends.live.shells.login import Login
from rrsim.backends.live.shells.quoting import powershell, powershell_text, windows_line

if TYPE_CHECKING:
    from rrsim.backends.live.shells.winrm_client import WinRmClient

PUT_PIECE_BYTES: Final = 48 * 1024
"""Bytes of a file in one message; Windows takes 150 KB an envelope in the worst case, and base64 twice is 16/9."""
_BASE64_LINE: Final = 57 * 1024
TOO_LARGE: Final = 3
"""Exit code of our own script: the file is larger than allowed."""

_PUT: Final = (
    "$ErrorActionPreference='Stop';$to={path};$draft=$to+'.part';"
    "$file=[IO.File]::Open($draft,'Create','Write');"
    "try{{while($null -ne ($line=[Console]::In.ReadLine())){{if($line){{"
    "$b=[Convert]::FromBase64String($line);$file.Write($b,0,$b.Length)}}}}}}finally{{$file.Close()}};"
    "$sum=(Get-FileHash -LiteralPath $draft -Algorithm SHA256).Hash;"
    "if($sum -ne '{sum}'){{Remove-Item -LiteralPath $draft;throw 'it arrived damaged'}};"
    "Move-Item -LiteralPath $draft -Destination $to -Force;'sha256='+$sum"
)
_GET: Final = (
    "$ErrorActionPreference='Stop';$file=[IO.File]::Open({path},'Open','Read','ReadWrite');"
    "try{{if($file.Length -gt {most}){{'size='+$file.Length;exit " + str(TOO_LARGE) + "}};"
    "$b=New-Object byte[] {piece};"
    "while(($n=$file.Read($b,0,$b.Length)) -gt 0){{[Convert]::ToBase64String($b,0,$n)}}}}finally{{$file.Close()}}"
)


class WinRmShell(BaseShell):
    """A way into a Windows machine over WinRM."""

    name = "winrm"

    def __init__(
        self, where: tuple[str, int], login: Login, *, boot: Boot, certificate: Path | None = None,
        server_name: str = "", how: Literal["basic", "ntlm"] = "basic", plain_http: bool = False,
        most_output_bytes: int = MOST_OUTPUT_BYTES,
    ) -> None:
        """Hold a shell to host and port.

        ``certificate``: the PEM file that vouches for the machine, its own or an authority's; without it the public
        authorities count. ``server_name``: the name in the certificate, if it is not the host's. ``plain_http``: no
        TLS; for tests.

        Raises:
            ValueError: there is no password, or it would travel unprotected.
        """
        from rrsim.backends.live.shells.winrm_client import WinRmClient  # pywinrm takes a while to import

        super().__init__("windows", boot)
        host, port = where
        if not login.password:
            raise ValueError("WinRM signs in by password, and the login has none")
        if plain_http and how == "basic" and not _is_loopback(host):
            raise ValueError(f"a password would go over plain HTTP to {host}; use HTTPS, or ntlm, which encrypts")
        url = f"{'http' if plain_http else 'https'}://{f'[{host}]' if ':' in host else host}:{port}/wsman"
        self._client: WinRmClient = WinRmClient(
            url, login.user, login.password, how=how, certificate=str(certificate) if certificate else None,
            server_name=server_name, young=lambda: boot.young,
        )
        self._most_output_bytes = most_output_bytes

    def _abort(self) -> None:
        self._client.abort()

    async def _connect(self, deadline: Deadline) -> None:
        await in_thread("winrm", lambda: self._client.connect(deadline))

    async def _say_goodbye(self, deadline: Deadline) -> None:  # noqa: ARG002 -- the caller ends it at its deadline
        await in_thread("winrm", self._client.disconnect)

    def _mark_sent(self) -> None:
        self._sent = True

    async def run(self, command: Command, *, limit_s: float) -> Result:
        """Run a command to its end."""
        return await self._run("running a command", command, limit_s, self._most_output_bytes)

    async def _run(
        self, what: str, command: Command, limit_s: float, most_bytes: int, feed: Iterator[bytes] | None = None,
    ) -> Result:
        if isinstance(command, str):
            program, arguments, interpreter = command, [], True
        else:
            program, rest = windows_line(command[:1]), command[1:]
            arguments, interpreter = [windows_line(rest)] if rest else [], False

        def work(deadline: Deadline) -> Any:
            return in_thread("winrm", lambda: self._client.run(
                program, arguments, deadline, most_bytes, self._mark_sent, interpreter=interpreter, feed=feed,
            ))

        code, out, err = await self._call("open", what, work, limit_s)
        if self._client.unclean:
            self._end("WinRM did not answer when the last command was cleaned up")
        return Result(code, decode(out), powershell_errors(decode(err)))

    async def start_detached(self, command: Command, *, limit_s: float = OPEN_LIMIT_S) -> int:
        """Start a command that outlives the connection; return its process id."""
        return started_pid(self.system, await self.run(detached_line(self.system, command), limit_s=limit_s))

    # --- files --------------------------------------------------------------------------------------------------------

    async def put(self, local: Path, remote: str, *, limit_s: float) -> None:
        """Copy a file into the machine: lines of base64 on the standard input of a PowerShell script."""
        digest = await in_thread("checksum", lambda: _sha256(local))
        script = powershell(_PUT.format(path=powershell_text(remote), sum=digest))
        result = await self._run(
            f"copying {local.name} into the machine", script, limit_s, MOST_OUTPUT_BYTES, _base64_lines(local),
        )
        if result.code != 0 or f"sha256={digest}" not in result.out:
            raise ShellFault(f"{local.name} was not copied to {remote}: {_said(result)}")

    async def get(self, remote: str, *, limit_bytes: int, limit_s: float) -> bytes:
        """Read a file of the machine: a PowerShell script prints it as lines of base64."""
        script = powershell(_GET.format(path=powershell_text(remote), most=limit_bytes, piece=_BASE64_LINE))
        result = await self._run(f"reading {remote}", script, limit_s, limit_bytes * 2 + 4096)
        if result.code == TOO_LARGE:
            raise TooMuch(f"{remote} has more than the {limit_bytes} bytes that are allowed ({result.out.strip()})")
        if result.code != 0:
            raise ShellFault(f"{remote} was not read: {_said(result)}")
        try:
            return b"".join(base64.b64decode(line, validate=True) for line in result.out.split())
        except ValueError:
            raise ShellFault(f"{remote} was not read: the machine printed {result.out[:200]!r}") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().upper()


def _base64_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PUT_PIECE_BYTES):
            yield base64.b64encode(piece) + b"\r\n"


def _said(result: Result) -> str:
    said = " ".join((result.err or result.out).split())
    return f"{said[:500] or 'no reason given'} (exit code {result.code})"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
