"""How fast a swarm is beside the plain simulator, whether its memory stays flat, and how long shrinking takes.

Both rates are of the same runs in one process: the *plain* one compiles, plays and judges the plans; the swarm also
draws them, counts what is new, looks for situations and fingerprints every run. They take turns, world by world, each
with a memory of its own that knows nothing of the seeds to come.
"""

from __future__ import annotations

import gc
import resource
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from rrsim.backends.sim.compiled import REAL, Parts, compile_scenario
from rrsim.backends.sim.runner import run_compiled
from rrsim.cli.bench import Figure
from rrsim.cli.clock import elapsed_s
from rrsim.explore.shrink.shrink import reason, shrink
from rrsim.explore.swarm.draw import NEIGHBOURS, draw_plan
from rrsim.explore.swarm.novelty import COMPONENTS
from rrsim.explore.swarm.plan import Plan, as_scenario
from rrsim.explore.swarm.run import Batch, Swarm
from rrsim.scenario import actions
from rrsim.scenario.model import Given, Moment, PcSetup, Scenario, Step
from rrsim.scenario.words import Duration

RATIO_FLOOR: Final = 0.8
"""A swarm plays at least so much of what the plain simulator plays in the same time."""
MEMORY_FLOOR: Final = 1.05
SHRINK_FLOOR_S: Final = 0.2
ROUNDS: Final = 7
WORLDS_A_ROUND: Final = 64
RUNS_A_ROUND: Final = WORLDS_A_ROUND * NEIGHBOURS
ENTRIES: Final = 30


def measure(memory_runs: int = 100_000, rounds: int = ROUNDS) -> Iterator[Figure]:
    """Yield the figures one by one.

    Args:
        memory_runs: how many runs the memory figure takes; 0 leaves it out.
        rounds: how many rounds a median is taken over.
    """
    yield from _rates(rounds)
    yield _shrinking(rounds)
    if memory_runs:
        yield _memory(memory_runs)


def _rates(rounds: int) -> Iterator[Figure]:
    plain_parts, swarm = _fresh(), Swarm(_fresh())
    plain, swarmed, events = [], [], 0
    for number in range(rounds + 1):
        plain_s = swarm_s = 0.0
        gc.collect()
        for world in range(number * WORLDS_A_ROUND, (number + 1) * WORLDS_A_ROUND):
            first = world * NEIGHBOURS
            plans = [draw_plan(seed) for seed in range(first, first + NEIGHBOURS)]
            plain_s += _processor_s(lambda plans=plans: _plain(plans, plain_parts))  # type: ignore[misc]  # lambda with a default
            found: list[Batch] = []
            swarm_s += _processor_s(lambda first=first, found=found: found.append(  # type: ignore[misc]  # lambda with a default
                swarm.batch(first, first + NEIGHBOURS - 1)
            ))
            events += found[0].events if number else 0
        if number:  # the first round warms both up
            plain.append(plain_s)
            swarmed.append(swarm_s)
    ratios = [mine / theirs for mine, theirs in zip(plain, swarmed, strict=True)]
    rate = RUNS_A_ROUND / statistics.median(swarmed)
    yield Figure(
        name="swarm against the plain simulator", value=round(statistics.median(ratios), 3), unit="times",
        floor=RATIO_FLOOR, better="higher",
        note=f"processor time for the same runs; spread {min(ratios):.3f}..{max(ratios):.3f}",
    )
    yield Figure(
        name="swarm: one process", value=round(rate), unit="runs/s", better="higher",
        ratio=round(statistics.median(ratios), 3),
        against=f"plain simulator {RUNS_A_ROUND / statistics.median(plain):.0f} runs/s",
        note=f"{events / (RUNS_A_ROUND * rounds):.0f} events a run, "
        f"{rate * events / (RUNS_A_ROUND * rounds):.0f} events/s",
    )


def _fresh() -> Parts:
    """Return the real step functions as others than those that are known: what is remembered goes by the function."""
    steps: dict[str, Any] = {name: partial(getattr(REAL, name)) for name in COMPONENTS}
    return Parts(**steps)


def _plain(plans: list[Plan], parts: Parts) -> None:
    for plan in plans:
        run_compiled(compile_scenario(as_scenario(plan), parts), plan.seed)


def _processor_s(work: Callable[[], object]) -> float:
    """Return the processor time that something takes: two rates can be compared while others use the machine too."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def big_plan() -> Scenario:
    """Return a plan of :data:`ENTRIES` entries that fails because of one of them and one setting.

    A safe mode that hangs is not left by itself (SM-15); everything else in it is noise: chat, waiting, faults that
    pass.
    """
    noise = (
        actions.RepChats(), actions.Wait(), actions.DnsFails(), actions.WallClockJumps(by_us=Duration(60_000_000)),
        actions.DnsWorks(), actions.ServerRefuses(), actions.SecondConnection(), actions.ServerAccepts(),
    )  # fmt: skip
    steps = [Step(Moment(called="order"), actions.RepRestarts(mode="safe"))]
    for number in range(ENTRIES - 1):
        delay_us = Duration(1_234_567 * (number + 1))
        steps.append(Step(Moment(after="order", delay_us=delay_us), noise[number % len(noise)]))
    given = Given(agent="service", pc=PcSetup(safe_mode_hangs=True, network="wifi", fast_startup=True))
    return Scenario(name="thirty entries", given=given, steps=tuple(steps))


def _shrinking(rounds: int) -> Figure:
    case = big_plan()
    failure = reason(case, 1)
    times, replays, left = [], 0, 0
    for _ in range(rounds):
        gc.collect()
        begun = elapsed_s()
        done = shrink(case, 1, failure)
        times.append(elapsed_s() - begun)
        replays, left = done.replays, len(done.scenario.steps)
    return Figure(
        name=f"shrink a plan of {len(case.steps)} entries", value=round(statistics.median(times), 4), unit="s",
        floor=SHRINK_FLOOR_S,
        note=f"{replays} replays, {left} left; spread {min(times):.4f}..{max(times):.4f} s, the first from cold",
    )


def _memory(runs: int) -> Figure:
    """Compare peak memory early and late: what is remembered is bounded, and a batch's result is small."""
    swarm = Swarm()
    warm = max(1, runs // 2)
    _play(swarm, 0, warm)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _play(swarm, warm, runs)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Figure(
        name=f"peak memory after {runs} runs against {warm}", value=round(after / before, 4), unit="times",
        floor=MEMORY_FLOOR, note=f"{before // 1024} MiB, then {after // 1024} MiB",
    )


def _play(swarm: Swarm, first: int, end: int) -> None:
    for start in range(first, end, 1_000):
        swarm.batch(start, min(start + 1_000, end) - 1)
