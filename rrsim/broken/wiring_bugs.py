"""Deliberate bugs around the cores: the agent's installation on the PC, the server's shell, the harness itself."""

# ruff: noqa: SLF001 - a bug sits where the product's own decision is taken, and that is private
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from rrsim.agent import host
from rrsim.backends.sim import pc
from rrsim.backends.sim.compiled import Parts
from rrsim.backends.sim.pc import agentproc, hostcalls, logon
from rrsim.backends.sim.pc.state import AGENT_COMMAND, AGENT_VALUE, SYSTEM, Autostart
from rrsim.backends.sim.pc.turn import Turn
from rrsim.backends.sim.side import Link, SessionSide, Side
from rrsim.backends.sim.world import World
from rrsim.broken.bug import Bug, Patch, patched
from rrsim.machine import observations as seen
from rrsim.protocol import messages as msg
from rrsim.scenario import actions
from rrsim.server._turn import WINDOW

# --- the agent's installation on the PC -------------------------------------------------------------------------


def _on_pc(*patches: Patch) -> Callable[[], Parts]:
    return lambda: Parts(pc=patched(pc.step, *patches))


def _for_administrators(_: str, key: Any, name: str, command: str, __: str) -> Autostart:
    return Autostart("HKLM", key, name, command)


def _for_everyone(_: str, __: str, name: str, command: str, ___: str) -> Autostart:
    return Autostart("HKLM", "Run", name, command)


def _starts_with_any_record(t: Turn, why: agentproc.Why) -> bool:
    """The record lies where the program of every user finds it."""
    if t.state.disk.record is not None:
        t.disk(record_owner=t.state.session.profile if t.state.mode == "application" else SYSTEM)
    return _START_AGENT(t, why)


_START_AGENT: Final = agentproc.start


def _saves_readable(t: Turn, record: host.Saved) -> Any:
    result = _SAVE(t, record)
    if result.ok and t.state.disk.record is not None:
        t.disk(readable=True)
    return result


_SAVE: Final = hostcalls._save


def _commands(t: Turn, command: str) -> None:
    ours = tuple(replace(e, command=command) if e.name == AGENT_VALUE else e for e in t.state.disk.entries)
    t.disk(entries=ours)


def _saves_on_command_line(t: Turn, record: host.Saved) -> Any:
    result = _SAVE(t, record)
    if result.ok and record.ticket:
        _commands(t, f"{AGENT_COMMAND} --ticket {record.ticket}")
    return result


def _writes_plain_autostart(t: Turn, *, arm: bool) -> Any:
    _commands(t, AGENT_COMMAND)
    return _WRITE_AUTOSTART(t, arm=arm)


_WRITE_AUTOSTART: Final = hostcalls._write_autostart


def _starts_with_ticket(t: Turn, entry: Autostart) -> None:
    _commands(t, AGENT_COMMAND)
    _START(t, replace(entry, command=AGENT_COMMAND) if entry.name == AGENT_VALUE else entry)


_START: Final = logon._start


# --- the server's shell -----------------------------------------------------------------------------------------


class _DeadlineLosesTie(World):
    """A message of the same instant goes before the window's timer."""

    def _server_timer(self, session: SessionSide, name: str) -> None:
        if name == WINDOW and self._more_now():
            self.kernel.at(self.kernel.now_us, self._server_timer_late, session, name)
        else:
            super()._server_timer(session, name)

    def _more_now(self) -> bool:
        heap = self.kernel._heap
        return bool(self.kernel._ready) or any(e[2] is not None and e[0] >> 1 == self.kernel.now_us for e in heap)

    def _server_timer_late(self, session: SessionSide, name: str) -> None:
        if name in session.timers and session.timers[name][0] >> 1 <= self.kernel.now_us:
            self._server_timer(session, name)


class _WallClockForTheWindow(World):
    """The window's deadline is kept as wall time: when the clock jumps, the deadline comes nearer or goes away."""

    def perform(self, step: int, action: Any) -> None:
        if isinstance(action, actions.WallClockJumps):
            for session in self.sessions.values():
                self._shift(session, action.by_us if action.back else -action.by_us)
        super().perform(step, action)

    def _shift(self, session: SessionSide, by_us: int) -> None:
        timer = session.timers.get(WINDOW)
        if timer is not None:
            self.kernel.cancel(timer)
            due_us = max(self.kernel.now_us, (timer[0] >> 1) + by_us)
            session.timers[WINDOW] = self.kernel.timer(due_us, self._server_timer, session, WINDOW)
            session.durable[WINDOW] = due_us


