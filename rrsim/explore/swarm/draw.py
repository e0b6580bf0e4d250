"""From a seed to a plan: configuration, world, orders, misfortunes, each with its moment."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from rrsim.explore.swarm.chance import Chance
from rrsim.explore.swarm.edges import BESIDE_US, MINUTE_US, MS_US, deadline, delay, outage
from rrsim.explore.swarm.faults import KINDS, Kind
from rrsim.explore.swarm.plan import Plan
from rrsim.explore.swarm.world import draw_world
from rrsim.protocol.settings import Account
from rrsim.scenario import actions as do
from rrsim.scenario.accounts import account_of
from rrsim.scenario.model import Given, Moment, Step
from rrsim.scenario.words import Duration

NEIGHBOURS: Final = 16
"""So many neighbouring seeds share one world, each with an order and misfortunes of its own: what the simulator has
worked out about a world's parts serves all of them, and a run takes a third less time."""
HOW_MANY: Final = (0, 1, 1, 2, 2, 3, 4, 6)
"""How many kinds of misfortune a run has; all others are off. Few of them reach deep, many reach odd mixes."""
ORDERS: Final = (1, 1, 1, 2, 2, 3)
"""How many restarts the representative asks for."""

BY_NAME: Final = {kind.name: kind for kind in KINDS}
_ORDER: Final = "order"

_TRIGGERS: Final[tuple[tuple[str, dict[str, str | int | bool], int], ...]] = (
    ("host call", {}, 9), ("host call", {}, 9), ("agent does", {}, 48), ("agent does", {}, 48),
    ("phase began", {}, 7), ("phase began", {"phase": "services"}, 1), ("phase began", {"phase": "loading"}, 1),
    ("message order", {}, 1), ("message armed", {}, 1), ("order armed", {}, 1), ("message restarting", {}, 1),
    ("window opened", {}, 1), ("window opened", {}, 1), ("windows session ends", {}, 1), ("went down", {}, 1),
    ("boot began", {}, 1), ("logged on", {}, 1), ("agent started", {}, 1), ("connect tried", {}, 2),
    ("message hello", {}, 1), ("message resume", {}, 1), ("endpoint resumed", {}, 1), ("link changed", {}, 2),
)  # fmt: skip
"""Events that an order is usually followed by: name, fields, and how many of them a misfortune may wait for."""


