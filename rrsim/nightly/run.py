"""Playing a night: one step after the other, each with its own time, until all are done or the night is over.

A step that fails stops nothing. A step whose time is over is asked to end, and ended if it does not. The record is
written after every step, so that a night that was killed can be told from one that ended well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Final

import msgspec

from rrsim.cli.exit_codes import HARNESS, OK, UNKNOWN
from rrsim.live_clock import monotonic_us, wall_time
from rrsim.nightly.outcomes import BAD
from rrsim.nightly.plan import Step, second_try
from rrsim.nightly.read_json import read_json
from rrsim.nightly.record import RECORD, Record, StepRecord, code_of, night_code

GRACE_S: Final = 90.0
"""A step that is asked to end has machines to put away."""
LEAST_S: Final = 30.0
"""With less time left a step is not begun."""
SLICE_S: Final = 1.0
WORD_EVERY_S: Final = 300.0
LOG_END_BYTES: Final = 20_000
MOST_AGAIN: Final = 12
"""If more cases than this failed, it is no flake, and nothing is tried again."""

Say = Callable[[str], None]


class Stopped(Exception):
    """The night was asked to end."""


class Player:
    """Plays the steps of one night into its folder."""

    def __init__(self, folder: Path, programs: Path, say: Say, *, limit_s: float, grace_s: float = GRACE_S) -> None:
        """Take what all steps share.

        Args:
            folder: of this night; it exists.
            programs: the folder of rrsim and pytest, which comes first on PATH.
            say: hears a line about every step.
            limit_s: time for the whole night, in seconds.
            grace_s: how long a step may take to end when it is asked to.
        """
        self._folder = folder
        self._programs = programs
        self._say = say
        self._over_us = monotonic_us() + round(limit_s * 1e6)
        self._grace_s = grace_s
        self._stopped = ""
        self.record = Record(night=folder.name, began=_now())

    def about(self, *, commit: str, version: str, processors: int) -> None:
        """Note what was played on what."""
        self.record = msgspec.structs.replace(self.record, commit=commit, rrsim=version, processors=processors)

    def play(self, steps: Sequence[Step]) -> Record:
        """Play every step, keep the record on disk up to date, and return it."""
        before = {name: signal.signal(name, self._stop) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            for step in steps:
                done = self._step(step)
                if done.code and done.state == "ended":
                    self._try_again(step)
            code = HARNESS if self._stopped and night_code(self.record.steps) == OK else night_code(self.record.steps)
            self.record = msgspec.structs.replace(self.record, ended=_now(), exit_code=code)
            self._write()
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)
        return self.record

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopped = signal.Signals(number).name

    def _try_again(self, step: Step) -> None:
        """Play the cases that did not pass a second time, to tell those that waver; the first try stands."""
        path = self._folder / step.results
        if not step.again or not path.is_file():
            return
        runs, _ = read_json(path.read_bytes(), str(path))
        bad = sorted({run.case for run in runs if run.outcome in BAD})
        if not 0 < len(bad) <= MOST_AGAIN:
            return
        cases = self._folder / f"{step.name}-again.txt"
        cases.write_text("".join(f"{case}\n" for case in bad), encoding="utf-8")
        self._step(second_try(step, str(cases)))

    def _step(self, step: Step) -> StepRecord:
        left_s = (self._over_us - monotonic_us()) / 1e6
        limit_s = min(step.limit_s, left_s)
        blank = StepRecord(name=step.name, part=step.part, command=step.command, state="not run", limit_s=limit_s,
                           counts=step.counts, code=HARNESS)
        if self._stopped or limit_s < LEAST_S:
            why = f"stopped by {self._stopped}" if self._stopped else "the night's time is over"
            return self._note(msgspec.structs.replace(blank, note=why))
        self._say(f"{step.name}: {' '.join(step.command)}")
        self._note(msgspec.structs.replace(blank, state="running"))
        began = monotonic_us()
        done = self._run(step, blank, limit_s)
        return self._note(msgspec.structs.replace(done, seconds=(monotonic_us() - began) / 1e6))

    def _run(self, step: Step, blank: StepRecord, limit_s: float) -> StepRecord:
        log = self._folder / f"{step.name}.log"
        results = self._folder / step.results if step.results else None
        with log.open("wb") as said, (results.open("wb") if results else contextlib.nullcontext(said)) as told:
            try:
                process = subprocess.Popen(
                    step.command, stdin=subprocess.DEVNULL, stdout=told, stderr=said, start_new_session=True,
                    env=self._environment(step),
                )
            except OSError as error:
                note = f"{step.command[0]} cannot be started: {error.strerror}"
                return msgspec.structs.replace(blank, state="ended", note=note, log=log.name)
            state = self._await(process, step, limit_s)
        own = process.returncode
        if state != "ended":
            word = f"after {limit_s:.0f} s" if state == "timed out" else f"by {self._stopped}"
            return msgspec.structs.replace(blank, state=state, own_code=own, log=log.name, note=f"ended {word}")
        with log.open("rb") as file:
            code = code_of(step.kind, own, _end_of(file))
        if step.deep and code == UNKNOWN:
            code = OK
        return msgspec.structs.replace(blank, state="ended", code=code, own_code=own, log=log.name)

    def _environment(self, step: Step) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        path = f"{self._programs}{os.pathsep}{own.get('PATH', '')}"
        return {**own, "PATH": path, "LC_ALL": "C.UTF-8", **step.environment}

    def _await(self, process: subprocess.Popen[bytes], step: Step, limit_s: float) -> str:
        """Wait for a step; return ``ended``, or how it was ended."""
        began = monotonic_us()
        word_at_s = WORD_EVERY_S
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SLICE_S)
                return "ended"
            took_s = (monotonic_us() - began) / 1e6
            if self._stopped or took_s >= limit_s:
                self._end(process)
                return "stopped" if self._stopped else "timed out"
            if took_s >= word_at_s:
                self._say(f"{step.name}: still going on after {took_s / 60:.0f} minutes")
                word_at_s += WORD_EVERY_S

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Ask the step to end, then end its process group. The group's number is ours until we have waited for it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._grace_s)
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _note(self, step: StepRecord) -> StepRecord:
        others = tuple(one for one in self.record.steps if one.name != step.name)
        self.record = msgspec.structs.replace(self.record, steps=(*others, step))
        self._write()
        if step.state != "running":
            second = "" if step.counts else ", a second try that decides nothing"
            self._say(f"{step.name}: {step.state}, {step.code}, {step.seconds:.0f} s{second}"
                      + (f" ({step.note})" if step.note else ""))
        return step

    def _write(self) -> None:
        new = self._folder / f"{RECORD}.new"
        new.write_bytes(msgspec.json.format(msgspec.json.encode(self.record), indent=1))
        new.replace(self._folder / RECORD)


def _now() -> str:
    return wall_time().strftime("%Y-%m-%dT%H:%M:%SZ")


def _end_of(file: IO[bytes]) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - LOG_END_BYTES))
    return file.read().decode(errors="replace")
