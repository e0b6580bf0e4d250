"""From a history to a timeline: lanes, bars, marks and resume windows. Pure; used by text, pytest and HTML alike.

The lanes are those of the field: representative, server, agent, PC, network, customer. With several customers each
has lanes of their own. Resume windows and verdicts come from the server's records, never from the agent's word.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.report.phrases import KEY, Tone, phrase, tag_of
from rrsim.scenario.actions import Action, Wait
from rrsim.scenario.history import Entry, History

LANES: Final = ("rep", "server", "agent", "PC", "network", "customer")

_LANE_OF_SOURCE: Final = {"wire": "agent", "agent": "agent", "pc": "PC", "net": "network", "customer": "customer"}
BEGIN: Final = "begin"
"""The director's name for the moment at which the session stands and the steps begin."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One history entry in words."""

    entry: int
    t_us: int
    lane: str
    source: str
    text: str
    weight: int
    tone: Tone
    tag: str


class Bar(msgspec.Struct, frozen=True, gc=False):
    """A state that lasted: a PC phase, the link, the agent's process, the session's state, a prompt."""

    lane: str
    start_us: int
    end_us: int
    kind: str
    label: str


class Window(msgspec.Struct, frozen=True, gc=False):
    """A resume window: how it opened, when it would run out, how it closed (rule 1)."""

    session: str
    restart: int
    opened_us: int
    opened_by: str
    deadline_us: int
    """Opening plus the account's window; -1 if the history does not tell the account."""
    closed_us: int
    """-1 while it is open at the end of the history."""
    closed_by: str


class Timeline(msgspec.Struct, frozen=True, gc=False):
    """All there is to draw or print about one history."""

    lanes: tuple[str, ...]
    lines: tuple[Line, ...]
    bars: tuple[Bar, ...]
    windows: tuple[Window, ...]
    start_us: int
    """When the scenario's steps begin: what times are relative to. Before that the session is being set up."""
    end_us: int
    wind_down_us: int
    """When the harness begins to end sessions and to probe, after all faults were taken back; else the end."""


def lane_of(source: str, event: Any, customers: int) -> str:
    """Name the lane an entry belongs to. Clicks go to the person who clicked, scenario steps to who does them."""
    kind, _, number = source.partition("-")
    number = number or "1"
    if isinstance(event, seen.Clicked) and event.who == "representative":
        return "rep"
    if isinstance(event, (seen.Clicked, seen.WindowShown, seen.WindowGone)):
        return _numbered("customer", number, customers)
    if isinstance(event, (seen.AgentStarted, seen.AgentStopped)):
        return _numbered("agent", number, customers)
    if isinstance(event, Action):
        return _action_lane(event, customers)
    if kind in _LANE_OF_SOURCE:
        return _numbered(_LANE_OF_SOURCE[kind], number, customers)
    if kind in ("rep", "console"):
        return "rep"
    if isinstance(event, (seen.ServerDown, seen.ServerUp)) or kind == "server":
        return "server"
    return "harness"


def _numbered(lane: str, number: str, customers: int) -> str:
    return f"{lane} {number}" if customers > 1 else lane


def _action_lane(action: Action, customers: int) -> str:
    tag = tag_of(action)
    if isinstance(action, Wait):  # nobody does it
        return "harness"
    if tag.startswith("rep "):
        return "rep"
    number = str(action.customer)
    if tag.startswith("customer "):
        return _numbered("customer", number, customers)
    network = ("network", "connection", "dns", "line", "carrier", "impostor")
    if tag.startswith("the server") or "impostor" in tag:
        return "server"
    if any(word in tag for word in network):
        return _numbered("network", number, customers)
    return _numbered("PC", number, customers)


def lanes_for(customers: int) -> tuple[str, ...]:
    """Return the lanes in drawing order."""
    own = LANES[2:]
    if customers <= 1:
        return LANES
    return (*LANES[:2], *(f"{lane} {n}" for n in range(1, customers + 1) for lane in own))


def lines_of(history: History, entries: Iterable[int] | None = None) -> tuple[Line, ...]:
    """Put entries into words, all of them or those with the given indexes."""
    customers = history.header.customers
    numbers = range(len(history.entries)) if entries is None else entries
    out = []
    for index in numbers:
        t_us, source, event, _ = history.entries[index]
        said = phrase(event)
        lane = lane_of(source, event, customers)
        fault = isinstance(event, Action) and lane.partition(" ")[0] in ("PC", "network", "server")
        weight = KEY if fault else said.weight
        out.append(Line(index, t_us, lane, source, said.text, weight, "warn" if fault else said.tone, tag_of(event)))
    return tuple(out)


def start_of(history: History) -> int:
    """Return the instant at which the scenario's steps begin, or that of the first entry if none is recorded."""
    began = (t for t, _, e, _ in history.entries if isinstance(e, seen.StepDone) and e.step == BEGIN)
    return next(began, history.entries[0][0] if history.entries else 0)


