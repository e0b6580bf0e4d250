"""What a Wine machine is made of: the host's programs, and the stand-ins that are built here from C.

The stand-ins are built once for a Wine version and a state of their sources, and kept in the cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from rrsim.backends.live import processes
from rrsim.wine_start import plainly

C_SOURCES: Final = Path(__file__).with_name("c")
COMPILER: Final = "x86_64-w64-mingw32-gcc"
NEEDED: Final = ("wine", "wineserver", "Xvfb", "xdotool", COMPILER, "x86_64-w64-mingw32-objdump", "makensis")
INSTALL: Final = "apt-get install wine64 wine xvfb xdotool gcc-mingw-w64-x86-64 nsis"
SIGNATURE: Final = slice(0x40, 0x60)
"""Where a library says that it is Wine's own; without it Wine loads the file as it stands, under any name."""

PROGRAMS: Final[dict[str, tuple[str, ...]]] = {
    "rrwinlogon.exe": ("winlogon.c", "session.c", "services.c", "power.c", "registry.c", "hives.c"),
    "rreyes.exe": ("eyes.c",),
    "rrwatch.exe": ("watch.c",),
    "block-shutdown.exe": ("block_shutdown.c",),
    "wineboot.exe": ("wineboot.c",),
    "bcdedit.exe": ("bcdedit.c",),
    "shutdown.exe": ("shutdown.c",),
    "restart-dialog.exe": ("restart_dialog.c",),
    "start-menu.exe": ("start_menu.c",),
}
WINDOWED: Final = frozenset({
    "rrwinlogon.exe", "rreyes.exe", "rrwatch.exe", "block-shutdown.exe", "restart-dialog.exe",
    # The start menu has no console: its window would come over the block screen, take a press, and be gone with it.
    "start-menu.exe",
})
LIBRARIES: Final = ("-lshell32", "-ladvapi32", "-lcrypt32")
REPLACED: Final = (
    "InitiateShutdownW", "InitiateSystemShutdownExW", "InitiateSystemShutdownW", "AbortSystemShutdownW",
    "RegisterServiceCtrlHandlerA", "RegisterServiceCtrlHandlerW", "RegisterServiceCtrlHandlerExA",
    "RegisterServiceCtrlHandlerExW", "SetServiceStatus", "RegFlushKey",
)
"""The functions of ``advapi32.dll`` that the stand-in answers itself."""

STAND_INS: Final[dict[str, str]] = {
    "shutdown API": "stand-in: shutdown API (advapi32 proxy)",
    "exit windows": "stand-in: ExitWindowsEx (advapi32 proxy)",
    "service controls": "stand-in: shutdown and session notices to services (advapi32 proxy)",
    "registry flush": "stand-in: RegFlushKey (advapi32 proxy)",
    "sign-in": "stand-in: power, sign-in and per-user autostart (rrwinlogon)",
    "block screen": "stand-in: block screen (rrwinlogon)",
    "boot options": "stand-in: boot options (bcdedit.exe)",
    "safe boot": "stand-in: safe boot with networking (wineboot.exe)",
    "shutdown.exe": "stand-in: shutdown.exe",
    "eyes": "harness helper: eyes (rreyes)",
    "watcher": "harness helper: watcher of files and registry (rrwatch)",
}
"""What stands in for a part of Windows that Wine lacks, by the name it has in reports."""


class WineMissing(Exception):
    """A program that a Wine machine needs is not installed, or does not work."""


def cache_home() -> Path:
    """Return the folder of everything rrsim can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rrsim"


def missing_programs() -> tuple[str, ...]:
    """Return which of the host's programs are not there."""
    return tuple(name for name in NEEDED if shutil.which(name) is None)


def require_programs() -> None:
    """Check that every program of the host is there.

    Raises:
        WineMissing: some are not; the message names them and the command that installs them.
    """
    missing = missing_programs()
    if missing:
        raise WineMissing(
            f"a Wine machine needs {', '.join(NEEDED)}; not found: {', '.join(missing)}; install them with: {INSTALL}"
        )


def _words(command: tuple[str | Path, ...]) -> list[str]:
    return [*(plainly() if command[0] == "wine" else ()), *map(str, command)]


