"""A driver for one session core in virtual time: timers, journal, secrets, and a replay at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from rrsim.protocol import messages as msg
from rrsim.protocol import records as rec
from rrsim.protocol.settings import Account
from rrsim.protocol.timers import CancelTimer, SetTimer, TimerFired
from rrsim.server import core
from rrsim.server.core import SessionState
from rrsim.server.vocabulary import (
    AgentGone,
    AgentSaid,
    Claimed,
    Effect,
    HangUp,
    Input,
    Opened,
    Recovered,
    RepHere,
    RepSaid,
    ToAgent,
    ToRep,
    Write,
)

REP = "rep-1"
SESSION = "session-1"
MACHINE = "machine-1"
T = TypeVar("T")


def durable_of(records: list[rec.AnyRecord]) -> core.Durable:
    """The durable part that a journal stands for."""
    return core.rebuild(tuple(records)).durable


class Bench:
    """One session, its journal and its timers."""

    def __init__(self, account: Account | None = None, mode: msg.AgentMode = "application", **kwargs: Any) -> None:
        self.account = account or Account()
        self.mode = mode
        self.platform: msg.Platform = kwargs.get("platform", "windows")
        self.state: SessionState = core.initial()
        self.journal: list[rec.AnyRecord] = []
        self.sent: list[Effect] = []
        """Effects of the latest step."""
        self.secrets: set[str] = set()
        """Every secret that ever left the server."""
        self.ticket = self.standby = self.key = ""
        self.timers: dict[str, tuple[int, bool]] = {}
        self.now_us = 0
        self.minted = 0
        self.conn = 0
        self.boot = "boot-1"
        self.line = 0
        self.do(Opened(SESSION, kwargs.get("kind", "standard"), self.account))

    # --- driving ------------------------------------------------------------------------------------------------

    def fresh(self) -> str:
        """Mint a fresh string that must never show anywhere."""
        self.minted += 1
        made = f"CANARY-{self.minted}"
        self.secrets.add(made)
        return made

    def do(self, event: Input, crash_after: int | None = None) -> None:
        """Deliver one input; ``crash_after`` effects the server dies and comes back from its journal."""
        state, effects = core.step(self.state, event)
        done = effects if crash_after is None else effects[:crash_after]
        self.sent = list(done)
        for effect in done:
            self._carry_out(effect)
        if crash_after is None:
            self.state = state
            assert durable_of(self.journal) == state.durable, f"replay differs after {event!r}"
        else:
            self.crash()

    def crash(self) -> None:
        """The server dies now; its journal and its durable timers survive."""
        self.timers = {name: timer for name, timer in self.timers.items() if timer[1]}
        self.state = core.rebuild(tuple(self.journal))
        self.do(Recovered())

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Write):
            self.journal.append(effect.record)
        elif isinstance(effect, SetTimer):
            self.timers[effect.name] = (self.now_us + effect.after_us, effect.durable)
        elif isinstance(effect, CancelTimer):
            self.timers.pop(effect.name, None)
        elif isinstance(effect, ToAgent):
            self._keep(effect.message)

    def _keep(self, message: msg.ServerMessage) -> None:
        if isinstance(message, msg.Joined | msg.Resumed):
            self.key = message.live_key
            self.secrets.add(message.live_key)
        elif isinstance(message, msg.Order):
            self.ticket = message.ticket
            self.secrets.add(message.ticket)
        elif isinstance(message, msg.StandBy):
            self.standby = message.ticket
            self.secrets.add(message.ticket)

    def until(self, at_us: int) -> None:
        """Let virtual time pass: timers due at or before ``at_us`` fire, in due order (the driver's rule)."""
        while True:
            due = [(when, name) for name, (when, _) in self.timers.items() if when <= at_us]
            if not due:
                self.now_us = at_us
                return
            self.now_us, name = min(due)
            del self.timers[name]
            self.do(TimerFired(name))

    def wait(self, us: int) -> None:
        """Let ``us`` microseconds pass."""
        self.until(self.now_us + us)

    def alive(self, us: int) -> None:
        """Let time pass while the joined endpoint's heart beats."""
        end_us = self.now_us + us
        while self.now_us + self.account.heartbeat_us < end_us:
            self.wait(self.account.heartbeat_us)
            self.say(msg.Heartbeat())
        self.until(end_us)

    # --- what the sides do --------------------------------------------------------------------------------------

    def claim(self, claim: Any, machine: str = MACHINE) -> None:
        """A new connection makes a claim."""
        self.conn += 1
        self.do(Claimed(self.conn, machine, self.platform, self.mode, claim, self.fresh()))

    def say(self, message: msg.AgentMessage) -> None:
        """The joined endpoint says something."""
        self.do(AgentSaid(self.state.conn, message, self.fresh()))

    def rep(self, message: msg.RepMessage, rep: str = REP) -> None:
        """A representative says something."""
        self.do(RepSaid(rep, message, self.fresh()))

    def drop(self, reason: str = "reset") -> None:
        """The joined endpoint's connection is gone."""
        self.do(AgentGone(self.state.conn, reason))

    def join(self, machine: str = MACHINE) -> None:
        """The customer joins with the code."""
        self.claim(msg.Join(SESSION, boot=self.boot, user="customer"), machine)

    def resume(self, boot: str = "boot-2", ticket: str | None = None, machine: str = MACHINE, **kwargs: Any) -> None:
        """A boot asks to resume."""
        use = self.ticket if ticket is None else ticket
        user, desktop = kwargs.get("user", "customer"), kwargs.get("desktop", "visible")
        self.claim(msg.Resume(SESSION, use, boot, kwargs.get("safe_mode", False), True, user, desktop), machine)

    def reconnect(self, restarting: bool = False, boot: str | None = None, key: str | None = None) -> None:
        """The old process is back."""
        self.claim(msg.Reconnect(SESSION, self.key if key is None else key, boot or self.boot, restarting))

    # --- short cuts ---------------------------------------------------------------------------------------------

    def active(self) -> Bench:
        """Take and join."""
        self.do(RepHere(REP))
        self.rep(msg.Take())
        self.join()
        return self

    def ask(self, **kwargs: Any) -> int:
        """The representative asks for a restart; return its number."""
        self.rep(msg.AskRestart(kwargs.pop("place", "chat window"), **kwargs))
        return self.state.durable.restarts

    def ordered(self) -> Bench:
        """As far as the order."""
        self.active()
        self.rep(msg.Confirm(self.ask(), "yes"))
        if self.account.ask_before_restart:
            self.say(msg.ConsentAnswer(self.state.durable.restart_ask, "yes", True))
        return self

    def armed(self) -> Bench:
        """As far as armed."""
        self.ordered()
        self.say(msg.Armed(self.state.durable.restarts))
        return self

    def rebooting(self) -> Bench:
        """As far as the PC being away."""
        self.armed()
        self.say(msg.Restarting(self.state.durable.restarts))
        self.drop()
        return self

    # --- looking ------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The state's name."""
        return self.state.name

    def records(self, kind: type[T]) -> list[T]:
        """All journal records of one type."""
        return [record for record in self.journal if isinstance(record, kind)]

    def last(self, kind: type[T]) -> T:
        """The latest journal record of one type."""
        return self.records(kind)[-1]

    def told_agent(self, kind: type[T]) -> list[T]:
        """What the latest step sent to endpoints, of one type."""
        return [e.message for e in self.sent if isinstance(e, ToAgent) and isinstance(e.message, kind)]

    def told_rep(self, kind: type[T]) -> list[T]:
        """What the latest step sent to consoles, of one type."""
        return [e.message for e in self.sent if isinstance(e, ToRep) and isinstance(e.message, kind)]

    @property
    def hung_up(self) -> list[int]:
        """Connections that the latest step closed."""
        return [e.conn for e in self.sent if isinstance(e, HangUp)]

    def no_secret_in_journal(self) -> None:
        """Rule 5: the journal holds seals only."""
        text = msgspec.json.encode(self.journal).decode()
        for secret in self.secrets:
            assert secret not in text


def refuses(bench: Bench, act: Callable[[], None], reason: str) -> rec.ClaimRejected:
    """Check that a claim is turned away for ``reason`` and that nothing else changes; return the record."""
    before = bench.state
    act()
    rejected = bench.last(rec.ClaimRejected)
    assert rejected.reason == reason
    assert bench.told_agent(msg.TurnedAway) == [msg.TurnedAway(reason)]
    assert bench.hung_up == [bench.conn]
    assert bench.state == before
    return rejected
