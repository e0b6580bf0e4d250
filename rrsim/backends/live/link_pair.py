"""One connection through the link: the agent's end, the server's end, and what each of them has been told.

Like the simulator's: the path is *clear*, *cut* (nothing passes, what was sent waits; if the path heals in time the
connection goes on) or *broken* (nothing passes and never will, and nobody is told). One end can be gone while the other
still believes in the connection: it learns by a goodbye if the path is clear, by a reset when the path heals, or
through its own timers only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from rrsim.backends.live.link_flow import CHUNK_BYTES, Flow, How, Place
from rrsim.backends.live.link_greeting import Greeting
from rrsim.backends.live.link_way import PORTAL

if TYPE_CHECKING:
    from rrsim.backends.live.link_relay import Relay

AT_ONCE: Final = ("no network", "connection refused", "name not resolved")
"""What an attempt learns as soon as it is made."""
CONNECT_S: Final = 10.0
"""The session server listens on this host: it answers at once or not at all."""

Stage = Literal["asking", "opening", "greeting", "open", "over"]


class Pair:
    """One connection, from the agent's attempt to the end of both ends."""

    def __init__(self, relay: Relay, number: int, agent: Place) -> None:
        """``agent`` is the accepted socket; :meth:`begin` starts the attempt."""
        self.number = number
        self._relay = relay
        self._agent = agent
        self._server: Place | None = None
        self.stage: Stage = "asking"
        self._path: Literal["clear", "cut", "broken"] = "clear"
        self._obstacle = ""
        self._greeting = Greeting()
        self._greeting_told = False
        """It was said how the attempt ended."""
        self.agent_gone = False
        self._agent_went: How = "closed"
        self._server_gone = False
        self._server_went: How = "closed"
        self._goodbye_told = False
        """The server was told that the agent's end is gone."""
        self._up = Flow(relay.up, self._is_open, self._goes_up)
        self._down = Flow(relay.down, self._is_open, self._goes_down)
        self._up.source = self._down.sink = agent

    # --- the attempt ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Look for what is in the way of this attempt, and wait as long as it takes to be noticed."""
        self._obstacle = self._relay.way.obstacle()
        if self._obstacle in AT_ONCE:
            self._refuse(self._obstacle)
        elif self._obstacle == "no answer":
            self._later("attempt", "net timeout", self._attempt_ends)
        else:
            self._later("attempt", self._relay.way.by_line("net connect"), self._attempt_ends)

    def _attempt_ends(self) -> None:
        way = self._relay.way
        if not way.awake:
            return  # waking ends it
        now = way.obstacle()
        if not self._obstacle and now == "no answer":
            self._obstacle = now
            self._later("attempt", "net timeout", self._attempt_ends)
            return
        reason = "no network" if now == "no network" else self._obstacle or now
        if reason.startswith("certificate"):
            self._obstacle = reason
            self.stage = "opening"
            self._relay.open_impostor(self)
        elif reason:
            self._refuse(reason)
        else:
            self.stage = "opening"
            self._relay.open_upstream(self)

    def _refuse(self, reason: str) -> None:
        self.end()
        self._relay.tried(reason)

    def opened(self, server: Place) -> None:
        """The server's end is there: bytes may pass."""
        if self.stage != "opening":
            server.reset()
            return
        self._server = self._up.sink = self._down.source = server
        self.stage = "greeting"
        if not self._relay.way.online and self._obstacle != PORTAL:
            self._refuse("no network")
            return
        self._pump()

    def not_opened(self, reason: str) -> None:
        """The server's end did not come up."""
        if self.stage == "opening":
            self._refuse(reason)

    # --- bytes ------------------------------------------------------------------------------------------------------

    @property
    def _passes(self) -> bool:
        way = self._relay.way
        return way.passes_portal if self._obstacle == PORTAL else way.passes

    def _is_open(self) -> bool:
        return self.stage in ("greeting", "open") and self._path == "clear" and self._passes

    def _goes_up(self, piece: bytes) -> bool:
        return self.stage != "greeting" or not self._greeting.client_sent(piece) or self._established()

    def _goes_down(self, piece: bytes) -> bool:
        return self.stage != "greeting" or not self._greeting.server_sent(piece) or self._established()

    def _established(self) -> bool:
        """Tell of it before the bytes go on; who hears of it may end the connection at this very point."""
        self.stage = "open"
        accepted = f"accepted although {self._obstacle}" if self._obstacle else "connected"
        self._relay.tried(accepted)
        return self._is_open()

    def room(self, end: Place) -> int:
        """Return how many bytes may be read at this end now."""
        return (self._up if end is self._agent else self._down).room_bytes

    def got(self, end: Place, data: bytes) -> None:
        """Take bytes that were read; on a broken path, or with nobody at the other end, they vanish."""
        is_agent = end is self._agent
        vanish = self._path == "broken" or (not is_agent and self.agent_gone and not self._half_closed)
        if self.stage != "over" and not vanish:
            (self._up if is_agent else self._down).take(data)

    def took(self, end: Place) -> None:
        """An end takes bytes again."""
        if self.stage != "over":
            (self._down if end is self._agent else self._up).pump()

    @property
    def _half_closed(self) -> bool:
        """The agent said goodbye on a path that carries: it may still read what the server says."""
        return self.agent_gone and self._agent_went == "closed" and self._path == "clear"

    # --- ends -------------------------------------------------------------------------------------------------------

    def ended(self, end: Place, how: How) -> None:
        """The program at one end closed the connection, or is gone."""
        if self.stage == "over":
            return
        if end is self._agent:
            self._agent_ended(how)
        else:
            self._server_ended(how)

    def broke(self, end: Place) -> None:
        """An end that had said goodbye takes nothing any more."""
        if self.stage == "over":
            return
        if end is not self._agent or self._goodbye_told or self._server_gone:
            self.end()

    def _agent_ended(self, how: How) -> None:
        if self.stage in ("asking", "opening"):
            gave_up_waiting = self._obstacle == "no answer"
            self.end()
            if gave_up_waiting:
                self._relay.tried("no answer")
            return
        self.agent_gone, self._agent_went = True, how
        self._stop("notice")
        if self.stage == "greeting" and self._up.held_bytes:
            self._greeting.client_sent(self._up.peek(CHUNK_BYTES))  # its last word may still wait for the line
        if self._path != "clear":
            self._agent_vanishes()
        elif self._passes:
            draw = "net close" if how == "closed" else "net reset"
            self._later("close", self._relay.way.by_line(draw), self._goodbye)
        if self.stage == "greeting":
            self._greeting_failed()

    def _agent_vanishes(self) -> None:
        """The agent's end is closed and nobody else hears of it now."""
        self.agent_gone = True
        self._stop("notice")
        self._agent.reset()
        self._up.clear()
        self._down.clear()
        if self._server_gone:
            self.end()

    def _goodbye(self) -> None:
        """The news that the agent's end is gone reaches the server: after what the agent said, if that still passes."""
        way = self._relay.way
        if self._is_open():
            self._up.end_with(self._tell_server)
        elif self._path != "clear" or not way.online or not way.awake:
            # It was on the wire already; what the line had not carried yet is lost. A stall keeps even goodbyes.
            lost = self._up.held_bytes > 0
            self._up.clear()
            if lost:
                self._agent_went = "reset"
            self._tell_server()

    def _tell_server(self) -> None:
        self._goodbye_told = True
        assert self._server is not None
        if self._agent_went == "closed" and not self._server_gone:
            self._server.finish()
        else:
            self.end(server=self._agent_went)

    def _server_ended(self, how: How) -> None:
        self._server_gone, self._server_went = True, how
        unanswered = self.stage == "greeting"
        if self.agent_gone and not self._half_closed:
            self.end()
        elif self._path == "broken":
            self._dismiss_server()
        elif self._is_open():
            self._down.end_with(self._tell_agent)
        if unanswered:
            self._greeting_failed()

    def _dismiss_server(self) -> None:
        if self._server is not None:
            self._server.reset()
        if self.agent_gone:
            self.end()

    def _tell_agent(self) -> None:
        if self._server_went == "reset" or self.agent_gone:
            self.end(agent=self._server_went)
        else:
            self._agent.finish()

    def _greeting_failed(self) -> None:
        """An end went before the connection was established: say why, if it can be told."""
        if self._greeting_told:
            return
        reason = ""
        if self._greeting.declined:
            reason = self._obstacle or "certificate not valid"
        elif self._server_gone and not self.agent_gone:
            reason = self._obstacle or "connection refused"
        elif self._path == "clear" and not self._passes:
            reason = "no answer"
        if reason:
            self._fails(reason)

    def _fails(self, reason: str) -> None:
        self._greeting_told = True
        self._relay.tried(reason)

    def end(self, *, agent: How = "reset", server: How = "reset") -> None:
        """Nothing is left to be waited for: end both ends, each in its way, and be forgotten."""
        if self.stage == "over":
            return
        self.stage = "over"
        for what in ("attempt", "notice", "close"):
            self._stop(what)
        self._up.clear()
        self._down.clear()
        for place, how in ((self._agent, agent), (self._server, server)):
            if place is not None and how == "closed":
                place.close()
            elif place is not None:
                place.reset()
        self._relay.forget(self)

    # --- what the way does to it ------------------------------------------------------------------------------------

    def drop(self) -> None:
        """Both ends are told that the connection is gone."""
        if self.stage == "open" and self._path == "clear":
            self.end()

    def half_open(self) -> None:
        """Nothing passes any more, and neither end is told."""
        if self.stage == "open" and self._path != "broken":
            self._path = "broken"
            self._stop("notice")
            self._stop("close")
            self._up.clear()
            self._down.clear()
            if self.agent_gone and self._server_gone:
                self.end()

    def cut(self, notice: bool) -> None:
        """The way is gone; Windows tells the agent a little later."""
        if self.stage not in ("greeting", "open") or self.agent_gone:
            return
        if self._path == "clear":
            self._path = "cut"
        if notice:
            self._later("notice", "net notice", self._noticed)

    def _noticed(self) -> None:
        unanswered = self.stage == "greeting" and not self._greeting_told
        self._agent_vanishes()
        if unanswered:
            self._fails("no network")

    def mend(self) -> None:
        """The way is back: go on if both ends are still there, else reset the other one."""
        if self.stage not in ("greeting", "open") or self._path == "broken":
            return
        if self._path == "clear":
            self._pump()  # what the line had not carried of a connection whose agent had closed it
            return
        if self._server_gone:
            self.end()
            return
        self._stop("notice")
        self._path = "clear"
        if self.agent_gone:
            self._agent_went = "reset"
            self._later("close", self._relay.way.by_line("net reset"), self._goodbye)
        else:
            self._pump()

    def flow(self) -> None:
        """A stall is over."""
        if self.stage == "asking":
            if self._obstacle == "no answer" and self._relay.way.online:
                self.begin()
            return
        if self.stage == "over" or self._path != "clear":
            return
        if self.agent_gone and not self._relay.way.online:
            self._path = "cut"
            return
        self._pump()
        if self._server_gone:
            self._down.end_with(self._tell_agent)
        elif self.agent_gone and not self._goodbye_told:
            self._later("close", self._relay.way.by_line("net reset"), self._goodbye)

    def _pump(self) -> None:
        self._up.pump()
        self._down.pump()

    def pc_down(self, *, clean: bool, passes: bool) -> None:
        """The PC went down: its end is gone, and the server is told only if Windows could still say goodbye."""
        if self.stage in ("asking", "opening") or self._server_gone:
            self.end()
        elif not self.agent_gone and clean and passes and self._path == "clear":
            self._up.flush()
            self.end(server="closed")
        elif not self.agent_gone:
            self._agent_vanishes()
            self._path = "cut" if clean and self._path != "broken" else "broken"
        elif not clean and self._path == "clear" and not self._goodbye_told:
            # The processes died with the electricity: what looked like their goodbye never left the house.
            self._stop("close")
            self._agent_vanishes()
            self._path = "broken"

    def wake(self) -> None:
        """The PC slept: what the agent had is gone, and the server was not told."""
        if self.stage in ("asking", "opening"):
            self._refuse("no network")
        elif not self.agent_gone:
            unanswered = self.stage == "greeting" and not self._greeting_told
            self._agent_vanishes()
            if self._path != "broken":
                self._path = "cut"
            if unanswered:
                self._fails("no network")

    # --- timers -----------------------------------------------------------------------------------------------------

    def _later(self, what: str, draw: str, call: Callable[[], None]) -> None:
        self._relay.timers.start((what, self.number), self._relay.delay_us(draw), call)

    def _stop(self, what: str) -> None:
        self._relay.timers.stop((what, self.number))
