"""One virtual machine: power, events, lines into it, screen, cable. Hands are in :mod:`rrsim.backends.live.vm.hands`.

A machine lives in a slot: the domain whose name the slot is. Its disk is an overlay on the image's read-only one; both
lie in the host's pool. What the hypervisor tells arrives in order at ``on_event``, in the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec

from rrsim.backends.live.vm import base, domain_xml, events, screen, watching
from rrsim.backends.live.vm.errors import (
    DiskFailed,
    DiskFull,
    GuestNeverBooted,
    GuestStopped,
    HostLost,
    HostRefused,
    RestartLoop,
    VmError,
)
from rrsim.backends.live.vm.events import AnyEvent
from rrsim.backends.live.vm.host import Host, Progress
from rrsim.backends.live.vm.image import Image
from rrsim.backends.live.vm.lease import Held, to_mark
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.stream import ByteStream
from rrsim.images.description import GUEST_PORT, Accelerator

T = TypeVar("T")
START_LIMIT_S: Final = 120.0
EVENTS_KEPT: Final = 50
RESTARTS_MAX: Final = 6
RESTARTS_WITHIN_US: Final = 300_000_000
"""More restarts than this within this time are a loop. An emulated guest takes up to 40 s; no case has seven."""
CONSOLE_TAIL_LINES: Final = 8
CONSOLE_MAX_BYTES: Final = 256 * 1024


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What may be chosen for one machine."""

    accelerator: Accelerator = "tcg"
    management: bool = False
    """A second network card for remote shells: see :meth:`Vm.forward`."""
    hyperv: bool = False
    restarts_max: int = RESTARTS_MAX


