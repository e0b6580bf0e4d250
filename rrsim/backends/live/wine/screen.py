"""A screen of the machine's own, pictures of it, and the hands: real pointer and keyboard input, nothing else."""

from __future__ import annotations

import asyncio
import io
import os
import signal

from rrsim.backends.live import processes
from rrsim.backends.live.wine import parts

START_LIMIT_S = 20


class Screen:
    """One X server without hardware."""

    def __init__(self, process: asyncio.subprocess.Process, display: str, size: tuple[int, int]) -> None:
        """Hold a running server; use :meth:`open`."""
        self.process, self.display, self.size = process, display, size

    @classmethod
    async def open(cls, size: tuple[int, int]) -> Screen:
        """Start a server on a display number that it chooses itself.

        Raises:
            WineMissing: it did not come up.
        """
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                "Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size[0]}x{size[1]}x24", "-nolisten", "tcp",
                "-noreset", pass_fds=(writing,), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                number = await _first_line(reading)
        except TimeoutError:
            number = ""
        finally:
            os.close(reading)
        if not number:
            processes.send(process)
            await process.wait()
            raise parts.WineMissing("Xvfb: expected a display number, got none; try: Xvfb -displayfd 1")
        return cls(process, f":{number}", size)

    async def _hand(self, *words: str) -> None:
        await parts.call("xdotool", *words, env={**os.environ, "DISPLAY": self.display}, limit_s=20)

    async def click(self, x: int, y: int) -> None:
        """Move the pointer and press its left button once."""
        await self._hand("mousemove", str(x), str(y), "click", "1")

    async def type_text(self, text: str) -> None:
        """Type on the keyboard."""
        await self._hand("type", "--delay", "4", "--", text)

    async def press_key(self, key: str) -> None:
        """Press one key or a combination, by its X name: ``Return``, ``alt+F4``."""
        await self._hand("key", "--", key)

    def screenshot(self) -> bytes:
        """Return the picture of the whole screen as PNG."""
        from PIL import ImageGrab

        with ImageGrab.grab(xdisplay=self.display) as picture:
            out = io.BytesIO()
            picture.save(out, "PNG")
        return out.getvalue()

    async def close(self) -> None:
        """End the server."""
        processes.send(self.process, signal.SIGTERM)
        try:
            async with asyncio.timeout(5):
                await self.process.wait()
        except TimeoutError:
            processes.send(self.process)
            await self.process.wait()


async def _first_line(handle: int) -> str:
    """Return the first line from a pipe, or what came before its end.

    To its end: the server writes the line feed by itself, and dies when nobody reads it.
    """
    loop, got, ready = asyncio.get_running_loop(), b"", asyncio.Event()
    os.set_blocking(handle, False)
    loop.add_reader(handle, ready.set)
    try:
        while not got.endswith(b"\n"):
            await ready.wait()
            ready.clear()
            try:
                more = os.read(handle, 64)
            except BlockingIOError:
                continue
            if not more:
                break
            got += more
    finally:
        loop.remove_reader(handle)
    return got.decode().strip()
