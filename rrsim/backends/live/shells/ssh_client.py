"""The blocking half of the SSH shell: paramiko with every wait bounded. Nothing here knows of the event loop.

What paramiko does not do by itself: it waits for an exit status without limit, its keep-alive does not notice a dead
peer, and a request for a command waits for ever. So the caller ends the connection from outside when its deadline
passes (:meth:`SshClient.abort`), which wakes all of these.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import paramiko

from rrsim.backends.live.shells.base import Deadline
from rrsim.backends.live.shells.host_keys import HostKeys
from rrsim.backends.live.shells.interface import (
    DeadlineMissed,
    NotYet,
    ShellFault,
    ShellLost,
    ShellRefused,
    TooMuch,
    WrongMachine,
)
from rrsim.backends.live.shells.login import Login

CONNECT_LIMIT_S: Final = 10.0
BANNER_LIMIT_S: Final = 15.0
TAIL_S: Final = 2.0
"""After a command has ended its output may come so much longer: a child it left behind may keep the stream open."""
_CHUNK_BYTES: Final = 32 * 1024
_LOG: Final = "rrsim.shells.ssh"

logging.getLogger(_LOG).addHandler(logging.NullHandler())  # without one, paramiko's tracebacks end up on stderr


class SocketLike(Protocol):
    """A connection that is open already."""

    def send(self, data: bytes, /) -> int:
        """Send some of the bytes; return how many."""

    def recv(self, most: int, /) -> bytes:
        """Return some bytes; none at the end. Raises ``TimeoutError`` after the time set."""

    def settimeout(self, seconds: float | None, /) -> None:
        """Set how long ``send`` and ``recv`` may take."""

    def close(self) -> None:
        """End the connection."""


class _Connection:
    """A socket or something like it, with the one attribute of sockets that paramiko also needs."""

    def __init__(self, inner: SocketLike) -> None:
        self._inner = inner
        self._closed = False  # paramiko looks at this when it stops its thread

    def send(self, data: bytes) -> int:
        return self._inner.send(data)

    def recv(self, most: int) -> bytes:
        return self._inner.recv(most)

    def settimeout(self, seconds: float | None) -> None:
        self._inner.settimeout(seconds)

    def close(self) -> None:
        self._closed = True  # paramiko's thread never waits in recv for longer than 0.1 s, and finds out
        with contextlib.suppress(OSError):
            self._inner.close()


class SshClient:
    """One SSH connection, for use by one thread at a time; :meth:`abort` may come from any other."""

    def __init__(self, where: tuple[str, int] | SocketLike, login: Login, host_keys: HostKeys) -> None:
        """Hold a client that is not connected."""
        self._where = where
        self._login = login
        self._host_keys = host_keys
        self._connection: _Connection | None = None
        self._transport: paramiko.Transport | None = None
        self._aborted = False
        self.young: Callable[[], bool] = lambda: False
        """Whether a declined login may still be due to an early hour of the boot."""

    def abort(self) -> None:
        """End the connection from any thread; what waits for it wakes."""
        self._aborted = True
        if self._transport is not None:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                self._transport.close()
        if self._connection is not None:
            self._connection.close()

    # --- connecting ---------------------------------------------------------------------------------------------------

    def connect(self, deadline: Deadline) -> None:
        """Connect, check the host's key, sign in.

        Raises:
            NotYet, ShellRefused, WrongMachine: as for opening a shell.
        """
        self._aborted = False
        self._connection = _Connection(self._socket(deadline))
        if self._aborted:  # the caller gave up while the address was looked up
            self._connection.close()
            raise NotYet("connecting was broken off")
        try:
            transport, key = self._negotiate(self._connection, deadline)
            self._host_keys.check(key.get_name(), key.asbytes())
            transport.auth_timeout = deadline.left_s
            self._sign_in(transport)
        except BaseException:
            self.abort()
            raise

    def _socket(self, deadline: Deadline) -> SocketLike:
        if not isinstance(self._where, tuple):
            return self._where
        try:
            return socket.create_connection(self._where, timeout=deadline.at_most_s(CONNECT_LIMIT_S))
        except OSError as error:
            raise NotYet(f"no connection to {self._where[0]}:{self._where[1]} ({error})") from None

    def _negotiate(self, connection: _Connection, deadline: Deadline) -> tuple[paramiko.Transport, paramiko.PKey]:
        transport = paramiko.Transport(connection)  # type: ignore[arg-type]  # socket-like is enough
        self._transport = transport
        transport.set_log_channel(_LOG)
        transport.banner_timeout = deadline.at_most_s(BANNER_LIMIT_S)
        transport.handshake_timeout = deadline.left_s
        transport.channel_timeout = deadline.left_s
        transport.clear_to_send_timeout = deadline.left_s
        wanted = self._host_keys.wanted_type()
        if wanted is not None:
            options = transport.get_security_options()
            first = [kind for kind in options.key_types if kind == wanted or (wanted == "ssh-rsa" and "rsa" in kind)]
            options.key_types = (*first, *(kind for kind in options.key_types if kind not in first))
        try:
            transport.start_client(timeout=deadline.left_s)
            # If its time is up, that returns as if all were well; asking for the key tells.
            return transport, transport.get_remote_server_key()
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise NotYet(f"the port is open, and no SSH server answers properly ({_text(error)})") from None

    def _sign_in(self, transport: paramiko.Transport) -> None:
        user = self._login.user
        try:
            if self._login.private_key:
                missing = transport.auth_publickey(user, read_key(self._login.private_key))
                if missing and self._login.password:
                    missing = transport.auth_password(user, self._login.password)
            else:
                missing = transport.auth_password(user, self._login.password)
        except (paramiko.SSHException, OSError, EOFError) as error:
            if isinstance(error, paramiko.AuthenticationException) and transport.is_active() and not _slow(error):
                self._declined(_text(error))
            raise NotYet(f"the connection broke, or no answer came, while {user!r} was signing in "
                         f"({_text(error)})") from None
        if missing or not transport.is_authenticated():
            self._declined(f"the server also wants {', '.join(missing) or 'more'}")

    def _declined(self, why: str) -> None:
        if self.young():
            raise NotYet(f"{self._login.user!r} was declined ({why}), as happens early in a boot") from None
        raise ShellRefused(f"the SSH server declines {self._login.user!r} ({why}); check the account, its password or "
                           "key, and that the server allows this way of signing in") from None

    # --- commands -----------------------------------------------------------------------------------------------------

    def run(self, line: str, deadline: Deadline, most_bytes: int, sent: Callable[[], None]) -> tuple[int, bytes, bytes]:
        """Run a line to its end; return exit code and both outputs. ``sent`` is called just before it is sent."""
        channel = self._channel(deadline)
        try:
            sent()
            try:
                channel.exec_command(line)
            except (paramiko.SSHException, OSError, EOFError) as error:
                # A server that says no and one that began and closed look alike here: take the one that is unsafe.
                raise self._lost("a command was being started, or was not allowed", sent=True, error=error) from None
            channel.shutdown_write()
            streams = [_Stream(channel.recv, most_bytes), _Stream(channel.recv_stderr, most_bytes)]
            self._wait_for_end(channel, streams, deadline)
            if not channel.status_event.is_set() or channel.exit_status < 0:
                raise self._lost("a command ran and no exit code came; it may have been ended by a signal", sent=True)
            return channel.exit_status, streams[0].data, streams[1].data
        finally:
            with contextlib.suppress(Exception):
                channel.close()

    def _wait_for_end(self, channel: paramiko.Channel, streams: list[_Stream], deadline: Deadline) -> None:
        """Wait until the exit code came and both streams ended, or their tail lasts too long."""
        for stream in streams:
            stream.start(channel.status_event.set)  # an overflow wakes this thread too
        if not channel.status_event.wait(deadline.left_s):
            raise DeadlineMissed(f"no exit code came within {deadline.limit_s:g} s")
        tail = Deadline(deadline.at_most_s(TAIL_S))
        for stream in streams:
            if not any(each.overflowed for each in streams):
                stream.ended.wait(tail.left_s)
        if any(stream.overflowed for stream in streams):
            raise TooMuch(f"the command printed more than {streams[0].most_bytes} bytes; let it write into a file")

    @property
    def _alive(self) -> bool:
        return self._transport is not None and self._transport.is_active()

    def _channel(self, deadline: Deadline) -> paramiko.Channel:
        if self._transport is None:
            raise self._lost("a channel was to be opened", sent=False)
        try:
            return self._transport.open_session(timeout=deadline.left_s)
        except (paramiko.SSHException, OSError, EOFError) as error:
            if isinstance(error, paramiko.ChannelException) and self._alive:
                raise ShellFault(f"the SSH server opens no further channel ({_text(error)})") from None
            raise self._lost("a channel was to be opened", sent=False, error=error) from None

    def _lost(self, while_: str, *, sent: bool, error: BaseException | None = None) -> ShellLost:
        why = _text(error) if error is not None else "no further reason given"
        return ShellLost(f"the ssh shell lost its connection while {while_} ({why})", sent=sent)

    def sftp(self, deadline: Deadline, work: Callable[[paramiko.SFTPClient], Any]) -> Any:
        """Do ``work`` with a file transfer channel; its own limit is the deadline's."""
        channel = self._channel(deadline)
        try:
            channel.settimeout(deadline.left_s)
            channel.invoke_subsystem("sftp")
            client = paramiko.SFTPClient(channel)
            return work(client)
        except TimeoutError:
            raise DeadlineMissed(f"a file was not transferred within {deadline.limit_s:g} s") from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            if self._alive:
                raise ShellFault(f"a file could not be transferred: {_text(error)}") from None
            raise self._lost("a file was transferred", sent=True, error=error) from None
        finally:
            with contextlib.suppress(Exception):
                channel.close()


