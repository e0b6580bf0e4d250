"""The record of a night: its steps, what each came to, and what they come to together. Pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from rrsim.cli.exit_codes import HARNESS, OK, PRODUCT, UNKNOWN, USAGE, worst

RECORD: Final = "night.json"
State = Literal["running", "ended", "timed out", "not run", "stopped"]
Kind = Literal["rrsim", "pytest", "make"]


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a night."""

    name: str
    part: str
    command: tuple[str, ...]
    state: State
    limit_s: float
    counts: bool = True
    """False for second tries: they tell a flake from a failure and decide nothing."""
    code: int = OK
    """What it came to, in rrsim's exit codes."""
    own_code: int | None = None
    """What its program ended with."""
    seconds: float = 0.0
    log: str = ""
    note: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One night, as ``night.json`` keeps it."""

    night: str
    began: str
    """UTC, ISO 8601."""
    ended: str = ""
    """Empty: it is going on, or was killed."""
    commit: str = ""
    rrsim: str = ""
    processors: int = 0
    steps: tuple[StepRecord, ...] = ()
    exit_code: int | None = None
    """Nothing while it is going on."""


def code_of(kind: Kind, own: int, log_end: str) -> int:
    """Return what a program's end means in rrsim's exit codes.

    pytest's 1 is a failed test; anything else it says but 0 is the harness. ``make`` hides what its recipe ended with:
    its last ``Error N`` in the log tells it.
    """
    if own == OK:
        return OK
    if kind == "make":
        marked = [line.rpartition(" Error ")[2].split()[:1] for line in log_end.splitlines()
                  if line.startswith("make") and ": *** [" in line and " Error " in line]
        inner = marked[-1][0] if marked and marked[-1] else ""
        own = int(inner) if inner.isdigit() else HARNESS
    if kind == "pytest":
        return PRODUCT if own == 1 else HARNESS
    return own if own in (PRODUCT, UNKNOWN, USAGE, HARNESS) else HARNESS


def night_code(steps: tuple[StepRecord, ...]) -> int:
    """Return what the steps come to together. Second tries do not count; a night without a step is no success."""
    counted = [step for step in steps if step.counts]
    return worst(step.code for step in counted) if counted else HARNESS
