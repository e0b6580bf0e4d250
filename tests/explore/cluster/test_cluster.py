"""The three calls, whoever answers them: nothing is lost, whoever dies."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import rrsim
from rrsim.explore.cluster import alike, on_dask
from rrsim.explore.cluster.here import Here
from rrsim.explore.cluster.on_dask import OnDask
from rrsim.explore.cluster.opened import open_cluster
from rrsim.explore.cluster.pool import PINNED, Pool
from rrsim.explore.cluster.seam import TRIES, Done, NotAlike, NotReachable
from tests.explore.cluster.cluster_rig import (
    ROOT,
    LocalCluster,
    dies,
    dies_once,
    fails,
    gather_all,
    local_cluster,
    upper,
    who,
)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning:distributed")


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(2)
    yield made
    made.close()


def test_this_process_does_one_task_after_the_other() -> None:
    cluster = Here()
    one, two = (cluster.submit(upper, text) for text in (b"a", b"b"))
    assert [(d.number, d.data) for d in cluster.gather()] == [(one, b"A")]
    assert [(d.number, d.data) for d in cluster.gather()] == [(two, b"B")]
    assert cluster.gather() == []


def test_a_task_here_that_the_user_stops_counts_as_not_begun() -> None:
    def stopped(_: bytes) -> bytes:
        raise KeyboardInterrupt

    cluster = Here()
    cluster.submit(stopped, b"")
    with pytest.raises(KeyboardInterrupt):
        cluster.gather()
    assert cluster.cancel() == 1


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Nobody is left that could tell them to end, and a task may take an hour."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = (
        "import sys\nfrom rrsim.explore.cluster.pool import Pool\nfrom tests.explore.cluster.cluster_rig import holds\n"
        "if __name__ == '__main__':\n    pool = Pool(1)\n    pool.submit(holds, sys.argv[1].encode())\n"
        "    pool.gather(600)\n"
    )
    (tmp_path / "parent.py").write_text(program, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), str(pipe)], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    with pipe.open("rb", buffering=0) as end:
        assert end.read(1) == b"x"
        parent.kill()
        parent.wait()
        assert select.select([end], [], [], 30)[0], "the process is still there"
        assert end.read(1) == b""


def test_processes_give_results_and_errors(pool: Pool) -> None:
    good, bad = pool.submit(upper, b"x"), pool.submit(fails, b"no")
    found = gather_all(pool, 2)
    assert found[good].data == b"X"
    assert found[bad].error == "LookupError: no"


def test_a_process_that_dies_loses_no_result(pool: Pool, tmp_path: Path) -> None:
    dying = pool.submit(dies_once, str(tmp_path / "was here").encode())
    others = [pool.submit(upper, text) for text in (b"a", b"b", b"c")]
    found = gather_all(pool, 4)
    assert found[dying].data == b"alive"
    assert [found[number].data for number in others] == [b"A", b"B", b"C"]


def test_a_task_that_always_kills_is_an_error_and_the_pool_goes_on(pool: Pool) -> None:
    poison = pool.submit(dies, b"")
    (found,) = gather_all(pool, 1).values()
    assert found.number == poison
    assert f"died {TRIES} times" in found.error
    after = pool.submit(upper, b"well")
    assert gather_all(pool, 1)[after].data == b"WELL"


def test_what_nobody_has_begun_can_be_forgotten(pool: Pool) -> None:
    for _ in range(12):
        pool.submit(who, b"0.3")
    pool.gather()
    forgotten = pool.cancel()
    assert forgotten > 0
    gather_all(pool, 12 - forgotten, patience_s=2)
    assert pool.gather(0.0) == []


def test_processes_have_a_pinned_hash_seed_and_leave_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "4242")
    made = Pool(1)
    made.submit(_hash_seed, b"")
    found = gather_all(made, 1)
    made.close()
    assert [done.data for done in found.values()] == [PINNED.encode()]
    assert os.environ["PYTHONHASHSEED"] == "4242"


def _hash_seed(_: bytes) -> bytes:
    return os.environ["PYTHONHASHSEED"].encode()


def test_one_job_needs_no_other_process() -> None:
    assert isinstance(open_cluster(jobs=1), Here)
    assert isinstance(open_cluster(jobs=8, tasks=1), Here)


# --- a Dask cluster on loopback -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path_factory.mktemp("dask"), 2) as cluster:
        yield cluster


@pytest.fixture
def dask(local: LocalCluster) -> Iterator[OnDask]:
    cluster = OnDask(local.address)
    yield cluster
    cluster.close()


def test_workers_give_results_and_errors(dask: OnDask) -> None:
    good, bad = dask.submit(upper, b"x"), dask.submit(fails, b"no")
    found = gather_all(dask, 2)
    assert found[good].data == b"X"
    assert found[bad].error == "LookupError: no"


def test_the_same_task_twice_is_done_twice(dask: OnDask) -> None:
    numbers = [dask.submit(upper, b"x") for _ in range(2)]
    assert set(gather_all(dask, 2)) == set(numbers)


def test_waiting_tasks_can_be_forgotten(dask: OnDask) -> None:
    for _ in range(30):
        dask.submit(who, b"0.2")
    early = dask.gather(0.5)
    forgotten = dask.cancel()
    assert forgotten > 0
    left = gather_all(dask, 30 - forgotten - len(early))
    assert len(left) == 30 - forgotten - len(early)
    assert all(done.data for done in (*early, *left.values()))
    assert dask.gather(0.0) == []


def test_a_worker_that_is_killed_loses_no_result(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 2) as own:
        cluster = OnDask(own.address)
        numbers = [cluster.submit(who, b"0.4") for _ in range(8)]
        first = gather_all(cluster, 1)
        own.workers[0].kill()
        rest = gather_all(cluster, 7)
        cluster.close()
    found = first | rest
    assert sorted(found) == numbers
    assert all(done.data for done in found.values()), [done.error for done in found.values()]
    assert found[numbers[-1]].data == str(own.workers[1].pid).encode(), "the one that lives has done the rest"


def test_what_the_scheduler_forgets_is_given_to_it_anew(dask: OnDask) -> None:
    numbers = [dask.submit(who, b"0.3") for _ in range(4)]
    dask._client.cancel(list(dask._tasks)[1:3], force=True)
    found = gather_all(dask, 4)
    assert sorted(found) == numbers
    assert all(done.data for done in found.values()), [done.error for done in found.values()]


def test_what_the_scheduler_forgets_every_time_ends_with_an_error(dask: OnDask) -> None:
    number = dask.submit(who, b"60")
    ended: list[Done] = []
    for _ in range(TRIES):
        assert ended == []
        dask._client.cancel(list(dask._tasks), force=True)
        ended = dask.gather(5)
    assert [done.number for done in ended] == [number]
    assert f"the scheduler was given this {TRIES} times and has lost it" in ended[0].error
    assert dask.gather(0.0) == []


def test_a_scheduler_that_goes_away_ends_every_task_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_dask, "CONNECT_S", 2.0)
    with local_cluster(tmp_path, 1) as own:
        cluster = OnDask(own.address)
        numbers = [cluster.submit(who, b"30") for _ in range(3)]
        assert (cluster.slots, cluster.gone) == (1, False)
        own.scheduler.kill()
        own.workers[0].kill()  # it would look for its scheduler for some time
        ended = gather_all(cluster, 3)
        numbers.append(cluster.submit(upper, b"late"))
        assert (cluster.slots, cluster.cancel(), cluster.gone) == (1, 0, True)
        ended |= gather_all(cluster, 1)
        cluster.close()
    assert sorted(ended) == numbers
    assert all("nobody answers at its address any more" in done.error for done in ended.values())


def test_slots_are_counted_and_kept(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 1) as own:
        own.add_worker("--resources", "vm=1")
        cluster = OnDask(own.address)
        cluster._client.wait_for_workers(2, timeout=30)
        assert cluster.slots_of("vm") == 1
        assert cluster.slots_of("gold") == 0
        numbers = [cluster.submit(who, b"0.1", "vm") for _ in range(4)]
        found = gather_all(cluster, 4)
        cluster.close()
    assert {found[number].data for number in numbers} == {str(own.workers[1].pid).encode()}


def test_a_worker_with_another_hash_seed_is_refused(tmp_path: Path) -> None:
    with (
        local_cluster(tmp_path, 1, hash_seed="7") as own,
        pytest.raises(NotAlike, match="expected PYTHONHASHSEED=0, saw 7; try the same rrsim everywhere"),
    ):
        OnDask(own.address)


def test_nobody_at_the_address_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_dask, "CONNECT_S", 0.5)
    with pytest.raises(NotReachable, match=r"expected a Dask scheduler at tcp://127\.0\.0\.1:1"):
        OnDask("tcp://127.0.0.1:1")
    before = threading.active_count()
    with pytest.raises(NotReachable, match="expected a Dask scheduler at nonsense"):
        OnDask("nonsense")
    assert threading.active_count() == before  # what is left of it would keep the next client's loop from starting


def test_a_scheduler_without_workers_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_dask, "WORKERS_S", 0.3)
    with local_cluster(tmp_path, 0) as own, pytest.raises(NotReachable, match="expected a worker at"):
        OnDask(own.address)


# --- alike ----------------------------------------------------------------------------------------------------------


def test_every_difference_that_matters_is_named() -> None:
    mine = alike.this_build()
    pinned = msgspec.structs.replace(mine, hash_seed="0")
    assert alike.difference(mine, pinned, "0") == ""
    for change, words in (
        ({"rrsim": "9"}, "expected rrsim 0.1.0, saw 9"), ({"source": "abc"}, f"expected source {mine.source}, saw abc"),
        ({"python": "cpython 3.9"}, "saw cpython 3.9"), ({"hash_seed": ""}, "expected PYTHONHASHSEED=0, saw none"),
    ):  # fmt: skip
        assert words in alike.difference(mine, msgspec.structs.replace(pinned, **change), "0")


def test_the_source_digest_is_that_of_what_decides() -> None:
    root = Path(rrsim.__file__).parent
    found = {path.relative_to(root).as_posix() for pattern in alike.DECIDE for path in root.glob(pattern)}
    assert {"agent/core.py", "server/core.py", "backends/sim/pc/boot.py", "scenario/checks/consent.py",
            "explore/swarm/draw.py", "people/customer.py", "protocol/records.py"} <= found  # fmt: skip
    assert not any(name.startswith(("cli/", "report/", "backends/live/", "server/live/")) for name in found)
    assert len(alike.source_digest()) == 16
