"""Leases on a host of virtual machines, kept on that host: in the metadata of a domain.

A name on the host belongs to whoever defined the domain of that name: libvirt refuses a second definition under another
UUID, so exactly one of two runners gets it. The domain's metadata say who holds it and until when; the holder renews
that time. A lease has ended when its time is over, or when its holder was a process of this computer and is gone. Only
ended leases are ever touched, and only domains with a lease of ours.

Times are wall time, because they are compared between computers that share nothing else: clocks that differ by more
than :data:`SKEW_S` must be set right first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import msgspec

from rrsim import live_clock
from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm import undo
from rrsim.backends.live.vm.domain_xml import MARK_KEY, MARK_URI, placeholder_xml
from rrsim.backends.live.vm.errors import HostLost, HostRefused, HostSlow, LeaseLost, NoFreeSlot
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.wine import lease as processes

PREFIX: Final = "rrsim-"
LEASE_S: Final = 120
"""How long a lease lasts that is not renewed."""
BEAT_S: Final = 20
SKEW_S: Final = 30
LOCK_WAIT_S: Final = 900.0
POLL_US: Final = 250_000
NO_DOMAIN: Final = 42
"""libvirt's VIR_ERR_NO_DOMAIN."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a name on the host, and until when."""

    computer: str
    boot: str
    """Boot id of the holder's computer: process numbers mean something within one boot only."""
    pid: int
    started: int
    folder: str
    """The run folder on the holder's computer."""
    beat_s: int
    """When the lease was last renewed: wall time, seconds since 1970."""
    expires_s: int
    kept: bool = False
    """Whether the machine was kept on purpose, to be looked at."""
    purpose: str = "machine"

    @property
    def ended(self) -> bool:
        """Whether nobody holds it any more."""
        now_s = live_clock.wall_time_us() // 1_000_000
        if now_s > self.expires_s + SKEW_S:
            return True
        if self.kept or self.computer != platform.node() or self.boot != boot_id():
            return False
        return not processes.alive(processes.Process(self.pid, self.started))

    def text(self) -> str:
        """The lease in a few words."""
        left_s = self.expires_s - live_clock.wall_time_us() // 1_000_000
        state = "kept" if self.kept else "ended" if self.ended else "in use"
        return f"{state}, by process {self.pid} on {self.computer}, {max(0, left_s)} s left, run folder {self.folder}"


def boot_id() -> str:
    """Return this computer's boot id; empty where it has none."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def fresh_uuid() -> str:
    """Return a new UUID."""
    return str(uuid.UUID(hex=live_clock.fresh_secret()[:32], version=4))


def mine(folder: Path | None, purpose: str = "machine", lease_s: int = LEASE_S) -> Lease:
    """Return a lease of this process that starts now."""
    me = processes.process(os.getpid())
    assert me is not None, "this process runs"
    now_s = live_clock.wall_time_us() // 1_000_000
    return Lease(
        computer=platform.node(), boot=boot_id(), pid=me.pid, started=me.started, folder=str(folder or ""),
        beat_s=now_s, expires_s=now_s + lease_s, purpose=purpose,
    )


def to_mark(lease: Lease) -> str:
    """Return a lease as the XML element that is kept in a domain's metadata."""
    return ElementTree.tostring(ElementTree.Element(f"{{{MARK_URI}}}lease", _fields(lease)), encoding="unicode")


def _fields(lease: Lease) -> dict[str, str]:
    return {name: str(value) for name, value in msgspec.to_builtins(lease).items()}


def from_mark(text: str) -> Lease | None:
    """Return the lease in such an element; nothing if it is none."""
    try:
        element = ElementTree.fromstring(text)  # noqa: S314 -- libvirt's own
        fields: dict[str, Any] = dict(element.attrib)
        fields["kept"] = fields.get("kept") == "True"
        return msgspec.convert(fields, Lease, strict=False)
    except (ElementTree.ParseError, msgspec.ValidationError):
        return None


class Held:
    """A name on the host that this process holds. Renewed until :meth:`release` or :meth:`stop`."""

    def __init__(self, host: Host, name: str, domain_uuid: str, lease: Lease) -> None:
        """Take note of a claim that succeeded."""
        self.host, self.name, self.uuid, self.lease = host, name, domain_uuid, lease
        self.of_slots = 0
        """How many slots the host has for the command that holds this one; 0: it is none."""
        self.lost: LeaseLost | None = None
        self.on_lost: Callable[[LeaseLost], None] = lambda _: None
        self._beat = asyncio.get_running_loop().create_task(self._renew())

    async def renew(self, lease_s: int = LEASE_S, *, kept: bool = False) -> None:
        """Let the lease run from now on for so long.

        Raises:
            LeaseLost: the domain is gone: the lease ran out and somebody cleared it away.
        """
        now_s = live_clock.wall_time_us() // 1_000_000
        self.lease = msgspec.structs.replace(self.lease, beat_s=now_s, expires_s=now_s + lease_s, kept=kept)
        try:
            await self.host.call(f"renew {self.name}", lambda c: _set_mark(c, self.uuid, self.lease))
        except HostRefused as error:
            if error.code != NO_DOMAIN:
                raise
            raise LeaseLost(
                f"expected to hold {self.name} on {self.host.info.name}, saw: {error}; this process did not renew it "
                f"for {LEASE_S} s, and another runner took it; is the computer overloaded or was it suspended?"
            ) from error

    async def stop(self) -> None:
        """End the renewing; the lease stays until it runs out."""
        self._beat.cancel()
        await asyncio.gather(self._beat, return_exceptions=True)

    async def release(self) -> None:
        """Give the name back: the domain is ended and removed."""
        await self.stop()
        await remove_domain(self.host, self.uuid)

    async def _renew(self) -> None:
        while True:
            await pause(BEAT_S * 1_000_000)
            try:
                await self.renew()
            except LeaseLost as error:
                self.lost = error
                self.on_lost(error)
                return
            except (HostLost, HostRefused, HostSlow):
                continue  # the host may come back before the lease is over


