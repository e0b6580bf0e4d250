"""What was chosen for virtual machines on the command line, checked."""

from __future__ import annotations

from typing import Any, Final

from rrsim.cli.errors import CommandError

KEEP: Final = ("never", "failed", "always")
ACCELERATORS: Final = ("kvm", "tcg")


def vm_options(
    image: str = "", uri: str = "", accelerator: str = "", slots: int = 0, keep_vm: str = "", *, cold: bool = False,
    pause: bool = False,
) -> dict[str, Any]:
    """Return the choices that differ from the ordinary, by field of ``rrsim.backends.live.vm.bench.VmOptions``.

    Raises:
        CommandError: a word that is none of those there are.
    """
    if keep_vm and keep_vm not in KEEP:
        raise CommandError(f"--keep-vm with one of {', '.join(KEEP)}", repr(keep_vm), "--keep-vm failed")
    if accelerator and accelerator not in ACCELERATORS:
        raise CommandError(f"--accelerator {' or '.join(ACCELERATORS)}", repr(accelerator), "--accelerator tcg")
    chosen = {
        "image": image, "uri": uri, "accelerator": accelerator, "slots": slots, "keep": keep_vm, "cold": cold,
        "pause": pause,
    }
    return {name: value for name, value in chosen.items() if value}
