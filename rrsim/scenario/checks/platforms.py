"""I8, I10: what must not be done to a PC of the wrong kind."""

from __future__ import annotations

from typing import ClassVar

from rrsim.machine import observations as seen
from rrsim.protocol import records as r
from rrsim.scenario.checks.base import Check, Hears, clock


class NoMacRestart(Check):
    """I8: a Mac is never restarted (R10); it is not even told to."""

    __slots__ = ()
    name: ClassVar[str] = "I8"
    needs: ClassVar[tuple[str, ...]] = ("server",)

    def _ordered(self, at: int, t_us: int, _source: str, record: r.OrderGiven) -> None:
        if self.context.tracker.track(record.session).platform == "mac":
            self.fail(
                at,
                "mac told to restart",
                f"expected no order in {record.session}, whose customer has a Mac; seen: order {record.restart} at "
                f"{clock(t_us)}; check the refusal by platform (R10)",
            )

    def _began(self, at: int, t_us: int, source: str, event: seen.RestartBegan | seen.BootBegan) -> None:
        track = self.context.session_at(source)
        if event.cause == "agent" and track is not None and track.platform == "mac":
            self.fail(
                at,
                "mac restarted",
                f"expected the Mac of {track.session} to keep running; seen: restarted by the agent at {clock(t_us)}; "
                "check the agent's refusal by platform (R10)",
            )

    hears: ClassVar[Hears] = {r.OrderGiven: _ordered, seen.RestartBegan: _began, seen.BootBegan: _began}


class SafeModeForServices(Check):
    """I10: safe mode only in service mode (R2). An owner's own safe-boot flag is not ours and is not judged."""

    __slots__ = ()
    name: ClassVar[str] = "I10"
    needs: ClassVar[tuple[str, ...]] = ("server", "pc", "host call")

    def _ordered(self, at: int, t_us: int, _source: str, record: r.OrderGiven) -> None:
        track = self.context.tracker.track(record.session)
        if record.boot_mode == "safe" and track.mode != "service":
            self.fail(
                at,
                "safe mode ordered in application mode",
                f"expected a refusal: the agent of {record.session} runs in application mode; seen: an order into "
                f"safe mode at {clock(t_us)}; check the refusal by mode (R2)",
            )

    def _called(self, at: int, t_us: int, source: str, event: seen.HostCall) -> None:
        if not event.ok or event.verb not in ("boot flag set", "safe boot key registered"):
            return
        track = self.context.session_at(source)
        if track is not None and track.joined and track.mode != "service":
            self.fail(
                at,
                "safe mode armed in application mode",
                f"expected the agent on {source} to leave the boot options alone in application mode; seen: "
                f"{event.verb} at {clock(t_us)}; check what arming does in which mode (R2)",
            )

    hears: ClassVar[Hears] = {r.OrderGiven: _ordered, seen.HostCall: _called}
