"""What the director may do to the simulated world: prepare it, act in it, heal it, and end the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rrsim.agent import host
from rrsim.backends.sim import parts, pc, stranger
from rrsim.backends.sim.pc import NotPossible, inventory
from rrsim.backends.sim.side import Link, SessionSide, Side
from rrsim.machine import observations as seen
from rrsim.people import customer as people_customer
from rrsim.people import rep as people_rep
from rrsim.protocol import messages, records
from rrsim.scenario import actions, director
from rrsim.scenario.kinds import CUSTOMER_ACTIONS, NET_ACTIONS, REP_ACTIONS
from rrsim.scenario.staging import STABLE, NotPrepared, as_given, begin, given_up
from rrsim.scenario.vocabulary import EVENT_NAMES
from rrsim.server import desk, vocabulary

if TYPE_CHECKING:
    from rrsim.backends.sim.compiled import Compiled
    from rrsim.backends.sim.kernel import Kernel, Timer
    from rrsim.backends.sim.memo import Node
    from rrsim.scenario.tracker import Tracker

PREPARE_LIMIT_US: Final = 600_000_000
"""A session that is not as ``given`` says by then means that the harness, not the product, is at fault."""

DECIDE_NOTHING: Final = frozenset({
    records.ChatLine, records.ClaimRejected, records.CustomerAsked, records.CustomerAnswered, records.HelperSeen,
    records.OrderArmed, records.SharingChanged,
})  # fmt: skip
"""Records after which exactly as much is decided as before."""

KILLS_AT_ONCE: Final = (actions.AgentDies, actions.PowerCut, actions.PcCrashes)
"""Faults that end the agent's process between two of its effects."""

UNDO_PC: Final = (
    actions.DiskHasRoom(), actions.ToolAllows(), actions.PrivilegeGiven(), actions.AppLetsGo(), actions.PcWakes(),
)  # fmt: skip