def extract(history: History) -> Timeline:
    """Build the timeline of a history. Works on any prefix of one."""
    end_us = history.entries[-1][0] if history.entries else 0
    bars = [*_machine_bars(history, end_us), *_session_bars(history, end_us)]
    return Timeline(
        lanes=lanes_for(history.header.customers),
        lines=lines_of(history),
        bars=tuple(sorted(bars, key=lambda b: (b.lane, b.start_us, b.end_us))),
        windows=windows_of(history.entries),
        start_us=start_of(history),
        end_us=end_us,
        wind_down_us=_wind_down(history, end_us),
    )


def _wind_down(history: History, end_us: int) -> int:
    """Find the last instant that is the scenario's own: a late agent that is turned away still belongs to it."""
    healed = False
    for t_us, _, event, _ in history.entries:
        healed = healed or isinstance(event, seen.Healed)
        probe = isinstance(event, seen.RestartBegan) and event.cause == "probe"
        if healed and (probe or isinstance(event, r.SessionEnded)):
            return t_us - 1
    return end_us


def cut(timeline: Timeline, from_us: int, until_us: int) -> Timeline:
    """Return the part of a timeline between two instants: the picture leaves out setting up and winding down."""
    bars = [
        msgspec.structs.replace(b, start_us=max(b.start_us, from_us), end_us=min(b.end_us, until_us))
        for b in timeline.bars
        if b.start_us <= until_us and b.end_us > from_us
    ]
    return msgspec.structs.replace(
        timeline,
        lines=tuple(x for x in timeline.lines if from_us <= x.t_us <= until_us),
        bars=tuple(bars),
        windows=tuple(w for w in timeline.windows if w.opened_us <= until_us),
        end_us=min(timeline.end_us, until_us),
    )


class _Track:
    """Turns changes of state into bars: each change ends the bar before it."""

    def __init__(self, lane: str) -> None:
        self.lane = lane
        self.bars: list[Bar] = []
        self._open: tuple[int, str, str] | None = None

    @property
    def fresh(self) -> bool:
        """Whether nothing has been said yet."""
        return self._open is None and not self.bars

    def change(self, t_us: int, kind: str, label: str = "") -> None:
        """Begin a state; an empty kind means: none."""
        if self._open is not None and self._open[1:] == (kind, label or kind):
            return
        self.close(t_us)
        self._open = (t_us, kind, label or kind) if kind else None

    def close(self, t_us: int) -> None:
        """End the state that is open."""
        if self._open is not None and t_us > self._open[0]:
            self.bars.append(Bar(self.lane, self._open[0], t_us, self._open[1], self._open[2]))
        self._open = None


PHASE_KIND: Final = {
    "off": "off", "firmware": "firmware", "bios password": "firmware", "bitlocker": "firmware", "recovery": "firmware",
    "loading": "loading", "updating": "updating", "services": "services", "welcome": "welcome", "shell": "desktop",
    "desktop": "desktop", "shutdown asked": "shutdown", "shutting down": "shutdown", "asleep": "off",
}
"""PC phases by the colour they are drawn in."""

PROMPTS: Final = frozenset({
    "restart prompt", "sharing prompt", "leave prompt", "cancel option", "windows restart dialog",
    "installer restart dialog", "block screen", "dial prompt", "portal page", "bitlocker", "bios password",
})
"""Windows that wait for a person: drawn as bars in the customer's lane."""


def _machine_bars(history: History, end_us: int) -> list[Bar]:
    """Bars for PCs, links, agents' processes and prompts, one set a customer."""
    customers = history.header.customers
    tracks: dict[str, _Track] = {}

    def track(lane: str, key: str = "") -> _Track:
        return tracks.setdefault(lane + key, _Track(lane))

    for t_us, source, event, _ in history.entries:
        number = source.partition("-")[2] or "1"
        pc, net = _numbered("PC", number, customers), _numbered("network", number, customers)
        agent, person = _numbered("agent", number, customers), _numbered("customer", number, customers)
        match event:
            case seen.PhaseBegan():
                track(pc).change(t_us, PHASE_KIND[event.phase], event.phase)
            case seen.WentDown():
                track(pc).change(t_us, "off", "off")
            case seen.LinkChanged():
                track(net).change(t_us, "up" if event.up else "down", f"{event.kind} {'up' if event.up else 'down'}")
            case seen.AgentStarted():
                label = "agent, safe mode" if event.safe_mode else "agent"
                track(agent).change(t_us, "running", label)
                if track(pc).fresh:
                    began = "welcome" if event.desktop == "none" else "desktop"
                    track(pc).change(t_us, began, began)
            case seen.ConnectTried() if event.outcome == "connected" and track(net).fresh:
                track(net).change(t_us, "up", "up")
            case seen.ScreenSeen():
                track(person, "screen").change(t_us, "screen" if event.on else "", "screen shared")
            case seen.WindowShown() if event.window == "chat":
                track(person, "chat").change(t_us, "chat", "chat window")
            case seen.WindowGone() if event.window == "chat":
                track(person, "chat").change(t_us, "")
            case seen.AgentStopped():
                track(agent).change(t_us, "", "")
            case seen.WindowShown() if event.window in PROMPTS:
                track(person, event.window).change(t_us, "prompt", event.window)
            case seen.WindowGone() if event.window in PROMPTS:
                track(person, event.window).change(t_us, "")
    for t in tracks.values():
        t.close(end_us)
    return [bar for t in tracks.values() for bar in t.bars]


