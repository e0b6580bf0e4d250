"""Two runs of one case beside each other: what both sides' witnesses saw, and every difference between them. Pure.

Each witness's events are aligned on their own (longest common subsequence). A difference that is known and has a reason
(:mod:`rrsim.report.fidelity`) is shown as explained; any other makes the comparison come out *different*. A comparison
that compared nothing proves nothing: it comes out *empty*.
"""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import Any, Final, Literal

import msgspec

from rrsim.report import fidelity
from rrsim.report.phrases import plural, span
from rrsim.report.witnessed import STANDS_IN, UNTAKEN, WITNESSES, Event, Key, Witnessed, witnessed
from rrsim.scenario.observed import Seen
from rrsim.scenario.result import RunResult

WIDTH: Final = 62
"""Characters of one side, side by side."""
ESSENTIAL: Final = ("server", "wire", "power", "verdicts", "residue")
"""Witnesses without a single event of which a comparison is empty."""


class Difference(msgspec.Struct, frozen=True, gc=False):
    """One place at which the witnesses of the two sides do not agree."""

    witness: str
    lane: str
    """Which window, which thing on the disk, which direction; empty: the witness has one order."""
    customer: int
    left: tuple[Event, ...]
    right: tuple[Event, ...]
    explained: str = ""
    """Name of the known difference, if it is one."""


