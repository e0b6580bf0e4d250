"""One move worked out part by part: for the opening scene, for the stages, and for traces, where speed does not matter.

:mod:`rrsim.explore.ways` does the same by look-up. Both use the same turns, and a test compares them state by state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rrsim.backends.sim import parts
from rrsim.explore import ending, moves
from rrsim.explore import network as net
from rrsim.explore.moves import Move
from rrsim.explore.packing import CLIENT, NET, ROLES, SESSION, WATCH, pack
from rrsim.explore.turn import Out
from rrsim.protocol import messages as msg

if TYPE_CHECKING:
    from rrsim.explore.world import World


class Firing:
    """The numbers of all parts while a move is carried out."""

    __slots__ = ("_log", "_now", "_said", "_world")

    def __init__(self, world: World, numbers: list[int], log: list[str] | None) -> None:
        self._world = world
        self._now = numbers
        self._log = log
        self._said: list[Any] = []

    def carry_out(self, move: Move) -> tuple[int, list[Any]]:
        """Return the state after the move, and what the monitor said: what is broken, and what was reached."""
        world, side = self._world, move.side
        if self._log is not None:
            self._log.append(moves.say(move, world.model.customers))
        if move.to == "stage":
            self._next_stage(move.what)
            return pack(self._now), self._said
        before = self._now[-1]
        self._now[-1] = world.paid(before, move)
        if move.to in ("agent", "pc"):
            self._at_client(side, move.to, move.what)
        elif move.to == "net":
            self._on_net(side, move.what)
        elif move.to == "server":
            self._at_session(side, move.what)
        elif move.to == "rep":
            self._at_session(side, moves.RepSays(move.what))
        elif isinstance(move.what, moves.Copies):
            self._now[-1] = world.copied(self._now[-1], self._now[side * ROLES + CLIENT])
        else:
            self._at_session(side, world.claims(side, before, move.what))
        return pack(self._now), self._said

    def _say(self, source: str, what: Any) -> None:
        if self._log is not None:
            self._log.append(f"    {source}: {moves.plain(what)}")

    def _at_client(self, side: int, to: moves.To, what: Any) -> None:
        at = side * ROLES + CLIENT
        self._now[at], out = self._world.at_client(self._now[at], to, what, self._say)
        self._listen(side, out)

    def _at_session(self, side: int, event: Any) -> None:
        at = side * ROLES + SESSION
        self._now[at], out = self._world.at_session(self._now[at], event, self._say)
        self._listen(side, out)

    def _on_net(self, side: int, what: Any) -> None:
        at = side * ROLES + NET
        self._now[at], effects = self._world.nets[side].step(self._now[at], what)
        for effect in effects:
            if isinstance(effect, net.AgentHears):
                self._at_client(side, "agent", effect.what)
            else:
                self._at_session(side, effect.what)

    def _listen(self, side: int, out: Out) -> None:
        """Tell network, monitor and representative."""
        at, world = side * ROLES, self._world
        for event in out.net:
            self._now[at + NET], _ = world.nets[side].step(self._now[at + NET], event)
        for event in out.watch:
            self._now[at + WATCH], said = world.monitor.step(self._now[at + WATCH], event)
            self._said += said
        self._now[-1] = world.shown(self._now[-1], side, out.console)

    def _next_stage(self, stage: int) -> None:
        """Faults stop and the representative ends every session, or the harness restarts every PC."""
        world = self._world
        self._now[-1] = world.in_stage(self._now[-1], stage)
        for side in world.sides:
            at = side * ROLES + CLIENT
            self._now[at] = world.healed(self._now[at])
            if stage == ending.CLOSING:
                self._at_session(side, moves.RepSays(msg.EndSession()))
            else:
                self._at_client(side, "pc", parts.Probe())
