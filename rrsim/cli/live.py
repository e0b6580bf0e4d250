"""Live runs for the command line and for pytest: one event loop, several machines at a time, everything taken away.

A :class:`LiveRuns` holds what the runs of one command share: a folder in the state directory, the bench with the built
agent, and the loop. Ctrl-C ends every machine at once and keeps the results of the runs that are done.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from rrsim.backends.live import evidence, runner, state
from rrsim.backends.live.wine import bench as wine_bench
from rrsim.backends.live.wine.parts import INSTALL, NEEDED, WineMissing, missing_programs
from rrsim.backends.sim import runner as simulator
from rrsim.cli import clock
from rrsim.cli.backends import BUNDLED
from rrsim.cli.errors import CommandError, environment_error, say
from rrsim.cli.execute import Executed, KeepHistory, Progress
from rrsim.cli.exit_codes import HARNESS
from rrsim.machine.adapters import AdapterError
from rrsim.machine.observations import Healed
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult

if TYPE_CHECKING:
    from rrsim.backends.live.vm.bench import VmBench

MOST_JOBS: Final = 8
STOPS: Final = (signal.SIGINT, signal.SIGTERM)
SAME_STOP_S: Final = 1.0
"""A terminal and whoever started us may both pass one Ctrl-C on."""
T = TypeVar("T")


class LiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which machines, agent and server, and how fast."""

    backend: str = "wine"
    time_scale: float = 0.0
    """How many times shorter waiting is; 0: the backend's own."""
    agent: str = BUNDLED
    server: str = BUNDLED
    vm: Mapping[str, Any] = MappingProxyType({})
    """Fields of :class:`rrsim.backends.live.vm.bench.VmOptions`, for the backend libvirt."""

    def words(self) -> tuple[str, ...]:
        """Return the words of the command line that a repetition needs besides backend and seed."""
        usual = wine_bench.DEFAULT_SCALE if self.backend == "wine" else 0.0
        said = [("--agent", self.agent, BUNDLED), ("--server", self.server, BUNDLED)]
        scale = [("--time-scale", f"{self.time_scale:g}", f"{usual:g}")] if self.time_scale else []
        where = [(f"--{name}", str(self.vm[name]), "") for name in ("image", "uri") if self.vm.get(name)]
        return tuple(word for name, value, usual in (*where, *scale, *said) if value != usual for word in (name, value))


def require(backend: str) -> None:
    """Check that what a live backend needs of this computer is installed.

    Raises:
        CommandError: it is not; exit code 70, with the command that installs it.
    """
    if backend == "libvirt":
        return  # the host says itself what it lacks, and an agent that is built already needs no Wine here
    missing = missing_programs()
    if missing:
        raise environment_error(
            f"the programs of the {backend} backend: {', '.join(NEEDED)}", f"{', '.join(missing)} not found",
            f"sudo {INSTALL}; or --backend sim, which needs nothing but Python",
        )


def how_many(runs: int, wanted: int = 0) -> int:
    """Return how many machines work at a time: as wanted, else one for each processor."""
    return max(1, min(wanted or min(len(os.sched_getaffinity(0)), MOST_JOBS), runs))


@contextmanager
def opened(options: LiveOptions, waits: Callable[[bool], None] | None = None) -> Iterator[LiveRuns]:
    """Prepare live runs, and take everything of them away in the end.

    ``waits`` hears that a case begins to wait for its virtual machines, and that it no longer does.

    Raises:
        CommandError: something that is needed is missing, or the agent cannot be built.
    """
    runs = LiveRuns(options, waits)
    try:
        runs.prepare()
        yield runs
    finally:
        runs.close()


