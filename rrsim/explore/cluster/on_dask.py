"""Machines through a Dask scheduler: ``dask scheduler`` on one of them, ``dask worker`` on all.

Workers for virtual machines are processes of their own with one thread and one slot: ``dask worker ADDRESS --nthreads 1
--resources vm=1``. A scheduler believes whoever connects to it, so it belongs into a closed network or behind TLS.
"""

from __future__ import annotations

from typing import Any, Final

from rrsim.explore.cluster.alike import Build, difference, this_build
from rrsim.explore.cluster.pool import PINNED
from rrsim.explore.cluster.seam import TRIES, ClusterError, Done, NotAlike, NotInstalled, NotReachable, Work

CONNECT_S: Final = 10.0
WORKERS_S: Final = 20.0
"""How long the first worker may take to connect."""
ALLOWED_FAILURES: Final = 10
"""A worker's death makes all tasks suspicious that were assigned to it; the scheduler's own limit of 3 is soon reached
where machines come and go."""


class OnDask:
    """The workers of a scheduler."""

    def __init__(self, address: str) -> None:
        """Connect, and compare every worker with this process.

        Raises:
            NotInstalled: the extra ``cluster`` is missing.
            NotReachable: no scheduler there, or no worker connected to it.
            NotAlike: a worker runs something else.
        """
        try:
            import distributed
        except ImportError as error:
            raise NotInstalled(
                f"expected the package distributed, saw: {error}; try pip install 'rrsim[cluster]'"
            ) from error
        # Its functions have no types.
        self._distributed: Any = distributed
        self.name = f"the cluster at {address}"
        try:
            self._client = self._distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise NotReachable(
                f"expected a Dask scheduler at {address}, saw: {type(error).__name__}: {error}; "
                "try dask scheduler --host 127.0.0.1, and its tcp:// address"
            ) from error
        self._futures: dict[Any, int] = {}
        self._count = 0
        try:
            self._compare(address)
        except ClusterError:
            self.close()
            raise
        self._client.run_on_scheduler(_allow, ALLOWED_FAILURES)

    def _compare(self, address: str) -> None:
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError as error:
            raise NotReachable(
                f"expected a worker at {address}, saw none; try PYTHONHASHSEED={PINNED} dask worker {address}"
            ) from error
        mine = this_build()
        builds: dict[str, Build] = self._client.run(this_build)
        for worker, build in sorted(builds.items()):
            apart = difference(mine, build, PINNED)
            if apart:
                raise NotAlike(
                    f"worker {worker}: {apart}; try the same rrsim everywhere, and PYTHONHASHSEED={PINNED} dask worker"
                )

    @property
    def slots(self) -> int:
        """How many threads the workers have together, now."""
        return max(1, int(sum(self._client.nthreads().values())))

    def slots_of(self, slot: str) -> int:
        """Return how many of a thing the workers have together, now."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return int(sum(worker.get("resources", {}).get(slot, 0) for worker in workers))

    def submit(self, work: Work, payload: bytes, slot: str = "") -> int:
        """Give the task to the scheduler. What its worker did not finish is begun again on another one."""
        self._count += 1
        future = self._client.submit(
            work, payload, key=f"rrsim-{id(self):x}-{self._count}", pure=False, retries=TRIES - 1,
            resources={slot: 1} if slot else None,
        )
        self._futures[future] = self._count
        return self._count

    def gather(self, patience_s: float = 0.5) -> list[Done]:
        """Return what has ended."""
        if not self._futures:
            return []
        try:
            with self._client.as_current():
                over = self._distributed.wait(list(self._futures), patience_s, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return []
        except self._distributed.CancelledError:
            over = {future for future in self._futures if future.cancelled()}
        return [self._end(future) for future in over]

    def _end(self, future: Any) -> Done:
        number = self._futures.pop(future)
        if future.status == "finished":
            return Done(number, future.result())
        problem = future.exception() if future.status == "error" else "the scheduler forgot it"
        return Done(number, error=f"{type(problem).__name__}: {problem}")

    def cancel(self) -> int:
        """Forget what no worker has begun."""
        begun = {key for keys in self._client.processing().values() for key in keys}
        waiting = [future for future in self._futures if future.key not in begun and not future.done()]
        self._client.cancel(waiting)
        for future in waiting:
            del self._futures[future]
        return len(waiting)

    def close(self) -> None:
        """Leave the cluster; its workers go on for others."""
        self._client.close(timeout=CONNECT_S)


def _allow(failures: int, dask_scheduler: Any = None) -> None:
    dask_scheduler.allowed_failures = failures