class Vm:
    """One virtual machine. Made by :meth:`create`, which does not start it; ended by :meth:`remove`."""

    def __init__(self, host: Host, pool: Pool, slot: Held, image: Image, options: Options) -> None:
        """Hold a machine that is off and has no disk yet."""
        self.host, self.pool, self.slot, self.image, self.options = host, pool, slot, image, options
        self.name, self.uuid = slot.name, slot.uuid
        self.on_event: Callable[[AnyEvent], None] = lambda _: None
        self.resets = 0
        """How often the host has seen this machine switched on or reset."""
        self.reset_reason = ""
        """Why the last time: ``power on``, ``guest reset``, ``host reset``."""
        self.gaps = 0
        """How often the connection to the host broke: counts of resets from before and after cannot be compared."""
        self.running = False
        self.trouble: VmError | None = None
        """What makes this machine useless, once something did."""
        self.on_trouble: Callable[[VmError], None] = lambda _: None
        """Hears of :attr:`trouble` in the moment in which it comes."""
        self.recent: deque[AnyEvent] = deque(maxlen=EVENTS_KEPT)
        self._bursts = events.Bursts()
        self._restarts: deque[int] = deque()
        self._waiting: set[asyncio.Future[None]] = set()
        self._watch: watching.Watch | None = None
        self._values: domain_xml.Values | None = None
        slot.on_lost = self._fail

    @classmethod
    async def create(
        cls, host: Host, pool: Pool, slot: Held, image: Image, options: Options | None = None, *,
        disk: str = "", progress: Progress | None = None,
    ) -> Vm:
        """Make a machine in a slot: its files in the pool and its definition. It is off.

        Args:
            host: where.
            pool: the host's pool.
            slot: a free slot of ours; from now on the machine's.
            image: what it is made from.
            options: what may be chosen.
            disk: name of the overlay's volume, where it is to outlive the machine; empty: ``run-UUID-disk.qcow2``.
            progress: hears what takes long.

        Raises:
            ImageCorrupt: a file of the image is not what the manifest says.
            DiskFull: the host has no room.
            HostRefused: libvirt does not accept the definition.
        """
        vm = cls(host, pool, slot, image, options or Options())
        await pool.require_room()
        await vm.clear_volumes()
        files = await base.provide(pool, image, progress)
        await vm.prepare(files[image.disk].name, image.disk_format, files, disk)
        if vm.values.nvram:
            await base.own_nvram(pool, image, vm.volume("nvram.fd"))
        await vm.define()
        return vm

    async def prepare(
        self, backing: str, backing_format: str, files: dict[str, base.Provided], disk: str = ""
    ) -> None:
        """Make the machine's own files: its disk on top of the volume ``backing``, and its console log."""
        path = await self.pool.overlay(disk or self.volume("disk.qcow2"), backing, backing_format)
        log = await self.pool.create(self.volume("console.log"), 0)
        folder = await self.pool.folder()
        uefi = self.image.built.description.hardware.firmware == "uefi"
        paths = {name: provided.path for name, provided in files.items()}
        self._values = domain_xml.Values(
            name=self.name, uuid=self.uuid, accelerator=self.options.accelerator, disk=path, console_log=log,
            mac=_mac(self.uuid, "main"), kernel=paths.get("vmlinuz", ""), initrd=paths.get("initrd.img", ""),
            nvram=f"{folder}/{self.volume('nvram.fd')}" if uefi else "",
            management_mac=_mac(self.uuid, "management") if self.options.management else "",
            hyperv=self.options.hyperv, domain_type="test" if self.host.is_mock else "",
        )

    async def clear_volumes(self) -> None:
        """Delete every volume that belongs to this machine."""
        prefix = self.volume("")
        for name in await self.pool.names():
            if name.startswith(prefix):
                await self.pool.delete(name)

    @property
    def values(self) -> domain_xml.Values:
        """What this run adds to the image; known once the machine's files were made."""
        assert self._values is not None, "create() or prepare() came first"
        return self._values

    def volume(self, what: str) -> str:
        """Return the name of a volume that belongs to this machine and is cleared away with it."""
        return f"run-{self.uuid}-{what}"

    async def define(self) -> None:
        """Give libvirt the definition (again, after a change), and listen to the machine's events.

        Raises:
            HostRefused: libvirt does not accept it.
        """
        import libvirt

        xml = self.xml()
        flags = 0 if self.host.is_mock else libvirt.VIR_DOMAIN_DEFINE_VALIDATE
        await self.host.call(f"define {self.name}", lambda c: c.defineXMLFlags(xml, flags))
        if self._watch is None:
            self._watch = await watching.begin(self.host, self.uuid, self._take)

    def xml(self) -> str:
        """Return the machine's definition."""
        return domain_xml.domain_xml(self.image.built, self.values, to_mark(self.slot.lease))

    # --- power ---

    async def start(self) -> None:
        """Switch the machine on.

        Raises:
            HostRefused: QEMU does not start.
            DiskFull: the host has no room.
        """
        await self.pool.require_room()
        await self.domain("start", lambda d: d.create(), START_LIMIT_S)
        self.running = True

    async def destroy(self) -> None:
        """Cut the power; nothing is flushed. Harmless if the machine is off."""
        with contextlib.suppress(HostRefused):
            await self.domain("cut the power of", lambda d: d.destroy(), 60.0)
        self.running = False

    async def reset(self) -> None:
        """Press the reset button; nothing is flushed."""
        await self.domain("reset", lambda d: d.reset())

    async def press_power_button(self) -> None:
        """Press the power button: the guest is asked to shut down (ACPI)."""
        import libvirt

        await self.domain("press the power button of", lambda d: d.shutdownFlags(
            0 if self.host.is_mock else libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
        ))

    async def pause(self) -> None:
        """Halt the machine as it is."""
        await self.domain("halt", lambda d: d.suspend())

    async def resume(self) -> None:
        """Let a halted machine go on."""
        await self.domain("go on with", lambda d: d.resume())

    async def remove(self) -> None:
        """Cut the power and remove everything that belongs to the machine: definition, slot, volumes."""
        await self.close()
        await self.slot.release()
        await self.clear_volumes()

    async def close(self) -> None:
        """Stop listening; the machine goes on as it is."""
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.end()

    # --- eyes and lines ---

    async def screenshot(self) -> bytes:
        """Return the screen as PNG.

        Raises:
            HostRefused: the machine is off.
        """
        return screen.png(await self.domain("look at the screen of", screen.take))

    async def screen_size(self) -> tuple[int, int]:
        """Return the screen's width and height in pixels."""
        return screen.size(await self.domain("look at the screen of", screen.take))

    async def console(self) -> str:
        """Return what the guest wrote on its serial console since the machine was made, at most the last 256 KiB."""
        name = self.volume("console.log")
        volume = await self.pool.look_at(name)
        if volume is None:
            return ""
        start = max(0, volume.capacity_bytes - CONSOLE_MAX_BYTES)
        return (await self.pool.read(name, start)).decode("utf-8", "replace")

    async def open_channel(self, port: str = GUEST_PORT) -> ByteStream:
        """Open a virtio port by name. Whoever held it before loses it.

        Raises:
            HostRefused: the machine is off or has no such port.
        """
        import libvirt

        return await self._open(
            port, lambda d, stream: d.openChannel(port, stream, libvirt.VIR_DOMAIN_CHANNEL_FORCE)
        )

    async def open_serial(self, number: int = 1) -> ByteStream:
        """Open a serial line: 0 is the console, 1 the modem's. Whoever held it before loses it.

        Raises:
            HostRefused: the machine is off or has no such line.
        """
        import libvirt

        return await self._open(
            f"serial{number}",
            lambda d, stream: d.openConsole(f"serial{number}", stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE),
        )

    async def _open(self, name: str, connect: Callable[[Any, Any], object]) -> ByteStream:
        import libvirt

        loop = asyncio.get_running_loop()

        def work(domain: Any) -> ByteStream:
            stream = domain.connect().newStream(libvirt.VIR_STREAM_NONBLOCK)
            connect(domain, stream)
            line = ByteStream(f"{self.name}: {name}", stream, loop)
            line.begin()
            return line

        return await self.domain(f"open {name} of", work)

    # --- cable and ports ---

    async def set_link(self, *, up: bool) -> None:
        """Pull the cable of the network card, or plug it in."""
        def work(domain: Any) -> None:
            import libvirt

            xml = domain_xml.link_xml(domain.XMLDesc(), domain_xml.NETWORK_CARD, up=up)
            domain.updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

        await self.domain("move the cable of", work)

    async def forward(self, host_port: int, guest_port: int) -> None:
        """Lead a port of the host's loopback to the guest, over the management card if there is one.

        Holds until the machine is switched off; to be done again after :meth:`restore`.

        Raises:
            VmError: the port is taken.
        """
        card = domain_xml.MANAGEMENT_CARD if self.options.management else domain_xml.NETWORK_CARD
        answer = await self.monitor_text(f"hostfwd_add host{card} tcp:127.0.0.1:{host_port}-:{guest_port}")
        if answer.strip():
            raise VmError(f"{self.name}: cannot lead port {host_port} to the guest: {answer.strip()}; try another port")

    async def monitor(self, command: str, **arguments: object) -> object:
        """Send a command to QEMU's monitor and return its answer.

        Raises:
            HostRefused: QEMU answered with an error.
        """
        def work(domain: Any) -> object:
            import libvirt_qemu

            request = msgspec.json.encode({"execute": command, "arguments": arguments}).decode()
            answer = msgspec.json.decode(libvirt_qemu.qemuMonitorCommand(domain, request, 0))
            if "error" in answer:
                raise VmError(f"{self.name}: QEMU refuses {command}: {answer['error'].get('desc')}")
            return answer.get("return")

        return await self.domain(f"ask QEMU {command} for", work)

    async def monitor_text(self, command: str) -> str:
        """Send a line to QEMU's monitor for people and return its answer."""
        def work(domain: Any) -> str:
            import libvirt_qemu

            return str(libvirt_qemu.qemuMonitorCommand(
                domain, command, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
            ))

        return await self.domain("ask QEMU for", work)

    async def domain(self, what: str, function: Callable[[Any], T], limit_s: float = 30.0) -> T:
        """Call ``function(domain)`` in a thread; ``what`` is a verb for errors."""
        return await self.host.call(
            f"{what} {self.name}", lambda c: function(c.lookupByUUIDString(self.uuid)), limit_s
        )

    # --- guards ---

    def connection_since_now(self) -> Callable[[], str]:
        """Return a function that says what became of the connection to libvirt since this moment; empty: nothing."""
        gaps = self.gaps

        def said() -> str:
            if not self.host.is_there:
                return f"the connection to libvirt at {self.host.uri} is broken"
            return f"the connection to libvirt at {self.host.uri} broke and came back" if self.gaps > gaps else ""

        return said

    async def guard(self, waited_for: Awaitable[T], what: str, limit_s: float) -> T:
        """Await something that the running guest must bring about.

        Raises:
            GuestNeverBooted: it did not come within ``limit_s``; the text has the last event and the console's end.
            GuestStopped: the machine stopped or crashed instead.
            RestartLoop: it restarts again and again.
            DiskFull: the host's disk is full and the machine halted.
            HostLost: the connection to the host did not come back.
            LeaseLost: the slot was taken.
        """
        task = asyncio.ensure_future(waited_for)
        gone = asyncio.get_running_loop().create_future()
        self._waiting.add(gone)
        if self.trouble is not None:
            gone.set_exception(self.trouble)
        try:
            await asyncio.wait({task, gone}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            seen = await self.last_seen()
            if gone.done() and (trouble := gone.exception()) is not None:
                raise type(trouble)(f"{self.name}: waiting for {what}: {trouble}; {seen}") from trouble
            raise GuestNeverBooted(
                f"{self.name}: expected {what} within {limit_s:g} s, saw nothing of it; {seen}; look at the screen and "
                "at the whole console log"
            )
        finally:
            self._waiting.discard(gone)
            if gone.done():
                gone.exception()
            gone.cancel()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def last_seen(self) -> str:
        """Return the last events and the end of the console, for errors."""
        try:
            lines = [line for line in (await self.console()).splitlines() if line.strip()]
        except VmError as error:
            lines = [f"(unreadable: {error})"]
        tail = "".join(f"\n    {line}" for line in lines[-CONSOLE_TAIL_LINES:]) or " empty"
        told = ", ".join(events.text(event) for event in list(self.recent)[-4:]) or "none"
        return f"last events: {told}; end of the console:{tail}"

    def _take(self, event: AnyEvent | HostLost) -> None:
        """Hear an event, in the event loop."""
        match event:
            case HostLost():
                self._fail(event)
                return
            case events.Gap():
                self.gaps += 1
            case events.Started(reason="power on"):
                self._bursts.is_new(event.at_us)
                self._count(event.reason)
            case events.Reset():
                if not self._bursts.is_new(event.at_us):
                    return
                self._count(event.reason)
        self.recent.append(event)
        match event:
            case events.Started() | events.Resumed():
                self.running = True
            case events.Reset():
                self._look_for_loop(event.at_us)
            case events.Stopped() | events.Crashed():
                self.running = False
                self._bursts.forget()
                self._wake(GuestStopped(f"the machine stopped: {events.text(event)}"))
            case events.Suspended(reason="disk full"):
                self._fail(DiskFull(
                    f"the disk of the host {self.host.info.name} is full, and the machine was halted; make room in the "
                    f"folder of the pool {self.pool.name}"
                ))
            case events.Suspended(reason="disk error"):
                self._fail(DiskFailed(
                    f"a disk of the host {self.host.info.name} failed, and the machine was halted; look at the host's "
                    f"kernel log and at the folder of the pool {self.pool.name}"
                ))
        self.on_event(event)

    def _count(self, reason: str) -> None:
        self.resets += 1
        self.reset_reason = reason

    def _look_for_loop(self, at_us: int) -> None:
        self._restarts.append(at_us)
        while at_us - self._restarts[0] > RESTARTS_WITHIN_US:
            self._restarts.popleft()
        if len(self._restarts) > self.options.restarts_max:
            self._fail(RestartLoop(
                f"the guest restarted {len(self._restarts)} times within {RESTARTS_WITHIN_US // 1_000_000} s"
            ))

    def _fail(self, trouble: VmError) -> None:
        if self.trouble is None:
            self.trouble = trouble
            self.on_trouble(trouble)
        self._wake(trouble)

    def _wake(self, trouble: VmError) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(trouble)


def _mac(domain_uuid: str, card: str) -> str:
    """An address in QEMU's range, the same for the same machine."""
    digest = hashlib.sha256(f"{domain_uuid} {card}".encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])
