"""How fast the exhaustive search is, and what a state costs: exact states and fingerprints side by side in one run.

Every measurement is a process of its own, so that memory is what one search holds and nothing is left from another.
Time is the processor's for that process: a search uses one core, and a busy computer must not count as a slow search.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from rrsim.cli.bench import Figure
from rrsim.cli.clock import elapsed_s
from rrsim.cli.errors import environment_error, say

MODEL: Final = "application-deep"
"""Larger than all limits below, so that every measurement is of as many states."""
STATES: Final = 1_000_000
LARGE: Final = 5_000_000
ROUNDS: Final = 3
RATE_FLOOR: Final = 100_000
RATE_GOAL: Final = 200_000
EXACT_BYTES: Final = 200
PRINT_BYTES: Final = 100
LARGE_S: Final = 60.0
SPIN: Final = Path("tests/explore/spin/rate")
"""A program that prints how many states a second SPIN goes through, on the same computer: the slot beside ours."""
_LIMIT_S: Final = 1_800


class Measured(msgspec.Struct, frozen=True):
    """One search in a process of its own."""

    states: int
    transitions: int
    processor_s: float
    wall_s: float
    grown_bytes: int
    learned: int


def measure(states: int = STATES, large: int = LARGE, rounds: int = ROUNDS) -> Iterator[Figure]:
    """Yield the figures one by one, as they are measured.

    Args:
        states: how many states the rates are measured over.
        large: how many states memory and the whole time are measured over.
        rounds: how many rounds a median is taken over.

    Raises:
        CommandError: a search did not come to its end.
    """
    exact, prints = [], []
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}: {states:,} states of {MODEL}, exact and as fingerprints")
        exact.append(in_a_process(states, fingerprints=False))
        prints.append(in_a_process(states, fingerprints=True))
    ratio = statistics.median(_rate(e) / _rate(p) for e, p in zip(exact, prints, strict=True))
    yield _speed("search, exact states", exact, ratio, "fingerprints", RATE_FLOOR)
    # Fingerprints buy memory with time: what they must hold is the memory.
    yield _speed("search, fingerprints", prints, 1 / ratio, "exact states", None)
    yield Figure(
        name="search, transitions", value=round(statistics.median(m.transitions / m.processor_s for m in exact)),
        unit="1/s", better="higher", note=f"{exact[0].transitions / exact[0].states:.1f} for each state",
    )
    whole = {}
    for fingerprints in (False, True):
        say(f"  {large:,} states, {'fingerprints' if fingerprints else 'exact'}")
        whole[fingerprints] = in_a_process(large, fingerprints=fingerprints)
    yield from _of_large(whole[False], whole[True])
    yield _spin(statistics.median(map(_rate, exact)))


def _rate(measured: Measured) -> float:
    return measured.states / measured.processor_s


def _speed(name: str, found: list[Measured], ratio: float, against: str, floor: float | None) -> Figure:
    rates = [_rate(measured) for measured in found]
    wall = statistics.median(measured.states / measured.wall_s for measured in found)
    return Figure(
        name=name, value=round(statistics.median(rates)), unit="states/s", floor=floor, goal=RATE_GOAL,
        better="higher", ratio=round(ratio, 3), against=against,
        note=f"one core, {found[0].states:,} states of {MODEL}, {found[0].learned:,} moves worked out; spread "
        f"{min(rates):,.0f}..{max(rates):,.0f}; {wall:,.0f} by the clock on the wall",
    )


def _of_large(exact: Measured, prints: Measured) -> Iterator[Figure]:
    sizes = {name: m.grown_bytes / m.states for name, m in (("exact", exact), ("fingerprints", prints))}
    for name, floor in (("exact", EXACT_BYTES), ("fingerprints", PRINT_BYTES)):
        other = "fingerprints" if name == "exact" else "exact"
        yield Figure(
            name=f"memory of a state, {name}", value=round(sizes[name], 1), unit="bytes", floor=floor,
            ratio=round(sizes[name] / sizes[other], 3), against=other,
            note=f"growth of the process over {exact.states:,} states, tables of all parts included",
        )
    yield Figure(
        name=f"{exact.states:,} states", value=round(exact.processor_s, 1), unit="s", floor=LARGE_S,
        ratio=round(exact.processor_s / prints.processor_s, 3), against="fingerprints",
        note=f"exact; {exact.wall_s:.1f} s by the clock on the wall",
    )


def _spin(ours: float) -> Figure:
    """Return SPIN's rate beside ours, where its model and the program are there."""
    if not (SPIN.exists() and shutil.which("spin")):
        return Figure(name="SPIN beside it", value=0, unit="states/s", note=f"not measured: no spin, or no {SPIN}")
    answer = subprocess.run([str(SPIN)], check=False, capture_output=True, text=True, timeout=_LIMIT_S)
    try:
        rate = float(answer.stdout.split()[-1])
    except (IndexError, ValueError):
        return Figure(name="SPIN beside it", value=0, unit="states/s", note=f"not measured: {answer.stderr[-200:]}")
    return Figure(
        name="SPIN beside it", value=round(rate), unit="states/s", better="higher", ratio=round(rate / ours, 3),
        against="our exact states", note="another, smaller model of this protocol: engines are compared, not models",
    )


# --- one measurement --------------------------------------------------------------------------------------------


def in_a_process(states: int, *, fingerprints: bool) -> Measured:
    """Search so many states in a fresh process and return what it took.

    Raises:
        CommandError: the search did not come to its end.
    """
    command = [sys.executable, "-m", "rrsim.cli.bench_search", str(states), "fingerprints" if fingerprints else "exact"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_LIMIT_S)
    if answer.returncode:
        raise environment_error(
            f"a search of {states:,} states", answer.stderr.strip()[-500:] or f"exit code {answer.returncode}",
            "a computer with more memory",
        )
    return msgspec.json.decode(answer.stdout, type=Measured)


def _child(states: int, *, fingerprints: bool) -> Measured:
    """Search in this process and return what it took, importing and learning included."""
    from rrsim.explore.models import named
    from rrsim.explore.report import Limits
    from rrsim.explore.search import run

    begun_s, begun_processor_s = elapsed_s(), _processor_s()
    report = run(named(MODEL), limits=Limits(states=states), fingerprints=fingerprints)
    return Measured(
        report.states, report.transitions, _processor_s() - begun_processor_s, elapsed_s() - begun_s,
        report.grown_bytes, report.learned,
    )


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(_child(int(sys.argv[1]), fingerprints=sys.argv[2] == "fingerprints")))
