"""What witnesses outside the agent's core saw in a run, made comparable between a simulated run and a real one. Pure.

Events of one witness keep their order; between witnesses the order of arrival counts for nothing. A witness that looks
now and then (eyes, watcher) cannot say which of two things came first that it finds in one look: each window and each
thing on the disk has an order of its own, and every event the number of its boot. The same holds for the two directions
of a connection. What a witness of one
side cannot see, or sees a different number of times for a reason that has nothing to do with the product, is taken out
by the rules below, each with its reason. What is taken out is counted and said.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec

from rrsim.machine import observations as seen
from rrsim.machine.inventory import difference
from rrsim.protocol import messages as m
from rrsim.protocol import records as r
from rrsim.scenario.result import RunResult

WITNESSES: Final = (
    "server", "wire", "console", "power", "desktop", "disk", "agent process", "verdicts", "residue",
)
"""Who saw it: the session server's journal, its connection with the agent, its connection with the representative's
console; the machine's power supervisor, the eyes on its desktop, the watcher of its disk and registry, its process
list; and what the run came to."""

HARNESS: Final = "the harness's own doing, the same program on both sides"
UNTAKEN: Final[dict[str, str]] = {
    "heartbeat": "signs of life: how many there are depends on how long the run lasted",
    "heartbeat-reply": "signs of life: how many there are depends on how long the run lasted",
    "hello": "the handshake belongs to no session yet, and a server need not tell it",
    "welcome": "the handshake belongs to no session yet, and a server need not tell it",
    "connect tried": "how often an agent tries depends on the length of a boot",
    "link changed": "the network is a model on both sides; what crossed it is compared",
    "dial progress": "the network is a model on both sides; what crossed it is compared",
    "phase began": "a boot's phases are Windows' own affair, and Wine has only some of them; boots are compared",
    "logged on": "signing in is the harness's doing on both sides; what follows from it is compared",
    "logon failed": "signing in is the harness's doing on both sides; what follows from it is compared",
    "agent stopped": "when a process ends says nothing that records, windows and the next start do not say",
    "helper-state": "how often a helper tells of the same desktop depends on how long a logon takes",
    "helper seen": "how often a helper tells of the same desktop depends on how long a logon takes",
    "safe boot key read": "reading leaves no trace that a witness could see",
    "boot flag read": "reading leaves no trace that a witness could see",
    "machine tampered": HARNESS, "agent does": "nobody outside can see a single effect of the agent's core",
    "screen while nobody is signed in": "what shows the customer that the screen is shared stands on a desktop",
    "secret seen": "looked for on the model only; on a real machine the bundle is searched",
}
"""Events that are not compared on any backend, with the reason."""

STANDS_IN: Final[dict[str, tuple[str, str]]] = {
    "restart blocked": ("block screen", "Wine shows no block screen: when it comes is the stand-in's decision"),
    "block screen": ("block screen", "Wine shows no block screen: when it comes and goes is the stand-in's decision"),
    "safe mode of a boot": (
        "safe boot", "Wine has no safe boot: the stand-in goes by the flag; what the agent told the server is compared",
    ),
}
"""Events that a stand-in decides where it takes part: the word in its name, and why they are not compared then."""

FIELDS: Final[dict[type, tuple[str, ...]]] = {
    r.SessionRequested: ("kind",), r.SessionTaken: ("rep",), r.EndpointJoined: ("platform", "mode"),
    r.EndpointLost: (), r.EndpointReconnected: ("restarting",),
    r.EndpointResumed: ("restart", "safe_mode", "late"), r.ClaimRejected: ("what", "reason"),
    r.OrderGiven: ("restart", "boot_mode", "forced"),
    m.Join: (), m.Resume: ("session", "safe_mode"), m.Reconnect: ("session", "restarting"), m.Joined: ("session",),
    m.Resumed: ("session", "lines", "order"), m.Ask: ("ask", "kind"), m.Order: ("order", "boot_mode", "forced"),
    m.StandBy: (), m.CancelResume: ("session",),
    seen.RestartBegan: ("cause", "forced"), seen.RestartBlocked: (), seen.BootBegan: ("cause", "safe_mode"),
    seen.WindowShown: ("window",), seen.AgentStarted: ("why", "safe_mode"), seen.RestartStopped: (),
    seen.HostCall: ("verb", "ok"), seen.WokeUp: ("how",),
}
"""The fields that are compared where not all are: never times, seals, keys, boot marks, machine ids, names of users, or
words that depend on the transport."""

UNSEEN: Final = "screen while nobody is signed in"

POWER: Final = (
    seen.RestartBegan, seen.RestartStopped, seen.SessionEnds, seen.WentDown, seen.BootBegan, seen.WokeUp,
    seen.PendingWork, seen.RestartBlocked,
)
DESKTOP: Final = (seen.WindowShown, seen.WindowGone, seen.Clicked, seen.ScreenSeen)
IN_A_BOOT: Final = ("desktop", "disk", "agent process")
"""Witnesses whose events are named with the boot they were seen in, counted from 1 in each run."""
REQUESTS: Final = ("restart requested", "restart aborted")
"""Calls that the power supervisor hears; all others are seen on the disk and in the registry."""

THINGS: Final[dict[str, tuple[str, str]]] = {
    "ticket saved": ("record", "with a ticket"), "intent saved": ("record", "with the intent"),
    "record saved": ("record", "saved again"), "record erased": ("record", ""),
    "autostart armed": ("autostart", "armed"), "autostart disarmed": ("autostart", ""),
    "safe boot key registered": ("safe boot key", "registered"), "safe boot key removed": ("safe boot key", ""),
    "boot flag set": ("boot flag", "set"), "boot flag cleared": ("boot flag", ""),
}
"""What a call leaves on the machine: the thing, and its state; empty: it is not there."""


Key = tuple[str, str, int]


class Event(msgspec.Struct, frozen=True, gc=False):
    """One comparable event."""

    text: str
    """What is compared."""
    kind: str
    """What it counts as."""
    t_us: int
    """When, for people to find it; never compared."""


class Witnessed(msgspec.Struct, frozen=True, gc=False):
    """One run as its witnesses saw it."""

    backend: str
    streams: dict[Key, tuple[Event, ...]]
    """By witness, what it watched, and customer; 0 where there is no single customer."""
    untaken: dict[str, int]
    """Kinds of events that were not taken, and how many there were."""
    stand_ins: tuple[str, ...]


def tag_of(event: Any) -> str:
    """Return the event's own name: the phrase of scenarios and records."""
    return str(type(event).__struct_config__.tag)


