"""What may happen next in each composed state, and what it leads to: looked up, not worked out.

A move reaches the client or the session, and the others only listen (:mod:`rrsim.explore.turn`). So its effect is a sum
of differences of the packed number, each of which depends on one part alone: what the move takes itself, what it makes
of the client or session, and what the messages, records and questions that come of it make of network, monitor and
bounds. Each is worked out once and remembered; a known step is two to four look-ups and as many additions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rrsim.agent.core import AgentError
from rrsim.explore import moves
from rrsim.explore import network as net
from rrsim.explore.monitor import Broken
from rrsim.explore.moves import Move
from rrsim.explore.packing import BITS, CLIENT, FIELD, NET, ROLES, SESSION, WATCH
from rrsim.explore.turn import Out
from rrsim.explore.world import World
from rrsim.server.core import SessionError

Look = Callable[[int], Any]
"""A look-up by a part's number that works out what it does not know yet."""

Entry = tuple[int, Look | None, Look | None, Look | None]
"""What a move makes of client or session, and what it makes of network, monitor and bounds, where it matters."""

Cell = tuple[int, int, Look, int, Move]
"""``(difference, shift, entries, side, move)``: what the move takes itself; where the part that it reaches stands, and
the entries by that part's number; where the customer's side stands; and the move."""

REFUSES: Final = (AgentError, SessionError, net.Misrouted)
"""What a core, or the front desk, raises at an input that it must never see."""

ON_NET: Final = BITS * NET
ON_WATCH: Final = BITS * WATCH
_AT_CLIENT: Final = BITS * CLIENT
_AT_SESSION: Final = BITS * SESSION
CLOCK_BITS: Final = 8
"""Room for the number of a set of the agent's timers: it has seven."""


class Watching(dict[int, int | None]):
    """What a batch of events makes of the monitor, by its number; None where something is said: see :attr:`said`."""

    def __init__(self, ways: Ways, events: tuple[Any, ...], shift: int) -> None:
        super().__init__()
        self._monitor, self._events, self._shift = ways.world.monitor, events, shift
        self.said: dict[int, tuple[int, tuple[Any, ...]]] = {}
        """The difference, and what was said."""

    def __missing__(self, number: int) -> int | None:
        after, said = number, list[Any]()
        for event in self._events:
            after, more = self._monitor.step(after, event)
            said += more
        difference = after - number << self._shift
        if said:
            self.said[number] = difference, tuple(said)
        self[number] = None if said else difference
        return self[number]


class Refused:
    """Stands in a monitor's place for a step that a core refused, or for what was said when a stage began."""

    def __init__(self, *said: Any) -> None:
        self.said = said

    def look(self, _: int) -> None:
        """Return nothing: something is to be said."""


class _OnNet(dict[int, int]):
    """What a batch of messages makes of a network, by its number."""

    def __init__(self, ways: Ways, side: int, events: tuple[Any, ...]) -> None:
        super().__init__()
        self._net, self._events, self._shift = ways.world.nets[side], events, ROLES * BITS * side + ON_NET

    def __missing__(self, number: int) -> int:
        after = number
        for event in self._events:
            after, _ = self._net.step(after, event)
        self[number] = after - number << self._shift
        return self[number]


class _OnConsole(dict[int, int]):
    """What a batch of console messages makes of the bounds, by their number."""

    def __init__(self, ways: Ways, side: int, messages: tuple[Any, ...]) -> None:
        super().__init__()
        self._world, self._side, self._messages = ways.world, side, messages
        self._shift = ways.on_bounds

    def __missing__(self, number: int) -> int:
        self[number] = self._world.shown(number, self._side, self._messages) - number << self._shift
        return self[number]


class _Entries(dict[int, Entry]):
    """What one input makes of a client or a session, by its number."""

    def __init__(self, ways: Ways, side: int, step: Callable[[int], tuple[int, Out]], shift: int) -> None:
        super().__init__()
        self._ways, self._side, self._step, self._shift = ways, side, step, shift

    def __missing__(self, number: int) -> Entry:
        self._ways.learned += 1
        try:
            after, out = self._step(number)
        except REFUSES as error:
            self[number] = _refusal(error)
        else:
            self[number] = after - number << self._shift, *self._ways.listeners(self._side, out)
        return self[number]


