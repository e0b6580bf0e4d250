"""The way of a virtual machine to the server, with a played machine: what fails later than its cause is not lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rrsim.backends.live.vm import guest_link
from rrsim.backends.live.vm.errors import GuestStopped, VmError
from rrsim.backends.live.vm.guest_link import GuestLink
from rrsim.machine import observations as seen
from rrsim.scenario import actions
from rrsim.scenario.linkdraws import DRAWS
from rrsim.scenario.model import PcSetup
from rrsim.scenario.streams import Streams


class Machine:
    """A machine that does what a link asks, or fails at it."""

    def __init__(self) -> None:
        self.phase = "desktop"
        self.done: list[str] = []
        self.problem: Exception | None = None

    async def _do(self, what: str) -> None:
        self.done.append(what)
        if self.problem is not None:
            raise self.problem

    async def set_cable(self, plugged: bool) -> None:
        await self._do(f"cable {'in' if plugged else 'out'}")

    async def dial(self, number: str) -> None:
        await self._do(f"dial {number}")

    async def hang_up(self) -> None:
        await self._do("hang up")

    async def open_modem_port(self) -> Any:
        await self._do("modem port")
        return _SilentPort()


class _SilentPort:
    async def read(self, n: int) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def close(self) -> None:
        """Nothing to do."""


def _link(network: Any) -> tuple[GuestLink, list[BaseException]]:
    streams = Streams(1, dict.fromkeys(DRAWS, 1_000), 1, DRAWS)
    link = GuestLink(PcSetup(network=network), 1.0, streams, lambda _: None, lambda: ("127.0.0.1", 9))
    failures: list[BaseException] = []
    link.on_failed = failures.append
    return link, failures


async def _settled(link: GuestLink) -> None:
    while link._tasks:
        await asyncio.wait(list(link._tasks))
        await asyncio.sleep(0)  # the tasks' own call-backs run after the wait's


def test_the_cable_is_pulled_at_the_machine_and_plugged_in_again() -> None:
    async def story() -> None:
        link, failures = _link("lan")
        await link.start()
        machine = Machine()
        await link.attach(machine)
        link.do(actions.CablePulled())
        link.do(actions.CablePlugged())
        await _settled(link)
        assert machine.done == ["cable out", "cable in"]
        assert failures == []
        await link.close()

    asyncio.run(story())


def test_a_cable_that_cannot_be_moved_ends_the_run() -> None:
    async def story() -> None:
        link, failures = _link("lan")
        await link.start()
        machine = Machine()
        machine.problem = GuestStopped("the guest crashed")
        await link.attach(machine)
        link.do(actions.CablePulled())
        await _settled(link)
        assert failures == [machine.problem]
        await link.close()

    asyncio.run(story())


@pytest.mark.parametrize(("phase", "told"), [("off", False), ("loading", True)])
def test_a_modem_port_that_cannot_be_had_matters_only_while_the_machine_is_on(phase: str, told: bool) -> None:
    async def story() -> None:
        link, failures = _link("dial-up")
        await link.start()
        machine = Machine()
        link._connected.set()  # the first call is not what this is about
        await link.attach(machine)
        assert machine.done == ["cable out", "modem port", f"dial {guest_link.NUMBER}"]
        machine.problem, machine.phase = VmError("no such port"), phase
        link.pc_shows(seen.BootBegan("boot-2", False, "power"))
        await _settled(link)
        assert failures == ([machine.problem] if told else [])
        await link.close()

    asyncio.run(story())


def test_a_provider_that_fails_ends_the_run_whenever_that_is() -> None:
    async def story() -> None:
        link, failures = _link("dial-up")
        await link.start()
        link._connected.set()
        await link.attach(Machine())
        assert link._telephone is not None
        gone = FileNotFoundError("slirp is not installed")
        link._telephone._fail(gone)
        assert failures == [gone]
        await link.close()

    asyncio.run(story())
