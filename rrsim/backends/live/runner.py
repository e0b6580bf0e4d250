"""Run one scenario case on real machines and judge it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

import msgspec

from rrsim import __version__
from rrsim.backends.live import evidence
from rrsim.backends.live.credentials import Mask
from rrsim.backends.live.link import Link
from rrsim.backends.live.pc import LivePc
from rrsim.backends.live.stage import Stage
from rrsim.backends.live.world import REPS, Side
from rrsim.machine.adapters import SEEN_THROUGH_AGENT, SEEN_THROUGH_SERVER, Address, AgentAdapter, ServerAdapter
from rrsim.machine.interface import Capability
from rrsim.people import customer
from rrsim.protocol.settings import Account
from rrsim.scenario import director, needs, scaling
from rrsim.scenario.accounts import account_of
from rrsim.scenario.history import Header, History
from rrsim.scenario.judge import judge
from rrsim.scenario.model import Scenario
from rrsim.scenario.result import RunResult

LONGEST_RUN_S: Final = 3600.0
"""Bound on any run from when its machines are there, besides what the scenario itself may take."""
LONGEST_WAIT_S: Final = 4 * 3600.0
"""Bound on waiting for a case's machines; what keeps it waiting has a shorter limit of its own, and says more."""
MOST_MACHINES: Final = 4
"""How many machines of one case a computer is taken to carry where nothing better is known."""
STRIKE_LIMIT_S: Final = 20.0
"""How long one part of a run may take to end; what is left then is ended by force."""


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
    mac: tuple[AgentAdapter, Callable[..., Awaitable[Any]]] | None = None
    """Agent and machines of Mac customers; none: cases with a Mac are skipped."""
    mac_capabilities: frozenset[Capability] = frozenset()
    versions: tuple[str, ...] = ()
    """What runs here, in which version, for the evidence."""
    link: Callable[..., Link] = Link
    """Makes the way of a machine to the server."""
    server_name: str = ""
    """The name by which machines reach this computer, if it is not the one in the server's own address."""
    most_machines: int = MOST_MACHINES
    """How many machines of one case this host carries at a time, Macs aside: they are processes of this computer."""
    more_machines: str = ""
    """How to have it carry more, for the reason of a skipped case; empty: nothing can be said."""
    turn: Callable[[int], AbstractAsyncContextManager[object]] = lambda _machines: nullcontext()
    """``async with turn(n)``: take n machines for a case, which gets all of them or waits where it keeps no other case
    from its own."""
    patience: float = 1.0
    """How many times longer than on this computer things may take on the machines."""
    after_failure: Callable[[list[Any], RunResult], Awaitable[None]] | None = None
    """Called with a case's machines when it did not pass, before anything of it is taken away."""
    at_the_end: Callable[[Any, RunResult], None] = lambda _machine, _result: None
    """Called for each machine of a case before it is closed."""
    called: Callable[[Any], str] = lambda machine: str(machine.name)
    """A machine's name for people who look for it on the host."""

    def agent_of(self, case: Scenario) -> AgentAdapter:
        """Return the agent that the customers of a case have."""
        return self.mac[0] if self.mac is not None and self.on_macs(case) else self.agent

    def on_macs(self, case: Scenario) -> bool:
        """Whether the customers of a case have Macs, and there are Macs here."""
        return case.given.platform == "mac" and self.mac is not None

    def can(self, case: Scenario) -> frozenset[Capability]:
        """Return what the machines of a case can do."""
        return self.mac_capabilities if self.on_macs(case) else self.capabilities


def skipped(case: Scenario, bench: Bench) -> str:
    """Return why a case cannot run on this bench, in the words of the report; empty: it can.

    A case that needs what the machine lacks is skipped with that name, never passed.
    """
    missing = {name: why for name, why in needs.needs(case).items() if name not in bench.can(case)}
    if missing:
        return "needs " + "; ".join(f"{name} ({why})" for name, why in sorted(missing.items()))
    most, more = (MOST_MACHINES, "") if bench.on_macs(case) else (bench.most_machines, bench.more_machines)
    if case.given.customers > most:
        return f"needs {case.given.customers} machines at once: this host carries {most}{more and f', {more}'}"
    account = account_of(case.given)
    product = _not_in_the_product(case, account, bench)
    if product:
        return product
    close = needs.too_close(case, account, bench.resolution_us, bench.scale)
    if close:
        apart = f"{bench.backend} tells {bench.resolution_us / 1e6:g} s apart, at time scale {bench.scale:g}"
        return f"needs resolution ({close}; {apart})"
    try:
        scaling.check(bench.scale, account.resume_window_us, bench.restart_us)
    except scaling.BadScale as error:
        return f"needs another time scale ({error})"
    return ""