def _refusal(error: Exception) -> Entry:
    return 0, None, Refused(Broken("legal input", f"{type(error).__name__}: {error}")).look, None


_NOTHING: Final[Entry] = (0, None, None, None)


def _nothing(_: int) -> Entry:
    """Return the entry of a move that reaches neither client nor session."""
    return _NOTHING


class _Side:
    """The ways out on one customer's side."""

    __slots__ = ("_at", "_clients", "_clocks", "_faults", "_nets", "_running", "_sessions", "_side", "_ways", "due")

    def __init__(self, ways: Ways, side: int) -> None:
        self._ways, self._side = ways, side
        self._at = ROLES * BITS * side
        self._nets: dict[int, tuple[Cell, ...]] = {}
        """By number of the network's state: what is due there."""
        self._clients: dict[int, tuple[Cell, ...]] = {}
        self._running: dict[tuple[str, ...], int] = {}
        """A number for every set of an agent's timers that run together: a session's timers may wait for them."""
        self._clocks: dict[int, int] = {}
        """By number of the client: which of the agent's timers run."""
        self._sessions: dict[int, tuple[Cell, ...]] = {}
        """By number of the session, and which of the agent's timers run."""
        self._faults: dict[int, tuple[dict[int, Any], dict[int, Any], dict[int, Any]] | None] = {}
        """By number of the bounds: what may happen beside, by session, network and client. None: nothing any more."""
        self.due: Callable[[int], tuple[Cell, ...]] = self._made_due()

    def _made_due(self) -> Callable[[int], tuple[Cell, ...]]:
        """Return what finds the cells of everything due here, with all it needs at hand."""
        nets, clients, sessions, clocks = self._nets, self._clients, self._sessions, self._clocks
        at_client, at_session, at_net = self._at + _AT_CLIENT, self._at + _AT_SESSION, self._at + ON_NET
        first_look, dials = self._first_look, self._dials()

        def due(state: int) -> tuple[Cell, ...]:
            client = state >> at_client & FIELD
            try:
                return (
                    nets[state >> at_net & FIELD] + clients[client]
                    + sessions[(state >> at_session & FIELD) << CLOCK_BITS | clocks[client]]
                )
            except KeyError:
                return first_look(client, state >> at_session & FIELD, state >> at_net & FIELD)

        if dials is None:
            return due
        return lambda state: due(state) + dials(state >> at_net & FIELD, state >> at_client & FIELD)

    def _first_look(self, client: int, session: int, wires: int) -> tuple[Cell, ...]:
        """Find out what is due in parts' states that were not met together before."""
        world, side = self._ways.world, self._side
        if client not in self._clients:
            self._clients[client] = self._due(world.due_at_client(side, client))
            timers = world.client.states[client].timers
            self._clocks[client] = self._running.setdefault(timers, len(self._running))
        if wires not in self._nets:
            self._nets[wires] = self._due(world.due_on_net(side, wires), wires)
        key = session << CLOCK_BITS | self._clocks[client]
        if key not in self._sessions:
            self._sessions[key] = self._due(world.due_at_session(side, session, client))
        return self._nets[wires] + self._clients[client] + self._sessions[key]

    def _dials(self) -> Callable[[int, int], tuple[Cell, ...]] | None:
        """Return what finds the customer's dialling, in a model where somebody dials."""
        if not self._ways.world.model.dial_up:
            return None
        known: dict[tuple[int, int], tuple[Cell, ...]] = {}

        def dials(wires: int, client: int) -> tuple[Cell, ...]:
            found = known.get((wires, client))
            if found is None:
                found = known[wires, client] = self._due(self._ways.world.dial(self._side, wires, client), wires)
            return found

        return dials

    def _due(self, found: tuple[Move, ...], wires: int = 0) -> tuple[Cell, ...]:
        return tuple(self._ways.cell(move, 0, wires) for move in found)

    def more(self, state: int) -> tuple[Cell, ...]:
        """Return the cells of everything optional here."""
        bounds = state >> self._ways.on_bounds
        try:
            faults = self._faults[bounds]
        except KeyError:
            here = self._ways.world.bounds.states[bounds]
            closed = here.budget.empty and here.stolen is None
            faults = self._faults[bounds] = None if closed else ({}, {}, {})
        if faults is None:
            return ()
        asks, nets, clients = faults
        part = state >> self._at
        wires, client, session = part >> ON_NET & FIELD, part & FIELD, part >> _AT_SESSION & FIELD
        try:
            found: tuple[Cell, ...] = asks[session] + nets[wires] + clients[client]
        except KeyError:
            world, side, cells = self._ways.world, self._side, self._ways.cells
            if session not in asks:
                asks[session] = cells(bounds, world.asks(side, bounds, world.over(session)))
            if wires not in nets:
                nets[wires] = cells(bounds, world.faults_on_net(side, bounds, wires), wires)
            if client not in clients:
                clients[client] = cells(bounds, world.faults_at_client(side, bounds, client), 0, client)
            found = asks[session] + nets[wires] + clients[client]
        return found


