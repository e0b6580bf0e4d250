"""Named pipes of Windows: who may connect, who is believed, and bytes in both directions.

All waits are overlapped, so that reading and writing do not hold each other up, and each is given up when the channel
is closed. A pipe for desktops lets the people at the PC connect and do nothing else: not make further instances of the
pipe, which would let them pose as the service.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import queue
import sys
import threading
from collections.abc import Callable
from ctypes import wintypes
from pathlib import Path
from typing import Any, Final

import pywintypes
import win32api
import win32con
import win32event
import win32file
import win32pipe
import win32security as _win32security
import winerror

from rrsim.agent.windows.pipe import Channel, NotThere, PipeBusy, PipeError

assert sys.platform == "win32", "named pipes exist on Windows only"

win32security: Any = _win32security
"""The stubs are wrong about handles."""

MAX_INSTANCES: Final = 16
MAX_QUEUED: Final = 2000
"""Words that wait to be sent; a helper that does not take them is hung up on."""
BUFFER_BYTES: Final = 64 * 1024
SEND_TIMEOUT_MS: Final = 10_000
CONNECT_TIMEOUT_MS: Final = 2_000

_CLIENT_ACCESS: Final = 0x0012019B
"""Read and write, without the right to create instances of the pipe (which ``GENERIC_WRITE`` holds)."""
_FIRST_INSTANCE: Final = 0x00080000
_REJECT_REMOTE: Final = 0x00000008
_IDENTIFICATION: Final = 0x00110000
"""The other side may learn who we are, and not act as us."""
_QUERY_LIMITED: Final = 0x1000
_SYSTEM: Final = "S-1-5-18"
_ADMINISTRATORS: Final = "S-1-5-32-544"


def own_sid() -> str:
    """Return this user's security identifier."""
    token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32con.TOKEN_QUERY)
    try:
        sid, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
        return str(win32security.ConvertSidToStringSid(sid))
    finally:
        token.Close()