def _not_in_the_product(case: Scenario, account: Account, bench: Bench) -> str:
    """Return what a case asks of agent or server that its adapter says it has not; empty: nothing."""
    agent = bench.agent_of(case)
    server = bench.server()
    if case.given.agent not in agent.modes:
        return f"needs {case.given.agent} mode (the agent {agent.name} does not have it)"
    for name, why in sorted(needs.needs(case).items()):
        for end in (agent, server):
            if name in end.lacks:
                return f"needs {name} ({why}; {end.name} cannot do it)"
    said = server.unsupported(case.given.kind, account)
    if said:
        return f"needs {said} (the server {server.name} does not have it)"
    if bench.scale != 1 and not server.scales:
        return f"needs time scale 1 (the settings of the server {server.name} cannot be scaled)"
    return ""


async def run_case(case: Scenario, seed: int, bench: Bench, folder: Path) -> RunResult:
    """Run one case, with its evidence in ``folder`` if it does not pass.

    What goes wrong in the harness comes back as outcome ``error`` with the history so far, never as a verdict. What
    could not be taken away afterwards is in the result, which it does not change, or a note of what is raised.
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
    world.patience = bench.patience
    world.direct_from(director.plan(scaled))
    try:
        world.mask = Mask((*bench.agent_of(case).secrets(), *server.secrets()))
        problem = world.mask.text(await _played(world, bench, folder))
        stand_ins = _stand_ins(world)
        machines = [side.pc.machine for side in world.sides if side.pc.machine is not None]
        unseen = unobserved(server, [side.pc.adapter for side in world.sides], machines)
        history.header = msgspec.structs.replace(header, stand_ins=stand_ins, unobserved=unseen)
        result = _judged(case, scaled, seed, bench, history, problem, stand_ins)
        if result.outcome != "passed":
            await evidence.collect(folder, result, world, server, bench)
            if bench.after_failure is not None:
                await bench.after_failure(machines, result)
        for machine in machines:
            bench.at_the_end(machine, result)
    except BaseException as problem:
        for left in await _strike(world, server, bench):
            problem.add_note(left)
        raise
    return msgspec.structs.replace(result, left_behind=await _strike(world, server, bench))


async def _played(world: Stage, bench: Bench, folder: Path) -> str:
    """Play a case to its end; return what went wrong in the harness, if something did."""
    limit: asyncio.Timeout | None = None
    try:
        async with asyncio.timeout(LONGEST_WAIT_S) as limit:
            address = await world.server.start(str(folder / "server"))
            await _unless_over(world, _take_machines(world, bench, address, folder))
        async with asyncio.timeout(LONGEST_RUN_S) as limit:
            await _set_stage(world, bench, address)
            await world.over
    except Exception as error:  # noqa: BLE001 (whatever it was, the run's evidence is kept and the others go on)
        if limit is not None and limit.expired():  # not one of the shorter limits within
            return (
                f"TimeoutError: expected the run to be over within {LONGEST_RUN_S:g} s of its machines being there, "
                f"and those within {LONGEST_WAIT_S:g} s, saw it still going on; look at the bundle"
            )
        return f"{type(error).__name__}: {error}"
    return ""


async def _unless_over(world: Stage, work: Coroutine[Any, Any, None]) -> None:
    """Do something before the run, but no longer than nothing is wrong with what is there of it by then."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, world.over}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await world.over  # a machine that was taken is lost; nobody waits for the others
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _take_machines(world: Stage, bench: Bench, address: Address, folder: Path) -> None:
    """Take the machines of all customers, one after the other, before any of them is used.

    It may have to wait for other runs, so no limit of the run itself begins before.
    """
    number_of = world.scenario.given.customers
    async with nullcontext() if bench.on_macs(world.scenario) else bench.turn(number_of):
        for number in range(1, number_of + 1):
            await _take_machine(world, bench, address, folder, number)


