"""A screen without hardware, a picture of it, the hands on it; and the browser."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rrsim.doctor import programs, wine
from rrsim.doctor.finding import Seen
from rrsim.doctor.trial import Place, attempt, last_words, trouble
from rrsim.live_clock import monotonic_us

XVFB: Final = ("xvfb",)
CHROMIUM: Final = ("chromium",)
SIZE: Final = (320, 200)
START_S: Final = 15.0
BROWSER_S: Final = 45.0
PAGE: Final = "data:text/html,<p></p><script>document.querySelector('p').textContent='rr'+'sim'</script>"


class NoScreen(Exception):
    """The screen did not come up; the text says what was seen."""


@contextlib.contextmanager
def screen(place: Place) -> Iterator[tuple[str, Path]]:
    """Hold a screen; gives its display and the file that its picture can be read from.

    Raises:
        NoScreen: Xvfb is not there, or named no display within its deadline.
    """
    program = place.which("Xvfb")
    if program is None:
        raise NoScreen("no program Xvfb on PATH")
    folder = place.scratch / "screen"
    folder.mkdir(exist_ok=True)
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [program, "-displayfd", str(writing), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-fbdir", str(folder),
             "-nolisten", "tcp", "-noreset"],
            pass_fds=(writing,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=place.environment, start_new_session=True,
        )
    except OSError as error:
        os.close(reading)
        os.close(writing)
        raise NoScreen(f"Xvfb cannot be started: {error.strerror}") from error
    os.close(writing)
    try:
        display = _line(reading, START_S * place.hasty)
        if not display.isdigit():
            code = process.poll()
            state = "is still running" if code is None else f"ended with {code}"
            raise NoScreen(f"Xvfb named no display within {START_S * place.hasty:.0f} s and {state}")
        yield f":{display}", folder / "Xvfb_screen0"
    finally:
        os.close(reading)
        _end(process)


def _line(handle: int, limit_s: float) -> str:
    """Return the first line from a pipe, or what came within the time."""
    got = b""
    over_us = monotonic_us() + round(limit_s * 1e6)
    while b"\n" not in got and len(got) < 100:
        left_s = (over_us - monotonic_us()) / 1e6
        if left_s <= 0 or not select.select([handle], [], [], left_s)[0]:
            break
        piece = os.read(handle, 100)
        if not piece:
            break
        got += piece
    return got.decode(errors="replace").strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server in its own way first: it takes its lock file away."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def virtual_screen(place: Place) -> Seen:
    """Start a screen and read its picture."""
    if place.which("Xvfb") is None:
        return Seen("missing", "no program Xvfb on PATH", place.sudo("apt-get install -y xvfb"), XVFB)
    again = place.sudo("apt-get install --reinstall -y xvfb")
    try:
        with screen(place) as (display, picture):
            size = picture_size(picture.read_bytes() if picture.is_file() else b"")
    except NoScreen as error:
        return Seen("broken", str(error), f"try it by hand: Xvfb -displayfd 1; if it is damaged: {again}")
    if size != SIZE:
        return Seen("broken", f"display {display}: expected a picture of {SIZE[0]}x{SIZE[1]}, saw {size}", again)
    return Seen("ok", f"display {display}, picture of {size[0]}x{size[1]}")


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return the size of a picture in the X window dump format, version 7; nothing if it is none, or cut short."""
    if len(data) < 100:
        return None
    header, version, _format, _depth, width, height = struct.unpack(">6I", data[:24])
    (line_bytes,) = struct.unpack(">I", data[48:52])
    whole = version == 7 and len(data) >= header + line_bytes * height
    return (width, height) if whole else None


def hands(place: Place) -> Seen:
    """Move the pointer on a screen."""
    if place.which("xdotool") is None:
        return Seen("missing", "no program xdotool on PATH", place.sudo("apt-get install -y xdotool"), wine.XDOTOOL)
    try:
        with screen(place) as (display, _picture):
            return wine.hands(place, display)
    except NoScreen as error:
        return Seen("broken", str(error), "try it by hand: Xvfb -displayfd 1")


def browser(place: Place) -> Seen:
    """Have Chromium play a page with a script, without a window."""
    told = programs.version(place, "chromium", ("--version",), r"Chromium (\d+)\.(\d+)", CHROMIUM, oldest=(100, 0))
    if told.state != "ok":
        return told
    # Chromium's own sandbox refuses to work for the administrator.
    sandbox = ("--no-sandbox",) if place.root else ()
    tried = attempt(
        place, "chromium", "--headless", "--disable-gpu", *sandbox, f"--user-data-dir={place.scratch / 'browser'}",
        "--dump-dom", PAGE, limit_s=BROWSER_S, more={"HOME": str(place.scratch)},
    )
    bad = trouble(tried, CHROMIUM, place)
    if bad is not None:
        return bad
    if ">rrsim</p>" not in tried.text:
        return Seen("broken", f"{told.what}: its script did not run: {last_words(tried.text)!r}",
                    place.sudo("apt-get install --reinstall -y chromium"))
    return Seen("ok", f"{told.what}, a page with a script in {tried.took_s:.1f} s")