class PipeChannel:
    """One connection; reads and writes in threads of its own."""

    def __init__(self, handle: Any) -> None:
        """Take over a connected, overlapped handle."""
        self._handle = handle
        self._stop = win32event.CreateEvent(None, True, False, None)
        self._out: queue.Queue[bytes | None] = queue.Queue(MAX_QUEUED)
        self._writer = threading.Thread(target=self._write, name="pipe out", daemon=True)
        self._ending = threading.Lock()
        self._ended = False

    def start(self, heard: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        """Begin to read and write; ``gone`` is called once, from the reading thread, when it is over."""
        self._writer.start()
        threading.Thread(target=self._read, args=(heard, gone), name="pipe in", daemon=True).start()

    def send(self, data: bytes) -> None:
        """Queue bytes; returns at once. Whoever does not take what is queued is hung up on."""
        try:
            self._out.put_nowait(data)
        except queue.Full:
            win32event.SetEvent(self._stop)

    def close(self) -> None:
        """Hang up when everything queued was sent."""
        try:
            self._out.put_nowait(None)
        except queue.Full:
            win32event.SetEvent(self._stop)

    def _read(self, heard: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        buffer = win32file.AllocateReadBuffer(BUFFER_BYTES)
        try:
            while True:
                size = self._wait(functools.partial(win32file.ReadFile, self._handle, buffer), win32event.INFINITE)
                if not size:
                    break
                heard(bytes(buffer[:size]))
        except pywintypes.error:
            pass  # the other side hung up, however politely
        finally:
            win32event.SetEvent(self._stop)
            self._out_of_use()
            gone()

    def _write(self) -> None:
        try:
            while (data := self._next()) is not None:
                if self._wait(functools.partial(win32file.WriteFile, self._handle, data), SEND_TIMEOUT_MS) != len(data):
                    break
        except pywintypes.error:
            pass  # however it ended, it is over
        finally:
            win32event.SetEvent(self._stop)

    def _next(self) -> bytes | None:
        """Return what is to be sent next; None when the channel is over."""
        while win32event.WaitForSingleObject(self._stop, 0) != win32event.WAIT_OBJECT_0:
            try:
                return self._out.get(timeout=1.0)
            except queue.Empty:
                continue
        return None

    def _wait(self, begin: Callable[[Any], Any], timeout_ms: int) -> int:
        """Begin an overlapped operation and return how many bytes it moved; 0 when the channel was closed meanwhile."""
        over = pywintypes.OVERLAPPED()
        over.hEvent = win32event.CreateEvent(None, True, False, None)
        begin(over)
        if win32event.WaitForMultipleObjects([over.hEvent, self._stop], False, timeout_ms) != win32event.WAIT_OBJECT_0:
            win32file.CancelIo(self._handle)
            # The buffer may be written to until Windows says that the operation is over.
            with contextlib.suppress(pywintypes.error):
                win32file.GetOverlappedResult(self._handle, over, True)
            return 0
        return int(win32file.GetOverlappedResult(self._handle, over, False))

    def _out_of_use(self) -> None:
        self._writer.join(SEND_TIMEOUT_MS / 1000 + 1)
        with self._ending:
            if not self._ended:
                self._ended = True
                self._handle.Close()


class Listener:
    """Takes connections on a pipe, in a thread of its own."""

    def __init__(self, name: str, on: Callable[[Channel], None], log: Callable[[str], None], *, desktops: bool) -> None:
        """Make the pipe. ``desktops``: the people at the PC may connect; otherwise only this user.

        Raises:
            PipeBusy: another process has it.
        """
        self._name = name
        self._on = on
        self._log = log
        who = "(A;;GA;;;SY)(A;;GA;;;BA)" + (f"(A;;{_CLIENT_ACCESS:#x};;;IU)" if desktops else "")
        self._security = pywintypes.SECURITY_ATTRIBUTES()
        self._security.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
            f"O:{own_sid()}D:P(A;;GA;;;{own_sid()}){who}", win32security.SDDL_REVISION_1
        )
        self._stop = win32event.CreateEvent(None, True, False, None)
        # Windows refuses a first instance of a pipe that is there; Wine 8 does not, so it is looked for as well.
        if _is_there(name):
            raise PipeBusy(f"the pipe {name} belongs to another process: the agent runs already")
        self._next = self._instance(_FIRST_INSTANCE)
        self._thread = threading.Thread(target=self._run, name="pipe listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections; those there are go on."""
        win32event.SetEvent(self._stop)
        self._thread.join(SEND_TIMEOUT_MS / 1000)

    def _instance(self, first: int = 0) -> Any:
        try:
            return win32pipe.CreateNamedPipe(
                self._name, win32pipe.PIPE_ACCESS_DUPLEX | win32file.FILE_FLAG_OVERLAPPED | first,
                win32pipe.PIPE_TYPE_BYTE | win32pipe.PIPE_READMODE_BYTE | win32pipe.PIPE_WAIT | _REJECT_REMOTE,
                MAX_INSTANCES, BUFFER_BYTES, BUFFER_BYTES, 0, self._security,
            )
        except pywintypes.error as error:
            if first and error.winerror in (winerror.ERROR_ACCESS_DENIED, winerror.ERROR_PIPE_BUSY):
                raise PipeBusy(f"the pipe {self._name} belongs to another process: the agent runs already") from None
            raise PipeError(f"the pipe {self._name} cannot be made: {error.strerror}") from None

    def _run(self) -> None:
        while self._connected():
            handle = self._next
            try:
                self._next = self._instance()
            except PipeError as error:
                self._log(f"no more connections: {error}")
                handle.Close()
                return
            why = _not_ours(handle)
            if why:
                self._log(f"a program that connected is not ours: {why}")
                handle.Close()
            else:
                self._on(PipeChannel(handle))
        self._next.Close()

    def _connected(self) -> bool:
        """Wait for the next client; False when the listener is closed."""
        over = pywintypes.OVERLAPPED()
        over.hEvent = win32event.CreateEvent(None, True, False, None)
        try:
            if win32pipe.ConnectNamedPipe(self._next, over) == winerror.ERROR_PIPE_CONNECTED:
                return True
        except pywintypes.error as error:
            if error.winerror == winerror.ERROR_NO_DATA:
                return True  # somebody came and left again: reading from them will say so
            self._log(f"the pipe {self._name} takes nobody: {error.strerror}")
            return False
        first = win32event.WaitForMultipleObjects([over.hEvent, self._stop], False, win32event.INFINITE)
        if first == win32event.WAIT_OBJECT_0:
            return True
        win32file.CancelIo(self._next)
        return False


def _is_there(name: str) -> bool:
    try:
        win32pipe.WaitNamedPipe(name, 1)
    except pywintypes.error as error:
        return bool(error.winerror != winerror.ERROR_FILE_NOT_FOUND)
    return True


def _not_ours(handle: Any) -> str:
    """Return why the client of a pipe is not believed, or nothing."""
    try:
        pid = win32pipe.GetNamedPipeClientProcessId(handle)
        image = _image(pid)
    except (pywintypes.error, OSError) as error:
        return f"its program cannot be read: {error}"
    own = Path(sys.executable).parent
    return "" if Path(image).parent == own else f"it runs from {Path(image).parent}, expected {own}"


def _image(pid: int) -> str:
    process = win32api.OpenProcess(_QUERY_LIMITED, False, pid)
    try:
        text = ctypes.create_unicode_buffer(1024)
        size = wintypes.DWORD(len(text))
        if not _QUERY_IMAGE(int(process), 0, text, ctypes.byref(size)):
            raise ctypes.WinError()
        return text.value
    finally:
        win32api.CloseHandle(process)


_QUERY_IMAGE: Final = ctypes.WinDLL("kernel32").QueryFullProcessImageNameW
_QUERY_IMAGE.argtypes = (wintypes.HANDLE, wintypes.DWORD, wintypes.LPWSTR, ctypes.POINTER(wintypes.DWORD))


def connect(name: str) -> PipeChannel:
    """Connect to a pipe whose owner can be believed.

    Raises:
        NotThere: nobody listens.
        PipeError: whoever listens cannot be believed, or does not take us.
    """
    try:
        win32pipe.WaitNamedPipe(name, CONNECT_TIMEOUT_MS)
        handle = win32file.CreateFile(
            name, _CLIENT_ACCESS, 0, None, win32con.OPEN_EXISTING,
            win32file.FILE_FLAG_OVERLAPPED | _IDENTIFICATION, None,
        )  # fmt: skip
    except pywintypes.error as error:
        if error.winerror == winerror.ERROR_FILE_NOT_FOUND:
            raise NotThere(f"nobody listens on {name}") from None
        raise PipeError(f"{name} does not take us: {error.strerror}") from None
    owner = win32security.GetSecurityInfo(
        handle, win32security.SE_KERNEL_OBJECT, win32security.OWNER_SECURITY_INFORMATION
    ).GetSecurityDescriptorOwner()
    sid = win32security.ConvertSidToStringSid(owner)
    if sid not in (_SYSTEM, _ADMINISTRATORS, own_sid()):
        handle.Close()
        raise PipeError(f"expected {name} to belong to the system, an administrator or this user, saw {sid}; not used")
    return PipeChannel(handle)
