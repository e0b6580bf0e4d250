"""The prepared prefix that every machine is a copy of, and copying it.

Making one takes about half a minute; it is kept in the cache under a name that changes with everything it is made from.
A copy shares the big files that nothing writes to (Wine's libraries) by hard links, so that it takes little time and
space, and machines share them in memory too. Links are never followed: ``dosdevices`` may point out of the prefix.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rrsim.backends.live.wine import lease, parts

DRIVE: Final = Path("drive_c")
SYSTEM32: Final = DRIVE / "windows" / "system32"
HARNESS: Final = DRIVE / "rrsim"
"""Where the harness's own programs are; never part of an inventory."""
SHARED: Final = frozenset({
    ".acm", ".ax", ".com", ".cpl", ".dll", ".drv", ".exe", ".fon", ".nls", ".ocx", ".sys", ".tlb", ".ttf",
})
LEFT_OUT: Final = ("winemenubuilder.exe", "mscoree", "mshtml")
QUIET: Final = {"WINEDLLOVERRIDES": ";".join(f"{name}=" for name in LEFT_OUT)}
OWN: Final = ("advapi32", "wineboot.exe", "shutdown.exe")
OLD_S: Final = 24 * 3600
SAFE_SERVICES: Final = (
    "Dhcp", "Dnscache", "EventLog", "LanmanWorkstation", "NetBT", "NlaSvc", "PlugPlay", "Power", "ProfSvc", "RpcSs",
    "Tcpip", "WinDefend", "winmgmt", "{4D36E972-E325-11CE-BFC1-08002BE10318}",
)
"""Some of what Windows lists for safe mode with networking; WinRM and RasMan are not among them."""
OWN_PLACE: Final = frozenset({"restart-dialog.exe", "start-menu.exe", "installer.exe", "block-shutdown.exe"})
IDLE_SERVICES: Final = ("winebus", "winehid", "wineusb", "Winedevice2")
"""Wine's drivers for game controllers: nothing here needs them, and they make each boot slower."""


def environment(prefix: Path, display: str = "") -> dict[str, str]:
    """Return the environment of everything in a machine: nothing of the host's leaks in."""
    host = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "USER", "LOGNAME") if name in os.environ}
    wine = {"WINEPREFIX": str(prefix), "WINEARCH": "win64", "WINEDEBUG": os.environ.get("RRSIM_WINEDEBUG", "-all")}
    return {"LANG": "C.UTF-8"} | host | wine | ({"DISPLAY": display} if display else {})


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


async def prepare(screen: tuple[int, int]) -> Path:
    """Return the prepared prefix for a screen size; make it if the cache has none.

    Raises:
        WineMissing: a program is missing or failed.
    """
    parts.require_programs()
    place = parts.cache_home() / f"wine-{await parts.digest()}-{screen[0]}x{screen[1]}"
    if (place / "ready").exists():
        (place / "ready").touch()
        return place / "prefix"
    lock = _locked(parts.cache_home() / "wine-template.lock")
    await asyncio.to_thread(lock.__enter__)
    try:
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            await _make(place, screen)
            (place / "ready").touch()
            _forget_old(place)
    finally:
        lock.__exit__(None, None, None)
    return place / "prefix"


def _forget_old(newest: Path) -> None:
    """Remove prepared prefixes that nobody has used for a day before this one was made."""
    made = (newest / "ready").stat().st_mtime
    for mark in newest.parent.glob("wine-*/ready"):
        if "-bare-" not in mark.parent.name and mark.stat().st_mtime < made - OLD_S:
            shutil.rmtree(mark.parent, ignore_errors=True)


async def _bare() -> Path:
    """Return a prefix just as this version of Wine makes it: the slow part, and the same for every state of ours."""
    place = parts.cache_home() / f"wine-bare-{await parts.wine_digest()}"
    if not (place / "ready").exists():
        shutil.rmtree(place, ignore_errors=True)
        prefix = place / "prefix"
        prefix.mkdir(parents=True)
        env = environment(prefix) | QUIET
        await parts.call_quietly("wine", "wineboot", "-i", env=env)
        await _at_rest(prefix, env)
        (prefix / ".update-timestamp").write_text("disable", encoding="ascii")
        (prefix / "dosdevices" / "z:").unlink(missing_ok=True)
        (place / "ready").touch()
    return place / "prefix"