class _Stream:
    """Drains one output of a command in a thread of its own, so that neither blocks the other."""

    def __init__(self, receive: Callable[[int], bytes], most_bytes: int) -> None:
        self._receive = receive
        self.most_bytes = most_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self.overflowed = False
        self.ended = threading.Event()
        self._overflow: Callable[[], None] = lambda: None

    @property
    def data(self) -> bytes:
        return b"".join(self._pieces)

    def start(self, overflow: Callable[[], None]) -> None:
        self._overflow = overflow
        threading.Thread(target=self._drain, name="rrsim ssh output", daemon=True).start()

    def _drain(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            while piece := self._receive(_CHUNK_BYTES):
                self._size += len(piece)
                if self._size > self.most_bytes:
                    self.overflowed = True
                    self._overflow()
                    break
                self._pieces.append(piece)
        self.ended.set()


def read_key(text: str) -> paramiko.PKey:
    """Return the private key in ``text``.

    Raises:
        ShellRefused: it is none, or of a kind that is not known. The message does not repeat it.
    """
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with contextlib.suppress(paramiko.SSHException, ValueError, IndexError):
            return kind.from_private_key(io.StringIO(text))
    raise ShellRefused("expected a private key (Ed25519, ECDSA or RSA) without a pass phrase, saw something else; "
                       "make one with ssh-keygen -t ed25519 -N ''")


def _slow(error: paramiko.AuthenticationException) -> bool:
    return "timeout" in str(error).lower()


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__


def local_files(top: Path) -> list[Path]:
    """Return everything below a folder, each folder before what is in it.

    Raises:
        ShellFault: there is a link, or something else that is neither file nor folder. Links are never followed: one
            to a root would copy the whole host.
    """
    found: list[Path] = []
    for path in sorted(top.iterdir()):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ShellFault(f"{path} is neither a file nor a folder, and only these are copied; resolve it first")
        found.append(path)
        if path.is_dir():
            found += local_files(path)
    return found


__all__ = ["SocketLike", "SshClient", "WrongMachine", "local_files", "read_key"]