def text_of(event: Any, fields: tuple[str, ...] | None = None) -> str:
    """Return an event with the fields that count, as it is compared and shown."""
    if isinstance(event, seen.WindowGone) and event.by == "crash":
        event = msgspec.structs.replace(event, by="agent")  # eyes cannot tell closing a window from dying with it
    names = FIELDS.get(type(event)) if fields is None else fields
    if names is None:
        names = tuple(name for name in type(event).__struct_fields__ if name not in ("session", "boot"))
    said = [_said(name, getattr(event, name)) for name in names]
    return " · ".join([tag_of(event), *(one for one in said if one)])


def _said(name: str, value: Any) -> str:
    if value is True or value is False:
        return f"{name.replace('_', ' ')}: {'yes' if value else 'no'}"
    return f"{name.replace('_', ' ')}: {value}" if value not in ("", ()) else ""


def witnessed(result: RunResult, left_out: frozenset[str] = frozenset()) -> Witnessed:
    """Return a run as its witnesses saw it; ``left_out`` names kinds that are not to be taken on this comparison.

    Raises:
        ValueError: the result has no history.
    """
    if result.history is None:
        raise ValueError(f"expected a history of {result.scenario.id} on {result.backend}, saw none")
    taker = _Taker(left_out, result.history.header.customers)
    entries = result.history.entries
    ended_us = max((t_us for t_us, _, event, _ in entries if isinstance(event, seen.RunEnded)), default=None)
    for t_us, source, event, _ in entries:
        if ended_us is None or t_us <= ended_us:  # what follows is the harness's clearing away
            taker.take(t_us, source, event)
    taker.came_to(result)
    return Witnessed(
        result.backend, {key: tuple(events) for key, events in taker.streams.items()}, dict(taker.untaken),
        result.stand_ins,
    )


