"""Run one scenario case on real machines and judge it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim import __version__
from rrsim.backends.live import evidence
from rrsim.backends.live.link import Link
from rrsim.backends.live.pc import LivePc
from rrsim.backends.live.stage import Stage
from rrsim.backends.live.world import REPS, Side
from rrsim.machine.adapters import Address, AgentAdapter, ServerAdapter
from rrsim.machine.interface import Capability
from rrsim.people import customer
from rrsim.scenario import director, needs, scaling
from rrsim.scenario.accounts import account_of
from rrsim.scenario.history import Header, History
from rrsim.scenario.judge import judge
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult

LONGEST_RUN_S: Final = 3600.0
"""Bound on any run, besides what the scenario itself may take."""


class Bench(msgspec.Struct, frozen=True):
    """Where live runs happen: what is installed, on which machines, driven by which adapters."""

    backend: str
    agent: AgentAdapter
    server: Callable[[], ServerAdapter]
    machine: Callable[..., Awaitable[Any]]
    """``machine(name, root, observe, eyes) -> machine``."""
    capabilities: frozenset[Capability]
    resolution_us: int
    restart_us: int
    """How long a restart of this kind of machine takes, for the shortest sensible resume window."""
    root: Path
    scale: float
    build: str = ""
    """Digest of the agent's build."""
    mac: Callable[..., Any] | None = None


def skipped(case: Scenario, bench: Bench) -> str:
    """Return why a case cannot run on this bench, in the words of the report; empty: it can.

    A case that needs what the machine lacks is skipped with that name, never passed.
    """
    missing = {name: why for name, why in needs.needs(case).items() if name not in bench.capabilities}
    if missing:
        return "needs " + "; ".join(f"{name} ({why})" for name, why in sorted(missing.items()))
    account = account_of(case.given)
    close = needs.too_close(case, account, bench.resolution_us, bench.scale)
    if close:
        apart = f"{bench.backend} tells {bench.resolution_us / 1e6:g} s apart, at time scale {bench.scale:g}"
        return f"needs resolution ({close}; {apart})"
    try:
        scaling.check(bench.scale, account.resume_window_us, bench.restart_us)
    except scaling.BadScale as error:
        return f"needs another time scale ({error})"
    return ""


async def run_case(case: Scenario, seed: int, bench: Bench, folder: Path) -> RunResult:
    """Run one case, with its evidence in ``folder`` if it does not pass.

    What goes wrong in the harness comes back as outcome ``error`` with the history so far, never as a verdict.
    """
    reason = skipped(case, bench)
    if reason:
        return RunResult(scenario=case, backend=bench.backend, seed=seed, outcome="skipped", reason=reason)
    scaled = scaling.scenario(case, bench.scale)
    account = scaling.account(account_of(case.given), bench.scale)
    header = Header(
        scenario=case.id, backend=bench.backend, seed=seed, customers=case.given.customers, version=__version__,
    )
    history = History(header)
    server = bench.server()
    world = Stage(scaled, account, bench.scale, seed, history, server)
    world.direct_from(director.plan(scaled))
    problem = ""
    try:
        async with asyncio.timeout(LONGEST_RUN_S):
            address = await server.start(str(folder / "server"))
            await _set_stage(world, bench, address, folder)
            await world.over
    except Exception as error:  # noqa: BLE001 (whatever it was, the run's evidence is kept and the others go on)
        problem = f"{type(error).__name__}: {error}"
    stand_ins = tuple(sorted({name for side in world.sides for name in side.pc.machine.stand_ins}))
    unobserved = _unobserved(bench, server, world)
    history.header = msgspec.structs.replace(header, stand_ins=stand_ins, unobserved=unobserved)
    result = _judged(case, scaled, seed, bench, history, problem, stand_ins)
    if result.outcome != "passed":
        await evidence.collect(folder, result, world, server, bench)
    await _strike(world, server)
    return result


async def _set_stage(world: Stage, bench: Bench, address: Address, folder: Path) -> None:
    """Start machines and links, connect the representatives, and let every customer ask for support."""
    listening = world.listen()
    world.soon(listening, "listen to the server")
    for number in range(1, world.scenario.given.customers + 1):
        await _add_customer(world, bench, address, folder, number)
    world.staged = True
    for name in REPS:
        await world.console_changes(name, True)
    for side in world.sides:
        world.soon(side.pc.watch_processes(), "watch processes")
    for side in world.sides:
        await world.open_session(side)


async def _add_customer(world: Stage, bench: Bench, address: Address, folder: Path, number: int) -> None:
    given = world.scenario.given
    person = customer.initial(given.customer, given.pc, given.agent, world.account.phone_mode)
    side: Side

    def saw(what: Any) -> None:
        world.saw(side, "pc", what)

    def net_saw(what: Any) -> None:
        world.saw(side, "net", what)

    link = Link(given.pc, bench.scale, world.streams_of(number), net_saw, lambda: ("127.0.0.1", address.port))
    pc = LivePc(number, None, bench.agent, given.agent, saw)
    side = Side(number, pc, link, person, world.streams_of(number))
    world.sides.append(side)
    port = await link.start()
    pc.machine = await bench.machine(f"pc-{number}", folder, pc.machine_saw)
    pc.machine.eyes_saw = pc.eyes_saw
    pc.machine.agent_exe_names = frozenset(bench.agent.executables)
    await pc.prepare(Address(address.host, port, address.ca_file), world.account.language)


def _unobserved(bench: Bench, server: ServerAdapter, world: Stage) -> tuple[str, ...]:
    """Return which kinds of sources and events nobody could see in this run."""
    missing = {"server", "wire", "console"} - server.observes
    for side in world.sides:
        missing |= set(side.pc.machine.unobserved)
    return tuple(sorted(missing - bench.agent.observes))


def _judged(
    case: Scenario, scaled: Scenario, seed: int, bench: Bench, history: History, problem: str,
    stand_ins: tuple[str, ...],
) -> RunResult:
    if problem:
        last = history.entries[-1][0] if history.entries else 0
        return RunResult(
            scenario=case, backend=bench.backend, seed=seed, outcome="error", reason=problem, history=history,
            virtual_us=last, stand_ins=stand_ins,
        )
    judgement = judge(scaled, history)
    return msgspec.structs.replace(judgement, scenario=case, seed=seed, backend=bench.backend, stand_ins=stand_ins)


async def _strike(world: Stage, server: ServerAdapter) -> None:
    """Take everything of a run away; what fails here is said by the next run's reaper."""
    await world.stop()
    for side in world.sides:
        with contextlib.suppress(OSError, RuntimeError):
            await side.link.close()
        if side.pc.machine is not None:
            await side.pc.machine.close()
    await server.close()


def run_in_new_loop(case: Scenario, seed: int, bench: Bench, folder: Path) -> RunResult:
    """Like :func:`run_case`, for callers without an event loop."""
    return asyncio.run(run_case(case, seed, bench, folder))
