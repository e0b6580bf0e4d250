"""Windows machines on Wine: Wine runs, the compiler for Windows makes a program, and the one runs the other."""

from __future__ import annotations

import re
import shutil
from typing import Final

from rrsim.backends.live.wine.parts import COMPILER
from rrsim.doctor import programs
from rrsim.doctor.finding import Seen
from rrsim.doctor.trial import Place, attempt, last_words, trouble
from rrsim.wine_start import PLAINLY, plainly

WINE: Final = ("wine64", "wine")
MINGW: Final = ("gcc-mingw-w64-x86-64",)
NSIS: Final = ("nsis",)
XDOTOOL: Final = ("xdotool",)
OBJDUMP: Final = "x86_64-w64-mingw32-objdump"

PROGRAM: Final = '#include <stdio.h>\nint main(void) { puts("rrsim on Windows"); return 0; }\n'
WORDS: Final = "rrsim on Windows"
PREFIX_MIB: Final = 900
"""A fresh prefix, for a moment."""
COMPILE_S: Final = 30.0
SERVER_S: Final = 20.0
RUN_S: Final = 120.0


def wine(place: Place) -> Seen:
    """Ask Wine for its version."""
    return programs.version(place, "wine", ("--version",), r"wine-(\d+)\.(\d+)", WINE, oldest=(8, 0))


def wineserver(place: Place) -> Seen:
    """Start Wine's server process for a prefix of its own, and end it."""
    prefix = place.scratch / "server-prefix"
    prefix.mkdir(mode=0o700, exist_ok=True)
    home = {"WINEPREFIX": str(prefix)}
    begun = attempt(place, "wineserver", "-p30", limit_s=SERVER_S, more=home)
    bad = trouble(begun, WINE, place)
    if bad is not None:
        return bad
    ended = attempt(place, "wineserver", "-k", limit_s=SERVER_S, more=home)
    if not ended.well:
        return Seen("broken", f"started, but cannot be ended: {ended.story}", "look for processes named wineserver")
    return Seen("ok", f"started and ended in {begun.took_s + ended.took_s:.1f} s")


def compiler(place: Place) -> Seen:
    """Compile a program of one line for Windows and look at what came of it."""
    source, made = place.scratch / "tiny.c", place.scratch / "tiny.exe"
    source.write_text(PROGRAM, encoding="ascii")
    made.unlink(missing_ok=True)
    tried = attempt(place, COMPILER, "-O1", "-s", "-o", made, source, limit_s=COMPILE_S)
    bad = trouble(tried, MINGW, place)
    if bad is not None:
        return bad
    if not made.is_file() or made.read_bytes()[:2] != b"MZ":
        return Seen("broken", f"{COMPILER} ended with 0 and made no program for Windows",
                    place.sudo(f"apt-get install --reinstall -y {MINGW[0]}"))
    looked = attempt(place, OBJDUMP, "-f", made, limit_s=COMPILE_S)
    bad = trouble(looked, ("binutils-mingw-w64-x86-64",), place)
    if bad is not None:
        return bad
    if "pei-x86-64" not in looked.text:
        return Seen("broken", f"{OBJDUMP} does not know what the compiler made: {last_words(looked.text)!r}",
                    place.sudo("apt-get install --reinstall -y binutils-mingw-w64-x86-64"))
    return Seen("ok", f"a program of {made.stat().st_size // 1024} KiB in {tried.took_s:.1f} s")


def windows_program(place: Place) -> Seen:
    """Run the program that was compiled on a Windows made for it: the whole way, from nothing to its words."""
    free_mib = shutil.disk_usage(place.scratch).free // 2**20
    if free_mib < PREFIX_MIB:
        return Seen("broken", f"{place.scratch}: {free_mib} MiB free, {PREFIX_MIB} needed for a Windows drive",
                    "make room there, or set TMPDIR to another folder")
    home = {
        "WINEPREFIX": str(place.scratch / "prefix"), "WINEDEBUG": "-all", "DISPLAY": "",
        "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=",
    }
    before = plainly() if place.which(PLAINLY[0]) else ()
    try:
        tried = attempt(place, *before, "wine", place.scratch / "tiny.exe", limit_s=RUN_S, more=home)
    finally:
        attempt(place, "wineserver", "-k", limit_s=SERVER_S, more=home)
        attempt(place, "wineserver", "-w", limit_s=SERVER_S, more=home)
    if not tried.well or WORDS not in tried.text:
        heard = tried.story if not tried.well else f"it said {last_words(tried.text)!r} in place of {WORDS!r}"
        return Seen("broken", f"on a fresh Windows drive: {heard}",
                    place.sudo(f"apt-get install --reinstall -y {' '.join(WINE)}"))
    return Seen("ok", f"a fresh Windows drive ran it in {tried.took_s:.0f} s")


def installer_compiler(place: Place) -> Seen:
    """Ask NSIS for its version."""
    return programs.version(place, "makensis", ("-VERSION",), r"v?(\d+)\.(\d+)", NSIS, oldest=(3, 0))


def hands(place: Place, display: str) -> Seen:
    """Move a pointer on a display, and look where it is."""
    tried = attempt(
        place, "xdotool", "mousemove", "31", "17", "getmouselocation", limit_s=20, more={"DISPLAY": display}
    )
    bad = trouble(tried, XDOTOOL, place)
    if bad is not None:
        return bad
    if re.search(r"\bx:31 y:17\b", tried.text) is None:
        return Seen("broken", f"sent the pointer to 31, 17; it is at {last_words(tried.text)!r}",
                    place.sudo("apt-get install --reinstall -y xdotool"))
    return Seen("ok", "the pointer went where it was sent")
