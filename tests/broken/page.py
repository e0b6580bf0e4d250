"""The table of deliberate bugs in docs/broken-agents.md, made from the catalogue and from a hunt.

Run ``python -m tests.broken.page`` in the checkout to write the table anew. The first four columns come from the
catalogue. The last one names one scenario that catches the bug; the tests run just that scenario to see that it is
still true, so that a new scenario elsewhere does not make the page out of date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rrsim.broken.bug import Bug
from rrsim.broken.catalogue import BUGS
from rrsim.broken.hunt import Catch, HuntResult, hunt_all
from rrsim.scenario.loader import load_paths
from rrsim.scenario.model import Scenario

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "broken-agents.md"
BEGIN, END = "<!-- bugs -->\n", "<!-- end bugs -->"
HEAD = ("bug", "where", "what is wrong", "what it breaks", "caught by")
CHECKS_SHOWN = 3


def scenarios() -> tuple[Scenario, ...]:
    """Return every case of the checkout."""
    return load_paths((ROOT / "scenarios",)).scenarios


def clearest(bug: Bug, result: HuntResult) -> Catch:
    """Return the catch that shows best what the bug breaks: by an invariant it names, if one noticed it.

    Raises:
        ValueError: nothing caught the bug.
    """
    if not result.caught:
        raise ValueError(f"expected every bug to be caught, saw {bug.name!r} survive; run 'rrsim broken'")
    return max(result.catches, key=lambda catch: len({*catch.checks} & {*bug.breaks}))


def row(bug: Bug, catch: Catch) -> str:
    """Write one line of the table."""
    shown = ", ".join(catch.checks[:CHECKS_SHOWN])
    cells = (bug.name, bug.where, bug.about, ", ".join(bug.breaks), f"`{catch.scenario}`: {shown}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def table(catches: Mapping[str, Catch], bugs: Sequence[Bug] = BUGS) -> str:
    """Make the table; a bug without a catch has none to name, and the page cannot be made."""
    lines = [f"| {' | '.join(HEAD)} |\n", f"|{' --- |' * len(HEAD)}\n"]
    return "".join((*lines, *(row(bug, catches[bug.name]) for bug in bugs)))


def refreshed(page: str, catches: Mapping[str, Catch]) -> str:
    """Return the page with the table between its markers made from these catches."""
    before, rest = page.split(BEGIN, maxsplit=1)
    return f"{before}{BEGIN}{table(catches)}{END}{rest.split(END, maxsplit=1)[1]}"


def rows(page: str) -> list[list[str]]:
    """Return the cells of each line of the page's table."""
    return cells(page.split(BEGIN, maxsplit=1)[1].split(END, maxsplit=1)[0])


def cells(table: str) -> list[list[str]]:
    """Return the cells of each line of a table, without its head."""
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


if __name__ == "__main__":
    found = {bug.name: clearest(bug, result) for bug, result in zip(BUGS, hunt_all(scenarios()), strict=True)}
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
