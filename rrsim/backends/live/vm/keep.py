"""Machines that are kept after a run, to be looked at: their lease runs long, and the commands to look are given."""

from __future__ import annotations

import shlex
from typing import Final, Literal, get_args

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
    """Leave a machine as it is, with a long lease of its own, and return what to tell the user.

    Raises:
        LeaseLost: the slot was taken before.
    """
    await vm.slot.stop()
    await vm.slot.renew(for_s, kept=True)
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
