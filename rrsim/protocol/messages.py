"""Messages between agent, session server and representative console.

Every message is a frozen tagged struct: it is the wire format, the history entry and the trace at once
(``docs/design.md``). Field names carry their unit. A field named in :data:`SECRET_FIELDS` holds a secret and is
masked wherever a message is shown or stored (rule 5 of the requirements).

Identifiers (sessions, orders, asks, boot marks, keys, tickets) are opaque: they are minted outside the cores,
arrive with an input, and are compared for equality only.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Platform = Literal["windows", "mac", "linux"]
AgentMode = Literal["application", "service"]
BootMode = Literal["normal", "safe"]
Place = Literal["chat window", "viewer toolbar", "tools menu"]
"""The three places of initiation (R3)."""
AskKind = Literal["restart", "sharing"]
Answer = Literal["yes", "no", "silence"]
Desktop = Literal["none", "visible", "locked", "black"]
"""What a person could see of the customer's desktop: nobody signed in, usable, locked, or black (LO-10, RE-07)."""

SECRET_FIELDS: Final = frozenset({"ticket", "live_key", "fresh"})


class Message(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag_field="type", forbid_unknown_fields=True):
    """Base of everything that travels."""


# --- agent to server ------------------------------------------------------------------------------------------


class Hello(Message, frozen=True, tag="hello"):
    """First message on every connection: who speaks, and which protocol versions it knows."""

    versions: tuple[int, ...]
    platform: Platform
    mode: AgentMode
    machine: str
    """The machine's identity: survives restarts and changed network cards (NE-09)."""


class Join(Message, frozen=True, tag="join"):
    """The customer enters a session for the first time, with the code the representative or the portal gave."""

    code: str
    boot: str = ""
    """The boot mark of the running Windows: the server compares later claims with it (rule 9). Without it no later
    boot can be proved new, so a restart is refused."""
    user: str = ""
    """Who is signed in: a different person after a restart is asked before the screen is shared (rule 4)."""


class Resume(Message, frozen=True, tag="resume"):
    """A new boot asks to go on with the session it was restarted from (R1). Carries the single-use ticket."""

    session: str
    ticket: str
    boot: str
    """The boot mark of the running Windows; must differ from the one the order was given to (rule 9)."""
    safe_mode: bool
    elevated: bool
    user: str
    """Who is signed in, empty at the welcome screen."""
    desktop: Desktop


class Reconnect(Message, frozen=True, tag="reconnect"):
    """The same process in the same boot is back after a loss of network; proves itself with its live key (rule 3)."""

    session: str
    live_key: str
    boot: str
    restarting: bool
    """True while an ordered restart is still under way on this boot (rule 1: contact from the old boot)."""


class AgentChat(Message, frozen=True, tag="agent-chat"):
    """A line the customer typed. ``line`` counts per process from 1 and makes repeats harmless."""

    line: int
    text: str


class ConsentAnswer(Message, frozen=True, tag="consent-answer"):
    """What the person at the PC answered to :class:`Ask`. Silence is sent as ``silence`` and means No (rule 6)."""

    ask: int
    answer: Answer
    human: bool
    """False when a profile answered by itself: recorded as *no human consent* (rule 6)."""


class Armed(Message, frozen=True, tag="armed"):
    """Everything needed for the way back is in place and verified; starts the restart limit (rule 1)."""

    order: int


class ArmFailed(Message, frozen=True, tag="arm-failed"):
    """A step before the restart failed and all steps before it were undone (rule 8)."""

    order: int
    step: str
    reason: str


class Restarting(Message, frozen=True, tag="restarting"):
    """Windows is really going down now (``WM_ENDSESSION`` TRUE or pre-shutdown): opens the resume window (rule 1)."""

    order: int


class NotRestarting(Message, frozen=True, tag="not-restarting"):
    """The ordered restart will not happen; the agent has disarmed (rule 11)."""

    order: int
    reason: str


class Leave(Message, frozen=True, tag="leave"):
    """The customer left on purpose: a confirmed close of the chat window (R5, rule 12)."""

    reason: str


class CancelResume(Message, frozen=True, tag="cancel-resume"):
    """Phone mode: the customer cancelled the reconnect (R11). The ticket is destroyed on both sides."""

    session: str
    ticket: str


class HelperState(Message, frozen=True, tag="helper-state"):
    """Service mode: whether a desktop helper can show prompts, and to whom (LO-05, CO-08)."""

    desktop: Desktop
    user: str


class Heartbeat(Message, frozen=True, tag="heartbeat"):
    """Sign of life; lets both sides notice a half-open connection (NE-08)."""


# --- server to agent ------------------------------------------------------------------------------------------


class AgentSettings(msgspec.Struct, frozen=True, gc=False, cache_hash=True, forbid_unknown_fields=True):
    """The account settings an agent needs, sent with every welcome so that time scaling needs no test flag."""

    phone_mode: bool = False
    prompt_timeout_us: int = 60_000_000
    restart_limit_us: int = 300_000_000
    heartbeat_us: int = 60_000_000
    silence_us: int = 150_000_000
    """Without any message for this long a connection counts as dead."""
    retry_first_us: int = 2_000_000
    retry_max_us: int = 30_000_000
    resume_window_us: int = 600_000_000
    give_up_us: int = 0
    """The agent stops trying to come back after this long; 0 means: after the time in which the server must have
    missed a sign of life, and one resume window."""
    language: str = "en"


