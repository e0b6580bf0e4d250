"""One host of virtual machines: the connection to its libvirt, local or remote.

Every request runs in a thread with a limit of its own. A connection that breaks (libvirtd restarted) is opened again
for a bounded time; machines go on running meanwhile, so whoever holds one is told (:meth:`Host.on_again`) and registers
for its events anew. The request that was under way fails with :class:`HostLost`; later ones wait for the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shlex
import shutil
from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from rrsim import live_clock
from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm import threads, tunnel
from rrsim.backends.live.vm.errors import HostLost, HostRefused, HostSlow, VmMissing

T = TypeVar("T")
Progress = Callable[[str], None]

ENV_URI: Final = "RRSIM_LIBVIRT_URI"
OPEN_LIMIT_S: Final = 30.0
CALL_LIMIT_S: Final = 30.0
AGAIN_LIMIT_S: Final = 20.0
"""How long a broken connection is opened again before it counts as lost."""
KEEPALIVE_S: Final = 5
KEEPALIVE_COUNT: Final = 3
INSTALL: Final = "sudo apt-get install -y qemu-system-x86 qemu-utils libvirt-daemon-system libvirt-clients"
INSTALL_BINDING: Final = (
    'sudo apt-get install -y libvirt-dev pkg-config gcc python3-dev && '
    'pip install "libvirt-python==$(pkg-config --modversion libvirt)"'
)


class HostInfo(msgspec.Struct, frozen=True):
    """What a host is."""

    uri: str
    name: str
    libvirt: str
    hypervisor: str
    """Version of QEMU."""
    processors: int
    memory_mib: int
    processor: str
    """Model of the host's processor."""
    kind: str
    """libvirt's name of the driver: ``QEMU``, or ``TEST`` for its built-in mock."""


class Host:
    """A connection to libvirt. Made by :meth:`open`; :meth:`close` it."""

    def __init__(self, uri: str, connection: Any, loop: asyncio.AbstractEventLoop) -> None:
        """Hold an open connection."""
        self.uri = uri
        self.info: HostInfo
        self.gaps = 0
        """How often the connection broke and came back: events may be missing from each gap."""
        self._connection = connection
        self._loop = loop
        self._there = asyncio.Event()
        self._there.set()
        self._lost: HostLost | None = None
        self._closed = False
        self._again: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[HostLost | None], None]] = []
        self._tunnels: list[tunnel.Tunnels | None] = []
        """What was found out about the way from its guests to this computer, once it was."""

    @classmethod
    async def open(cls, uri: str = "", *, progress: Progress | None = None) -> Host:
        """Open a connection; without ``uri`` to ``$RRSIM_LIBVIRT_URI``, else to this computer's own libvirt.

        Raises:
            VmMissing: libvirt, its Python binding or QEMU is missing; the text has the command that installs it.
            HostSlow: no answer within :data:`OPEN_LIMIT_S`.
        """
        uri = uri or os.environ.get(ENV_URI, "") or default_uri()
        _require_binding()
        if progress is not None:
            progress(f"connecting to {uri}")
        threads.deliver_events()
        connection = await threads.in_thread(f"open {uri}", lambda: _connect(uri), OPEN_LIMIT_S)
        host = cls(uri, connection, asyncio.get_running_loop())
        try:
            if "://" not in uri:  # a name from libvirt's own configuration (uri_aliases)
                host.uri = await host.call("read the address", lambda c: str(c.getURI()))
            host.info = await host.call("read versions", lambda c: _info(host.uri, c))
            await host._watch()
        except BaseException:
            await host.close()
            raise
        return host

    async def close(self) -> None:
        """Close the connection; machines are not touched."""
        self._closed = True
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(HostSlow):
                await threads.in_thread(f"close {self.uri}", lambda: _close(connection), 10.0)

    @property
    def is_local(self) -> bool:
        """Whether the machines run on this computer."""
        return not urlsplit(self.uri).netloc

    async def tunnels(self) -> tunnel.Tunnels | None:
        """Return what leads guests to this computer's loopback; nothing: their host's is the same one. Asks once.

        Raises:
            VmError: no way leads from there to here, or the host does not tell which computer it is.
        """
        if not self._tunnels:
            self._tunnels.append(await tunnel.find(self.uri))
        return self._tunnels[0]

    @property
    def is_there(self) -> bool:
        """Whether the connection stands at this moment."""
        return self._there.is_set() and self._lost is None and self._connection is not None

    @property
    def is_mock(self) -> bool:
        """Whether this is libvirt's built-in mock driver."""
        return urlsplit(self.uri).scheme.startswith("test")

    async def call(
        self, what: str, function: Callable[[Any], T], limit_s: float = CALL_LIMIT_S
    ) -> T:
        """Call ``function(connection)`` in a thread and return its result. ``what`` names the request in errors.

        Raises:
            HostRefused: libvirt answered with an error; ``code`` is its number.
            HostSlow: no answer within ``limit_s``.
            HostLost: the connection broke, or did not come back.
        """
        import libvirt

        connection = await self._wait_there()
        try:
            return await threads.in_thread(what, lambda: function(connection), limit_s)
        except libvirt.libvirtError as error:
            if not await threads.in_thread("is alive", lambda: _alive(connection), 10.0):
                raise HostLost(f"{what}: the connection to {self.uri} broke; look at libvirtd's log") from error
            raise HostRefused(f"{what}: libvirt at {self.uri} says: {error}", error.get_error_code() or 0) from error

    def on_again(self, listener: Callable[[HostLost | None], None]) -> Callable[[], None]:
        """Have ``listener`` called whenever the connection came back (``None``) or is lost for good (the error).

        Returns:
            A function that ends this.
        """
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    async def _wait_there(self) -> Any:
        if not self._there.is_set() and self._lost is None:
            await self._there.wait()
        if self._lost is not None:
            raise HostLost(str(self._lost)) from self._lost
        if self._connection is None:
            raise HostLost(f"the connection to {self.uri} was closed by rrsim itself")
        return self._connection

    async def _watch(self) -> None:
        connection = self._connection

        def broke(_connection: Any, _reason: int, _opaque: object) -> None:
            threads.hand_over(self._loop, self._broke, connection)

        def register() -> None:
            connection.registerCloseCallback(broke, None)
            if not self.is_mock:
                connection.setKeepAlive(KEEPALIVE_S, KEEPALIVE_COUNT)

        await threads.in_thread("watch the connection", register, CALL_LIMIT_S)

    def _broke(self, connection: Any) -> None:
        if self._closed or connection is not self._connection or not self._there.is_set():
            return
        self._there.clear()
        self._again = self._loop.create_task(self._open_again())

    async def _open_again(self) -> None:
        import libvirt

        broken, until_us = self._connection, live_clock.monotonic_us() + int(AGAIN_LIMIT_S * 1e6)
        last = ""
        while live_clock.monotonic_us() < until_us:
            try:
                self._connection = await threads.in_thread("open again", lambda: _connect(self.uri), OPEN_LIMIT_S)
                await self._watch()
            except (VmMissing, HostSlow, libvirt.libvirtError) as error:
                last = str(error)
                await pause(250_000)
                continue
            self.gaps += 1
            self._tell(None)
            with contextlib.suppress(HostSlow):
                await threads.in_thread("close", lambda: _close(broken), 10.0)
            return
        self._tell(HostLost(
            f"the connection to {self.uri} broke and did not come back within {AGAIN_LIMIT_S:g} s; last answer: "
            f"{last}; start libvirtd again (systemctl start libvirtd, or libvirtd -d), then: rrsim reap"
        ))

    def _tell(self, lost: HostLost | None) -> None:
        self._lost = lost
        self._there.set()
        for listener in list(self._listeners):
            listener(lost)


