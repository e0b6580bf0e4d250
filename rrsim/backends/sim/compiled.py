"""A scenario made ready to run: everything that does not depend on the seed, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from rrsim.agent import core as agent_core
from rrsim.backends.sim import network, pc
from rrsim.backends.sim.memo import Memo, Node, StepFunction
from rrsim.machine import observations as seen
from rrsim.people import customer, rep
from rrsim.protocol.records import AnyRecord
from rrsim.protocol.settings import Account
from rrsim.scenario import director
from rrsim.scenario.accounts import account_of
from rrsim.scenario.model import Scenario
from rrsim.server import core as server_core


@dataclass(frozen=True)
class Parts:
    """The step functions a world is made of. The real ones are the default; deliberate bugs replace single ones."""

    agent: StepFunction = agent_core.step
    server: StepFunction = server_core.step
    server_apply: Callable[[Any, Any], Any] = server_core.apply
    pc: StepFunction = pc.step
    net: StepFunction = network.step
    person: StepFunction = customer.step
    rep: StepFunction = rep.step
    world: Callable[..., Any] | None = None
    """What wires the parts together; None: :class:`rrsim.backends.sim.world.World`."""


REAL: Final = Parts()


@dataclass(frozen=True)
class Memos:
    """One memo for each kind of part; shared by all runs with the same parts."""

    agent: Memo
    server: Memo
    pc: Memo
    net: Memo
    person: Memo
    rep: Memo


@cache
def memo_of(step: StepFunction) -> Memo:
    """Return the one memo of a step function: worlds that differ in one part still share the others."""
    return Memo(step)


def memos(parts: Parts) -> Memos:
    """Return the memos of these parts."""
    return Memos(
        agent=memo_of(parts.agent),
        server=memo_of(parts.server),
        pc=memo_of(parts.pc),
        net=memo_of(parts.net),
        person=memo_of(parts.person),
        rep=memo_of(parts.rep),
    )


@dataclass(frozen=True)
class Compiled:
    """What a world starts from."""

    scenario: Scenario
    account: Account
    plan: director.Plan
    director: Memo
    """The director of this plan: :func:`rrsim.scenario.director.step`, memoised like every other part."""
    watched: frozenset[type]
    watches_agent: bool
    fixed: Mapping[str, int]
    memos: Memos
    agent_node: Node
    server_node: Node
    net_node: Node
    person_node: Node
    pc_nodes: tuple[Node, ...]
    rep_nodes: Mapping[str, Node]
    server_rebuild: Callable[[Iterable[AnyRecord]], Any]
    world: Callable[..., Any] | None


def compile_scenario(scenario: Scenario, parts: Parts = REAL) -> Compiled:
    """Make a scenario ready to run with these parts.

    Raises:
        UnknownStepName: a step waits for a step that is not there.
        KeyError: the profile does not exist.
    """
    given = scenario.given
    account = account_of(given)
    plan = director.plan(scenario)
    watched = director.watched(plan)
    known = memos(parts)

    def rebuild(journal: Iterable[AnyRecord]) -> Any:
        state: Any = server_core.initial()
        for record in journal:
            state = parts.server_apply(state, record)
        return state

    return Compiled(
        scenario=scenario,
        account=account,
        plan=plan,
        director=Memo(partial(director.step, plan)),
        watched=watched,
        watches_agent=seen.AgentDoes in watched,
        fixed={name: int(us) for name, us in given.durations.items()},
        memos=known,
        agent_node=known.agent.node(agent_core.initial()),
        server_node=known.server.node(server_core.initial()),
        net_node=known.net.node(network.initial(given.pc)),
        person_node=known.person.node(customer.initial(given.customer, given.pc, given.agent, account.phone_mode)),
        pc_nodes=tuple(
            known.pc.node(pc.initial(given.pc, given.agent, given.platform, f"machine-{number}"))
            for number in range(1, given.customers + 1)
        ),
        rep_nodes={name: known.rep.node(rep.initial(given.rep, name)) for name in ("rep-1", "rep-2")},
        server_rebuild=rebuild,
        world=parts.world,
    )
