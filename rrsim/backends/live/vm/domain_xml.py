"""From an image's description and one run's values to libvirt's domain XML. Pure: no file, no libvirt.

The guest reaches the host's loopback as 10.0.2.2 through a user-mode network card, which works without privileges and
for remote hosts. A second card for remote shells, where wanted, lies in 10.0.3.0/24, so that pulling the cable of the
first leaves it alone.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

import msgspec

from rrsim.images.description import AGENT_PORT, GUEST_PORT, Accelerator, Built, Hardware

MARK_URI: Final = "https://rrsim.example/ns/lease/1"
"""XML namespace of what rrsim keeps in a domain's metadata."""
MARK_KEY: Final = "rrsim"
"""Prefix under which libvirt keeps that element."""
NETWORK_CARD: Final = "ua-net-main"
MANAGEMENT_CARD: Final = "ua-net-management"
CONSOLE: Final = "serial0"
MODEM: Final = "serial1"
MANAGEMENT_NETWORK: Final = "10.0.3.0"

ElementTree.register_namespace(MARK_KEY, MARK_URI)


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What one run adds to an image. Paths are the host's."""

    name: str
    uuid: str
    accelerator: Accelerator
    disk: str
    """The overlay, in qcow2 format."""
    console_log: str
    mac: str
    kernel: str = ""
    """Kernel to start directly; empty: the disk is booted."""
    initrd: str = ""
    nvram: str = ""
    """UEFI's variables; needed with firmware ``uefi``."""
    management_mac: str = ""
    """A second network card for remote shells; empty: none."""
    hyperv: bool = False
    """Offer Hyper-V's interfaces to Windows. Never under emulation, which refuses them."""
    domain_type: str = ""
    """libvirt's type where it is not the accelerator's: ``test``."""


def domain_xml(built: Built, values: Values, mark: str) -> str:
    """Return the XML of one machine. ``mark`` is the lease, an XML element in :data:`MARK_URI`.

    Raises:
        ValueError: a value that the image's hardware needs is missing.
    """
    hardware = built.description.hardware
    if hardware.firmware == "uefi" and not values.nvram:
        raise ValueError(f"{values.name}: an image with UEFI needs a file for its variables (nvram)")
    root = ElementTree.Element("domain", type=values.domain_type or _type(values.accelerator))
    _text(root, "name", values.name)
    _text(root, "uuid", values.uuid)
    _text(root, "title", f"rrsim: {built.description.title}")
    ElementTree.SubElement(root, "metadata").append(ElementTree.fromstring(mark))  # noqa: S314 -- made by rrsim
    _text(root, "memory", str(hardware.memory_mib), unit="MiB")
    _text(root, "vcpu", str(hardware.processors))
    _os(root, built, values)
    _features(root, hardware, values)
    _processor(root, hardware, values)
    _clock(root, hardware)
    for name, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(root, name, action)
    _devices(root, built, values)
    return ElementTree.tostring(root, encoding="unicode")


def placeholder_xml(name: str, uuid: str, mark: str, domain_type: str = "qemu") -> str:
    """Return the XML of a domain that is never started: it holds a name on the host, and a lease."""
    root = ElementTree.Element("domain", type=domain_type)
    _text(root, "name", name)
    _text(root, "uuid", uuid)
    ElementTree.SubElement(root, "metadata").append(ElementTree.fromstring(mark))  # noqa: S314 -- made by rrsim
    _text(root, "memory", "1", unit="MiB")
    os = ElementTree.SubElement(root, "os")
    _text(os, "type", "hvm", arch="x86_64")
    return ElementTree.tostring(root, encoding="unicode")


def link_xml(live_xml: str, card: str, *, up: bool) -> str:
    """Return the element that pulls or plugs the cable of a card of a running machine.

    Raises:
        ValueError: the machine has no such card.
    """
    for interface in ElementTree.fromstring(live_xml).iterfind("devices/interface"):  # noqa: S314 -- libvirt's own
        alias = interface.find("alias")
        if alias is not None and alias.get("name") == card:
            for old in interface.findall("link"):
                interface.remove(old)
            ElementTree.SubElement(interface, "link", state="up" if up else "down")
            return ElementTree.tostring(interface, encoding="unicode")
    raise ValueError(f"the machine has no network card {card!r}")


def _type(accelerator: Accelerator) -> str:
    return "kvm" if accelerator == "kvm" else "qemu"


def _text(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag, attributes)
    element.text = text
    return element


def _os(root: ElementTree.Element, built: Built, values: Values) -> None:
    hardware = built.description.hardware
    os = ElementTree.SubElement(root, "os")
    if hardware.firmware == "uefi":
        os.set("firmware", "efi")
    _text(os, "type", "hvm", arch="x86_64", machine="q35")
    if hardware.firmware == "uefi":
        firmware = ElementTree.SubElement(os, "firmware")
        secure = "yes" if hardware.secure_boot else "no"
        ElementTree.SubElement(firmware, "feature", enabled=secure, name="secure-boot")
        ElementTree.SubElement(firmware, "feature", enabled=secure, name="enrolled-keys")
        _text(os, "nvram", values.nvram)
    if values.kernel:
        _text(os, "kernel", values.kernel)
        if values.initrd:
            _text(os, "initrd", values.initrd)
        _text(os, "cmdline", built.description.command_line)
    else:
        ElementTree.SubElement(os, "boot", dev="hd")