async def _set_stage(world: Stage, bench: Bench, address: Address) -> None:
    """Prepare machines and links, connect the representatives, and let every customer ask for support."""
    world.begin_to_prepare()
    listening = world.listen()
    world.soon(listening, "listen to the server")
    for side in world.sides:
        await _prepare(world, bench, address, side)
    world.staged = True
    for name in REPS:
        await world.console_changes(name, True)
    for side in world.sides:
        world.soon(side.pc.watch_processes(), "watch processes")
    for side in world.sides:
        await world.open_session(side)


async def _take_machine(world: Stage, bench: Bench, address: Address, folder: Path, number: int) -> None:
    """Take a customer's machine, with its way to the server beside it."""
    given = world.scenario.given
    person = customer.initial(given.customer, given.pc, given.agent, world.account.phone_mode)
    side: Side

    def saw(what: Any) -> None:
        world.saw(side, "pc", what)

    def net_saw(what: Any) -> None:
        world.saw(side, "net", what)

    is_mac = bench.on_macs(world.scenario)
    make_link = Link if is_mac else bench.link
    link = make_link(given.pc, bench.scale, world.streams_of(number), net_saw, lambda: ("127.0.0.1", address.port))
    link.on_failed = world.fail
    agent, make = bench.mac if is_mac and bench.mac else (bench.agent, bench.machine)
    pc = LivePc(number, None, agent, given.agent, saw)
    side = Side(number, pc, link, person, world.streams_of(number))
    world.sides.append(side)
    pc.machine = await make(f"pc-{number}", folder, pc.machine_saw)
    pc.machine.eyes_saw = pc.eyes_saw
    pc.machine.when_failed(world.fail)
    pc.machine.agent_exe_names = frozenset(agent.executables)


async def _prepare(world: Stage, bench: Bench, address: Address, side: Side) -> None:
    """Start a customer's way to the server and the machine with the agent on it."""
    port = await side.link.start()
    host = address.host if bench.on_macs(world.scenario) else bench.server_name or address.host
    await side.pc.prepare(
        Address(host, port, address.ca_file), world.account.language,
        owners_flag=world.scenario.given.pc.safe_boot_set_by_owner,
    )
    await side.link.attach(side.pc.machine)


def _stand_ins(world: Stage) -> tuple[str, ...]:
    """Return everything that stood in for a part of the world in this run, the ways to the server included."""
    used = {word for side in world.sides for word in side.link.stand_ins}
    for side in world.sides:
        if side.pc.machine is not None:
            used.update(side.pc.machine.stand_ins)
    return tuple(sorted(used))


def unobserved(server: ServerAdapter, agents: Iterable[AgentAdapter], machines: Iterable[Any]) -> tuple[str, ...]:
    """Return which kinds of sources and which events nobody could see in a run with these adapters and machines.

    What one customer's adapter cannot see counts for the whole run: a check speaks of all customers.
    """
    missing = set(SEEN_THROUGH_SERVER - server.observes)
    for agent in agents:
        missing |= SEEN_THROUGH_AGENT - agent.observes
    for machine in machines:
        missing |= set(machine.unobserved)
    return tuple(sorted(missing))


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


async def _strike(world: Stage, server: ServerAdapter, bench: Bench) -> tuple[str, ...]:
    """Take everything of a run away, one thing after the other; return what resisted, why, and what to do."""
    ends, reap = "it ends with this command", "once this command has ended, see to what is left of it: rrsim reap"
    left = [await _within(STRIKE_LIMIT_S, "the tasks of the run", world.stop(), ends)]
    for side in world.sides:
        way = f"the way of pc-{side.number} to the server"
        left.append(await _within(STRIKE_LIMIT_S, way, side.link.close(), ends))
        machine = side.pc.machine
        if machine is not None:
            name = f"the machine {bench.called(machine)}"
            left.append(await _within(STRIKE_LIMIT_S * world.patience, name, machine.close(), reap))
    left.append(await _within(STRIKE_LIMIT_S, "the session server", server.close(), ends))
    return tuple(world.mask.text(one) for one in left if one)


async def _within(limit_s: float, what: str, work: Awaitable[Any], do: str) -> str:
    """Do a part of striking the stage. That it fails must not keep the other parts from being done: it is returned."""
    try:
        async with asyncio.timeout(limit_s) as limit:
            await work
    except Exception as error:  # noqa: BLE001 (whatever it was, the rest is to be taken away too)
        saw = "it took longer" if limit.expired() else f"{type(error).__name__}: {error}"
        return f"{what}: expected it to be gone within {limit_s:g} s, saw: {saw}; {do}"
    return ""
