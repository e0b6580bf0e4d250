"""Run one scenario case on the simulator and judge it."""

from __future__ import annotations

from collections.abc import Callable

from rrsim import __version__
from rrsim.backends.sim.compiled import REAL, Compiled, Parts, compile_scenario
from rrsim.backends.sim.kernel import RunawayError
from rrsim.backends.sim.world import World
from rrsim.scenario.history import Header, History
from rrsim.scenario.judge import judge
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult
from rrsim.scenario.staging import NotPrepared

BACKEND = "sim"


def begin(compiled: Compiled, seed: int) -> World:
    """Return a world at time 0; ``world.kernel.run()`` runs it, ``world.history`` is its record."""
    scenario = compiled.scenario
    header = Header(
        scenario=scenario.id,
        backend=BACKEND,
        seed=seed,
        customers=scenario.given.customers,
        version=__version__,
    )
    world: World = (compiled.world or World)(compiled, seed, History(header))
    return world


def run(
    scenario: Scenario, seed: int = 1, parts: Parts = REAL, elapsed_s: Callable[[], float] | None = None
) -> RunResult:
    """Run one case and judge it. Faults of the harness come back as outcome ``error``, with the history so far.

    ``elapsed_s`` is the caller's clock, in seconds: with it the result says how long the run took. No check reads it.

    Raises:
        UnknownStepName: a step waits for a step that is not there.
        KeyError: the profile does not exist.
    """
    return run_compiled(compile_scenario(scenario, parts), seed, elapsed_s)


def run_compiled(compiled: Compiled, seed: int, elapsed_s: Callable[[], float] | None = None) -> RunResult:
    """Like :func:`run`, for a scenario that was compiled before."""
    began = elapsed_s() if elapsed_s is not None else 0.0
    scenario = compiled.scenario
    world = begin(compiled, seed)
    history = world.history
    try:
        world.kernel.run()
    except (NotPrepared, RunawayError, ValueError) as problem:
        return RunResult(
            scenario=scenario,
            backend=BACKEND,
            seed=seed,
            outcome="error",
            history=history,
            virtual_us=world.kernel.now_us,
            reason=f"{type(problem).__name__}: {problem}",
        )
    judgement = judge(scenario, history)
    return RunResult(
        scenario=scenario,
        backend=BACKEND,
        seed=seed,
        outcome=judgement.outcome,
        restarts=judgement.restarts,
        checks=judgement.checks,
        history=history,
        virtual_us=world.kernel.now_us,
        wall_us=int((elapsed_s() - began) * 1e6) if elapsed_s is not None else 0,
        events=world.kernel.dispatched,
    )
