"""The XML of a machine that an image is built on: that of a run's machine, with CD drives and the builder's own files.

It is made from :func:`rrsim.backends.live.vm.domain_xml.domain_xml`, so that Windows is installed on the very devices
that it finds again in a run. Pure: no file, no libvirt.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import msgspec

from rrsim.backends.live.vm import domain_xml
from rrsim.images.description import Accelerator, Built, Description
from rrsim.images.windows.machine import MachineSpec

FILES_URI: Final = "https://rrsim.example/ns/build/1"
"""XML namespace of what the workshop keeps in a domain's metadata: where the machine's state belongs."""
FILES_KEY: Final = "rrsim-build"
DRIVES: Final = 5
"""SATA ports beside the disk's."""

ElementTree.register_namespace(FILES_KEY, FILES_URI)


class Places(msgspec.Struct, frozen=True):
    """Where the state of a machine belongs once it is off. It is in the domain's metadata, for whoever finds it."""

    nvram: str
    tpm: str = ""
    """Folder; empty: the machine has no TPM."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What the host adds to a machine."""

    uuid: str
    mac: str
    accelerator: Accelerator
    owner: str = ""
    """``+UID:+GID`` that the hypervisor runs the machine as; empty: it runs as whoever asks anyway (a session's)."""


def running_nvram(spec: MachineSpec, uuid: str) -> Path:
    """Return where a running machine has the firmware's settings; they are copied to their place when it is off."""
    return spec.nvram.with_name(f"{spec.nvram.name}.{uuid}")


def machine_xml(spec: MachineSpec, host: Host, mark: str) -> str:
    """Return the machine's XML. ``mark`` is its lease.

    Raises:
        ValueError: there are more media than drives, or the disk is neither on SATA nor on virtio.
    """
    if len(spec.media) > DRIVES:
        raise ValueError(f"{spec.name}: expected at most {DRIVES} media, saw {len(spec.media)}")
    if spec.disk_bus not in {"sata", "virtio"}:
        raise ValueError(f"{spec.name}: expected a disk on sata or virtio, saw {spec.disk_bus!r}")
    values = domain_xml.Values(
        name=spec.name, uuid=host.uuid, accelerator=host.accelerator, disk=str(spec.disk),
        console_log=str(spec.serial_log), mac=host.mac, nvram=str(running_nvram(spec, host.uuid)),
    )
    root = ElementTree.fromstring(domain_xml.domain_xml(_built(spec), values, mark))  # noqa: S314 -- made by rrsim
    _places(root, spec)
    for boot in root.findall("os/boot"):
        _child(root, "os").remove(boot)  # which device comes first stands at the devices
    _disks(root, spec)
    if host.owner:
        label = ElementTree.SubElement(root, "seclabel", type="static", model="dac", relabel="yes")
        ElementTree.SubElement(label, "label").text = host.owner
    return ElementTree.tostring(root, encoding="unicode")


def places_of(xml: str) -> Places | None:
    """Return where the state of a machine belongs, from its XML; nothing if it is none of the workshop's."""
    element = ElementTree.fromstring(xml).find(f"metadata/{{{FILES_URI}}}places")  # noqa: S314 -- libvirt's own
    return None if element is None else Places(element.get("nvram", ""), element.get("tpm", ""))


def running_nvram_of(xml: str) -> str:
    """Return the file that a machine has the firmware's settings in, from its XML; empty: it has none."""
    return (ElementTree.fromstring(xml).findtext("os/nvram") or "").strip()  # noqa: S314 -- libvirt's own


def _built(spec: MachineSpec) -> Built:
    """An image of the machine's hardware, as a run would have it; the guest agent's port is there for its driver."""
    description = Description(
        name=spec.name, title=f"building {spec.name}", windows="windows", hardware=spec.hardware,
        shells=("guest agent",),
    )
    return Built(description=description, digest="", made="", files={})


def _places(root: ElementTree.Element, spec: MachineSpec) -> None:
    said = {"nvram": str(spec.nvram), "tpm": str(spec.tpm or "")}
    ElementTree.SubElement(_child(root, "metadata"), f"{{{FILES_URI}}}places", said)


def _disks(root: ElementTree.Element, spec: MachineSpec) -> None:
    devices = _child(root, "devices")
    disk = _child(devices, "disk")
    # A build takes hours: what the guest has flushed is kept even if the host loses its power.
    _child(disk, "driver").set("cache", "writeback")
    _child(disk, "driver").set("discard", "unmap")
    target = {"dev": "vda", "bus": "virtio"} if spec.disk_bus == "virtio" else {"dev": "sda", "bus": "sata"}
    _child(disk, "target").attrib.update(target)
    ElementTree.SubElement(disk, "boot", order="2" if spec.boot_from_media else "1")
    for number, path in enumerate(spec.media):
        drive = ElementTree.Element("disk", type="file", device="cdrom")
        ElementTree.SubElement(drive, "driver", name="qemu", type="raw")
        source = ElementTree.SubElement(drive, "source", file=str(path))
        # The media are the reader's own files: the hypervisor must not give them to another user.
        ElementTree.SubElement(source, "seclabel", model="dac", relabel="no")
        ElementTree.SubElement(drive, "target", dev=f"sd{'bcdef'[number]}", bus="sata")
        ElementTree.SubElement(drive, "readonly")
        if number == 0 and spec.boot_from_media:
            ElementTree.SubElement(drive, "boot", order="1")
        devices.insert(list(devices).index(disk) + 1 + number, drive)


def _child(parent: ElementTree.Element, tag: str) -> ElementTree.Element:
    found = parent.find(tag)
    assert found is not None, f"domain_xml() makes every machine with <{tag}>"
    return found
