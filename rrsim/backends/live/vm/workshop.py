"""Machines that images are built on, on this computer's libvirt.

A machine here outlives the builder that made it: when a builder was killed, the next one finds it again by name, still
running, and renews its lease; one that has gone off meanwhile gives its state (firmware settings, TPM) to the builder's
files. A machine whose builder is gone belongs to whoever comes first: the same build, or ``rrsim reap``.

A libvirt that does not answer is a host that is away, to the builder. A connection that was lost is opened anew at the
next call, however much later that is: the machines go on meanwhile, and their leases are taken up again.

The builder calls from threads, while leases are renewed on the event loop that the workshop was opened on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from rrsim.backends.live.vm import lease, screen, tpm_state, workshop_acceleration, workshop_xml
from rrsim.backends.live.vm.accelerator import Acceleration
from rrsim.backends.live.vm.errors import DiskFull, HostLost, HostRefused, HostSlow, LeaseLost, VmError, VmMissing
from rrsim.backends.live.vm.host import Host, Progress
from rrsim.images.windows.machine import HostAway, MachineSpec

T = TypeVar("T")
PURPOSE: Final = "build"
"""What a build machine's lease says it is for."""
CALL_LIMIT_S: Final = 180.0
"""No call of a builder takes longer; the host's own limits are shorter."""
START_LIMIT_S: Final = 120.0
KEY_HELD_MS: Final = 100
NO_ANSWER: Final = frozenset({6, 38, 39, 68})
"""libvirt's errors that speak of the way to a machine, not of the machine: the connection is invalid, a system call on
it failed, its protocol broke, or something else kept the machine busy (``VIR_ERR_INVALID_CONN``, ``_SYSTEM_ERROR``,
``_RPC``, ``_OPERATION_TIMEOUT``)."""


class Elsewhere(VmError):
    """The machine of this name belongs to another builder that is at work."""


