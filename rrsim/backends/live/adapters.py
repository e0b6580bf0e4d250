"""Finding adapters: the entry point groups ``rrsim.agents`` and ``rrsim.servers`` (``docs/adapters.md``)."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from rrsim.machine.adapters import AdapterError

AGENTS: Final = "rrsim.agents"
SERVERS: Final = "rrsim.servers"


@cache
def _installed(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return what is installed; looked for once, until the places to look in change."""
    del path
    return {entry.name: entry for entry in entry_points(group=group)}


def load(group: str, name: str) -> Any:
    """Return a new adapter of this name from an entry point group.

    Raises:
        AdapterError: there is none, or it cannot be loaded; the message lists those that are installed.
    """
    found = _installed(group, tuple(sys.path))
    if name not in found:
        there = ", ".join(sorted(found)) or "none"
        raise AdapterError(
            f"expected an adapter {name!r} in the entry point group {group}; installed: {there}; install the package "
            "that provides it, or see docs/adapters.md"
        )
    try:
        return found[name].load()()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise AdapterError(f"the adapter {name!r} of {group} cannot be loaded: {why}") from error