def default_uri() -> str:
    """Return libvirt's address for this computer and user."""
    return "qemu:///system" if os.geteuid() == 0 else "qemu:///session"


def _require_binding() -> None:
    if importlib.util.find_spec("libvirt") is None:
        raise VmMissing(
            f"expected libvirt's Python binding, saw: no module libvirt; install it with: {INSTALL} && "
            f"{INSTALL_BINDING}"
        )


def _connect(uri: str) -> Any:
    import libvirt

    try:
        return libvirt.open(uri)
    except libvirt.libvirtError as error:
        local = not urlsplit(uri).netloc
        if local and shutil.which("libvirtd") is None and shutil.which("virtqemud") is None:
            raise VmMissing(
                f"expected libvirt on this computer, saw no libvirtd; install it with: {INSTALL}"
            ) from error
        if local and shutil.which("qemu-system-x86_64") is None:
            raise VmMissing(f"expected QEMU on this computer, saw none; install it with: {INSTALL}") from error
        what = "systemctl start libvirtd (without systemd, as root: virtlogd -d; libvirtd -d)"
        raise VmMissing(
            f"expected libvirt to answer at {uri}, saw: {error}; "
            f"{'start it with: ' + what if local else 'try: virsh -c ' + shlex.quote(uri) + ' version'}"
        ) from error


def _info(uri: str, connection: Any) -> HostInfo:
    model, memory_mib, processors, *_ = connection.getInfo()
    return HostInfo(
        uri=uri, name=connection.getHostname(), libvirt=_dotted(connection.getLibVersion()),
        hypervisor=_dotted(connection.getVersion()), processors=processors, memory_mib=memory_mib, processor=model,
        kind=connection.getType(),
    )


def _dotted(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _alive(connection: Any) -> bool:
    return bool(connection.isAlive())


def _close(connection: Any) -> None:
    import libvirt

    with contextlib.suppress(libvirt.libvirtError):
        connection.unregisterCloseCallback()
    with contextlib.suppress(libvirt.libvirtError):
        connection.close()
