"""A Dask cluster on this computer's loopback, as its own processes; and tasks for workers to die of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rrsim.explore.cluster.seam import Cluster, Done

ROOT = Path(__file__).parents[3]


class LocalCluster:
    """A scheduler and workers that a test may kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(["scheduler", "--port", "0", "--scheduler-file", str(self._file)], "0")
        self.address = self._wait_for_address()

    def _start(self, words: list[str], hash_seed: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{words[0]}-{time.monotonic_ns()}.log").open("wb") as log:  # noqa: TID251 -- a test's clock
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"], cwd=ROOT,
                stdout=log, stderr=log, env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def _wait_for_address(self) -> str:
        until = time.monotonic() + 60  # noqa: TID251 -- a test's clock
        while time.monotonic() < until:  # noqa: TID251 -- a test's clock
            if self._file.is_file() and self._file.stat().st_size:
                return str(json.loads(self._file.read_text(encoding="utf-8"))["address"])
            time.sleep(0.05)  # noqa: TID251 -- nothing tells a test that a file is there
        raise AssertionError("the scheduler did not start")

    def add_worker(self, *words: str, hash_seed: str = "0") -> subprocess.Popen[bytes]:
        """Start a worker with one thread and no nanny: when it is killed it stays dead."""
        worker = self._start(
            ["worker", self.address, "--nthreads", "1", "--no-nanny", "--local-directory", str(self._folder), *words],
            hash_seed,
        )
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """End every process."""
        for process in (*self.workers, self.scheduler):
            process.terminate()
        for process in (*self.workers, self.scheduler):
            try:
                process.wait(5)  # one that tells a scheduler of its end that is ending too may hang
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def local_cluster(folder: Path, workers: int = 2, *words: str, hash_seed: str = "0") -> Iterator[LocalCluster]:
    """Open a cluster with so many workers."""
    cluster = LocalCluster(folder)
    try:
        for _ in range(workers):
            cluster.add_worker(*words, hash_seed=hash_seed)
        yield cluster
    finally:
        cluster.close()


def gather_all(cluster: Cluster, count: int, patience_s: float = 60.0) -> dict[int, Done]:
    """Gather until so many tasks have ended."""
    found: dict[int, Done] = {}
    until = time.monotonic() + patience_s  # noqa: TID251 -- a test's clock
    while len(found) < count and time.monotonic() < until:  # noqa: TID251 -- a test's clock
        for done in cluster.gather():
            assert done.number not in found, "no task ends twice"
            found[done.number] = done
    return found


# --- tasks ------------------------------------------------------------------------------------------------------


def upper(payload: bytes) -> bytes:
    """Do what can be checked."""
    return payload.upper()


def who(payload: bytes) -> bytes:
    """Take a moment, and say which process did it."""
    time.sleep(float(payload))  # noqa: TID251 -- a task that lasts
    return str(os.getpid()).encode()


def fails(payload: bytes) -> bytes:
    """Raise, as no task ought to."""
    raise LookupError(payload.decode())


def dies_once(payload: bytes) -> bytes:
    """Kill its own process the first time; the file in ``payload`` remembers."""
    marker = Path(payload.decode())
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return b"alive"


def holds(pipe: bytes) -> bytes:
    """Open a named pipe, say so in it, and stay for ever."""
    with Path(os.fsdecode(pipe)).open("wb", buffering=0) as end:
        end.write(b"x")
        while True:
            signal.pause()


def dies(payload: bytes) -> bytes:
    """Kill its own process, every time."""
    os.kill(os.getpid(), signal.SIGKILL)
    return payload
