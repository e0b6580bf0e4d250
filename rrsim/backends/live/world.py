"""A live run in the making: real server, real machines, real clock; the same people, director and checks.

It routes and writes down, and decides nothing. What the director may do is in :mod:`rrsim.backends.live.stage`; one
customer's PC is :mod:`rrsim.backends.live.pc`.

Everything happens on one event loop. What takes time (a click, a boot) is a task; a task that fails is a failure of the
harness and ends the run with what was seen so far, never with a verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from rrsim import people
from rrsim.backends.live.credentials import Mask
from rrsim.backends.live.link import Link
from rrsim.backends.live.pc import LivePc, NotPossible
from rrsim.backends.live.timers import Timers
from rrsim.live_clock import monotonic_us
from rrsim.machine import observations as seen
from rrsim.machine.adapters import Entry, ServerAdapter
from rrsim.people import customer, rep
from rrsim.people import vocabulary as said
from rrsim.protocol import messages
from rrsim.protocol.settings import Account
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import linkdraws
from rrsim.scenario.history import History
from rrsim.scenario.model import Scenario
from rrsim.scenario.streams import Streams
from rrsim.scenario.tracker import Tracker, customer_of_session
from rrsim.scenario.vocabulary import EVENT_TYPES

REPS: Final = ("rep-1", "rep-2")
CONSOLE_MESSAGES: Final = (
    messages.ConfirmRestart, messages.RestartView, messages.SessionView, messages.RepSeesChat,
)


class Side:
    """One customer of a run: the PC, the way to the server, the person, the session."""

    def __init__(self, number: int, pc: LivePc, link: Link, person: Any, streams: Streams) -> None:
        self.number = number
        self.pc = pc
        self.link = link
        self.person = person
        self.streams = streams
        self.session = ""
        self.session_count = 0
        self.over = False
        self.owner = REPS[0]
        self.phase = "off"
        self.probing = False
        self.dark_us = 0
        """When the PC last went down without a word, on the monotonic clock: the server hears nothing of it."""


class LiveWorld:
    """Time, routing and history of one live run."""

    def __init__(
        self, scenario: Scenario, account: Account, scale: float, seed: int, history: History, server: ServerAdapter,
    ) -> None:
        """``scenario`` and ``account`` are scaled already; ``scale`` is for what the harness draws itself."""
        self.scenario = scenario
        self.account = account
        self.scale = scale
        self.seed = seed
        self.history = history
        self.server = server
        self.patience = 1.0
        """How many times longer than on this computer things may take on the machines."""
        self.mask = Mask(())
        """Takes the credentials of the products out of whatever is written down."""
        self.loop = asyncio.get_running_loop()
        self.timers = Timers(self.loop)
        self.tracker = Tracker()
        self.began_us = monotonic_us()
        self.sides: list[Side] = []
        self.reps: dict[str, Any] = {name: rep.initial(scenario.given.rep, name) for name in REPS}
        self.rep_streams = Streams(seed, self._fixed(), 99, people.DRAWS)
        self.over: asyncio.Future[None] = self.loop.create_future()
        """Done when the run is over; carries the failure of the harness if there was one."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.watched: frozenset[type] = frozenset()
        self._limits = frozenset(EVENT_TYPES.get(want.before or "") for want in scenario.expect.events)
        """Events that something must come *before*: a witness that looks now and then looks before they are noted."""
        self.staged = False
        """Machines and agents are ready: what they show from here on belongs to the run."""

    def _fixed(self) -> Mapping[str, int]:
        # The scenario is scaled already, and what is drawn from a stream is scaled once more.
        return {name: round(int(us) * self.scale) for name, us in self.scenario.given.durations.items()}

    def streams_of(self, number: int) -> Streams:
        """Return the streams of a customer, over what people leave open."""
        return Streams(self.seed, self._fixed(), number, {**people.DRAWS, **linkdraws.DRAWS})

    # --- time, tasks and history --------------------------------------------------------------------------------

    def now_us(self) -> int:
        """Return how long the run has lasted."""
        return monotonic_us() - self.began_us

    def note(self, source: str, event: Any, number: int, at_us: int | None = None) -> None:
        """Append to the history; tell the director if a step waits for this type of event."""
        event = self.mask.value(event)
        self.history.append(self.now_us() if at_us is None else at_us, source, event)
        if type(event) in self.watched:
            self.tell_director(event, number)

    def soon(self, work: Coroutine[Any, Any, None], about: str) -> None:
        """Do something that takes time; its failure is the harness's."""
        task = self.loop.create_task(work, name=about)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        problem = task.exception()
        if isinstance(problem, NotPossible):
            self.note("director", seen.StepImpossible(task.get_name(), str(problem)), 0)
        elif problem is not None:
            self.fail(problem)

    def fail(self, problem: BaseException) -> None:
        """The harness cannot go on."""
        if not self.over.done():
            self.over.set_exception(problem)

    async def stop(self) -> None:
        """End every task and timer of the run."""
        self.timers.stop_all()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- the server ---------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take up everything the server's side tells."""
        async for entry in self.server.entries():
            side = self.side_of(entry.session)
            if side is not None and type(entry.event) in self._limits:
                await side.pc.look_before(entry.t_us)
            self.server_told(entry)

    def server_told(self, entry: Entry) -> None:
        """Write down one entry of the server's side, and let people hear of it."""
        number = customer_of_session(entry.session)
        source = f"wire-{number}" if entry.source == "wire" else entry.source
        at_us = entry.t_us - self.began_us
        self.note(source, entry.event, number, at_us)
        if entry.source == "server":
            self.record_written(entry.event)
        elif entry.source == "console" and isinstance(entry.event, CONSOLE_MESSAGES):
            for name in REPS:
                if self.owner_of(entry.session) == name or not isinstance(entry.event, messages.ConfirmRestart):
                    self.rep_hears(name, said.ConsoleHeard(entry.session, entry.event))

    def owner_of(self, session: str) -> str:
        """Return the representative who has a session."""
        for side in self.sides:
            if side.session == session:
                return side.owner
        return REPS[0]

    def side_of(self, session: str) -> Side | None:
        """Return the customer whose present session this is."""
        return next((side for side in self.sides if side.session == session), None)

    # --- people -------------------------------------------------------------------------------------------------

    def _after(
        self, key: Any, effect: said.After, streams: Streams, call: Callable[..., None], *arguments: Any
    ) -> None:
        us = effect.us if effect.us >= 0 else round(streams.draw(effect.draw) / self.scale)
        self.timers.start(key, us, call, *arguments)

    def person_hears(self, side: Side, event: Any) -> None:
        """Deliver an input to a customer and carry out what follows."""
        side.person, effects = customer.step(side.person, event)
        for effect in effects:
            match effect:
                case said.After():
                    key, fires = ("person", side.number, effect.name), TimerFired(effect.name)
                    self._after(key, effect, side.streams, self.person_hears, side, fires)
                case said.Forget():
                    self.timers.stop(("person", side.number, effect.name))
                case said.Saw():
                    self.note(f"customer-{side.number}", effect.what, side.number)
                case said.ToPc():
                    self.soon(side.pc.person_does(effect.what), type(effect.what).__name__)
                case said.ToNet():
                    side.link.person_does(effect.what)
                case _:
                    self.soon(self.open_session(side), "customer asks for support")

    def rep_hears(self, name: str, event: Any) -> None:
        """Deliver an input to a representative and carry out what follows."""
        self.reps[name], effects = rep.step(self.reps[name], event)
        for effect in effects:
            match effect:
                case said.Say():
                    self.soon(self.server.rep_says(effect.session, name, effect.message), "representative speaks")
                case said.After():
                    fires = TimerFired(effect.name)
                    self._after(("rep", name, effect.name), effect, self.rep_streams, self.rep_hears, name, fires)
                case said.Forget():
                    self.timers.stop(("rep", name, effect.name))
                case said.Saw():
                    self.note("rep", effect.what, 0)
                case said.ConsoleUp():
                    self.soon(self.console_changes(name, effect.up), "console")
                case _:
                    side = self.side_of(effect.session) or self.sides[0]
                    self.soon(side.pc.person_does(effect.what), type(effect.what).__name__)

    async def console_changes(self, name: str, up: bool) -> None:
        """A representative's console is connected, or no longer."""
        self.note("rep", seen.RepReturned(name) if up else seen.RepAway(name), 0)
        await self.server.console(name, up)

    # --- what machines and networks show --------------------------------------------------------------------------

    def saw(self, side: Side, source: str, what: Any, at_us: int | None = None) -> None:
        """Write an observation down and let everybody hear of it who would notice."""
        if not self.staged:
            if isinstance(what, seen.PhaseBegan):
                side.phase = what.phase
            if not isinstance(what, seen.InventoryTaken):
                return
        self.note(f"{source}-{side.number}", what, side.number, at_us)
        if isinstance(what, said.CUSTOMER_HEARS):
            self.person_hears(side, what)
        side.link.pc_shows(what)
        if isinstance(what, seen.WentDown) and not what.clean:
            side.dark_us = monotonic_us()
        if isinstance(what, seen.PhaseBegan):
            side.phase = what.phase
            self.check_decided()
            if side.probing and what.phase == "desktop":
                self.probe_arrived(side)

    # --- sessions -------------------------------------------------------------------------------------------------

    async def open_session(self, side: Side) -> None:
        """The customer asks for support: a session is queued, and the code typed at the PC."""
        side.session_count += 1
        suffix = f".{side.session_count}" if side.session_count > 1 else ""
        side.session = f"session-{side.number}{suffix}"
        side.over = False
        side.owner = REPS[0]
        code = await self.server.create_session(side.session, self.scenario.given.kind, self.account)
        await side.pc.start_support(code)

    # provided by the stage
    def tell_director(self, event: Any, number: int) -> None:
        """Offer an event that some step waits for."""
        raise NotImplementedError

    def check_decided(self) -> None:
        """Tell the director when everything is decided, or no longer."""
        raise NotImplementedError

    def probe_arrived(self, side: Side) -> None:
        """The harness's own restart has reached a usable desktop."""
        raise NotImplementedError

    def record_written(self, record: Any) -> None:
        """Fold a record into the tracker."""
        raise NotImplementedError


__all__ = ["REPS", "LiveWorld", "Side"]
