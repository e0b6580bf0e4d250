"""The event mix of the reference scenarios in docs/performance.md, counted from runs.

Run ``python -m tests.house.mix_page`` in the checkout to write the table anew.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rrsim.backends.sim.reference import REFERENCES
from rrsim.backends.sim.runner import run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- mix -->\n", "<!-- end mix -->"


def table() -> str:
    """Make the table: for each reference, with seed 1, dispatched events, history entries and their kinds."""
    columns = []
    for reference in REFERENCES:
        result = run(reference, seed=1)
        assert result.history is not None
        columns.append((result.events, Counter(type(entry[2]).__name__ for entry in result.history.entries)))
    kinds = sorted({kind for _, counts in columns for kind in counts})
    lines = [
        "| | " + " | ".join(r.name.removeprefix("reference-") for r in REFERENCES) + " |",
        "| --- |" + " --- |" * len(REFERENCES),
        "| **dispatched events** | " + " | ".join(f"**{events}**" for events, _ in columns) + " |",
        "| **history entries** | " + " | ".join(f"**{counts.total()}**" for _, counts in columns) + " |",
        *(f"| `{kind}` | " + " | ".join(str(counts[kind]) for _, counts in columns) + " |" for kind in kinds),
    ]
    return "\n".join(lines) + "\n"


def refreshed(page: str) -> str:
    """Return the page with the current table between its markers."""
    before, rest = page.split(BEGIN, maxsplit=1)
    after = rest.split(END, maxsplit=1)[1]
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
