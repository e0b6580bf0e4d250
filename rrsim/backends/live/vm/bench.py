"""The bench for ``--backend libvirt``: machines from a Wine-guest image, the chosen agent and server."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim import live_clock
from rrsim.backends.live import adapters
from rrsim.backends.live.mac import MacAgent, MacMachine
from rrsim.backends.live.runner import Bench
from rrsim.backends.live.state import state_home
from rrsim.backends.live.vm import accelerator, image, keep, machines, slots, turns
from rrsim.backends.live.vm.errors import VmError
from rrsim.backends.live.vm.guest_link import GuestLink
from rrsim.backends.live.vm.guest_pc import CAPABILITIES, RESOLUTION_US, RESTART_US, GuestPc
from rrsim.backends.live.vm.guest_power import PATIENCE
from rrsim.backends.live.vm.host import Host
from rrsim.backends.live.vm.pool import Pool
from rrsim.backends.live.vm.vm import Options
from rrsim.backends.live.wine.bench import BUNDLED, MAC
from rrsim.images import current, store
from rrsim.images.windows import expiry
from rrsim.machine.adapters import Progress
from rrsim.scenario.result import RunResult

DEFAULT_IMAGE: Final = "wine-guest"
DEFAULT_SCALE: Final = 5.0
"""Ten minutes of waiting become two, which is room for three restarts of an emulated machine."""
SERVER_NAME: Final = "session-server.rrsim.test"
"""The name by which guests reach this computer's loopback, and one of those in the bundled server's certificate."""

MORE_MACHINES: Final = f"more with --slots N or {slots.ENV_SLOTS}=N"


class NoGuestDaemon(VmError):
    """The image is not one whose machines runs can be played on; the text says what to try."""


class VmOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may be chosen for ``--backend libvirt``."""

    image: str = DEFAULT_IMAGE
    uri: str = ""
    """libvirt's connection URI; empty: this computer's."""
    accelerator: str = ""
    """``kvm`` or ``tcg``; empty: KVM if it is proved to work."""
    slots: int = 0
    """How many machines the host is to carry; 0: by its processors and memory."""
    cold: bool = False
    """Machines boot instead of starting from a kept state."""
    keep: keep.Keep = "never"
    pause: bool = False
    """Wait for the user after a case that did not pass, with its machines as they are."""


class VmBench(msgspec.Struct):
    """The bench and what it holds on the host."""

    bench: Bench
    fleet: machines.Fleet
    slots: int
    acceleration: accelerator.Acceleration

    async def close(self) -> None:
        """Let the host go."""
        await self.fleet.host.close()


