"""The table of named draws in docs/scenarios.md, made from what the modelled parts declare.

Run ``python -m tests.house.draws_page`` in the checkout to write the table anew.
"""

from __future__ import annotations

from pathlib import Path

from rrsim.backends.sim.draws import known_draws
from rrsim.scenario.durations import write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scenarios.md"
BEGIN, END = "<!-- draws -->\n", "<!-- end draws -->"


def table() -> str:
    """Make the table: name, shortest and longest duration; all are drawn evenly in between."""
    lines = ["| draw | shortest | longest |", "| --- | --- | --- |"]
    for name, (lo_us, hi_us) in sorted(known_draws().items()):
        if name == "agent retry jitter":
            continue  # a share, not a duration
        lines.append(f"| `{name}` | {write(lo_us)} | {write(hi_us)} |")
    return "\n".join(lines) + "\n"


def refreshed(page: str) -> str:
    """Return the page with the current table between its markers."""
    before, rest = page.split(BEGIN, maxsplit=1)
    after = rest.split(END, maxsplit=1)[1]
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
