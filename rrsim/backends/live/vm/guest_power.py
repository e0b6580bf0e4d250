"""The power of a Wine guest: a boot is a boot of the whole virtual machine, and the hypervisor is its witness.

The guest restarts by itself when its Windows does. Here that is only seen: Windows said that it goes down, the
hypervisor reported a reset by the guest, and a kernel with another mark answers. A reset without the first is a fault
of the harness or of the guest, and never passes for a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from rrsim import live_clock
from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm.events import AnyEvent, Crashed, Gap, Reset, Shutdown, Stopped, Suspended, text
from rrsim.backends.live.vm.guest_port import GuestPort
from rrsim.backends.live.wine.line import Fields, Line
from rrsim.backends.live.wine.power import HowItEnds, MachineFailed, Power
from rrsim.machine.identity import BootIdentity
from rrsim.machine.observations import AnyObservation

PATIENCE: Final = 4.0
"""An emulated processor is that much slower, and more on a busy host."""
BOOT_LIMIT_S: Final = 180.0
"""From a reset to the guest daemon's answer: 5 to 10 s where the processor is emulated."""
DOWN_LIMIT_S: Final = 60.0
"""From the end of Windows' session to the reset: the disk is written."""
PROCESSES_EVERY_MS: Final = 200
CAUSE_LIMIT_S: Final = 3.0
"""So long after a line broke its cause may still come: the hypervisor's word, or that of the connection to the host."""


class Switch(Protocol):
    """What the power does to the virtual machine; :class:`rrsim.backends.live.vm.vm.Vm` is one."""

    async def destroy(self) -> None:
        """Take the electricity away."""

    async def reset(self) -> None:
        """Press the reset button."""

    @property
    def resets(self) -> int:
        """How often the host has seen it switched on or reset."""

    @property
    def reset_reason(self) -> str:
        """Why the last time."""


