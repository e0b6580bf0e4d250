"""Several processes for many runs: each worker is a fork that takes a slice of them and leaves its results in a file.

A fork shares everything that was loaded, so a worker costs a few milliseconds, and a run gives the same bytes in every
process. A worker that dies loses only its own slice: those runs come back as errors of the harness.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Final

import msgspec

from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult

WORTH_IT: Final = 150
"""Fewer runs than this are done before a second process has begun to help."""

Run = tuple[Scenario, int]
_NOWHERE: Final = Scenario(name="in the parent")
"""Stands for the scenario on the way between processes: the parent has it already."""


def how_many(runs: int, wanted: int = 0) -> int:
    """Return the number of processes for so many runs: as wanted, else one for each processor, but at most 8."""
    if not hasattr(os, "fork"):
        return 1
    usable = wanted or (min(len(os.sched_getaffinity(0)), 8) if runs >= WORTH_IT else 1)
    return max(1, min(usable, runs))


class Worker:
    """One forked process and the slice of runs it works on."""

    def __init__(self, runs: Sequence[Run], backend: str, do: Callable[[Scenario, int], RunResult]) -> None:
        """Start at once. ``do`` runs one case and raises nothing but KeyboardInterrupt."""
        self._runs = runs
        self._backend = backend
        # Not a context manager: the file lives as long as the worker, and has no name that could be left behind.
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed in results()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            self._work(do)

    def _work(self, do: Callable[[Scenario, int], RunResult]) -> None:
        """Be the child: never return, never touch what the parent has open."""
        code = 70
        try:
            for scenario, seed in self._runs:
                pickle.dump(msgspec.structs.replace(do(scenario, seed), scenario=_NOWHERE), self._file)
            code = 0
        except KeyboardInterrupt:
            code = 0
        finally:
            # A second Ctrl-C, the parent's own among them, must not lead out of here into the parent's code.
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self._file.flush()
            finally:
                os._exit(code)

    def results(self, interrupted: bool) -> Iterator[RunResult]:
        """Wait for the child and yield its results in order; what a dead one did not do is an error of the harness.

        ``interrupted``: the user stopped the runs, so what is not there was never meant to be.
        """
        if interrupted:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGINT)
        _, status = os.waitpid(self._pid, 0)
        self._file.seek(0)
        done = 0
        with self._file as file:
            for scenario, _ in self._runs:
                result = _next(file)
                if result is None:
                    break
                done += 1
                yield msgspec.structs.replace(result, scenario=scenario)
        if interrupted:
            return
        for scenario, seed in self._runs[done:]:
            reason = f"the worker process ended with status {status} before this run"
            yield RunResult(scenario=scenario, backend=self._backend, seed=seed, outcome="error", reason=reason)


def _next(file: IO[bytes]) -> RunResult | None:
    """Return the next whole result of a worker's file; None at its end, also if the last one was cut short."""
    try:
        # Our own child wrote it, into a file without a name.
        found: Any = pickle.load(file)  # noqa: S301 -- see above
    except (EOFError, pickle.UnpicklingError):
        return None
    return found if isinstance(found, RunResult) else None


def slices(runs: Sequence[Run], count: int) -> list[Sequence[Run]]:
    """Cut the runs into so many neighbouring parts of almost equal length: cases of one file stay together."""
    size, rest = divmod(len(runs), count)
    parts, start = [], 0
    for number in range(count):
        end = start + size + (number < rest)
        parts.append(runs[start:end])
        start = end
    return parts
