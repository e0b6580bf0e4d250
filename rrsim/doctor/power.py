"""Memory and processors, and how many virtual machines at a time that makes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from rrsim.doctor.finding import Seen
from rrsim.doctor.trial import Place

EMULATOR_MIB: Final = 128
"""What a machine costs beside the memory of its guest."""
USUAL_MACHINE_MIB: Final = 1024
"""Where no image says how much memory its machine has."""
PROC: Final = Path("/proc/meminfo")
CGROUP: Final = Path("/sys/fs/cgroup")


class Memory(msgspec.Struct, frozen=True):
    """The host's memory, or the container's if that is less, in MiB."""

    total_mib: int
    available_mib: int


def memory(meminfo: Path = PROC, cgroup: Path = CGROUP) -> Memory:
    """Return how much memory there is, and how much of it is to be had now.

    Raises:
        ValueError: the host does not say.
    """
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
        total, left = (int(rows[name].split()[0]) // 1024 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{meminfo} does not say how much memory there is: {error!r}") from error
    try:
        most = int((cgroup / "memory.max").read_text(encoding="ascii")) // 2**20
        used = int((cgroup / "memory.current").read_text(encoding="ascii")) // 2**20
    except (OSError, ValueError):  # no limits here, or the word "max"
        return Memory(total, left)
    return Memory(min(total, most), max(0, min(left, most - used)))


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slots(total_mib: int, cores: int, machine_mib: int) -> int:
    """Return how many machines of this memory a run would have at a time, by the rule of virtual-machine runs."""
    from rrsim.backends.live.vm.slots import MEMORY_SHARE

    return max(1, min(cores, int(total_mib * MEMORY_SHARE) // machine_mib))


def machine_mib(images: Path) -> int:
    """Return the memory of the smallest machine that is described under ``vm_images/``, in MiB."""
    from rrsim.images.description import Description

    sizes = []
    for path in sorted(images.glob("*/image.toml")):
        try:
            sizes.append(msgspec.toml.decode(path.read_bytes(), type=Description).hardware.memory_mib)
        except (OSError, msgspec.MsgspecError):  # said by whoever reads the recipe for its own sake
            continue
    return min(sizes, default=USUAL_MACHINE_MIB)


def look(place: Place, there: Memory | None = None, cores: int | None = None) -> Seen:
    """Count memory, processors, and the virtual machines that run at a time."""
    try:
        there = there or memory()
    except ValueError as error:
        return Seen("broken", str(error), "run rrsim on Linux with /proc mounted")
    cores = cores or processors()
    each = machine_mib(place.images)
    count = slots(there.total_mib, cores, each)
    fit = there.available_mib // (each + EMULATOR_MIB)
    seen = (f"{there.available_mib} of {there.total_mib} MiB free, {cores} processors: "
            f"{count} machines of {each} MiB at a time")
    if not fit:
        return Seen("broken", f"{seen}, and not one fits in what is free",
                    f"free memory: a machine takes {each + EMULATOR_MIB} MiB")
    if fit < count:
        return Seen("ok", f"{seen}, of which {fit} fit in what is free; --jobs {fit} keeps to that")
    return Seen("ok", seen)
