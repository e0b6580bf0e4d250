"""From a host that is another computer to this computer's loopback: tunnels made with ``ssh``, as libvirt's own are.

A guest knows its host's loopback as 10.0.2.2, and the relay that leads on to the session server listens on ours. Where
both are one, as with a libvirt of this computer, nothing is done here. Else a port of the host's loopback is led to the
port of the same number here, one ``ssh`` a port. Its user's configuration, agent and known hosts hold, and so do the
parameters of libvirt's address. Nobody is ever asked for a password.

A tunnel ends with whoever made it, even with one that is killed: what it runs on the host ends with its input, and
where ``setpriv`` is (Linux) the kernel kills it, whatever connection is still held open through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote, urlsplit

import msgspec

from rrsim.backends.live import processes
from rrsim.backends.live.vm.errors import VmError, VmMissing

LOOPBACK: Final = "127.0.0.1"
ASK_LIMIT_S: Final = 30.0
OPEN_LIMIT_S: Final = 30.0
STOP_S: Final = 3.0
"""A tunnel that has not ended so long after its input did is killed."""
MOST_SAID_BYTES: Final = 2_000
INSTALL: Final = "sudo apt-get install -y openssh-client"
BY_SSH: Final = frozenset({"ssh", "libssh", "libssh2"})
"""libvirt's transports whose other end is an SSH server."""
READY: Final = b"rrsim-ready"
HERE: Final = "rrsim-host"
HOLD: Final = f"sh -c 'echo {READY.decode()} && exec cat >/dev/null'"
ASK: Final = f"sh -c 'echo {HERE} $(cat /proc/sys/kernel/random/boot_id) $(readlink /proc/self/ns/net)'"
ALWAYS: Final = (
    "-T", "-a", "-x", "-e", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR",
    "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
    # What a user's configuration may say of this host, and would have another ssh do our work, or ours do another's.
    "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "RemoteCommand=none", "-o", "PermitLocalCommand=no",
)
KNOWN_HOSTS_VERIFY: Final = {"auto": "accept-new", "ignore": "no"}


class NoWay(VmError):
    """The host is another computer, and nothing leads from its loopback to ours; the text says what to try."""


class TunnelFailed(VmError):
    """A tunnel could not be made."""


class TunnelLost(VmError):
    """A tunnel ended while it was needed."""


class PortTaken(TunnelFailed):
    """The host does not give this port; another may be free."""


class Ssh(msgspec.Struct, frozen=True):
    """How ``ssh`` gets to a host."""

    host: str
    program: str = "ssh"
    options: tuple[str, ...] = ()

    def asking(self) -> list[str]:
        """Return the command line that asks which computer the host is."""
        return [self.program, *ALWAYS, "-o", "ClearAllForwardings=yes", *self.options, "--", self.host, ASK]

    def leading(self, port: int) -> list[str]:
        """Return the command line of a tunnel from a port of the host's loopback to the same one of ours."""
        way = f"{LOOPBACK}:{port}:{LOOPBACK}:{port}"
        return [
            self.program, *ALWAYS, "-o", "ExitOnForwardFailure=yes", *self.options, "-R", way, "--", self.host, HOLD,
        ]


def ssh_of(uri: str) -> Ssh | None:
    """Return how to get to the host of a libvirt address; nothing: its daemon is reached within this computer.

    Raises:
        NoWay: it is reached over the network by other means than SSH.
    """
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2] or ("tls" if parts.netloc else "unix")
    user, host, port = _server(parts.netloc)
    if transport == "unix":
        return None
    if transport not in BY_SSH:
        if host in {"localhost", "::1"} or host.startswith("127."):
            return None
        raise NoWay(
            f"expected a host whose guests can reach the session server on this computer, saw {parts.scheme} to "
            f"{host or 'a place unknown'}: no way leads from there to this computer's loopback; try "
            f"--uri {parts.scheme.partition('+')[0]}+ssh://{host or 'HOST'}{parts.path}"
        )
    given = _parameters(parts.query)
    options = [*(("-p", port) if port else ()), *(("-l", user) if user else ())]
    if given.get("keyfile"):
        options += ["-i", given["keyfile"]]
    if given.get("known_hosts"):
        options += ["-o", f'UserKnownHostsFile="{given["known_hosts"]}"']
    checking = KNOWN_HOSTS_VERIFY.get(given.get("known_hosts_verify", ""), "")
    if given.get("no_verify", "0") not in {"", "0"}:
        checking = "no"
    if checking:
        options += ["-o", f"StrictHostKeyChecking={checking}"]
    return Ssh(host or "localhost", given.get("command") or "ssh", tuple(options))


