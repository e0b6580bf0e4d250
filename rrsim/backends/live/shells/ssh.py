"""The SSH shell: OpenSSH on Linux, Win32-OpenSSH on Windows.

Its host key is checked before anything is said. On Windows the server's default shell must be ``cmd.exe``, as it is
unless changed; it ends all children of a session, so a detached start goes through WMI.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rrsim.backends.live.shells.base import BaseShell, Deadline, in_thread
from rrsim.backends.live.shells.decoding import decode, powershell_errors
from rrsim.backends.live.shells.detached import detached_line, started_pid
from rrsim.backends.live.shells.host_keys import HostKeys
from rrsim.backends.live.shells.interface import (
    MOST_OUTPUT_BYTES,
    OPEN_LIMIT_S,
    Boot,
    Command,
    Result,
    ShellFault,
    System,
    TooMuch,
)
from rrsim.backends.live.shells.login import Login
from rrsim.backends.live.shells.quoting import shell_line

if TYPE_CHECKING:
    import paramiko

    from rrsim.backends.live.shells.ssh_client import SocketLike

_PIECE_BYTES = 32 * 1024


class SshShell(BaseShell):
    """A way into the machine over SSH."""

    name = "ssh"

    def __init__(
        self, where: tuple[str, int] | SocketLike, login: Login, host_keys: HostKeys, *, boot: Boot,
        system: System = "linux", most_output_bytes: int = MOST_OUTPUT_BYTES,
    ) -> None:
        """Hold a shell to host and port, or over a connection that is open already (good for one :meth:`open`)."""
        from rrsim.backends.live.shells.ssh_client import SshClient  # paramiko takes a while to import

        super().__init__(system, boot)
        self._client = SshClient(where, login, host_keys)
        self._client.young = lambda: boot.young
        self._most_output_bytes = most_output_bytes

    def _abort(self) -> None:
        self._client.abort()

    async def _connect(self, deadline: Deadline) -> None:
        await in_thread("ssh", lambda: self._client.connect(deadline))

    async def _say_goodbye(self, deadline: Deadline) -> None:  # noqa: ARG002 -- SSH has no goodbye to wait for
        self._client.abort()

    def _mark_sent(self) -> None:
        self._sent = True

    async def run(self, command: Command, *, limit_s: float) -> Result:
        """Run a command to its end."""
        line = shell_line(command, self.system)

        def work(deadline: Deadline) -> Any:
            return in_thread(
                "ssh", lambda: self._client.run(line, deadline, self._most_output_bytes, self._mark_sent)
            )

        code, out, err = await self._call("open", "running a command", work, limit_s)
        return Result(code, decode(out), powershell_errors(decode(err)))

    async def start_detached(self, command: Command, *, limit_s: float = OPEN_LIMIT_S) -> int:
        """Start a command that outlives the connection; return its process id."""
        return started_pid(self.system, await self.run(detached_line(self.system, command), limit_s=limit_s))

    # --- files --------------------------------------------------------------------------------------------------------

    def _remote(self, path: str) -> str:
        return path.replace("\\", "/") if self.system == "windows" else path

    async def _transfer(self, what: str, work: Callable[[paramiko.SFTPClient], Any], limit_s: float) -> Any:
        return await self._call(
            "open", what, lambda deadline: in_thread("ssh", lambda: self._client.sftp(deadline, work)), limit_s,
        )

    async def put(self, local: Path, remote: str, *, limit_s: float) -> None:
        """Copy a file into the machine; on Linux with its permissions."""
        await self._transfer(f"copying {local.name} into the machine",
                             lambda sftp: self._put_file(sftp, local, self._remote(remote)), limit_s)

    async def put_tree(self, local: Path, remote: str, *, limit_s: float) -> int:
        """Copy a folder with everything in it; folders that exist are filled. Return how many files were copied.

        Raises:
            ShellFault: there is a link in the folder, or a file could not be written.
        """
        from rrsim.backends.live.shells.ssh_client import local_files

        paths = local_files(local)

        def work(sftp: paramiko.SFTPClient) -> int:
            top = self._remote(remote).rstrip("/")
            _make_folder(sftp, top)
            for path in paths:
                target = f"{top}/{path.relative_to(local).as_posix()}"
                if path.is_dir():
                    _make_folder(sftp, target)
                else:
                    self._put_file(sftp, path, target)
            return sum(not path.is_dir() for path in paths)

        return int(await self._transfer(f"copying the folder {local.name} into the machine", work, limit_s))

    def _put_file(self, sftp: paramiko.SFTPClient, local: Path, remote: str) -> None:
        draft = f"{remote}.part"
        with local.open("rb") as source, sftp.open(draft, "wb") as target:
            target.set_pipelined(True)
            size = 0
            while piece := source.read(_PIECE_BYTES):
                target.write(piece)
                size += len(piece)
        arrived = sftp.stat(draft).st_size
        if arrived != size:
            raise ShellFault(f"{local} has {size} bytes, and {arrived} of them arrived as {draft}")
        if self.system == "linux":
            sftp.chmod(draft, stat.S_IMODE(local.stat().st_mode))
        try:
            sftp.posix_rename(draft, remote)
        except OSError:  # a server without this extension: its own rename never replaces a file
            with contextlib.suppress(OSError):
                sftp.remove(remote)
            sftp.rename(draft, remote)

    async def get(self, remote: str, *, limit_bytes: int, limit_s: float) -> bytes:
        """Read a file of the machine."""

        def work(sftp: paramiko.SFTPClient) -> bytes:
            pieces: list[bytes] = []
            size = 0
            with sftp.open(self._remote(remote), "rb") as file:
                expected = file.stat().st_size or 0
                if expected > limit_bytes:
                    raise TooMuch(f"{remote} has {expected} bytes, and {limit_bytes} are allowed")
                if expected:
                    file.prefetch(expected)
                # What the file system says of a size need not be true (``/proc``): count what really comes.
                while size <= limit_bytes and (piece := file.read(min(_PIECE_BYTES, limit_bytes + 1 - size))):
                    pieces.append(piece)
                    size += len(piece)
            if size > limit_bytes:
                raise TooMuch(f"{remote} has more than the {limit_bytes} bytes that are allowed")
            return b"".join(pieces)

        found: bytes = await self._transfer(f"reading {remote}", work, limit_s)
        return found


def _make_folder(sftp: paramiko.SFTPClient, path: str) -> None:
    """Make a folder unless it is there; the folders above it must be."""
    try:
        sftp.mkdir(path)
    except OSError:
        mode = sftp.stat(path).st_mode
        if mode is None or not stat.S_ISDIR(mode):
            raise
