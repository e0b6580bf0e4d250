"""A whole swarm: the same for any number of workers, partial when it is stopped, loud when workers disagree."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from rrsim.explore.cluster.here import Here
from rrsim.explore.cluster.pool import Pool
from rrsim.explore.cluster.seam import Done
from rrsim.explore.swarm import campaign as campaigns
from rrsim.explore.swarm.campaign import Campaign, Progress, Report, Wanted
from rrsim.explore.swarm.failures import Failure
from rrsim.explore.swarm.run import Group, Work, decode, encode
from rrsim.explore.swarm.situations import MUST_REACH
from rrsim.explore.swarm.task import Order, play_batch


def _play(cluster: Any, **wanted: Any) -> Report:
    return Campaign(cluster, Wanted(**{"first": 0, "last": 199, "batch": 50} | wanted)).play()


def _plain(report: Report) -> dict[str, Any]:
    kept = msgspec.to_builtins(report)
    return {key: value for key, value in kept.items() if key not in {"batches", "compared"}}


def test_any_number_of_workers_and_any_size_of_batches_give_the_same() -> None:
    pool = Pool(2)
    try:
        two = _play(pool, batch=30)
    finally:
        pool.close()
    one, other = _play(Here()), _play(Here(), batch=77)
    assert _plain(one) == _plain(other) == _plain(two)
    assert (one.done, one.last, one.batches) == (200, 199, 4)


class Scripted(Here):
    """Workers whose answers a test may change, and whose user may lose patience."""

    def __init__(self, change: Any = None, stop_at: int = -1) -> None:
        super().__init__()
        self._change = change
        self._stop_at = stop_at
        self.given = 0

    def gather(self, patience_s: float = 0.5) -> list[Done]:
        """Answer, or be interrupted."""
        self.given += 1
        if self.given == self._stop_at:
            raise KeyboardInterrupt
        return [self._change(done, self.given) if self._change else done for done in super().gather(patience_s)]


def test_a_stop_keeps_what_is_done() -> None:
    report = _play(Scripted(stop_at=3))
    assert report.interrupted
    assert (report.done, report.last) == (100, 99)
    assert sum(report.outcomes.values()) == 100


def test_time_ends_it_between_batches() -> None:
    asked = iter([False, False, True, True, True, True])
    report = Campaign(Here(), Wanted(first=0, last=None, batch=20)).play(lambda: next(asked))
    assert not report.interrupted
    assert report.done % 20 == 0
    assert 20 <= report.done <= 80


def test_a_batch_without_a_result_is_named_and_the_others_count() -> None:
    def lost(done: Done, number: int) -> Done:
        return Done(done.number, error="KilledWorker: three died") if number == 2 else done

    report = _play(Scripted(lost))
    assert report.done == 150
    assert report.lost == ["seeds 50..99: KilledWorker: three died"]


def test_a_cluster_that_is_gone_ends_a_campaign_without_an_end() -> None:
    def gone(done: Done, number: int) -> Done:
        cluster.gone = number >= 2
        return Done(done.number, error="nobody answers") if cluster.gone else done

    cluster = Scripted(gone)
    report = Campaign(cluster, Wanted(first=0, last=None, batch=20)).play()
    assert (report.done, report.last) == (20, 19)
    assert all("nobody answers" in line for line in report.lost)
    assert 1 <= len(report.lost) <= 4, "what was given before it was gone"


def test_a_result_of_another_version_is_no_result() -> None:
    report = _play(Scripted(lambda done, _: Done(done.number, b"nonsense")))
    assert report.done == 0
    assert "a result of another version" in report.lost[0]


def _from(worker: str, digest: str = "") -> Any:
    def change(done: Done, number: int) -> Done:
        batch = decode(done.data)
        work = replace(batch.work, worker=f"{worker}{number % 2}")
        if digest and work.again[0] >= 0:
            work = replace(work, again=(work.again[0], digest))
        batch.work = work
        return Done(done.number, encode(batch))

    return change


def test_seeds_that_two_workers_played_are_compared() -> None:
    report = _play(Scripted(_from("w")))
    assert report.compared == 3
    assert report.apart == []


def test_workers_that_disagree_are_noticed() -> None:
    report = _play(Scripted(_from("w", digest="another history")))
    assert report.apart == [0, 50, 100]


def test_one_worker_is_not_compared_with_itself() -> None:
    assert _play(Here()).compared == 0


def test_each_batch_plays_the_first_seed_of_the_one_before() -> None:
    batch = decode(play_batch(msgspec.msgpack.encode(Order(40, 42, again=20))))
    assert isinstance(batch.work, Work)
    assert batch.work.again[0] == 20
    assert batch.work.again[1] == decode(play_batch(msgspec.msgpack.encode(Order(20, 20)))).work.sample[1]


def test_progress_is_told_after_every_batch() -> None:
    told: list[Progress] = []
    Campaign(Here(), Wanted(first=10, last=69, batch=20), told.append).play()
    assert [(now.done, now.total) for now in told] == [(20, 60), (40, 60), (60, 60)]
    assert told[0].situations <= told[-1].situations <= len(MUST_REACH)


def test_news_come_before_what_is_known() -> None:
    known, unsure, news = (
        Failure("I1", "a", known="SM-15"), Failure("I2", "b", sure=False), Failure("I9", "c"),
    )  # fmt: skip
    assert sorted([known, unsure, news], key=campaigns._news_first) == [news, unsure, known]


@pytest.mark.parametrize(("slots", "total", "size"), [(1, 100, 100), (2, 1_000_000, 2_000), (4, 40_000, 1_250),
                                                       (64, 10_000, 157)])
def test_batches_are_large_unless_somebody_would_be_idle(slots: int, total: int, size: int) -> None:
    made = Campaign.__new__(Campaign)
    made._cluster = type("Wide", (), {"slots": slots})()  # type: ignore[assignment]  # only its width is asked for
    made._wanted = Wanted(first=0, last=total - 1)
    assert made._suits() == size


def test_what_was_never_reached_counts_in_big_runs_only() -> None:
    small = Report(first=0, last=9, done=10)
    big = Report(first=0, last=9, done=campaigns.BIG_RUN)
    assert (small.big, big.big) == (False, True)
    assert small.never == MUST_REACH
    assert Group(Failure("I1", "x"), seeds=[]).seeds == []
