"""One step in the making: the state so far, the effects so far, and the moves that several inputs share.

Order of effects: a timer is set *before* the record that relies on it and cancelled *after* the record that ends it.
So whichever effects a dying server still carries out, a recorded wait always has its timer; a timer that outlives its
record finds nothing to do when it fires.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.timers import CancelTimer, SetTimer
from rrsim.server._state import NO_CONN, Durable, SessionState, apply
from rrsim.server.vocabulary import Effect, HangUp, ToAgent, ToRep, Write

WINDOW: Final = "window"
"""The resume window, and the time a lost connection has to come back."""
LIMIT: Final = "limit"
"""The restart limit (rule 1)."""
CONFIRM: Final = "confirm"
"""The representative's confirmation (R4)."""
ASK_RESTART: Final = "ask restart"
ASK_SHARING: Final = "ask sharing"
"""Guards behind the agent's own prompt time-outs (rule 6)."""
SILENCE: Final = "silence"
"""No message on the connection for too long (NE-08)."""
IDLE: Final = "idle"
"""Nothing but heartbeats for too long (EX-07)."""
REP: Final = "rep"
"""How long the session waits for a lost console (RE-02)."""

TIMERS: Final = (WINDOW, LIMIT, CONFIRM, ASK_RESTART, ASK_SHARING, SILENCE, IDLE, REP)
_DURABLE: Final = frozenset({WINDOW, LIMIT, REP})

WindowReason = Literal["order", "announcement", "disconnect", "continued"]
ClaimKind = Literal["join", "resume", "reconnect", "cancel", "second connection"]


class Turn:
    """Collects what one step decides. Records change the state as they are written."""

    __slots__ = ("_asker", "effects", "reason", "state")

    def __init__(self, state: SessionState) -> None:
        self.state = state
        self.effects: list[Effect] = []
        self.reason = ""
        """What the session view says about this step."""
        self._asker = state.durable.restart.rep

    @property
    def d(self) -> Durable:
        """The durable part as it is now."""
        return self.state.durable

    def write(self, record: rec.AnyRecord) -> None:
        """Decide ``record``: journal it and change the state by it."""
        self.state = apply(self.state, record)
        self.effects.append(Write(record))

    def set_timer(self, name: str, after_us: int) -> None:
        """Start or restart a timer."""
        self.effects.append(SetTimer(name, after_us, name in _DURABLE))

    def cancel(self, *names: str) -> None:
        """Forget timers."""
        self.effects.extend(CancelTimer(name) for name in names)

    def connect(self, conn: int) -> None:
        """Make ``conn`` the joined endpoint's connection."""
        self.state = msgspec.structs.replace(self.state, conn=conn, heard=False)
        if conn != NO_CONN:
            self.set_timer(SILENCE, self.d.account.silence_us)

    def to_agent(self, message: msg.ServerMessage) -> None:
        """Send to the joined endpoint; nothing if it has no connection."""
        if self.state.conn != NO_CONN:
            self.effects.append(ToAgent(self.state.conn, message))

    def to_rep(self, rep: str, message: msg.ConsoleMessage) -> None:
        """Send to a representative's console; nothing if there is no such representative."""
        if rep:
            self.effects.append(ToRep(rep, message))

    def restart_view(self, number: int, phase: str, reason: str = "") -> None:
        """Tell whoever has the session, or asked for the restart, what became of it."""
        self.to_rep(self.d.rep or self.d.restart.rep or self._asker, msg.RestartView(number, phase, reason))

    def busy(self) -> None:
        """A person did something: the session is not idle."""
        if self.d.account.idle_timeout_us:
            self.set_timer(IDLE, self.d.account.idle_timeout_us)

    # --- the connection -----------------------------------------------------------------------------------------

    def lose_endpoint(self, reason: str, hang_up: bool = False) -> None:
        """The joined endpoint's connection is gone. After an order that opens the resume window (rule 1); without
        one the same time is given to the old boot to come back (rule 3). A window that has passed does not open again:
        the session stays offline (EX-05)."""
        if hang_up and self.state.conn != NO_CONN:
            self.effects.append(HangUp(self.state.conn))
        opens = not (self.d.restart.window or self.d.offline)
        if opens:
            self.set_timer(WINDOW, self.d.account.resume_window_us)
        self.write(rec.EndpointLost(self.d.session, reason))
        if self.state.ordered and opens:
            self.note_window("disconnect")
        self.state = msgspec.structs.replace(self.state, conn=NO_CONN)
        self.cancel(SILENCE)

    def open_window(self, reason: WindowReason) -> None:
        """Open the resume window of the standing order, if it is not running already (rule 2)."""
        if not self.d.restart.window:
            self.set_timer(WINDOW, self.d.account.resume_window_us)
            self.note_window(reason)

    def note_window(self, reason: WindowReason) -> None:
        """Record the window whose timer was just set."""
        number = self.d.restart.number
        self.write(rec.WindowOpened(self.d.session, number, reason))
        self.restart_view(number, "rebooting")

    def reject(self, conn: int, machine: str, what: ClaimKind, reason: str) -> None:
        """Turn a claim away: recorded, told why, hung up. Nobody else is disturbed."""
        self.write(rec.ClaimRejected(self.d.session, what, machine, reason))
        self.effects += (ToAgent(conn, msg.TurnedAway(reason)), HangUp(conn))

    # --- a restart, and the session, come to an end -------------------------------------------------------------

    def close_restart(
        self, record: rec.RestartRefused | rec.RestartCancelled | rec.RestartUndone, phase: str
    ) -> None:
        """The restart under way will not happen, or its way back is cut. The session is as it was."""
        number, running = self.d.restart.number, self.d.restart.window
        self.void_restart_ask()
        self.write(record)
        self.cancel(CONFIRM, ASK_RESTART, LIMIT)
        if running and self.d.endpoint.present:
            self.cancel(WINDOW)
        self.restart_view(number, phase, record.reason)

    def void_restart_ask(self) -> None:
        """An open restart prompt that nobody will answer any more counts as silence (rules 6 and 14)."""
        ask = self.d.restart_ask
        if ask:
            number = self.d.restart.number
            self.write(rec.CustomerAnswered(self.d.session, ask, "restart", number, "silence", human=False))

    def void_sharing_ask(self) -> None:
        """The same for an open sharing prompt."""
        ask = self.d.sharing_ask
        if ask:
            number = self.d.restarts
            self.write(rec.CustomerAnswered(self.d.session, ask, "sharing", number, "silence", human=False))
            self.cancel(ASK_SHARING)

    def finish(self, record: rec.SessionExpired | rec.SessionLost | rec.SessionEnded, told: str) -> None:
        """The session is over; tell its endpoint ``told`` and hang up."""
        self.void_restart_ask()
        self.void_sharing_ask()
        if self.d.screen.on:
            self.write(rec.SharingChanged(self.d.session, on=False, reason=told))
        self.write(record)
        if self.state.conn != NO_CONN:
            self.effects += (ToAgent(self.state.conn, msg.SessionOver(told)), HangUp(self.state.conn))
            self.connect(NO_CONN)
        self.cancel(*TIMERS)
        self.reason = told