class Welcome(Message, frozen=True, tag="welcome"):
    """Answer to :class:`Hello`: the version both sides will speak."""

    version: int


class TurnedAway(Message, frozen=True, tag="turned-away"):
    """This endpoint is not wanted: the claim is void for good. The agent cleans up and tells the customer (R13)."""

    reason: str


class Joined(Message, frozen=True, tag="joined"):
    """The endpoint is in the session for the first time."""

    session: str
    live_key: str
    settings: AgentSettings


class Resumed(Message, frozen=True, tag="resumed"):
    """The endpoint is in the session again, after a restart or a loss of network. The ticket is spent."""

    session: str
    live_key: str
    settings: AgentSettings
    lines: int
    """Highest chat line of this process that the server has (I12)."""
    order: int
    """The order still standing for this boot, or 0."""


class Ask(Message, frozen=True, tag="ask"):
    """Put a question to the person at the PC (R7, R9)."""

    ask: int
    kind: AskKind
    timeout_us: int


class Order(Message, frozen=True, tag="order"):
    """Restart this PC and come back with ``ticket``."""

    order: int
    boot_mode: BootMode
    forced: bool
    ticket: str


class Withdraw(Message, frozen=True, tag="withdraw"):
    """Take back an order that has not led to a restart: disarm everything (rule 11)."""

    order: int
    reason: str


class ServerChat(Message, frozen=True, tag="server-chat"):
    """A chat line for the customer to see. ``seq`` is its place in the session's transcript (I12)."""

    seq: int
    author: str
    text: str


class StandBy(Message, frozen=True, tag="stand-by"):
    """Keep ``ticket`` ready for a restart nobody ordered; only in profiles where foreign restarts resume (rule 3)."""

    ticket: str


class Sharing(Message, frozen=True, tag="sharing"):
    """Start or stop sending the screen."""

    on: bool


class SessionOver(Message, frozen=True, tag="session-over"):
    """The session has ended; the agent cleans up and closes the chat window (rule 7)."""

    reason: str


class HeartbeatReply(Message, frozen=True, tag="heartbeat-reply"):
    """Answer to :class:`Heartbeat`."""


# --- representative to server ---------------------------------------------------------------------------------


class Take(Message, frozen=True, tag="take"):
    """The representative takes a queued session."""


class AskRestart(Message, frozen=True, tag="ask-restart"):
    """The representative pressed a restart control (R3), or a script forces the request without the control."""

    place: Place
    boot_mode: BootMode = "normal"
    forced: bool = False
    """End applications that refuse to close (SH-04)."""


class Confirm(Message, frozen=True, tag="confirm"):
    """The representative's answer to :class:`ConfirmRestart` (R4)."""

    order: int
    answer: Answer


class RepChat(Message, frozen=True, tag="rep-chat"):
    """A line the representative typed."""

    text: str


class EndSession(Message, frozen=True, tag="end-session"):
    """The representative ends the session (rule 13)."""


class Transfer(Message, frozen=True, tag="transfer"):
    """Hand the session to another representative (RE-03)."""

    to: str


class RequestSharing(Message, frozen=True, tag="request-sharing"):
    """Ask for, or stop, the customer's screen."""

    on: bool


# --- server to representative ---------------------------------------------------------------------------------


class ConfirmRestart(Message, frozen=True, tag="confirm-restart"):
    """Do you really want to restart the customer's PC? (R4)"""

    order: int
    place: Place
    boot_mode: BootMode


class RestartView(Message, frozen=True, tag="restart-view"):
    """What the console shows about the current restart."""

    order: int
    phase: str
    """``refused``, ``cancelled``, ``asking customer``, ``arming``, ``armed``, ``rebooting``, ``resumed``, ``expired``,
    ``lost``."""
    reason: str = ""


class SessionView(Message, frozen=True, tag="session-view"):
    """What the console shows about the session: its state, and which controls exist at all (R2, R10)."""

    state: str
    restart_offered: bool
    safe_mode_offered: bool
    sharing: bool
    reason: str = ""


class RepSeesChat(Message, frozen=True, tag="rep-sees-chat"):
    """A chat line for the representative to see."""

    seq: int
    author: str
    text: str


AgentMessage = (
    Hello | Join | Resume | Reconnect | AgentChat | ConsentAnswer | Armed | ArmFailed | Restarting | NotRestarting
    | Leave | CancelResume | HelperState | Heartbeat
)
ServerMessage = (
    Welcome | TurnedAway | Joined | Resumed | Ask | Order | StandBy | Withdraw | ServerChat | Sharing | SessionOver
    | HeartbeatReply
)
RepMessage = Take | AskRestart | Confirm | RepChat | EndSession | Transfer | RequestSharing
ConsoleMessage = ConfirmRestart | RestartView | SessionView | RepSeesChat
