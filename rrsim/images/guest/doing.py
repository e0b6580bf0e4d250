"""What the host may have done to the guest beside Windows: clock, chance, identity, network card, modem."""

from __future__ import annotations

import base64
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rrsim.images.guest.look import place
from rrsim.images.guest.loop import Loop
from rrsim.images.guest.programs import Helper
from rrsim.images.guest.settings import Settings

RNDADDENTROPY: Final = 0x40085203
RNDRESEEDCRNG: Final = 0x5207
READ_LIMIT_BYTES: Final = 2_900_000
"""So much fits into one answer, in base64."""
PPP: Final = (
    "local", "noauth", "defaultroute", "replacedefaultroute", "noipdefault", "noipv6", "novj", "noccp",
    "ipcp-accept-local", "nodetach", "debug", "maxfail", "1",
)
ENDS: Final = ("BUSY", "NO CARRIER", "NO DIALTONE", "NO ANSWER", "ERROR")
"""What a modem says when there will be no connection, in the order of chat's exit codes from 4."""
DIAL_LIMIT_S: Final = 90


def entropy(data: bytes) -> None:
    """Stir chance into the kernel's pool and have it used at once: after a restore two guests would draw the same.

    Raises:
        OSError: not allowed, or the kernel has no such device.
    """
    with open("/dev/urandom", "wb", buffering=0) as file:  # noqa: PTH123 -- unbuffered, for ioctl
        fcntl.ioctl(file, RNDADDENTROPY, struct.pack("ii", 8 * len(data), len(data)) + data)
        fcntl.ioctl(file, RNDRESEEDCRNG)


def mint(settings: Settings, machine_id: str, hostname: str) -> None:
    """Give the guest an identity of its own.

    Raises:
        ValueError: one of the two is not well formed.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", machine_id):
        raise ValueError(f"machine_id {machine_id!r}: expected 32 hexadecimal digits")
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,62}", hostname):
        raise ValueError(f"hostname {hostname!r}: expected letters, digits and hyphens, 63 at most")
    (settings.etc / "machine-id").write_text(machine_id + "\n", encoding="ascii")
    (settings.etc / "hostname").write_text(hostname + "\n", encoding="ascii")
    if os.geteuid() == 0 and settings.etc == Path("/etc"):
        socket.sethostname(hostname)


def read(settings: Settings, path: str, offset: int, limit: int) -> dict[str, Any]:
    """Return a piece of a file in base64, and how long the file is.

    Raises:
        OSError: it cannot be read.
    """
    with place(settings, path).open("rb") as file:
        file.seek(offset)
        data = file.read(max(0, min(limit, READ_LIMIT_BYTES)))
        size = file.seek(0, os.SEEK_END)
    return {"base64": base64.b64encode(data).decode(), "size": size}


def write(settings: Settings, path: str, data: str, mode: int, *, append: bool) -> None:
    """Write a file of the customer's, or add to it.

    Raises:
        OSError: it cannot be written.
    """
    target = place(settings, path)
    with target.open("ab" if append else "wb") as file:
        file.write(base64.b64decode(data, validate=True))
    target.chmod(mode)
    _give(settings, target)


def make_dir(settings: Settings, path: str) -> None:
    """Make a folder of the customer's, and those above it."""
    target = place(settings, path)
    missing = [one for one in (target, *target.parents) if not one.exists()]
    target.mkdir(parents=True, exist_ok=True)
    for one in missing:
        _give(settings, one)


def remove(settings: Settings, path: str) -> None:
    """Remove a file, or a folder with all it holds; one that is not there is no error."""
    target = place(settings, path)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)


def _give(settings: Settings, target: Path) -> None:
    if settings.user_id is not None and target.is_relative_to(settings.home):
        os.chown(target, settings.user_id, settings.user_id)


def link_up(settings: Settings) -> None:
    """Set the network card up again, as at boot.

    Raises:
        RuntimeError: it did not work; the message has what was printed.
    """
    done = subprocess.run(list(settings.network), capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise RuntimeError(f"the network script ended with {done.returncode}: {done.stderr[-500:].strip()}")


class Modem:
    """The customer's dial-up connection: at most one call at a time. ``tell`` sends an event to the host."""

    def __init__(self, loop: Loop, settings: Settings, tell: Callable[..., None]) -> None:
        """Hold a modem that is on hook."""
        self._loop, self._settings, self._tell = loop, settings, tell
        self._call: Helper | None = None
        self._connected = False
        self._why = ""

    def dial(self, number: str, user: str = "") -> dict[str, Any]:
        """Dial a number; ``dial`` events say what becomes of it.

        Raises:
            ValueError: not a number, or a call is going on.
        """
        if not re.fullmatch(r"[0-9*#,+]{1,40}", number):
            raise ValueError(f"number {number!r}: expected digits")
        if self._call is not None:
            raise ValueError("a call is going on; hang up first")
        aborts = " ".join(f"ABORT '{end}'" for end in ENDS)
        chat = f"/usr/sbin/chat -S -t {DIAL_LIMIT_S} {aborts} '' AT OK ATDT{number} CONNECT"
        self._connected, self._why = False, ""
        more = ["user", user] if user else []
        command = [*self._settings.dialler, self._settings.modem, "115200", *PPP, *more, "connect", chat, ":10.0.2.2"]
        self._call = Helper(
            self._loop, command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, None, self._heard, self._over
        )
        self._tell(event="dial", state="dialling", detail=number)
        return {}

    def hang_up(self) -> dict[str, Any]:
        """End the call; ``ended`` follows.

        Raises:
            ValueError: there is none.
        """
        if self._call is None:
            raise ValueError("there is no call")
        os.kill(self._call.pid, 15)
        return {}

    def _heard(self, text: str) -> None:
        status = re.search(r"^Script .* finished .* status = 0x([0-9a-f]+)", text)
        if status and (code := int(status[1], 16)):
            self._why = ENDS[code - 4] if 4 <= code < 4 + len(ENDS) else {3: "NO ANSWER"}.get(code, f"chat {code}")
        elif text.startswith("local  IP address"):
            self._connected = True
            self._tell(event="dial", state="connected", detail=text.rpartition(" ")[2])
        elif text.startswith(("Modem hangup", "Connection terminated", "LCP terminated", "No response", "Terminating")):
            self._why = self._why or text

    def _over(self, code: int) -> None:
        self._call = None
        state = "ended" if self._connected else "failed"
        self._tell(event="dial", state=state, detail=self._why or f"pppd ended with {code}", code=code)
