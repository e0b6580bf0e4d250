"""The configuration of the X server: its devices are named here, as nothing in the guest looks for them."""

from __future__ import annotations

import re
from typing import Final

HEAD: Final = """\
Section "ServerFlags"
    Option "AutoAddDevices" "false"
    Option "AutoEnableDevices" "false"
    Option "AutoAddGPU" "false"
    Option "DontVTSwitch" "true"
    Option "DontZap" "true"
    Option "BlankTime" "0"
    Option "StandbyTime" "0"
    Option "SuspendTime" "0"
    Option "OffTime" "0"
EndSection
Section "Extensions"
    Option "GLX" "Disable"
EndSection
Section "Device"
    Identifier "card"
    Driver "modesetting"
    Option "kmsdev" "/dev/dri/card0"
    Option "AccelMethod" "none"
    Option "ShadowFB" "true"
    Option "SWcursor" "true"
EndSection
Section "Monitor"
    Identifier "monitor"
    Option "DPMS" "false"
EndSection
Section "Screen"
    Identifier "screen"
    Device "card"
    Monitor "monitor"
    DefaultDepth 24
    SubSection "Display"
        Depth 24
        Modes "{wide}x{high}"
    EndSubSection
EndSection
"""
DEVICE: Final = """\
Section "InputDevice"
    Identifier "{name}"
    Driver "evdev"
    Option "Device" "/dev/input/{event}"
{more}EndSection
"""


def inputs(listing: str) -> tuple[list[str], list[str]]:
    """Return the event devices of keyboards and of pointers, from ``/proc/bus/input/devices``."""
    keyboards, pointers = [], []
    for block in listing.split("\n\n"):
        handlers = re.search(r"^H: Handlers=(.*)$", block, re.MULTILINE)
        event = re.search(r"\bevent\d+\b", handlers[1]) if handlers else None
        if handlers is None or event is None:
            continue
        words = handlers[1].split()
        if any(word.startswith("mouse") for word in words):
            pointers.append(event[0])
        elif ("kbd" in words and "leds" in words) or "keyboard" in block.lower():
            keyboards.append(event[0])
    return keyboards, pointers


def config(listing: str, size: tuple[int, int], layout: str) -> str:
    """Return the X server's configuration for these devices, a screen size and a keyboard layout."""
    keyboards, pointers = inputs(listing)
    parts, uses = [HEAD.format(wide=size[0], high=size[1])], []
    for number, event in enumerate(keyboards):
        more = f'    Option "XkbRules" "evdev"\n    Option "XkbLayout" "{layout}"\n'
        parts.append(DEVICE.format(name=f"keyboard{number}", event=event, more=more))
        uses.append(f'    InputDevice "keyboard{number}" "{"CoreKeyboard" if number == 0 else "SendCoreEvents"}"\n')
    for number, event in enumerate(pointers):
        parts.append(DEVICE.format(name=f"pointer{number}", event=event, more=""))
        uses.append(f'    InputDevice "pointer{number}" "{"CorePointer" if number == 0 else "SendCoreEvents"}"\n')
    layout_part = f'Section "ServerLayout"\n    Identifier "all"\n    Screen "screen"\n{"".join(uses)}EndSection\n'
    return "".join([*parts, layout_part])
