"""How fast the simulator is: figures side by side with SimPy in one run, and start-up and memory of the program.

A figure has a floor (must hold) and often a goal. Times are medians over rounds; in every round the reference
scenario and the SimPy programme with as many events run one after the other, so that a slow moment hits both.
"""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Literal

import msgspec

from rrsim.backends.sim.compiled import Compiled, compile_scenario
from rrsim.backends.sim.reference import REFERENCES
from rrsim.backends.sim.runner import run_compiled
from rrsim.cli.clock import elapsed_s

FIXED_US: Final = 30.0
"""What a run may cost besides its events."""
EVENT_FLOOR_US: Final = 3.4
EVENT_GOAL_US: Final = 2.5
SUITE_FLOOR_S: Final = 1.0
VERSION_FLOOR_S: Final = 0.15
MEMORY_FLOOR: Final = 1.05
ROUNDS: Final = 9
RUNS_A_ROUND: Final = 120


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured figure."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    goal: float | None = None
    better: Literal["lower", "higher"] = "lower"
    ratio: float | None = None
    """This figure divided by what it is held against, in the same run."""
    against: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the floor holds; figures without one are for information."""
        if self.floor is None:
            return True
        return self.value <= self.floor if self.better == "lower" else self.value >= self.floor


def measure(scenarios: str = "scenarios", memory_runs: int = 100_000, rounds: int = ROUNDS) -> Iterator[Figure]:
    """Yield the figures one by one, as they are measured.

    Args:
        scenarios: folder for the figure of the whole suite.
        memory_runs: how many runs the memory figure takes; 0 leaves it out.
        rounds: how many rounds a median is taken over.
    """
    for reference in REFERENCES:
        yield from _speed(compile_scenario(reference), rounds)
    yield _whole_process("rrsim --version", ["--version"], VERSION_FLOOR_S)
    yield _whole_process(f"rrsim run {scenarios}", ["run", scenarios, "--format", "json"], SUITE_FLOOR_S)
    if memory_runs:
        yield _memory(compile_scenario(REFERENCES[0]), memory_runs)


def _seconds(work: Callable[[], object]) -> float:
    begun = elapsed_s()
    work()
    return elapsed_s() - begun


def _speed(compiled: Compiled, rounds: int) -> Iterator[Figure]:
    name = compiled.scenario.name
    sample = run_compiled(compiled, 1)
    if sample.outcome != "passed":
        problems = "; ".join(f"{c.check}: {c.message}" for c in sample.problems) or sample.reason
        raise AssertionError(f"{name} must pass before it is timed; it is {sample.outcome}: {problems}")
    events = sample.events
    ours: list[float] = []
    simpy: list[float] = []
    for round_number in range(rounds):
        first = 1 + round_number * RUNS_A_ROUND
        gc.collect()
        ours.append(_seconds(lambda first=first: _many(compiled, first)) / RUNS_A_ROUND * 1e6)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        simpy.append(_seconds(lambda: _simpy_exchange(events, RUNS_A_ROUND)) / RUNS_A_ROUND * 1e6)
    run_us = statistics.median(ours)
    ratio = statistics.median(a / b for a, b in zip(ours, simpy, strict=True))
    mix = Counter(type(e[2]).__name__ for e in sample.history.entries) if sample.history else Counter[str]()
    common = ", ".join(f"{kind} {count}" for kind, count in mix.most_common(6))
    yield Figure(
        name=f"{name}: one event",
        value=round((run_us - FIXED_US) / events, 3),
        unit="us",
        floor=EVENT_FLOOR_US,
        goal=EVENT_GOAL_US,
        ratio=round(ratio, 3),
        against="SimPy processes exchanging as many events",
        note=f"{events} events a run besides {FIXED_US:.0f} us fixed; history of {sum(mix.values())}: {common}",
    )
    yield Figure(
        name=f"{name}: one run",
        value=round(run_us, 1),
        unit="us",
        floor=round(FIXED_US + EVENT_FLOOR_US * events, 1),
        goal=round(FIXED_US + EVENT_GOAL_US * events, 1),
        ratio=round(ratio, 3),
        against=f"SimPy {statistics.median(simpy):.0f} us",
        note=f"{1e6 / run_us:.0f} runs a second on one core; spread {min(ours):.0f}..{max(ours):.0f} us",
    )


def _many(compiled: Compiled, first_seed: int) -> None:
    for seed in range(first_seed, first_seed + RUNS_A_ROUND):
        run_compiled(compiled, seed)


def _simpy_exchange(events: int, runs: int) -> None:
    """SimPy processes that do nothing but exchange ``events`` messages, each after a latency, ``runs`` times.

    Two actors with a mailbox each; every message travels in a process of its own that waits and then delivers.
    """
    import simpy

    def travels(env: Any, mailbox: Any, number: int) -> Generator[Any, Any, None]:
        yield env.timeout(20)
        yield mailbox.put(number)

    def actor(env: Any, mine: Any, other: Any) -> Generator[Any, Any, None]:
        while True:
            number = yield mine.get()
            if number < events:
                env.process(travels(env, other, number + 1))

    for _ in range(runs):
        env = simpy.Environment()
        first, second = simpy.Store(env), simpy.Store(env)
        env.process(actor(env, first, second))
        env.process(actor(env, second, first))
        env.process(travels(env, first, 1))
        env.run()


def _whole_process(name: str, arguments: list[str], floor_s: float) -> Figure:
    times = []
    for _ in range(5):
        with tempfile.TemporaryFile() as output:
            begun = elapsed_s()
            subprocess.run(
                [sys.executable, "-m", "rrsim", *arguments], stdout=output, stderr=output, check=False, timeout=120
            )
            times.append(elapsed_s() - begun)
    return Figure(
        name=name,
        value=round(statistics.median(times), 3),
        unit="s",
        floor=floor_s,
        note=f"whole process, start-up included; spread {min(times):.3f}..{max(times):.3f} s",
    )


def _memory(compiled: Compiled, runs: int) -> Figure:
    warm = max(1, runs // 10)
    for seed in range(warm):
        run_compiled(compiled, seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(warm, runs):
        run_compiled(compiled, seed)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Figure(
        name=f"peak memory after {runs} runs against {warm}",
        value=round(after / before, 4),
        unit="times",
        floor=MEMORY_FLOOR,
        note=f"{before // 1024} MiB, then {after // 1024} MiB",
    )