class _ForgetsWindow(World):
    """The deadlines are not kept beside the journal: after a restart of the server no window ever ends."""

    def _server_returns(self, _: None, __: None) -> None:
        for session in self.sessions.values():
            session.durable.clear()
        super()._server_returns(None, None)


class _WindowInFullAgain(World):
    """After a restart of the server every window begins from the start."""

    def _server_returns(self, _: None, __: None) -> None:
        for session in self.sessions.values():
            if WINDOW in session.durable and not self.server_up:
                session.durable[WINDOW] = self.kernel.now_us + session.account.resume_window_us
        super()._server_returns(None, None)


class _LosesLastRecord(World):
    """The journal's last record was not flushed when the server was killed."""

    def _server_dies(self, action: Any) -> None:
        for session in self.sessions.values():
            if self.server_up and len(session.records) > 1:
                session.records.pop()
        super()._server_dies(action)


class _JournalNotReplayed(World):
    """After a restart of the server every session is as it was when it was requested."""

    def _server_dies(self, action: Any) -> None:
        for session in self.sessions.values():
            del session.records[1:]
        super()._server_dies(action)


class _DeliversTwice(World):
    """What was held up on the way is delivered twice when it flows again."""

    def _release(self, side: Side, conn: int) -> None:
        side.held_up = [one for held in side.held_up for one in (held, held)]
        side.held_down = [one for held in side.held_down for one in (held, held)]
        super()._release(side, conn)


class _Swallows(World):
    """A kind of console message never reaches the representative."""

    KIND: type = msg.ConfirmRestart

    def _arrives_at_console(self, rep: str, what: tuple[str, Any]) -> None:
        if not isinstance(what[1], self.KIND):
            super()._arrives_at_console(rep, what)


class _SwallowsChat(_Swallows):
    """What the customer types never reaches the representative."""

    KIND = msg.RepSeesChat


class _MixesSessions(World):
    """A resuming agent is led to the newest session, whichever it names."""

    def _at_desk(self, link: Link, message: Any) -> None:
        if isinstance(message, msg.Resume):
            message = replace(message, session=next(reversed(self.sessions)))
        super()._at_desk(link, message)




# --- the harness ------------------------------------------------------------------------------------------------


class _ForeignBootsUnseen(World):
    """The harness sees only boots that the agent asked for."""

    def note(self, source: str, event: Any, customer: int) -> None:
        if not (isinstance(event, seen.BootBegan) and event.cause not in ("agent", "probe")):
            super().note(source, event, customer)


class _ClicksUnseen(World):
    """The harness does not record what the customer presses."""

    def note(self, source: str, event: Any, customer: int) -> None:
        if not (isinstance(event, seen.Clicked) and event.who == "customer"):
            super().note(source, event, customer)


class _PendingWorkUnseen(World):
    """The harness does not look whether installer work is still pending."""

    def note(self, source: str, event: Any, customer: int) -> None:
        if not isinstance(event, seen.PendingWork):
            super().note(source, event, customer)


class _DeadAgentGoesOn(World):
    """Killed between two effects, the agent's process carries out the rest of them."""

    def _agent_effects_watched(self, side: Side, effects: tuple[Any, ...]) -> None:
        for effect in effects:
            super()._agent_effects_watched(side, (effect,))


def _world(world: type[World]) -> Callable[[], Parts]:
    return lambda: Parts(world=world)


def _bug(name: str, about: str, breaks: tuple[str, ...], parts: Callable[[], Parts]) -> Bug:
    return Bug(name=name, about=about, where="wiring", breaks=breaks, parts=parts)