class LiveRuns:
    """What the live runs of one command share."""

    def __init__(self, options: LiveOptions, waits: Callable[[bool], None] | None = None) -> None:
        """Nothing is prepared yet."""
        self._options, self._waits = options, waits
        self._loop = asyncio.Runner()
        self._folder: Path | None = None
        self._bench: runner.Bench | None = None
        self._vms: VmBench | None = None
        self._count = 0

    def prepare(self) -> None:
        """Clear away what killed runs left, make this command's folder, and build the agent unless the cache has it.

        Raises:
            CommandError: something that is needed is missing, or the agent cannot be built.
        """
        from rrsim.agent.build import BuildError

        require(self._options.backend)
        _say_reaped(state.reap())
        try:
            self._folder = state.begin_run()
            self._bench = self._loop.run(self._made(self._folder))
        except AdapterError as error:
            raise CommandError(
                f"adapters --agent {self._options.agent} and --server {self._options.server}", str(error),
                "the name of an installed adapter; docs/adapters.md",
            ) from error
        except WineMissing as error:
            raise environment_error("a Wine that works", str(error), f"sudo {INSTALL}") from error
        except BuildError as error:
            raise environment_error(error.expected, error.saw, error.try_) from error
        except state.RunsNotKept as error:
            raise environment_error("a folder for live runs", str(error), "another XDG_STATE_HOME") from error

    async def _made(self, folder: Path) -> runner.Bench:
        options = self._options
        if options.backend == "wine":
            return await wine_bench.make_bench(folder, options.time_scale, options.agent, options.server, say)
        from rrsim.backends.live.vm import bench
        from rrsim.backends.live.vm.errors import VmError
        from rrsim.images.errors import ImageError

        chosen = bench.VmOptions(**options.vm)
        try:
            self._vms = await bench.make_bench(
                folder, chosen, options.time_scale, options.agent, options.server, say, _wait_for_user
            )
        except VmError as error:
            raise environment_error("virtual machines that work", str(error), "rrsim doctor --for vm") from error
        except ImageError as error:
            raise environment_error(str(error.expected), str(error.saw), str(error.try_)) from error
        if self._waits is None:
            return self._vms.bench
        return msgspec.structs.replace(self._vms.bench, turn=_told(self._vms.bench.turn, self._waits))

    def close(self) -> None:
        """End what is left of the runs and remove their folder; bundles have been saved by now."""
        try:
            if self._vms is not None:
                self._loop.run(self._vms.close())
            self._loop.close()
        finally:
            if self._folder is not None:
                state.end_run(self._folder)

    def run(self, scenario: Scenario, seed: int) -> RunResult:
        """Run one case; an exception from outside, such as a time-out, takes its machines away first."""
        return self._in_loop(self._one(scenario, seed))

    def execute(
        self, runs: Sequence[tuple[Scenario, int]], *, fail_fast: bool = False,
        keep_history: KeepHistory = lambda _: True, each: Callable[[RunResult], None] | None = None, jobs: int = 0,
    ) -> Executed:
        """Run several cases, some at a time, as :func:`rrsim.cli.execute.execute` does; results keep their order."""
        began = clock.elapsed_s()
        crew = _Crew(self._one, runs, fail_fast, keep_history, each)
        executed = self._in_loop(crew.work(self._machines_at_a_time(len(runs), jobs)))
        executed.elapsed_s = clock.elapsed_s() - began
        return executed

    def _machines_at_a_time(self, runs: int, wanted: int) -> int:
        return how_many(runs, wanted or (self._vms.slots if self._vms is not None else 0))

    def use(self, work: Callable[[runner.Bench, Path], Coroutine[Any, Any, T]]) -> T:
        """Do something else with the bench, in the folder of this command."""
        assert self._bench is not None, "prepare() comes first"
        assert self._folder is not None, "prepare() comes first"
        return self._in_loop(work(self._bench, self._folder))

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run(work)
        except BaseException:
            # What came from outside (a signal's handler) left the work where it was.
            self._loop.run(_cancel_the_rest())
            raise

    async def _one(self, scenario: Scenario, seed: int) -> RunResult:
        """Run one case in a folder of its own, of which only the evidence of a failure stays."""
        assert self._bench is not None, "prepare() comes first"
        assert self._folder is not None, "prepare() comes first"
        self._count += 1
        folder = self._folder / f"{self._count:04d}"
        began, kept = clock.elapsed_s(), False
        try:
            result = await runner.run_case(scenario, seed, self._bench, folder)
            kept = result.outcome not in ("passed", "skipped")
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the harness's and must not stop the others
            result = RunResult(
                scenario=scenario, backend=self._bench.backend, seed=seed, outcome="error",
                reason=f"the harness failed: {type(error).__name__}: {error}", left_behind=_notes(error),
            )
        except BaseException as error:
            _say_left(scenario, _notes(error))
            raise
        finally:
            if folder.exists():
                await asyncio.to_thread(state.clear_case, folder, keep_evidence=kept)
        _say_left(scenario, result.left_behind)
        pictures = folder / evidence.FOLDER
        return msgspec.structs.replace(
            result, wall_us=round((clock.elapsed_s() - began) * 1e6), time_scale=self._bench.scale,
            options=self._options.words(), evidence=str(pictures) if pictures.is_dir() else "",
        )


