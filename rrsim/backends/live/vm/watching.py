"""Listens to one domain's events in libvirt's thread and hands them over, typed, to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from typing import Any

import msgspec

from rrsim import live_clock
from rrsim.backends.live.vm import events, threads
from rrsim.backends.live.vm.errors import HostLost, HostRefused, HostSlow
from rrsim.backends.live.vm.events import AnyEvent
from rrsim.backends.live.vm.host import Host

Take = Callable[[AnyEvent | HostLost], None]


class Watch:
    """A registration for the events of one domain. Made by :func:`begin`."""

    def __init__(self, host: Host, domain_uuid: str, take: Take) -> None:
        """Not registered yet."""
        self._host, self._uuid, self._take = host, domain_uuid, take
        self._loop = asyncio.get_running_loop()
        self._undo: list[Callable[[], object]] = []
        self._again: asyncio.Task[None] | None = None
        self._stop_listening = host.on_again(self._connection_changed)
        self._ended = False

    async def register(self) -> None:
        """Register with the host's present connection."""
        await self._host.call("listen for events", self._register)

    async def end(self) -> None:
        """Hear no more; harmless if the connection is gone."""
        self._ended = True
        self._stop_listening()
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        with contextlib.suppress(HostLost, HostRefused, HostSlow):
            await self._host.call("stop listening", lambda _: self._unregister())

    def _connection_changed(self, lost: HostLost | None) -> None:
        if self._ended:
            return
        if lost is not None:
            self._take(lost)
            return
        self._undo.clear()  # what was registered went with the old connection
        self._again = self._loop.create_task(self._register_again())

    async def _register_again(self) -> None:
        try:
            await self.register()
        except (HostLost, HostRefused, HostSlow) as error:
            self._take(HostLost(f"the host came back, and its events cannot be heard: {error}"))
            return
        self._tell(events.Gap(live_clock.monotonic_us()))

    def _register(self, connection: Any) -> None:
        import libvirt

        domain = connection.lookupByUUIDString(self._uuid)
        wanted: list[tuple[int, Callable[..., None]]] = [(libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle)]
        if not self._host.is_mock:
            wanted += [
                (libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, self._disk_error),
                (libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, self._agent),
            ]
        for number, call in wanted:
            token = connection.domainEventRegisterAny(domain, number, call, None)
            self._undo.append(functools.partial(connection.domainEventDeregisterAny, token))
        if not self._host.is_mock:
            import libvirt_qemu

            token = libvirt_qemu.qemuMonitorEventRegister(connection, domain, "RESET", self._reset, None, 0)
            self._undo.append(lambda: libvirt_qemu.qemuMonitorEventDeregister(connection, token))

    def _unregister(self) -> None:
        import libvirt

        while self._undo:
            with contextlib.suppress(libvirt.libvirtError):
                self._undo.pop()()

    def _tell(self, event: AnyEvent) -> None:
        threads.hand_over(self._loop, self._pass_on, event)

    def _pass_on(self, event: AnyEvent) -> None:
        if not self._ended:
            self._take(event)

    # --- in libvirt's thread ---

    def _lifecycle(self, _connection: Any, _domain: Any, event: int, detail: int, _opaque: object) -> None:
        told = typed(event, detail, live_clock.monotonic_us())
        if told is not None:
            self._tell(told)

    def _reset(
        self, _connection: Any, _domain: Any, _event: str, _seconds: int, _micros: int, details: str, _opaque: object
    ) -> None:
        self._tell(reset_of(details, live_clock.monotonic_us()))

    def _disk_error(
        self, _connection: Any, _domain: Any, _path: str, _device: str, action: int, reason: str, _opaque: object
    ) -> None:
        import libvirt

        if action == libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE:
            full = reason == "enospc"
            self._tell(events.Suspended(live_clock.monotonic_us(), "disk full" if full else "disk error"))

    def _agent(self, _connection: Any, _domain: Any, state: int, _reason: int, _opaque: object) -> None:
        import libvirt

        connected = state == libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED
        self._tell(events.GuestAgent(live_clock.monotonic_us(), connected))


async def begin(host: Host, domain_uuid: str, take: Take) -> Watch:
    """Hear a domain's events from now on, over restarts of libvirtd; ``take`` is called in the event loop."""
    watch = Watch(host, domain_uuid, take)
    try:
        await watch.register()
    except BaseException:
        await watch.end()
        raise
    return watch


def reset_of(details: str, at_us: int) -> events.Reset:
    """Return the event in QEMU's words (``{"guest": true, "reason": "guest-reset"}``) as ours."""
    try:
        told = msgspec.json.decode(details)
        return events.Reset(at_us, bool(told.get("guest")), events.reason_of(str(told.get("reason", "unknown"))))
    except (msgspec.DecodeError, AttributeError):
        return events.Reset(at_us, guest=False, reason="unknown")


def typed(event: int, detail: int, at_us: int) -> AnyEvent | None:
    """Return libvirt's life-cycle event as ours; nothing for one that says nothing about power."""
    import libvirt

    match event:
        case libvirt.VIR_DOMAIN_EVENT_STARTED:
            restored = detail == libvirt.VIR_DOMAIN_EVENT_STARTED_RESTORED
            return events.Started(at_us, "restored" if restored else "power on")
        case libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
            # A disk's trouble is told by an event of its own, with its reason; a restore begins halted.
            asked = detail == libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED
            return events.Suspended(at_us, "asked") if asked else None
        case libvirt.VIR_DOMAIN_EVENT_RESUMED:
            return events.Resumed(at_us)
        case libvirt.VIR_DOMAIN_EVENT_SHUTDOWN:
            guest = detail == libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST
            return events.Shutdown(at_us, "guest shutdown" if guest else "host shutdown")
        case libvirt.VIR_DOMAIN_EVENT_STOPPED:
            return _stopped(detail, at_us)
        case libvirt.VIR_DOMAIN_EVENT_CRASHED:
            return events.Crashed(at_us, "guest panic")
        case _:
            return None


def _stopped(detail: int, at_us: int) -> AnyEvent:
    import libvirt

    if detail in {libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED}:
        return events.Crashed(at_us, "hypervisor crashed")
    return events.Stopped(at_us, {
        libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "guest shutdown",
        libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "power cut",
        libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: "saved",
    }.get(detail, "stopped"))
