"""Asks libvirt what it is, in a process of its own: a connection that hangs is ended with the process.

``python -m rrsim.doctor.ask_libvirt URI`` prints one JSON object. Nothing is started or changed.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import xml.etree.ElementTree as ET
from typing import Any

from rrsim.live_clock import monotonic_us


def version_text(number: int) -> str:
    """Return libvirt's number of a version as it is written: 9000000 is 9.0.0."""
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def emulated(capabilities: str) -> dict[str, list[str]]:
    """Return from libvirt's capabilities which processors it can make machines of, with the kinds of virtualisation."""
    # The text is that of the libvirt which is to run our machines.
    root = ET.fromstring(capabilities)  # noqa: S314 - libvirt's own answer, over a connection that was asked for
    found: dict[str, list[str]] = {}
    for arch in root.iterfind("guest/arch"):
        kinds = [domain.get("type", "") for domain in arch.iterfind("domain")]
        found.setdefault(arch.get("name", ""), []).extend(kinds)
    return found


def second_answer_s(connection: Any) -> float:
    """Return how many seconds the second of two equal questions about QEMU takes: libvirt remembers the first answer.

    Raises:
        libvirt.libvirtError: this driver does not answer the question.
    """
    connection.getDomainCapabilities(None, "x86_64")
    began = monotonic_us()
    connection.getDomainCapabilities(None, "x86_64")
    return (monotonic_us() - began) / 1e6


def ask(uri: str) -> dict[str, Any]:
    """Connect, and tell versions and capabilities; what went wrong is under ``error``, and how far it came is told."""
    told: dict[str, Any] = {}
    try:
        import libvirt
    except ImportError as error:
        return {"error": str(error), "code": 0}
    told["binding"] = importlib.metadata.version("libvirt-python")
    told["library"] = version_text(libvirt.getVersion())
    # What goes wrong is told by the exception; libvirt would print it besides.
    libvirt.registerErrorHandler(lambda *_: None, None)
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        return {**told, "error": str(error), "code": error.get_error_code()}
    try:
        told["daemon"] = version_text(connection.getLibVersion())
        told["driver"] = connection.getType()
        told["hypervisor"] = version_text(connection.getVersion())
        told["architectures"] = emulated(connection.getCapabilities())
        if told["driver"] == "QEMU" and "x86_64" in told["architectures"]:
            told["second_answer_s"] = second_answer_s(connection)
    except libvirt.libvirtError as error:
        return {**told, "error": str(error), "code": error.get_error_code()}
    finally:
        connection.close()
    return told


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1])))  # noqa: T201 - its answer