async def call(*command: str | Path, env: dict[str, str] | None = None, limit_s: float = 120) -> str:
    """Run a program of the host and return what it printed.

    Raises:
        WineMissing: it failed or did not end in time; the message has its last words.
    """
    process = await asyncio.create_subprocess_exec(
        *_words(command), env=env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(limit_s):
            printed, _ = await process.communicate()
    except TimeoutError:
        processes.send(process)
        await process.wait()
        raise WineMissing(
            f"{command[0]}: expected to end within {limit_s:g} s, and it did not; try it by hand"
        ) from None
    text = printed.decode(errors="replace")
    if process.returncode:
        raise WineMissing(f"{' '.join(map(str, command))}: ended with {process.returncode}: {text[-600:].strip()}")
    return text


async def call_quietly(*command: str | Path, env: dict[str, str], limit_s: float = 180) -> None:
    """Run a program with its output thrown away: background processes it leaves would keep a pipe open for ever.

    Raises:
        WineMissing: it failed or did not end in time.
    """
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *_words(command), env=env, stdin=nothing, stdout=nothing, stderr=nothing
    )
    try:
        async with asyncio.timeout(limit_s):
            code = await process.wait()
    except TimeoutError:
        processes.send(process)
        code = await process.wait()
    if code:
        raise WineMissing(f"{' '.join(map(str, command))}: expected to end well within {limit_s:g} s, seen: {code}; "
                          "try it by hand with WINEPREFIX set to a new folder")


async def wine_digest() -> str:
    """Return a word that changes with the Wine version."""
    return hashlib.sha256((await call("wine", "--version")).encode()).hexdigest()[:8]


async def digest() -> str:
    """Return a word that changes with the Wine version and with anything a prepared prefix is made from."""
    seen = hashlib.sha256((await wine_digest()).encode())
    here = Path(__file__).parent
    for path in sorted([*C_SOURCES.iterdir(), here / "parts.py", here / "template.py"]):
        seen.update(path.name.encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()[:16]


async def build(into: Path, system32: Path) -> None:
    """Build every stand-in into a folder; ``system32`` is that of a fresh prefix, with Wine's own libraries.

    Raises:
        WineMissing: the compiler refused a source.
    """
    await asyncio.to_thread(into.mkdir, parents=True, exist_ok=True)
    for name, sources in PROGRAMS.items():
        window = ("-mwindows",) if name in WINDOWED else ()
        paths = [C_SOURCES / source for source in sources]
        await call(COMPILER, "-O2", "-s", "-municode", *window, "-o", into / name, *paths, *LIBRARIES)
    await _build_proxy(into, system32 / "advapi32.dll")
    (into / "rradvapi.dll").write_bytes(_unsigned(system32 / "advapi32.dll"))
    # Wine's own boot program would run HKLM RunOnce before anybody signs in, without Windows' rules.
    boot = _unsigned(system32 / "wineboot.exe")
    key, other = ("RunOnce\0".encode("utf-16le"), "RunNone\0".encode("utf-16le"))
    if boot.count(key) != 1:
        raise WineMissing(f"wineboot.exe: expected the RunOnce key once, found {boot.count(key)}; use Wine 8.0")
    (into / "rrwineboot.exe").write_bytes(boot.replace(key, other))
    # A copy of the source: the compiler of installers writes beside it.
    shutil.copy2(C_SOURCES / "installer.nsi", into)
    await call("makensis", "-V2", "-INPUTCHARSET", "UTF8", into / "installer.nsi")


async def _build_proxy(into: Path, real: Path) -> None:
    """Build the library that passes on every function but :data:`REPLACED`."""
    table = (await call("x86_64-w64-mingw32-objdump", "-p", real)).partition("[Ordinal/Name Pointer] Table")[2]
    rows = (line.split() for line in table.partition("\n\n")[0].splitlines() if "]" in line)
    names = sorted({row[-1] for row in rows} | set(REPLACED))
    lines = [f"  {name} = {'rr_' + name if name in REPLACED else 'rradvapi.' + name}" for name in names]
    definition = into / "advapi32.def"
    definition.write_text("LIBRARY advapi32.dll\nEXPORTS\n" + "\n".join(lines) + "\n", encoding="ascii")
    # No C library: it would need the very library that is being replaced.
    await call(
        COMPILER, "-O2", "-s", "-shared", "-nostdlib", "-fno-builtin", "-fno-stack-protector", "-mno-stack-arg-probe",
        "-e", "DllMain", "-o", into / "advapi32.dll", C_SOURCES / "proxy.c", definition, "-lkernel32",
    )


def _unsigned(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[SIGNATURE] = bytes(SIGNATURE.stop - SIGNATURE.start)
    return bytes(data)