async def make_bench(
    root: Path, options: VmOptions, scale: float = 0.0, agent: str = BUNDLED, server: str = BUNDLED,
    progress: Progress = lambda _: None, wait_for_user: Callable[[str], Awaitable[None]] | None = None,
) -> VmBench:
    """Prepare everything that runs share: the host, the image, the agent's build, and the state machines start from.

    Args:
        root: the command's folder.
        options: what was chosen.
        scale: how many times shorter waiting is; 0: :data:`DEFAULT_SCALE`.
        agent: name of the agent's adapter.
        server: name of the server's adapter.
        progress: hears what takes long.
        wait_for_user: shows a text and waits until the user wants to go on.

    Raises:
        VmError: libvirt, QEMU or the host are not as they should be, or the image is not fit.
        ImageError: the image is not built, or its evaluation of Windows is over.
        AdapterError: no such adapter.
        BuildError: the agent cannot be built.
    """
    agent_adapter = adapters.load(adapters.AGENTS, agent)
    adapters.load(adapters.SERVERS, server)
    host = await Host.open(options.uri, progress=progress)
    try:
        tunnels = await host.tunnels()
        if tunnels is not None:
            progress(f"guests on {host.info.name} reach the session server through ssh to {tunnels.ssh.host}")
        stored = _fit(options.image, await asyncio.to_thread(current.recipe_now, options.image), progress)
        pool = await Pool.open(host)
        loaded = image.load(stored.folder)
        chosen = await _acceleration(host, pool, loaded, options, progress)
        progress(f"machines run with {chosen.text()}")
        build = await agent_adapter.prepare(progress)
        fleet = machines.Fleet(
            host, pool, loaded, Options(accelerator=chosen.kind), root, options.slots, progress=progress
        )
        if not options.cold:
            fleet = await machines.with_ready_state(fleet, agent_adapter)
    except BaseException:
        await host.close()
        raise

    async def machine(name: str, folder: Path, observe: Callable[[Any], None]) -> GuestPc:
        return await machines.make(fleet, name, folder, observe)

    async def after_failure(there: list[Any], result: RunResult) -> None:
        if options.pause and wait_for_user is not None:
            looks = "\n".join(keep.commands(one.vm) for one in there if isinstance(one, GuestPc))
            await wait_for_user(f"{result.scenario.id} {result.outcome}; its machines are as they were:\n{looks}")

    def at_the_end(one: Any, result: RunResult) -> None:
        if isinstance(one, GuestPc) and _is_kept(one, options.keep, result):
            one.keep_with(lambda told: progress(f"{result.scenario.id}: {told}"))

    carried = slots.count(host.info, loaded.built.description.hardware.memory_mib, options.slots)
    made = Bench(
        backend="libvirt", agent=agent_adapter, server=lambda: adapters.load(adapters.SERVERS, server), machine=machine,
        capabilities=CAPABILITIES - frozenset(loaded.built.description.lacks), resolution_us=RESOLUTION_US,
        restart_us=RESTART_US, root=root, scale=scale or DEFAULT_SCALE, build=build,
        versions=(
            f"libvirt {host.info.libvirt}, QEMU {host.info.hypervisor}, {chosen.text()}",
            f"image {options.image}, {stored.built.digest}",
        ),
        mac=(MacAgent(), MacMachine.create) if agent == server == BUNDLED else None, mac_capabilities=MAC,
        link=functools.partial(GuestLink, tunnels=tunnels), server_name=SERVER_NAME, patience=PATIENCE,
        after_failure=after_failure, at_the_end=at_the_end, most_machines=carried, more_machines=MORE_MACHINES,
        turn=lambda needed: turns.turn(host, needed, carried, progress), called=_called,
    )
    return VmBench(made, fleet, carried, chosen)


def _is_kept(one: GuestPc, choice: keep.Keep, result: RunResult) -> bool:
    """Whether a case's machine is kept. One that was never switched on for the case has nothing to show."""
    was_on = bool(one.boot) or one.phase != "off"
    return was_on and keep.wanted(choice, failed=result.outcome not in ("passed", "skipped"))


def _called(one: Any) -> str:
    return f"{one.name} ({one.vm.name} on {one.vm.host.info.name})" if isinstance(one, GuestPc) else str(one.name)


def _fit(name: str, recipe: str, progress: Progress) -> store.Stored:
    """Return the image of this name, if runs can be played on it today: of ``recipe`` as it is now, else the newest."""
    stored = current.find(name, recipe)
    differs = current.changed(stored.built, recipe)
    if differs:
        progress(
            f"the image {name} ({stored.built.digest[:12]}) is used as it was built on {stored.built.made[:10]}; since "
            f"then another: {differs}; build it anew: rrsim image build {name}"
        )
    ends_soon = expiry.require_usable(stored.built, live_clock.wall_time().date())
    if ends_soon:
        progress(ends_soon)
    if stored.built.description.windows != "wine":
        raise NoGuestDaemon(
            f"the image {name} has Microsoft's Windows: no driver of this version plays scenarios there; "
            f"try --image {DEFAULT_IMAGE}"
        )
    return stored


async def _acceleration(
    host: Host, pool: Pool, loaded: image.Image, options: VmOptions, progress: Progress
) -> accelerator.Acceleration:
    async def probe() -> str:
        return await accelerator.in_a_slot(host, pool, loaded, wanted_slots=options.slots, progress=progress)

    memory = state_home() / accelerator.MEMORY
    return await accelerator.choose(host, options.accelerator, probe=probe, memory=memory, progress=progress)
