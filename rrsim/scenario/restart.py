"""A restart while its verdict is being made, and the result it ends as."""

from __future__ import annotations

from typing import Final, Literal

from rrsim.scenario import actions
from rrsim.scenario.history import Entry
from rrsim.scenario.model import VerdictName
from rrsim.scenario.result import RestartResult
from rrsim.scenario.tracker import SessionTrack
from rrsim.scenario.witness import situation

_CAUSES: Final = 16
"""How far a restart's causes are followed back to the step that asked for it."""


class Restart:
    """A restart while its verdict is being made."""

    __slots__ = (
        "armed_us", "asked_at", "asked_us", "booted", "cause", "customer", "decided_at", "decided_us",
        "elevated", "fixed_losses", "kind", "mode", "named_at", "number", "offline_us", "ordered_at", "ordered_us",
        "other_user", "overtaken", "reason", "resumed_at", "returned", "session", "shared", "signed_in", "unless",
        "verdict",
    )  # fmt: skip

    def __init__(
        self, kind: Literal["ordered", "foreign"], session: SessionTrack, number: int, at: int, t_us: int
    ) -> None:
        self.kind = kind
        self.session = session.session
        self.customer = session.customer
        self.number = number
        """The restart's number within its session; 0 for foreign ones."""
        self.named_at = -1
        self.asked_at, self.asked_us = at, t_us
        self.ordered_at = self.ordered_us = self.armed_us = -1
        self.mode = "normal"
        self.shared = session.sharing
        self.elevated: bool | None = None
        self.booted = False
        self.overtaken = ""
        self.cause = ""
        self.verdict: VerdictName | None = None
        self.reason = ""
        self.decided_at = self.decided_us = -1
        self.resumed_at = -1
        self.offline_us = -1
        """When the window ran out under a profile whose expiry is not final."""
        self.returned = False
        """Sharing is back since the session resumed."""
        self.other_user = self.signed_in = False
        self.fixed_losses: tuple[str, ...] = ()
        self.unless: tuple[VerdictName, int, str] | None = None
        """What it comes to if no record says more."""

    def decide(self, verdict: VerdictName, t_us: int, reason: str = "") -> None:
        """Set the verdict; the first decision stands."""
        if self.verdict is None:
            self.verdict, self.decided_us, self.reason = verdict, t_us, reason

    @property
    def losses(self) -> tuple[str, ...]:
        """What is missing after the session resumed."""
        out = list(self.fixed_losses)
        if self.other_user:
            out.append("other user")
        if self.shared and not self.returned:
            out.append("chat only" if self.signed_in else "no sharing at the welcome screen")
        return tuple(out)

    def name_in(self, entries: list[Entry]) -> str:
        """Return the name that its scenario step gave: along causes if they lead there, else from the latest step."""
        if self.kind == "foreign":
            return ""
        at = entries[self.asked_at][3]
        for _ in range(_CAUSES):
            if at < 0:
                break
            event = entries[at][2]
            if type(event) is actions.RepRestarts:
                return event.name
            at = entries[at][3]
        return str(entries[self.named_at][2].name) if self.named_at >= 0 else ""

    def result(
        self, number: int, entries: list[Entry], complete: bool, missing: tuple[str, ...]
    ) -> RestartResult:
        """Return the result; ``number``: its place among the customer's restarts; ``missing``: absent witnesses."""
        if self.verdict is None and self.unless is not None:
            self.decide(*self.unless)
        verdict: VerdictName = self.verdict or "unknown"
        reason = self.reason
        losses: tuple[str, ...] = ()
        if self.verdict is None:
            if self.kind == "foreign" and complete:
                verdict, reason = "lost", f"a restart nobody ordered: {self.cause}"
            else:
                reason = "no verdict by the end of the history"
        elif verdict == "resumed":
            losses = self.losses
            if losses:
                verdict, reason = "degraded", ", ".join(losses)
        elif verdict == "expired":
            reason = f"the window ran out while {situation(entries, f'pc-{self.customer}', self.decided_at)}"
        if missing and (self.kind == "foreign" or self.ordered_at >= 0):
            verdict, losses, reason = "unknown", (), f"no witness: {', '.join(missing)} is missing from the history"
        return RestartResult(
            number=number,
            customer=self.customer,
            session=self.session,
            kind=self.kind,
            verdict=verdict,
            name=self.name_in(entries),
            losses=losses,
            reason=reason,
            cause=self.cause,
            asked_us=self.asked_us,
            decided_us=self.decided_us,
        )
