"""What rrsim costs a virtual machine, and what a kept state saves: figures side by side, in one run, of one guest.

The same machine is reset by turns through rrsim, with everything that watches a run, and with plain ``virsh reset``,
while one bare listener waits for the welcome screen; and it comes up by turns cold and from its kept state.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from rrsim.backends.live.vm import machines
from rrsim.backends.live.vm.bench import VmBench, VmOptions, make_bench
from rrsim.backends.live.vm.errors import VmError
from rrsim.backends.live.vm.guest_port import GuestPort
from rrsim.cli.bench import Figure
from rrsim.cli.errors import environment_error, say
from rrsim.images.errors import ImageError
from rrsim.live_clock import monotonic_us

ROUNDS: Final = 3
OVERHEAD_FLOOR: Final = 1.10
RESTORE_FLOOR: Final = 5.0
WELCOME_LIMIT_S: Final = 240.0


def measure() -> Iterator[Figure]:
    """Yield the figures one by one, as they are measured.

    Raises:
        CommandError: there is no host, no image, or a machine did not come up.
    """
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        figures = _figures(Path(folder))
        try:
            while True:
                yield runner.run(_next(figures))
        except StopAsyncIteration:
            return
        except VmError as error:
            raise environment_error("virtual machines that work", str(error), "rrsim doctor --for vm") from error
        except ImageError as error:
            raise environment_error(error.expected, error.saw, error.try_) from error
        finally:
            runner.run(figures.aclose())


async def _next(figures: AsyncIterator[Figure]) -> Figure:
    return await anext(figures)


async def _figures(folder: Path) -> Any:
    made = await make_bench(folder, VmOptions(), progress=say)
    try:
        cold_s, kept_s = await _coming_up(made, folder)
        yield Figure(name="boot to the welcome screen", value=cold_s, unit="s", note=made.acceleration.text())
        yield Figure(
            name="kept state to the welcome screen", value=kept_s, unit="s", ratio=kept_s / cold_s, against="the boot"
        )
        yield Figure(
            name="a kept state is faster by", value=cold_s / kept_s, unit="times", floor=RESTORE_FLOOR, better="higher"
        )
        rrsim_s, plain_s = await _resets(made, folder)
        yield Figure(name="restart cycle with plain virsh", value=plain_s, unit="s")
        yield Figure(name="restart cycle under rrsim", value=rrsim_s, unit="s")
        yield Figure(
            name="restart cycle, rrsim to virsh", value=rrsim_s / plain_s, unit="times", floor=OVERHEAD_FLOOR,
            ratio=rrsim_s / plain_s, against="virsh reset, same guest, same run",
        )
    finally:
        await made.close()


async def _coming_up(made: VmBench, folder: Path) -> tuple[float, float]:
    """Bring a machine up cold and from the kept state by turns; return the medians, in seconds."""
    import msgspec

    cold = msgspec.structs.replace(made.fleet, ready=None, laid_in=machines.NOTHING)
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS):
        for kept, fleet in ((False, cold), (True, made.fleet)):
            began_us = monotonic_us()
            pc = await machines.make(fleet, f"up-{number}", folder, lambda _: None)
            try:
                await pc.power_on()
                took[kept].append((monotonic_us() - began_us) / 1e6)
            finally:
                await pc.close()
    return statistics.median(took[False]), statistics.median(took[True])


async def _resets(made: VmBench, folder: Path) -> tuple[float, float]:
    """Reset one machine by turns through rrsim and by virsh; return the medians, in seconds."""
    under, plain = [], []
    for _ in range(ROUNDS):
        pc = await machines.make(made.fleet, "resets", folder, lambda _: None)
        try:
            await pc.power_on()
            boot, began_us = pc.boot, monotonic_us()
            await pc.reset()
            await pc.wait_phase("welcome", not_boot=boot)
            under.append((monotonic_us() - began_us) / 1e6)
            mark = pc.site_of_guest.port.boot_id
            await pc.site_of_guest.let_go()
            plain.append(await _by_virsh(pc.vm, mark))
        finally:
            await pc.vm.remove()
    return statistics.median(under), statistics.median(plain)


async def _by_virsh(vm: Any, mark: str) -> float:
    """Reset a machine that nobody watches with virsh, and wait for its welcome screen; return how long that took."""
    welcome = asyncio.Event()
    began_us = monotonic_us()
    process = await asyncio.create_subprocess_exec(
        "virsh", "-c", vm.host.uri, "reset", vm.name, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise VmError(f"virsh reset {vm.name}: exit code {process.returncode}; is libvirt-clients installed?")
    port = GuestPort(await vm.open_channel())
    try:
        await port.hello(not_boot=mark, limit_s=WELCOME_LIMIT_S)
        await port.open_line(
            "signin", "the sign-in helper", lambda line: welcome.set() if line.get("event") == "welcome" else None
        )
        async with asyncio.timeout(WELCOME_LIMIT_S):
            await welcome.wait()
        return (monotonic_us() - began_us) / 1e6
    finally:
        await port.close()
