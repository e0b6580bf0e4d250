"""What the session server writes down: the records of one session's journal.

Two readers depend on them. A server that was killed rebuilds each session by folding :func:`rrsim.server.core.apply`
over its records. And the history of every run carries them, as the server's own account of what happened: checks and
verdicts read these, never the agent's word.

Records hold no secret: tickets and live keys appear only as seals (:mod:`rrsim.protocol.ticket`).
``restart`` is the number of the restart within its session, counted from 1; it is the ``order`` of the messages.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rrsim.protocol.messages import AgentMode, Answer, BootMode, Place, Platform
from rrsim.protocol.settings import Account

SessionKind = Literal["standard", "unattended", "meeting"]


class Record(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag_field="type", forbid_unknown_fields=True):
    """Base of all journal records."""

    session: str


class SessionRequested(Record, frozen=True, tag="session requested"):
    """A customer asked for support: the session exists and is queued."""

    kind: SessionKind
    account: Account


class SessionTaken(Record, frozen=True, tag="session taken"):
    """A representative took the session from the queue."""

    rep: str


class EndpointJoined(Record, frozen=True, tag="endpoint joined"):
    """The customer's machine is in the session for the first time."""

    machine: str
    platform: Platform
    mode: AgentMode
    boot: str
    key_seal: str
    user: str = ""
    standby_seal: str = ""
    """Seal of the stand-by ticket, in profiles where foreign restarts resume."""


class EndpointLost(Record, frozen=True, tag="endpoint lost"):
    """The customer's connection is gone. Nothing is concluded from that yet."""

    reason: str


class EndpointReconnected(Record, frozen=True, tag="endpoint reconnected"):
    """The same process in the same boot is back (rule 3)."""

    key_seal: str
    restarting: bool = False
    standby_seal: str = ""


class RestartAsked(Record, frozen=True, tag="restart asked"):
    """A representative used a restart control, or forced the request. Opens restart number ``restart``."""

    restart: int
    rep: str
    place: Place
    boot_mode: BootMode
    forced: bool


class RestartConfirmed(Record, frozen=True, tag="restart confirmed"):
    """The representative's answer to the confirmation (R4)."""

    restart: int
    rep: str
    answer: Answer


class CustomerAsked(Record, frozen=True, tag="customer asked"):
    """A question went to the person at the PC."""

    ask: int
    kind: Literal["restart", "sharing"]
    restart: int


class CustomerAnswered(Record, frozen=True, tag="customer answered"):
    """What came of a question; ``human`` False means that a profile or a time-out answered."""

    ask: int
    kind: Literal["restart", "sharing"]
    restart: int
    answer: Answer
    human: bool


class RestartRefused(Record, frozen=True, tag="restart refused"):
    """The restart is not done and the session is as it was."""

    restart: int
    reason: str


class RestartCancelled(Record, frozen=True, tag="restart cancelled"):
    """A person stopped the restart or the way back from it."""

    restart: int
    by: str
    reason: str


class OrderGiven(Record, frozen=True, tag="order given"):
    """The order and its ticket went to the agent."""

    restart: int
    boot_mode: BootMode
    forced: bool
    boot: str
    """Boot mark of the Windows that was told to restart."""
    ticket_seal: str


class OrderArmed(Record, frozen=True, tag="order armed"):
    """The agent reported that everything for the way back is in place: the restart limit runs."""

    restart: int


class WindowOpened(Record, frozen=True, tag="window opened"):
    """The resume window runs (rule 1)."""

    restart: int
    reason: Literal["order", "announcement", "disconnect", "continued"]
    """``continued``: a second restart inside the first window uses its rest (rule 2)."""


class WindowOffline(Record, frozen=True, tag="window passed"):
    """The window ran out under a profile whose expiry is not final: shown offline, a late agent may still resume."""

    restart: int


class EndpointResumed(Record, frozen=True, tag="endpoint resumed"):
    """A valid resume from a new boot was processed: same session. Closes the window."""

    restart: int
    boot: str
    key_seal: str
    safe_mode: bool
    user: str
    machine: str
    late: bool = False
    desktop: str = ""
    standby_seal: str = ""


class RestartUndone(Record, frozen=True, tag="restart undone"):
    """The ordered restart did not happen; the session stays active (rule 11)."""

    restart: int
    reason: str


class ClaimRejected(Record, frozen=True, tag="claim rejected"):
    """Somebody tried to get in and was turned away: an event with a reason, not a verdict."""

    what: Literal["join", "resume", "reconnect", "cancel", "second connection"]
    machine: str
    reason: str


class SharingChanged(Record, frozen=True, tag="sharing changed"):
    """Screen sharing started or stopped."""

    on: bool
    reason: str


class ChatLine(Record, frozen=True, tag="chat line"):
    """One line of the transcript. ``seq`` counts from 1 without gaps (I12)."""

    seq: int
    author: str
    text: str
    line: int = 0
    """The sender's own line number, for repeats after a loss of network."""


class HelperSeen(Record, frozen=True, tag="helper seen"):
    """A service-mode agent reported which desktop could show prompts now."""

    desktop: str
    user: str


class RepLost(Record, frozen=True, tag="rep lost"):
    """The representative's console is gone; the session waits (rule 13)."""

    rep: str


class RepBack(Record, frozen=True, tag="rep back"):
    """The representative's console is there again."""

    rep: str


class SessionTransferred(Record, frozen=True, tag="session transferred"):
    """Another representative has the session now (RE-03)."""

    rep: str


class SessionRequeued(Record, frozen=True, tag="session requeued"):
    """No representative came back in time: the session waits in the queue (RE-02)."""

    reason: str


class SessionExpired(Record, frozen=True, tag="session expired"):
    """The resume window ran out: the session is closed (R13)."""

    restart: int


class SessionLost(Record, frozen=True, tag="session lost"):
    """There is no way back into this session (rule 3, rule 14)."""

    reason: str


class SessionEnded(Record, frozen=True, tag="session ended"):
    """Somebody ended the session."""

    by: Literal["representative", "customer", "server"]
    reason: str


AnyRecord = (
    SessionRequested | SessionTaken | EndpointJoined | EndpointLost | EndpointReconnected | RestartAsked
    | RestartConfirmed | CustomerAsked | CustomerAnswered | RestartRefused | RestartCancelled | OrderGiven | OrderArmed
    | WindowOpened | WindowOffline | EndpointResumed | RestartUndone | ClaimRejected | SharingChanged | ChatLine
    | HelperSeen | RepLost | RepBack | SessionTransferred | SessionRequeued | SessionExpired | SessionLost
    | SessionEnded
)
