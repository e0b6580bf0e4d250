"""Processes of this machine, through :class:`concurrent.futures.ProcessPoolExecutor`.

An executor whose worker dies gives everything up. So a new one is made, and the tasks that were not done are done
there; a task that was begun in :data:`~rrsim.explore.cluster.seam.TRIES` executors that died is an error, as the
others are not to suffer from it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection

from rrsim.explore.cluster.seam import TRIES, Done, Task, Work

_HASH_SEED = "PYTHONHASHSEED"
PINNED = "0"
"""The value of PYTHONHASHSEED in every worker: nothing may depend on it, and nothing can."""


def _begin() -> None:
    """Leave Ctrl-C to the parent: it decides what becomes of the work, and a terminal sends it to everybody.

    A parent that was killed decides nothing any more, and a task may take an hour: the process ends with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), name="ends with its parent", daemon=True).start()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


class Pool:
    """So many processes of this machine."""

    gone = False  # processes that die are replaced

    def __init__(self, jobs: int) -> None:
        self.name = f"{jobs} processes of this machine"
        self._jobs = jobs
        self._count = 0
        self._tasks: dict[Future[bytes], Task] = {}
        self._lost: list[Done] = []
        self._before = os.environ.get(_HASH_SEED)
        os.environ[_HASH_SEED] = PINNED
        self._executor = self._made()

    def _made(self) -> ProcessPoolExecutor:
        # Fresh interpreters: a fork would share this process's locks and the hash seed it was started with.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._jobs, mp_context=context, initializer=_begin)

    @property
    def slots(self) -> int:
        """How many processes there are."""
        return self._jobs

    def submit(self, work: Work, payload: bytes, slot: str = "") -> int:
        """Begin a task as soon as a process is free. There is no counting of slots on one machine: all are alike."""
        del slot
        self._count += 1
        self._begin(Task(self._count, work, payload))
        return self._count

    def _begin(self, task: Task) -> None:
        try:
            future = self._executor.submit(task.work, task.payload)
        except BrokenProcessPool:
            self._renew()
            future = self._executor.submit(task.work, task.payload)
        self._tasks[future] = task

    def gather(self, patience_s: float = 0.5) -> list[Done]:
        """Return what has ended."""
        if not self._tasks:
            return self._taken([])
        over = wait(self._tasks, timeout=patience_s, return_when=FIRST_COMPLETED).done
        return self._taken([self._end(future) for future in over])

    def _taken(self, ended: list[Done | None]) -> list[Done]:
        lost, self._lost = self._lost, []
        return [*lost, *(one for one in ended if one is not None)]

    def _end(self, future: Future[bytes]) -> Done | None:
        task = self._tasks.pop(future, None)
        if task is None or future.cancelled():
            return None
        try:
            return Done(task.number, future.result())
        except BrokenProcessPool:
            return self._again(task)
        except Exception as error:  # noqa: BLE001 - a task that fails must not cost the others
            return Done(task.number, error=f"{type(error).__name__}: {error}")

    def _again(self, task: Task) -> Done | None:
        """The executor died: every task that was in it is begun anew, unless it was there too often.

        Which of them killed it is not known, so the ones that stood far behind in the queue pay with a try as well;
        they have enough of them because only so many tasks are submitted at a time.
        """
        if task.tries >= TRIES:
            why = f"the worker process died {task.tries} times while this was waiting or under way"
            return Done(task.number, error=why)
        self._renew()
        self._begin(task.again())
        return None

    def _renew(self) -> None:
        if not getattr(self._executor, "_broken", False):
            return  # an earlier task of the same death has done it
        self._executor.shutdown(wait=True)
        self._executor = self._made()

    def cancel(self) -> int:
        """Forget what no process has begun."""
        count = 0
        for future in list(self._tasks):
            if future.cancel():
                del self._tasks[future]
                count += 1
        return count

    def close(self) -> None:
        """End the processes; what they are at is waited for."""
        with contextlib.suppress(BrokenProcessPool):
            self._executor.shutdown(wait=True, cancel_futures=True)
        if self._before is None:
            os.environ.pop(_HASH_SEED, None)
        else:
            os.environ[_HASH_SEED] = self._before
