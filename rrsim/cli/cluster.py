"""``rrsim run --cluster``: cases played by the workers of a Dask scheduler.

Runs on the simulator travel many at a time. A run on machines is a task of its own that takes one slot (``vm``) of a
worker, and is played under a child process there, so that its crash is a result and no dead worker. Whatever becomes
of a worker, no result is lost: the task is done again by another one, or comes back as an error of the harness.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from rrsim.cli import backends, clock
from rrsim.cli.errors import environment_error
from rrsim.cli.execute import Executed, KeepHistory, Progress
from rrsim.explore.cluster.on_dask import OnDask
from rrsim.explore.cluster.seam import Cluster, ClusterError, Done
from rrsim.report import bundle
from rrsim.scenario import history_io
from rrsim.scenario.history import History
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult
from rrsim.scenario.words import Duration

SLOT: Final = "vm"
"""What a run on machines takes of a worker, which was started with ``--resources vm=1``."""
RUNS_A_TASK: Final = 200
"""Runs on the simulator in one task: a fifth of a second."""
AHEAD: Final = 2
"""Tasks for each slot: those that wait for a slot do not always move to workers that join later, so only few wait."""
CHILD_LIMIT_S: Final = 4 * 3600
"""No case takes longer, the real ten minutes on an emulated processor included."""
NOWHERE: Final = Scenario(name="in the one who asked")

Run = tuple[Scenario, int]


class Order(msgspec.Struct, frozen=True, gc=False):
    """A task: what to play, and how."""

    backend: str
    options: dict[str, Any]
    """Arguments of :func:`rrsim.cli.engine.opened`."""
    runs: tuple[tuple[bytes, int], ...]
    """Each case as JSON, with its seed."""


class Played(msgspec.Struct, frozen=True, gc=False):
    """One result on its way: without its case, which the one who asked has, and with its history as text."""

    result: bytes
    history: bytes


def _out(value: Any) -> Any:
    if isinstance(value, Duration):
        return int(value)
    raise NotImplementedError(f"cannot send {type(value).__name__}")


def _in(kind: type[Any], value: Any) -> Any:
    if kind is Duration and isinstance(value, int):
        return Duration(value)
    raise NotImplementedError(f"cannot receive {kind.__name__}")


_ORDERS: Final = msgspec.msgpack.Decoder(Order)
_ANSWERS: Final = msgspec.msgpack.Decoder(tuple[Played, ...])
_RESULT: Final = msgspec.json.Decoder(RunResult, dec_hook=_in)


def pack(result: RunResult) -> Played:
    """Make a result ready to travel. Pictures and logs stay where they were made."""
    history = history_io.dump(result.history) if result.history is not None else b""
    bare = msgspec.structs.replace(result, scenario=NOWHERE, history=None, evidence="")
    return Played(msgspec.json.encode(bare, enc_hook=_out), history)


def unpack(played: Played, case: Scenario) -> RunResult:
    """Return the result of a case as it was.

    Raises:
        msgspec.DecodeError: it is of another version of rrsim.
        HistoryError: the same, of its history.
    """
    history: History | None = history_io.load(played.history) if played.history else None
    return msgspec.structs.replace(_RESULT.decode(played.result), scenario=case, history=history)


# --- at the worker ----------------------------------------------------------------------------------------------


def play_runs(payload: bytes) -> bytes:
    """Do a task: on the simulator here, on machines in a child process."""
    order = _ORDERS.decode(payload)
    if order.backend == "sim":
        return play_here(order)
    end, held = os.pipe()  # the kernel closes what is held when this process dies, however that comes
    try:
        child = subprocess.run(
            [sys.executable, "-m", "rrsim.cli.cluster_child", str(end)], input=payload, capture_output=True,
            check=False, timeout=CHILD_LIMIT_S, pass_fds=(end,),
        )  # fmt: skip
    finally:
        os.close(end)
        os.close(held)
    if child.returncode == 0:
        return child.stdout
    last = child.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    reason = f"the process that played the case ended with status {child.returncode}: {last[0]}"
    failed = [RunResult(scenario=NOWHERE, backend=order.backend, seed=seed, outcome="error", reason=reason)
              for _, seed in order.runs]  # fmt: skip
    return msgspec.msgpack.encode(tuple(map(pack, failed)))


def play_here(order: Order) -> bytes:
    """Play the runs of a task in this process."""
    from rrsim.cli import engine

    with engine.opened(order.backend, **order.options) as opened:
        results = [opened.run(bundle.decode_scenario(case), seed) for case, seed in order.runs]
    return msgspec.msgpack.encode(tuple(map(pack, results)))


# --- at the one who asks ----------------------------------------------------------------------------------------


class Clustered:
    """The workers of a cluster as one engine."""

    def __init__(self, cluster: Cluster, backend: str, options: Mapping[str, Any]) -> None:
        self._cluster = cluster
        self._backend = backend
        self._options = dict(options)
        self._slot = "" if backend == "sim" else SLOT

    def run(self, scenario: Scenario, seed: int) -> RunResult:
        """Run one case."""
        return self.execute([(scenario, seed)]).results[0]

    def execute(
        self, runs: Sequence[Run], *, fail_fast: bool = False, keep_history: KeepHistory = lambda _: True,
        each: Callable[[RunResult], None] | None = None, jobs: int = 0,
    ) -> Executed:
        """Run many cases; results are in the order of the runs. How many go on at a time is the cluster's affair."""
        del jobs
        began = clock.elapsed_s()
        executed = Executed([])
        progress = Progress(len(runs))
        size = RUNS_A_TASK if self._backend == "sim" and not fail_fast else 1
        tasks = [runs[start : start + size] for start in range(0, len(runs), size)]
        found: dict[int, list[RunResult]] = {}
        under_way: dict[int, int] = {}
        given = 0
        try:
            while given < len(tasks) or under_way:
                while given < len(tasks) and len(under_way) < self._most():
                    under_way[self._submit(tasks[given])] = given
                    given += 1
                for done in self._cluster.gather():
                    at = under_way.pop(done.number)
                    found[at] = self._results(done, tasks[at])
                    progress.done(sum(map(len, found.values())))
                    if fail_fast and any(r.outcome in {"failed", "error", "unknown"} for r in found[at]):
                        given, under_way = len(tasks), {}
                        self._cluster.cancel()
        except KeyboardInterrupt:
            executed.interrupted = True
            self._cluster.cancel()
        progress.close()
        for at in sorted(found):
            for result in found[at]:
                _take(executed, result, keep_history, each)
        executed.elapsed_s = clock.elapsed_s() - began
        return executed

    def _most(self) -> int:
        slots_of = getattr(self._cluster, "slots_of", None)
        slots = slots_of(self._slot) if self._slot and slots_of is not None else self._cluster.slots
        return AHEAD * max(1, slots)

    def _submit(self, runs: Sequence[Run]) -> int:
        order = Order(
            self._backend, self._options, tuple((bundle.encode_scenario(case), seed) for case, seed in runs)
        )
        return self._cluster.submit(play_runs, msgspec.msgpack.encode(order), self._slot)

    def _results(self, done: Done, runs: Sequence[Run]) -> list[RunResult]:
        reason = done.error
        if not reason:
            try:
                played = _ANSWERS.decode(done.data)
                return [unpack(one, case) for one, (case, _) in zip(played, runs, strict=True)]
            except (msgspec.DecodeError, ValueError) as error:
                reason = f"a result that cannot be read: {error}"
        return [RunResult(scenario=case, backend=self._backend, seed=seed, outcome="error", reason=f"cluster: {reason}")
                for case, seed in runs]  # fmt: skip


def _take(
    executed: Executed, result: RunResult, keep_history: KeepHistory, each: Callable[[RunResult], None] | None
) -> None:
    if result.history is not None and not keep_history(result):
        result = msgspec.structs.replace(result, history=None)
    if each is not None:
        each(result)
    executed.results.append(result)


def connect(address: str, backend: str) -> OnDask:
    """Return the cluster at an address.

    Raises:
        CommandError: it cannot be used, has no slot for machines, or the backend does not exist.
    """
    if backend not in backends.KNOWN:
        backends.check_backend(backend)
    try:
        cluster = OnDask(address)
    except ClusterError as error:
        raise environment_error("a cluster that can be used", str(error), "leaving --cluster out") from error
    if backend != "sim" and not cluster.slots_of(SLOT):
        cluster.close()
        raise environment_error(
            f"a worker with a slot for {backend}", "none with the resource vm",
            f"PYTHONHASHSEED=0 dask worker {address} --nthreads 1 --resources vm=1",
        )
    return cluster
