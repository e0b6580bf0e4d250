"""One random run, and a batch of neighbouring seeds: what a worker does, whatever it works for.

A batch's result depends on nothing but its seeds and the version of rrsim; what depends on the worker stands apart in
:class:`Work`.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec

from rrsim import __version__
from rrsim.backends.sim.compiled import REAL, Parts, compile_scenario, memo_of
from rrsim.backends.sim.runner import run_compiled
from rrsim.explore.swarm.draw import NEIGHBOURS, draw_plan
from rrsim.explore.swarm.failures import IMPOSSIBLE, Failure, failures
from rrsim.explore.swarm.novelty import COMPONENTS, ONE_IN, Novelty
from rrsim.explore.swarm.plan import Plan, as_scenario
from rrsim.explore.swarm.situations import reached
from rrsim.scenario import history_io
from rrsim.scenario.result import RunResult

MOST_STATES: Final = 40_000
"""A component that is known in more states than this is forgotten before the next world: neighbours share most of what
is remembered, worlds little of it, and the memory of a process stays flat over any number of runs."""
SEEDS_KEPT: Final = 20
"""How many seeds of one failure a batch names; the others are counted."""


def play(plan: Plan, parts: Parts = REAL) -> RunResult:
    """Run a plan on the simulator: safety first, then the faults stop and everything has to come to rest."""
    return run_compiled(compile_scenario(as_scenario(plan), parts), plan.seed)


def digest_of(seed: int, parts: Parts = REAL) -> str:
    """Return the fingerprint of a seed's whole history."""
    history = play(draw_plan(seed), parts).history
    return history_io.digest(history) if history is not None else ""


class Group(msgspec.Struct, gc=False):
    """Runs that failed for the same reason."""

    failure: Failure
    count: int = 0
    seeds: list[int] = []
    """The lowest of them, at most :data:`SEEDS_KEPT`."""

    def add(self, other: Group) -> None:
        """Take the runs of another group of the same failure in."""
        self.count += other.count
        self.seeds = sorted({*self.seeds, *other.seeds})[:SEEDS_KEPT]


class Work(msgspec.Struct, gc=False):
    """What depends on who did it: for progress, and for the comparison between workers."""

    worker: str = ""
    version: str = __version__
    novel: int = 0
    """Steps that this worker worked out because it did not remember them, in the worlds that are listened to."""
    sample: tuple[int, str] = (-1, "")
    """A seed of this batch and the digest of its history."""
    again: tuple[int, str] = (-1, "")
    """The sample seed of another batch, played here too."""


class Batch(msgspec.Struct, gc=False):
    """What a range of seeds came to."""

    first: int
    last: int
    done: int = 0
    """How many of the seeds were played, from the first on."""
    events: int = 0
    virtual_us: int = 0
    steps: int = 0
    impossible: int = 0
    """Steps that never became possible."""
    outcomes: dict[str, int] = {}
    """``passed``, ``failed``, ``known``, ``unknown`` or ``error``: runs."""
    groups: list[Group] = []
    situations: dict[str, int] = {}
    novelty: dict[str, bytes] = {}
    """Component to the registers of its sketch."""
    digest: str = ""
    """Fingerprint of what every single run came to; those of two batches add up to that of both together."""
    work: Work = msgspec.field(default_factory=Work)


class Swarm:
    """Plays batches in one process, which remembers what it has worked out."""

    def __init__(self, parts: Parts = REAL) -> None:
        self._novelty = Novelty(parts)
        self.parts = parts

    def renew(self) -> None:
        """Begin to count what is new from the start, for somebody else's seeds."""
        self._novelty.renew()

    def _forget(self) -> None:
        for parts in (self.parts, self._novelty.parts):
            for name in COMPONENTS:
                memo = memo_of(getattr(parts, name))
                if memo.states > MOST_STATES:
                    memo.forget()

    def batch(
        self, first: int, last: int, *, again: int = -1, worker: str = "",
        stop: Callable[[], bool] = lambda: False,
    ) -> Batch:
        """Play the seeds from ``first`` to ``last``, both included.

        Args:
            first: the first seed.
            last: the last one.
            again: a seed of another batch that is played too, for its digest; -1: none.
            worker: who does it.
            stop: asked before each run; True ends the batch early, with what is done.
        """
        made = Batch(first, last)
        before = self._novelty.heard
        groups: dict[Failure, Group] = {}
        total = 0
        for seed in range(first, last + 1):
            if stop():
                break
            if seed % NEIGHBOURS == 0:
                self._forget()
            heard = seed // NEIGHBOURS % ONE_IN == 0
            result = play(draw_plan(seed), self._novelty.parts if heard else self.parts)
            total = add(total, blake2b(_add(made, groups, seed, result), digest_size=16).digest())
            if seed == first:
                history = result.history
                made.work.sample = (seed, history_io.digest(history) if history is not None else "")
            made.done += 1
        made.groups = [groups[failure] for failure in sorted(groups)]
        made.digest = total.to_bytes(16, "big").hex()
        made.novelty = self._novelty.take()
        made.work.novel = self._novelty.heard - before
        made.work.worker = worker
        if again >= 0:
            made.work.again = (again, digest_of(again, self.parts))
        return made


def add(total: int, fingerprint: bytes) -> int:
    """Add a fingerprint of 16 bytes to a sum of them: the sum is the same in every order."""
    return (total + int.from_bytes(fingerprint, "big")) % (1 << 128)


def _add(made: Batch, groups: dict[Failure, Group], seed: int, result: RunResult) -> bytes:
    """Add a run to its batch, and return what it came to as bytes."""
    found = failures(result)
    for failure in found:
        group = groups.get(failure)
        if group is None:
            group = groups[failure] = Group(failure, seeds=[])
        group.count += 1
        if len(group.seeds) < SEEDS_KEPT:
            group.seeds.append(seed)
    outcome = outcome_of(found)
    made.outcomes[outcome] = made.outcomes.get(outcome, 0) + 1
    made.events += result.events
    made.virtual_us += result.virtual_us
    made.steps += len(result.scenario.steps)
    made.impossible += sum(check.cause == IMPOSSIBLE for check in result.checks)
    situations = made.situations
    for situation in reached(result):
        situations[situation] = situations.get(situation, 0) + 1
    verdicts: list[Any] = [(r.customer, r.kind, r.verdict, r.reason, r.decided_us) for r in result.restarts]
    return repr((seed, outcome, result.events, result.virtual_us, verdicts)).encode()


def outcome_of(found: tuple[Failure, ...]) -> str:
    """Return what a run came to, in the words of the command line: what is new counts before what is known."""
    if any(one.check == "harness" for one in found):
        return "error"
    news = [one for one in found if not one.known]
    if any(one.sure for one in news):
        return "failed"
    if news:
        return "unknown"
    return "known" if found else "passed"


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_DECODER: Final = msgspec.msgpack.Decoder(Batch)


def encode(batch: Batch) -> bytes:
    """Write a batch for the way between processes."""
    return _ENCODER.encode(batch)


def decode(data: bytes) -> Batch:
    """Read a batch that a worker made.

    Raises:
        msgspec.DecodeError: it is of another version of rrsim.
    """
    return _DECODER.decode(data)
