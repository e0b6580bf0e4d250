"""A whole swarm: ranges of seeds become batches for workers, and their results one report.

The report depends on the seeds that were played and on nothing else: not on the number of workers, nor on the order in
which they end. Each batch also plays the first seed of another one again; when two workers differ in its history, the
report says so, because then no result can be believed.
"""

from __future__ import annotations

import itertools
import os
import platform
from collections.abc import Callable
from typing import Final

import msgspec

from rrsim.explore.cluster.here import Here
from rrsim.explore.cluster.seam import Cluster
from rrsim.explore.swarm.failures import Failure
from rrsim.explore.swarm.novelty import COMPONENTS, Sketch
from rrsim.explore.swarm.run import Batch, Group, add, decode
from rrsim.explore.swarm.situations import MUST_REACH
from rrsim.explore.swarm.task import Order, play_batch

SMALL_BATCH: Final = 1_000
"""Seeds a task: below that, what a cluster costs for each of them shows."""
BIG_BATCH: Final = 2_000
"""More would make progress, and a stop, slow."""
_COUNT: Final = itertools.count(1)
AHEAD: Final = 2
"""Tasks submitted for each slot: one under way and one waiting, so that nobody is idle and a stop wastes little."""
BIG_RUN: Final = 250_000
"""So many seeds have to reach every situation."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to play."""

    first: int = 0
    last: int | None = None
    """The last seed; None: on and on, until the time is up."""
    batch: int = 0
    """Seeds a task; 0: as suits."""


class Progress(msgspec.Struct, frozen=True, gc=False):
    """How far a swarm is."""

    done: int
    total: int | None
    triples: int
    """Different (component, state, event) that were heard, estimated."""
    situations: int
    groups: int


class Report(msgspec.Struct, kw_only=True):
    """What a swarm came to."""

    first: int
    last: int
    """The last seed that was played."""
    done: int = 0
    events: int = 0
    virtual_us: int = 0
    steps: int = 0
    impossible: int = 0
    outcomes: dict[str, int] = {}
    groups: list[Group] = []
    situations: dict[str, int] = {}
    triples: dict[str, int] = {}
    """Component to the number of distinct (state, event), estimated, in the worlds that were listened to."""
    digest: str = ""
    batches: int = 0
    compared: int = 0
    """Seeds that two different workers played."""
    apart: list[int] = []
    """Those of them on which the two did not agree."""
    lost: list[str] = []
    """Batches without a result, with the reason."""
    interrupted: bool = False

    @property
    def never(self) -> tuple[str, ...]:
        """Situations that did not occur."""
        return tuple(name for name in MUST_REACH if name not in self.situations)

    @property
    def big(self) -> bool:
        """Whether it is a failure if a situation never occurred."""
        return self.done >= BIG_RUN


class Campaign:
    """One swarm on one cluster."""

    def __init__(self, cluster: Cluster, wanted: Wanted, progress: Callable[[Progress], None] | None = None) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._progress = progress
        self._batch = wanted.batch or self._suits()
        self._next = wanted.first
        self._name = f"{platform.node()}:{os.getpid()}:{next(_COUNT)}"
        self._open: dict[int, Order] = {}
        self._total = 0
        self._groups: dict[Failure, Group] = {}
        self._sketches = {name: Sketch() for name in COMPONENTS}
        self._samples: dict[int, dict[str, str]] = {}
        """Seed to the digest that each worker found."""
        self.report = Report(first=wanted.first, last=wanted.first - 1)

    def _suits(self) -> int:
        """Return how many seeds a task takes: each slot gets several, as long as they are not too small."""
        if self._wanted.last is None or isinstance(self._cluster, Here):
            return SMALL_BATCH
        total = self._wanted.last - self._wanted.first + 1
        slots = self._cluster.slots
        return max(min(total // (slots * 8), BIG_BATCH), min(SMALL_BATCH, -(-total // slots)))

    def play(self, time_is_up: Callable[[], bool] = lambda: False) -> Report:
        """Play until all seeds are done or the time is up. Ctrl-C ends it with what is done."""
        try:
            while self._submits(stop=time_is_up()) or self._open:
                self._gather()
        except KeyboardInterrupt:
            self.report.interrupted = True
            self._stop()
        return self._finished()

    def _submits(self, *, stop: bool) -> bool:
        """Keep everybody busy; say whether there will be more to submit."""
        while not stop and self._more() and len(self._open) < self._cluster.slots * AHEAD:
            first, last = self._next, self._next + self._batch - 1
            if self._wanted.last is not None:
                last = min(last, self._wanted.last)
            before = first - self._batch
            order = Order(first, last, before if before >= self._wanted.first else -1, self._name)
            self._open[self._cluster.submit(play_batch, msgspec.msgpack.encode(order))] = order
            self._next = last + 1
        return not stop and self._more()

    def _more(self) -> bool:
        return not self._cluster.gone and (self._wanted.last is None or self._next <= self._wanted.last)

    def _gather(self) -> None:
        for done in self._cluster.gather():
            order = self._open.pop(done.number)
            if done.error:
                self.report.lost.append(f"seeds {order.first}..{order.last}: {done.error}")
                continue
            try:
                batch = decode(done.data)
            except msgspec.DecodeError as error:
                self.report.lost.append(f"seeds {order.first}..{order.last}: a result of another version: {error}")
                continue
            self._take(batch)

    def _stop(self) -> None:
        """Leave what nobody has begun; wait for what is under way, unless the user asks again."""
        self._cluster.cancel()
        try:
            idle = 0
            while self._open and idle < _PATIENCE:
                before = len(self._open)
                self._gather()
                idle = 0 if len(self._open) < before else idle + 1
        except KeyboardInterrupt:
            return

    def _take(self, batch: Batch) -> None:
        report = self.report
        report.done += batch.done
        report.last = max(report.last, batch.first + batch.done - 1)
        report.batches += 1
        for name in ("events", "virtual_us", "steps", "impossible"):
            setattr(report, name, getattr(report, name) + getattr(batch, name))
        for mine, theirs in ((report.outcomes, batch.outcomes), (report.situations, batch.situations)):
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count
        for group in batch.groups:
            self._groups.setdefault(group.failure, Group(group.failure, seeds=[])).add(group)
        for name, registers in batch.novelty.items():
            self._sketches[name].merge(Sketch(registers))
        self._total = add(self._total, bytes.fromhex(batch.digest))
        for seed, digest in (batch.work.sample, batch.work.again):
            if seed >= 0:
                self._samples.setdefault(seed, {})[batch.work.worker] = digest
        if self._progress is not None:
            total = None if self._wanted.last is None else self._wanted.last - self._wanted.first + 1
            self._progress(Progress(
                report.done, total, sum(sketch.count() for sketch in self._sketches.values()), len(report.situations),
                len(self._groups)
            ))  # fmt: skip

    def _finished(self) -> Report:
        report = self.report
        report.groups = [self._groups[failure] for failure in sorted(self._groups, key=_news_first)]
        report.triples = {name: sketch.count() for name, sketch in self._sketches.items()}
        report.digest = self._total.to_bytes(16, "big").hex()
        report.compared = sum(len(found) > 1 for found in self._samples.values())
        report.apart = sorted(seed for seed, found in self._samples.items() if len(set(found.values())) > 1)
        return report


_PATIENCE: Final = 120
"""So many gatherings without a result after a stop, each of half a second, and what is under way is left."""


def _news_first(failure: Failure) -> tuple[bool, bool, Failure]:
    return bool(failure.known), not failure.sure, failure
