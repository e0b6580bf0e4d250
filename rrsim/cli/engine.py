"""What runs scenarios: the simulator in this process and its forks, or live machines. One interface for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Protocol

from rrsim.cli import backends
from rrsim.cli.errors import CommandError
from rrsim.cli.execute import Executed, KeepHistory, execute
from rrsim.cli.workers import how_many
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult


class Engine(Protocol):
    """Runs cases on one backend, for as long as it is open."""

    def run(self, scenario: Scenario, seed: int) -> RunResult:
        """Run one case. What goes wrong in the harness is outcome ``error``."""

    def execute(
        self, runs: Sequence[tuple[Scenario, int]], *, fail_fast: bool = False,
        keep_history: KeepHistory = lambda _: True, each: Callable[[RunResult], None] | None = None, jobs: int = 0,
    ) -> Executed:
        """Run many cases; Ctrl-C keeps what is done. ``jobs`` 0: as many at a time as help."""


class Simulated:
    """The simulator."""

    def __init__(self) -> None:
        """Find the simulator."""
        self._runner = backends.runner_for("sim")

    def run(self, scenario: Scenario, seed: int) -> RunResult:
        """Run one case."""
        return backends.run_safely(self._runner, scenario, seed)

    def execute(
        self, runs: Sequence[tuple[Scenario, int]], *, fail_fast: bool = False,
        keep_history: KeepHistory = lambda _: True, each: Callable[[RunResult], None] | None = None, jobs: int = 0,
    ) -> Executed:
        """Run many cases, in several processes if there are many."""
        return execute(
            runs, self._runner, fail_fast=fail_fast, keep_history=keep_history, each=each,
            jobs=how_many(len(runs), jobs),
        )


@contextmanager
def opened(
    backend: str = "sim", *, time_scale: float = 0.0, agent: str = "", server: str = "",
    vm: Mapping[str, Any] = MappingProxyType({}), cluster: str = "", waits: Callable[[bool], None] | None = None,
) -> Iterator[Engine]:
    """Prepare a backend, and take everything of its runs away in the end.

    Args:
        backend: its name.
        time_scale: how many times shorter waiting is; 0: the backend's own.
        agent: adapter of the agent; empty: the bundled one.
        server: adapter of the session server; empty: the bundled one.
        vm: what was chosen for virtual machines: fields of ``VmOptions``.
        cluster: address of a Dask scheduler whose workers play; empty: this computer does.
        waits: hears that a case begins to wait for its virtual machines, which other runs may have, and no longer does.

    Raises:
        CommandError: there is no such backend here, or it cannot do what is asked.
    """
    if not cluster:
        backends.check_backend(backend)
    backends.check_options(backend, time_scale, agent, server)
    check_vm(backend, vm)
    if cluster:
        from rrsim.cli import cluster as clusters

        workers = clusters.connect(cluster, backend)
        options = {"time_scale": time_scale, "agent": agent, "server": server, "vm": dict(vm)}
        try:
            yield clusters.Clustered(workers, backend, options)
        finally:
            workers.close()
        return
    if backend == "sim":
        yield Simulated()
        return
    from rrsim.cli import live

    live_options = live.LiveOptions(
        backend=backend, time_scale=time_scale, agent=agent or backends.BUNDLED,
        server=server or backends.BUNDLED, vm=vm,
    )
    with live.opened(live_options, waits) as engine:
        yield engine


def check_vm(backend: str, vm: Mapping[str, Any]) -> None:
    """Check that choices for virtual machines are made where there are some.

    Raises:
        CommandError: they are for another backend.
    """
    if vm and backend != "libvirt":
        option = "--" + next(iter(vm)).replace("_", "-")
        raise CommandError(f"{option} with --backend libvirt", f"--backend {backend}", "leaving the option out")
