"""How the parts of a world with a broken session server are made."""

# ruff: noqa: SLF001 - a bug sits where the product's own decision is taken, and that is private
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rrsim.backends.sim.compiled import Parts
from rrsim.broken.bug import Bug, Patch, changed_effects, patched
from rrsim.server import _state, core
from rrsim.server._state import Durable

Change = Callable[[Durable, Any], Durable]
"""What a record does to a session's durable state."""


def server_bug(name: str, about: str, breaks: tuple[str, ...], parts: Callable[[], Parts]) -> Bug:
    """Return a bug of the session server."""
    return Bug(name=name, about=about, where="server", breaks=breaks, parts=parts)


def with_patches(*patches: Patch) -> Callable[[], Parts]:
    """Return what makes parts whose server has its own functions or constants replaced."""
    return lambda: Parts(server=patched(core.step, *patches))


def with_records(changes: Mapping[type[Any], Change], *patches: Patch) -> Callable[[], Parts]:
    """Like :func:`with_patches`, and some records mean something else: in the running server, and in one that is
    rebuilt from its journal."""
    table: Patch = (_state, "_CHANGES", {**_state._CHANGES, **changes})
    return lambda: Parts(server=patched(core.step, table, *patches), server_apply=patched(core.apply, table))


def with_effects(change: Callable[[Any, Any, tuple[Any, ...]], tuple[Any, ...]]) -> Callable[[], Parts]:
    """Return what makes parts whose server's effects pass through ``change(state, input, effects)``."""
    return lambda: Parts(server=changed_effects(core.step, change))
