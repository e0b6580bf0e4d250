"""What a history's witnesses saw, as two sequences of labels, and the model that has to allow them.

The session server's sequence is one order: what it heard from agent and representative, its timers, its records. The
PC's is another: when it went down and when a boot began. Nothing is said about the order between the two, for arrival
order is not event order across sources. The agent's own account is not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import dropwhile
from typing import Any, Final, NamedTuple, get_args

import msgspec
from msgspec.structs import replace

from rrsim.explore import moves
from rrsim.explore.model import Budget, Model
from rrsim.machine import observations as seen
from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as do
from rrsim.scenario.history import Entry, History
from rrsim.scenario.vocabulary import tag

FREE: Final[frozenset[type]] = frozenset({
    do.RepTakes, do.RepRestarts, do.RepChats, do.RepEnds, do.RepStartsSharing, do.RepStopsSharing, do.CustomerClicks,
    do.CustomerAnswers, do.CustomerLogsOn, do.CustomerDials, do.CustomerCancelsReconnect, do.CustomerClosesChat,
    do.PowerReturns, do.Wait,
})  # fmt: skip
"""Actions that need no budget: the representative's are taken from the history, the customer's are due in the model or
show as clicks."""
CLICKS: Final = {"cancel option": "cancels", "chat": "troubles"}
"""Windows in which a click costs, and what."""

ON_THE_WAY: Final = ("losses", "losses", "failures")
"""One fault of the network may be two losses: of the connection that was, and of the next one."""
COSTS: Final[dict[type, tuple[str, ...]]] = {
    **dict.fromkeys((do.PowerCut, do.PcCrashes, do.AgentDies, do.HelperDies), ("sudden",)),
    **dict.fromkeys((
        do.CablePulled, do.CablePlugged, do.ConnectionDrops, do.ConnectionStalls, do.ConnectionHalfOpen,
        do.ServerRefuses, do.ServerAccepts, do.DnsFails, do.DnsWorks, do.Impostor, do.ImpostorGone, do.LineBusy,
        do.LineDead, do.LineWorks, do.CarrierLost, do.CustomerHangsUp,
    ), ON_THE_WAY),
    do.PrivilegeTaken: ("troubles",),
    **dict.fromkeys((do.CustomerRestartsFromStart, do.WindowsAsksRestart, do.InstallerRuns), ("foreign",)),
    do.CustomerChats: ("chats",), do.DiskFills: ("refusals",),
}  # fmt: skip
"""Actions that the model has as misfortunes, with the kinds of :class:`rrsim.explore.model.Budget` they are."""

CAUSES: Final = ("agent", "windows dialog", "installer", "start menu", "power", "crash", "probe")
"""Why a model's PC can go down."""
TIMERS: Final = frozenset({*moves.SERVER_TIMERS, "silence"})
"""The server's timers that a run may have. The model does without ``silence``: a dead connection is noticed some time,
whoever notices."""

_UP: Final = tuple(set(get_args(msg.AgentMessage)) - {msg.Hello, msg.Heartbeat})
"""What an agent says inside a session. Greetings are the front desk's, and signs of life never fail in the model."""
_REP: Final = get_args(msg.RepMessage)


class NotModelled(ValueError):
    """The history has something that no model has: nothing can be said about it."""


class AsOften(Budget, frozen=True, gc=False, cache_hash=True, kw_only=True):
    """A budget of what a scenario did, each as often as it did it; attempts to connect may always fail."""

    def less(self, kind: str) -> AsOften:
        """Return what is left after one of ``kind``."""
        return self if kind == "failures" else replace(self, **{kind: getattr(self, kind) - 1})


class Seen(NamedTuple):
    """One thing that a witness saw."""

    label: str
    place: int
    """Which entry of the history it is, from 0."""
    what: Any


class Witnessed(msgspec.Struct, frozen=True):
    """One run, as the model has to allow it."""

    model: Model
    server: tuple[Seen, ...]
    pc: tuple[Seen, ...]
    until: str
    """Why the sequences end where they end."""


def label(what: Any) -> tuple[str, str]:
    """Return whose sequence something belongs to (``server``, ``pc`` or nobody's) and how it is called there."""
    if isinstance(what, rec.Record):
        number = getattr(what, "restart", 0)
        return "server", f"records {tag(what)}{f' {number}' if number else ''}"
    if isinstance(what, _REP):
        return "server", f"hears the representative: {tag(what)}"
    if isinstance(what, _UP):
        return "server", f"hears the agent: {tag(what)}"
    if isinstance(what, TimerFired) and what.name in moves.SERVER_TIMERS:
        return "server", f"timer {what.name!r} fires"
    if isinstance(what, seen.WentDown):
        return "pc", "goes down in order" if what.clean else "goes down without a warning"
    if isinstance(what, seen.BootBegan):
        return "pc", "boots into safe mode" if what.safe_mode else "boots"
    return "", ""


