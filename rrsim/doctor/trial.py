"""Trying a program: it gets so many seconds, its output is kept up to a size, and nothing of it stays behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Final, Literal

import msgspec

from rrsim.doctor.finding import Seen
from rrsim.live_clock import monotonic_us

MOST_OUTPUT_BYTES: Final = 1_000_000
"""A program that prints more than this is ended: it is not the one we know."""
SLICE_S: Final = 0.25
SHOWN_CHARACTERS: Final = 200

How = Literal["ended", "absent", "refused", "hung", "babbled"]


class Place(msgspec.Struct, frozen=True):
    """The computer as the checks see it."""

    environment: dict[str, str]
    scratch: Path
    """A folder for this examination only; it goes with its end."""
    uri: str = "qemu:///system"
    """libvirt's address."""
    images: Path = Path("vm_images")
    """Where the images' descriptions are."""
    sbin: str = "/usr/sbin:/sbin"
    """Where programs for the administrator are, which are often not on a user's PATH."""
    root: bool = False
    """Whether the user is the administrator."""
    hasty: float = 1.0
    """Every deadline is multiplied by this."""

    def which(self, program: str) -> str | None:
        """Return where a program is, along PATH and then among the administrator's; nothing if it is not there."""
        path = self.environment.get("PATH", "")
        return shutil.which(program, path=path) or shutil.which(program, path=self.sbin)

    def sudo(self, command: str) -> str:
        """Return the command as this user has to give it."""
        return command if self.root else f"sudo {command}"


class Tried(msgspec.Struct, frozen=True):
    """What came of trying a program."""

    program: str
    how: How
    code: int
    """Exit code; negative for a signal; 0 if it never ran."""
    text: str
    """What it printed on both outputs, cut at a size."""
    took_s: float

    @property
    def well(self) -> bool:
        """Whether it ran and ended with 0."""
        return self.how == "ended" and self.code == 0

    @property
    def story(self) -> str:
        """What happened, in one line."""
        name = Path(self.program).name
        last = last_words(self.text)
        said = f": {last}" if last else ", and said nothing"
        return {
            "ended": f"{name} ended with {self.code}{said}",
            "absent": f"no program {name} on PATH",
            "refused": f"{name} cannot be started{said}",
            "hung": f"{name} did not end within {self.took_s:.0f} s{said}",
            "babbled": f"{name} printed more than {MOST_OUTPUT_BYTES} bytes: {self.text[:60].strip()!r}…",
        }[self.how]


def last_words(text: str) -> str:
    """Return the last line that says anything, cut at a length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:SHOWN_CHARACTERS] if lines else ""


def attempt(place: Place, *command: str | Path, limit_s: float, more: dict[str, str] | None = None) -> Tried:
    """Run a program of the computer and wait for its end, but not longer than its deadline.

    Args:
        command: the program, looked for along the place's PATH, and its arguments.
        limit_s: seconds after which it is ended with everything it started in its own session.
        more: environment on top of the place's.
    """
    name, *arguments = map(str, command)
    program = place.which(name)
    if program is None:
        return Tried(name, "absent", 0, "", 0.0)
    began = monotonic_us()
    environment = {**place.environment, "LC_ALL": "C", "TMPDIR": str(place.scratch), **(more or {})}
    # A file, not a pipe: background processes that a program leaves would hold a pipe open.
    with tempfile.TemporaryFile(dir=place.scratch) as output:
        try:
            process = subprocess.Popen(
                [program, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=environment, cwd=place.scratch, start_new_session=True,
            )
        except OSError as error:
            return Tried(name, "refused", 0, error.strerror or str(error), 0.0)
        try:
            how = _await(process, output, began + round(limit_s * place.hasty * 1e6))
        finally:
            _end(process)
        output.seek(0)
        text = output.read(MOST_OUTPUT_BYTES).decode(errors="replace")
    return Tried(name, how, process.returncode if how == "ended" else 0, text, (monotonic_us() - began) / 1e6)


def _await(process: subprocess.Popen[bytes], output: IO[bytes], over_us: int) -> How:
    while True:
        left_s = (over_us - monotonic_us()) / 1e6
        if left_s <= 0:
            return "hung"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(SLICE_S, left_s))
            return "ended"
        if os.fstat(output.fileno()).st_size > MOST_OUTPUT_BYTES:
            return "babbled"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the program's own process group. Its number is ours until we have waited for it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def trouble(tried: Tried, packages: tuple[str, ...], place: Place) -> Seen | None:
    """Return what to say of a program that is absent or did not do its work; nothing if it did.

    ``packages`` bring the program.
    """
    if tried.well:
        return None
    if tried.how == "absent":
        return Seen("missing", tried.story, place.sudo(f"apt-get install -y {' '.join(packages)}"), packages)
    again = place.sudo(f"apt-get install --reinstall -y {' '.join(packages)}")
    return Seen("broken", tried.story, f"try it by hand; if it is damaged: {again}")
