"""Looks for a behaviour of the model that does what was witnessed: no more, no less, in the same order per witness.

The model's states are gone through, those that explain most first, each with how much of the two sequences it explains.
A move that lets
the server or the PC do something else than comes next is not taken. What nobody witnesses (messages on their way, a
prompt, an attempt to connect) may happen at any time, as in the search.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from rrsim.agent.core import AgentError
from rrsim.backends.sim import pc
from rrsim.backends.sim.compiled import REAL, Parts
from rrsim.explore import network as net
from rrsim.explore.conform.witnessed import Seen, Witnessed, label
from rrsim.explore.moves import Move
from rrsim.explore.packing import CLIENT, NET, SESSION, unpack
from rrsim.explore.slowly import Firing
from rrsim.explore.turn import Endless
from rrsim.explore.world import World
from rrsim.server import vocabulary
from rrsim.server.core import SessionError

MOST_STATES: Final = 300_000
_DEAD: Final = (AgentError, SessionError, net.Misrouted, net.QueueFull, pc.NotPossible, Endless)
"""What a behaviour ends with that is none: another search reports it."""

Place = tuple[int, int, int]
"""A composed state, and how much of the server's and of the PC's sequence is behind it."""


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    outcome: str
    """``allowed``, ``forbidden``, or ``unknown``: the limit was reached before an answer."""
    states: int
    """Different states that were looked at."""
    matched: int
    """How many observations the best behaviour explains."""
    of: int
    after: Seen | None = None
    """Forbidden: the last thing that the model still allows, if there is any."""
    saw: tuple[Seen, ...] = ()
    """Forbidden: what came next at each witness, and is not allowed there."""
    offers: tuple[str, ...] = ()
    """Forbidden: what the model could have done instead, where a witness would see it."""


class _Watching(Firing):
    """A move worked out, with what its witnesses see."""

    __slots__ = ("pc", "server")

    def __init__(self, world: World, numbers: list[int]) -> None:
        super().__init__(world, numbers, None)
        self.server: list[str] = []
        self.pc: list[str] = []

    def _say(self, source: str, what: Any) -> None:
        if source == "server hears":
            what = _heard(what)
        elif source not in ("server", "pc"):
            return
        whose, name = label(what)
        if whose == "server":
            self.server.append(name)
        elif whose == "pc":
            self.pc.append(name)


def _heard(event: Any) -> Any:
    if isinstance(event, vocabulary.AgentSaid | vocabulary.RepSaid):
        return event.message
    return event.claim if isinstance(event, vocabulary.Claimed) else event


class _Search:
    """One run held against the model."""

    def __init__(self, witnessed: Witnessed, steps: Parts) -> None:
        self.seen = witnessed
        self.world = World(witnessed.model, steps)
        self.server = tuple(one.label for one in witnessed.server)
        self.pc = tuple(one.label for one in witnessed.pc)
        self._known: dict[tuple[int, Move], tuple[int, tuple[str, ...], tuple[str, ...]] | None] = {}

    def moves(self, place: Place) -> Iterator[Move]:
        """Yield what may happen next, and what the representative says next in the history."""
        state, at_server, _ = place
        world = self.world
        client, session, wires = (world.part(state, 0, role) for role in (CLIENT, SESSION, NET))
        bounds = unpack(state, world.fields)[-1]
        yield from world.due_on_net(0, wires)
        yield from world.due_at_client(0, client)
        yield from world.due_at_session(0, session, client)
        yield from world.dial(0, wires, client)
        yield from world.faults_on_net(0, bounds, wires)
        yield from world.faults_at_client(0, bounds, client)
        if at_server < len(self.server) and self.server[at_server].startswith("hears the representative"):
            yield Move("rep", self.seen.server[at_server].what)

    def fire(self, state: int, move: Move) -> tuple[int, tuple[str, ...], tuple[str, ...]] | None:
        """Return the state after a move and what its witnesses see of it; nothing if it cannot be."""
        key = state, move
        if key not in self._known:
            firing = _Watching(self.world, unpack(state, self.world.fields))
            try:
                after, _ = firing.carry_out(move)
            except _DEAD:
                self._known[key] = None
            else:
                self._known[key] = after, tuple(firing.server), tuple(firing.pc)
        return self._known[key]


def follow(witnessed: Witnessed, steps: Parts = REAL, *, most_states: int = MOST_STATES) -> Followed:
    """Say whether the model allows what was witnessed.

    Args:
        witnessed: the run, see :func:`rrsim.explore.conform.witnessed.read`.
        steps: the step functions; other than the real ones to see that a wrong model is noticed.
        most_states: give up after so many.
    """
    search = _Search(witnessed, steps)
    start: Place = search.world.start, 0, 0
    known, todo = {start}, [(0, 0, start)]
    total = len(search.server) + len(search.pc)
    best, offers = start, set[str]()
    while todo:
        place = heapq.heappop(todo)[-1]
        if place[1] + place[2] == total:
            return Followed(outcome="allowed", states=len(known), matched=total, of=total)
        if place[1] + place[2] > best[1] + best[2]:
            best, offers = place, set()
        for move in search.moves(place):
            fired = search.fire(place[0], move)
            if fired is None:
                continue
            after, server, machine = fired
            to = after, place[1] + len(server), place[2] + len(machine)
            if search.server[place[1]: to[1]] != server or search.pc[place[2]: to[2]] != machine:
                if place[1:] == best[1:]:
                    offers.add(_offer(search, place, server, machine))
                continue
            if to not in known:
                known.add(to)
                heapq.heappush(todo, (-to[1] - to[2], len(known), to))
        if len(known) > most_states:
            return Followed(outcome="unknown", states=len(known), matched=best[1] + best[2], of=total)
    return _forbidden(witnessed, best, offers, len(known), total)


def _offer(search: _Search, place: Place, server: tuple[str, ...], machine: tuple[str, ...]) -> str:
    """Return the first thing of a move that was not seen."""
    witnesses = (("the server", server, search.server, place[1]), ("the PC", machine, search.pc, place[2]))
    for who, did, seen_there, at in witnesses:
        for step, name in enumerate(did):
            if at + step >= len(seen_there) or seen_there[at + step] != name:
                return f"{who} {name}"
    return ""


def _forbidden(witnessed: Witnessed, best: Place, offers: set[str], states: int, total: int) -> Followed:
    behind = (*witnessed.server[: best[1]], *witnessed.pc[: best[2]])
    ahead = (*witnessed.server[best[1]: best[1] + 1], *witnessed.pc[best[2]: best[2] + 1])
    return Followed(
        outcome="forbidden", states=states, matched=best[1] + best[2], of=total,
        after=max(behind, key=lambda one: one.place, default=None), saw=tuple(sorted(ahead, key=lambda one: one.place)),
        offers=tuple(sorted(offers)),
    )


