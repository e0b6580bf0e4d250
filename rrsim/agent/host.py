"""What the agent needs from an operating system, as inputs and effects.

:func:`rrsim.agent.core.step` takes one input and returns effects; a *host* (the modelled PC, or the Windows program)
performs the effects in list order and feeds back what happened. The process may die between any two effects.

Rules every host keeps:

* A :class:`Request` gets at most one completion, :class:`Completed` or :class:`Failed`, carrying its ``op``.
* Memory survives a restart only through :class:`Save`; each start of the process begins with one :class:`Started`.
* Exactly one core runs per endpoint. In service mode that is the service; the desktop helper has no core
  (``docs/design.md``, *The agent is real*).
* All timers due up to an input's time are delivered before that input.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.protocol.messages import (
    AgentMessage,
    AgentMode,
    AgentSettings,
    Answer,
    BootMode,
    Desktop,
    Platform,
    ServerMessage,
)
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired

PromptKind = Literal["restart", "sharing", "leave"]
"""``restart`` R7, ``sharing`` R9, ``leave``: keep the session open? (rule 12; Yes means keep, No means leave)."""


class _Word(msgspec.Struct, frozen=True, gc=False, cache_hash=True, tag=True, forbid_unknown_fields=True):
    """Base of everything in this file."""


# --- what survives on disk --------------------------------------------------------------------------------------


class Saved(_Word, frozen=True):
    """The agent's durable record: protected for its owner only (rule 5), erased when nothing is left to do (rule 7)."""

    session: str
    machine: str
    order: int
    """0 in a stand-by record (profiles in which foreign restarts resume)."""
    ticket: str
    """Empty once spent or void: then the record only remembers what is left to clean up."""
    boot: str
    """Boot mark of the Windows in which the agent armed."""
    boot_mode: BootMode
    intent: bool
    """Durably recorded: the agent is requesting the representative's restart (rule 3)."""
    safe_key: bool
    """Our ``SafeBoot\\Network`` key is registered and must go at the first normal boot (rule 7)."""
    settings: AgentSettings


class BootFacts(_Word, frozen=True):
    """What a starting process learns about the Windows it runs in."""

    boot: str
    """Boot mark: an opaque value that differs for every boot of the kernel (fast startup keeps it)."""
    machine: str
    platform: Platform
    mode: AgentMode
    safe_mode: bool
    elevated: bool
    user: str
    """Signed-in user, empty at the welcome screen."""
    desktop: Desktop


# --- inputs -----------------------------------------------------------------------------------------------------


class Started(_Word, frozen=True):
    """First input of every process."""

    facts: BootFacts
    saved: Saved | None
    corrupt: bool = False
    """A record was there but could not be read (SH-09, BO-14)."""


class CustomerStarts(_Word, frozen=True):
    """The customer starts support with the code they were given."""

    code: str


class Connected(_Word, frozen=True):
    """The connection to the session server is up, TLS verified."""


class ConnectFailed(_Word, frozen=True):
    """No connection. ``jitter`` in 0..7 spreads the retries and comes from outside (the core draws nothing)."""

    reason: str
    jitter: int = 0


class Disconnected(_Word, frozen=True):
    """The connection that was up is gone."""

    reason: str
    jitter: int = 0


class NetworkChanged(_Word, frozen=True):
    """Windows reports a change of connectivity: worth trying at once (LO-13, NE-02, R12)."""


class Received(_Word, frozen=True):
    """A message from the session server, already decoded and checked."""

    message: ServerMessage


class Completed(_Word, frozen=True):
    """Request ``op`` was carried out. ``result`` is what was read, for requests that read."""

    op: int
    result: str = ""


class Failed(_Word, frozen=True):
    """Request ``op`` was not carried out."""

    op: int
    reason: str


class Answered(_Word, frozen=True):
    """The person answered prompt ``prompt``."""

    prompt: int
    answer: Answer


class PromptGone(_Word, frozen=True):
    """Prompt ``prompt`` vanished unanswered: its helper died or Windows destroyed it. Counts as No (rule 14)."""

    prompt: int


class ChatTyped(_Word, frozen=True):
    """The customer typed a line into the chat window."""

    text: str


class CloseClicked(_Word, frozen=True):
    """The customer pressed the close button of the chat window: ask first, only a confirmed close counts (rule 12)."""


class ChatDestroyed(_Word, frozen=True):
    """The chat window vanished without the customer: Windows, Restart Manager or a crash (rule 12)."""

    by: str


class CancelClicked(_Word, frozen=True):
    """Phone mode: the customer pressed *cancel the reconnect* (R11)."""


class QueryEndSession(_Word, frozen=True):
    """Windows asks whether the session may end (``WM_QUERYENDSESSION``); nothing is decided yet."""

    kind: Literal["shutdown", "logoff", "closeapp"]


class SessionEnding(_Word, frozen=True):
    """Windows is really going down: ``WM_ENDSESSION`` TRUE, or pre-shutdown for a service."""


class EndSessionCancelled(_Word, frozen=True):
    """``WM_ENDSESSION`` FALSE: the session goes on after all (rule 11)."""

    by: str


class HelperReady(_Word, frozen=True):
    """Service mode: a desktop helper can show windows now."""

    desktop: Desktop
    user: str


class HelperGone(_Word, frozen=True):
    """Service mode: the desktop helper is gone (crash, sign-out). Loses nothing by itself (rule 14)."""