def _told(
    turn: Callable[[int], AbstractAsyncContextManager[object]], waits: Callable[[bool], None]
) -> Callable[[int], AbstractAsyncContextManager[object]]:
    """Return turns in taking machines of which ``waits`` hears."""

    @asynccontextmanager
    async def told(machines: int) -> AsyncIterator[None]:
        waits(True)
        try:
            async with turn(machines):
                yield
        finally:
            waits(False)

    return told


async def _wait_for_user(text: str) -> None:
    """Show a text and wait for Enter; without a terminal there is nobody to wait for."""
    say(text)
    if sys.stdin.isatty():
        say("go on: Enter")
        await asyncio.to_thread(sys.stdin.readline)


async def _cancel_the_rest() -> None:
    """Cancel whatever still runs on this loop and wait until it has taken its things away."""
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _longest_first(runs: Sequence[tuple[Scenario, int]]) -> list[tuple[int, tuple[Scenario, int]]]:
    """Return runs with their places so that those begin first which wait longest, as the simulator has it.

    A long one that begins last would keep one machine busy while the others have nothing left to do.
    """
    waits_us: dict[str, int] = {}
    for scenario, _ in runs:
        if scenario.id not in waits_us:
            history = simulator.run(scenario, 1).history
            entries = history.entries if history is not None else []
            waits_us[scenario.id] = next((t_us for t_us, _, event, _ in entries if type(event) is Healed), 0)
    return sorted(enumerate(runs), key=lambda one: -waits_us[one[1][0].id])


class _Crew:
    """Several workers on one loop that take the next case when they are free."""

    def __init__(
        self, one: Callable[[Scenario, int], Coroutine[Any, Any, RunResult]], runs: Sequence[tuple[Scenario, int]],
        fail_fast: bool, keep_history: KeepHistory, each: Callable[[RunResult], None] | None,
    ) -> None:
        self._one = one
        self._runs = runs
        self._fail_fast = fail_fast
        self._keep_history = keep_history
        self._each = each
        self._done: dict[int, RunResult] = {}
        self._progress = Progress(len(runs))
        self._workers: list[asyncio.Task[None]] = []
        self._stopped, self._stopped_s = False, 0.0

    async def work(self, jobs: int) -> Executed:
        """Do all runs, or those that are done when the user stops it."""
        loop = asyncio.get_running_loop()
        waiting = iter(_longest_first(self._runs) if jobs > 1 else list(enumerate(self._runs)))
        for number in STOPS:
            loop.add_signal_handler(number, self._stop)
        try:
            self._workers = [loop.create_task(self._worker(waiting)) for _ in range(jobs)]
            await asyncio.gather(*self._workers, return_exceptions=True)
        finally:
            for number in STOPS:
                loop.remove_signal_handler(number)
            self._progress.close()
        results = [self._done[place] for place in sorted(self._done)]
        return Executed(results, interrupted=self._stopped)

    def _stop(self) -> None:
        """Do what Ctrl-C asks for: no further case, and the machines of those that run are ended.

        A host that does not answer can make that last for minutes. Who asks again does not want to wait for it: then
        the process leaves everything to the leases, as one that was killed does.
        """
        now_s = clock.elapsed_s()
        if self._stopped:
            if now_s - self._stopped_s < SAME_STOP_S:
                return
            say("left at once; no report is written; what is left of the machines goes with: rrsim reap")
            os._exit(HARNESS)
        self._stopped_s = now_s
        say("stopping: machines are being ended; once more leaves them behind, for rrsim reap")
        self._stopped = True
        self._dismiss()

    def _dismiss(self) -> None:
        for worker in self._workers:
            worker.cancel()

    async def _worker(self, waiting: Iterator[tuple[int, tuple[Scenario, int]]]) -> None:
        for place, (scenario, seed) in waiting:
            result = await self._one(scenario, seed)
            if result.history is not None and not self._keep_history(result):
                result = msgspec.structs.replace(result, history=None)
            self._done[place] = result
            if self._each is not None:
                self._each(result)
            self._progress.done(len(self._done))
            if self._fail_fast and result.outcome in ("failed", "error", "unknown"):
                self._dismiss()


def _notes(error: BaseException) -> tuple[str, ...]:
    """Return what the runner could not take away before it raised."""
    return tuple(getattr(error, "__notes__", ()))


def _say_left(scenario: Scenario, left: Sequence[str]) -> None:
    """Say at once what could not be taken away: it may be in the way of the runs that follow."""
    for one in left:
        say(f"{scenario.id} left behind: {one}")


def _say_reaped(reaped: state.Reaped) -> None:
    if reaped.runs:
        say(f"cleared away what a killed run left: {', '.join(reaped.runs)}")
