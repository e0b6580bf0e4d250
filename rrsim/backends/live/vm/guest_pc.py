"""One customer's PC in a Wine guest: what a live run asks of any Windows PC, and cable and modem besides."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from rrsim.backends.live.vm import hands, keep
from rrsim.backends.live.vm.errors import HostRefused, VmError
from rrsim.backends.live.vm.events import AnyEvent
from rrsim.backends.live.vm.guest_port import GuestRefused, PortLost
from rrsim.backends.live.vm.guest_site import GuestSite
from rrsim.backends.live.vm.stream import ByteStream
from rrsim.backends.live.vm.vm import Vm
from rrsim.backends.live.wine.pc import CAPABILITIES as ON_WINE
from rrsim.backends.live.wine.pc import WindowsPc
from rrsim.backends.live.wine.power import NotPossible
from rrsim.machine.adapters import Watch
from rrsim.machine.interface import Capability

CAPABILITIES: Final[frozenset[Capability]] = ON_WINE
RESOLUTION_US: Final = 4_000_000
"""What a guest under emulation can tell apart at a deadline."""
RESTART_US: Final = 30_000_000
"""How long a restart takes at most, with the agent back, where the processor is emulated and the host is busy."""
SYNC_LIMIT_S: Final = 60.0
"""How long a guest may take to write down what it was given."""
SCREENSHOT_LIMIT_S: Final = 20.0
MODEM_PORT: Final = 1
MARK_KEY: Final = r"HKLM\SOFTWARE\rrsim stand-in\This boot"
"""The volatile key that the sign-in helper writes the mark of a boot into."""
IN_GUEST: Final = ("stand-in: Windows itself (Wine in a Debian guest)",)


class GuestMachine:
    """A virtual machine's switches, screen and hands, as the site needs them."""

    def __init__(self, vm: Vm) -> None:
        """Hold a machine; needs a running event loop."""
        self.vm, self._loop = vm, asyncio.get_running_loop()
        self._size: tuple[int, int] | None = None

    async def destroy(self) -> None:
        """Take the electricity away."""
        await self.vm.destroy()

    async def reset(self) -> None:
        """Press the reset button."""
        await self.vm.reset()

    async def click(self, x: int, y: int) -> None:
        """Move the pointer and press its left button."""
        await hands.click(self.vm, x, y)

    async def type_text(self, text: str) -> None:
        """Type."""
        await hands.type_text(self.vm, text)

    async def press_key(self, name: str) -> None:
        """Press a key or a combination, ``alt+F4``."""
        await hands.press_key(self.vm, *name.split("+"))

    def screenshot_now(self) -> bytes:
        """Return the screen as PNG. Called in a thread of its own, never on the loop.

        Raises:
            NotPossible: the machine is off.
        """
        try:
            return asyncio.run_coroutine_threadsafe(self.vm.screenshot(), self._loop).result(SCREENSHOT_LIMIT_S)
        except VmError as error:
            raise NotPossible(str(error)) from error

    @property
    def resets(self) -> int:
        """How often the host has seen it switched on or reset."""
        return self.vm.resets

    @property
    def reset_reason(self) -> str:
        """Why the last time."""
        return self.vm.reset_reason

    def on_event(self, hear: Callable[[AnyEvent], None]) -> None:
        """Have events told to this listener, and to no other."""
        self.vm.on_event = hear

    def on_trouble(self, hear: Callable[[Exception], None]) -> None:
        """Have what makes the machine useless told to this listener, and to no other; at once if it has happened."""
        self.vm.on_trouble = hear
        if self.vm.trouble is not None:
            hear(self.vm.trouble)


class GuestPc(WindowsPc):
    """One customer's PC in a Wine guest."""

    def __init__(
        self, name: str, vm: Vm, site: GuestSite, observe: Callable[[Any], None], *, restored: bool = False
    ) -> None:
        """Hold a machine that is off, or one that was restored and has not been switched on for the run."""
        super().__init__(name, site, observe)
        self.vm, self.site_of_guest = vm, site
        self._restored = restored
        self._console = ""
        self._keeps: Callable[[str], None] | None = None

    async def power_on(self) -> None:
        """Switch it on and wait for the welcome screen."""
        if not self._restored:
            await super().power_on()
            return
        self._restored, self._told_display = False, True  # its registry was told when the kept state was made
        await super().power_on()
        # The mark in its registry is that of the boot that was kept; each restore counts as a boot of its own.
        await self.run(["reg", "add", MARK_KEY, "/v", "mark", "/d", self.boot, "/f"])

    async def watch(self, watches: tuple[Watch, ...]) -> None:
        """Have the machine tell when what is watched changes; what was installed until now is on its disk.

        A customer's program was installed long before a power cut takes what Windows has not written yet; here it was a
        moment ago.
        """
        await self.site_of_guest.port.ask("sync", limit_s=SYNC_LIMIT_S)
        await super().watch(watches)

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """What stood in for a part of Windows in this run so far; Windows itself first."""
        return (*IN_GUEST, *super().stand_ins)

    def log(self) -> bytes:
        """Return what machine, helpers and hypervisor said, for the bundle."""
        events = "\n".join(repr(event) for event in self.vm.recent)
        return b"\n".join((super().log(), events.encode(), b"--- serial console ---", self._console.encode()))

    async def fetch(self) -> None:
        """Bring the serial console's text and the programs' logs to this computer."""
        self._console = await self.vm.console()
        await super().fetch()

    # --- the end ---------------------------------------------------------------------------------------------------

    def keep_with(self, say: Callable[[str], None]) -> None:
        """Have the machine stay as it is when the case is over; ``say`` hears how to look inside."""
        self._keeps = say

    async def close(self) -> None:
        """End the machine and remove everything of it, unless it is kept."""
        if self._keeps is None:
            await super().close()
            return
        with contextlib.suppress(NotPossible):
            await self.site_of_guest.let_go()
        self._keeps(await keep.keep_machine(self.vm))

    # --- the network -----------------------------------------------------------------------------------------------

    async def set_cable(self, plugged: bool) -> None:
        """Plug the network card's cable in, or pull it; a machine that is off keeps it as it was.

        Raises:
            VmError: the host cannot do it on a machine that runs.
        """
        try:
            await self.vm.set_link(up=plugged)
        except HostRefused:
            if await self.vm.domain("look at", lambda d: bool(d.isActive())):
                raise  # a cable that only seems to be out would make a verdict on the product out of nothing

    async def dial(self, number: str) -> None:
        """Have the machine dial, or do nothing if it is off or a call goes on."""
        with contextlib.suppress(NotPossible, GuestRefused, PortLost):
            await self.site_of_guest.port.ask("dial", number=number)

    async def hang_up(self) -> None:
        """Have the machine hang up; harmless if there is no call."""
        with contextlib.suppress(NotPossible, GuestRefused, PortLost):
            await self.site_of_guest.port.ask("hang up")

    async def open_modem_port(self) -> ByteStream:
        """Return the machine's serial port with the modem."""
        return await self.vm.open_serial(MODEM_PORT)
