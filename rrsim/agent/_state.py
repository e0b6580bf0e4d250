"""The agent core's state, its errors, and the scratch object of one step.

Every struct is frozen, hashable and small. Nothing holds an instant, and what could grow is bounded: the chat tail,
the queue of chores (one of each group), one open question of each kind, operation numbers that wrap.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from rrsim.agent import host
from rrsim.protocol.messages import AgentMessage, AgentSettings, Answer, AskKind, BootMode, Desktop
from rrsim.protocol.timers import CancelTimer, SetTimer

Goal = Literal["new", "idle", "joining", "resuming", "member", "going", "over", "exited"]
"""What the agent is about: ``new`` before Started; ``idle`` no session; ``joining`` a first time; ``resuming`` after a
new boot; ``member`` of a session, connected or not; ``going`` the customer left or cancelled and the server is still to
be told; ``over`` cleaning up; ``exited`` the process has ended itself."""

LinkPhase = Literal["down", "waiting", "connecting", "greeting", "claiming", "up"]
"""``waiting`` for the next try, ``greeting`` Hello is sent, ``claiming`` Join, Resume or Reconnect is sent."""

Stage = Literal["arming", "requested", "ending", "unwinding"]
"""``requested`` from the moment Windows is asked; ``ending`` from the moment Windows really goes down."""

Report = Literal["", "arm failed", "not restarting"]

Word = Literal[
    "", "save ticket", "save intent", "withdraw intent", "settle record", "arm autostart", "disarm autostart",
    "register key", "read key", "remove key", "look for key", "look for flag", "set flag", "read flag", "clear flag",
    "request restart", "abort restart",
]
"""What is asked of Windows, by the name used in the arming table and in the queue of chores."""

TAIL: Final = 8
"""Chat lines kept until the server is known to have them (I12)."""


class AgentError(ValueError):
    """An input that the agent cannot have in its state; the state is unchanged."""


class NotStarted(AgentError):
    """Something came before Started."""


class AlreadyStarted(AgentError):
    """Started came a second time."""


class NoConnection(AgentError):
    """News of a connection that is not in the state for it."""


class Exited(AgentError):
    """The process has ended itself; nothing can reach it."""


class Part(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Base of everything in the agent's state."""


class Claim(Part, frozen=True):
    """Which session, and what proves the right to it. The only place where secrets are."""

    session: str = ""
    code: str = ""
    live_key: str = ""
    ticket: str = ""


class Link(Part, frozen=True):
    """The connection to the session server."""

    phase: LinkPhase = "down"
    attempts: int = 0
    """Failed tries in a row, saturating at :data:`MOST_ATTEMPTS`."""


MOST_ATTEMPTS: Final = 10


class Restart(Part, frozen=True):
    """The representative's order that is under way."""

    order: int
    boot_mode: BootMode
    forced: bool
    ticket: str
    stage: Stage = "arming"
    step: int = -1
    """Row of the arming table that is being carried out, or is next; -1: earlier chores come first."""
    report: Report = ""
    """What the server is told when everything is undone; empty: nothing, it knows."""
    failed_step: str = ""
    reason: str = ""


class Hands(Part, frozen=True):
    """Requests to Windows: one at a time, so that their order is the order in which they take effect."""

    op: int = 0
    """Number of the last request; wraps at :data:`rrsim.agent.host.OPS`."""
    doing: Word = ""
    """The request that has no answer yet."""
    hung: tuple[tuple[int, Word], ...] = ()
    """Requests, by number, that were given up without an answer: Windows may still carry them out."""
    chores: tuple[Word, ...] = ()
    """What is to be undone or tidied next. A chore that fails is noted, and the rest goes on (rule 8)."""