def _server(netloc: str) -> tuple[str, str, str]:
    """Return user, host and port. By hand: the names of hosts in SSH's configuration may have capital letters."""
    user, _, rest = netloc.rpartition("@")
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
    else:
        host, _, port = rest.partition(":")
    return unquote(user), unquote(host), port.removeprefix(":")


def _parameters(query: str) -> dict[str, str]:
    """Return an address's parameters as libvirt reads them: a plus sign is a plus sign."""
    pairs = (one.partition("=") for one in re.split("[&;]", query))
    return {unquote(name).lower(): unquote(value) for name, _, value in pairs}


class Tunnels:
    """Tunnels from one host that is another computer."""

    def __init__(self, ssh: Ssh) -> None:
        """Nothing is started."""
        self.ssh = ssh
        self._bound: tuple[str, ...] | None = None

    async def open(self, port: int, lost: Callable[[TunnelLost], None]) -> Tunnel:
        """Lead a port of the host's loopback to the port of the same number here.

        Args:
            port: its number; whatever listens on it here may begin to later.
            lost: hears that the tunnel ended, unless it was closed.

        Raises:
            PortTaken: the host does not give this port.
            TunnelFailed: there is no tunnel for another reason.
            VmMissing: there is no ``ssh``.
        """
        said = await asyncio.to_thread(tempfile.TemporaryFile)
        try:
            _require(self.ssh)
            if self._bound is None:
                self._bound = await _binding()
            bound = self._bound
            process = await asyncio.create_subprocess_exec(
                *bound, *self.ssh.leading(port), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=said, start_new_session=True,
            )
        except BaseException:
            said.close()
            raise
        tunnel = Tunnel(self.ssh.host, port, process, said)
        try:
            await tunnel.up()
        except BaseException:
            await asyncio.shield(tunnel.close())
            raise
        tunnel.watch(lost)
        return tunnel


class Tunnel:
    """One tunnel. Made by :meth:`Tunnels.open`; :meth:`close` it."""

    def __init__(self, host: str, port: int, process: asyncio.subprocess.Process, said: IO[bytes]) -> None:
        """Take the process over, and the file that it complains to."""
        self._host, self.port, self._process, self._said = host, port, process, said
        self._watch: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    async def up(self) -> None:
        """Wait until the host listens.

        Raises:
            PortTaken: the host does not give this port.
            TunnelFailed: it does not listen.
        """
        assert self._process.stdout is not None, "started with a pipe"
        try:
            async with asyncio.timeout(OPEN_LIMIT_S):
                # The host answers in order: its word on the port comes before the first word of what it runs. What a
                # user's shell prints by itself comes before that.
                while line := await self._process.stdout.readline():
                    if line.strip() == READY:
                        return
                await self._process.wait()
        except TimeoutError:
            raise TunnelFailed(
                f"{self._about}, saw nothing within {OPEN_LIMIT_S:g} s; {_by_hand(self._host)}"
            ) from None
        last = self._last_words()
        if f"forwarding failed for listen port {self.port}" in last:
            raise PortTaken(
                f"{self._about}, saw that it does not: something else has that port there, or its sshd allows no "
                "forwarding (AllowTcpForwarding, PermitListen)"
            )
        code = self._process.returncode
        raise TunnelFailed(f"{self._about}, saw ssh end with {code}: {last}; {_by_hand(self._host)}")

    @property
    def _about(self) -> str:
        return f"expected {self._host} to lead its port {LOOPBACK}:{self.port} to this computer"

    def watch(self, lost: Callable[[TunnelLost], None]) -> None:
        """Have ``lost`` told when it ends before it is closed."""
        self._watch = asyncio.get_running_loop().create_task(self._tell(lost), name=f"tunnel {self.port}")

    async def _tell(self, lost: Callable[[TunnelLost], None]) -> None:
        code = await self._process.wait()
        if not self._closing:
            lost(TunnelLost(
                f"expected the tunnel from {self._host}, port {self.port}, to hold as long as the machine needs it, "
                f"saw ssh end with {code}: {self._last_words()}; look at the network between here and there, and at "
                "that host's log of sshd"
            ))

    def _last_words(self) -> str:
        size = self._said.seek(0, 2)
        self._said.seek(max(0, size - MOST_SAID_BYTES))
        return " ".join(self._said.read().decode(errors="replace").split()) or "it said nothing"

    async def close(self) -> None:
        """End it and wait until it is gone; harmless if repeated."""
        self._closing = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
        finally:  # it is still there if a connection through it is held open by the other end
            processes.send(self._process)
            await self._process.wait()
        if self._watch is not None:
            await self._watch
        self._said.close()