class GuestPower(Power):
    """One guest's power, boots and sign-in."""

    patience = PATIENCE
    tolerance_us = 2_000_000  # the guest's clock is set after a restore, and its kernel counts from there

    def __init__(
        self, vm: Switch, come_up: Callable[[], Awaitable[GuestPort]], observe: Callable[[AnyObservation], None]
    ) -> None:
        """Hold a machine that is off. ``come_up`` switches it on, or restores it, and returns its port."""
        super().__init__(observe)
        self._vm, self._come_up = vm, come_up
        self.port: GuestPort | None = None
        self.kernel_mark = ""
        """The kernel's own mark of the running boot."""
        self.on_boot: Callable[[dict[int, str]], None] = lambda _: None
        """Called when a boot answers, with its processes, before anything of Windows is heard."""
        self._expected: HowItEnds | None = None
        self._happened: asyncio.Future[AnyEvent] | None = None
        self._naming: asyncio.Task[None] | None = None

    # --- what the hypervisor reports -------------------------------------------------------------------------------

    def vm_event(self, event: AnyEvent) -> None:
        """Take up an event of the virtual machine."""
        if isinstance(event, Suspended) and event.reason == "asked":
            self.host_did_it("somebody halted the virtual machine from outside of the run")
        if isinstance(event, Gap) and self.port is not None:
            # The port's stream went with the old connection. libvirt does not always say so: it is just silent then.
            self._connection_lost(self.port)
        if not isinstance(event, Reset | Shutdown | Stopped | Crashed):
            return
        waiting = self._happened
        if waiting is not None and not waiting.done() and self._is_expected(event):
            waiting.set_result(event)
        elif self._expected in ("restart", "reset") and isinstance(event, Stopped | Crashed):
            self.host_did_it(f"{text(event)}, in place of the restart that was due")
            if waiting is not None and not waiting.done():
                waiting.cancel()
        elif self._expected is None and self.phase != "off":
            self.host_did_it(text(event))

    def host_did_it(self, what: str) -> None:
        """Note that the machine went down, or stopped, although nobody asked for that."""
        self._fail(MachineFailed(
            f"the virtual machine went down in phase {self.phase!r} and nobody asked for it: {what}; last heard of the "
            f"guest: {self.port.last if self.port else 'nothing'}; look at the serial console"
        ))

    def host_failed(self, trouble: Exception) -> None:
        """Note what makes the machine useless: a full disk, a host that is gone, a slot that was lost."""
        last = self.port.last if self.port else "nothing"
        self._fail(MachineFailed(f"{type(trouble).__name__}: {trouble}; last heard of the guest: {last}"))

    def _gone_unasked(self) -> None:
        """A line to the guest broke. Why comes from elsewhere, and a little later."""
        if self._naming is None:
            self._naming = asyncio.get_running_loop().create_task(self._name_the_cause())

    async def _name_the_cause(self) -> None:
        await pause(round(CAUSE_LIMIT_S * 1e6))  # what the hypervisor says meanwhile is the first error, and stays it
        if self.port is not None and self.port.why_lost and self.port.beneath:
            self._connection_lost(self.port)
        else:
            self._fail(MachineFailed(
                f"the line to the sign-in helper in the guest broke in phase {self.phase!r}, and neither guest nor "
                f"hypervisor says why: {(self.port and self.port.why_lost) or 'the helper ended'}; last heard of the "
                f"guest: {self.port.last if self.port else 'nothing'}; look at the serial console"
            ))

    def _connection_lost(self, port: GuestPort) -> None:
        """Name the lost connection to the host as the cause: it took the guest's port with it."""
        self._fail(MachineFailed(
            f"HostLost: {port.beneath or 'the connection to the host broke'}, and took the line to the guest with it: "
            f"{port.why_lost or 'it is silent'}; last heard of the guest: {port.last}; was libvirtd restarted? Run "
            "again when it stays up"
        ))

    def _expect(self, how: HowItEnds) -> None:
        """From now on the machine may go down in this way."""
        self._expected = how
        self._happened = asyncio.get_running_loop().create_future()

    def _heard_down(self, fields: Fields) -> None:
        if not self._cutting:
            self._expect("restart" if fields["restart"] else "off")  # it may be down before the helpers are closed
        super()._heard_down(fields)

    def _heard_line_lost(self, fields: Fields) -> None:
        if self._expected is None:  # else the guest ends its helpers, and the hypervisor says the rest
            super()._heard_line_lost(fields)

    def _is_expected(self, event: AnyEvent) -> bool:
        if self._expected in ("restart", "reset"):
            return isinstance(event, Reset)
        return isinstance(event, Stopped)

    # --- a boot ----------------------------------------------------------------------------------------------------

    async def _begin_boot(self) -> tuple[str, bool]:
        self._expected = None
        if self.port is None:
            self.port = await self._come_up()
        fields = await self.port.hello(not_boot=self.kernel_mark, limit_s=BOOT_LIMIT_S)
        self.kernel_mark = str(fields["boot_id"])
        answer = await self.port.ask("watch processes", every_ms=PROCESSES_EVERY_MS)
        self.on_boot({int(pid): str(line) for pid, line in answer["now"].items()})
        return live_clock.fresh_secret()[:16], bool(fields.get("flag_at_boot"))

    async def _open_helper(self) -> Line:
        assert self.port is not None, "the boot has begun"
        return await self.port.open_line("signin", "the sign-in helper", self._hear)

    async def _end_boot(self, how: HowItEnds) -> None:
        if self.port is None:
            return
        if self._happened is None or self._expected != how:
            self._expect(how)
        assert self._happened is not None, "it was made just now, or when Windows said that it goes down"
        try:
            if how == "cut":
                await self._vm.destroy()
            elif how == "reset":
                await self._vm.reset()
            async with asyncio.timeout(DOWN_LIMIT_S):
                await self._happened
        except TimeoutError:
            wanted = "a reset" if how in ("restart", "reset") else "its end"
            raise MachineFailed(
                f"Windows went down, and within {DOWN_LIMIT_S:g} s the hypervisor did not report {wanted} of the "
                f"virtual machine; last heard of the guest: {self.port.last}; look at the serial console"
            ) from None
        finally:
            self._happened = None
        if how in ("cut", "off"):
            await self._lose_port()
            self._expected = None

    async def _lose_port(self) -> None:
        port, self.port = self.port, None
        self.kernel_mark = ""
        if port is not None:
            with contextlib.suppress(Exception):  # the machine is gone, and with it the other end
                await port.close()

    async def close(self) -> None:
        """End everything, quietly."""
        self._expected = "cut"
        if self._naming is not None:
            self._naming.cancel()
            await asyncio.gather(self._naming, return_exceptions=True)
        await super().close()
        await self._lose_port()

    # --- the proof -------------------------------------------------------------------------------------------------

    async def identity(self) -> BootIdentity:
        """Read the witnesses of the running boot: Windows' mark and boot time, and the hypervisor's resets."""
        found = await super().identity()
        return BootIdentity(
            mark=found.mark, boot_time_us=found.boot_time_us, tolerance_us=self.tolerance_us,
            host_resets=self._vm.resets, host_reason=self._vm.reset_reason,
        )
