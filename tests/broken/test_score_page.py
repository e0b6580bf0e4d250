"""The score's table in docs/exploration.md speaks of every bug, and its summary counts what it shows."""

from __future__ import annotations

from rrsim.broken.catalogue import BUGS
from tests.broken.page import ROOT

TEXT = (ROOT / "docs" / "exploration.md").read_text(encoding="utf-8")
HEAD = "| bug | scenario | search: states | swarm: seeds, steps |\n"
AGAIN = "run: rrsim broken --by scenarios,search,swarm --format markdown"


def rows() -> list[list[str]]:
    """Return the cells of the table."""
    table = TEXT.partition(HEAD)[2]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:2] == "| "
            and not line.startswith("| ---")]


def test_every_bug_has_a_row() -> None:
    assert [cells[0] for cells in rows()] == [bug.name for bug in BUGS], AGAIN


def test_the_summary_counts_the_table() -> None:
    found = rows()
    search, swarm = (sum(cells[at] != "-" for cells in found) for at in (2, 3))
    alone = sum(cells[2] == cells[3] == "-" for cells in found)
    assert all(cells[1] != "-" for cells in found)
    said = " ".join(TEXT.split())
    assert f"All {len(found)} bugs of the catalogue are found by scenarios, {swarm} by the swarm" in said
    assert f"{search} by the search within its standard models; {alone} by scenarios alone" in said