class Stage:
    """The director's half of the world."""

    kernel: Kernel
    compiled: Compiled
    tracker: Tracker
    director: Node
    sides: list[Side]
    sessions: dict[str, SessionSide]
    entries: list[Any]
    prepared: bool
    server_up: bool
    reps: dict[str, Any]
    reps_up: dict[str, bool]

    note: Any
    pc_hears: Any
    net_hears: Any
    person_hears: Any
    rep_hears: Any
    server_hears: Any
    console_changes: Any
    _arrives_at_server: Any

    # --- before the steps ---------------------------------------------------------------------------------------

    def set_stage(self) -> None:
        """Start the world: inventories, representatives, sessions; the steps begin once all is as given."""
        self.director = self.compiled.director.node(director.DirectorState())
        self.director_timers: dict[str, Timer] = {}
        self.began = False
        self.decided = True
        self.finish_probe = 0
        for rep in ("rep-1", "rep-2"):
            self.reps[rep] = self.compiled.rep_nodes[rep]
            self.console_changes(rep, True)
        for side in self.sides:
            self.note(side.pc_source, seen.InventoryTaken("before", inventory.items(side.pc.state)), side.number)
            self.open_session(side, None)
        self.kernel.timer(PREPARE_LIMIT_US, self._prepared_in_time, None, None)

    def open_session(self, side: Side, _: None) -> None:
        """The customer asks for support: a new session is queued and the customer's agent is told its code.

        Asking anew is not possible while the program is in the session, or while it cannot be started.
        """
        now = side.session
        if now is not None and not now.over and side.link is not None and side.link.session is now:
            self._cannot_ask(side, f"the program is connected in {now.id} already")
            return
        side.session_count += 1
        suffix = f".{side.session_count}" if side.session_count > 1 else ""
        session_id = f"session-{side.number}{suffix}"
        if now is not None:
            try:
                self.pc_hears(side, parts.StartSupport(session_id))
            except NotPossible as problem:
                side.session_count -= 1
                self._cannot_ask(side, str(problem))
                return
        session = SessionSide(session_id, side, self.compiled.server_node, self.compiled.account)
        side.session = self.sessions[session_id] = session
        given = self.compiled.scenario.given
        self.server_hears(session, vocabulary.Opened(session_id, given.kind, self.compiled.account))
        for rep, up in self.reps_up.items():
            if up:
                self.server_hears(session, vocabulary.RepHere(rep))
        if now is None:
            self.kernel.soon(self.pc_hears, side, parts.StartSupport(session_id))

    def _cannot_ask(self, side: Side, reason: str) -> None:
        self.note("director", seen.StepImpossible("customer asks for support", reason), side.number)

    def record_written(self, session: SessionSide, record: Any) -> None:
        """Fold a record into the tracker; prepare the session; tell the director when all is decided, or no longer."""
        self.tracker.feed(self.entries[-1])
        kind = type(record)
        if kind is records.EndpointJoined:
            self._joined(session)
        elif kind is records.SessionTransferred:
            session.owner = record.rep
        elif kind is records.SessionTaken:
            session.owner = record.rep
            if not self.prepared and self.compiled.scenario.given.rep.shares_screen:
                self._rep_does(session, actions.RepStartsSharing(customer=session.side.number))
        elif kind in (records.SessionEnded, records.SessionExpired, records.SessionLost):
            session.over = True
        if not self.prepared:
            self._check_prepared()
        if kind not in DECIDE_NOTHING:
            self.check_decided()

    def _joined(self, session: SessionSide) -> None:
        given = self.compiled.scenario.given
        if given.session == "active" and given.rep.takes_session:
            self._rep_does(session, actions.RepTakes(customer=session.side.number))

    def _rep_does(self, session: SessionSide, action: Any) -> None:
        self.kernel.soon(self.rep_hears, session.owner, parts.RepActs(session.id, action))

    def _check_prepared(self) -> None:
        given = self.compiled.scenario.given
        for side in self.sides:
            session = side.session
            if session is None or not as_given(given, self.tracker.sessions.get(session.id)):
                return
        self.prepared = True
        self.kernel.soon(self._begin, None, None)

    def _prepared_in_time(self, _: None, __: None) -> None:
        if not self.began:
            raise NotPrepared(
                f"the session was not {self.compiled.scenario.given.session} after "
                f"{PREPARE_LIMIT_US // 1_000_000} s; last entries: {[e[1:3] for e in self.entries[-5:]]}"
            )

    def _begin(self, _: None, __: None) -> None:
        self.began = True
        self.note("director", seen.StepDone("begin"), 0)
        self.direct(begin(self.compiled.account, self.decided))

    # --- directing ----------------------------------------------------------------------------------------------

    def tell_director(self, event: Any, customer: int) -> None:
        """Offer an event that some step waits for."""
        if self.began:
            self.direct(director.Happened(EVENT_NAMES[type(event)], event, customer))

    def check_decided(self) -> None:
        """Tell the director when everything is decided and every PC has come to rest, or no longer."""
        tracker = self.tracker
        decided = tracker.settled
        if decided:
            for side in self.sides:
                if side.phase not in STABLE:
                    decided = False
                    break
        if decided != self.decided:
            self.decided = decided
            if self.began:
                self.direct(director.Decided(decided))

    def direct(self, event: Any) -> None:
        """Give the director an input and carry out its commands."""
        node = self.director
        self.director, commands = node.arcs.get(event) or self.compiled.director.learn(node, event)
        for command in commands:
            if isinstance(command, director.Wake):
                due = self.kernel.now_us + command.after_us
                self.kernel.restart(self.director_timers, command.token, due, self._woke, command.token, None)
            elif isinstance(command, director.Unwake):
                self.kernel.stop(self.director_timers, command.token)
            elif isinstance(command, director.Do):
                self.note("director", command.action, 0)
                self.perform(command.step, command.action)
                self.note("director", seen.StepDone(command.name), 0)
            elif isinstance(command, director.ReportImpossible):
                self.note("director", seen.StepImpossible(command.name, command.reason), 0)
            elif isinstance(command, director.Heal):
                self._heal()
            elif isinstance(command, director.EndSessions):
                self._end_sessions()
            elif isinstance(command, director.Probe):
                self._probe()
            else:
                self._finish(command.quiet)

    def _woke(self, token: str, _: None) -> None:
        self.director_timers.pop(token, None)
        self.direct(director.Woke(token))

    def perform(self, step: int, action: Any) -> None:
        """Bring an action to the part of the world that it is meant for."""
        side = self.sides[action.customer - 1]
        kind = type(action)
        if kind in KILLS_AT_ONCE:
            side.generation += 1
        if kind in REP_ACTIONS:
            session = side.session
            assert session is not None
            rep = getattr(action, "rep", "") or session.owner
            self.kernel.next(self.rep_hears, rep, parts.RepActs(session.id, action))
        elif kind in CUSTOMER_ACTIONS:
            self.kernel.next(self.person_hears, side, action)
        elif kind in NET_ACTIONS:
            self.kernel.next(self.net_hears, side, action)
        elif kind is actions.ServerRestarts:
            self._server_dies(action)
        elif kind is actions.StrangerPresentsTicket or kind is actions.SecondConnection:
            self._stranger_comes(side, action)
        elif kind is not actions.Wait:
            self.kernel.next(self._pc_does_step, side, (step, action))
            if kind is actions.WallClockJumps:
                self.kernel.next(self.net_hears, side, action)

    def _pc_does_step(self, side: Side, what: tuple[int, Any]) -> None:
        try:
            self.pc_hears(side, what[1])
        except NotPossible as problem:
            if type(what[1]) in KILLS_AT_ONCE:
                side.generation -= 1  # nothing was killed: what waits for this process still reaches it
            self.direct(director.CouldNot(what[0], str(problem)))

    def pc_does(self, side: Side, what: Any) -> None:
        """A person acts on the PC; what is not possible is said in the history, and nothing else happens.

        Somebody who types a password while the PC is going down just sees it go down, and types it again later.
        """
        try:
            self.pc_hears(side, what)
        except NotPossible as problem:
            if isinstance(what, parts.SignIn) and side.phase not in STABLE:
                return
            self.note("director", seen.StepImpossible(type(what).__name__, str(problem)), side.number)

    def side_of_rep(self, rep: str) -> Side:
        """Return the customer whose session this representative works on (the first one, if several)."""
        for side in self.sides:
            if side.session is not None and side.session.owner == rep:
                return side
        return self.sides[0]

    # --- the server dies and comes back -------------------------------------------------------------------------

    def _server_dies(self, action: actions.ServerRestarts) -> None:
        if not self.server_up:
            return
        self.server_up = False
        self.note("server", seen.ServerDown(), 0)
        for session in self.sessions.values():
            self.kernel.stop_all(session.timers)
            for link in session.links.values():
                link.at_server = False
            session.links.clear()
        for side in self.sides:
            for link in side.links.values():
                link.at_server = False
            self.kernel.soon(self.net_hears, side, parts.ServerWent(False))
        self.kernel.timer(self.kernel.now_us + action.down_for_us, self._server_returns, None, None)

    def _server_returns(self, _: None, __: None) -> None:
        if self.server_up:
            return
        self.server_up = True
        self.note("server", seen.ServerUp(), 0)
        for session in self.sessions.values():
            state = self.compiled.server_rebuild(session.records)
            session.node = self.compiled.memos.server.node(state)
            for name, due_us in session.durable.items():
                session.timers[name] = self.kernel.timer(
                    max(due_us, self.kernel.now_us), self._server_timer, session, name
                )
            self.kernel.soon(self.server_hears, session, vocabulary.Recovered())
            for rep, up in self.reps_up.items():
                if up and not session.over:
                    self.kernel.soon(self.server_hears, session, vocabulary.RepHere(rep))
        for side in self.sides:
            self.kernel.soon(self.net_hears, side, parts.ServerWent(True))

    _server_timer: Any

    # --- strangers ----------------------------------------------------------------------------------------------

    def _stranger_comes(self, side: Side, action: Any) -> None:
        session = side.session
        assert session is not None
        boot = getattr(side.pc.state, "boot", "boot-1")
        visitor = stranger.initial(action, session.id, side.asked_ticket, side.machine, boot)
        side.strangers += 1
        link = Link(side, 0, desk.initial(), stranger=visitor)
        link.server_number = 100 + side.strangers
        self.kernel.soon(self.stranger_hears, link, host.Connected())

    def stranger_hears(self, link: Link, event: Any) -> None:
        """Deliver to somebody who speaks the protocol by hand, and send what they answer."""
        link.stranger, answers = stranger.step(link.stranger, event)
        for message in answers:
            self.kernel.soon(self._arrives_at_server, link, message)

    # --- after the steps ----------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """Take every fault back; the undo actions are the same that a scenario could use."""
        for side in self.sides:
            for wish in people_customer.pending_wishes(side.person.state):
                self.note("director", given_up(wish), side.number)
        for node in self.reps.values():
            for wish in people_rep.pending_wishes(node.state):
                self.note("director", given_up(wish), 0)
        self.note("director", seen.Healed(), 0)
        if not self.server_up:
            self._server_returns(None, None)
        for rep in self.reps:
            if not self.reps_up.get(rep):
                self.kernel.soon(self.rep_hears, rep, actions.RepConsoleReturns())
        for side in self.sides:
            self.kernel.soon(self.net_hears, side, seen.Healed())
            for action in UNDO_PC:
                self.kernel.soon(self._heals_pc, side, action)
            self.kernel.soon(self._repaired, side, None)
            self._goes_online(side)

    def _repaired(self, side: Side, _: None) -> None:
        """What others took from the PC is back: the agent's program and service, room, rights."""
        side.pc = self.compiled.memos.pc.node(pc.heal(side.pc.state))

    def _goes_online(self, side: Side) -> None:
        """Healing gives the customer's PC its way to the server, whatever that takes."""
        setup = self.compiled.scenario.given.pc
        if setup.network == "dial-up":
            self.kernel.soon(self.net_hears, side, parts.DialNow())
        if setup.captive_portal:
            self.kernel.soon(self.net_hears, side, parts.PortalLogin())
        if setup.network == "vpn":
            self.kernel.soon(self.net_hears, side, parts.VpnStart())

    def _heals_pc(self, side: Side, action: Any) -> None:
        try:
            self.pc_hears(side, action)
        except NotPossible:
            return  # nothing of this kind was broken

    def _end_sessions(self) -> None:
        for session in self.sessions.values():
            if not session.over:
                message = messages.EndSession()
                self.note("console", message, session.side.number)
                self.server_hears(session, vocabulary.RepSaid(session.owner, message, ""))

    def _probe(self) -> None:
        self.finish_probe = len(self.sides)
        for side in self.sides:
            side.probing = True
            self.kernel.soon(self.pc_hears, side, parts.Probe())

    def probe_arrived(self, side: Side) -> None:
        """The harness's own restart of this PC has reached a usable desktop."""
        side.probing = False
        self._goes_online(side)
        self.finish_probe -= 1
        if self.finish_probe == 0:
            self.direct(director.Probed())

    def _finish(self, quiet: bool) -> None:
        for side in self.sides:
            self.note(side.pc_source, seen.InventoryTaken("after", inventory.items(side.pc.state)), side.number)
        self.note("director", seen.RunEnded(quiet), 0)
        self.kernel.stopped = True
