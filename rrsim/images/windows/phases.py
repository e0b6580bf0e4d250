"""Waiting for Windows to go through its set-up, as its marks on the serial port tell it.

Every wait has a limit; time in which the host did not answer is not counted. A picture of the screen is kept of every
phase that begins and of every limit that is reached: it is mostly the only thing that says what Windows waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from rrsim.images.windows import absence, marks
from rrsim.images.windows.machine import HostAway, Time, Vm

MINUTE_US: Final = 60_000_000
LOOK_EVERY_US: Final = 500_000
KEY_FOR_US: Final = 90 * 1_000_000
"""How long a key is pressed for "Press any key to boot from CD": firmware takes its time, more when emulated."""
KEY: Final = "spc"
MOST_RETURNS: Final = 3
"""A phase that begins more often than this is a restart loop."""


class Phase(msgspec.Struct, frozen=True):
    """A part of the set-up that Windows says it has begun."""

    name: str
    limit_us: int
    """How long after the phase before it this one may take to begin."""
    means: str
    """What the machine is busy with until it begins, and what to look for if it does not."""


INSTALL: Final = (
    Phase("windowspe", 10 * MINUTE_US, "starting from the Windows medium; look for 'Press any key to boot from CD'"),
    Phase("specialize", 60 * MINUTE_US, "Windows Setup copying its files; look for a question that Setup asks"),
    Phase("first-logon", 45 * MINUTE_US, "Windows starting for the first time; look for a page that nobody answers"),
    Phase("accounts", 10 * MINUTE_US, "looking for the PROVISION medium"),
    Phase("power", 10 * MINUTE_US, "setting accounts and groups"),
    Phase("quiet", 10 * MINUTE_US, "setting the power plan"),
    Phase("updates", 10 * MINUTE_US, "turning off first-run windows"),
    Phase("network", 10 * MINUTE_US, "pausing Windows Update"),
    Phase("winrm", 10 * MINUTE_US, "setting the network profile"),
    Phase("openssh", 10 * MINUTE_US, "setting up WinRM"),
    Phase("guest-tools", 15 * MINUTE_US, "installing OpenSSH"),
    Phase("safe-mode", 20 * MINUTE_US, "installing the guest tools; look for a question about a driver"),
    Phase("dial-up", 10 * MINUTE_US, "listing services for safe mode"),
    Phase("finish", 10 * MINUTE_US, "setting up dial-up"),
)
SETTLE: Final = (Phase("settle", 30 * MINUTE_US, "starting without the set-up medium"),)
DONE_LIMIT_US: Final = 15 * MINUTE_US
OFF_LIMIT_US: Final = 15 * MINUTE_US


class SetupFailed(RuntimeError):
    """Windows did not get through its set-up; the message says where, and which picture to look at."""


class Watch:
    """One wait for a machine to go through phases and switch itself off."""

    def __init__(
        self, vm: Vm, serial_log: Path, pictures: Path, time: Time, patience: float, say: Callable[[str], None]
    ) -> None:
        """``patience`` lengthens every limit (an emulated processor needs several times as long)."""
        self._vm, self._log, self._pictures, self._time = vm, serial_log, pictures, time
        self._patience, self._say = patience, say
        self._reached: str | None = None
        self._begun_us = time.monotonic_us()
        self._keys_until_us = 0

    async def through(self, phases: tuple[Phase, ...], *, press_key: bool) -> tuple[marks.Mark, ...]:
        """Wait until every phase has begun, Windows says it is done, and the machine is off; return its marks.

        Phases may be missed: a later one shows that the earlier ones are over. ``press_key`` answers the medium's
        question until Windows Setup runs.

        Raises:
            SetupFailed: a limit was reached, a step failed, the machine went off too early, or restarts for ever.
            HostAway: the host did not answer for longer than :data:`absence.LIMIT_US`; nothing is known of the machine.
        """
        if press_key:
            self._keys_until_us = self._begun_us + int(KEY_FOR_US * self._patience)
        names = [phase.name for phase in phases]
        while True:
            seen = self._marks()
            at = max((names.index(mark.name) + 1 for mark in _begun(seen, names)), default=0)
            await self._notice(names[:at], seen)
            await self._refuse(seen)
            if any(mark.kind == "done" for mark in seen):
                return await self._off(seen)
            if not await self._running():
                seen = self._marks()
                if any(mark.kind == "done" for mark in seen):
                    return seen
                raise SetupFailed(
                    f"expected Windows to go on after {self._reached or 'the start'}, saw the machine switched off; "
                    f"look at {self._log} and at the last picture in {self._pictures}"
                )
            phase = phases[at] if at < len(phases) else Phase("done", DONE_LIMIT_US, "the last step of the set-up")
            waited_us = self._time.monotonic_us() - self._begun_us
            if waited_us > phase.limit_us * self._patience:
                raise SetupFailed(await self._late(phase, waited_us))
            await self._press(at)
            await self._time.pause(LOOK_EVERY_US)

    async def _off(self, seen: tuple[marks.Mark, ...]) -> tuple[marks.Mark, ...]:
        """Wait until Windows, which said that it is done, has switched the machine off."""
        self._begun_us = self._time.monotonic_us()
        while await self._running():
            if self._time.monotonic_us() - self._begun_us > OFF_LIMIT_US * self._patience:
                picture = await self._picture("limit-shutdown")
                raise SetupFailed(
                    f"expected Windows to shut down within {OFF_LIMIT_US * self._patience / MINUTE_US:g} minutes after "
                    f"its last step, saw the machine still running; look at {picture}"
                )
            await self._time.pause(LOOK_EVERY_US)
        self._say("Windows has shut down")
        return seen

    async def _running(self) -> bool:
        """Whether the machine runs. A host that does not answer is waited for, and no limit runs meanwhile."""
        running, away_us = await absence.ask(self._vm.running, self._time, self._say)
        self._begun_us += away_us
        self._keys_until_us += away_us
        return running

    async def _press(self, at: int) -> None:
        """Press a key until Setup runs. Never later: the key would start Setup from the medium once more."""
        if at == 0 and self._time.monotonic_us() < self._keys_until_us:
            with contextlib.suppress(HostAway):  # the next look at the machine waits for the host
                await asyncio.to_thread(self._vm.press_key, KEY)

    async def _notice(self, begun: list[str], seen: tuple[marks.Mark, ...]) -> None:
        if begun and begun[-1] != self._reached:
            self._reached, self._begun_us = begun[-1], self._time.monotonic_us()
            self._say(f"{self._reached} has begun")
            await self._picture(f"phase-{self._reached}")
        first = begun[0] if begun else ""
        for name in begun:
            times = len(_begun(seen, [name]))
            if times > MOST_RETURNS or (name == first == "windowspe" and times > 1):
                picture = await self._picture(f"loop-{name}")
                raise SetupFailed(
                    f"expected {name} to begin once, saw it {times} times: the machine restarts in a loop, or started "
                    f"from the medium again; look at {picture} and {self._log}"
                )

    async def _refuse(self, seen: tuple[marks.Mark, ...]) -> None:
        failed = next((mark for mark in seen if mark.kind == "failed"), None)
        if failed is not None:
            picture = await self._picture(f"failed-{failed.name}")
            raise SetupFailed(
                f"expected the step {failed.name} to succeed inside Windows, saw: {failed.text}; look at {picture} and "
                f"{self._log}"
            )

    async def _late(self, phase: Phase, waited_us: int) -> str:
        picture = await self._picture(f"limit-{phase.name}")
        return (
            f"expected {phase.name} to begin within {phase.limit_us * self._patience / MINUTE_US:g} minutes after "
            f"{self._reached or 'the start'}, saw nothing of it after {waited_us / MINUTE_US:.1f} ({phase.means}); "
            f"look at {picture} and {self._log}, then build again: finished steps are kept"
        )

    async def _picture(self, name: str) -> str:
        """Keep a picture under a running number; that there is none must never hide why it was wanted."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        number = len(list(self._pictures.glob("*.png"))) + 1
        path = self._pictures / f"{number:03d}-{re.sub(r'[^a-z0-9-]', '-', name.lower())}.png"
        try:
            content = await asyncio.to_thread(self._vm.screenshot)
        except Exception as error:  # noqa: BLE001 -- whatever the hypervisor says, the wait's own message matters more
            return f"no picture ({type(error).__name__}: {error})"
        path.write_bytes(content)
        return str(path)

    def _marks(self) -> tuple[marks.Mark, ...]:
        return _marks(self._log)


def _begun(seen: tuple[marks.Mark, ...], names: list[str]) -> list[marks.Mark]:
    return [mark for mark in seen if mark.kind == "phase" and mark.name in names]


def says_done(serial_log: Path) -> bool:
    """Whether Windows had said that it was done when this was written."""
    return any(mark.kind == "done" for mark in _marks(serial_log))


def _marks(serial_log: Path) -> tuple[marks.Mark, ...]:
    try:
        with serial_log.open("rb") as file:
            return marks.read(file.read(marks.MOST_BYTES))
    except FileNotFoundError:
        return ()
