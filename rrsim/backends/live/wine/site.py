"""Where a machine's Windows runs, seen from the harness: its disk, its processes, its screen, lines to helpers in it.

A prefix on this computer is one such place (:mod:`rrsim.backends.live.wine.local`), the Wine guest in a virtual machine
another (:mod:`rrsim.backends.live.vm.guest_site`). What is done there is the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PureWindowsPath
from typing import Final, Protocol

from rrsim.backends.live.wine.line import Fields, Line
from rrsim.backends.live.wine.power import NotPossible, Power
from rrsim.machine.observations import AnyObservation

PLACES: Final = (
    "ProgramData", "users", "Program Files", "Program Files (x86)", "windows/temp", "windows/tasks", "Boot",
)
"""Folders of the drive whose files a session could leave behind."""
FLAG_FILE: Final = "Boot/bcd.standin"
"""The boot options, a file of the drive."""


class Site(Protocol):
    """One machine's place."""

    display: str
    """The X display that the machine's windows are on."""
    drive_c: Path
    """Drive C: as this computer sees it: all of it, or what :meth:`fetch` has brought."""

    def power(self, observe: Callable[[AnyObservation], None]) -> Power:
        """Return what switches the machine on and off; called once."""

    async def open_line(self, name: str, program: str, hear: Callable[[Fields], None]) -> Line:
        """Start a helper (``program`` is its file name in ``system32``) and return the line to it."""

    # --- the disk ---

    async def files(self) -> set[str]:
        """List the files in :data:`PLACES`, as paths below the drive with ``/``."""

    async def take(self, windows_path: str) -> bytes:
        """Return a file's content and remove it; nothing if there is none."""

    async def copy_in(self, folder: Path, target: str, beside: Mapping[str, bytes]) -> None:
        """Copy a folder of this computer to a Windows path, and put further files beside what is in it."""

    async def remove_tree(self, windows_path: str) -> None:
        """Remove a folder with all that is in it."""

    async def fetch(self) -> None:
        """Have :attr:`drive_c` show the programs' logs as they are now."""

    # --- the boot options ---

    def flag(self) -> bool:
        """Whether the boot options ask for a safe boot, as far as is known here and now."""

    async def look_at_flag(self) -> int:
        """Have :meth:`flag` be up to date; return when the options last changed, as ``monotonic_us``; 0: never."""

    # --- processes ---

    def processes(self) -> dict[int, str]:
        """Return the machine's processes, number to command line, as far as is known here and now."""

    async def end_processes(self, pids: Collection[int]) -> None:
        """End processes as a crash would."""

    # --- screen and hands ---

    async def click(self, x: int, y: int) -> None:
        """Move the pointer and press its left button once."""

    async def type_text(self, text: str) -> None:
        """Type on the keyboard."""

    async def press_key(self, key: str) -> None:
        """Press a key, by its X name."""

    def screenshot(self) -> bytes:
        """Return a picture of the screen as PNG; may block for a moment."""

    async def close(self) -> None:
        """End the machine's place with everything in it."""


def below_drive(windows_path: str) -> tuple[str, ...]:
    """Return the parts of a Windows path below drive C:.

    Raises:
        NotPossible: it is not on drive C:.
    """
    pure = PureWindowsPath(windows_path)
    if pure.drive.upper() != "C:":
        raise NotPossible(f"{windows_path}: expected a path on drive C:, which is the only one")
    return pure.parts[1:]