class _Taker:
    """Goes through one history, once."""

    def __init__(self, left_out: frozenset[str], customers: int) -> None:
        self.left_out = left_out
        self.customers = customers
        self.streams: dict[Key, list[Event]] = {}
        self.untaken: Counter[str] = Counter()
        self.inventories: dict[tuple[int, str], tuple[str, ...]] = {}
        self.disks: dict[int, _Disk] = {}
        self.starts: dict[int, bool] = {}
        """Whether this customer's PC has begun a boot of the run in which no agent was seen yet."""
        self.boots: Counter[int] = Counter()
        self.views: dict[str, str] = {}
        self.nobody: dict[int, list[tuple[int, Any]]] = {}
        """Customers at whose PC nobody is signed in, and what was told of the screen meanwhile."""
        self.captured: dict[int, bool] = {}

    def add(self, witness: str, number: int, text: str, kind: str, t_us: int, lane: str = "") -> None:
        if witness in IN_A_BOOT:
            text = f"boot {self.boots[number] + 1}: {text}"
        self.streams.setdefault((witness, lane, number), []).append(Event(text, kind, t_us))

    def take(self, t_us: int, source: str, event: Any) -> None:
        room, _, number = source.partition("-")
        who = int(number) if number.isdigit() else 0
        if room in ("director", "rep", "customer", "agent"):
            return  # the harness's own doing, and the agent's own word: no evidence
        tag = tag_of(event) if hasattr(type(event), "__struct_config__") else ""
        if not tag:
            return
        if room == "pc":
            self._sign_in(t_us, who, event)
        if tag in UNTAKEN or tag in self.left_out:
            self.untaken[tag] += 1
        elif room == "server":
            self._record(t_us, event, tag)
        elif room == "wire":
            lane = "to the agent" if isinstance(event, m.ServerMessage) else "to the server"
            self.add("wire", who, text_of(event), tag, t_us, lane)
        elif room == "console":
            self._console(t_us, event, tag)
        elif room == "pc":
            self._pc(t_us, who, event, tag)

    def _record(self, t_us: int, event: Any, tag: str) -> None:
        session = getattr(event, "session", "")
        number = session.removeprefix("session-").partition(".")[0]
        self.add("server", int(number) if number.isdigit() else 0, text_of(event), tag, t_us)

    def _console(self, t_us: int, event: Any, tag: str) -> None:
        if self.customers > 1:
            self.untaken["console"] += 1
            return
        text = text_of(event)
        # A view is a state that is sent to everybody, and again whenever anything is touched: changes count.
        if isinstance(event, m.SessionView | m.RestartView) and self.views.get(tag) == text:
            return
        self.views[tag] = text
        lane = "to the representative" if isinstance(event, m.ConsoleMessage) else "to the server"
        self.add("console", 0, text, tag, t_us, lane)

    def _sign_in(self, t_us: int, who: int, event: Any) -> None:
        """What is captured while nobody is signed in is seen on the desktop only once somebody is."""
        if isinstance(event, seen.ScreenSeen):
            self.captured[who] = event.on
        elif isinstance(event, seen.BootBegan):
            self.nobody[who] = []
        elif isinstance(event, seen.PhaseBegan) and event.phase == "welcome" and who not in self.nobody:
            # Signed out: what shows the customer that the screen is shared went with the desktop.
            self.nobody[who] = []
            if self.captured.get(who):
                off, on = seen.ScreenSeen(on=False), seen.ScreenSeen(on=True)
                self.add("desktop", who, text_of(off), tag_of(off), t_us, "screen")
                self.nobody[who] = [(t_us, on)]
        elif isinstance(event, seen.LoggedOn):
            held = self.nobody.pop(who, [])
            for at_us, one in held[-1:] if len(held) % 2 else []:
                self.add("desktop", who, text_of(one), tag_of(one), max(at_us, t_us), "screen")
            self.untaken[UNSEEN] += len(held) - len(held) % 2
        elif isinstance(event, seen.WentDown):
            self.untaken[UNSEEN] += len(self.nobody.pop(who, []))

    def _pc(self, t_us: int, who: int, event: Any, tag: str) -> None:
        match event:
            case seen.InventoryTaken():
                self.inventories[who, event.label] = event.items
            case seen.HostCall():
                self._call(t_us, who, event)
            case seen.AgentStarted():
                self._add_to_disk(who, self._disk(who).agent_started(event.why), "autostart armed", t_us)
                if self.starts.get(who):
                    self.starts[who] = False
                    self.add("agent process", who, self._without_mode(event), tag, t_us)
            case seen.WindowShown() | seen.WindowGone() | seen.Clicked() if event.window in self.left_out:
                self.untaken[event.window] += 1
            case seen.ScreenSeen() if who in self.nobody:
                self.nobody[who].append((t_us, event))
            case _ if isinstance(event, POWER):
                if isinstance(event, seen.BootBegan):
                    self.starts[who] = True
                    self._add_to_disk(who, self._disk(who).boot(), "record saved", t_us)
                    self.boots[who] += 1
                lane = "pending work" if isinstance(event, seen.PendingWork) else ""
                self.add("power", who, self._without_mode(event), tag, t_us, lane)
            case _ if isinstance(event, DESKTOP):
                lane = "screen" if isinstance(event, seen.ScreenSeen) else event.window
                self.add("desktop", who, text_of(event), tag, t_us, lane)
            case _:
                self.untaken[tag] += 1

    def _without_mode(self, event: Any) -> str:
        names = FIELDS.get(type(event))
        if names is not None and "safe_mode" in names and "safe mode of a boot" in self.left_out:
            names = tuple(name for name in names if name != "safe_mode")
            self.untaken["safe mode of a boot"] += 1
        return text_of(event, names)

    def _call(self, t_us: int, who: int, event: seen.HostCall) -> None:
        if event.verb in UNTAKEN:
            self.untaken[event.verb] += 1
        elif event.verb in REQUESTS or not event.ok:
            witness = "power" if event.verb in REQUESTS else "disk"
            self.add(witness, who, text_of(event), event.verb, t_us)
        else:
            # A model has one value; only a real machine gives values by name.
            self._add_to_disk(who, self._disk(who).call(event.verb, event.detail), event.verb, t_us)

    def _add_to_disk(self, who: int, texts: list[str], kind: str, t_us: int) -> None:
        for text in texts:
            self.add("disk", who, text, kind, t_us, text.partition(":")[0])

    def _disk(self, who: int) -> _Disk:
        return self.disks.setdefault(who, _Disk())

    def came_to(self, result: RunResult) -> None:
        """Add what the run came to: verdicts, what failed, and what was left on the machines."""
        self.untaken[UNSEEN] += sum(map(len, self.nobody.values()))
        for number, disk in self.disks.items():
            self._add_to_disk(number, disk.stayed(), "record saved", 0)
        for one in result.restarts:
            losses = f" · without: {', '.join(one.losses)}" if one.losses else ""
            text = f"{one.kind} restart {one.number}: {one.verdict}{losses}"
            self.add("verdicts", one.customer, text, f"verdict {one.verdict}", one.decided_us)
        failed = sorted(check.check for check in result.problems)
        self.add("verdicts", 0, f"run {result.outcome}" + (f": {', '.join(failed)}" if failed else ""), "outcome", 0)
        for (who, label), after in self.inventories.items():
            if label == "after":
                left = difference(self.inventories.get((who, "before"), ()), after)
                for name in left or ("nothing",):
                    self.add("residue", who, f"left behind: {name}", "residue", 0)


