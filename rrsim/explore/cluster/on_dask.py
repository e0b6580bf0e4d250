"""Machines through a Dask scheduler: ``dask scheduler`` on one of them, ``dask worker`` on all.

Workers for virtual machines are processes of their own with one thread and one slot: ``dask worker ADDRESS --nthreads 1
--resources vm=1``. A scheduler believes whoever connects to it, so it belongs into a closed network or behind TLS.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, Final

from rrsim.explore.cluster.alike import Build, difference, this_build
from rrsim.explore.cluster.pool import PINNED
from rrsim.explore.cluster.seam import TRIES, ClusterError, Done, NotAlike, NotInstalled, NotReachable, Task, Work

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
        self._client = self._connected(address)
        self._tasks: dict[Any, Task] = {}
        self._last_seen: dict[str, int] = {}
        self._count = 0
        try:
            self._compare(address)
        except ClusterError:
            self.close()
            raise
        self._client.run_on_scheduler(_allow, ALLOWED_FAILURES)

    def _connected(self, address: str) -> Any:
        seen = ""
        try:
            return self._distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            seen = f"{type(error).__name__}: {error}"
        # A client that failed stops its loop when it is collected, and takes a lock for that which the next client
        # holds until its own loop runs: collected in that loop's thread it would keep it from starting (LoopRunner).
        gc.collect()
        raise NotReachable(
            f"expected a Dask scheduler at {address}, saw: {seen}; "
            "try dask scheduler --host 127.0.0.1, and its tcp:// address"
        )

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
        """How many threads the workers have together, now; as last seen while the scheduler does not answer."""
        return self._counted("", lambda: max(1, int(sum(self._client.nthreads().values()))))

    def slots_of(self, slot: str) -> int:
        """Return how many of a thing the workers have together, now; as last seen while the scheduler is silent."""
        def count() -> int:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            return int(sum(worker.get("resources", {}).get(slot, 0) for worker in workers))

        return self._counted(slot, count)

    def _counted(self, what: str, count: Callable[[], int]) -> int:
        try:
            self._last_seen[what] = count()
        except (OSError, self._distributed.client.ClosedClientError):
            pass  # whether it comes back is seen by gather()
        except AttributeError:
            if not self.gone:  # a client that closed meanwhile has no scheduler to ask
                raise
        return self._last_seen.get(what, 1)

    @property
    def gone(self) -> bool:
        """Whether the scheduler was waited for in vain."""
        return bool(self._client.status == "closed")

    def submit(self, work: Work, payload: bytes, slot: str = "") -> int:
        """Give the task to the scheduler. What its worker did not finish is begun again on another one."""
        self._count += 1
        self._begin(Task(self._count, work, payload, slot))
        return self._count

    def _begin(self, task: Task) -> None:
        try:
            future = self._client.submit(
                task.work, task.payload, key=f"rrsim-{id(self):x}-{task.number}-{task.tries}", pure=False,
                retries=TRIES - 1, resources={task.slot: 1} if task.slot else None,
            )
        except self._distributed.client.ClosedClientError:
            future = object()  # gather() tells of it, as of everything that was under way
        self._tasks[future] = task

    def gather(self, patience_s: float = 0.5) -> list[Done]:
        """Return what has ended."""
        ended = [self._end(future) for future in self._over(patience_s)]
        if self.gone:
            ended += [self._lost(task, "nobody answers at its address any more") for task in self._tasks.values()]
            self._tasks.clear()
        return [done for done in ended if done is not None]

    def _over(self, patience_s: float) -> set[Any]:
        if not self._tasks or self.gone:
            return set()
        try:
            with self._client.as_current():
                done: set[Any] = self._distributed.wait(
                    list(self._tasks), patience_s, return_when="FIRST_COMPLETED"
                ).done
        except TimeoutError:
            return set()
        except self._distributed.CancelledError:
            return {future for future in self._tasks if future.cancelled()}
        return done

    def _end(self, future: Any) -> Done | None:
        task = self._tasks.pop(future)
        try:
            if future.status == "error":
                problem = future.exception()
                return Done(task.number, error=f"{type(problem).__name__}: {problem}")
            return Done(task.number, future.result())
        except self._distributed.CancelledError as forgotten:
            return self._again(task, forgotten)

    def _again(self, task: Task, forgotten: BaseException) -> Done | None:
        """Nobody here cancelled the task: the scheduler lost it, or the connection to it was lost with all tasks."""
        if task.tries >= TRIES or self.gone:
            return self._lost(task, str(forgotten))
        self._begin(task.again())
        return None

    @staticmethod
    def _lost(task: Task, why: str) -> Done:
        return Done(task.number, error=f"the scheduler was given this {task.tries} times and has lost it: {why}")

    def cancel(self) -> int:
        """Forget what no worker has begun."""
        if self.gone:
            return 0  # what is lost is gathered
        begun = {key for keys in self._client.processing().values() for key in keys}
        waiting = [future for future in self._tasks if future.key not in begun and not future.done()]
        self._client.cancel(waiting)
        for future in waiting:
            del self._tasks[future]
        return len(waiting)

    def close(self) -> None:
        """Leave the cluster; its workers go on for others."""
        self._client.close(timeout=CONNECT_S)


def _allow(failures: int, dask_scheduler: Any = None) -> None:
    dask_scheduler.allowed_failures = failures
