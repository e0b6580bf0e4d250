"""What a search found, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from rrsim.explore.model import Model
from rrsim.explore.search import Report


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
        yield f"  never occurred, and must: {', '.join(report.never)}"
    yield f"  {model.about}"
    budget = model.budget
    spent = ", ".join(f"{name} {getattr(budget, name)}" for name in budget.__struct_fields__ if getattr(budget, name))
    yield f"  bounds: {spent}; queues of at most {model.queue} messages"
    yield (
        f"  {report.states} states, {report.transitions} transitions, {report.ends} ends, depth {report.depth}, "
        f"{report.bytes_per_state} bytes a state"
    )
    yield f"  distinct states: {', '.join(f'{name} {count}' for name, count in report.parts.items())}"
    yield f"  checked on every state: {', '.join(model.invariants)}"
    yield f"  reached: {', '.join(f'{name} {count}' for name, count in report.reached.items())}"
    yield from (f"  left out: {what}" for what in model.left_out)
