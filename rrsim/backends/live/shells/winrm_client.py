"""The blocking half of the WinRM shell: pywinrm with every wait, every answer and every cleanup bounded.

What pywinrm does not do by itself: it asks for output again and again for ever while a command is silent; errors of the
connection come out as those of ``requests``; it obeys proxies of the environment; its cleanup raises after a restart
that was accepted; its sockets cannot be ended from outside. Nothing here knows of the event loop.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any, Final

import requests
import requests.adapters
import urllib3
import winrm.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from winrm.protocol import Protocol
from winrm.transport import Transport

from rrsim.backends.live.shells.base import Deadline
from rrsim.backends.live.shells.interface import (
    DeadlineMissed,
    NotYet,
    OldBoot,
    ShellFault,
    ShellLost,
    ShellRefused,
    TooMuch,
    WrongMachine,
)

CONNECT_LIMIT_S: Final = 10
OPERATION_LIMIT_S: Final = 5
"""The machine answers a request for output at the latest after so long, if only to say that there is none yet."""
ANSWER_LIMIT_S: Final = 15
"""No byte for so long while an answer is due means that the machine is gone."""
CLEANUP_LIMIT_S: Final = 3.0
SHELL_IDLE: Final = "PT600S"
"""A shell that nobody came back to is dropped by the machine after this time; it keeps few at once."""
UTF_8: Final = 65001
SHELL_GONE: Final = 2150858843
"""Fault code: there is no shell of this id. The service was restarted, or the machine."""
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""An answer's size is limited by the machine's envelope size, half a megabyte by default."""
_PIECE_BYTES: Final = 64 * 1024


class Sockets:
    """The open sockets of one connection, so that they can be ended from another thread."""

    def __init__(self) -> None:
        """Know none."""
        self._known: list[socket.socket] = []
        self._lock = threading.Lock()
        self.ended = False

    def add(self, opened: socket.socket) -> None:
        """Remember one; it is ended at once if all are to end."""
        with self._lock:
            self._known = [known for known in self._known if known.fileno() >= 0]
            self._known.append(opened)
            if self.ended:
                _shut(opened)

    def end(self) -> None:
        """End all, now and in future: a thread that waits for one of them wakes."""
        with self._lock:
            self.ended = True
            for known in self._known:
                _shut(known)


