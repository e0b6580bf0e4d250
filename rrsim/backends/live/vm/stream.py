"""A byte stream into a machine (virtio port or serial line), for asyncio, over libvirt's streams: remotely too."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any, Final

from rrsim.backends.live.vm import threads
from rrsim.backends.live.vm.errors import ChannelClosed, HostSlow

CHUNK_BYTES: Final = 65_536
BUFFER_MAX_BYTES: Final = 1 << 20
"""What is kept unread before reading stops, and unsent before :meth:`ByteStream.write` refuses."""


class ByteStream:
    """Bytes to and from one port of a machine. Made by ``Vm.open_channel`` and ``Vm.open_serial``."""

    def __init__(self, name: str, stream: Any, loop: asyncio.AbstractEventLoop) -> None:
        """Take over an open libvirt stream that does not block."""
        self.name = name
        self._stream = stream
        self._loop = loop
        self._guard = threading.Lock()
        self._in = bytearray()
        self._out = bytearray()
        self._end = ""
        """Why no more bytes will come; empty while the stream is open."""
        self._events = 0
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    def begin(self) -> None:
        """Start to deliver; called once, in a thread, by whoever opened the stream."""
        import libvirt

        self._events = libvirt.VIR_STREAM_EVENT_READABLE
        self._stream.eventAddCallback(self._always() | self._events, self._on_event, None)

    @property
    def closed(self) -> bool:
        """Whether the other end is gone, or the stream was closed here. Unread bytes may remain."""
        return bool(self._end)

    async def read(self, n: int = CHUNK_BYTES) -> bytes:
        """Return between 1 and ``n`` bytes; wait for the first.

        Raises:
            ChannelClosed: the stream ended and everything was read.
        """
        while True:
            with self._guard:
                if self._in:
                    data = bytes(self._in[:n])
                    del self._in[:n]
                    self._want_locked()
                    return data
                if self._end:
                    raise ChannelClosed(f"{self.name}: expected bytes from the machine, saw the end: {self._end}")
                self._changed.clear()
            await self._changed.wait()

    def write(self, data: bytes) -> None:
        """Queue bytes for the machine; :meth:`drain` waits until libvirt has taken them.

        Raises:
            ChannelClosed: the stream ended, or :data:`BUFFER_MAX_BYTES` are waiting already.
        """
        with self._guard:
            if self._end:
                raise ChannelClosed(f"{self.name}: cannot write: {self._end}")
            if len(self._out) + len(data) > BUFFER_MAX_BYTES:
                raise ChannelClosed(f"{self.name}: {len(self._out)} bytes wait already and the machine takes none")
            self._out += data
            self._drained.clear()
            self._want_locked()

    async def drain(self) -> None:
        """Wait until everything written was taken.

        Raises:
            ChannelClosed: the stream ended first.
        """
        await self._drained.wait()
        if self._end and self._out:
            raise ChannelClosed(f"{self.name}: {len(self._out)} bytes were not taken: {self._end}")

    async def close(self) -> None:
        """Close the stream; harmless if it is closed."""
        with self._guard:
            already, self._end = self._stream is None, self._end or "closed here"
            stream, self._stream = self._stream, None
        self._wake()
        if not already:
            with contextlib.suppress(HostSlow):
                await threads.in_thread(f"close {self.name}", lambda: _close(stream), 10.0)

    @staticmethod
    def _always() -> int:
        import libvirt

        return int(libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP)

    def _want_locked(self) -> None:
        """Ask libvirt for exactly what there is room or something to send for."""
        import libvirt

        if self._stream is None or self._end:
            return
        wanted = 0
        if len(self._in) < BUFFER_MAX_BYTES:
            wanted |= libvirt.VIR_STREAM_EVENT_READABLE
        if self._out:
            wanted |= libvirt.VIR_STREAM_EVENT_WRITABLE
        if wanted != self._events:
            with contextlib.suppress(libvirt.libvirtError):
                self._stream.eventUpdateCallback(self._always() | wanted)
                self._events = wanted

    def _on_event(self, _stream: Any, events: int, _opaque: object) -> None:
        """In libvirt's thread: move bytes, then wake the event loop."""
        import libvirt

        with self._guard:
            if self._stream is None or self._end:
                return
            try:
                if events & libvirt.VIR_STREAM_EVENT_READABLE:
                    self._receive_locked()
                if events & libvirt.VIR_STREAM_EVENT_WRITABLE and not self._end:
                    self._send_locked()
            except libvirt.libvirtError as error:
                self._end = str(error) or "libvirt broke the stream"
            if events & self._always() and not self._end:
                self._end = "the machine's end of the line is gone"
            if self._end:
                with contextlib.suppress(libvirt.libvirtError):
                    self._stream.eventRemoveCallback()
            else:
                self._want_locked()
        threads.hand_over(self._loop, self._wake)

    def _receive_locked(self) -> None:
        data = self._stream.recv(CHUNK_BYTES)
        if isinstance(data, int):  # -2: nothing there after all
            return
        if not data:
            self._end = "the machine was switched off or the line taken over"
        self._in += data

    def _send_locked(self) -> None:
        if self._out:
            sent = self._stream.send(bytes(self._out[:CHUNK_BYTES]))
            if sent > 0:
                del self._out[:sent]

    def _wake(self) -> None:
        self._changed.set()
        with self._guard:
            if not self._out or self._end:
                self._drained.set()


def _close(stream: Any) -> None:
    import libvirt

    with contextlib.suppress(libvirt.libvirtError):
        stream.eventRemoveCallback()
    with contextlib.suppress(libvirt.libvirtError):
        stream.abort()