async def claim(host: Host, name: str, lease: Lease) -> Held | None:
    """Take a name on the host if nobody holds it.

    Returns:
        The claim; nothing if somebody holds it, or a domain that is not ours has that name.

    Raises:
        HostRefused: libvirt refuses for another reason.
    """
    domain_uuid = fresh_uuid()
    kind = "test" if host.is_mock else "qemu"
    xml = placeholder_xml(name, domain_uuid, to_mark(lease), kind)
    for attempt in range(2):
        try:
            await host.call(f"claim {name}", lambda c: c.defineXML(xml))
        except (asyncio.CancelledError, HostSlow) as error:
            await undo.after(error, lambda: remove_domain(host, domain_uuid), name)
            raise
        except HostRefused:
            there = await host.call(f"look at {name}", lambda c: _holder(c, name))
            if there is None:
                if attempt:
                    raise
                continue  # given back at this moment
            held_uuid, held = there
            if held is None or not held.ended or attempt:
                return None
            await remove_domain(host, held_uuid)
        else:
            return Held(host, name, domain_uuid, lease)
    return None


async def patiently(claiming: Awaitable[Held | None]) -> Held | None:
    """Return what a claim came to; nothing if the host was too slow: who waits for a name asks again."""
    try:
        return await claiming
    except HostSlow:
        return None


@contextlib.asynccontextmanager
async def lock(host: Host, what: str, *, wait_s: float = LOCK_WAIT_S) -> AsyncIterator[None]:
    """Be the only one on the host, over all runners, that does this.

    Raises:
        NoFreeSlot: somebody else did it for longer than ``wait_s``.
    """
    name = f"{PREFIX}lock-{what}"
    until_us = live_clock.monotonic_us() + int(wait_s * 1e6)
    while (held := await patiently(claim(host, name, mine(None, "lock")))) is None:
        if live_clock.monotonic_us() > until_us:
            holder = await host.call(f"look at {name}", lambda c: _holder(c, name))
            who = holder[1].text() if holder and holder[1] else "somebody unknown"
            raise NoFreeSlot(f"waited {wait_s:g} s for {what} on {host.info.name}; held: {who}; see rrsim reap --list")
        await pause(POLL_US)
    async with giving_back(held):
        yield


@contextlib.asynccontextmanager
async def giving_back(held: Held) -> AsyncIterator[None]:
    """Give a name back in the end, whatever happens. What goes wrong with that never takes the place of an error, or of
    a cancellation, that is on its way.

    Raises:
        VmError: it could not be given back, and nothing else went wrong.
    """
    try:
        yield
    except BaseException as error:
        await undo.after(error, held.release, held.name)
        raise
    await undo.through(held.release())


async def holders(host: Host) -> dict[str, tuple[str, Lease]]:
    """Return every lease on the host: UUID of the domain to its name and lease. Domains of others are left out."""
    return await host.call("list the leases", _all_holders)


async def domains(host: Host) -> dict[str, str]:
    """Return every domain on the host, others' too: UUID to name."""
    return await host.call("list the domains", lambda c: {d.UUIDString(): d.name() for d in c.listAllDomains()})


async def remove_domain(host: Host, domain_uuid: str) -> bool:
    """End a domain and remove its definition; return whether there was one."""
    return await host.call(f"remove the domain {domain_uuid}", lambda c: _remove(c, domain_uuid), 60.0)


def _holder(connection: Any, name: str) -> tuple[str, Lease | None] | None:
    import libvirt

    try:
        domain = connection.lookupByName(name)
    except libvirt.libvirtError:
        return None
    return domain.UUIDString(), _mark_of(domain)


def _all_holders(connection: Any) -> dict[str, tuple[str, Lease]]:
    import libvirt

    found = {}
    for domain in connection.listAllDomains():
        with contextlib.suppress(libvirt.libvirtError):  # it was removed at this moment
            lease = _mark_of(domain)
            if lease is not None:
                found[domain.UUIDString()] = (domain.name(), lease)
    return found


def _mark_of(domain: Any) -> Lease | None:
    import libvirt

    try:
        return from_mark(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, MARK_URI, 0))
    except libvirt.libvirtError:
        return None


def _set_mark(connection: Any, domain_uuid: str, lease: Lease) -> None:
    """libvirt adds the namespace itself, and refuses an element that has it already."""
    import libvirt

    mark = ElementTree.tostring(ElementTree.Element("lease", _fields(lease)), encoding="unicode")
    domain = connection.lookupByUUIDString(domain_uuid)
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if domain.isActive():
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, mark, MARK_KEY, MARK_URI, flags)


def _remove(connection: Any, domain_uuid: str) -> bool:
    import libvirt

    try:
        domain = connection.lookupByUUIDString(domain_uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return False
        raise
    with contextlib.suppress(libvirt.libvirtError):  # it does not run
        domain.destroy()
    try:
        if connection.getType() == "TEST":
            domain.undefine()
        else:
            domain.undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | getattr(libvirt, "VIR_DOMAIN_UNDEFINE_TPM", 0)
            )
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
    return True