def _shut(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # That of a TLS socket would also take its TLS away, under the feet of the thread that uses it.
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


def _pools(sockets: Sockets) -> dict[str, type[HTTPConnectionPool]]:
    """Return pools whose connections tell ``sockets`` of theirs, the bare one before its TLS handshake too."""

    class _Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            sockets.add(opened)
            return opened

    class _Tls(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            sockets.add(opened)
            return opened

        def connect(self) -> None:
            super().connect()
            if self.sock is not None:
                sockets.add(self.sock)

    class _PlainPool(HTTPConnectionPool):
        ConnectionCls = _Plain

    class _TlsPool(HTTPSConnectionPool):
        ConnectionCls = _Tls

    return {"http": _PlainPool, "https": _TlsPool}


class _Adapter(requests.adapters.HTTPAdapter):
    """Has its sockets known, never repeats a request, and can expect a certificate for another name than the URL's."""

    def __init__(self, sockets: Sockets, server_name: str) -> None:
        self._sockets = sockets
        self._names = {"server_hostname": server_name} if server_name else {}
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pool manager; called by the base class."""
        options.update(self._names)
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._sockets)


class _Transport(Transport):
    """pywinrm's transport with our sockets, separate limits for connecting and answering, and bounded answers."""

    def __init__(self, sockets: Sockets, server_name: str, **options: Any) -> None:
        super().__init__(**options)
        self._sockets = sockets
        self._server_name = server_name

    def build_session(self) -> requests.Session:
        """Return the session; a new one gets our adapter before its first request."""
        fresh = self.session is None
        session: requests.Session = super().build_session()
        if fresh:
            self._prepare(session)
        return session

    def setup_encryption(self, session: requests.Session) -> None:
        """Encrypt messages over plain HTTP; this already sends a request."""
        self._prepare(session)
        super().setup_encryption(session)

    def _prepare(self, session: requests.Session) -> None:
        if not isinstance(session.get_adapter(self.endpoint), _Adapter):
            session.trust_env = False
            session.proxies = {}
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Adapter(self._sockets, self._server_name))

    def _send_message_request(
        self, session: requests.Session, prepared_request: requests.PreparedRequest,
    ) -> requests.Response:
        response = session.send(
            prepared_request, timeout=(CONNECT_LIMIT_S, self.read_timeout_sec), stream=True, allow_redirects=False,
        )
        body = bytearray()
        for piece in response.iter_content(_PIECE_BYTES):
            body += piece
            if len(body) > ANSWER_BYTES_MAX:
                response.close()
                raise requests.RequestException(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        response._content = bytes(body)  # noqa: SLF001 -- what reading ``content`` would have set, but bounded
        if response.status_code == 401:
            raise winrm.exceptions.InvalidCredentialsError("401")
        if response.status_code != 200:
            text = self._get_message_response_text(response) if body else b""
            raise winrm.exceptions.WinRMTransportError("http", response.status_code, text.decode("utf-8", "replace"))
        return response


class WinRmClient:
    """One connection with one remote shell, for use by one thread at a time; :meth:`abort` may come from any other."""

    def __init__(
        self, url: str, user: str, password: str, *, how: str, certificate: str | None, server_name: str,
        young: Callable[[], bool],
    ) -> None:
        """Hold a client that is not connected. ``how`` is pywinrm's name of the way to sign in."""
        self._url = url
        self._login = (user, password)
        self._how = how
        self._certificate = certificate
        self._server_name = server_name
        self._young = young
        self._sockets = Sockets()
        self._protocol: Any = None
        self._shell_id = ""
        self.unclean = False
        """Whether a cleanup failed: the connection is hardly good for another command."""

    def abort(self) -> None:
        """End the connection from any thread; what waits for it wakes."""
        self._sockets.end()

    def connect(self, deadline: Deadline) -> None:
        """Connect, sign in, and have the machine make a shell.

        Raises:
            NotYet, ShellRefused, WrongMachine: as for opening a shell.
        """
        self._sockets = Sockets()
        self._protocol = self._make_protocol()
        try:
            with self._errors("the shell was being opened", opening=True):
                self._shell_id = self._protocol.open_shell(codepage=UTF_8, noprofile=True, idle_timeout=SHELL_IDLE)
        except BaseException:
            self.drop()
            raise
        if deadline.passed:
            self.drop()
            raise DeadlineMissed(f"the winrm shell was not open within {deadline.limit_s:g} s")

    def _make_protocol(self) -> Any:
        user, password = self._login
        login: dict[str, Any] = {"username": user, "password": password}
        protocol = Protocol(self._url, "plaintext", **login, read_timeout_sec=ANSWER_LIMIT_S,
                            operation_timeout_sec=OPERATION_LIMIT_S, proxy=None)
        protocol.transport = _Transport(
            self._sockets, self._server_name, endpoint=self._url, auth_method=self._how, proxy=None,
            ca_trust_path=self._certificate, read_timeout_sec=ANSWER_LIMIT_S, server_cert_validation="validate",
            **login,
        )
        return protocol

    def drop(self) -> None:
        """Give the connection up, from the thread that uses it."""
        self.abort()
        if self._protocol is not None:
            with contextlib.suppress(Exception):
                self._protocol.transport.close_session()

    def disconnect(self) -> None:
        """Have the machine delete the shell, then give the connection up."""
        try:
            with contextlib.suppress(Exception):
                self._protocol.close_shell(self._shell_id)
        finally:
            self.drop()

    # --- commands -----------------------------------------------------------------------------------------------------

    def run(
        self, program: str, arguments: list[str], deadline: Deadline, most_bytes: int, sent: Callable[[], None], *,
        interpreter: bool, feed: Iterator[bytes] | None = None,
    ) -> tuple[int, bytes, bytes]:
        """Run a command to its end; return exit code and both outputs.

        ``sent`` is called just before it is sent; ``interpreter``: through ``cmd.exe``; ``feed``: its standard input.
        """
        sent()
        with self._errors("a command was being started"):
            command_id = self._protocol.run_command(
                self._shell_id, program, arguments, console_mode_stdin=feed is None, skip_cmd_shell=not interpreter,
            )
        try:
            if feed is not None:
                self._feed(command_id, feed, deadline)
            return self._output(command_id, deadline, most_bytes)
        except ShellLost:
            self._sockets.end()  # nothing to clean up in
            raise
        finally:
            self._clean_up(command_id)

    def _feed(self, command_id: str, feed: Iterator[bytes], deadline: Deadline) -> None:
        with self._errors("a command was being fed"):
            for piece in feed:
                if deadline.passed or self._sockets.ended:
                    raise self._too_late(deadline)
                self._protocol.send_command_input(self._shell_id, command_id, piece)
            self._protocol.send_command_input(self._shell_id, command_id, b"", end=True)

    def _output(self, command_id: str, deadline: Deadline, most_bytes: int) -> tuple[int, bytes, bytes]:
        pieces: tuple[list[bytes], list[bytes]] = ([], [])
        sizes = [0, 0]
        while not (deadline.passed or self._sockets.ended):
            with self._errors("a command ran"):
                try:
                    *new, code, done = self._protocol.get_command_output_raw(self._shell_id, command_id)
                except winrm.exceptions.WinRMOperationTimeoutError:
                    continue  # it says nothing, and runs on
            for stream, piece in enumerate(new):
                pieces[stream].append(piece)
                sizes[stream] += len(piece)
            if max(sizes) > most_bytes:
                raise TooMuch(f"the command printed more than {most_bytes} bytes; let it write into a file")
            if done:
                return code & 0xFFFF_FFFF, b"".join(pieces[0]), b"".join(pieces[1])
        raise self._too_late(deadline)

    @staticmethod
    def _too_late(deadline: Deadline) -> DeadlineMissed:
        return DeadlineMissed(f"the command did not end within {deadline.limit_s:g} s; it may run on in the machine")

    def _clean_up(self, command_id: str) -> None:
        """End a command that is over, or is to be. What goes wrong here says nothing about how it ended: after a
        restart that was accepted there may be no machine any more to clean up in."""
        if self._sockets.ended:
            return
        before, self._protocol.transport.read_timeout_sec = self._protocol.transport.read_timeout_sec, CLEANUP_LIMIT_S
        try:
            self._protocol.cleanup_command(self._shell_id, command_id)
        except Exception:  # noqa: BLE001 -- any of four libraries' errors, and none of them matters
            self.unclean = True
        finally:
            self._protocol.transport.read_timeout_sec = before

    # --- errors -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _errors(self, while_: str, *, opening: bool = False) -> Iterator[None]:
        """Turn what pywinrm, requests and XML raise into the shell's own errors."""
        try:
            yield
        except winrm.exceptions.AuthenticationError:
            self._declined(opening=opening)
        except winrm.exceptions.WinRMOperationTimeoutError:
            raise NotYet("WinRM answers, and was too busy to make a shell") from None
        except winrm.exceptions.WSManFaultError as fault:
            self._fault(fault, while_, opening=opening)
        except winrm.exceptions.WinRMTransportError as error:
            if error.code in {500, 502, 503, 504}:
                self._lost(while_, error, opening=opening)
            raise ShellFault(f"{self._url} answers with HTTP {error.code}: is this WinRM?") from None
        except winrm.exceptions.WinRMError as error:
            raise ShellFault(f"pywinrm gives up while {while_}: {error}") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            self._lost(while_, error, opening=opening)
        except (ET.ParseError, StopIteration, ValueError, KeyError) as error:
            raise ShellFault(f"{self._url} answers, and not as WinRM does ({type(error).__name__})") from None

    def _declined(self, *, opening: bool) -> None:
        user = self._login[0]
        if not opening:
            raise ShellLost(f"WinRM declined {user!r} in the middle of a shell", sent=False) from None
        if self._young():
            raise NotYet(f"WinRM declined {user!r} (401), as happens early in a boot") from None
        raise ShellRefused(
            f"WinRM declines {user!r} (401) with {self._how}; check the password, that this way of signing in is "
            "allowed, and that the account is an administrator (LocalAccountTokenFilterPolicy)"
        ) from None

    def _fault(self, fault: Any, while_: str, *, opening: bool) -> None:
        reason = " ".join(str(fault.reason).split())[:500]
        if fault.wsman_fault_code == SHELL_GONE and not opening:
            if while_ == "a command was being started":
                raise OldBoot(f"the machine does not know this shell any more ({reason}): it, or its WinRM, was "
                              "restarted; open a new shell") from None
            raise ShellLost(f"the machine forgot the shell while {while_} ({reason})", sent=True) from None
        raise ShellFault(f"WinRM says no while {while_}: {reason} (code {fault.wsman_fault_code})") from None

    def _lost(self, while_: str, error: Exception, *, opening: bool) -> None:
        if find_cause(error, ssl.SSLCertVerificationError) is not None:
            raise WrongMachine(
                f"the certificate of {self._url} is not the expected one ({find_cause(error, ssl.SSLError)}); give "
                "the certificate of this image build, and the name it is made out to"
            ) from None
        if opening:
            raise NotYet(f"{self._url} does not answer properly ({brief(error)})") from None
        never_sent = find_cause(error, urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
        sent = while_ != "a command was being started" or never_sent is None
        raise ShellLost(f"the winrm shell lost its connection while {while_} ({brief(error)})", sent=sent) from None


def find_cause(error: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    """Return the first error of these kinds among everything that an error was made from."""
    queue: list[BaseException] = [error]
    seen: set[int] = set()
    while queue:
        one = queue.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, kinds):
            return one
        linked = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        queue += [item for item in linked if isinstance(item, BaseException)]
    return None


def brief(error: BaseException) -> str:
    """Return the innermost reason of a connection's error: ``requests`` wraps it in several layers."""
    inner = find_cause(error, ConnectionError, TimeoutError, ssl.SSLError, urllib3.exceptions.ReadTimeoutError)
    text = str(inner if inner is not None else error)
    return f"{type(inner or error).__name__}: {text}"[:300]
