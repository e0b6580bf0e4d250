"""The port to the host: JSON lines both ways, and the events of this boot, kept for whoever connects later.

A virtio port has no connections: the host end opens and closes, and the guest may not notice. So every conversation
begins with ``hello``, which drops what was half said before and has the kept events told again, in order.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rrsim.images.guest import clock
from rrsim.images.guest.loop import Loop

Message = dict[str, Any]

LINE_LIMIT_BYTES: Final = 4_000_000
KEPT_EVENTS: Final = 4_000
KEPT_BYTES: Final = 8_000_000
UNSENT_BYTES: Final = 16_000_000
"""A host that reads nothing while more than this waits is told nothing more until its next ``hello``."""
AGAIN_US: Final = 50_000


class Channel:
    """The daemon's end of the port. ``handle`` gets each request; what it raises is the request's answer."""

    def __init__(self, loop: Loop, descriptor: int, handle: Callable[[Message], Message | None]) -> None:
        """Serve a descriptor that is open for reading and writing and does not block."""
        self._loop, self._fd, self._handle = loop, descriptor, handle
        self._in = b""
        self._skipping = False
        self._out: deque[bytes] = deque()
        self._unsent = 0
        self._kept: deque[tuple[int, bytes]] = deque()
        self._kept_bytes = 0
        self._count = 0
        self._greeted = False
        self._listen()

    # --- out ---

    def event(self, **fields: Any) -> None:
        """Tell the host of something, now or when it next says hello."""
        self._count += 1
        text = _encoded({**fields, "n": self._count, "at_us": clock.monotonic_us()})
        if len(text) > LINE_LIMIT_BYTES:
            text = _encoded({"event": "too long", "of": str(fields.get("event", fields.get("line", "")))[:80],
                             "n": self._count, "at_us": clock.monotonic_us()})
        self._kept.append((self._count, text))
        self._kept_bytes += len(text)
        while len(self._kept) > KEPT_EVENTS or self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft()[1])
        if self._greeted:
            self._send(text)

    def announce(self, **fields: Any) -> None:
        """Tell a host that happens to listen that there is somebody to say hello to; not kept."""
        with contextlib.suppress(OSError):
            os.write(self._fd, b"\n" + _encoded({**fields, "at_us": clock.monotonic_us()}))

    def greet(self, number: Any, answer: Message, after: int) -> None:
        """Answer a ``hello``, then tell every kept event after the one numbered ``after``."""
        self._out.clear()
        self._unsent = 0
        self._send(b"\n" + _answer(number, answer))  # ends a line that an earlier conversation left half said
        self._greeted = True
        first = self._kept[0][0] if self._kept else self._count + 1
        if first > after + 1:
            self._send(_encoded({"event": "overflow", "lost": first - after - 1, "at_us": clock.monotonic_us()}))
        for number_, text in list(self._kept):
            if number_ > after:
                self._send(text)

    def _send(self, text: bytes) -> None:
        if self._unsent + len(text) > UNSENT_BYTES:
            self._greeted = False
            self._out.clear()
            self._unsent = 0
            return
        self._out.append(text)
        self._unsent += len(text)
        self._write()

    def _write(self) -> None:
        while self._out:
            try:
                done = os.write(self._fd, self._out[0])
            except BlockingIOError:
                done = 0
            except OSError:  # nobody is at the other end
                self._listen_later()
                return
            if done == 0:
                break
            self._unsent -= done
            if done < len(self._out[0]):
                self._out[0] = self._out[0][done:]
            else:
                self._out.popleft()
        self._listen()

    def flush(self, limit_us: int) -> None:
        """Write what waits, as far as the host takes it within ``limit_us`` microseconds."""
        end = clock.monotonic_us() + limit_us
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while self._out and (left := end - clock.monotonic_us()) > 0:
            if any(what & select.POLLHUP for _, what in poll.poll(left / 1000)):
                return
            self._write()

    # --- in ---

    def _listen(self) -> None:
        self._loop.watch(self._fd, self._read, self._write if self._out else None)

    def _listen_later(self) -> None:
        """The host's end is closed, which a wait for the descriptor would report without end: look again soon."""
        self._loop.forget(self._fd)
        self._in, self._skipping = b"", False
        self._loop.after(AGAIN_US, self._look_again)

    def _look_again(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        with contextlib.suppress(OSError):
            if not any(what & select.POLLHUP for _, what in poll.poll(0)):
                self._listen()
                return
        self._loop.after(AGAIN_US, self._look_again)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._greeted = False
            self._out.clear()
            self._unsent = 0
            self._listen_later()
            return
        *lines, self._in = (self._in + data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif line.strip():
                self._take(line)
        if len(self._in) > LINE_LIMIT_BYTES:
            self._in, self._skipping = b"", True
            self._send(_encoded({"re": None, "error": f"a line of more than {LINE_LIMIT_BYTES} bytes"}))

    def _take(self, line: bytes) -> None:
        number = None
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise TypeError("expected an object")
            number = request.get("id")
            answer = self._handle(request)
        except Exception as error:  # noqa: BLE001 -- whatever a request meets is its answer, and the daemon goes on
            self._send(_answer(number, {"error": f"{type(error).__name__}: {error}"[:2000]}))
            return
        if answer is not None:
            self._send(_answer(number, answer))


def _answer(number: Any, answer: Message) -> bytes:
    text = _encoded({"re": number, **answer, "at_us": clock.monotonic_us()})
    if len(text) > LINE_LIMIT_BYTES:
        return _encoded({"re": number, "error": f"the answer is longer than {LINE_LIMIT_BYTES} bytes: ask for less",
                         "at_us": clock.monotonic_us()})
    return text


def _encoded(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def port_named(name: str, ports: Path = Path("/sys/class/virtio-ports")) -> Path:
    """Return the device of the virtio port with this name.

    Raises:
        FileNotFoundError: the machine has none; the message lists those it has.
    """
    there: dict[str, Path] = {}
    for entry in sorted(ports.iterdir()) if ports.is_dir() else []:
        with contextlib.suppress(OSError):
            there[(entry / "name").read_text(encoding="ascii").strip()] = Path("/dev") / entry.name
    if name not in there:
        raise FileNotFoundError(f"expected a virtio port {name!r}; there are: {', '.join(there) or 'none'}")
    return there[name]
