"""One session's state, and how each journal record changes it.

:class:`Durable` is what a killed server gets back by folding :func:`apply` over the journal; nothing else ever
changes it. What is true only while this process and its connections live stands beside it in :class:`SessionState`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

import msgspec

from rrsim.protocol import records as rec
from rrsim.protocol.messages import AgentMode, BootMode, Place, Platform
from rrsim.protocol.settings import Account

Life = Literal["new", "open", "expired", "ended", "lost"]
Stage = Literal["", "confirming", "asking", "arming", "armed"]
StateName = Literal["new", "queued", "active", "rebooting", "interrupted", "offline", "expired", "ended", "lost"]

NO_CONN: Final = 0
"""No connection; real ones count from 1."""


PAUSED: Final = "another person is present"
"""Reason of the one :class:`~rrsim.protocol.records.SharingChanged` that is off for now and not for good (rule 4)."""


class SessionError(ValueError):
    """An input that is illegal in this state; the state is unchanged."""


class CorruptJournal(SessionError):
    """A record that cannot stand at this place of this session's journal."""


class _Part(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Base of the pieces of state."""


class Endpoint(_Part, frozen=True):
    """The customer's machine as this session knows it."""

    machine: str = ""
    """Empty until the customer has joined."""
    platform: Platform = "windows"
    mode: AgentMode = "application"
    boot: str = ""
    """The boot mark it last proved."""
    person: str = ""
    """Who sat there last: somebody else is asked before the screen is shared (rule 4)."""
    desktop: str = ""
    key_seal: str = ""
    standby_seal: str = ""
    present: bool = False
    """It has a connection that is joined to the session (I3: at most one)."""
    unheard: bool = False
    """It was let in by code or ticket and has said nothing since: the answer may be lost and is given again."""
    line: int = 0
    """Highest chat line of its present process."""


class Restart(_Part, frozen=True):
    """The restart under way, or nothing of one."""

    number: int = 0
    """0: none is under way."""
    stage: Stage = ""
    rep: str = ""
    place: Place = "chat window"
    boot_mode: BootMode = "normal"
    forced: bool = False
    boot: str = ""
    """Boot mark of the Windows that was told to restart."""
    ticket_seal: str = ""
    """Empty: no ticket is good."""
    window: bool = False
    """Its resume window runs."""


class Screen(_Part, frozen=True):
    """Screen sharing."""

    on: bool = False
    wanted: bool = False
    """It ran before, or the representative waits for it."""
    consent_due: bool = False
    """Nothing is shared before a Yes (R9, rule 4)."""


class Durable(_Part, frozen=True):
    """What must not be lost."""

    session: str = ""
    kind: rec.SessionKind = "standard"
    account: Account = Account()
    life: Life = "new"
    offline: bool = False
    """The window passed under a profile whose expiry is not final (EX-05)."""
    rep: str = ""
    """Who has the session; empty in the queue."""
    rep_lost: bool = False
    endpoint: Endpoint = Endpoint()
    restart: Restart = Restart()
    screen: Screen = Screen()
    spent_seal: str = ""
    """Seal of the last ticket that resumed: offered again it is named as used, and its Resumed can be repeated."""
    spent_for: int = 0
    """The restart it was for; 0: a stand-by ticket."""
    restarts: int = 0
    asks: int = 0
    restart_ask: int = 0
    """Number of the open question, 0 for none."""
    sharing_ask: int = 0
    seq: int = 0
    """Length of the transcript; its text lives only in the records (I12)."""


class SessionState(_Part, frozen=True):
    """Everything one session core knows."""

    durable: Durable = Durable()
    conn: int = NO_CONN
    """The joined endpoint's connection."""
    heard: bool = False
    """Something was said since the endpoint was last let in; outlives the connection."""
    greeted: int = NO_CONN
    """A connection on which the customer's machine said hello inside the window and has made no claim yet."""
    overtime: bool = False
    """The window ran out after that hello: only its claim is still awaited (``window_closes: connected``)."""
    consoles: tuple[str, ...] = ()
    """Representatives whose consoles are connected, sorted: they watch the queue."""

    @property
    def name(self) -> StateName:
        """The state's name, as the console and scenarios show it."""
        d = self.durable
        if d.life != "open":
            return d.life
        if d.offline:
            return "offline"
        if d.restart.window:
            return "rebooting"
        if d.endpoint.machine and not d.endpoint.present:
            return "interrupted"
        return "active" if d.rep and d.endpoint.machine else "queued"

    @property
    def ordered(self) -> bool:
        """Whether an order stands: the agent was told to restart and nothing has come of it yet."""
        return self.durable.restart.stage in {"arming", "armed"}

    @property
    def over(self) -> bool:
        """Whether the session is expired, ended or lost: nothing brings it back (I1)."""
        return self.durable.life in {"expired", "ended", "lost"}


P = TypeVar("P", bound=_Part)


def _with(part: P, **changes: Any) -> P:
    return msgspec.structs.replace(part, **changes)


def apply(state: SessionState, record: rec.AnyRecord) -> SessionState:
    """Return ``state`` after ``record``: the one way in which the durable part changes.

    Raises:
        CorruptJournal: the record belongs to another session, or the journal does not begin with its request.
    """
    d = state.durable
    if isinstance(record, rec.SessionRequested):
        if d.life != "new":
            raise CorruptJournal(f"expected one request in the journal of {d.session!r}; look for mixed journals")
        return _with(
            state, durable=Durable(session=record.session, kind=record.kind, account=record.account, life="open")
        )
    if d.life == "new" or record.session != d.session:
        raise CorruptJournal(
            f"expected a record of session {d.session!r}, got one of {record.session!r}; replay one whole journal"
        )
    d = _CHANGES[type(record)](d, record)
    if d.endpoint.unheard and _is_the_endpoints_word(record):
        d = _with(d, endpoint=_with(d.endpoint, unheard=False))
    return _with(state, durable=d)


def _is_the_endpoints_word(record: rec.AnyRecord) -> bool:
    """Whether the record could not have been written if the endpoint had not got its answer."""
    if isinstance(record, rec.ChatLine):
        return record.line > 0
    if isinstance(record, rec.CustomerAnswered):
        return record.human
    return isinstance(record, rec.HelperSeen | rec.OrderArmed)


def _ended(life: Life) -> Callable[[Durable, Any], Durable]:
    def change(d: Durable, _: Any) -> Durable:
        return _with(
            d,
            life=life,
            offline=False,
            endpoint=_with(d.endpoint, present=False, key_seal="", standby_seal=""),
            restart=Restart(),
            screen=Screen(),
            spent_seal="",
            restart_ask=0,
            sharing_ask=0,
        )

    return change


def _joined(d: Durable, r: rec.EndpointJoined) -> Durable:
    return _with(
        d,
        endpoint=Endpoint(
            machine=r.machine,
            platform=r.platform,
            mode=r.mode,
            boot=r.boot,
            person=r.user,
            key_seal=r.key_seal,
            standby_seal=r.standby_seal,
            present=True,
            unheard=True,
        ),
    )


def _lost(d: Durable, _: rec.EndpointLost) -> Durable:
    return _with(d, endpoint=_with(d.endpoint, present=False), screen=_with(d.screen, on=False))


def _reconnected(d: Durable, r: rec.EndpointReconnected) -> Durable:
    # The same seal again means that the live key was shown: what it was sent with has arrived.
    e = d.endpoint
    standby = r.standby_seal or e.standby_seal
    unheard = e.unheard and r.key_seal != e.key_seal
    return _with(
        d,
        offline=False,
        endpoint=_with(e, present=True, key_seal=r.key_seal, standby_seal=standby, unheard=unheard),
    )


def _resumed(d: Durable, r: rec.EndpointResumed) -> Durable:
    e = d.endpoint
    other_person = bool(r.user and e.person and r.user != e.person)
    return _with(
        d,
        offline=False,
        endpoint=_with(
            e,
            boot=r.boot,
            person=r.user or e.person,
            desktop=r.desktop,
            key_seal=r.key_seal,
            standby_seal=r.standby_seal,
            present=True,
            unheard=True,
            line=0,
        ),
        spent_seal=d.restart.ticket_seal if r.restart else e.standby_seal,
        spent_for=r.restart,
        restart=Restart(),
        screen=_with(d.screen, on=False, consent_due=d.account.ask_before_sharing or other_person),
        restart_ask=0,
        sharing_ask=0,
    )


def _asked(d: Durable, r: rec.RestartAsked) -> Durable:
    restart = Restart(r.restart, "confirming", r.rep, r.place, r.boot_mode, r.forced)
    return _with(d, restarts=r.restart, restart=restart)


def _confirmed(d: Durable, r: rec.RestartConfirmed) -> Durable:
    return _with(d, restart=_with(d.restart, stage="asking")) if r.answer == "yes" else d


def _customer_asked(d: Durable, r: rec.CustomerAsked) -> Durable:
    if r.kind == "restart":
        return _with(d, asks=r.ask, restart_ask=r.ask)
    return _with(d, asks=r.ask, sharing_ask=r.ask)


def _customer_answered(d: Durable, r: rec.CustomerAnswered) -> Durable:
    if r.kind == "restart":
        return _with(d, restart_ask=0)
    return _with(d, sharing_ask=0, screen=_with(d.screen, consent_due=d.screen.consent_due and r.answer != "yes"))


def _ordered(d: Durable, r: rec.OrderGiven) -> Durable:
    return _with(d, restart=_with(d.restart, stage="arming", boot=r.boot, ticket_seal=r.ticket_seal))


def _no_restart(d: Durable, _: Any) -> Durable:
    return _with(d, restart=Restart(), restart_ask=0, offline=d.offline and not d.endpoint.present)


def _sharing(d: Durable, r: rec.SharingChanged) -> Durable:
    return _with(d, screen=_with(d.screen, on=r.on, wanted=r.on or r.reason == PAUSED))


def _chat(d: Durable, r: rec.ChatLine) -> Durable:
    line = r.line or d.endpoint.line
    return _with(d, seq=r.seq, endpoint=_with(d.endpoint, line=line))


def _helper(d: Durable, r: rec.HelperSeen) -> Durable:
    e, other_person = d.endpoint, bool(r.user and d.endpoint.person and r.user != d.endpoint.person)
    return _with(
        d,
        endpoint=_with(e, desktop=r.desktop, person=r.user or e.person),
        screen=_with(d.screen, consent_due=d.screen.consent_due or other_person),
    )


def _requeued(d: Durable, _: rec.SessionRequeued) -> Durable:
    return _with(d, rep="", rep_lost=False)


_CHANGES: Final[dict[type, Callable[[Durable, Any], Durable]]] = {
    rec.SessionTaken: lambda d, r: _with(d, rep=r.rep, rep_lost=False),
    rec.EndpointJoined: _joined,
    rec.EndpointLost: _lost,
    rec.EndpointReconnected: _reconnected,
    rec.RestartAsked: _asked,
    rec.RestartConfirmed: _confirmed,
    rec.CustomerAsked: _customer_asked,
    rec.CustomerAnswered: _customer_answered,
    rec.RestartRefused: _no_restart,
    rec.RestartCancelled: _no_restart,
    rec.OrderGiven: _ordered,
    rec.OrderArmed: lambda d, _: _with(d, restart=_with(d.restart, stage="armed")),
    rec.WindowOpened: lambda d, _: _with(d, restart=_with(d.restart, window=True)),
    rec.WindowOffline: lambda d, _: _with(d, offline=True, restart=_with(d.restart, window=False)),
    rec.EndpointResumed: _resumed,
    rec.RestartUndone: _no_restart,
    rec.ClaimRejected: lambda d, _: d,
    rec.SharingChanged: _sharing,
    rec.ChatLine: _chat,
    rec.HelperSeen: _helper,
    rec.RepLost: lambda d, _: _with(d, rep_lost=True),
    rec.RepBack: lambda d, _: _with(d, rep_lost=False),
    rec.SessionTransferred: lambda d, r: _with(d, rep=r.rep, rep_lost=False),
    rec.SessionRequeued: _requeued,
    rec.SessionExpired: _ended("expired"),
    rec.SessionLost: _ended("lost"),
    rec.SessionEnded: _ended("ended"),
}