class Workshop:
    """Makes machines for one build. Made by :meth:`open`; :meth:`close` it, which leaves machines as they are."""

    def __init__(self, host: Host, folder: Path, acceleration: Acceleration) -> None:
        """``folder`` is the build's own: machines of the same name that belong to another one are not touched."""
        self.host, self.folder, self.acceleration = host, folder.absolute(), acceleration
        self._loop = asyncio.get_running_loop()
        self._machines: dict[str, Machine] = {}
        self._lost = False

    @classmethod
    async def open(
        cls, folder: Path, uri: str = "", *, forced: str = "", progress: Progress | None = None
    ) -> Workshop:
        """Connect to this computer's libvirt and find out how machines run on it.

        Args:
            folder: the build's own folder.
            uri: libvirt's connection URI; empty: this computer's.
            forced: ``kvm`` or ``tcg``; empty: KVM if it is proved to work, or cannot be tried and the processor has it.
            progress: hears what takes long.

        Raises:
            VmMissing: libvirt or QEMU is missing, or is one whose files this process cannot read.
            HostSlow: no answer.
            NoFreeSlot: KVM is to be tried, and other runs kept every slot busy.
        """
        host = await Host.open(uri, progress=progress)
        try:
            tpm_state.require_own(host)
            return cls(host, folder, await workshop_acceleration.choose(host, forced, progress=progress))
        except BaseException:
            await host.close()
            raise

    async def close(self) -> None:
        """Let the host go. Machines stay: their leases end with this process."""
        for machine in self._machines.values():
            await machine.held.stop()
        self._machines.clear()
        await self.host.close()

    def make(self, spec: MachineSpec) -> Machine:
        """Return a new machine, switched off; one of the same name is destroyed first.

        Raises:
            Elsewhere: the name belongs to another builder that is at work.
            HostRefused: libvirt does not accept the machine.
            HostAway: libvirt does not answer.
        """
        return self.wait(self.asked(lambda: self._make(spec)))

    def find(self, name: str) -> Machine | None:
        """Return this build's machine of this name if it is switched on.

        One that is off gives its state to the files it belongs to, and is forgotten.

        Raises:
            Elsewhere: another process watches it right now.
            HostAway: libvirt does not answer.
        """
        return self.wait(self.asked(lambda: self._find(name)))

    async def asked(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something on the host; open a connection that was lost anew before.

        Raises:
            HostAway: libvirt does not answer, or there is no way to it.
        """
        try:
            await self._come_back()
            return await work()
        except HostLost as error:
            self._lost = True
            raise HostAway(str(error)) from error
        except HostSlow as error:
            raise HostAway(str(error)) from error

    async def _come_back(self) -> None:
        if not self._lost:
            return
        try:
            host = await Host.open(self.host.uri)
        except VmMissing as error:
            raise HostLost(str(error)) from error
        old, self.host, self._lost = self.host, host, False
        await old.close()
        for machine in self._machines.values():
            await machine.hold_again()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the event loop do something, from another thread, and return what came of it."""
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            work.close()
            raise RuntimeError("expected to be called from a thread, saw the workshop's own event loop; use to_thread")
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return asked.result(CALL_LIMIT_S)
        except TimeoutError as error:
            asked.cancel()
            raise HostAway(
                f"expected libvirt at {self.host.uri} to be done within {CALL_LIMIT_S:g} s, saw it still at work"
            ) from error

    async def _make(self, spec: MachineSpec) -> Machine:
        old = await self._find(spec.name)
        if old is not None:
            await old.end()
        held = await lease.claim(self.host, spec.name, lease.mine(self.folder, PURPOSE))
        if held is None:
            raise await self._elsewhere(spec.name)
        machine = Machine(self, held)
        try:
            await machine.define(spec)
        except BaseException:
            await held.release()
            raise
        self._machines[spec.name] = machine
        return machine

    async def _find(self, name: str) -> Machine | None:
        mine = self._machines.get(name)
        if mine is not None and mine.held.lost is None:
            if await mine.is_on():
                return mine
            await mine.end()
            return None
        there = next((one for one in (await lease.holders(self.host)).items() if one[1][0] == name), None)
        if there is None or Path(there[1][1].folder) != self.folder:
            return None
        domain_uuid, (_, kept) = there
        if not kept.ended and kept.pid != os.getpid():
            raise await self._elsewhere(name)
        held = lease.Held(self.host, name, domain_uuid, lease.mine(self.folder, PURPOSE))
        await held.renew()
        machine = self._machines[name] = Machine(self, held)
        if await machine.is_on():
            return machine
        await machine.end()
        return None

    async def _elsewhere(self, name: str) -> Elsewhere:
        who = [one.text() for held, one in (await lease.holders(self.host)).values() if held == name]
        return Elsewhere(
            f"expected the name {name} on {self.host.info.name} to be free, saw: "
            f"{who[0] if who else 'a machine of somebody else'}; wait for that build or end it, then: rrsim reap"
        )

    def forget(self, name: str) -> None:
        """Take note that a machine is no more."""
        self._machines.pop(name, None)


class Machine:
    """One machine of the workshop. Its public methods without ``async`` are the builder's, called from threads."""

    def __init__(self, workshop: Workshop, held: lease.Held) -> None:
        """Hold the machine whose domain the lease is in."""
        self.held = held
        self._workshop = workshop
        self._files: list[Callable[[], None]] = []
        """What is put in place before the machine is switched on."""

    # --- the builder's ------------------------------------------------------------------------------------------------

    def running(self) -> bool:
        """Whether it is switched on.

        Raises:
            DiskFull: it was halted, because the host's disk is full.
            LeaseLost: somebody cleared it away.
            HostAway: libvirt does not answer.
        """
        return self._ask(self._running)

    def start(self) -> None:
        """Switch it on.

        Raises:
            HostRefused: QEMU does not start; the text has its own words.
            HostAway: libvirt does not answer. The machine may have been switched on.
        """
        self._workshop.wait(self._workshop.asked(self._start))

    def destroy(self) -> None:
        """Cut its power, give its state to the files it belongs to, and forget it. The files stay.

        Raises:
            HostAway: libvirt does not answer; it can be asked again.
        """
        self._ask(self.end)

    def press_key(self, name: str) -> None:
        """Press a key and let it go: ``spc``, ``ret`` …, as QEMU names them.

        Raises:
            HostAway: libvirt does not answer.
        """
        self._ask(lambda: self._press(name))

    def screenshot(self) -> bytes:
        """Return the screen as PNG.

        Raises:
            HostAway: libvirt does not answer.
        """
        return self._ask(self._picture)

    def _ask(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have something done that can be asked for again: an error on the way to the machine is no failure of it."""
        try:
            return self._workshop.wait(self._workshop.asked(work))
        except HostRefused as error:
            if error.code not in NO_ANSWER:
                raise
            raise HostAway(str(error)) from error

    # --- the workshop's -----------------------------------------------------------------------------------------------

    @property
    def _host(self) -> Host:
        return self._workshop.host

    async def hold_again(self) -> None:
        """Take up the lease over a connection that was opened anew."""
        await self.held.stop()
        if self.held.lost is not None:
            return
        self.held = lease.Held(self._host, self.held.name, self.held.uuid, self.held.lease)
        try:
            await self.held.renew()
        except LeaseLost as error:
            self.held.lost = error

    async def define(self, spec: MachineSpec) -> None:
        """Give libvirt the machine's definition."""
        import libvirt

        uri, domain_uuid = self._host.uri, self.held.uuid
        system = urlsplit(uri).path.startswith("/system")
        host = workshop_xml.Host(
            uuid=domain_uuid, mac=_mac(spec.name), accelerator=self._workshop.acceleration.kind,
            # The media and the build's files are this user's: the machine runs as nobody else.
            owner=f"+{os.getuid()}:+{os.getgid()}" if system else "",
        )
        xml = workshop_xml.machine_xml(spec, host, lease.to_mark(self.held.lease))
        await self._host.call(
            f"define {spec.name}", lambda c: c.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        )
        running = workshop_xml.running_nvram(spec, domain_uuid)
        if spec.nvram.is_file():
            self._files.append(lambda: _copy_file(spec.nvram, running))
        tpm = spec.tpm
        if tpm is not None and tpm.is_dir():
            self._files.append(lambda: tpm_state.put(uri, domain_uuid, tpm))

    async def is_on(self) -> bool:
        """Whether the domain is active; one that is gone is not."""
        return (await self._state())[0] is not None

    async def end(self) -> None:
        """Cut the power, save the state, and remove the definition."""
        await self.held.stop()
        xml = await self._host.call(f"end {self.held.name}", lambda c: _end(c, self.held.uuid), 60.0)
        if xml:
            await asyncio.to_thread(_save_state, xml, self._host.uri, self.held.uuid)
            await self._host.call(f"forget {self.held.name}", lambda c: _undefine(c, self.held.uuid), 60.0)
            await asyncio.to_thread(_remove_state, xml, self._host.uri, self.held.uuid)
        self._workshop.forget(self.held.name)

    async def _running(self) -> bool:
        import libvirt

        if self.held.lost is not None:
            raise self.held.lost
        state, reason = await self._state()
        if state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR:
            raise DiskFull(
                f"expected {self.held.name} to go on, saw it halted: the disk that {self._workshop.folder} lies on is "
                "full; make room there and build again"
            )
        return state is not None

    async def _state(self) -> tuple[int | None, int]:
        return await self._host.call(f"look at {self.held.name}", lambda c: _state(c, self.held.uuid))

    async def _start(self) -> None:
        for put in self._files:
            await asyncio.to_thread(put)
        self._files.clear()
        try:
            await self._host.call(
                f"start {self.held.name}", lambda c: c.lookupByUUIDString(self.held.uuid).create(), START_LIMIT_S
            )
        except HostRefused as error:
            if "ermission denied" not in str(error):
                raise
            raise HostRefused(
                f"{error}; the machine runs as user {os.getuid()}, who has to be able to read the media and to enter "
                f"every folder above them and above {self._workshop.folder}", error.code
            ) from error

    async def _press(self, name: str) -> None:
        def work(connection: Any) -> None:
            import libvirt_qemu

            keys = [{"type": "qcode", "data": name}]
            request = {"execute": "send-key", "arguments": {"keys": keys, "hold-time": KEY_HELD_MS}}
            answer = msgspec.json.decode(libvirt_qemu.qemuMonitorCommand(
                connection.lookupByUUIDString(self.held.uuid), msgspec.json.encode(request).decode(), 0
            ))
            if "error" in answer:
                raise VmError(f"{self.held.name}: QEMU refuses the key {name!r}: {answer['error'].get('desc')}")

        await self._host.call(f"press {name} on {self.held.name}", work)

    async def _picture(self) -> bytes:
        taken = await self._host.call(
            f"look at the screen of {self.held.name}", lambda c: screen.take(c.lookupByUUIDString(self.held.uuid))
        )
        return screen.png(taken)


def _mac(name: str) -> str:
    """An address in QEMU's range, the same for every machine of one build: Windows counts network cards by it."""
    digest = hashlib.sha256(name.encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])


def _state(connection: Any, domain_uuid: str) -> tuple[int | None, int]:
    """Return state and reason of a domain that is on; no state for one that is off or gone."""
    import libvirt

    try:
        domain = connection.lookupByUUIDString(domain_uuid)
        if not domain.isActive():
            return None, 0
        state, reason = domain.state()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None, 0
        raise
    return int(state), int(reason)


def _end(connection: Any, domain_uuid: str) -> str:
    """Cut a domain's power and return its definition; empty if there is none."""
    import libvirt

    try:
        domain = connection.lookupByUUIDString(domain_uuid)
        if domain.isActive():
            with contextlib.suppress(libvirt.libvirtError):  # it went off at this moment; if not, the next call says so
                domain.destroy()
        return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return ""
        raise


def _undefine(connection: Any, domain_uuid: str) -> None:
    """Remove a definition. Files are not libvirt's to remove here: the state was saved, and what is left is ours."""
    import libvirt

    try:
        connection.lookupByUUIDString(domain_uuid).undefineFlags(
            libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | getattr(libvirt, "VIR_DOMAIN_UNDEFINE_KEEP_TPM", 0)
        )
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


def _save_state(xml: str, uri: str, domain_uuid: str) -> None:
    """Copy the firmware's settings and the TPM's state of a machine that is off to where they belong."""
    places = workshop_xml.places_of(xml)
    if places is None:
        return  # its builder was killed before the machine was more than a name
    nvram = Path(workshop_xml.running_nvram_of(xml) or os.devnull)
    if nvram.is_file():
        _copy_file(nvram, Path(places.nvram))
    if places.tpm:
        tpm_state.fetch(uri, domain_uuid, Path(places.tpm))


def _remove_state(xml: str, uri: str, domain_uuid: str) -> None:
    """Remove the state that was saved."""
    nvram = workshop_xml.running_nvram_of(xml)
    if nvram:
        Path(nvram).unlink(missing_ok=True)
    tpm_state.remove(uri, domain_uuid)


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file; ``target`` is there as a whole or not at all."""
    beside = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, beside)
    beside.chmod(0o600)
    beside.replace(target)