def _features(root: ElementTree.Element, hardware: Hardware, values: Values) -> None:
    features = ElementTree.SubElement(root, "features")
    ElementTree.SubElement(features, "acpi")
    ElementTree.SubElement(features, "apic")
    if hardware.secure_boot:
        ElementTree.SubElement(features, "smm", state="on")
    if values.hyperv and values.accelerator == "kvm":
        hyperv = ElementTree.SubElement(features, "hyperv")
        for name in ("relaxed", "vapic", "vpindex", "synic", "stimer"):
            ElementTree.SubElement(hyperv, name, state="on")
        ElementTree.SubElement(hyperv, "spinlocks", state="on", retries="8191")


def _processor(root: ElementTree.Element, hardware: Hardware, values: Values) -> None:
    model = hardware.processor[values.accelerator]
    if model in {"host-passthrough", "host-model", "maximum"}:
        ElementTree.SubElement(root, "cpu", mode=model, migratable="on" if model == "host-passthrough" else "off")
        return
    cpu = ElementTree.SubElement(root, "cpu", mode="custom", match="exact", check="none")
    _text(cpu, "model", model, fallback="forbid")


def _clock(root: ElementTree.Element, hardware: Hardware) -> None:
    clock = ElementTree.SubElement(root, "clock", offset=hardware.clock)
    ElementTree.SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    ElementTree.SubElement(clock, "timer", name="pit", tickpolicy="delay")
    ElementTree.SubElement(clock, "timer", name="hpet", present="no")


def _devices(root: ElementTree.Element, built: Built, values: Values) -> None:
    hardware = built.description.hardware
    devices = ElementTree.SubElement(root, "devices")
    disk = ElementTree.SubElement(devices, "disk", type="file", device="disk")
    # A full disk of the host halts the machine, which is seen, instead of an error in the guest that is not.
    ElementTree.SubElement(disk, "driver", name="qemu", type="qcow2", cache="unsafe", error_policy="enospace")
    ElementTree.SubElement(disk, "source", file=values.disk)
    ElementTree.SubElement(disk, "target", _disk_target(built))
    ElementTree.SubElement(devices, "controller", type="usb", model="qemu-xhci")
    _network(devices, NETWORK_CARD, values.mac, hardware.network_card)
    if values.management_mac:
        card = _network(devices, MANAGEMENT_CARD, values.management_mac, hardware.network_card)
        ElementTree.SubElement(card, "ip", family="ipv4", address=MANAGEMENT_NETWORK, prefix="24")
    for name in _ports(built):
        channel = ElementTree.SubElement(devices, "channel", type="unix")
        ElementTree.SubElement(channel, "target", type="virtio", name=name)
    console = ElementTree.SubElement(devices, "serial", type="pty")
    ElementTree.SubElement(console, "log", file=values.console_log, append="on")
    ElementTree.SubElement(console, "target", type="isa-serial", port="0")
    if hardware.modem:
        modem = ElementTree.SubElement(devices, "serial", type="pty")
        ElementTree.SubElement(modem, "target", type="isa-serial", port="1")
    ElementTree.SubElement(devices, "input", type="tablet", bus="usb")
    ElementTree.SubElement(ElementTree.SubElement(devices, "video"), "model", type="vga", vram="16384")
    # To look at a kept machine; on a socket that only the hypervisor's user may open, never on a port.
    graphics = ElementTree.SubElement(devices, "graphics", type="vnc")
    ElementTree.SubElement(graphics, "listen", type="socket")
    rng = ElementTree.SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    ElementTree.SubElement(devices, "memballoon", model="none")
    if hardware.tpm:
        tpm = ElementTree.SubElement(devices, "tpm", model="tpm-crb")
        ElementTree.SubElement(tpm, "backend", type="emulator", version="2.0")


def _disk_target(built: Built) -> dict[str, str]:
    """Windows brings a driver for SATA and none for virtio."""
    if built.description.windows == "windows":
        return {"dev": "sda", "bus": "sata"}
    return {"dev": "vda", "bus": "virtio"}


def _network(devices: ElementTree.Element, alias: str, mac: str, model: str) -> ElementTree.Element:
    card = ElementTree.SubElement(devices, "interface", type="user")
    ElementTree.SubElement(card, "mac", address=mac)
    ElementTree.SubElement(card, "model", type=model)
    ElementTree.SubElement(card, "alias", name=alias)
    return card


def _ports(built: Built) -> tuple[str, ...]:
    shells = built.description.shells
    wanted = (("guest daemon", GUEST_PORT), ("guest agent", AGENT_PORT))
    return tuple(port for shell, port in wanted if shell in shells)
