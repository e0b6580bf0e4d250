"""How a host runs machines with Microsoft's Windows: KVM, if it is proved by the same trial as for runs.

A Windows image has no kernel that could be booted alone. The Wine guest has one, so that is what is tried, where it is
built; what a run has found out before on this host counts too. Where there is neither, nothing is proved, and that is
said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from rrsim.backends.live.state import state_home
from rrsim.backends.live.vm import accelerator, image
from rrsim.backends.live.vm.errors import ImageCorrupt, ImageMissing
from rrsim.backends.live.vm.host import Host, Progress
from rrsim.backends.live.vm.pool import Pool
from rrsim.images import store
from rrsim.images.errors import ImageError

TRIED_WITH: Final = "wine-guest"
"""The image whose kernel is booted."""


class _NoKernel(Exception):
    """There is nothing to try KVM with."""


async def choose(
    host: Host, forced: str = "", *, progress: Progress | None = None, cpuinfo: Path = Path("/proc/cpuinfo")
) -> accelerator.Acceleration:
    """Return how machines are run on a host; its words say so if that is not proved.

    Args:
        host: where.
        forced: ``kvm`` or ``tcg``, if the user decides.
        progress: hears that KVM is tried, or who keeps it waiting.
        cpuinfo: what a local host's processor can do.

    Raises:
        ValueError: ``forced`` is neither.
        NoFreeSlot: other runs kept every slot of the host busy.
    """
    async def probe() -> str:
        return await _tried(host, progress)

    memory = state_home() / accelerator.MEMORY
    try:
        return await accelerator.choose(host, forced, probe=probe, cpuinfo=cpuinfo, memory=memory)
    except _NoKernel:
        assumed = await accelerator.choose(host, forced, cpuinfo=cpuinfo)
        way = f"not proved: {assumed.why}; rrsim image build {TRIED_WITH} makes one"
        return msgspec.structs.replace(assumed, why=way, proved=False)


async def _tried(host: Host, progress: Progress | None) -> str:
    try:
        kernel = image.load(store.find(TRIED_WITH).folder)
    except (ImageError, ImageMissing, ImageCorrupt) as error:
        raise _NoKernel from error
    if progress is not None:
        progress(f"trying KVM on {host.info.name} once, with the kernel of the image {TRIED_WITH}")
    pool = await Pool.open(host)
    return await accelerator.in_a_slot(host, pool, kernel, progress=progress)