BUGS: Final = (
    _bug(
        "no keep prefix in RunOnce",
        "The RunOnce entry has no '!': Windows deletes it before the agent starts, and a crash loses the way back.",
        ("LO-14", "R8"),
        _on_pc((hostcalls, "AGENT_VALUE", "rragent")),
    ),
    _bug(
        "autostart in the wrong hive",
        "The RunOnce entry stands in the machine's hive: any administrator starts the agent, a standard user never.",
        ("R8", "rule 4", "LO-01"),
        _on_pc((hostcalls, "Autostart", _for_administrators)),
    ),
    _bug(
        "autostart for every user",
        "The autostart entry counts for everybody: the agent starts for a stranger and shows them windows.",
        ("rule 4", "rule 5", "LO-04", "SE-06"),
        _on_pc((hostcalls, "Autostart", _for_everyone)),
    ),
    _bug(
        "another user's agent resumes",
        "Autostart entry and record are shared by all users: whoever signs in brings the session back as theirs.",
        ("rule 4", "rule 5", "LO-04", "SE-06"),
        _on_pc((hostcalls, "Autostart", _for_everyone), (agentproc, "start", _starts_with_any_record)),
    ),
    _bug(
        "record readable by everyone",
        "The saved ticket lies where every user of the PC can read it.",
        ("rule 5", "SE-03", "I2"),
        _on_pc((hostcalls, "_save", _saves_readable)),
    ),
    _bug(
        "ticket on the command line",
        "The autostart entry starts the agent with the ticket as an argument, for every process list to show.",
        ("rule 5", "SE-04", "I2"),
        _on_pc(
            (hostcalls, "_save", _saves_on_command_line), (hostcalls, "_write_autostart", _writes_plain_autostart),
            (logon, "_start", _starts_with_ticket),
        ),
    ),
    _bug(
        "deadline loses a tie",
        "A resume message of the very instant at which the window ends is let in.",
        ("rule 1", "EX-01", "I1"),
        _world(_DeadlineLosesTie),
    ),
    _bug(
        "wall clock used for the window",
        "The window's deadline moves when the wall clock jumps.",
        ("rule 1", "NE-14"),
        _world(_WallClockForTheWindow),
    ),
    _bug(
        "server restart forgets the window",
        "A window that ran when the server was restarted never ends.",
        ("NE-12", "I9"),
        _world(_ForgetsWindow),
    ),
    _bug(
        "server restart begins the window anew",
        "A window that ran when the server was restarted has all its time again.",
        ("NE-12", "I1", "rule 1"),
        _world(_WindowInFullAgain),
    ),
    _bug(
        "server restart loses the last record",
        "What the server decided last before it was killed is gone when it is back.",
        ("NE-12", "I12"),
        _world(_LosesLastRecord),
    ),
    _bug(
        "journal not replayed after a server restart",
        "The server comes back with empty sessions.",
        ("NE-12", "R1"),
        _world(_JournalNotReplayed),
    ),
    _bug(
        "message delivered twice after a stall",
        "What was held up on the way arrives twice.",
        ("I12", "LO-16", "NE-08", "rule 3"),
        _world(_DeliversTwice),
    ),
    _bug(
        "confirmation never shown",
        "The question whether to restart never reaches the representative's console.",
        ("R4", "R3"),
        _world(_Swallows),
    ),
    _bug(
        "customer's lines never reach the rep",
        "What the customer types is in the transcript, and the representative never sees it.",
        ("I12", "RE-01"),
        _world(_SwallowsChat),
    ),
    _bug(
        "sessions mixed up",
        "An agent that comes back is led to another customer's session.",
        ("RE-11", "R1"),
        _world(_MixesSessions),
    ),
    _bug(
        "foreign boot not noticed by the harness",
        "Restarts that the agent did not ask for are not in the history.",
        ("R6", "I11", "IN-03", "IN-01"),
        _world(_ForeignBootsUnseen),
    ),
    _bug(
        "clicks not recorded by the harness",
        "What the customer presses is not in the history, so that nobody can prove a consent.",
        ("I13", "I4", "CO-01"),
        _world(_ClicksUnseen),
    ),
    _bug(
        "pending work not noticed by the harness",
        "Whether an installation still waits for a restart is not in the history: half done counts as done.",
        ("R14",),
        _world(_PendingWorkUnseen),
    ),
    _bug(
        "dead agent goes on",
        "Killed between two effects, the agent still carries out the rest.",
        ("rule 14",),
        _world(_DeadAgentGoesOn),
    ),
)
