"""Pointer and keyboard of a virtual machine, through the hypervisor: what a person at the PC would do, no more.

Keys go through QEMU's ordered input events, not libvirt's ``sendKey``: there, keys of one call may arrive in any order.
"""

from __future__ import annotations

from typing import Final, Literal

from rrsim.backends.live.timers import pause
from rrsim.backends.live.vm import keyboard
from rrsim.backends.live.vm.vm import Vm

Button = Literal["left", "middle", "right"]
RANGE: Final = 32_767
"""QEMU's largest absolute coordinate."""
HOLD_US: Final = 60_000
"""How long a key or button is held: a guest under emulation looks at its keyboard seldom."""
GAP_US: Final = 30_000


async def pointer_to(vm: Vm, x: int, y: int, size: tuple[int, int] | None = None) -> None:
    """Move the pointer to a pixel. ``size`` is the screen's, if known.

    Raises:
        ValueError: the place is outside the screen.
    """
    width, height = size or await vm.screen_size()
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"{vm.name}: ({x}, {y}) is outside the screen of {width} by {height} pixels")
    await _send(vm, *_moves(x, y, width, height))


async def click(
    vm: Vm, x: int, y: int, button: Button = "left", size: tuple[int, int] | None = None
) -> None:
    """Move the pointer to a pixel, then press and release a button there."""
    await pointer_to(vm, x, y, size)
    await pause(GAP_US)
    await _send(vm, _button(button, down=True))
    await pause(HOLD_US)
    await _send(vm, _button(button, down=False))


async def press_key(vm: Vm, *names: str) -> None:
    """Press keys together, the first one first, and release them in reverse: ``press_key(vm, "ctrl", "alt",
    "delete")``. Names are QEMU's or those of :data:`keyboard.NAMES`.

    Raises:
        VmError: QEMU knows no such key.
    """
    keys = [keyboard.key(name) for name in names]
    await _send(vm, *(_key(key, down=True) for key in keys))
    await pause(HOLD_US)
    await _send(vm, *(_key(key, down=False) for key in reversed(keys)))


async def type_text(vm: Vm, text: str, layout: str = "") -> None:
    """Type a text, a character at a time, on the layout the guest has (the image's, unless another is named).

    Raises:
        KeyUnknown: the layout lacks a character; nothing was typed.
    """
    strokes = keyboard.strokes(text, layout or vm.image.built.description.keyboard)
    for key, held in strokes:
        await press_key(vm, *held, key)
        await pause(GAP_US)


def _moves(x: int, y: int, width: int, height: int) -> tuple[dict[str, object], ...]:
    """The pixel's middle, in QEMU's range."""
    return tuple(
        {"type": "abs", "data": {"axis": axis, "value": round((place + 0.5) * RANGE / extent)}}
        for axis, place, extent in (("x", x, width), ("y", y, height))
    )


def _button(button: Button, *, down: bool) -> dict[str, object]:
    return {"type": "btn", "data": {"button": button, "down": down}}


def _key(key: str, *, down: bool) -> dict[str, object]:
    return {"type": "key", "data": {"key": {"type": "qcode", "data": key}, "down": down}}


async def _send(vm: Vm, *events: dict[str, object]) -> None:
    await vm.monitor("input-send-event", events=list(events))
