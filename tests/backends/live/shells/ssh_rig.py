"""SSH servers for tests: this computer's real sshd, and one made of paramiko that can be told to misbehave."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from rrsim.backends.live.shells.host_keys import KnownKey
from rrsim.backends.live.shells.login import Login

SSHD = Path("/usr/sbin/sshd")
SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")
USER = pwd.getpwuid(os.getuid()).pw_name


def make_key(path: Path) -> str:
    """Make an Ed25519 key without a pass phrase; return its public line."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=10)
    return path.with_suffix(".pub").read_text()


class RealSshd:
    """This computer's sshd, started anew for each connection, as inetd would; no fixed port, no root needed."""

    def __init__(self, folder: Path) -> None:
        if not SSHD.is_file():
            pytest.skip(f"needs {SSHD}; install openssh-server")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # what the service's own start script does
        self.host_line = make_key(folder / "host")
        (folder / "authorized").write_text(make_key(folder / "user"))
        self.login = Login(USER, private_key=(folder / "user").read_text())
        self._config = folder / "config"
        self._config.write_text("\n".join([
            f"HostKey {folder / 'host'}", f"AuthorizedKeysFile {folder / 'authorized'}", "StrictModes no",
            "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no", "PidFile none", "LogLevel ERROR",
            f"Subsystem sftp {SFTP_SERVER}",
        ]))
        self._servers: list[subprocess.Popen[bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.where: tuple[str, int] = self._listener.getsockname()
        self._thread = threading.Thread(target=self._accept, name="ssh rig", daemon=True)
        self._thread.start()

    def serve(self, connection: socket.socket) -> subprocess.Popen[bytes]:
        """Have sshd serve an open connection."""
        server = subprocess.Popen(
            [str(SSHD), "-i", "-e", "-f", str(self._config)], stdin=connection, stdout=connection,
            stderr=subprocess.DEVNULL,
        )
        connection.close()
        self._servers.append(server)
        return server

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.serve(self._listener.accept()[0])

    @property
    def host_keys(self) -> KnownKey:
        return KnownKey(self.host_line)

    def kill(self) -> None:
        """End every server process at once, as a power cut would."""
        for server in self._servers:
            server.kill()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        self.kill()
        for server in self._servers:
            server.wait(5)


class Faults:
    """What the pretend server does wrong; by default it accepts the password ``right`` and runs nothing."""

    def __init__(self) -> None:
        self.silent = False
        """No banner, ever."""
        self.slow_login = threading.Event()
        self.slow_login.set()
        """Cleared: a login is answered only when it is set."""
        self.decline_first = 0
        """So many logins are declined first."""
        self.on_command: Callable[[paramiko.Channel, str], None] = lambda channel, _: _finish(channel, 0)
        self.no_channels = False
        self.no_commands = False


def _finish(channel: paramiko.Channel, code: int | None, out: bytes = b"", err: bytes = b"") -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        if out:
            channel.sendall(out)
        if err:
            channel.sendall_stderr(err)
        if code is not None:
            channel.send_exit_status(code)
        channel.close()


finish = _finish


class _Server(paramiko.ServerInterface):
    def __init__(self, faults: Faults, started: threading.Event) -> None:
        self._faults = faults
        self._started = started

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        self._faults.slow_login.wait(20)
        if self._faults.decline_first > 0:
            self._faults.decline_first -= 1
            return paramiko.AUTH_FAILED
        return paramiko.AUTH_SUCCESSFUL if password == "right" else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if self._faults.no_channels:
            return paramiko.OPEN_FAILED_RESOURCE_SHORTAGE
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self._faults.no_commands:
            return False
        self._started.set()
        # A real server says that it starts the command before it starts it.
        threading.Timer(0.05, self._faults.on_command, args=(channel, command.decode())).start()
        return True


class PretendSshd:
    """Stands in for an SSH server with faults. Its host key is made for each run."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._key = paramiko.ECDSAKey.generate()
        self.host_keys = KnownKey(f"{self._key.get_name()} {self._key.get_base64()}")
        self.command_started = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.where: tuple[str, int] = self._listener.getsockname()
        self._connections: list[socket.socket] = []
        self._transports: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._accept, name="ssh rig", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            if self.faults.silent:
                continue
            transport = paramiko.Transport(connection)
            transport.set_log_channel("tests.pretend_sshd")
            transport.add_server_key(self._key)
            self._transports.append(transport)
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(event=threading.Event(), server=_Server(self.faults, self.command_started))

    @property
    def connections(self) -> int:
        return len(self._connections)

    def cut(self) -> None:
        """Break every connection."""
        for transport in self._transports:
            transport.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def close(self) -> None:
        self.faults.slow_login.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        self.cut()


@contextlib.contextmanager
def real_sshd(folder: Path) -> Iterator[RealSshd]:
    """The real server, for a while."""
    server = RealSshd(folder)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def pretend_sshd() -> Iterator[PretendSshd]:
    """The pretend server, for a while."""
    server = PretendSshd()
    try:
        yield server
    finally:
        server.close()
