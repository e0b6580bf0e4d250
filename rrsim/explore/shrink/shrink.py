"""Shrink a failing plan: fewer steps, a more ordinary world, fewer actors, rounder times, in that order and again.

The measure is a *replay*: a candidate is run, and counts if it still fails for the same reason. Everything is derived
from the plan, so that shrinking the same plan twice gives the same scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from rrsim.backends.sim.compiled import REAL, Parts, compile_scenario
from rrsim.backends.sim.runner import run_compiled
from rrsim.explore.shrink import relink, rounder
from rrsim.explore.shrink.ddmin import ddmin
from rrsim.explore.swarm.failures import IMPOSSIBLE, LIVENESS, Failure, failures, not_back
from rrsim.scenario import possible
from rrsim.scenario.director import UnknownStepName
from rrsim.scenario.model import Expect, ExpectedEvent, Given, Scenario, Step
from rrsim.scenario.result import RunResult
from rrsim.scenario.words import Duration

MOST_REPLAYS: Final = 3_000
"""Where shrinking stops, with what it has: enough for any plan that was seen, a few seconds for the worst."""
FIRST_SEED: Final = 1
"""The seed that ``rrsim run`` takes by itself: a scenario that fails with it needs no option."""


class DoesNotFail(ValueError):
    """There is nothing to shrink: the run passes, or fails for another reason."""


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    scenario: Scenario
    """An ordinary scenario whose expectation is the failure."""
    seed: int
    failure: Failure
    replays: int
    steps_before: int
    settings_before: int
    complete: bool
    """False: the budget of replays ended it; a smaller scenario may exist."""
    reproduces: bool
    """``rrsim run`` on the scenario, with this seed, says what the file expects of it and nothing else."""


class _Candidate(msgspec.Struct, frozen=True, gc=False):
    steps: tuple[Step, ...]
    given: Given


def _out(value: Any) -> int:
    if isinstance(value, Duration):
        return int(value)
    raise NotImplementedError(f"cannot compare {type(value).__name__}")


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic", enc_hook=_out)


class _OutOfReplays(Exception):
    """No error: it ends the search early."""


def reason(case: Scenario, seed: int, *, only: str = "", cause: str = "", parts: Parts = REAL) -> Failure:
    """Return the main reason why a run fails: news before what is known, what is sure before what cannot be told.

    Args:
        case: the scenario.
        seed: the run's seed.
        only: the check that is meant; empty: any.
        cause: the cause that is meant; empty: any.
        parts: the step functions of the world.

    Raises:
        DoesNotFail: it passes, or fails for other reasons only.
    """
    every = failures(run_compiled(compile_scenario(case, parts), seed))
    found = [one for one in every if only in {"", one.check} and cause in {"", one.cause}]
    if not found:
        saw = f"only {', '.join(one.title for one in every)}" if every else "it pass"
        wanted = f" with {only}" + (f": {cause}" if cause else "") if only else ""
        raise DoesNotFail(f"expected {case.id} with seed {seed} to fail{wanted}; saw {saw}")
    return min(found, key=lambda one: (bool(one.known), not one.sure, one))


def shrink(
    scenario: Scenario, seed: int, failure: Failure, *, parts: Parts = REAL, most: int = MOST_REPLAYS,
    progress: Callable[[int, int, int], None] | None = None,
) -> Shrunk:
    """Return the smallest scenario that was found to fail in the same way.

    Args:
        scenario: what to shrink.
        seed: the run's seed. The result takes seed 1 if it fails with that too.
        failure: why it fails, as :func:`reason` or :func:`~rrsim.explore.swarm.failures.failures` says.
        parts: the step functions of the world; a deliberate bug is shrunk with its own.
        most: replays at most.
        progress: called after each replay with replays so far, steps and settings of the best so far.

    Raises:
        DoesNotFail: the scenario does not fail for this reason with this seed.
    """
    return _Shrinker(scenario, seed, failure, parts, most, progress).result()


class _Shrinker:
    def __init__(
        self, scenario: Scenario, seed: int, failure: Failure, parts: Parts, most: int,
        progress: Callable[[int, int, int], None] | None,
    ) -> None:
        self._scenario = scenario
        self._failure = failure
        self._parts = parts
        self._most = most
        self._progress = progress
        self._replays = 0
        self._known: dict[bytes, bool] = {}
        self._best = _Candidate(relink.apart(scenario.steps), scenario.given)
        self._settings_before = len(rounder.settings(scenario.given))
        self._strict = False
        self._seed = seed
        if not self._fails(self._best):
            raise DoesNotFail(
                f"expected {scenario.id} with seed {seed} to fail with {failure.title}; saw it pass, or fail otherwise"
            )
        self._choose_seed()

    def _choose_seed(self) -> None:
        """Prefer the seed that nobody has to name."""
        if self._seed == FIRST_SEED:
            return
        own, self._seed = self._seed, FIRST_SEED
        if not self._fails(self._best, fresh=True):
            self._seed = own

    def result(self) -> Shrunk:
        """Shrink."""
        complete = True
        try:
            self._without_impossible()
            self._until_nothing_changes()
            if self._seed != FIRST_SEED:
                self._choose_seed()
        except _OutOfReplays:
            complete = False
        case = self._finished()
        shown = run_compiled(compile_scenario(case, self._parts), self._seed)
        return Shrunk(
            scenario=case, seed=self._seed, failure=self._failure, replays=self._replays,
            steps_before=len(self._scenario.steps), settings_before=self._settings_before, complete=complete,
            reproduces=_says_so(shown, self._failure),
        )  # fmt: skip

    # --- the measure --------------------------------------------------------------------------------------------

    def _fails(self, candidate: _Candidate, *, fresh: bool = False) -> bool:
        """Say whether a candidate fails for the same reason; in strict mode: and for no other."""
        key = _ENCODER.encode(candidate)
        if not fresh and key in self._known:
            return self._known[key]
        if self._replays >= self._most:
            raise _OutOfReplays
        self._replays += 1
        run = self._run(candidate)
        found = run is not None and _has(run, self._failure) and (not self._strict or _only(run))
        if not fresh:
            self._known[key] = found
        if self._progress is not None:
            self._progress(self._replays, len(self._best.steps), len(rounder.settings(self._best.given)))
        return found

    def _run(self, candidate: _Candidate) -> RunResult | None:
        case = self._case(candidate)
        if possible.check(msgspec.structs.replace(case, expect=_SOMETHING)):
            return None
        try:
            return run_compiled(compile_scenario(case, self._parts), self._seed)
        except (KeyError, UnknownStepName):
            return None

    def _case(self, candidate: _Candidate) -> Scenario:
        return msgspec.structs.replace(
            self._scenario, given=candidate.given, steps=candidate.steps, runs_for_us=None
        )

    def _take(self, candidate: _Candidate) -> bool:
        """Keep a candidate if it fails."""
        if candidate == self._best or not self._fails(candidate):
            return False
        self._best = candidate
        return True

    # --- the passes ---------------------------------------------------------------------------------------------

    def _without_impossible(self) -> None:
        """Leave out what never became possible. If the failure stays, it has to be the only one from here on."""
        run = self._run(self._best)
        assert run is not None, "it was run before"
        named = {f"step {step.moment.called}" for step in self._best.steps}
        gone = {check.check for check in run.checks if check.cause == IMPOSSIBLE and check.check in named}
        kept = frozenset(step.moment.called for step in self._best.steps if f"step {step.moment.called}" not in gone)
        self._take(_Candidate(relink.without(self._best.steps, kept), self._best.given))
        self._strict = True
        self._known.clear()
        self._strict = self._fails(self._best)
        self._known.clear()

    def _until_nothing_changes(self) -> None:
        before = None
        while before != self._best:
            before = self._best
            self._fewer_steps()
            self._fewer_settings()
            self._simpler()
            if not self._strict:
                self._try_strict()

    def _try_strict(self) -> None:
        """A smaller plan may have lost its other failures: then none of them may come back."""
        self._strict = True
        self._known.clear()
        self._strict = self._fails(self._best)
        self._known.clear()

    def _fewer_steps(self) -> None:
        steps = self._best.steps

        def fails(kept: tuple[str, ...]) -> bool:
            candidate = self._with(relink.without(steps, frozenset(kept)))
            return candidate == self._best or self._take(candidate)

        ddmin(tuple(step.moment.called for step in steps), fails)

    def _with(self, steps: tuple[Step, ...]) -> _Candidate:
        return _Candidate(steps, self._best.given)

    def _fewer_settings(self) -> None:
        def fails(kept: tuple[rounder.Setting, ...]) -> bool:
            candidate = _Candidate(self._best.steps, rounder.with_settings(kept))
            return candidate == self._best or self._take(candidate)

        ddmin(rounder.settings(self._best.given), fails)

    def _simpler(self) -> None:
        for index in range(len(self._best.steps)):
            tried = True
            while tried:
                step = self._best.steps[index]
                tried = any(self._take(self._with(self._put(index, one))) for one in rounder.simpler_steps(step))
        for index in range(len(rounder.settings(self._best.given))):
            now = rounder.settings(self._best.given)
            for simpler in rounder.simpler_settings(now[index]):
                if self._take(_Candidate(
                    self._best.steps, rounder.with_settings((*now[:index], simpler, *now[index + 1 :]))
                )):
                    break

    def _put(self, index: int, step: Step) -> tuple[Step, ...]:
        steps = self._best.steps
        return (*steps[:index], step, *steps[index + 1 :])

    # --- the end ------------------------------------------------------------------------------------------------

    def _finished(self) -> Scenario:
        case = self._case(self._best)
        tidy = msgspec.structs.replace(case, steps=relink.together(self._best.steps))
        expect = expectation(self._failure, self._scenario.expect)
        tidy = msgspec.structs.replace(tidy, expect=expect)
        return msgspec.structs.replace(tidy, case="")


_SOMETHING: Final = Expect(boots=0)
"""An expectation, so that the check for impossible ones has nothing to say about its absence."""


def expectation(failure: Failure, own: Expect) -> Expect:
    """Return what the written scenario expects.

    An invariant is expected to be broken: the file passes as long as the bug is there. Everything else is expected to
    hold, so that the file fails as long as the bug is there.
    """
    if failure.invariant:
        return Expect(broken_invariant=failure.check)
    if failure.check == LIVENESS:
        return Expect(session="active")
    if own != Expect():
        return own
    return Expect(events=(ExpectedEvent(event="run ended", where={"quiet": True}),))


def _has(run: RunResult, failure: Failure) -> bool:
    """Whether a run fails in this way. What is explained is another way: shrinking must not slip from news to that."""
    return failure in failures(run)


def _only(run: RunResult) -> bool:
    """Whether nothing else is wrong with a run, impossible steps included."""
    if any(check.cause == IMPOSSIBLE for check in run.checks):
        return False
    return len(failures(run)) == 1


def _says_so(run: RunResult, failure: Failure) -> bool:
    """Whether the finished scenario's run says what its file expects to be said."""
    if failure.invariant:
        return run.outcome == "passed"
    if failure.check == LIVENESS:
        return run.outcome == "failed" and bool(not_back(run))
    if failure.sure:
        return run.outcome in {"failed", "error"}
    return run.outcome == "unknown"
