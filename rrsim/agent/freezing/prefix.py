"""The Wine prefix that the build runs in: a copy of a prepared one, with a home of its own, and no desktop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from rrsim.agent.freezing.errors import BuildError, Progress
from rrsim.agent.freezing.places import digest_of, only_maker, put_in_place, scratch_dir
from rrsim.agent.freezing.steps import find_tool, run_step
from rrsim.wine_start import plainly

MAKE_PREFIX_S: Final = 180.0
"""Time for making a new prefix, in seconds; about 15 on an idle machine."""

COPY_PREFIX_S: Final = 120.0
END_PREFIX_S: Final = 30.0


class Prefix(msgspec.Struct, frozen=True):
    """A running Wine prefix."""

    path: Path
    wine: str
    log: Path

    def run(self, what: str, command: list[str], *, within_s: float, cwd: Path | None = None,
            env: dict[str, str] | None = None) -> str:
        """Run a Windows program and return what it printed.

        Raises:
            BuildError: it failed or took too long.
        """
        return run_step(what, [*plainly(), self.wine, *command], log=self.log, within_s=within_s, cwd=cwd,
                        env=wine_environment(self.path) | (env or {}))


def wine_environment(prefix: Path) -> dict[str, str]:
    """Return the environment for a prefix. Little is handed on: Windows programs see what Wine was started with."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return kept | {
        "HOME": str(prefix / "home"),
        "WINEPREFIX": str(prefix),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "winemenubuilder.exe=;mscoree=;mshtml=",
    }


def windows_path(path: Path) -> str:
    """Return how programs in the prefix name a file of this computer: through drive z:, which is its root."""
    return "Z:" + str(path).replace("/", "\\")


@contextmanager
def fresh_prefix(cache: Path, log: Path, progress: Progress) -> Iterator[Prefix]:
    """Give a fresh prefix and end everything in it afterwards.

    Raises:
        ToolMissing: Wine is not installed.
        BuildError: Wine could not make a prefix.
    """
    wine = find_tool("wine")
    template = _template(wine, cache, log, progress)
    with scratch_dir(cache, "prefix") as scratch:
        path = scratch / "prefix"
        run_step("copy of the prepared Wine prefix", ["cp", "-a", "--reflink=auto", str(template), str(path)],
                 log=log, within_s=COPY_PREFIX_S)
        try:
            yield Prefix(path, wine, log)
        finally:
            end_prefix(path, log)


def end_prefix(path: Path, log: Path) -> None:
    """End every process of a prefix and wait for it; harmless if none runs."""
    wineserver = find_tool("wineserver")
    for what, flag in (("end of the Wine prefix", "-k"), ("last word of the Wine prefix", "-w")):
        try:
            run_step(what, [wineserver, flag], log=log, within_s=END_PREFIX_S, env=wine_environment(path))
        except BuildError:
            if flag == "-w":
                raise  # `-k` answers 1 when nothing runs; `-w` must come back


def _template(wine: str, cache: Path, log: Path, progress: Progress) -> Path:
    """Return the prepared prefix of this version of Wine, made once."""
    version = run_step("wine --version", [*plainly(), wine, "--version"], log=log, within_s=30.0,
                       env=wine_environment(cache / "none")).splitlines()[-1].strip()
    place = cache / "wine-prefix" / digest_of([version])[:16]
    with only_maker(place.parent):
        if not place.is_dir():
            progress(f"preparing a Wine prefix ({version})")
            _make_template(wine, place, cache, log)
    return place


def _make_template(wine: str, place: Path, cache: Path, log: Path) -> None:
    with scratch_dir(cache, "prefix") as scratch:
        path = scratch / "prefix"
        (path / "home").mkdir(parents=True)
        try:
            run_step("wineboot --init", [*plainly(), wine, "wineboot", "--init"], log=log, within_s=MAKE_PREFIX_S,
                     env=wine_environment(path))
            run_step("end of wineboot", [find_tool("wineserver"), "-w"], log=log, within_s=MAKE_PREFIX_S,
                     env=wine_environment(path))
        finally:
            end_prefix(path, log)
        if not (path / "system.reg").is_file():
            raise BuildError("a Wine prefix with a registry", "no system.reg after wineboot", f"the log: {log}")
        put_in_place(path, place)