Input = (
    Started | CustomerStarts | Connected | ConnectFailed | Disconnected | NetworkChanged | Received | Completed | Failed
    | Answered | PromptGone | ChatTyped | CloseClicked | ChatDestroyed | CancelClicked | QueryEndSession | SessionEnding
    | EndSessionCancelled | HelperReady | HelperGone | TimerFired
)

# --- requests to the operating system ---------------------------------------------------------------------------


KEY_PRESENT: Final = "present"
"""Our ``SafeBoot\\Network`` key is there, and the boot flag that goes with it is ours."""
KEY_OWNERS: Final = "present, with the owner's flag"
"""Our key is there, and the boot flag was set before: it is the owner's, and stays (rule 7)."""


class Save(_Word, frozen=True):
    """Write the durable record, replacing an older one, flushed to disk, readable by its owner only."""

    record: Saved


class Erase(_Word, frozen=True):
    """Remove the durable record. Succeeds if there is none."""


class ArmAutostart(_Word, frozen=True):
    """Application mode: write ``HKCU\\…\\RunOnce`` with the prefixes that keep it until it was run, and that run it in
    safe mode too. Service mode: verify that the service is installed and starts automatically (BO-12)."""


class DisarmAutostart(_Word, frozen=True):
    """Undo :class:`ArmAutostart`. Succeeds if there is nothing to undo."""


class RegisterSafeBoot(_Word, frozen=True):
    """Register the service under ``SafeBoot\\Network``, with a note of whose the boot flag is.

    With ``own_flag`` (it is to be ours) a ``*`` value in ``HKLM\\…\\RunOnce`` goes with it, which clears the
    flag at an administrator's logon in safe mode: the way out if the service is not started there (SM-03).
    """

    own_flag: bool = True


class UnregisterSafeBoot(_Word, frozen=True):
    """Remove our ``SafeBoot\\Network`` key and the RunOnce value beside it. Succeeds if they are not there."""


class ReadSafeBootKey(_Word, frozen=True):
    """Completed with :data:`KEY_PRESENT`, :data:`KEY_OWNERS` or ``absent`` (SM-03, SM-16: read, not only written)."""


class SetBootFlag(_Word, frozen=True):
    """``bcdedit /set {current} safeboot network``."""


class ReadBootFlag(_Word, frozen=True):
    """Completed with ``network``, ``other`` or ``absent``."""


class ClearBootFlag(_Word, frozen=True):
    """``bcdedit /deletevalue {current} safeboot``. Succeeds if it is not set."""


class RequestRestart(_Word, frozen=True):
    """Ask Windows to restart, with our reason code and comment. Completed means *accepted*, not *done*."""

    forced: bool


class AbortRestart(_Word, frozen=True):
    """Take a requested restart back."""


HostRequest = (
    Save | Erase | ArmAutostart | DisarmAutostart | RegisterSafeBoot | UnregisterSafeBoot | ReadSafeBootKey
    | SetBootFlag | ReadBootFlag | ClearBootFlag | RequestRestart | AbortRestart
)

# --- effects ----------------------------------------------------------------------------------------------------


class Request(_Word, frozen=True):
    """Carry out ``what`` and answer with :class:`Completed` or :class:`Failed` for ``op``."""

    op: int
    what: HostRequest


class Connect(_Word, frozen=True):
    """Open a verified connection; answered by :class:`Connected` or :class:`ConnectFailed`."""


class Disconnect(_Word, frozen=True):
    """Close the connection; no :class:`Disconnected` follows."""


class Send(_Word, frozen=True):
    """Send a message on the open connection."""

    message: AgentMessage


class OpenChat(_Word, frozen=True):
    """Open the chat window (or, in phone mode, the small session window). Harmless if it is open."""


class CloseChat(_Word, frozen=True):
    """The agent itself closes the chat window; must never be mistaken for the customer's close (R5)."""


class ShowPrompt(_Word, frozen=True):
    """Show a Yes/No window on the customer's desktop."""

    prompt: int
    kind: PromptKind


class HidePrompt(_Word, frozen=True):
    """Take a prompt away (answered elsewhere, timed out)."""

    prompt: int


class ShowCancel(_Word, frozen=True):
    """Phone mode: show the option to cancel the reconnect (R11)."""


class HideCancel(_Word, frozen=True):
    """Take the option to cancel away."""


class ShowChat(_Word, frozen=True):
    """Show a line in the chat window."""

    author: str
    text: str


class Tell(_Word, frozen=True):
    """Tell the customer something in a notice (``expired``, ``ended``, ``cancelled`` …), in the account's language."""

    what: str


class Capture(_Word, frozen=True):
    """Start or stop capturing the screen."""

    on: bool


class Note(_Word, frozen=True):
    """A line for the agent's log. Never holds a secret."""

    text: str


class Exit(_Word, frozen=True):
    """The process ends by itself."""

    reason: str


Effect = (
    Request | Connect | Disconnect | Send | SetTimer | CancelTimer | OpenChat | CloseChat | ShowPrompt | HidePrompt
    | ShowCancel | HideCancel | ShowChat | Tell | Capture | Note | Exit
)

OPS: Final = 16
"""Operation and prompt numbers run 1..OPS and wrap: more than may ever be open at once, few enough to stay finite."""
