"""Run cases, in one process or several, with progress on stderr and partial results when the user stops it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

import msgspec

from rrsim.cli import clock
from rrsim.cli.backends import Runner, run_safely
from rrsim.cli.errors import say
from rrsim.cli.workers import Worker, slices
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult

KeepHistory = Callable[[RunResult], bool]
"""Whether a result's history is still needed; others are let go so that memory stays flat."""
PATIENCE_S = 1.0
"""Anything longer shows progress."""


class Executed(msgspec.Struct, gc=False):
    """What ran, and whether the user stopped it."""

    results: list[RunResult]
    interrupted: bool = False
    elapsed_s: float = 0.0


class Progress:
    """A progress line on stderr: a bar on a terminal, a plain line now and then elsewhere; silent below a second."""

    def __init__(self, total: int, what: str = "runs", every_s: float = 5.0) -> None:
        self._total = total
        self._what = what
        self._every_s = every_s
        self._began = clock.elapsed_s()
        self._next = self._began + PATIENCE_S
        self._bar: tuple[object, Callable[[int], None]] | None = None
        self._close = contextlib.ExitStack()

    def done(self, count: int) -> None:
        """Tell how many are done."""
        now = clock.elapsed_s()
        if self._bar is not None:
            self._bar[1](count)
        elif now >= self._next:
            if sys.stderr.isatty():
                self._open_bar()
            else:
                say(f"… {count} of {self._total} {self._what}, {now - self._began:.0f} s")
                self._next = now + self._every_s

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import Progress as RichProgress

        bar = self._close.enter_context(RichProgress(console=Console(stderr=True), transient=True))
        task = bar.add_task(self._what, total=self._total)
        self._bar = (bar, lambda count: bar.update(task, completed=count))

    def close(self) -> None:
        """Take the bar away."""
        self._close.close()


def plan(scenarios: Sequence[Scenario], seed: int, repeat: int) -> Iterator[tuple[Scenario, int]]:
    """List the runs: every case with its first seed, then every case with the next."""
    for offset in range(repeat):
        for scenario in scenarios:
            yield scenario, seed + offset


def execute(
    runs: Sequence[tuple[Scenario, int]],
    runner: Runner,
    *,
    backend: str = "sim",
    fail_fast: bool = False,
    keep_history: KeepHistory = lambda _: True,
    each: Callable[[RunResult], None] | None = None,
    jobs: int = 1,
) -> Executed:
    """Run them. Ctrl-C keeps what is done.

    Args:
        runs: cases with their seeds.
        runner: runs one.
        backend: its name, for results of runs in which the harness itself failed.
        fail_fast: stop after the first run that did not pass; then one process does all.
        keep_history: whether a result's history is still needed; others are let go so that memory stays flat.
        each: called with every result, in the order of the runs.
        jobs: how many processes share the runs.
    """
    began = clock.elapsed_s()
    executed = Executed([])
    progress = Progress(len(runs))
    mine, *others = slices(runs, 1 if fail_fast else jobs)
    do = _one(runner, backend, keep_history)
    workers = [Worker(part, backend, do) for part in others]
    try:
        for scenario, seed in mine:
            _take(executed, do(scenario, seed), keep_history=None, each=each)
            progress.done(len(executed.results))
            if fail_fast and executed.results[-1].outcome in ("failed", "error", "unknown"):
                break
    except KeyboardInterrupt:
        executed.interrupted = True
    for worker in workers:
        try:
            for result in worker.results(executed.interrupted):
                _take(executed, result, keep_history, each)
                progress.done(len(executed.results))
        except KeyboardInterrupt:
            executed.interrupted = True
    progress.close()
    executed.elapsed_s = clock.elapsed_s() - began
    return executed


def _one(
    runner: Runner, backend: str, keep_history: Callable[[RunResult], bool]
) -> Callable[[Scenario, int], RunResult]:
    """Return what runs one case and lets its history go unless it is still needed."""

    def do(scenario: Scenario, seed: int) -> RunResult:
        result = run_safely(runner, scenario, seed, backend)
        if result.history is not None and not keep_history(result):
            return msgspec.structs.replace(result, history=None)
        return result

    return do


def _take(
    executed: Executed,
    result: RunResult,
    keep_history: Callable[[RunResult], bool] | None,
    each: Callable[[RunResult], None] | None,
) -> None:
    """Add a result; one from a worker is asked again whether its history is needed, now that the order is known."""
    if keep_history is not None and result.history is not None and not keep_history(result):
        result = msgspec.structs.replace(result, history=None)
    if each is not None:
        each(result)
    executed.results.append(result)