async def _binding() -> tuple[str, ...]:
    """Return what binds a program to the life of this thread, which is the event loop's, by the kernel; nothing where
    that cannot be asked for (no ``setpriv``, or BusyBox's)."""
    words = ("setpriv", "--pdeathsig", "KILL")
    if shutil.which(words[0]) is None:
        return ()
    process = await asyncio.create_subprocess_exec(
        *words, "true", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return words if await process.wait() == 0 else ()


async def find(uri: str) -> Tunnels | None:
    """Find out whether guests of a libvirt reach this computer's loopback as their host's.

    Returns:
        What leads them here; nothing: they reach it without.

    Raises:
        NoWay: they do not, and no tunnel can be made.
        TunnelFailed: the host does not tell which computer it is.
        VmMissing: there is no ``ssh``.
    """
    ssh = ssh_of(uri)
    if ssh is None:
        return None
    return None if await _is_this_computer(ssh) else Tunnels(ssh)


async def _is_this_computer(ssh: Ssh) -> bool:
    _require(ssh)
    process = await asyncio.create_subprocess_exec(
        *ssh.asking(), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(ASK_LIMIT_S):
            out, complaints = await process.communicate()
    except TimeoutError:
        raise TunnelFailed(
            f"expected {ssh.host} to tell through ssh which computer it is, saw nothing within {ASK_LIMIT_S:g} s; "
            f"{_by_hand(ssh.host)}"
        ) from None
    finally:
        processes.send(process)
        await process.wait()
    answer = is_this_computer(out.decode(errors="replace"))
    if answer is None:
        said = " ".join(complaints.decode(errors="replace").split())[-MOST_SAID_BYTES:]
        raise TunnelFailed(
            f"expected {ssh.host} to tell through ssh which computer it is, saw ssh end with {process.returncode}: "
            f"{said or 'it said nothing'}; {_by_hand(ssh.host)}"
        )
    return answer


def is_this_computer(told: str) -> bool | None:
    """Return whether a host that printed this when asked has this process's loopback; nothing: it did not answer."""
    lines = [line.split()[1:] for line in told.splitlines() if line.startswith(HERE)]
    return (bool(lines[-1]) and lines[-1] == _this_computer()) if lines else None


def _this_computer() -> list[str]:
    """Return boot id and network namespace of this process, as :data:`ASK` prints them."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return [boot, str(Path("/proc/self/ns/net").readlink())]
    except OSError:
        return []


def _require(ssh: Ssh) -> None:
    if shutil.which(ssh.program) is None:
        raise VmMissing(f"expected the program {ssh.program}, for guests on {ssh.host}, saw none; try: {INSTALL}")


def _by_hand(host: str) -> str:
    return f"try by hand, with what the libvirt address says: ssh -o BatchMode=yes {host} true"
