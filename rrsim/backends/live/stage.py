"""What the director may do to a live run: prepare it, act in it, heal it, and end it."""

from __future__ import annotations

from typing import Any, Final

from rrsim.backends.live.pc import NotPossible
from rrsim.backends.live.timers import pause
from rrsim.backends.live.world import REPS, LiveWorld, Side
from rrsim.live_clock import monotonic_us
from rrsim.machine import observations as seen
from rrsim.people import customer, rep
from rrsim.people import vocabulary as said
from rrsim.protocol import messages, records
from rrsim.scenario import actions, director, kinds
from rrsim.scenario.staging import STABLE, NotPrepared, as_given, begin, given_up
from rrsim.scenario.vocabulary import EVENT_NAMES

PREPARE_LIMIT_US: Final = 120_000_000
"""A session that is not as ``given`` says by then means that the harness, not the product, is at fault."""
TURNS_TO_BEGIN: Final = 4
"""Turns of the event loop after which an action of a person has surely begun."""
FEWEST_SETTLE_US: Final = 1_500_000
"""A quiet spell is never scaled below this: real machines and people take their time."""
PROBE_POLL_US: Final = 500_000
"""How often the machine is looked at while the agent may still be cleaning up after the probe."""


class Stage(LiveWorld):
    """The director's half of a live run."""

    def direct_from(self, plan: director.Plan) -> None:
        """Prepare to direct a plan; the steps begin when the session is as the scenario says."""
        self.plan = plan
        self.watched = director.watched(plan)
        self.state = director.DirectorState()
        self.began = False
        self.prepared = False
        self.decided = True
        self.probing = 0

    def begin_to_prepare(self) -> None:
        """The machines are there: from now on the session must soon be as the scenario says."""
        self.timers.start("prepare", round(PREPARE_LIMIT_US * self.patience), self._not_prepared)

    def _not_prepared(self) -> None:
        last = [entry[1:3] for entry in self.history.entries[-5:]]
        self.fail(NotPrepared(
            f"expected the session to be {self.scenario.given.session} within "
            f"{PREPARE_LIMIT_US * self.patience / 1e6:g} s; "
            f"last seen: {last}; look at the agent's log and the screenshot in the bundle"
        ))

    # --- before the steps ---------------------------------------------------------------------------------------

    def record_written(self, record: Any) -> None:
        """Fold a record into the tracker; prepare the session; tell the director when all is decided, or no longer."""
        if not isinstance(record, records.Record):
            return
        self.tracker.feed(self.history.entries[-1])
        side = self.side_of(record.session)
        if side is not None:
            match record:
                case records.EndpointJoined():
                    self._joined(side)
                case records.SessionTransferred():
                    side.owner = record.rep
                case records.SessionTaken():
                    side.owner = record.rep
                    if not self.prepared and self.scenario.given.rep.shares_screen:
                        self._rep_does(side, actions.RepStartsSharing(customer=side.number))
                case records.SessionEnded() | records.SessionExpired() | records.SessionLost():
                    side.over = True
                case _:
                    pass
        if not self.prepared:
            self._check_prepared()
        self.check_decided()

    def _joined(self, side: Side) -> None:
        given = self.scenario.given
        if given.session == "active" and given.rep.takes_session:
            self._rep_does(side, actions.RepTakes(customer=side.number))

    def _rep_does(self, side: Side, action: Any) -> None:
        self.loop.call_soon(self.rep_hears, side.owner, said.RepActs(side.session, action))

    def _check_prepared(self) -> None:
        sessions = self.tracker.sessions
        if not all(as_given(self.scenario.given, sessions.get(side.session)) for side in self.sides):
            return
        self.prepared = True
        self.timers.stop("prepare")
        self.soon(self._begin(), "begin")

    async def _begin(self) -> None:
        for side in self.sides:
            await side.pc.settled()
        self.began = True
        self.note("director", seen.StepDone("begin"), 0)
        self.direct(begin(self.account, self.decided))

    # --- directing ----------------------------------------------------------------------------------------------

    def tell_director(self, event: Any, number: int) -> None:
        """Offer an event that some step waits for."""
        if self.began:
            self.direct(director.Happened(EVENT_NAMES[type(event)], event, number))

    def check_decided(self) -> None:
        """Tell the director when everything is decided and every PC has come to rest, or no longer."""
        decided = self.tracker.settled and all(side.phase in STABLE for side in self.sides)
        if decided != self.decided:
            self.decided = decided
            if self.began:
                self.direct(director.Decided(decided))

    def direct(self, event: Any) -> None:
        """Give the director an input and carry out its commands."""
        self.state, commands = director.step(self.plan, self.state, event)
        for command in commands:
            match command:
                case director.Wake() if command.token.startswith("step "):
                    self.soon(self._wake_when_hands_rest(command), "wait for hands")
                case director.Wake():
                    self.timers.start(("director", command.token), self._real_us(command), self._woke, command.token)
                case director.Unwake():
                    self.timers.stop(("director", command.token))
                case director.Do():
                    self.note("director", command.action, 0)
                    self.perform(command.step, command.action)
                    self.note("director", seen.StepDone(command.name), 0)
                case director.ReportImpossible():
                    self.note("director", seen.StepImpossible(command.name, command.reason), 0)
                case director.Heal():
                    self._heal()
                case director.EndSessions():
                    self._end_sessions()
                case director.Probe():
                    self._probe()
                case _:
                    self.soon(self._finish(command.quiet), "take the inventory")

    def _real_us(self, wake: director.Wake) -> int:
        """How long a wait of the director's really takes: its own quiet spells scale, bounds on machines do not."""
        if wake.token == "patience":
            own_us = director.PATIENCE_US
            return wake.after_us - own_us + round(own_us / self.scale)
        if wake.token != "settle":
            return wake.after_us
        if self.state.phase == "probing":
            # The agent may have to give up first: that long at most, and less as soon as the machine is clean.
            self.soon(self._settle_when_clean(), "wait for a clean machine")
            own_us = director.PROBED_US
            return wake.after_us - own_us + max(self._fewest_settle_us, round(own_us / self.scale))
        # What the scenario itself says of how long it runs is scaled already.
        own_us = self.scenario.runs_for_us or 0
        quiet_us = own_us if wake.after_us == own_us else round(wake.after_us / self.scale)
        return max(self._fewest_settle_us, quiet_us, self._until_silence_is_noticed_us())

    def _until_silence_is_noticed_us(self) -> int:
        """How long the server may still believe in a connection whose PC went down without a word.

        A modelled PC boots for longer than that; a real one may be back, and quiet, before the server has noticed.
        """
        now_us = monotonic_us()
        dark = [side.dark_us for side in self.sides if side.dark_us]
        return max((at_us + self.account.silence_us + FEWEST_SETTLE_US - now_us for at_us in dark), default=0)

    @property
    def _fewest_settle_us(self) -> int:
        return round(FEWEST_SETTLE_US * self.patience)

    async def _wake_when_hands_rest(self, wake: director.Wake) -> None:
        """A delay between steps begins when what the step before set off is done: real hands take their time."""
        for _ in range(TURNS_TO_BEGIN):
            await pause(0)
        for side in self.sides:
            await side.pc.settled()
        self.timers.start(("director", wake.token), wake.after_us, self._woke, wake.token)

    def _woke(self, token: str) -> None:
        self.direct(director.Woke(token))

    def perform(self, step: int, action: Any) -> None:
        """Bring an action to the part of the run that it is meant for."""
        side = self.sides[action.customer - 1]
        kind = type(action)
        if kind in kinds.REP_ACTIONS:
            name = getattr(action, "rep", "") or side.owner
            self.loop.call_soon(self.rep_hears, name, said.RepActs(side.session, action))
        elif kind in kinds.CUSTOMER_ACTIONS:
            self.loop.call_soon(self.person_hears, side, action)
        elif kind in kinds.NET_ACTIONS:
            side.link.do(action)
        elif kind is actions.ServerRestarts:
            self.soon(self._server_restarts(action), "the server restarts")
        elif kind is not actions.Wait:
            if kind in (actions.PowerCut, actions.PcCrashes):
                side.link.power_fails()
            self.soon(self._pc_step(side, step, action), f"step {step}")

    async def _pc_step(self, side: Side, step: int, action: Any) -> None:
        try:
            await side.pc.do(action)
        except NotPossible as problem:
            self.direct(director.CouldNot(step, str(problem)))

    async def _server_restarts(self, action: actions.ServerRestarts) -> None:
        self.note("server", seen.ServerDown(), 0)
        await self.server.restart(int(action.down_for_us))
        self.note("server", seen.ServerUp(), 0)
        for name in REPS:
            if self.reps[name].console:
                await self.server.console(name, True)

    # --- after the steps ----------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """Take every fault back; the undo actions are the same that a scenario could use."""
        for side in self.sides:
            for wish in customer.pending_wishes(side.person):
                self.note("director", given_up(wish), side.number)
        for state in self.reps.values():
            for wish in rep.pending_wishes(state):
                self.note("director", given_up(wish), 0)
        self.note("director", seen.Healed(), 0)
        for name in REPS:
            if not self.reps[name].console:
                self.loop.call_soon(self.rep_hears, name, actions.RepConsoleReturns())
        for side in self.sides:
            side.link.heal()
            side.link.go_online()
            self.soon(side.pc.heal(), "heal")

    def _end_sessions(self) -> None:
        for side in self.sides:
            if side.session and not side.over:
                self.soon(self.server.rep_says(side.session, side.owner, messages.EndSession()), "end the session")

    def _probe(self) -> None:
        self.probing = len(self.sides)
        for side in self.sides:
            side.probing = True
            self.soon(side.pc.probe(), "the harness's own restart")

    def probe_arrived(self, side: Side) -> None:
        """The harness's own restart of this PC has reached a usable desktop."""
        side.probing = False
        side.link.go_online()
        self.probing -= 1
        if self.probing == 0:
            self.direct(director.Probed())

    async def _settle_when_clean(self) -> None:
        """Look at the machines until nothing of the session is left on them; the director's own limit bounds this."""
        while not all([await side.pc.is_clean() for side in self.sides]):
            await self.moment(PROBE_POLL_US)
        self.timers.start(("director", "settle"), 0, self._woke, "settle")

    async def moment(self, us: int) -> None:
        """Let a bounded moment pass before something is looked at again."""
        await pause(us)

    async def _finish(self, quiet: bool) -> None:
        for side in self.sides:
            side_items = await side.pc.inventory()
            self.note(f"pc-{side.number}", seen.InventoryTaken("after", side_items), side.number)
        self.note("director", seen.RunEnded(quiet), 0)
        if not self.over.done():
            self.over.set_result(None)