_STATE_OF: Final[dict[type, tuple[str, str]]] = {
    r.SessionRequested: ("queued", "queued"),
    r.SessionRequeued: ("queued", "queued"),
    r.SessionTaken: ("active", "active"),
    r.EndpointJoined: ("active", "active"),
    r.OrderGiven: ("arming", "arming"),
    r.OrderArmed: ("arming", "armed"),
    r.WindowOpened: ("rebooting", "rebooting"),
    r.WindowOffline: ("over", "offline"),
    r.EndpointResumed: ("active", "active"),
    r.RestartUndone: ("active", "active"),
    r.RestartRefused: ("active", "active"),
    r.SessionExpired: ("over", "expired"),
    r.SessionLost: ("over", "lost"),
    r.SessionEnded: ("over", "ended"),
}


def _session_bars(history: History, end_us: int) -> list[Bar]:
    """Bars for each session's state on the server, and for the representative's console."""
    tracks: dict[str, _Track] = {}
    console = _Track("rep")
    for t_us, _, event, _ in history.entries:
        state = _STATE_OF.get(type(event))
        if state is not None:
            tracks.setdefault(event.session, _Track("server")).change(t_us, *state)
        elif isinstance(event, (seen.RepAway, r.RepLost)):
            console.change(t_us, "down", "console lost")
        elif isinstance(event, (seen.RepReturned, r.RepBack)):
            console.change(t_us, "")
        elif isinstance(event, seen.ServerDown):
            tracks.setdefault("", _Track("server")).change(t_us, "down", "server down")
        elif isinstance(event, seen.ServerUp):
            tracks.setdefault("", _Track("server")).change(t_us, "")
    for t in (*tracks.values(), console):
        t.close(end_us)
    return [bar for t in (*tracks.values(), console) for bar in t.bars]


_CLOSES: Final[dict[type, str]] = {
    r.EndpointResumed: "resumed", r.SessionExpired: "expired", r.WindowOffline: "expired", r.SessionLost: "lost",
    r.SessionEnded: "ended", r.RestartUndone: "not restarted", r.RestartCancelled: "cancelled",
    r.RestartRefused: "refused",
}


def windows_of(entries: Iterable[Entry]) -> tuple[Window, ...]:
    """Find the resume windows in the server's records. ``continued`` windows keep the deadline of the one before."""
    limits: dict[str, int] = {}
    open_: dict[str, Window] = {}
    found: list[Window] = []
    last: dict[str, Window] = {}
    for t_us, source, event, _ in entries:
        if source != "server":
            continue
        if isinstance(event, r.SessionRequested):
            limits[event.session] = event.account.resume_window_us
        elif isinstance(event, r.WindowOpened):
            before = open_.pop(event.session, None)
            if before is not None:
                found.append(msgspec.structs.replace(before, closed_us=t_us, closed_by="next restart"))
            older = before or last.get(event.session)
            deadline = t_us + limits[event.session] if event.session in limits else -1
            if event.reason == "continued" and older is not None:
                deadline = older.deadline_us
            open_[event.session] = Window(event.session, event.restart, t_us, event.reason, deadline, -1, "")
        elif type(event) in _CLOSES and event.session in open_:
            done = msgspec.structs.replace(open_.pop(event.session), closed_us=t_us, closed_by=_CLOSES[type(event)])
            last[event.session] = done
            found.append(done)
    found.extend(open_.values())
    return tuple(sorted(found, key=lambda w: (w.opened_us, w.session)))


def around(history: History, entry: int, before: int = 14, after: int = 6) -> tuple[Line, ...]:
    """Return the lines around a violation: the entry, what led to it by cause, and its neighbours that matter.

    ``entry`` -1 means the end of the scenario's own part, before the harness winds down.
    """
    if not history.entries:
        return ()
    last = (n for n, (_, _, event, _) in enumerate(history.entries) if isinstance(event, seen.Healed))
    centre = entry if 0 <= entry < len(history.entries) else next(last, len(history.entries) - 1)
    wanted = {centre}
    cause = history.entries[centre][3]
    while cause >= 0 and len(wanted) < 6:
        wanted.add(cause)
        cause = history.entries[cause][3]
    wanted.update(_matter(history, range(centre - 1, -1, -1), before))
    wanted.update(_matter(history, range(centre + 1, len(history.entries)), after))
    return lines_of(history, sorted(wanted))


def _matter(history: History, indexes: Iterable[int], limit: int) -> list[int]:
    """Pick the first few entries of a walk that are worth reading."""
    out: list[int] = []
    for index in indexes:
        if len(out) >= limit:
            break
        if phrase(history.entries[index][2]).weight >= KEY - 1:
            out.append(index)
    return out
