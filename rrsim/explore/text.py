"""What a search found, as lines for people and as data for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from rrsim.explore.model import Model
from rrsim.explore.report import Report

_MISFORTUNES: Final = {
    "sudden": "power cuts, crashes or deaths of a process", "losses": "lost connections",
    "failures": "failed attempts to connect", "troubles": "withdrawn privileges or closed chat windows",
    "foreign": "restarts from the start menu", "chats": "chat lines", "cancels": "cancelled reconnects",
    "duplicates": "doubled messages", "refusals": "denials or full disks", "strangers": "visits of a second machine",
}  # fmt: skip


def lines(model: Model, report: Report) -> Iterator[str]:
    """Yield the report: what was found first, then what was covered, then what the bounds leave out."""
    yield f"model {report.model}: {report.outcome}"
    for violation in report.violations:
        yield ""
        yield f"{violation.invariant} is broken after {violation.depth} moves: {violation.message}"
        yield from (f"  {line}" for line in violation.trace)
        yield ""
    if not report.complete:
        yield f"  incomplete: {report.why_not}"
    if report.never:
        yield f"  {'never occurred' if report.complete else 'not met so far'}, and must: {', '.join(report.never)}"
    yield f"  {model.about}"
    yield f"  bounds: {in_words(model)}"
    yield f"  covered: {covered(report)}"
    yield (
        f"  {report.states} states, {report.transitions} transitions, {report.ends} ends, depth {report.depth}, "
        f"{report.bytes_per_state} bytes a state ({report.kept})"
    )
    yield f"  distinct states: {', '.join(f'{name} {count}' for name, count in report.parts.items())}"
    yield f"  checked on every state: {', '.join(model.invariants)}"
    yield f"  {_liveness(model, report)}"
    yield f"  reached: {', '.join(f'{name} {count}' for name, count in report.reached.items())}"
    yield from (f"  left out: {what}" for what in left_out(model, report))


def in_words(model: Model) -> str:
    """Write a model's bounds in numbers and words."""
    budget = model.budget
    customers = f"{model.customers} customers" if model.customers > 1 else "1 customer"
    found = [customers, f"at most {budget.asks} {'restarts' if budget.asks != 1 else 'restart'} ordered"]
    kinds = [f"{_MISFORTUNES[kind]} {getattr(budget, kind)}" for kind in _MISFORTUNES if getattr(budget, kind)]
    if kinds:
        found.append(f"at most {budget.faults} of these in all: {', '.join(kinds)}")
    found.append(f"at most {model.queue} messages on their way in one direction")
    return "; ".join(found)


def covered(report: Report) -> str:
    """Say how far a search came."""
    if report.complete and not report.violations:
        return "every state within the bounds, each once"
    if report.complete:
        return "every state within the bounds that is met before something is broken"
    return (
        f"every state within {report.whole_depth} moves of the start; {report.expanded} of the {report.states} states "
        "met were followed further"
    )


def _liveness(model: Model, report: Report) -> str:
    if "I9" not in model.invariants:
        return "not checked: whether every restart is decided in the end"
    if report.settled:
        return "from every state due events lead to an end in which each restart is decided on both sides (I9)"
    return "not known: whether every state leads to an end (I9); only the ends that were met are judged"


def left_out(model: Model, report: Report) -> Sequence[str]:
    """Return what a search says nothing about: what its bounds exclude, and what it kept too little of to know."""
    absent = [_MISFORTUNES[kind] for kind in _MISFORTUNES if not getattr(model.budget, kind)]
    found = [*model.left_out]
    if absent:
        found.insert(0, f"none of: {', '.join(absent)}")
    if report.kept == "fingerprints":
        pairs = report.states * report.states / 2 ** 64
        found.append(f"states that share 64 bits with another one: a chance of {pairs:.0e} that there is one")
    return found


def as_data(model: Model, report: Report) -> dict[str, Any]:
    """Return everything a report says, for JSON."""
    told = [msgspec.to_builtins(replace(one, way=())) for one in report.violations]
    for one in told:
        del one["way"]  # the trace says it for readers
    data: dict[str, Any] = msgspec.to_builtins(replace(report, violations=())) | {"violations": told}
    return {
        **data, "outcome": report.outcome, "about": model.about, "bounds": msgspec.to_builtins(model.budget),
        "covered": covered(report), "invariants": list(model.invariants), "left_out": list(left_out(model, report)),
    }  # fmt: skip
