"""What a composed state of the search means in the words of ``protocol.pml``, and what its moves are called there.

A projection, no translation: it reads what both must know (who is let in, what stands on the disk, what is on its
way) and drops what the oracle has no word for (texts, keys, stages of windows). Two states that differ in such a detail
alone are one state here. Where the search says something that the oracle's words cannot say, it is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rrsim.agent.core import ARMING
from rrsim.agent.host import Saved
from rrsim.backends.sim import parts
from rrsim.backends.sim.pc.state import PcState
from rrsim.explore import network as net
from rrsim.explore.moves import Move
from rrsim.explore.packing import CLIENT, NET, SESSION, WATCH
from rrsim.explore.turn import Client, Session
from rrsim.explore.world import World
from rrsim.protocol import messages as msg
from rrsim.protocol.timers import TimerFired
from rrsim.scenario import actions as do


class NoWord(ValueError):
    """The search is in a state, or makes a move, for which the oracle's model has no word."""


LIVES: Final = ("open", "expired", "ended", "lost")
RESTARTS: Final = ("", "confirming", "asking", "arming", "armed")
GOALS: Final = ("new", "idle", "resuming", "member", "going", "over")
PHASES: Final = ("down", "waiting", "connecting", "greeting", "claiming", "up")
STAGES: Final = ("", "arming", "requested", "ending", "unwinding")
REPORTS: Final = {"": 0, "arm failed": 7, "not restarting": 9}
ROWS: Final = {
    "arm autostart": 1, "look for flag": 2, "save ticket": 3, "register key": 4, "read key": 5, "set flag": 6,
    "read flag": 7, "save intent": 8, "request restart": 9,
}
UNDOING: Final = (
    "abort restart", "withdraw intent", "clear flag", "remove key", "settle record", "disarm autostart",
    "arm autostart", "look for key",
)
"""What is undone or tidied, in the one order in which it may wait."""
WORDS: Final = ROWS | {word: 10 + place for place, word in enumerate(UNDOING[:6])} | {"look for key": 16, "": 0}
ANSWERS: Final = {"yes": 10, "no": 11, "silence": 12}
DESKS: Final = ("hello", "claim", "routed")
SEATS: Final = {"": 0, "none": 1, "visible": 2}
BOOT: Final = 16
SEEN: Final = 128
BOOTING: Final = {"firmware": 4, "loading": 5, "services": 6, "off": 7}
CAUSES: Final = {"agent": 1, "start menu": 2, "probe": 3}
GOING: Final = {"asked": 1, "ending": 2, "stopping": 3}


def project(world: World, state: int) -> str:
    """Return a composed state in the oracle's words, in the form of its table.

    Raises:
        NoWord: it has none.
    """
    client: Client = world.client.states[world.part(state, 0, CLIENT)]
    session: Session = world.session.states[world.part(state, 0, SESSION)]
    machine: PcState = world.pc.states[client.machine]
    service = world.model.mode == "service"
    wires: net.Net = world.nets[0].states[world.part(state, 0, NET)]
    here = world.here(state)
    budget = here.budget
    own = net.own(wires)
    end = (budget.asks, budget.faults, here.stage, wires.trying, own.conn if own else 0)
    watch = world.monitor.states[world.part(state, 0, WATCH)]
    seen = (
        watch.over, bool(watch.rep_yes), "restart prompt yes" in watch.clicks, bool(watch.given), bool(watch.standing),
        bool(watch.resumed), watch.booted, sum(1 << _boot(boot) for boot in watch.ordered_boots),
    )  # fmt: skip
    groups = [
        _session(world.server.states[session.core], session.timers, service=service),
        _agent(world.agent.states[client.agent], client.timers, machine, service=service), _pc(machine), end, seen,
    ]  # fmt: skip
    links = "".join(f"|{link.conn}:{_link(link, service=service)}" for link in wires.links)
    return "|".join("".join(f"{int(value)}," for value in group) for group in groups) + links


def _session(core: Any, timers: tuple[str, ...], *, service: bool) -> tuple[int, ...]:
    d = core.durable
    e, r = d.endpoint, d.restart
    return (
        LIVES.index(d.life), e.present, core.conn, _boot(e.boot), e.unheard, core.heard,
        SEATS[e.desktop] if service else 0, RESTARTS.index(r.stage), r.boot_mode == "safe", r.window,
        "window" in timers, "limit" in timers, "confirm" in timers, "ask restart" in timers,
    )  # fmt: skip


