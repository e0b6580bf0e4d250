"""Hand-written histories: one that breaks nothing, in pieces that a test can leave out, repeat or change."""

from __future__ import annotations

from typing import Any

from rrsim.machine import observations as seen
from rrsim.protocol import messages as m
from rrsim.protocol import records as r
from rrsim.protocol.settings import Account
from rrsim.scenario import checks
from rrsim.scenario.actions import RepRestarts
from rrsim.scenario.history import Header, History
from rrsim.scenario.result import CheckResult

S = 1_000_000
SESSION = "session-1"


class Hand:
    """Writes a history of one customer; time moves one second an entry unless told otherwise."""

    def __init__(
        self, account: Account | None = None, mode: m.AgentMode = "application", platform: m.Platform = "windows"
    ) -> None:
        self.account = account or Account()
        self.mode: m.AgentMode = mode
        self.platform: m.Platform = platform
        self.header = Header(scenario="by hand", backend="sim", seed=1)
        self.history = History(self.header)
        self.t_us = 0
        self.session = SESSION
        self.boots = 1
        self.seq = 0

    def put(self, source: str, event: Any, t_us: int | None = None, cause: int = -1) -> int:
        """Append one entry, a second after the last one or at ``t_us``."""
        self.t_us = self.t_us + S if t_us is None else t_us
        return self.history.append(self.t_us, source, event, cause)

    def server(self, *records: r.AnyRecord) -> Hand:
        for record in records:
            self.put("server", record)
        return self

    def pc(self, *events: Any) -> Hand:
        for event in events:
            self.put("pc-1", event)
        return self

    def call(self, *verbs: seen.HostVerb) -> Hand:
        for verb in verbs:
            self.put("pc-1", seen.HostCall(verb, True))
        return self

    # --- pieces of an ordinary run ------------------------------------------------------------------------------

    def opening(self, items: tuple[str, ...] = ("file:theirs",), shares: bool = False) -> Hand:
        self.put("pc-1", seen.InventoryTaken("before", items))
        return self.joined(shares=shares)

    def joined(self, shares: bool = False) -> Hand:
        s = self.session
        self.server(r.SessionRequested(s, "standard", self.account))
        self.pc(seen.AgentStarted(f"boot-{self.boots}", "user", True, "visible", False, "customer"))
        self.server(
            r.EndpointJoined(s, "machine-1", self.platform, self.mode, f"boot-{self.boots}", "seal"),
            r.SessionTaken(s, "rep-1"),
        )
        self.put("console", m.SessionView("active", True, self.mode == "service", False))
        if shares:
            self.server(r.SharingChanged(s, True, "asked for"))
            self.pc(seen.ScreenSeen(True))
        return self

    def asked(self, n: int = 1, mode: m.BootMode = "normal", name: str = "") -> Hand:
        step = self.put("director", RepRestarts(mode=mode, name=name))
        self.put("server", r.RestartAsked(self.session, n, "rep-1", "chat window", mode, False), cause=step)
        return self

    def confirmed(self, n: int = 1) -> Hand:
        self.put("console", m.Confirm(n, "yes"))
        return self.server(r.RestartConfirmed(self.session, n, "rep-1", "yes"))

    def consent(self, n: int = 1, button: m.Answer = "yes", ask: int = 1) -> Hand:
        self.server(r.CustomerAsked(self.session, ask, "restart", n))
        self.pc(seen.WindowShown("restart prompt"), seen.Clicked("customer", "restart prompt", button))
        return self.server(r.CustomerAnswered(self.session, ask, "restart", n, button, True))

    def given(self, n: int = 1, mode: m.BootMode = "normal") -> Hand:
        return self.server(r.OrderGiven(self.session, n, mode, False, f"boot-{self.boots}", f"seal-{n}"))

    def armed(self, n: int = 1) -> Hand:
        self.call("ticket saved", "autostart armed")
        return self.server(r.OrderArmed(self.session, n))

    def intended(self) -> Hand:
        return self.call("intent saved", "restart requested").pc(seen.RestartBegan("agent", "agent", False))

    def goes_down(self, n: int = 1, cause: seen.RestartCause = "agent") -> Hand:
        self.pc(seen.SessionEnds(cause))
        self.server(r.WindowOpened(self.session, n, "announcement"), r.EndpointLost(self.session, "closed"))
        return self.pc(seen.AgentStopped("shutdown"), seen.WentDown(cause, True))

    def boots_up(self, cause: seen.RestartCause = "agent", safe: bool = False) -> Hand:
        self.boots += 1
        return self.pc(seen.BootBegan(f"boot-{self.boots}", safe, cause))

    def logs_on(self, right: bool = True, elevated: bool = True, desktop: m.Desktop = "visible") -> Hand:
        user = "user" if right else "other"
        self.pc(seen.LoggedOn(user, desktop, right))
        return self.pc(seen.AgentStarted(f"boot-{self.boots}", user, elevated, desktop, False, "autostart"))

    def resumed(self, n: int = 1, machine: str = "machine-1", late: bool = False, at_us: int | None = None) -> Hand:
        boot = f"boot-{self.boots}"
        self.put("server", r.EndpointResumed(self.session, n, boot, "seal", False, "user", machine, late), at_us)
        return self.call("record erased")

    def said(self, text: str, line: int = 0) -> Hand:
        self.seq += 1
        author = "customer" if line else "rep-1"
        if line:
            self.put("wire-1", m.AgentChat(line, text))
        self.server(r.ChatLine(self.session, self.seq, author, text, line))
        self.put("wire-1", m.ServerChat(self.seq, author, text))
        return self

    def leaves(self) -> Hand:
        return self.pc(seen.WindowShown("leave prompt"), seen.Clicked("customer", "leave prompt", "no"))

    def restarts(self, n: int = 1) -> Hand:
        """An ordered restart from the request to the way back."""
        self.asked(n).confirmed(n)
        if self.account.ask_before_restart:
            self.consent(n, ask=n)
        return self.given(n).armed(n).intended().goes_down(n).boots_up().logs_on().resumed(n)

    def healed(self) -> Hand:
        self.put("director", seen.Healed())
        return self

    def winds_down(self, over: bool = True, safe: bool = False, items: tuple[str, ...] = ("file:theirs",)) -> Hand:
        if over:
            self.server(r.SessionEnded(self.session, "representative", "done"))
        self.boots += 1
        self.pc(seen.BootBegan(f"boot-{self.boots}", safe, "probe"), seen.InventoryTaken("after", items))
        self.put("wire-1", m.Heartbeat())
        self.put("console", m.EndSession())
        self.put("director", seen.RunEnded(True))
        return self

    def ends(self) -> Hand:
        return self.healed().winds_down()

    # --- what is asked of it ------------------------------------------------------------------------------------

    def results(self, allowed: tuple[str, ...] = ()) -> dict[str, CheckResult]:
        return {one.check: one for one in checks.run(self.history, allowed).results}

    def failing(self) -> dict[str, str]:
        """Return the cause of every check that did not pass."""
        return {name: f"{one.outcome}: {one.cause}" for name, one in self.results().items() if one.outcome != "passed"}