class _Disk:
    """The things of one agent on one disk: a call that changes nothing cannot be seen by a witness of the disk."""

    def __init__(self) -> None:
        self.state: dict[str, str] = {}
        self.values: set[str] = set()
        """Names of the autostart values that are there; a model has one, without a name."""
        self.standing: set[str] = set()
        """Values that stood there when this boot began: Windows takes one away as it starts the program."""
        self.intent_taken_back = False

    def boot(self) -> list[str]:
        """A new boot begins: a value under ``RunOnce`` that stands there now is Windows' to take away."""
        self.standing = set(self.values)
        return self.stayed()

    def stayed(self) -> list[str]:
        """Return what a witness must have seen by now: a record whose intent was taken back, and that was kept."""
        taken, self.intent_taken_back = self.intent_taken_back, False
        return ["record: the intent is gone"] if taken else []

    def agent_started(self, why: str) -> list[str]:
        """Windows takes a ``RunOnce`` value away around the start of its program: no call of the agent's.

        The program writes the next one before that. A real machine tells of both by the values' names; a model, whose
        value has none, of neither.
        """
        if why != "autostart":
            self.standing.clear()
        elif "" in self.standing:
            self._windows_takes("")
            return self._autostart("", armed=True)
        return []

    def _windows_takes(self, name: str) -> None:
        self.standing.discard(name)
        self.values.discard(name)
        if not self.values:
            self.state["autostart"] = ""

    def call(self, verb: str, name: str) -> list[str]:
        """Take a call's effect up and return what a witness of the disk would tell; ``name`` is that of a value."""
        thing, after = THINGS[verb]
        if thing == "autostart":
            return self._autostart(name, armed=bool(after))
        before = self.state.get(thing, "")
        self.state[thing] = after
        if thing == "record":
            if verb == "record saved" and before == "with the intent":
                after = self.state[thing] = "with a ticket"  # one look saw that the intent is gone, not what stayed
            self.intent_taken_back = before == "with the intent" and after == "with a ticket"
            if self.intent_taken_back:
                return []
        if before == after:
            return []
        if verb == "intent saved" and not before:
            # Two writes within one look: the first one was there, whether or not anybody saw it.
            return [f"{thing}: with a ticket", f"{thing}: {after}"]
        return [f"{thing}: {after or 'gone'}"]

    def _autostart(self, name: str, *, armed: bool) -> list[str]:
        before = self.state.get("autostart", "")
        if armed:
            self.values.add(name)
            self.state["autostart"] = "armed"
            # The next value may be written while the last one still waits for Windows to take it away.
            again = bool(self.standing) and name not in self.standing
            return ["autostart: armed"] if again or not before else []
        if name in self.standing:
            self._windows_takes(name)
            return []
        self.values.discard(name)
        if self.values or not before:
            return []
        self.state["autostart"] = ""
        return ["autostart: gone"]
