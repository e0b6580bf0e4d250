"""A second search engine, as plain as can be: an oracle for the fast one.

No remembered steps, no packed differences, no tables of ways: every move is worked out part by part
(:mod:`rrsim.explore.slowly`), and a state is whatever the world says it is.
"""

from __future__ import annotations

from typing import NamedTuple

from rrsim.explore.model import Model
from rrsim.explore.monitor import Reached
from rrsim.explore.moves import Move
from rrsim.explore.packing import CLIENT, NET, SESSION
from rrsim.explore.world import World


class Counts(NamedTuple):
    """What both engines must agree on."""

    states: int
    transitions: int
    ends: int
    depth: int
    reached: dict[str, int]


def moves(world: World, state: int) -> list[Move]:
    """Return everything that may happen next: due events, and what is optional; or the harness's next stage."""
    bounds = state >> 20 * (world.fields - 1)
    due: list[Move] = [*world.confirms(bounds)]
    more: list[Move] = []
    for side in world.sides:
        client, session, wires = (world.part(state, side, role) for role in (CLIENT, SESSION, NET))
        due += world.due_on_net(side, wires) + world.due_at_client(side, client)
        due += world.due_at_session(side, session, client) + world.dial(side, wires, client)
        more += world.asks(side, bounds, world.over(session)) + world.faults_on_net(side, bounds, wires)
        more += world.faults_at_client(side, bounds, client)
    stage = None if due else world.next_stage(state)
    return [*due, *([stage] if stage else []), *more]


def search(model: Model) -> Counts:
    """Search a model that holds, breadth first."""
    world = World(model)
    levels = {world.start: 0}
    line, transitions, ends = [world.start], 0, 0
    reached: dict[str, int] = {}
    for state in line:
        found = moves(world, state)
        ends += not found
        for move in found:
            transitions += 1
            after, said = world.fire(state, move)
            for what in said:
                assert isinstance(what, Reached), f"the model must hold; seen: {what}"
                reached[what.what] = reached.get(what.what, 0) + 1
            if after not in levels:
                levels[after] = levels[state] + 1
                line.append(after)
    return Counts(len(line), transitions, ends, max(levels.values()), dict(sorted(reached.items())))
