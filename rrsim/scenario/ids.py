"""The ids a scenario may cite: requirements, constraints, rules, invariants and edge cases.

Source: ``requirements.md`` and ``edge-cases.md`` of the specification. Ids are never reused.
"""

from __future__ import annotations

from typing import Final

KNOWN_REQUIREMENTS: Final = (
    *(f"R{n}" for n in range(1, 15)),
    *(f"C{n}" for n in range(1, 6)),
    *(f"I{n}" for n in range(1, 14)),
    *(f"rule {n}" for n in range(1, 15)),
)
"""What ``covers:`` may name."""

INVARIANTS: Final = tuple(f"I{n}" for n in range(1, 14))

EDGE_CASES: Final = (
    "IN-01", "IN-02", "IN-03", "IN-04", "IN-05", "IN-06", "IN-07", "IN-08", "IN-09", "IN-10", "IN-11", "IN-12",
    "CO-01", "CO-02", "CO-03", "CO-04", "CO-05", "CO-06", "CO-07", "CO-08", "CO-10", "CO-11", "CO-13", "CO-14",
    "SH-01", "SH-02", "SH-03", "SH-04", "SH-06", "SH-07", "SH-08", "SH-09", "SH-10",
    "BO-01", "BO-03", "BO-04", "BO-05", "BO-06", "BO-07", "BO-08", "BO-09", "BO-10", "BO-11", "BO-12", "BO-13",
    "BO-14",
    "LO-01", "LO-02", "LO-03", "LO-04", "LO-05", "LO-06", "LO-07", "LO-08", "LO-10", "LO-11", "LO-12", "LO-13",
    "LO-14", "LO-15", "LO-16", "LO-17",
    "NE-01", "NE-02", "NE-03", "NE-04", "NE-05", "NE-06", "NE-08", "NE-09", "NE-10", "NE-11", "NE-12", "NE-13",
    "NE-14",
    "RE-01", "RE-02", "RE-03", "RE-05", "RE-06", "RE-07", "RE-08", "RE-09", "RE-10", "RE-11",
    "EX-01", "EX-02", "EX-04", "EX-05", "EX-06", "EX-07", "EX-08",
    "SE-01", "SE-02", "SE-03", "SE-04", "SE-05", "SE-06", "SE-07", "SE-09", "SE-10", "SE-11", "SE-12",
    "SM-01", "SM-02", "SM-03", "SM-04", "SM-05", "SM-06", "SM-07", "SM-08", "SM-09", "SM-10", "SM-11", "SM-12",
    "SM-13", "SM-15", "SM-16", "SM-17", "SM-18",
    "PL-01", "PL-02", "PL-03", "PL-04", "PL-05", "PL-06",
)
"""What ``edge cases:`` may name, in the order of the list."""
