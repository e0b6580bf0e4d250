"""The harness's end of the guest daemon's port: requests and answers, events, and the lines of helpers in the guest.

A virtio port has no connections, and it outlives the guest's boots: every boot begins with ``hello``, which is said
until an answer comes whose boot is another one than the last. What the guest says is bounded and taken for hostile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from rrsim.backends.live.timers import pause
from rrsim.backends.live.wine.line import Fields, Line

LINE_LIMIT_BYTES: Final = 4_000_000
HELLO_EVERY_US: Final = 300_000
ANSWER_LIMIT_S: Final = 30.0
EARLY_LINES: Final = 4_000
"""So many lines of a helper that nobody listens to yet are kept."""


class PortLost(RuntimeError):
    """The guest does not answer, or its port is gone; the text says what was last heard."""


class GuestRefused(RuntimeError):
    """The guest daemon answered a request with an error."""


class Stream(Protocol):
    """Bytes to and from the port, as :class:`rrsim.backends.live.vm.stream.ByteStream`."""

    async def read(self, n: int = ...) -> bytes:
        """Return the next bytes; raises when there will be none."""

    def write(self, data: bytes) -> None:
        """Queue bytes."""

    async def drain(self) -> None:
        """Wait until queued bytes are taken."""

    async def close(self) -> None:
        """End the stream."""


class GuestLine(Line):
    """The line to a helper in the guest."""

    def __init__(self, port: GuestPort, key: str, name: str, hear: Callable[[Fields], None]) -> None:
        """Speak with the helper that the daemon knows by ``key``; use :meth:`GuestPort.open_line`."""
        super().__init__(name, hear)
        self._port, self._key = port, key

    def _send(self, line: bytes) -> None:
        self._port.tell(line=self._key, text=line.decode().rstrip("\n"))

    async def close(self) -> None:
        """End the helper if it still runs, and forget the line."""
        if not self._lost:
            self._lost = True
            with contextlib.suppress(PortLost):
                self._port.tell(do="close", line=self._key)
        self._port.forget(self._key, self)


def _deaf(_: Fields) -> None:
    """Nobody listens yet."""


class GuestPort:
    """One machine's port. ``hear`` gets every event that is no line; it must not block."""

    def __init__(
        self, stream: Stream, hear: Callable[[Fields], None] = _deaf, *, beneath: Callable[[], str] = lambda: ""
    ) -> None:
        """Take over an open stream; needs a running event loop.

        ``beneath`` returns what became of the connection that the stream runs over; empty: nothing.
        """
        self._stream, self._hear, self._beneath = stream, hear, beneath
        self._numbers = 0
        self._waiting: dict[int, asyncio.Future[Fields]] = {}
        self._lines: dict[str, GuestLine] = {}
        self._early: dict[str, deque[str]] = {}
        self._heard_n = 0
        self._why_lost = ""
        self.boot_id = ""
        """The kernel's own mark of the boot that last answered."""
        self.last = "nothing"
        self._reader = asyncio.create_task(self._read())

    def hear_events(self, hear: Callable[[Fields], None]) -> None:
        """Have events told to somebody; what was told before is not told again."""
        self._hear = hear

    @property
    def beneath(self) -> str:
        """What became of the connection that the port runs over; empty: nothing."""
        return self._beneath()

    @property
    def why_lost(self) -> str:
        """Why nothing more comes through the port; empty while it is open."""
        return self._why_lost

    def _gone(self) -> PortLost:
        beneath = self._beneath()
        why = f"{beneath}, and with it this line: {self._why_lost}" if beneath else self._why_lost
        return PortLost(f"the guest's port is gone: {why}; last heard: {self.last}")

    # --- talking ---------------------------------------------------------------------------------------------------

    def tell(self, **fields: Any) -> None:
        """Send something that is not answered.

        Raises:
            PortLost: the port is gone.
        """
        if self._why_lost:
            raise self._gone()
        try:
            self._stream.write(msgspec.json.encode(fields) + b"\n")
        except Exception as error:
            raise PortLost(f"the guest takes nothing more: {error}; last heard: {self.last}") from error

    async def ask(self, do: str, *, limit_s: float = ANSWER_LIMIT_S, **fields: Any) -> Fields:
        """Ask the daemon for something and return its answer.

        Raises:
            GuestRefused: it answered with an error.
            PortLost: no answer within ``limit_s`` seconds, or the port is gone.
        """
        self._numbers += 1
        number = self._numbers
        future: asyncio.Future[Fields] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self.tell(id=number, do=do, **fields)
            async with asyncio.timeout(limit_s):
                answer = await future
        except TimeoutError:
            raise PortLost(
                f"the guest daemon: no answer to {do!r} within {limit_s:g} s; last heard: {self.last}; look at the "
                "serial console and the screenshot"
            ) from None
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise GuestRefused(f"the guest daemon cannot {do!r}: {answer['error']}")
        return answer

    async def hello(self, *, not_boot: str = "", limit_s: float) -> Fields:
        """Greet the guest until a boot answers that is not ``not_boot``; what it kept for us is told again.

        Raises:
            PortLost: none did within ``limit_s`` seconds.
        """
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    with contextlib.suppress(PortLost):
                        answer = await self._greet()
                        if answer["boot_id"] != not_boot:
                            return answer
                    if self._why_lost:
                        raise self._gone()
                    await pause(HELLO_EVERY_US)
        except TimeoutError:
            which = "a new boot of the guest" if not_boot else "the guest"
            raise PortLost(
                f"expected {which} to answer within {limit_s:g} s; last heard: {self.last}; look at the serial console"
            ) from None

    async def _greet(self) -> Fields:
        return await self.ask("hello", limit_s=HELLO_EVERY_US * 10 / 1e6, after=0)

    def _forget_boot(self) -> None:
        for line in list(self._lines.values()):
            line.lose()
        self._lines.clear()
        self._early.clear()

    # --- lines -----------------------------------------------------------------------------------------------------

    async def open_line(
        self, key: str, name: str, hear: Callable[[Fields], None], program: str = "", *,
        last_word: str = "", limit_s: float = ANSWER_LIMIT_S,
    ) -> GuestLine:
        """Return the line to a helper; it is started if ``program`` is given, else it runs already.

        ``last_word`` is said to it by the daemon before the guest's Windows ends.

        Raises:
            GuestRefused: it cannot be started.
            PortLost: the guest does not answer.
        """
        line = self._lines[key] = GuestLine(self, key, name, hear)
        if program:
            self._early.pop(key, None)
            await self.ask("open", line=key, program=program, last_word=last_word, limit_s=limit_s)
        for text in self._early.pop(key, ()):
            line.take(text)
        return line

    def forget(self, key: str, line: GuestLine) -> None:
        """Listen to a helper no longer."""
        if self._lines.get(key) is line:
            del self._lines[key]

    # --- hearing ---------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        kept = bytearray()
        try:
            while data := await self._stream.read():
                kept += data
                while (end := kept.find(b"\n")) >= 0:
                    text = bytes(kept[:end])
                    del kept[: end + 1]
                    if text.strip():
                        self._take(text)
                if len(kept) > LINE_LIMIT_BYTES:
                    kept.clear()  # the guest has gone mad, or was reset in the middle of a line
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever ended the stream is said to whoever waits)
            self._why_lost = str(error) or type(error).__name__
        self._why_lost = self._why_lost or "its stream ended"
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._gone())
        self._forget_boot()

    def _take(self, text: bytes) -> None:
        try:
            message = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError:
            self.last = f"not understood: {text[:80]!r}"
            return
        if "re" in message:
            self._answered(message)
            return
        number = message.get("n")
        if isinstance(number, int):
            if number <= self._heard_n:
                return  # told again
            self._heard_n = number
        if "line" in message and "text" in message:
            self._heard_line(str(message["line"]), str(message["text"]))
            return
        self.last = str(message.get("event", "?"))
        if message.get("event") == "line ended":
            ended = self._lines.pop(str(message.get("line")), None)
            if ended is not None:
                ended.lose()
        self._hear(message)

    def _answered(self, message: Fields) -> None:
        boot = message.get("boot_id")
        if isinstance(boot, str) and boot != self.boot_id:
            self.boot_id, self._heard_n = boot, 0  # its events are numbered anew, and follow at once
            self._forget_boot()
        number = message["re"]
        waiting = self._waiting.get(number) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            self.last = f"answer {number}"
            waiting.set_result(message)

    def _heard_line(self, key: str, text: str) -> None:
        line = self._lines.get(key)
        if line is not None:
            self.last = f"{key}: {text[:120]}"
            line.take(text)
            return
        self._early.setdefault(key, deque(maxlen=EARLY_LINES)).append(text)

    async def close(self) -> None:
        """End the stream."""
        self._why_lost = self._why_lost or "it was closed here"
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        self._forget_boot()
        await self._stream.close()