def draw_plan(seed: int) -> Plan:
    """Return the plan of a seed; the same in every process."""
    chance = Chance(seed)
    world = _world(seed // NEIGHBOURS)
    given, account = world.given, world.account
    faults = _configuration(chance, world.kinds)
    steps = _orders(chance, given, account)
    steps += _talk(chance, given, restarts=world.restarts)
    for name, how in faults.items():
        kind = BY_NAME[name]
        times = 1 + chance.below("times", 3) if how == "frequent" else 1
        for _ in range(times):
            steps += _occurrence(chance, kind, given, account, len(steps), restarts=world.restarts)
    return Plan(seed=seed, faults=faults, given=given, steps=tuple(steps))


class _World(msgspec.Struct, frozen=True, gc=False):
    given: Given
    account: Account
    kinds: tuple[str, ...]
    """Kinds of misfortune that make sense in it."""
    restarts: bool
    """An order will probably lead to a restart."""


@lru_cache(maxsize=2)
def _world(block: int) -> _World:
    given = draw_world(Chance(block))
    account = account_of(given)
    kinds = tuple(kind.name for kind in KINDS if kind.fits(given))
    return _World(given, account, kinds, _is_likely(given, account))


def _configuration(chance: Chance, possible: tuple[str, ...]) -> dict[str, str]:
    """Draw the swarm's configuration: most kinds off, the others rare or frequent."""
    chosen = chance.some("kinds", possible, chance.pick("how many", HOW_MANY))
    return {name: "frequent" if chance.one_in("frequent", 4) else "rare" for name in chosen}


def _is_likely(given: Given, account: Account) -> bool:
    """Whether the order will probably lead to a restart: only then it is worth waiting for what follows one."""
    return (
        given.platform == "windows" and given.kind == "standard" and account.restart_allowed
        and given.session == "active" and given.rep.takes_session
        and given.rep.confirms == "yes" and not given.pc.terminal_server
        and (not account.ask_before_restart or given.customer.at_restart_prompt == "yes"
             or (account.auto_accept_silence and given.customer.at_restart_prompt == "ignore"))
        and (given.rep.shares_screen or not account.needs_viewer)
    )  # fmt: skip


# --- orders -----------------------------------------------------------------------------------------------------


def _orders(chance: Chance, given: Given, account: Account) -> list[Step]:
    steps: list[Step] = []
    for number in range(chance.pick("orders", ORDERS)):
        safe = given.agent == "service" and given.platform == "windows" and chance.one_in("safe", 3)
        action = do.RepRestarts(
            customer=1 + chance.below("customer", given.customers),
            from_=chance.pick("place", ("chat window", "viewer toolbar", "tools menu")),
            mode="safe" if safe else "normal", end_programs=chance.one_in("end programs", 4),
            bypass_controls=not _offered(given, account) or chance.one_in("bypass", 12),
        )
        if number == 0:
            moment = Moment(called=_ORDER)
        else:
            wait_us = MINUTE_US * (number - 1) + chance.spread("next order", MS_US, 25 * MINUTE_US)
            moment = Moment(after=_ORDER, delay_us=Duration(wait_us), called=f"{_ORDER} {number + 1}")
        steps.append(Step(moment, action))
    return steps


def _offered(given: Given, account: Account) -> bool:
    """Whether the console can offer the control at all (R1, R10, IN-04)."""
    return given.platform != "mac" and given.kind == "standard" and account.restart_allowed


def _talk(chance: Chance, given: Given, *, restarts: bool) -> list[Step]:
    """Draw what is said before, during and after: half the runs have a transcript that has to survive (I12)."""
    steps: list[Step] = []
    if chance.one_in("talk", 2):
        return steps
    for number in range(1 + chance.below("talk", 4)):
        customer = 1 + chance.below("talk", given.customers)
        says = do.CustomerChats if chance.one_in("talk", 2) else do.RepChats
        called = f"line {number + 1}"
        if number == 0:
            moment = Moment(at_us=Duration(chance.below("talk", 1_000) * MS_US), called=called)
        elif restarts and chance.one_in("talk", 2):
            when = chance.pick("talk", ("endpoint resumed", "window opened", "message resume"))
            moment = Moment(after=_ORDER, when=when, delay_us=delay(chance, "talk"), called=called)
        else:
            later_us = Duration(chance.spread("talk", MS_US, 15 * MINUTE_US))
            moment = Moment(after=_ORDER, delay_us=later_us, called=called)
        steps.append(Step(moment, says(customer=customer, text=called)))
    return steps


# --- misfortunes ------------------------------------------------------------------------------------------------


def _occurrence(
    chance: Chance, kind: Kind, given: Given, account: Account, count: int, *, restarts: bool
) -> list[Step]:
    """Return the steps of one misfortune; ``count`` steps are there already."""
    customer = 1 + chance.below("whose", given.customers)
    steps: list[Step] = []
    for number, made in enumerate(kind.make(chance, account)):
        action: Any = made if customer == 1 else msgspec.structs.replace(made, customer=customer)
        called = f"{kind.name} {count + 1}"
        if number == 0:
            moment = _moment(chance, account, called, restarts=restarts)
        else:
            called += f".{number + 1}"
            after = steps[-1].moment.called
            moment = Moment(after=after, delay_us=outage(chance, "follow-up", account), called=called)
        steps.append(Step(moment, action))
    return steps


def _moment(chance: Chance, account: Account, called: str, *, restarts: bool) -> Moment:
    """Draw when a misfortune happens: next to an event of the restart, next to a deadline, or at any time."""
    way = chance.below("moment", 8)
    if way <= 3 and restarts:
        when, where, most = chance.pick("trigger", _TRIGGERS)
        return Moment(
            after=_ORDER, when=when, where=where, nth=1 + chance.below("nth", most),
            delay_us=_after_trigger(chance, account, when), called=called,
        )
    if way == 4:
        before_us = chance.below("early", 1000) * MS_US
        return Moment(at_us=Duration(before_us), called=called)
    return Moment(after=_ORDER, delay_us=Duration(chance.spread("later", MS_US, 20 * MINUTE_US)), called=called)


def _after_trigger(chance: Chance, account: Account, when: str) -> Duration:
    if when == "window opened" and chance.one_in("edge", 2):
        edge_us = deadline(chance, "edge", account) + chance.pick("edge", BESIDE_US)
        return Duration(max(0, edge_us))
    if when in {"agent does", "host call"} and not chance.one_in("exact", 4):
        return Duration(0)
    return delay(chance, "delay")
