"""The bodies of the control API's requests and answers."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from rrsim.protocol.codec import MAX_INT
from rrsim.protocol.messages import AgentMode, BootMode, ConsoleMessage, Platform, RepMessage
from rrsim.protocol.records import SessionKind
from rrsim.protocol.settings import PROFILES, Account, profile
from rrsim.server.live.ends import LiveSession
from rrsim.server.live.history import Entry
from rrsim.server.live.registry import Registry

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
"""What sessions and representatives may be called."""

Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
_MAY_BE_ZERO: Final = frozenset({"idle_timeout_us", "give_up_us"})


def _change_of(field: msgspec.structs.FieldInfo) -> tuple[str, Any, Any]:
    kind: Any = field.type
    if kind is int:
        kind = Annotated[int, msgspec.Meta(ge=0 if field.name in _MAY_BE_ZERO else 1, le=MAX_INT)]
    elif field.name == "language":
        kind = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z-]{2,16}$")]
    return field.name, kind | msgspec.UnsetType, msgspec.UNSET


AccountChange: Any = msgspec.defstruct(
    "AccountChange",
    [_change_of(field) for field in msgspec.structs.fields(Account)],
    module=__name__, frozen=True, kw_only=True, forbid_unknown_fields=True,
    namespace={"__doc__": "Account settings: those that are named change, on top of a profile or the default account."},
)  # fmt: skip


class UnknownProfile(ValueError):
    """No profile has this name."""


def changed(account: Account, change: Any) -> Account:
    """Return ``account`` with the settings of ``change``; a profile that it names comes first.

    Raises:
        UnknownProfile: no such profile.
    """
    given = {
        name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not msgspec.UNSET
    }
    if "profile" in given:
        try:
            account = profile(given["profile"])
        except KeyError:
            raise UnknownProfile(
                f"expected the name of a profile, saw another word; try one of {', '.join(PROFILES)}"
            ) from None
    return msgspec.structs.replace(account, **given)


class NewSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer asks for support."""

    session: Name | None = None
    """The session's id; without one a code of nine digits is made."""
    kind: SessionKind = "standard"
    account: AccountChange | None = None
    customer: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """How whoever made the session calls its customer; shown with every entry of its history."""


class SessionMade(msgspec.Struct, frozen=True):
    """A session waits in the queue."""

    session: str
    code: str
    """What the customer's agent joins with."""


class RestartInfo(msgspec.Struct, frozen=True):
    """The restart under way."""

    number: int
    stage: str
    rep: str
    place: str
    boot_mode: BootMode
    forced: bool
    window: bool
    window_left_us: int | None


class SessionInfo(msgspec.Struct, frozen=True):
    """What the server knows about a session."""

    session: str
    customer: str
    kind: SessionKind
    state: str
    rep: str
    rep_lost: bool
    joined: bool
    """A customer's machine has joined at some time."""
    present: bool
    """It is connected now."""
    machine: str
    platform: Platform
    mode: AgentMode
    desktop: str
    person: str
    sharing: bool
    sharing_wanted: bool
    restarts: int
    """How many restarts were asked for."""
    restart: RestartInfo | None
    chat_lines: int
    account: Account


def info(registry: Registry, session: LiveSession) -> SessionInfo:
    """Return what the server knows about a session now."""
    d = session.state.durable
    r = d.restart
    restart = None
    if r.number:
        left_us = registry.window_left_us(session)
        restart = RestartInfo(r.number, r.stage, r.rep, r.place, r.boot_mode, r.forced, r.window, left_us)
    return SessionInfo(
        session=session.id, customer=session.customer, kind=d.kind, state=session.state.name, rep=d.rep,
        rep_lost=d.rep_lost, joined=bool(d.endpoint.machine), present=d.endpoint.present, machine=d.endpoint.machine,
        platform=d.endpoint.platform, mode=d.endpoint.mode, desktop=d.endpoint.desktop, person=d.endpoint.person,
        sharing=d.screen.on, sharing_wanted=d.screen.wanted, restarts=d.restarts, restart=restart, chat_lines=d.seq,
        account=d.account,
    )  # fmt: skip


class RepActs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a representative does in a session."""

    rep: Name
    message: RepMessage


class ConsoleSays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a console sends: a message about one session."""

    session: Name
    message: RepMessage


class ConsoleShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a console is sent: a message about one session, or why its own was not taken."""

    session: str
    message: ConsoleMessage | None = None
    error: str = ""


class HistoryPage(msgspec.Struct, frozen=True):
    """A part of the history."""

    first: int
    """The oldest place that is still kept."""
    next: int
    """Ask from here on for what comes later."""
    entries: list[Entry]


class Reps(msgspec.Struct, frozen=True):
    """Representatives whose consoles are connected."""

    reps: list[str]


class RestartWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server is to die and come back from its journal."""

    down_for_us: Annotated[int, msgspec.Meta(ge=0, le=3_600_000_000)] = 0


class Health(msgspec.Struct, frozen=True):
    """How the server is."""

    status: str
    """``up``, or ``down`` while it is being restarted."""
    version: str
    sessions: int
    connections: int
    agent_host: str
    agent_port: int
