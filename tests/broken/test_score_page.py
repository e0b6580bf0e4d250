"""The score's table in docs/exploration.md speaks of every bug, and its summary counts what it shows."""

from __future__ import annotations

from rrsim.broken.catalogue import BUGS
from tests.broken.page import ROOT, cells

TEXT = (ROOT / "docs" / "exploration.md").read_text(encoding="utf-8")
HEAD = "| bug | scenario | search: states | swarm: seeds, steps |\n"
ROWS = cells(HEAD + TEXT.partition(HEAD)[2])
AGAIN = "run: rrsim broken --by scenarios,search,swarm --format markdown"


def test_every_bug_has_a_row() -> None:
    assert [row[0] for row in ROWS] == [bug.name for bug in BUGS], AGAIN


def test_the_summary_counts_the_table() -> None:
    search, swarm = (sum(row[at] != "-" for row in ROWS) for at in (2, 3))
    alone = sum(row[2] == row[3] == "-" for row in ROWS)
    assert all(row[1] != "-" for row in ROWS)
    said = " ".join(TEXT.split())
    assert f"All {len(ROWS)} bugs of the catalogue are found by scenarios, {swarm} by the swarm" in said
    assert f"{search} by the search within its standard models; {alone} by scenarios alone" in said