def _agent(mind: Any, timers: tuple[str, ...], machine: PcState, *, service: bool) -> tuple[int, ...]:
    if mind is None:
        return (0,) * 19
    r, hands = mind.restart, mind.hands
    row = 0
    if r is not None:
        row = ROWS[ARMING[r.step].ask] if r.stage != "unwinding" else 0
    [kept] = [q.answer for q in mind.questions if q.answer] or [None]
    writes = next((call.what.record for call in machine.calls if hasattr(call.what, "record")), None)
    return (
        GOALS.index(mind.goal), PHASES.index(mind.link.phase), STAGES.index(r.stage if r else ""), row,
        bool(r) and r.boot_mode == "safe", REPORTS[r.report] if r else 0, mind.shutdown == "ending",
        any(q.prompt and not q.answer for q in mind.questions), ANSWERS[kept] if kept else 0, WORDS[hands.doing],
        writes is not None and bool(writes.order) and writes.safe_key, mind.left.key, mind.left.flag,
        service and mind.seat.desktop == "visible", "retry" in timers, "restart limit" in timers, "idle" in timers,
        "ask restart" in timers, _todo(hands.chores),
    )  # fmt: skip


def _todo(chores: tuple[str, ...]) -> int:
    places = [UNDOING.index(chore) for chore in chores]
    if places != sorted(places):
        raise NoWord(f"expected what is undone in the reverse order of arming; seen: {', '.join(chores)}")
    return sum(1 << place for place in places)


def _pc(machine: PcState) -> tuple[int, ...]:
    power, disk, going = machine.power, machine.disk, machine.going
    timers = {timer.name for timer in machine.timers}
    phase = going.before if going else power.phase
    up = phase not in ("firmware", "off")
    if phase == "shell":
        place = 2 if "run once" in timers else 3
    else:
        place = BOOTING.get(phase, {"desktop": 0, "welcome": 1}.get(phase, -1))
    if place < 0:
        raise NoWord(f"a PC that is {phase}")
    undo = any("undo" in entry.name for entry in disk.entries)
    return (
        place, GOING[going.stage] if going else 0, CAUSES[going.cause] if going else 0, power.boots,
        power.safe_mode and up, machine.probing, "service" in timers, "helper" in timers, machine.process.helper,
        *_record(disk.record), any("undo" not in entry.name for entry in disk.entries), disk.safe_key, disk.flag, undo,
        any("undo" in entry.name for entry in machine.session.starting),
    )  # fmt: skip


def _record(record: Saved | None) -> tuple[int, ...]:
    if record is None:
        return 0, 0, 0, 0
    what = 2 if record.intent else 1 if record.ticket else 3
    return what, _boot(record.boot), record.safe_key, record.boot_mode == "safe"


def _boot(mark: str) -> int:
    return int(mark.removeprefix("boot-"))


# --- what is on its way -----------------------------------------------------------------------------------------


def _link(link: net.Link, *, service: bool) -> str:
    up = ".".join(str(_from_agent(what, service=service)) for what in link.up if what != net.GONE)
    down = ".".join(str(_from_server(what)) for what in link.down if what != net.GONE)
    ends = ["!" if net.GONE in queue else "," for queue in (link.up, link.down)]
    return f"{int(link.at_server)},{DESKS.index(link.desk.stage)},{up}{ends[0]}{down}{ends[1]}"


def _from_agent(what: Any, *, service: bool) -> int:
    plain: dict[type, int] = {
        msg.Hello: 1, msg.CancelResume: 5, msg.Armed: 6, msg.ArmFailed: 7, msg.Restarting: 8, msg.NotRestarting: 9,
        msg.Leave: 13,
    }  # fmt: skip
    if isinstance(what, msg.Resume):
        return 2 + BOOT * _boot(what.boot) + SEEN * (service and what.desktop == "visible")
    if isinstance(what, msg.Reconnect):
        return (4 if what.restarting else 3) + BOOT * _boot(what.boot)
    if isinstance(what, msg.ConsentAnswer):
        return ANSWERS[what.answer]
    if isinstance(what, msg.HelperState):
        return 15 if what.desktop == "visible" else 14
    if type(what) not in plain:
        raise NoWord(f"an agent that says {what}")
    return plain[type(what)]


