"""Tideway's own words, translated: what its server tells becomes the records, messages and views that rrsim reads.

Each word has one function here. A word that is not listed says nothing that rrsim asks about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account

Said = dict[str, Any]

STATES: Final = {
    "queued": "queued", "open": "active", "away": "rebooting", "broken": "interrupted", "expired": "expired",
    "lost": "lost", "closed": "ended",
}
STAGES: Final = {
    "confirming": "confirming", "asking": "asking customer", "ordered": "arming", "ready": "armed", "away": "rebooting",
    "back": "resumed", "refused": "refused", "cancelled": "cancelled", "expired": "expired",
}
ASKED: Final[dict[str, msg.AskKind]] = {"restart": "restart", "screen": "sharing"}
KNOCKS: Final[dict[str, Literal["join", "resume", "reconnect"]]] = {
    "ENTER": "join", "RETURN": "resume", "BACK": "reconnect",
}
"""Anything else said at the door counts as an attempt to join."""


def terms(account: Account) -> dict[str, Any]:
    """Return an account in the words of the server's *terms*."""
    return {
        "ask_restart": account.ask_before_restart, "ask_screen": account.ask_before_sharing,
        "restart_allowed": account.restart_allowed, "window_us": account.resume_window_us,
        "limit_us": account.restart_limit_us, "prompt_us": account.prompt_timeout_us, "grace_us": account.rep_grace_us,
        "ping_us": account.heartbeat_us, "quiet_us": account.silence_us, "retry_us": account.retry_first_us,
        "retry_max_us": account.retry_max_us,
        "away_us": account.give_up_us or account.silence_us + account.resume_window_us,
    }  # fmt: skip


def unsupported(kind: str, account: Account) -> str:
    """Return which setting of an account this product does not have; empty: it has all of them."""
    plain = Account()
    for name in (
        "auto_accept_silence", "decline_ends_session", "needs_viewer", "queued_restart", "phone_mode", "window_opens",
        "window_closes", "foreign_resumes", "expiry_final", "idle_timeout_us", "language",
    ):  # fmt: skip
        if getattr(account, name) != getattr(plain, name):
            return f"the account setting {name!r} as {getattr(account, name)!r}"
    return "" if kind in ("standard", "unattended", "meeting") else f"sessions of kind {kind!r}"


def rep_order(message: Any) -> tuple[str, dict[str, Any]]:
    """Return a representative's message as what a technician does.

    Raises:
        KeyError: this product has nothing of the kind.
    """
    match message:
        case msg.Take():
            return "pick", {}
        case msg.AskRestart():
            return "trip", {"place": message.place, "mode": message.boot_mode, "force": message.forced}
        case msg.Confirm():
            return "confirm", {"trip": message.order, "answer": message.answer}
        case msg.RepChat():
            return "say", {"text": message.text}
        case msg.EndSession():
            return "end", {}
        case msg.Transfer():
            return "pass", {"to": message.to}
        case msg.RequestSharing():
            return "screen", {"on": message.on}
    raise KeyError(type(message).__name__)


_FROM_TECH: Final[dict[str, Callable[[Said], Any]]] = {
    "pick": lambda w: msg.Take(),
    "trip": lambda w: msg.AskRestart(w["place"], w["mode"], w["force"]),
    "confirm": lambda w: msg.Confirm(w["trip"], w["answer"]),
    "say": lambda w: msg.RepChat(w["text"]),
    "end": lambda w: msg.EndSession(),
    "pass": lambda w: msg.Transfer(w["to"]),
    "screen": lambda w: msg.RequestSharing(w["on"]),
}


def _who(name: str) -> str:
    return "customer" if name == "guest" else name


_SCREENS: Final[dict[str, Callable[[Said], Any]]] = {
    "case": lambda e: msg.SessionView(STATES[e["state"]], e["restart"], False, e["sharing"]),
    "confirm": lambda e: msg.ConfirmRestart(e["trip"], e["place"], e["mode"]),
    "trip": lambda e: msg.RestartView(e["trip"], STAGES[e["stage"]], e["why"]),
    "line": lambda e: msg.RepSeesChat(e["seq"], _who(e["who"]), e["text"]),
}


