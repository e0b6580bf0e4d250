"""What a session left behind: the difference between two inventories of a machine (rule 7, I7).

An inventory is a tuple of names of everything a session could leave behind, taken by a witness outside the agent: once
before the agent joins, once after the end. The agent is never asked.
"""

from __future__ import annotations

from typing import Final

MISSING: Final = "missing:"
"""Prefix for what was there before and is no longer: an owner's own setting must stay (rule 7)."""


def difference(before: tuple[str, ...], after: tuple[str, ...], allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the sorted names that ``after`` has and ``before`` had not, and ``missing:NAME`` for those it lost.

    ``allowed`` names differences that are expected, in the same form as they are returned.
    """
    had, has = set(before), set(after)
    found = (has - had) | {MISSING + name for name in had - has}
    return tuple(sorted(found - set(allowed)))


def left_behind(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    """Return only what was added: the residue proper."""
    return tuple(sorted(set(after) - set(before)))
