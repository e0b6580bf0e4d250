"""A virtual machine started with plain QEMU, and its guest's port and screen: for trying an image by itself."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rrsim import live_clock
from rrsim.images import disk, store
from rrsim.images.description import GUEST_PORT

GREET_AGAIN_S = 1.0


class GuestVm:
    """One running machine; use it as a context."""

    def __init__(self, image: store.Stored, folder: Path) -> None:
        """Start it from an overlay in a folder of its own."""
        self.folder, self._image = folder, image
        self.heard: list[dict[str, Any]] = []
        self._in, self._number = b"", 0
        overlay = folder / "overlay.qcow2"
        disk.call(disk.program("qemu-img"), "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
                  image.file("disk.qcow2"), overlay, epoch_s=0)
        hardware = image.built.description.hardware
        self.process = subprocess.Popen([
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", hardware.processor["tcg"], "-m", str(hardware.memory_mib),
            "-kernel", str(image.file("vmlinuz")), "-initrd", str(image.file("initrd.img")),
            "-append", image.built.description.command_line, "-drive", f"file={overlay},if=virtio,format=qcow2",
            "-serial", f"file:{folder}/serial.log", "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=g,path={folder}/guest,server=on,wait=off",
            "-device", f"virtserialport,chardev=g,name={GUEST_PORT}",
            "-qmp", f"unix:{folder}/qmp,server=on,wait=off", "-vga", "std", "-display", "none",
            "-device", "virtio-tablet-pci", "-nic", "none",
        ], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._port = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> GuestVm:
        """Connect to the port as soon as QEMU has made it."""
        self._connect(self._port, self.folder / "guest")
        return self

    def _connect(self, one: socket.socket, path: Path) -> None:
        """QEMU tells nobody when its sockets are there: try again until they are, or QEMU has ended."""
        end_us = live_clock.monotonic_us() + 20_000_000
        while True:
            try:
                one.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                assert live_clock.monotonic_us() < end_us, f"{path} did not come; QEMU ended with {self.process.poll()}"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.05)
            else:
                return

    def __exit__(self, *_: object) -> None:
        """End the machine."""
        self._port.close()
        self.process.kill()
        self.process.wait()

    def serial(self) -> str:
        """Return what the serial console has shown."""
        return (self.folder / "serial.log").read_text(encoding="utf-8", errors="replace")

    def greet(self, limit_s: float) -> dict[str, Any]:
        """Say hello until somebody answers, and return the answer; what is heard before is forgotten."""
        end_us = live_clock.monotonic_us() + int(limit_s * 1e6)
        self.heard.clear()
        while True:
            self._number += 1
            number = self._number
            self.send(id=number, do="hello")
            answer = self._within(partial(self._answer, number), GREET_AGAIN_S)
            if answer:
                return dict(answer)
            assert live_clock.monotonic_us() < end_us, f"nobody answered; serial console: {self.serial()[-800:]}"

    def _answer(self, number: int) -> dict[str, Any] | None:
        return next((one for one in self.heard if one.get("re") == number), None)

    def send(self, **request: Any) -> None:
        """Send one request."""
        self._port.sendall(json.dumps(request).encode() + b"\n")

    def say(self, line: str, *words: str) -> None:
        """Say a line to a helper."""
        self.send(line=line, text="\t".join(words))

    def ask(self, do: str, limit_s: float = 30, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer."""
        self._number += 1
        number = self._number
        self.send(id=number, do=do, **fields)
        return dict(self.until(lambda: self._answer(number), limit_s))

    def line(self, line: str, part: str, limit_s: float = 90) -> dict[str, Any]:
        """Wait for a line of a helper with a text in it, and return the message."""
        found = self.until(lambda: next(
            (one for one in self.heard if one.get("line") == line and part in one.get("text", "")), None
        ), limit_s)
        return dict(found)

    def until(self, arrived: Callable[[], Any], limit_s: float) -> Any:
        """Listen until something is so, and return it."""
        seen = self._within(arrived, limit_s)
        assert seen, f"not within {limit_s} s; heard {self.heard[-4:]}; serial console: {self.serial()[-800:]}"
        return seen

    def _within(self, arrived: Callable[[], Any], limit_s: float) -> Any:
        end_us = live_clock.monotonic_us() + int(limit_s * 1e6)
        while not (seen := arrived()):
            left_s = (end_us - live_clock.monotonic_us()) / 1e6
            if left_s <= 0:
                return None
            self._port.settimeout(left_s)
            try:
                data = self._port.recv(1 << 20)
            except TimeoutError:
                continue
            assert data, f"QEMU ended; serial console: {self.serial()[-800:]}"
            *lines, self._in = (self._in + data).split(b"\n")
            for one in lines:
                if one.strip().startswith(b"{"):
                    self.heard.append(json.loads(one))
        return seen

    def screenshot(self) -> Path:
        """Return a picture of the screen, taken by QEMU."""
        path = self.folder / "screen.png"
        with socket.socket(socket.AF_UNIX) as qmp:
            self._connect(qmp, self.folder / "qmp")
            with qmp.makefile("rw", encoding="utf-8") as stream:
                stream.readline()
                for command in (
                    {"execute": "qmp_capabilities"},
                    {"execute": "screendump", "arguments": {"filename": str(path), "format": "png"}},
                ):
                    stream.write(json.dumps(command) + "\n")
                    stream.flush()
                    while "return" not in (answer := json.loads(stream.readline())):
                        assert "error" not in answer, answer
        return path