class Comparison(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What came of comparing two runs."""

    scenario: str
    left: str
    right: str
    """Names of the backends."""
    compared: dict[str, int]
    """Kind of event to how many were held against each other and agreed."""
    witnesses: dict[str, int]
    """Witness to how many of its events agreed."""
    differences: tuple[Difference, ...]
    durations: tuple[Seen, ...] = ()
    """Durations of the machine that the simulator was given for this; empty: it went by its own."""
    differed_before: int = 0
    """How many differences that nobody has explained there were with the simulator's own durations."""
    essential: tuple[str, ...] = ESSENTIAL
    """Witnesses without a single event of which the comparison is empty."""
    not_compared: tuple[tuple[str, int, str], ...]
    """Kind of event, how many there were on both sides together, and why they were left out."""

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        """Differences that nobody has given a reason for."""
        return tuple(one for one in self.differences if not one.explained)

    @property
    def outcome(self) -> Literal["equal", "different", "empty"]:
        """What it came to."""
        if self.unexplained:
            return "different"
        return "empty" if self.missing else "equal"

    @property
    def missing(self) -> tuple[str, ...]:
        """Essential witnesses none of whose events were compared."""
        return tuple(name for name in self.essential if not self.witnesses.get(name))


def compare(left: RunResult, right: RunResult) -> Comparison:
    """Compare two runs of the same case.

    Raises:
        ValueError: they are not of one case, or a history is missing.
    """
    if left.scenario.id != right.scenario.id:
        raise ValueError(f"expected two runs of one case, saw {left.scenario.id!r} and {right.scenario.id!r}")
    left_out = _decided_by_stand_ins((*left.stand_ins, *right.stand_ins))
    one, other = witnessed(left, frozenset(left_out)), witnessed(right, frozenset(left_out))
    compared: Counter[str] = Counter()
    witnesses: Counter[str] = Counter()
    differences: list[Difference] = []
    for key in sorted({*one.streams, *other.streams}, key=lambda k: (WITNESSES.index(k[0]), *k[1:])):
        same, differ = _aligned(key, one.streams.get(key, ()), other.streams.get(key, ()))
        for event in same:
            compared[event.kind] += 1
            witnesses[key[0]] += 1
        differences += differ
    mac = left.scenario.given.platform == "mac"
    mode = "mac" if mac else left.scenario.given.agent
    explained = tuple(fidelity.explain(one.backend, other.backend, mode, each) for each in differences)
    return Comparison(
        scenario=left.scenario.id, left=one.backend, right=other.backend, compared=dict(sorted(compared.items())),
        witnesses={name: witnesses[name] for name in WITNESSES if witnesses[name]},
        differences=tuple(
            msgspec.structs.replace(one, explained=why) for one, why in zip(differences, explained, strict=True)
        ),
        essential=tuple(name for name in ESSENTIAL if not (mac and name == "power")),  # a Mac is never restarted (R10)
        not_compared=_not_compared(one, other, left_out),
    )


def _decided_by_stand_ins(stand_ins: tuple[str, ...]) -> dict[str, str]:
    """Return the kinds of events that a stand-in of these runs decided, with the reason."""
    return {
        kind: why for kind, (word, why) in STANDS_IN.items() if any(word in name for name in stand_ins)
    }


def _not_compared(one: Witnessed, other: Witnessed, left_out: dict[str, str]) -> tuple[tuple[str, int, str], ...]:
    counts = Counter(one.untaken) + Counter(other.untaken)
    reasons = {**UNTAKEN, **left_out, "console": "consoles of several customers arrive in any order"}
    return tuple(
        (kind, counts[kind], reasons.get(kind, "no witness for it on every backend")) for kind in sorted(counts)
    )


def _aligned(
    key: Key, left: tuple[Event, ...], right: tuple[Event, ...]
) -> tuple[list[Event], list[Difference]]:
    """Align the events of one witness; return those that agree, and the places that do not."""
    matcher = SequenceMatcher(None, [e.text for e in left], [e.text for e in right], autojunk=False)
    same: list[Event] = []
    differences: list[Difference] = []
    for verb, a, b, c, d in matcher.get_opcodes():
        if verb == "equal":
            same += left[a:b]
        else:
            differences.append(Difference(*key, left[a:b], right[c:d]))
    return same, differences


# --- for people and for programs --------------------------------------------------------------------------------


def text(comparison: Comparison) -> str:
    """Return a comparison as a person reads it: what was compared, what differs, what was left out and why."""
    c = comparison
    lines = [f"{c.scenario}: {c.left} and {c.right}: {c.outcome}"]
    if c.durations:
        lines += _wrapped(
            f"  {plural(c.differed_before, 'difference')} with the model's own durations; with the machine's: ",
            [f"{one.draw} {span(one.us)}" for one in c.durations],
        )
    total = sum(c.compared.values())
    lines.append(f"  {total} events agree: " + (_listed(c.witnesses) or "none"))
    if c.compared:
        lines += _wrapped("  kinds: ", [f"{kind} {count}" for kind, count in c.compared.items()])
    if c.missing:
        lines.append(f"  NOTHING COMPARED of: {', '.join(c.missing)}; a comparison without them proves nothing")
    for difference in c.differences:
        lines += _side_by_side(difference, c.left, c.right)
    if c.not_compared:
        lines.append("  not compared:")
        lines += [f"    {kind} ({count}): {why}" for kind, count, why in c.not_compared]
    return "\n".join(lines)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _wrapped(first: str, words: list[str]) -> list[str]:
    lines, line = [], first
    for word in words:
        if len(line) + len(word) > 2 * WIDTH and line.strip():
            lines.append(line.rstrip(", ") + ",")
            line = " " * len(first)
        line += f"{word}, "
    return [*lines, line.rstrip(", ")]


def _side_by_side(difference: Difference, left: str, right: str) -> list[str]:
    where = difference.witness + (f", {difference.lane}" if difference.lane else "")
    where += f", customer {difference.customer}" if difference.customer else ""
    known = f"explained: {difference.explained}" if difference.explained else "DIFFERENT"
    lines = [f"  {known}: {where}", f"    {left:<{WIDTH}} | {right}"]
    for index in range(max(len(difference.left), len(difference.right))):
        sides = []
        for events in (difference.left, difference.right):
            there = events[index] if index < len(events) else None
            sides.append(f"{there.t_us / 1e6:9.3f} {there.text}" if there else "")
        lines.append(f"    {sides[0]:<{WIDTH}} | {sides[1]}".rstrip())
    if difference.explained:
        lines.append(f"    because: {fidelity.BY_NAME[difference.explained].reason}")
    return lines


def plain(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain data for ``--format json``."""
    c = comparison
    return {
        "scenario": c.scenario, "backends": [c.left, c.right], "outcome": c.outcome, "compared": c.compared,
        "durations": {one.draw: one.us for one in c.durations}, "differed_before": c.differed_before,
        "witnesses": c.witnesses,
        "differences": [
            {
                "witness": one.witness, "lane": one.lane, "customer": one.customer, "explained": one.explained,
                c.left if c.left != c.right else "left": [e.text for e in one.left],
                c.right if c.left != c.right else "right": [e.text for e in one.right],
            }
            for one in c.differences
        ],
        "not_compared": [{"kind": kind, "count": count, "reason": why} for kind, count, why in c.not_compared],
    }
