"""I9, I11: what the verdicts must be like."""

from __future__ import annotations

from typing import ClassVar, Final

from rrsim.machine import observations as seen
from rrsim.scenario.checks.base import Check, Context, Hears, clock
from rrsim.scenario.verdicts import Restart

SLACK_US: Final = 30_000_000
"""I9: so much after the end of restart limit and window."""


class VerdictInTime(Check):
    """I9: every ordered restart reaches a verdict by the end of restart limit and window plus 30 s.

    The limit runs from the agent's *armed*, or from the order if that never came. While the session server is down
    nothing can be decided: that time is added. Under a profile whose expiry is not final, *offline* counts.
    """

    __slots__ = ("_down_us", "_downs")
    name: ClassVar[str] = "I9"
    needs: ClassVar[tuple[str, ...]] = ("server",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._downs: list[tuple[int, int]] = []
        self._down_us = -1

    def _down(self, _at: int, t_us: int, _source: str, _event: seen.ServerDown) -> None:
        self._down_us = t_us

    def _up(self, _at: int, t_us: int, _source: str, _event: seen.ServerUp) -> None:
        if self._down_us >= 0:
            self._downs.append((self._down_us, t_us))
            self._down_us = -1

    def finish(self) -> None:
        """Compare every order with its verdict."""
        if self._down_us >= 0:
            self._downs.append((self._down_us, self.context.end_us))
        for restart in self.context.verdicts.restarts:
            if restart.kind == "ordered" and restart.ordered_at >= 0:
                self._judge(restart)

    def _judge(self, restart: Restart) -> None:
        account = self.context.tracker.track(restart.session).account
        start_us = max(restart.ordered_us, restart.armed_us)
        down_us = sum(max(0, up - max(down, start_us)) for down, up in self._downs)
        limit_us = account.restart_limit_us + account.resume_window_us + SLACK_US
        deadline_us = start_us + limit_us + down_us + self.context.slack_us
        decided_us = restart.offline_us if restart.offline_us >= 0 else restart.decided_us
        head = f"restart {restart.number} of {restart.session}"
        if decided_us < 0 and self.context.end_us <= deadline_us and not self.context.complete:
            self.cannot_tell(
                "history too short",
                f"expected a verdict on {head} by {clock(deadline_us)}; seen: the history ends at "
                f"{clock(self.context.end_us)}; judge a complete history",
                restart.ordered_at,
            )
        elif decided_us < 0 or decided_us > deadline_us:
            when = "none by the end of the run" if decided_us < 0 else f"at {clock(decided_us)}"
            self.fail(
                restart.ordered_at,
                "no verdict in time",
                f"expected a verdict on {head}, ordered at {clock(restart.ordered_us)}, by {clock(deadline_us)} "
                f"(restart limit, resume window and 30 s); seen: {when}; check restart limit and window timers",
            )

    hears: ClassVar[Hears] = {seen.ServerDown: _down, seen.ServerUp: _up}


class ForeignIsLost(Check):
    """I11: a foreign boot never yields ``resumed`` (nor ``degraded``) unless the profile lets foreign restarts
    resume (rule 3)."""

    __slots__ = ()
    name: ClassVar[str] = "I11"
    needs: ClassVar[tuple[str, ...]] = ("server", "pc", "host call", "boot began")

    def finish(self) -> None:
        """Look at every foreign restart."""
        for restart in self.context.verdicts.restarts:
            account = self.context.tracker.track(restart.session).account
            if restart.kind == "foreign" and restart.resumed_at >= 0 and not account.foreign_resumes:
                self.fail(
                    restart.resumed_at,
                    "foreign restart resumed",
                    f"expected {restart.session} to be lost: pc-{restart.customer} booted at "
                    f"{clock(restart.asked_us)} by {restart.cause}, which no recorded intent of the agent covers; "
                    f"seen: resumed at {clock(restart.decided_us)}; check when a ticket becomes valid (rule 3)",
                )
