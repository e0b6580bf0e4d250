"""Expectations that rest on what nobody could see in a run: neither met nor missed, but *unknown*. Pure.

Invariants say so themselves (:mod:`rrsim.scenario.checks.base`). This does it for what a scenario expects: without
consoles *restart offered* is not false, and an event that cannot be seen did not happen *zero times*.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, get_args

from rrsim.protocol.messages import AgentMessage, ConsoleMessage, RepMessage, ServerMessage
from rrsim.protocol.records import AnyRecord
from rrsim.scenario.model import Expect
from rrsim.scenario.result import CheckResult
from rrsim.scenario.verdicts import NEEDS
from rrsim.scenario.vocabulary import EVENT_TYPES

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "verdict": NEEDS, "restart": NEEDS, "restarts": NEEDS, "session": ("server",), "asked": ("server",),
    "boots": ("pc", "boot began"), "sharing": ("pc", "screen capture"), "offered": ("console",),
    "left": ("pc", "inventory taken"),
}  # fmt: skip
"""First word after ``expect`` in a result's name, to what it rests on."""
_SOURCES: Final[tuple[tuple[Any, str], ...]] = (
    (AnyRecord, "server"), (AgentMessage, "wire"), (ServerMessage, "wire"), (RepMessage, "console"),
    (ConsoleMessage, "console"),
)  # fmt: skip


def _source(kind: type | None) -> str:
    return next((source for union, source in _SOURCES if kind in get_args(union)), "")


def _of_event(name: str) -> tuple[str, ...]:
    return tuple(need for need in (name, _source(EVENT_TYPES.get(name))) if need)


def as_unknown(
    results: Iterable[CheckResult], expect: Expect, unobserved: tuple[str, ...]
) -> tuple[CheckResult, ...]:
    """Return the results of a scenario's expectations, with those that lack a witness turned into *unknown*.

    ``unobserved`` are the kinds of sources and the event tags of :attr:`rrsim.scenario.history.Header.unobserved`.
    """
    out = []
    for result in results:
        _, what, *rest = result.check.split(" ")
        if what == "event":
            want = expect.events[int(rest[0].rstrip(":")) - 1]
            needs = _of_event(want.event) + (_of_event(want.before) if want.before is not None else ())
        else:
            needs = _FIELDS[what]
        missing = [need for need in dict.fromkeys(needs) if need in unobserved]
        if missing:
            message = f"expected {', '.join(missing)} in the history; seen: this run could not observe it"
            out.append(CheckResult(check=result.check, outcome="unknown", message=message, cause="witness missing"))
        else:
            out.append(result)
    return tuple(out)
