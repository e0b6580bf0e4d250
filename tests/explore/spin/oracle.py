"""Builds and runs SPIN on ``protocol.pml``, and reads what it answers; nothing here knows rrsim.

As a program it prints how many states a second SPIN goes through (``tests/explore/spin/rate``).
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).resolve().parent
INSTALL: Final = "apt-get install -y spin gcc"
NEEDED: Final = ("spin", "gcc")
RATE_BOUNDS: Final = {"FAULTS": 3, "LINKS": 5, "LOSSES": 1, "FOREIGN": 1, "ASKED_FIRST": 1}
"""Bounds of the measurement: 1,048,290 states, about as many as a measurement of ours."""
_LIMIT_S: Final = 600


class OracleError(RuntimeError):
    """SPIN gave no answer that can be used."""


class ToolMissing(OracleError):
    """A program is not installed; the message names the command that installs it."""


class BuildFailed(OracleError):
    """The model does not compile."""


class Unreadable(OracleError):
    """The verifier said something else than expected."""


class CutShort(OracleError):
    """The verifier did not look at every state: its counts mean nothing."""


class Answer(NamedTuple):
    """What a verifier found."""

    states: int
    transitions: int
    errors: int
    broken: str
    """The invariant whose assertion failed, ``cycle`` for a cycle that is never left, empty for neither."""


def missing() -> tuple[str, ...]:
    """Return the programs that are not installed."""
    return tuple(name for name in NEEDED if shutil.which(name) is None)


def _run(command: list[str], folder: Path, **more: str) -> str:
    try:
        done = subprocess.run(
            command, check=False, cwd=folder, capture_output=True, text=True, timeout=_LIMIT_S, env=os.environ | more
        )
    except FileNotFoundError:
        raise ToolMissing(f"no program {command[0]}; install it with: {INSTALL}") from None
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-800:]
        raise BuildFailed(f"{' '.join(command)} ended with {done.returncode}: {said}")
    return done.stdout


class Verifier:
    """SPIN's verifier for one set of bounds, in a folder of its own."""

    def __init__(self, folder: Path, bounds: Mapping[str, int | str], optimise: str = "-O0") -> None:
        """Build it.

        Raises:
            ToolMissing: SPIN or the compiler is not installed.
            BuildFailed: the model does not compile.
        """
        self.folder = folder
        self.live = bool(bounds.get("LTL"))
        folder.mkdir(parents=True, exist_ok=True)
        for source in HERE.glob("*.pml"):
            shutil.copy(source, folder)
        said = _run(["spin", *(f"-D{name}={value}" for name, value in bounds.items()), "-a", "protocol.pml"], folder)
        if "Error" in said or "error:" in said:
            raise BuildFailed(f"spin: {said[:800]}")
        # Without partial-order reduction: the counts are to be those of the whole graph.
        kind = [] if self.live else ["-DSAFETY", "-DNOCLAIM"]
        _run(["gcc", optimise, "-w", "-DNOREDUCE", *kind, "-o", "pan", "pan.c"], folder)

    def run(self, bug: int = 0) -> Answer:
        """Look at every state, or up to the first error.

        Raises:
            Unreadable: the verifier's answer is not what it should be.
            CutShort: it did not look at everything.
        """
        # The liveness check must not stop at an assertion that the same bug breaks too.
        options = ["-a", "-A"] if self.live else []
        return read(_run(["./pan", "-m100000", "-w22", *options], self.folder, BUG=str(bug)))

    def table(self) -> Iterator[tuple[str, str, str]]:
        """Return every transition of the last run: state, move, state."""
        with (self.folder / "table").open(encoding="ascii") as lines:
            for line in lines:
                before, move, after = line.rstrip("\n").split("\t")
                yield before, move, after


def read(said: str) -> Answer:
    """Return what a verifier's output says.

    Raises:
        Unreadable: something is missing in it, or it contradicts itself.
        CutShort: the verifier ran into a limit of its own.
    """
    for cut in ("max search depth too small", "out of memory", "Search not completed", "queue full"):
        if cut in said and "errors: 0" in said:
            raise CutShort(f"expected every state to be looked at; pan says: {cut}")
    numbers = {}
    for name, pattern in (
        ("errors", r"^State-vector \d+ byte, depth reached \d+, errors: (\d+)$"),
        ("states", r"^ *(\d+) states, stored\b"),
        ("transitions", r"^ *(\d+) transitions \(= (?:stored|visited)\+matched\)$"),
    ):
        found = re.findall(pattern, said, re.MULTILINE)
        if len(found) != 1:
            raise Unreadable(f"expected one line about {name} from pan; seen {len(found)} in: {said[:800]!r}")
        numbers[name] = int(found[0])
    failed = re.findall(r"^pan:\d+: assertion violated +!\(broken_(\w+)\)", said, re.MULTILINE)
    if re.search(r"^pan:\d+: acceptance cycle", said, re.MULTILINE):
        failed.append("cycle")
    if bool(numbers["errors"]) != bool(failed):
        raise Unreadable(f"expected every error to be an invariant's; seen {numbers['errors']} errors, named: {failed}")
    return Answer(numbers["states"], numbers["transitions"], numbers["errors"], failed[0] if failed else "")


def rate(bounds: Mapping[str, int | str] = RATE_BOUNDS, optimise: str = "-O2") -> float:
    """Return how many states SPIN goes through in a second of the processor: a busy computer must not count as slow.

    Raises:
        OracleError: it could not be measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        verifier = Verifier(Path(folder), bounds, optimise)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = verifier.run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    if answer.errors or processor_s <= 0:
        raise Unreadable(f"expected a model that holds and takes a while; seen: {answer} in {processor_s} s")
    return answer.states / processor_s


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{rate():.0f}\n")
    except OracleError as error:
        sys.exit(f"rate: {error}")