class Question(Part, frozen=True):
    """A question for the person at the PC."""

    kind: host.PromptKind
    ask: int
    """The server's number for it; 0 for the agent's own *keep the session open?*."""
    prompt: int = 0
    """Number of the window, 0 while nobody could see one."""
    answer: Answer | None = None
    """Given, but not sent yet: the connection is down."""
    human: bool = False
    """Whether a person gave it."""


class Chat(Part, frozen=True):
    """The customer's chat window."""

    line: int = 0
    """Number of the last line typed in this process."""
    tail: tuple[str, ...] = ()
    """Texts of the last lines typed, as long as the server is not known to have them."""
    probe: int = -1
    """``line`` at the heartbeat that has no reply yet (its reply acknowledges them); -1: none is out."""
    seen: int = 0
    """Highest transcript place shown, so that a repeat is shown once."""


class Left(Part, frozen=True):
    """What of ours may be on this PC and must not stay (rule 7)."""

    key: bool = False
    """``SafeBoot\\Network`` key."""
    flag: bool = False
    """Boot flag."""
    owner: bool = False
    """The boot flag was set before we armed: it is the owner's, and stays (rule 7)."""
    record: bool = False
    """A record that could not be removed, or brought up to date, from the disk."""
    standby: str = ""
    """Stand-by ticket (profiles in which foreign restarts resume)."""


class Seat(Part, frozen=True):
    """Who could see a window of ours."""

    desktop: Desktop = "none"
    user: str = ""
    helper: bool = False
    """Service mode: a desktop helper runs there and can show windows."""


NOWHERE: Final = host.BootFacts(
    boot="", machine="", platform="windows", mode="application", safe_mode=False, elevated=False, user="",
    desktop="none",
)


class AgentState(Part, frozen=True):
    """Everything the agent knows. Secrets (ticket, live key) are in ``claim``, ``restart`` and ``left`` only."""

    goal: Goal = "new"
    facts: host.BootFacts = NOWHERE
    settings: AgentSettings = AgentSettings()
    claim: Claim = Claim()
    link: Link = Link()
    restart: Restart | None = None
    hands: Hands = Hands()
    questions: tuple[Question, ...] = ()
    """At most one of each kind."""
    prompt: int = 0
    """Number of the last window asked for; wraps at :data:`rrsim.agent.host.OPS`."""
    chat: Chat = Chat()
    left: Left = Left()
    seat: Seat = Seat()
    sharing: bool = False
    shutdown: Literal["", "not a restart", "ending"] = ""
    """``not a restart``: Windows last asked for a sign-out or for one program to close."""
    why: str = ""
    """Why the session is over, for the goals ``going`` and ``over``."""


class Turn:
    """One step: the state as it is becoming, and the effects so far."""

    __slots__ = ("effects", "s")

    def __init__(self, state: AgentState) -> None:
        """Begin with the state before the step."""
        self.s = state
        self.effects: list[host.Effect] = []

    def set(self, **changes: Any) -> None:
        """Change fields of the state."""
        self.s = msgspec.structs.replace(self.s, **changes)

    def part(self, name: str, **changes: Any) -> None:
        """Change fields of one part of the state."""
        self.set(**{name: msgspec.structs.replace(getattr(self.s, name), **changes)})

    def do(self, *effects: host.Effect) -> None:
        """Add effects, in the order in which they are to happen."""
        self.effects.extend(effects)

    def send(self, message: AgentMessage) -> None:
        """Send a message on the open connection."""
        self.do(host.Send(message))

    def note(self, text: str) -> None:
        """Write a line into the agent's log; never a secret."""
        self.do(host.Note(text))

    def timer(self, name: str, after_us: int) -> None:
        """Ask for a timer."""
        self.do(SetTimer(name, after_us))

    def forget(self, *names: str) -> None:
        """Cancel timers."""
        self.do(*(CancelTimer(n) for n in names))


def ask_timer(kind: AskKind | host.PromptKind) -> str:
    """Name of the timer after which an unanswered question counts as silence (rule 6)."""
    return f"ask {kind}"
