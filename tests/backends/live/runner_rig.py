"""A bench whose machines and server are not there: what the runner does around a run, without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rrsim.backends.live import runner
from rrsim.machine.adapters import Address, Entry
from rrsim.scenario import actions
from rrsim.scenario.api import scenario
from rrsim.scenario.model import Scenario

BROKEN = "power_on: it is made of cardboard"
"""What every run on such machines ends with, once it has them all."""


class Server:
    """A session server that only starts and ends."""

    name, observes, scales, lacks = "cardboard", frozenset({"server"}), True, frozenset[Any]()

    def __init__(self) -> None:
        self.ends: Callable[[], Awaitable[None]] | None = None

    def secrets(self) -> tuple[str, ...]:
        return ()

    def unsupported(self, kind: Any, account: Any) -> str:
        return ""

    async def start(self, folder: str) -> Address:
        return Address("localhost", 1, "")

    async def entries(self) -> AsyncIterator[Entry]:
        for entry in ():
            yield entry

    async def close(self) -> None:
        if self.ends is not None:
            await self.ends()

    def evidence(self) -> dict[str, bytes]:
        return {}


class Machine:
    """A machine that cannot be switched on; ``ends`` is what happens when it is closed."""

    phase, patience, stand_ins, unobserved = "off", 1.0, (), ()

    def __init__(self, name: str, ends: Callable[[], Awaitable[None]] | None = None) -> None:
        self.name, self.ends = name, ends

    def when_failed(self, hear: Any) -> None: ...

    async def power_on(self) -> None:
        raise RuntimeError(BROKEN)

    async def fetch(self) -> None: ...

    def screenshot(self) -> bytes:
        return b""

    def log(self) -> bytes:
        return b""

    async def close(self) -> None:
        if self.ends is not None:
            await self.ends()


def bench(machine: Callable[..., Awaitable[Any]], **more: Any) -> runner.Bench:
    """A bench with these machines; ``more`` are fields of it."""
    agent: Any = SimpleNamespace(
        name="cardboard", modes=("service", "application"), observes=frozenset(), lacks=frozenset(), executables=(),
        secrets=tuple, logs=lambda _: "",
    )
    values: dict[str, Any] = {
        "backend": "wine", "agent": agent, "server": Server, "machine": machine, "resolution_us": 1, "restart_us": 1,
        "capabilities": frozenset({"several customers"}), "root": Path(), "scale": 1.0,
    }
    return runner.Bench(**{**values, **more})


def case(customers: int = 1, name: str = "a-case") -> Scenario:
    """A case of so many customers."""
    return scenario(name).given(customers=customers).do(actions.RepRestarts()).scenario