def read(history: History) -> Witnessed:
    """Read a run.

    Raises:
        NotModelled: it has several customers, no session that became active, or an action that no model has.
    """
    if history.header.customers != 1:
        raise NotModelled(
            f"expected a history of one customer, saw {history.header.customers}; the model has one at a time"
        )
    opening, played, until = _parts(history.entries)
    done = [event for event in _events(played) if isinstance(event, do.Action)]
    unknown = sorted({tag(one) for one in done if type(one) not in FREE and type(one) not in COSTS})
    if unknown:
        raise NotModelled(f"expected actions that a model has, saw: {', '.join(unknown)}")
    found: dict[str, list[Seen]] = {"server": [], "pc": [], "": []}
    ends = False
    for index, (_, source, event, _) in enumerate(history.entries):
        if len(opening) <= index < len(opening) + len(played) and _is_witness(source):
            ends = _session_ends(event, ends)
            if ends and isinstance(event, msg.HelperState | rec.HelperSeen) and event.desktop == "none":
                continue
            whose, name = label(event)
            found[whose].append(Seen(name, index, event))
    _refuse_what_no_model_has(history.entries)
    model = _model(opening, played)
    # What the helper says of the opening scene may come after the first step began; the model's scene has it behind it.
    server = dropwhile(lambda one: isinstance(one.what, msg.HelperState | rec.HelperSeen), found["server"])
    return Witnessed(model, tuple(server), tuple(found["pc"]), until)


def _session_ends(event: Any, ends: bool) -> bool:
    """Return whether Windows is ending the customer's session.

    Windows ends the helper before the service, and a service that is quick tells the server so. The model's PC ends
    both at once, so that what is said of an absent helper in between is nothing it could follow (docs/exploration.md).
    """
    if isinstance(event, seen.SessionEnds):
        return True
    return ends and not isinstance(event, seen.WentDown | seen.RestartStopped)


def _refuse_what_no_model_has(entries: list[Entry]) -> None:
    """Name the first circumstance of a run that the model's PC, people or server do not know."""
    allowed = any(isinstance(event, do.PrivilegeTaken | do.DiskFills) for event in _events(entries))
    for _, source, event, _ in entries:
        why = ""
        if isinstance(event, seen.WentDown) and event.cause not in CAUSES:
            why = f"the PC goes down because of {event.cause!r}"
        elif isinstance(event, seen.InventoryTaken) and event.label == "before":
            why = next((f"{item} before the session" for item in event.items if item.startswith("boot:")), "")
        elif isinstance(event, seen.LoggedOn) and not event.right:
            why = f"somebody else signs in: {event.user}"
        elif isinstance(event, TimerFired) and source == "server" and event.name not in TIMERS:
            why = f"timer {event.name!r}"
        elif isinstance(event, seen.HostCall) and not event.ok and not allowed:
            why = f"Windows refuses: {event.verb}"
        elif isinstance(event, seen.ServerDown):
            why = "the session server goes down"
        if why:
            raise NotModelled(f"expected what a model has, saw: {why}")


def _is_witness(source: str) -> bool:
    return source in ("server", "console") or source.startswith(("wire-", "pc-"))


def _parts(entries: list[Entry]) -> tuple[list[Entry], list[Entry], str]:
    """Cut a history into the opening scene, what was played, and the ending, which is left out."""
    begin = next((at for at, e in enumerate(entries) if isinstance(e[2], seen.StepDone) and e[2].step == "begin"), None)
    if begin is None:
        raise NotModelled("expected a session that became active, saw none: the scenario did not begin")
    until = "faults were stopped"
    end = next((at for at, e in enumerate(entries) if isinstance(e[2], seen.Healed)), None)
    if end is None:
        end, until = len(entries), "the history ends"
    return entries[: begin + 1], entries[begin + 1: end], until


def _model(opening: list[Entry], played: list[Entry]) -> Model:
    events, later = _events(opening), _events(played)
    asked = [event for event in events if isinstance(event, rec.SessionRequested)]
    joined = [event for event in events if isinstance(event, rec.EndpointJoined)]
    if not any(isinstance(event, rec.SessionTaken) for event in events):
        raise NotModelled("expected a session that a representative has taken, saw a queued one")
    if not asked or not joined:
        raise NotModelled("expected a request for support and an agent that joined, saw none before the first step")
    if asked[-1].kind != "standard":
        raise NotModelled(f"expected a standard session, saw {asked[-1].kind}")
    often = Counter(kind for one in later for kind in COSTS.get(type(one), ())) | Counter(failures=1)
    often.update(CLICKS[one.window] for one in later if isinstance(one, seen.Clicked) and one.window in CLICKS)
    sharing = [event.on for event in events if isinstance(event, rec.SharingChanged)]
    return Model(
        name="witnessed", about="what a history's witnesses saw", account=asked[-1].account, mode=joined[-1].mode,
        platform=joined[-1].platform, sharing=bool(sharing and sharing[-1]),
        dial_up=any(isinstance(event, seen.DialProgress) for event in events),
        budget=AsOften(asks=1, faults=1, **often), must_reach=(),
    )  # fmt: skip


def _events(entries: Iterable[Entry]) -> list[Any]:
    return [event for _, _, event, _ in entries]
