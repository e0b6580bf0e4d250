"""Machines that are kept after a run, to be looked at: their lease runs long, and the commands to look are given.

A kept machine holds its slot. One slot of the host always stays free for what is still to be played: the machine that
would take the last one is removed like any other, and that is said.
"""

from __future__ import annotations

import shlex
from typing import Final, Literal, get_args

from rrsim.backends.live.vm import lease, slots, undo
from rrsim.backends.live.vm.vm import Vm

Keep = Literal["never", "failed", "always"]
KEPT_S: Final = 24 * 3600
"""How long a kept machine stays before ``rrsim reap`` may remove it."""


def chosen(text: str) -> Keep:
    """Return the value of ``--keep-vm``.

    Raises:
        ValueError: it is none of them.
    """
    for one in get_args(Keep):
        if text == one:
            return one  # type: ignore[no-any-return]  # -- the arguments of the literal are its values
    raise ValueError(f"expected --keep-vm to be one of {', '.join(get_args(Keep))}, saw {text!r}")


def wanted(keep: Keep, *, failed: bool) -> bool:
    """Whether a machine is kept after a case that did or did not fail."""
    return keep == "always" or (keep == "failed" and failed)


async def keep_machine(vm: Vm, for_s: int = KEPT_S) -> str:
    """Leave a machine as it is, with a long lease of its own, unless it has the last slot; it is removed then.

    Returns:
        What to tell the user.

    Raises:
        LeaseLost: the slot was taken before.
    """
    async with lease.lock(vm.host, "keep"):  # two that end at once would both see a slot free
        others = await slots.kept(vm.host, vm.slot.of_slots)
        fits = not vm.slot.of_slots or len(others) + 1 < vm.slot.of_slots
        if fits:
            await vm.slot.stop()
            await vm.slot.renew(for_s, kept=True)
    if not fits:
        await undo.through(vm.remove())
        there = f"machines are kept in {', '.join(others)}, and " if others else ""
        return (
            f"{vm.name} is not kept: {there}the last of {vm.slot.of_slots} slots on {vm.host.info.name} stays free for "
            "other cases; screen and logs are in the case's bundle. To keep it: more --slots, rrsim reap --kept, or "
            "--pause-on-failure"
        )
    await vm.close()
    return (
        f"{vm.name} is kept for {for_s // 3600} h on {vm.host.info.name} and holds a slot.\n{commands(vm)}\n"
        "  remove it now:   rrsim reap --kept"
    )


def commands(vm: Vm) -> str:
    """Return the commands that look inside a machine, a line each."""
    virsh = f"virsh -c {shlex.quote(vm.host.uri)}"
    lines = (
        ("its screen", f"{virsh} screenshot {vm.name} {vm.name}.png"),
        ("screen, live", f"{virsh} domdisplay --type vnc {vm.name}   (a socket on {vm.host.info.name}, for a viewer)"),
        ("serial console", f"{virsh} console {vm.name} --force   (leave with Ctrl-])"),
        ("console log", f"{virsh} vol-download --pool {vm.pool.name} {vm.volume('console.log')} /dev/stdout"),
        ("go on, halt", f"{virsh} resume {vm.name}; {virsh} suspend {vm.name}"),
    )
    return "\n".join(f"  {what + ':':16} {command}" for what, command in lines)
