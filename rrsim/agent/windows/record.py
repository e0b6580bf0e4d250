"""The durable record on the disk: encrypted for its owner, readable by its owner only, replaced whole (rule 5).

The bytes go through DPAPI, for the user in application mode and for SYSTEM in service mode, so that another account
that reads the file learns nothing. The file's access list names the owner alone and inherits nothing. A new record is
written beside the old one, flushed, and moved over it: a power cut leaves the old record or the new one, never half
of one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rrsim.agent.host import Saved
from rrsim.agent.outside import HostError

assert sys.platform == "win32"

import pywintypes
import win32api
import win32con
import win32crypt
import win32file as _win32file
import win32security as _win32security

if TYPE_CHECKING:
    from _win32typing import PySECURITY_DESCRIPTOR

win32file: Any = _win32file
win32security: Any = _win32security
"""Untyped: the stubs take what these calls return, ``PyHANDLE``, for plain numbers."""
_ABOUT: Final = "rragent record"
_REPLACE: Final = 0x1  # MOVEFILE_REPLACE_EXISTING
_WRITE_THROUGH: Final = 0x8  # MOVEFILE_WRITE_THROUGH: returns when the change is on the disk
_NEVER_ASK: Final = 0x1  # CRYPTPROTECT_UI_FORBIDDEN
_IN_USE: Final = (5, 32)  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION
MOVE_TRIES: Final = 50
MOVE_WAIT_S: Final = 0.02
MAX_BYTES: Final = 64 * 1024


class Record:
    """One agent's record file."""

    def __init__(self, folder: Path) -> None:
        """Use ``record.bin`` in ``folder``."""
        self.path = folder / "record.bin"

    def load(self) -> tuple[Saved | None, bool]:
        """Return the record, and whether one is there that cannot be read (SH-09, BO-14)."""
        try:
            if self.path.stat().st_size > MAX_BYTES:
                return None, True
            blob = self.path.read_bytes()
        except FileNotFoundError:
            return None, False
        except OSError:
            return None, True
        try:
            _, data = win32crypt.CryptUnprotectData(blob, None, None, None, _NEVER_ASK)
            return msgspec.json.decode(data, type=Saved), False
        except (pywintypes.error, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            return None, True

    def save(self, record: Saved) -> None:
        """Replace the record.

        Raises:
            HostError: it could not be written durably.
        """
        try:
            blob = win32crypt.CryptProtectData(msgspec.json.encode(record), _ABOUT, None, None, None, _NEVER_ASK)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.path.with_suffix(".new")
            _write_for_owner_only(fresh, blob)
            _move_over(fresh, self.path)
        except pywintypes.error as error:
            raise HostError(f"the record could not be saved: {error.strerror}") from None
        except OSError as error:
            raise HostError(f"the record could not be saved: {error.strerror}") from None

    def erase(self) -> None:
        """Remove the record, and what a crash in :meth:`save` may have left.

        Raises:
            HostError: it is still there.
        """
        for path in (self.path.with_suffix(".new"), self.path):
            try:
                _remove(path)
            except OSError as error:
                raise HostError(f"the record could not be erased: {error.strerror}") from None


def _remove(path: Path) -> None:
    """Remove a file, if it is there; whoever looks at it at this moment is waited for, as in :func:`_move_over`."""
    for attempt in range(MOVE_TRIES):
        try:
            path.unlink(missing_ok=True)
            return
        except PermissionError:
            if attempt == MOVE_TRIES - 1:
                raise
        threading.Event().wait(MOVE_WAIT_S)


def _move_over(fresh: Path, path: Path) -> None:
    """Put the new record in the old one's place, durably.

    A virus scanner or an indexer that looks at the old one at this moment is waited for, up to a limit.
    """
    _when_free(lambda: win32file.MoveFileEx(str(fresh), str(path), _REPLACE | _WRITE_THROUGH))
    # Write-through is a promise about the data of a move between volumes. That the name is on disk too is certain only
    # when the file has been flushed under it, and the power may fail as soon as the restart has been asked for.
    _when_free(lambda: _flush(path))


def _flush(path: Path) -> None:
    sharing = win32con.FILE_SHARE_READ | win32con.FILE_SHARE_WRITE | win32con.FILE_SHARE_DELETE
    handle = win32file.CreateFile(
        str(path), win32con.GENERIC_WRITE, sharing, None, win32con.OPEN_EXISTING, win32con.FILE_ATTRIBUTE_NORMAL, None
    )
    try:
        win32file.FlushFileBuffers(handle)
    finally:
        handle.Close()


def _when_free(act: Callable[[], object]) -> None:
    """Do this to a file as soon as nobody else holds it; up to a limit, then it fails as it failed last."""
    for attempt in range(MOVE_TRIES):
        try:
            act()
            return
        except pywintypes.error as error:
            if error.winerror not in _IN_USE or attempt == MOVE_TRIES - 1:
                raise
        threading.Event().wait(MOVE_WAIT_S)


def _write_for_owner_only(path: Path, data: bytes) -> None:
    attributes = win32security.SECURITY_ATTRIBUTES()
    attributes.SECURITY_DESCRIPTOR = owner_only()
    handle = win32file.CreateFile(
        str(path), win32con.GENERIC_WRITE, 0, attributes, win32con.CREATE_ALWAYS, win32con.FILE_ATTRIBUTE_NORMAL, None
    )
    try:
        win32file.WriteFile(handle, data)
        win32file.FlushFileBuffers(handle)
    finally:
        handle.Close()
    # CREATE_ALWAYS keeps the access list of a file that was there: set it once more.
    win32security.SetFileSecurity(
        str(path),
        win32security.DACL_SECURITY_INFORMATION | win32security.PROTECTED_DACL_SECURITY_INFORMATION,
        owner_only(),
    )


def owner_only() -> PySECURITY_DESCRIPTOR:
    """Return a security descriptor that lets the running account in, and nobody else."""
    token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32con.TOKEN_QUERY)
    try:
        sid, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
    finally:
        token.Close()
    access = win32security.ACL()
    access.AddAccessAllowedAce(win32security.ACL_REVISION, win32con.GENERIC_ALL, sid)
    descriptor: PySECURITY_DESCRIPTOR = win32security.SECURITY_DESCRIPTOR()
    descriptor.SetSecurityDescriptorDacl(True, access, False)
    descriptor.SetSecurityDescriptorControl(win32security.SE_DACL_PROTECTED, win32security.SE_DACL_PROTECTED)
    return descriptor


def hide_from_others(folder: Path) -> None:
    """Make the data folder, readable by administrators and the running account only."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
