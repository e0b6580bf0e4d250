"""Exit codes: the product failed, could not tell, bad usage, the harness failed (``docs/cli.md``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rrsim.scenario.result import Outcome

OK: Final = 0
PRODUCT: Final = 1
UNKNOWN: Final = 2
USAGE: Final = 64
HARNESS: Final = 70

ORDER: Final = (PRODUCT, HARNESS, USAGE, UNKNOWN, OK)
"""Which code wins when several apply. Bad input stands after the harness: the design names only 1, 70 and 2."""

_OF_OUTCOME: Final[dict[Outcome, int]] = {
    "passed": OK,
    "known": OK,
    "skipped": OK,
    "failed": PRODUCT,
    "unknown": UNKNOWN,
    "error": HARNESS,
}


def exit_code(
    outcomes: Iterable[Outcome], *, bad_input: bool = False, interrupted: bool = False, stale_issues: bool = False
) -> int:
    """Return the exit code of a command from what its runs came to.

    Args:
        outcomes: one for every run.
        bad_input: some scenario file could not be used.
        interrupted: the command was stopped before all runs were done.
        stale_issues: a known issue has expired or its scenarios pass; the run fails until the list is put right.
    """
    codes = {_OF_OUTCOME[outcome] for outcome in outcomes}
    if stale_issues:
        codes.add(PRODUCT)
    if bad_input:
        codes.add(USAGE)
    if interrupted:
        codes.add(HARNESS)
    return worst(codes)


def worst(codes: Iterable[int]) -> int:
    """Return the code that wins among several."""
    there = set(codes)
    return next((code for code in ORDER if code in there), OK)
