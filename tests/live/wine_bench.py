"""A Wine machine under test, with everything that was observed of it, and test programs that run on it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.wine import WineMachine, parts
from rrsim.machine import observations as seen
from rrsim.machine.desktop import DesktopWindow

LIMIT_S = 20


class Bench:
    """A machine and everything that was observed of it."""

    def __init__(self) -> None:
        self.observed: list[seen.AnyObservation] = []
        self.machine: WineMachine
        self.programs: Path

    def phases(self) -> list[str]:
        return [what.phase for what in self.observed if isinstance(what, seen.PhaseBegan)]

    def kinds(self, *kinds: type[seen.AnyObservation]) -> list[seen.AnyObservation]:
        return [what for what in self.observed if isinstance(what, kinds)]

    async def cmd(self, line: str) -> str:
        """Run a line of the command interpreter that must succeed."""
        code, printed = await self.machine.run(["cmd", "/c", *line.split(" ")])
        assert code == 0, (line, code, printed)
        return printed

    def give(self, name: str) -> None:
        """Put a test program into the machine."""
        shutil.copy2(self.programs / name, self.machine.drive_c / name)

    def read(self, name: str) -> str:
        path = self.machine.drive_c / name
        return path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n") if path.exists() else ""

    async def window(self, wanted: Callable[[DesktopWindow], bool], *, gone: bool = False) -> DesktopWindow | None:
        """Wait until the eyes report such a window, or that there is none any more."""
        def first(there: tuple[DesktopWindow, ...]) -> DesktopWindow | None:
            return next((one for one in there if wanted(one)), None)

        return first(await self.machine.wait_windows(
            lambda there: (first(there) is None) == gone, what="a window of the test", limit_s=LIMIT_S
        ))

    async def shown(self, exe: str) -> DesktopWindow:
        found = await self.window(lambda one: one.exe == exe and bool(one.controls))
        assert found is not None
        return found


@asynccontextmanager
async def bench(root: Path, programs: Path, *, on: bool = True) -> AsyncIterator[Bench]:
    made = Bench()
    made.programs = programs
    made.machine = await WineMachine.create("pc", root, made.observed.append)
    try:
        if on:
            await made.machine.power_on()
        yield made
    finally:
        await made.machine.close()


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test programs, built."""
    into = tmp_path_factory.mktemp("programs")
    sources = Path(__file__).with_name("c")
    for name, *more in (("probe_service",), ("probe_window", "-mwindows"), ("probe_power",), ("probe_flush",)):
        subprocess.run([parts.COMPILER, "-O2", *more, "-o", into / f"{name}.exe", sources / f"{name}.c"], check=True)
    return into


Play = Callable[[Callable[[Bench], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(tmp_path: Path, programs: Path) -> Play:
    """Play one story on a machine that is switched on."""

    def run(story: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            async with bench(tmp_path / "machines", programs) as made:
                await story(made)

        asyncio.run(whole())
        assert list((tmp_path / "machines").iterdir()) == [], "a closed machine leaves nothing"

    return run