_WIRE: Final[dict[tuple[str, str], Callable[[Said], Any]]] = {
    ("server", "SAY"): lambda e: msg.AgentChat(int(e["n"]), e["text"]),
    ("server", "ANSWER"): lambda e: msg.ConsentAnswer(int(e["q"]), e["is"], e["human"] == "1"),
    ("server", "READY"): lambda e: msg.Armed(int(e["trip"])),
    ("server", "NOTREADY"): lambda e: msg.ArmFailed(int(e["trip"]), e["step"], e["why"]),
    ("server", "SINKING"): lambda e: msg.Restarting(int(e["trip"])),
    ("server", "STAYING"): lambda e: msg.NotRestarting(int(e["trip"]), e["why"]),
    ("server", "BYE"): lambda e: msg.Leave("the guest left"),
    ("guest", "SAID"): lambda e: msg.ServerChat(int(e["seq"]), _who(e["who"]), e["text"]),
    ("guest", "ASK"): lambda e: msg.Ask(int(e["q"]), ASKED[e["about"]], int(e["ms"]) * 1000),
    ("guest", "GO"): lambda e: msg.Order(int(e["trip"]), "normal", e["force"] in (1, "1"), "***"),
    ("guest", "STAY"): lambda e: msg.Withdraw(int(e["trip"]), e["why"]),
    ("guest", "SCREEN"): lambda e: msg.Sharing(e["on"] in (1, "1")),
    ("guest", "NO"): lambda e: msg.TurnedAway(e["why"]),
    ("guest", "OVER"): lambda e: msg.SessionOver("the case is over"),
}
"""The lines that have a counterpart; pings and the line's own greetings have none that a check asks for."""

_RECORDS: Final[dict[str, Callable[[str, Said], Any]]] = {
    "case picked": lambda s, e: rec.SessionTaken(s, e["tech"]),
    "guest in": lambda s, e: rec.EndpointJoined(
        s, e["pc"], "windows", "application", e["boot"], e["seal"], e["user"]
    ),
    "guest gone": lambda s, e: rec.EndpointLost(s, e["why"]),
    "guest back": lambda s, e: rec.EndpointReconnected(s, e["seal"], e["going"]),
    "guest returned": lambda s, e: rec.EndpointResumed(
        s, e["trip"], e["boot"], e["seal"], False, e["user"], e["pc"], desktop="visible"
    ),
    "guest asked": lambda s, e: rec.CustomerAsked(s, e["q"], ASKED[e["about"]], e["trip"]),
    "guest answered": lambda s, e: rec.CustomerAnswered(
        s, e["q"], ASKED[e["about"]], e["trip"], e["answer"], e["human"]
    ),
    "knock refused": lambda s, e: rec.ClaimRejected(s, KNOCKS.get(e["how"], "join"), e["pc"], e["why"]),
    "trip wanted": lambda s, e: rec.RestartAsked(s, e["trip"], e["tech"], e["place"], e["mode"], e["force"]),
    "trip confirmed": lambda s, e: rec.RestartConfirmed(s, e["trip"], e["tech"], e["answer"]),
    "trip ordered": lambda s, e: rec.OrderGiven(s, e["trip"], e["mode"], e["force"], e["boot"], e["seal"]),
    "trip ready": lambda s, e: rec.OrderArmed(s, e["trip"]),
    "trip refused": lambda s, e: rec.RestartRefused(s, e["trip"], e["why"]),
    "trip cancelled": lambda s, e: rec.RestartCancelled(s, e["trip"], e["by"], e["why"]),
    "trip undone": lambda s, e: rec.RestartUndone(s, e["trip"], e["why"]),
    "away clock": lambda s, e: rec.WindowOpened(
        s, e["trip"], "announcement" if e["why"] == "the PC goes down" else "disconnect"
    ),
    "screen shown": lambda s, e: rec.SharingChanged(s, e["on"], e["why"]),
    "line": lambda s, e: rec.ChatLine(s, e["seq"], _who(e["who"]), e["text"], e["n"]),
    "tech gone": lambda s, e: rec.RepLost(s, e["tech"]),
    "tech back": lambda s, e: rec.RepBack(s, e["tech"]),
    "case passed": lambda s, e: rec.SessionTransferred(s, e["tech"]),
    "case requeued": lambda s, e: rec.SessionRequeued(s, e["why"]),
    "case expired": lambda s, e: rec.SessionExpired(s, e["trip"]),
    "case lost": lambda s, e: rec.SessionLost(s, e["why"]),
    "case closed": lambda s, e: rec.SessionEnded(s, e["by"], e["why"]),
}


def translated(said: Said, accounts: dict[str, tuple[str, Account]]) -> tuple[str, Any] | None:
    """Return the source and the event that one thing the server told stands for; nothing if it stands for none.

    ``accounts`` are kind and account of every case, as they were asked for.
    """
    what, session = said["what"], said.get("case", "")
    if what == "case opened":
        kind, account = accounts[session]
        return "server", rec.SessionRequested(session, kind, account)  # type: ignore[arg-type]  # one of the kinds
    if what in _RECORDS:
        return "server", _RECORDS[what](session, said)
    if what == "console":
        return "console", _FROM_TECH[said["say"]](said["words"])
    if what == "screen":
        return "console", _SCREENS[said["screen"]](said)
    if what == "wire":
        message = _WIRE.get((said["to"], said["verb"]))
        return ("wire", message(said)) if message is not None else None
    return None
