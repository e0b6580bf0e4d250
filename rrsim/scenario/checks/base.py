"""What a check is, and the single pass that feeds all of them.

A check is a small object that hears the events it listens to, in one pass over a history, and says at the end what it
found. It declares the witnesses it needs: without one of them it says *unknown*, and so does a check that raises.
Checks see the world *before* the event: the tracker and the verdicts take an event into account after all checks.

Which check hears what is computed once, at import: an event that no check listens to costs one dict lookup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import msgspec

from rrsim.scenario.history import Header
from rrsim.scenario.result import CheckResult
from rrsim.scenario.tracker import SessionTrack, Tracker, customer_of_source
from rrsim.scenario.verdicts import Verdicts

Hears = Mapping[type[Any], Callable[[Any, int, int, str, Any], None]]
"""Event type -> method, called with (history index, time in microseconds, source, event)."""

SIM_BACKEND: Final = "sim"
LIVE_SLACK_US: Final = 2_000_000
"""How far observed times of a live backend may be off; the simulator's times are exact."""


def clock(t_us: int) -> str:
    """Write an observed time for people: ``9m59.999s``."""
    minutes, rest_us = divmod(t_us, 60_000_000)
    seconds = f"{rest_us / 1_000_000:.3f}".rstrip("0").rstrip(".")
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


class Context:
    """What all checks of one pass share."""

    __slots__ = ("allowed_residue", "complete", "end_us", "header", "slack_us", "tracker", "verdicts")

    def __init__(self, header: Header, allowed_residue: tuple[str, ...] = ()) -> None:
        self.header = header
        self.tracker = Tracker(header)
        self.verdicts = Verdicts(header, self.tracker)
        self.allowed_residue = allowed_residue
        self.end_us = 0
        """When the history ends; known only when the pass is over."""
        self.complete = False
        """Whether the run reached its end quietly; known only when the pass is over."""
        self.slack_us = 0 if header.backend == SIM_BACKEND else LIVE_SLACK_US

    def session_at(self, source: str) -> SessionTrack | None:
        """Return the newest session of the customer a source belongs to."""
        return self.tracker.latest.get(customer_of_source(source))

    def restarting(self, source: str) -> SessionTrack | None:
        """Return the session for which an agent restarts its PC: that of the recorded intent, while its order stands.

        A customer may ask for support anew while the request is already on its way to Windows.
        """
        pc = self.verdicts.witness(source)
        if pc.intent and self.verdicts.under_way(pc.intent_for) is not None:
            return self.tracker.sessions.get(pc.intent_for)
        return self.session_at(source)


class Check:
    """Base of all checks. A fresh object is made for every history."""

    __slots__ = ("__dict__", "context")

    name: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    """Source kinds (``server``, ``pc``) and event tags (``clicked``) this check cannot do without."""
    hears: ClassVar[Hears] = {}
    passed: ClassVar[CheckResult] = CheckResult(check="", outcome="passed")

    # Defaults of the class: most checks of most runs never set them, and a run has thirteen checks.
    found: CheckResult | None = None
    unsure: CheckResult | None = None
    note: str = ""
    """Something a reader should know although the check passes."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def __init_subclass__(cls) -> None:
        cls.passed = CheckResult(check=cls.name, outcome="passed")

    def fail(self, at: int, cause: str, message: str) -> None:
        """Report a violation at history index ``at``; the first one stands."""
        if self.found is None:
            self.found = CheckResult(check=self.name, outcome="failed", message=message, cause=cause, entry=at)

    def cannot_tell(self, cause: str, message: str, at: int = -1) -> None:
        """Report that this check could not decide; a violation found elsewhere counts more."""
        if self.unsure is None:
            self.unsure = CheckResult(check=self.name, outcome="unknown", message=message, cause=cause, entry=at)

    def finish(self) -> None:
        """The history is over: see ``context.end_us`` and ``context.complete``."""

    def result(self) -> CheckResult:
        """Return what was found."""
        if self.note:
            return self.found or self.unsure or msgspec.structs.replace(self.passed, message=self.note)
        return self.found or self.unsure or self.passed