class Ways:
    """The ways out of every composed state of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.learned = 0
        """Turns worked out so far."""
        self.on_bounds = BITS * (world.fields - 1)
        self._sides = tuple(_Side(self, side) for side in world.sides)
        self._confirms: dict[int, tuple[Cell, ...]] = {}
        """By number of the bounds: the representative's answers."""
        self._entries: dict[tuple[int, str, Any], _Entries] = {}
        self._listeners: dict[tuple[int, Out], tuple[Look | None, Look | None, Look | None]] = {}
        self._same: dict[tuple[Move, int, int], Cell] = {}
        one = self._sides[0] if len(self._sides) == 1 else None
        self.due: Callable[[int], tuple[Cell, ...]] = self._due_on_one(one) if one else self._due_on_all
        """The cells of everything that is due in a composed state."""
        self.more: Callable[[int], tuple[Cell, ...]] = one.more if one else self._more_on_all
        """The cells of everything optional."""

    # --- what may happen ----------------------------------------------------------------------------------------

    def _due_on_one(self, side: _Side) -> Callable[[int], tuple[Cell, ...]]:
        """Return the function for a single customer: it is called for every state, so it looks nothing up twice."""
        due, confirms, on_bounds, answers = side.due, self._confirms, self.on_bounds, self._answers

        def all_due(state: int) -> tuple[Cell, ...]:
            found = confirms.get(state >> on_bounds)
            if found is None:
                found = answers(state >> on_bounds)
            return due(state) + found if found else due(state)

        return all_due

    def _due_on_all(self, state: int) -> tuple[Cell, ...]:
        found: tuple[Cell, ...] = ()
        for side in self._sides:
            found += side.due(state)
        bounds = state >> self.on_bounds
        confirms = self._confirms.get(bounds)
        return found + (self._answers(bounds) if confirms is None else confirms)

    def _answers(self, bounds: int) -> tuple[Cell, ...]:
        found = self._confirms[bounds] = self.cells(bounds, self.world.confirms(bounds))
        return found

    def _more_on_all(self, state: int) -> tuple[Cell, ...]:
        found: tuple[Cell, ...] = ()
        for side in self._sides:
            found += side.more(state)
        return found

    def when_quiet(self, state: int) -> tuple[Cell, ...]:
        """Return the ways out of a state in which nothing is due: the next stage, and everything optional."""
        move = self.world.next_stage(state)
        if move is None:
            return self.more(state)
        try:
            after, said = self.world.fire(state, move)
        except REFUSES as error:
            entry, difference = _refusal(error), 0
        else:
            entry, difference = (0, None, Refused(*said).look if said else None, None), after - state
        return ((difference, 0, lambda _: entry, 0, move), *self.more(state))

    def all(self, state: int) -> tuple[Cell, ...]:
        """Return every way out of a state, in the order in which a search tries them."""
        due = self.due(state)
        return due + self.more(state) if due else self.when_quiet(state)

    # --- where it leads -----------------------------------------------------------------------------------------

    def follow(self, state: int, cell: Cell) -> int | None:
        """Return the state that a way leads to; None if something is broken on it."""
        own, shift, entries, at, _ = cell
        difference, on_net, on_watch, on_console = entries(state >> shift & FIELD)
        after: int = state + own + difference
        if on_net is not None:
            after += on_net(after >> at + ON_NET & FIELD)
        if on_console is not None:
            after += on_console(after >> self.on_bounds)
        if on_watch is not None:
            number = after >> at + ON_WATCH & FIELD
            heard = on_watch(number)
            if heard is None:
                heard, said = self.said(on_watch, number)
                if any(isinstance(what, Broken) for what in said):
                    return None
            after += heard
        return after

    @staticmethod
    def said(on_watch: Any, number: int) -> tuple[int, tuple[Any, ...]]:
        """Return what a look-up at the monitor did not say: the difference, and what is broken or reached."""
        owner = on_watch.__self__
        return (0, owner.said) if isinstance(owner, Refused) else owner.said[number]

    def listeners(self, side: int, out: Out) -> tuple[Look | None, Look | None, Look | None]:
        """Return the look-ups by which network, monitor and bounds take what they are told."""
        key = (side, out)
        known = self._listeners.get(key)
        if known is None:
            at = ROLES * BITS * side
            known = self._listeners[key] = (
                _OnNet(self, side, out.net).__getitem__ if out.net else None,
                Watching(self, out.watch, at + ON_WATCH).__getitem__ if out.watch else None,
                _OnConsole(self, side, out.console).__getitem__ if out.console else None,
            )
        return known

    # --- cells --------------------------------------------------------------------------------------------------

    def cells(self, bounds: int, found: tuple[Move, ...], wires: int = 0, client: int = 0) -> tuple[Cell, ...]:
        """Return the cells of moves that take something from the bounds."""
        cells = []
        for move in found:
            after = self.world.paid(bounds, move)
            if isinstance(move.what, moves.Copies):
                after = self.world.copied(after, client)
            cells.append(self.cell(move, after - bounds << self.on_bounds, wires, bounds))
        return tuple(cells)

    def cell(self, move: Move, difference: int, wires: int, bounds: int = 0) -> Cell:
        """Return the cell of one move: of a network's in a state ``wires``, of the others under ``bounds``."""
        world, side, what = self.world, move.side, move.what
        at = ROLES * BITS * side
        if move.to == "net":
            try:
                after, effects = world.nets[side].step(wires, what)
            except REFUSES as error:
                entry = _refusal(error)
                return difference, 0, lambda _: entry, at, move
            difference += after - wires << at + ON_NET
            if not effects:
                return difference, 0, _nothing, at, move
            effect = effects[0]
            assert len(effects) == 1, "one thing arrives at a time"
            if isinstance(effect, net.AgentHears):
                return difference, at + _AT_CLIENT, self._at_client(side, "agent", effect.what), at, move
            return difference, at + _AT_SESSION, self._at_session(side, effect.what), at, move
        if isinstance(what, moves.Copies):
            return difference, 0, _nothing, at, move
        key = (move, difference, bounds)
        if key not in self._same:
            self._same[key] = self._cell_of_state(move, difference, bounds, at)
        return self._same[key]

    def _cell_of_state(self, move: Move, difference: int, bounds: int, at: int) -> Cell:
        """Return the cell of a move that is the same in every state of client, session and network."""
        world, side, what = self.world, move.side, move.what
        if move.to in ("agent", "pc"):
            return difference, at + _AT_CLIENT, self._at_client(side, move.to, what), at, move
        event = what
        if move.to == "rep":
            event = moves.RepSays(what)
        elif move.to == "thief":
            event = world.claims(side, bounds, what)
        return difference, at + _AT_SESSION, self._at_session(side, event), at, move

    def _at_client(self, side: int, to: moves.To, what: Any) -> Look:
        key = (side, to, what)
        if key not in self._entries:
            step = self.world.at_client
            self._entries[key] = _Entries(
                self, side, lambda number: step(number, to, what), ROLES * BITS * side + _AT_CLIENT
            )
        return self._entries[key].__getitem__

    def _at_session(self, side: int, event: Any) -> Look:
        key = (side, "session", event)
        if key not in self._entries:
            step = self.world.at_session
            self._entries[key] = _Entries(
                self, side, lambda number: step(number, event), ROLES * BITS * side + _AT_SESSION
            )
        return self._entries[key].__getitem__