def _from_server(what: Any) -> int:
    plain: dict[type, int] = {msg.Welcome: 1, msg.TurnedAway: 2, msg.SessionOver: 3, msg.Withdraw: 8, msg.Ask: 9}
    if isinstance(what, msg.Resumed):
        return 5 if what.order else 4
    if isinstance(what, msg.Order):
        return 7 if what.boot_mode == "safe" else 6
    if type(what) not in plain:
        raise NoWord(f"a server that says {what}")
    return plain[type(what)]


# --- moves ------------------------------------------------------------------------------------------------------


BOOT_TIMERS: Final = ("phase", "auto logon", "run once", "run commands")
PC_TIMERS: Final = {
    "shutdown": "windows goes down", "mains": "power returns", "service": "service starts", "helper": "helper starts",
    **dict.fromkeys(BOOT_TIMERS, "windows comes up"),
}  # fmt: skip
FAULTS: Final[dict[type, str]] = {
    do.PowerCut: "power cut", do.PcCrashes: "crash", do.AgentDies: "agent dies",
    do.CustomerRestartsFromStart: "start menu",
}  # fmt: skip


def name(move: Move) -> str:
    """Return what the oracle calls a move.

    Raises:
        NoWord: it does not know it.
    """
    what: Any = move.what
    if isinstance(what, TimerFired):
        if move.to != "pc":
            return f"{move.to} {what.name}"
        return "windows answers" if what.name.startswith("call:") else PC_TIMERS[what.name]
    if isinstance(what, net.Up | net.Down | net.Lose):
        return f"{type(what).__name__.lower()} {what.conn}"
    if isinstance(what, net.Tried):
        return "connects" if what.well else "fails"
    if isinstance(what, msg.Confirm):
        return f"rep {what.answer}"
    if isinstance(what, msg.AskRestart):
        return f"rep asks {what.boot_mode}"
    if isinstance(what, parts.SignIn):
        return "customer signs in"
    if isinstance(what, parts.Press) and what.window in ("restart prompt", "cancel option"):
        return f"customer {'cancels' if what.button == 'cancel' else what.button}"
    if move.to == "stage":
        return "harness"
    if type(what) not in FAULTS:
        raise NoWord(f"a move {move}")
    return FAULTS[type(what)]


Row = tuple[str, str, str]
"""A transition: the state before, the move, the state after."""


def rows(world: World, transitions: Iterator[tuple[int, Move, int]]) -> set[Row]:
    """Return the transitions of a search in the oracle's words."""
    known: dict[int, str] = {}

    def words(state: int) -> str:
        if state not in known:
            known[state] = project(world, state)
        return known[state]

    return {(words(before), name(move), words(after)) for before, move, after in transitions}


# --- what the oracle has no word for ------------------------------------------------------------------------------


def details(world: World, state: int) -> dict[str, object]:
    """Return, by name, everything in which states can differ that are one state in the oracle's words.

    None of it decides what happens next as far as the oracle can tell; docs/exploration.md says why each is there.
    """
    client: Client = world.client.states[world.part(state, 0, CLIENT)]
    session: Session = world.session.states[world.part(state, 0, SESSION)]
    mind, machine = world.agent.states[client.agent], world.pc.states[client.machine]
    wires: net.Net = world.nets[0].states[world.part(state, 0, NET)]
    watch = world.monitor.states[world.part(state, 0, WATCH)]
    power, d, r = machine.power, world.server.states[session.core].durable, mind.restart if mind else None
    said = [message for link in wires.links for message in link.up + link.down]
    return {
        "numbers of requests to Windows": (mind.hands.op if mind else 0, tuple(c.op for c in machine.calls)),
        "reasons in words": (
            (r.reason, r.failed_step) if r else (), mind.why if mind else "",
            tuple((window.window, window.text) for window in machine.screen.windows),
            tuple((getattr(m, "reason", ""), getattr(m, "step", "")) for m in said),
        ),
        "how the last Windows ended": (
            power.cause, power.failed_boots, power.flag_at_boot, power.safe_mode,
            tuple(m.safe_mode for m in said if isinstance(m, msg.Resume)),
        ),
        "whether the last attempt to connect failed": mind.link.attempts if mind else 0,
        "which of two live keys is next": wires.keys,
        "who was at the PC when the process began": (mind.facts.desktop, mind.facts.user) if mind else (),
        "the step at which the undoing began": r.step if r else 0,
        "what was asked and refused or void": (d.restarts, d.asks),
        "what the customer clicked": watch.clicks,
    }