async def _at_rest(prefix: Path, env: dict[str, str]) -> None:
    """Wait until nothing runs in a prefix, and leave nothing of its kernel outside of it."""
    await parts.call("wineserver", "-w", env=env)
    lease.forget_kernel(prefix)


async def _make(place: Path, screen: tuple[int, int]) -> None:
    bare, prefix = await _bare(), place / "prefix"
    await asyncio.to_thread(copy, bare, prefix)
    env = environment(prefix) | QUIET
    await parts.build(place / "parts", prefix / SYSTEM32)
    settings = prefix / DRIVE / "settings.reg"
    settings.write_text(_settings(screen), encoding="utf-16")
    await parts.call_quietly("wine", "regedit", "/S", r"C:\settings.reg", env=env)
    await _at_rest(prefix, env)
    settings.unlink()
    _install(place / "parts", prefix)


def _settings(screen: tuple[int, int]) -> str:
    wide, high = screen
    machine, user = "HKEY_LOCAL_MACHINE", r"HKEY_CURRENT_USER\Software\Wine"
    control = rf"{machine}\SYSTEM\CurrentControlSet\Control"
    overrides = [f'"{name}"="native,builtin"' for name in OWN] + [f'"{name}"=""' for name in LEFT_OUT]
    lines = [
        "Windows Registry Editor Version 5.00", "", rf"[{user}\DllOverrides]", *overrides, "",
        rf"[{user}\Explorer]", '"Desktop"="Default"', "",
        rf"[{user}\Explorer\Desktops]", f'"Default"="{wide}x{high}"', "",
        rf"[{user}\WineDbg]", '"ShowCrashDialog"=dword:00000000', "",
        rf"[{machine}\Software\Microsoft\Windows\CurrentVersion\RunOnce]", "",
        r"[HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\RunOnce]", "",
        r"[HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Run]", "",
        rf"[{machine}\Software\Microsoft\Windows\CurrentVersion\RunServices]", '"winemenubuilder"=-', "",
        rf"[{machine}\Software\rrsim stand-in]", "", rf"[{control}\SafeBoot\Minimal]", "",
        # Wine gives a service 10 s to start, where Windows gives 30, and has the number as text, where Windows has a
        # DWORD; an emulated processor needs more than either.
        rf"[{control}]", '"ServicesPipeTimeout"="120000"', "",
    ]
    for name in SAFE_SERVICES:
        lines += [rf"[{control}\SafeBoot\Network\{name}]", '@="Service"', ""]
    for name in IDLE_SERVICES:
        lines += [rf"[{machine}\SYSTEM\CurrentControlSet\Services\{name}]", '"Start"=dword:00000004', ""]
    return "\r\n".join(lines) + "\r\n"


def _install(built: Path, prefix: Path) -> None:
    """Put the stand-ins where programs look for them."""
    (prefix / HARNESS).mkdir()
    for path in built.iterdir():
        if path.suffix not in {".dll", ".exe"}:
            continue
        own = path.name in OWN_PLACE
        target = prefix / (HARNESS if own else SYSTEM32) / path.name
        target.unlink(missing_ok=True)
        shutil.copy2(path, target)


def copy(template: Path, prefix: Path) -> None:
    """Make a machine's prefix from the prepared one; see the top of this file for what is shared."""
    shutil.copytree(template, prefix, symlinks=True, copy_function=_copy_or_link)
    (prefix / "wineserver").unlink(missing_ok=True)  # it names the folder of the template's own kernel


def _copy_or_link(source: str, target: str) -> str:
    if os.path.splitext(source)[1].lower() in SHARED and f"{os.sep}windows{os.sep}" in source:  # noqa: PTH122 -- thousands of files: a string is quicker than a path
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:
            pass  # another file system: a copy does as well
        else:
            return target
    return str(shutil.copy2(source, target, follow_symlinks=False))
